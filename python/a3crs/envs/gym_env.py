"""Adapter from one Gymnasium environment to the protocol of the actors."""

from collections.abc import Callable
from typing import Any

import gymnasium
from gymnasium.wrappers import TimeLimit

from a3crs.config import RunConfig
from a3crs.envs import mujoco
from a3crs.envs.actions import agents_actions
from a3crs.envs.observations import observed
from a3crs.envs.pixels import AnyEnv
from a3crs.envs.spec import EnvSpec, Observation
from a3crs.errors import EnvError

MakeEnv = Callable[[], AnyEnv]
DEFAULT_FPS = 30  # for environments without `render_fps`


class GymEnv:
    """Adapter from a Gymnasium environment to the `Env` protocol.

    Actions are integers from 0 on or vectors; `a3crs.envs.actions` converts them. Observations are C-contiguous: uint8
    images of shape (channels, height, width) or float32 vectors.

    An episode's return and length are those of the environment's own `RecordEpisodeStatistics` where it has one.
    """

    def __init__(self, name: str, env: AnyEnv, config: RunConfig) -> None:
        actions, self.own_action = agents_actions(name, env.action_space)
        self.action_space = env.action_space
        self.render_mode, self.fps = env.render_mode, float(env.metadata.get("render_fps") or DEFAULT_FPS)
        limit = time_limit(env)
        self._env, obs, self._observation = observed(name, env, config)
        self.spec = EnvSpec(name, obs, actions, frames_per_step=1, max_episode_steps=limit)
        self._return = 0.0
        self._length_steps = 0

    def reset(self, *, seed: int | None = None) -> tuple[Observation, dict[str, Any]]:
        """Starts a new episode."""
        self._return, self._length_steps = 0.0, 0
        result: Any = self._env.reset(seed=None if seed is None else seed % 2**31)
        obs, info = _parts("reset", result, "observation", "info")
        return self._shown(obs), info

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Steps the environment, by one frame."""
        return self.step_with(self.own_action(action))

    def step_with(self, own_action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Steps the environment with one of its own actions."""
        result: Any = self._env.step(own_action)
        obs, paid, terminated, truncated, info = _parts(
            "step", result, "observation", "reward", "terminated", "truncated", "info"
        )
        try:
            reward = float(paid)
        except (TypeError, ValueError) as e:
            raise EnvError(f"The environment's reward is {paid!r:.80}, but it must be a number.") from e
        self._return += reward
        self._length_steps += 1
        ended = bool(terminated or truncated)
        if ended or "episode" in info:
            info = self._with_score(info, ended=ended)
        return self._shown(obs), reward, bool(terminated), bool(truncated), info

    def _shown(self, obs: Any) -> Observation:
        try:
            return self._observation(obs)
        except (TypeError, ValueError) as e:
            space = self._env.observation_space
            raise EnvError(f"The environment's observation is {obs!r:.80}, which is not in its {space}.") from e

    def _with_score(self, info: dict[str, Any], *, ended: bool) -> dict[str, Any]:
        own = info.get("episode")
        if isinstance(own, dict) and own.keys() >= {"r", "l"}:
            return info
        others = {key: value for key, value in info.items() if key != "episode"}  # it may be anything, like a number
        return others | ({"episode": {"r": self._return, "l": self._length_steps}} if ended else {})

    def render(self) -> Any:
        """Returns the environment's own image."""
        return self._env.render()

    def close(self) -> None:
        """Closes the environment."""
        self._env.close()


def _parts(method: str, result: Any, *names: str) -> tuple[Any, ...]:
    """Returns a method's result; raises EnvError where it is not a tuple of the parts `names`, the last one info."""
    if not isinstance(result, tuple) or len(result) != len(names):
        what = f"a tuple of {len(result)}" if isinstance(result, tuple) else f"{result!r:.80}"
        raise EnvError(f"The environment's {method}() returned {what}, not ({', '.join(names)}).")
    if not isinstance(result[-1], dict):
        raise EnvError(f"The environment's {method}() returned the info {result[-1]!r:.80}, but it must be a dict.")
    return result


def time_limit(env: AnyEnv) -> int | None:
    """Returns the steps after which an episode is truncated; None where there is no limit, or it is not known."""
    while isinstance(env, gymnasium.Wrapper):
        if isinstance(env, TimeLimit):
            return env._max_episode_steps
        env = env.env
    return mujoco.step_limit(env)
