"""Any Gymnasium environment with discrete actions: `CartPole-v1`, `package:MyEnv-v0`, or a callable that makes one."""

from collections.abc import Callable
from importlib import import_module
from typing import Any, cast

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete
from gymnasium.wrappers import RecordEpisodeStatistics

from a3crs.envs.spec import EnvFamily, EnvSpec, ImageObs, Observation, VectorObs
from a3crs.errors import ConfigError


class GymEnv:
    """Gives any supported environment the observations of the `Env` protocol: uint8 images with the channels first,
    or float32 vectors, both C-contiguous; actions count from 0."""

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        self._env = RecordEpisodeStatistics(env)
        self._first_action = int(cast(Discrete, env.action_space).start)
        self._is_image = len(cast(Box, env.observation_space).shape) == 3

    def reset(self, *, seed: int | None = None) -> tuple[Observation, dict[str, Any]]:
        """Starts a new episode."""
        obs, info = self._env.reset(seed=None if seed is None else seed % 2**31)
        return self._observation(obs), info

    def step(self, action: int) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """One step of the environment, which is one frame."""
        obs, reward, terminated, truncated, info = self._env.step(self._first_action + action)
        return self._observation(obs), float(reward), bool(terminated), bool(truncated), info

    def _observation(self, obs: Any) -> Observation:
        if self._is_image:
            return np.ascontiguousarray(np.moveaxis(obs, -1, 0), dtype=np.uint8)
        return np.ascontiguousarray(obs, dtype=np.float32)


def gym_family(name: str, make: Callable[[], gymnasium.Env[Any, Any]]) -> EnvFamily:
    """A family of environments made by a callable without arguments; one is made here to read its spaces."""
    env = make()
    spec = _spec(name, env)
    env.close()
    return EnvFamily(spec, lambda actor: GymEnv(make()))


def gym_id_family(env_id: str) -> EnvFamily | None:
    """The family of an id in Gymnasium's registry; None where Gymnasium does not know the id."""
    module, _, registered = env_id.rpartition(":")
    try:
        if module:  # `package:MyEnv-v0`: importing the package registers its environments
            import_module(module)
        gymnasium.spec(registered)
        return gym_family(env_id, lambda: gymnasium.make(env_id, disable_env_checker=True))
    except gymnasium.error.NameNotFound:
        return None
    except (gymnasium.error.Error, ImportError) as e:
        raise ConfigError(f"Gymnasium cannot make {env_id!r}: {str(e).rstrip('.?')}.") from e


def gym_ids() -> list[str]:
    """Gymnasium's own ids (not ALE's), to suggest the nearest one."""
    return [env_id for env_id in gymnasium.registry if "ale_py" not in str(gymnasium.registry[env_id].entry_point)]


def _spec(name: str, env: gymnasium.Env[Any, Any]) -> EnvSpec:
    actions, observations = env.action_space, env.observation_space
    if not isinstance(actions, Discrete):
        raise ConfigError(f"{name} has the action space {actions}; a3crs needs a Discrete one.")
    if not isinstance(observations, Box):
        raise ConfigError(f"{name} has the observation space {observations}; a3crs needs a Box.")
    if len(observations.shape) == 3 and observations.dtype == np.uint8:
        height, width, channels = observations.shape
        return EnvSpec(name, ImageObs(channels, height, width), int(actions.n), frames_per_step=1)
    if len(observations.shape) == 1:
        return EnvSpec(name, VectorObs(observations.shape[0]), int(actions.n), frames_per_step=1)
    raise ConfigError(
        f"{name} has observations of shape {observations.shape} and type {observations.dtype}; a3crs needs a vector, "
        "or a uint8 image of shape (height, width, channels)."
    )
