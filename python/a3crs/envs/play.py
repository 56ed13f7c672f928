"""Environment on which an agent was trained, with Gymnasium's interface, to be stepped by hand and rendered."""

from collections.abc import Callable
from typing import Any, Protocol

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from a3crs.envs.spec import Env, EnvSpec, ImageObs, Observation

Frame = NDArray[np.uint8]  # (height, width, 3)
FRAMES = "rgb_array_list"  # Gymnasium's name for all frames since the last call of render()


class Screen(Protocol):
    """Images of an environment for a person, frame by frame."""

    fps: float
    """Frames a second at the environment's own speed."""

    def reset(self, seed: int | None) -> list[Frame]: ...

    def step(self, action: Any) -> list[Frame]: ...

    def close(self) -> None: ...


class PlayEnv(gymnasium.Env[Observation, Any]):
    """Environment with the agent's observations: uint8 of shape (channels, height, width) or float32 of shape (len,).

    Actions are the environment's own, rewards are raw, and an episode is a whole game. With a screen, `render()`
    returns the frames since its last call.
    """

    def __init__(
        self,
        spec: EnvSpec,
        env: Env,
        step: Callable[[Any], tuple[Observation, float, bool, bool, dict[str, Any]]],
        action_space: spaces.Space[Any],
        screen: Screen | None = None,
    ) -> None:
        obs = spec.obs
        if isinstance(obs, ImageObs):
            self.observation_space = spaces.Box(0, 255, (obs.channels, obs.height, obs.width), np.uint8)
        else:
            self.observation_space = spaces.Box(-np.inf, np.inf, (obs.len,), np.float32)
        self.action_space = action_space
        self.render_mode = FRAMES if screen else None
        self.metadata = {"render_modes": [FRAMES]} | ({"render_fps": screen.fps} if screen else {})
        self._env, self._step, self._screen = env, step, screen
        self._frames: list[Frame] = []

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Starts a new episode; `options` are not used."""
        super().reset(seed=seed)
        if self._screen and seed is None:  # the screen shows the same game only with the same seed
            seed = int(self.np_random.integers(2**31))
        obs, info = self._env.reset(seed=seed)
        if self._screen:
            self._frames = self._screen.reset(seed)
        return obs.copy(), info

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Steps the environment with one of its own actions."""
        obs, reward, terminated, truncated, info = self._step(action)
        if self._screen:
            self._frames += self._screen.step(action)
        return obs.copy(), float(reward), terminated, truncated, info  # a new array each step, as in Gymnasium

    def render(self) -> list[Frame]:  # type: ignore[override]  # as Gymnasium's own wrapper RenderCollection
        """Returns the frames since the last call, (height, width, 3) each; none without a screen."""
        frames, self._frames = self._frames, []
        return frames

    def close(self) -> None:
        """Closes the environment and its screen."""
        if self._screen:
            self._screen.close()
        if hasattr(self._env, "close"):
            self._env.close()
