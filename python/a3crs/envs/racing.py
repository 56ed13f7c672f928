"""CarRacing, for machines without TORCS: `a3crs/CarRacing-v0`, Gymnasium's track and car on Box2D.

Observations and actions are those of TORCS, so that the same networks and flags suit both; the rewards are CarRacing's
own. Importing this module registers the environment with Gymnasium. Needs the extra `[racing]`.
"""

import warnings
from functools import cache
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from a3crs.config import RunConfig
from a3crs.envs.domains.racing import ENV_ID, RACING
from a3crs.envs.engines import RENDERED, Image, check_continuous, check_render_mode
from a3crs.envs.family import EnvFamily
from a3crs.envs.gym import gym_id_family
from a3crs.envs.restarted import in_domain
from a3crs.envs.spec import Mode
from a3crs.errors import ConfigError, EnvError

FRAMES_PER_STEP = 4  # of 20 ms each: an action is held for 80 ms, as in TORCS
EPISODE_STEPS = 250  # CarRacing's own 1,000 frames

if ENV_ID not in gymnasium.registry:
    gymnasium.register(ENV_ID, entry_point=f"{__name__}:RacingEnv", max_episode_steps=EPISODE_STEPS)

SCREEN = 84
LEFT = 6  # crop of the middle of CarRacing's 96x96 pixels; the instruments are below it

# Values of CarRacing's own discrete actions, as fractions of full steering, gas and brake.
STEER, GAS, BRAKE = 0.6, 0.2, 0.8
ACTIONS = [(steer, throttle) for throttle in (GAS, 0.0, -BRAKE) for steer in (STEER, 0.0, -STEER)]


class RacingEnv(gymnasium.Env[Image, Any]):
    """Random track seen from above; the reward is CarRacing's: 1000 for the whole lap, less 0.1 a frame.

    Observations are RGB images of shape (84, 84, 3). Actions are the nine of `ACTIONS`, or with `continuous` two
    numbers from -1 to 1: steering (positive to the left) and throttle (negative brakes). An episode ends with the lap,
    or far from the track, which costs 100. The other arguments are CarRacing's.

    Raises ConfigError where Box2D is not installed.
    """

    metadata = {"render_modes": [RENDERED], "render_fps": 50 / FRAMES_PER_STEP}  # noqa: RUF012

    def __init__(self, *, continuous: bool = False, render_mode: str | None = None, **arguments: Any) -> None:
        check_continuous(continuous)
        check_render_mode(render_mode)
        self._car = _car_racing()(render_mode=render_mode, continuous=True, **arguments)
        self.observation_space = spaces.Box(0, 255, (SCREEN, SCREEN, 3), np.uint8)
        self.action_space = spaces.Box(-1.0, 1.0, (2,)) if continuous else spaces.Discrete(len(ACTIONS))
        self.render_mode = render_mode

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Image, dict[str, Any]]:
        """Starts an episode on a new track."""
        super().reset(seed=seed)
        self._car.drawn = True
        obs, info = self._car.reset(seed=seed, options=options)
        return _seen(obs), info

    def step(self, action: Any) -> tuple[Image, float, bool, bool, dict[str, Any]]:
        """Drives for 80 ms."""
        if not self.action_space.contains(action):
            raise EnvError(f"The action {action!r} does not exist: CarRacing has {self.action_space}.")
        steer, throttle = ACTIONS[action] if isinstance(self.action_space, spaces.Discrete) else map(float, action)
        wheel_and_pedals = np.array([-steer, max(throttle, 0.0), max(-throttle, 0.0)])
        total, terminated, frame = 0.0, False, 0
        while frame < FRAMES_PER_STEP and not terminated:
            frame += 1
            self._car.drawn = frame == FRAMES_PER_STEP
            obs, reward, terminated, _, info = self._car.step(wheel_and_pedals)
            total += float(reward)
        if not self._car.drawn:  # the episode ended within the step
            self._car.drawn = True
            obs = self._car._render("state_pixels")
        return _seen(obs), total, terminated, False, info

    def render(self) -> Image | None:
        """Returns CarRacing's larger view, (400, 600, 3); None without a `render_mode`."""
        return None if self.render_mode is None else self._car.render()

    def close(self) -> None:
        """Closes CarRacing and its drawing."""
        self._car.close()


@cache
def _car_racing() -> Any:
    """Returns a CarRacing that draws only the frames that are observed: drawing takes nearly all of its time."""
    try:
        with warnings.catch_warnings():  # SWIG's warnings, which as errors would end the process
            warnings.simplefilter("ignore", DeprecationWarning)
            from gymnasium.envs.box2d.car_racing import CarRacing
    except gymnasium.error.DependencyNotInstalled as e:
        raise ConfigError(f"CarRacing needs Box2D: {RACING.install}.") from e

    class Drawn(CarRacing):
        drawn = True

        def _render(self, mode: str) -> Any:
            return super()._render(mode) if self.drawn or mode != "state_pixels" else self.state

    return Drawn


def _seen(obs: Image) -> Image:
    return np.ascontiguousarray(obs[:SCREEN, LEFT : LEFT + SCREEN])


def racing_family(config: RunConfig, mode: Mode) -> EnvFamily:
    """Returns CarRacing with the arguments in `config.env_kwargs`; `mode` changes nothing."""
    family = gym_id_family(ENV_ID, config)
    assert family is not None
    return in_domain(family, RACING, FRAMES_PER_STEP)
