"""TORCS environment with Gymnasium's interface."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from a3crs.envs.engines import RENDERED, Image, check_continuous, check_render_mode, closed_if_lost, with_inset
from a3crs.envs.torcs import install
from a3crs.envs.torcs.game import Game
from a3crs.envs.torcs.race import DRIVERS_VIEW, FROM_BEHIND, Race
from a3crs.errors import EnvError

SECS_PER_STEP = 0.08
SCREEN = 84
LARGER = (640, 480)
INSET = 2  # magnification of the observation in the corner of a rendered image

STEER = 0.3  # of the full lock: beyond it, a fast car spins
# (steer, throttle): positive values steer to the left and accelerate.
ACTIONS = [(steer, throttle) for throttle in (1.0, 0.0, -1.0) for steer in (STEER, 0.0, -STEER)]

# An episode ends after so many steps below walking speed: the car stands, turns or leans on a wall.
STUCK_SPEED = 1.0  # m/s along the track's axis
STUCK_STEPS = 60


class TorcsEnv(gymnasium.Env[Image, Any]):
    """TORCS race seen from the driver's seat; the reward is the speed along the track's axis, in m/s.

    Observations are RGB images of shape (84, 84, 3). Actions are the nine of `ACTIONS`, or with `continuous` two
    numbers from -1 to 1: steering (positive to the left) and throttle (negative brakes). Each action is held for 80 ms.
    An episode ends where the car is stuck; `gymnasium.make` adds a limit of 1,000 steps. `info` has the fields of
    `Telemetry`. The other arguments are the fields of `Race`.

    A race without opponents is deterministic: the same actions give the same race. Seeds have no effect.

    With `render_mode="rgb_array"`, `render()` returns images of shape (480, 640, 3): the car from behind, drawn by a
    second game that plays the same race, with the last observation in its corner.

    Raises ConfigError for a wrong argument, and where the game is not installed. Raises EnvLostError when the game has
    died or has not answered for `game_timeout_secs`; the next `reset` starts another one.
    """

    metadata = {"render_modes": [RENDERED], "render_fps": 1 / SECS_PER_STEP}  # noqa: RUF012

    def __init__(
        self,
        *,
        continuous: bool = False,
        game_timeout_secs: float = 60.0,
        render_mode: str | None = None,
        **race: Any,
    ) -> None:
        check_continuous(continuous)
        check_render_mode(render_mode)
        install.check_installed()
        self.race = Race(**race)
        self.observation_space = spaces.Box(0, 255, (SCREEN, SCREEN, 3), np.uint8)
        self.action_space = spaces.Box(-1.0, 1.0, (2,)) if continuous else spaces.Discrete(len(ACTIONS))
        self.render_mode = render_mode
        self._timeout_secs = game_timeout_secs
        self._games: list[Game] = []  # the first draws observations, the second the larger view
        self._stuck_steps = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Image, dict[str, Any]]:
        """Starts the race."""
        super().reset(seed=seed)
        self._stuck_steps = 0
        with closed_if_lost(self.close):
            if self._games:
                for game in self._games:
                    game.start_again()
            else:
                self._start()
            return self._shown(), asdict(self._games[0].telemetry)

    def step(self, action: Any) -> tuple[Image, float, bool, bool, dict[str, Any]]:
        """Drives for 80 ms."""
        if not self.action_space.contains(action):
            raise EnvError(f"The action {action!r} does not exist: TORCS has {self.action_space}.")
        if not self._games:
            raise EnvError("TORCS was stepped without an episode: call reset() first.")
        steer, throttle = ACTIONS[action] if isinstance(self.action_space, spaces.Discrete) else map(float, action)
        with closed_if_lost(self.close):
            for game in self._games:
                game.drive(steer, throttle)
        telemetry = self._games[0].telemetry
        self._stuck_steps = self._stuck_steps + 1 if telemetry.reward < STUCK_SPEED else 0
        return self._shown(), telemetry.reward, self._stuck_steps >= STUCK_STEPS, False, asdict(telemetry)

    def render(self) -> Image | None:
        """Returns the larger view with the observation in its corner, (480, 640, 3); None without a `render_mode`."""
        if len(self._games) < 2:
            return None
        return with_inset(self._games[1].image, self._shown(), INSET)

    def close(self) -> None:
        """Ends the games."""
        while self._games:
            self._games.pop().close()

    def _start(self) -> None:
        views = [((SCREEN, SCREEN), DRIVERS_VIEW), (LARGER, FROM_BEHIND)]
        with ThreadPoolExecutor() as pool:  # a start mostly waits for the game
            starts = [
                pool.submit(Game, self.race, size, camera, self._timeout_secs)
                for size, camera in views[: 1 if self.render_mode is None else 2]
            ]
        self._games = [start.result() for start in starts if start.exception() is None]
        for start in starts:
            start.result()

    def _shown(self) -> Image:
        return self._games[0].image
