"""Restarts of environments that run in the actor's thread and have a process of their own, which may be lost."""

import dataclasses
from typing import Any, cast

import numpy as np

from a3crs.config import RunConfig
from a3crs.envs.domain import Domain
from a3crs.envs.family import EnvFamily, Restarts
from a3crs.envs.gym import gym_id_family
from a3crs.envs.gym_env import GymEnv
from a3crs.envs.spec import Continuous, Observation
from a3crs.errors import EnvLostError


def restarted_family(domain: Domain, env_id: str, frames_per_step: int, config: RunConfig) -> EnvFamily:
    """Returns the family of a registered environment of this domain that raises EnvLostError.

    The environment has its own process, so that actors stay threads, which wait for it without the interpreter's lock.
    """
    family = gym_id_family(env_id, config)
    assert family is not None
    family = in_domain(family, domain, frames_per_step)
    if family.spec.own_process:
        return family
    spec = dataclasses.replace(family.spec, own_thread=True)
    make_env, most, restarts = family.make, config.env_restarts, family.restarts

    def make(actor: int) -> RestartedEnv:
        return RestartedEnv(actor, cast(GymEnv, make_env(actor)), most, restarts)

    return dataclasses.replace(family, spec=spec, make=make)


def in_domain(family: EnvFamily, domain: Domain, frames_per_step: int) -> EnvFamily:
    """Returns the family with the domain's name and its defaults."""
    defaults = domain.defaults_with(continuous=isinstance(family.spec.actions, Continuous))
    spec = dataclasses.replace(family.spec, name=domain.name, frames_per_step=frames_per_step, defaults=defaults)
    return dataclasses.replace(family, spec=spec)


class RestartedEnv:
    """Wrapper of an environment that raises EnvLostError; the next `reset` restarts the process.

    When the process is lost, the episode is truncated: the last observation counts, and the episode has no score.
    Raises EnvError when the process is lost more than `most_restarts` times.
    """

    def __init__(self, actor: int, env: GymEnv, most_restarts: int, restarts: Restarts) -> None:
        self._actor, self._env = actor, env
        self._most_restarts, self._restarts = most_restarts, restarts
        self._obs: Observation = np.empty(0, np.uint8)

    def reset(self, *, seed: int | None = None) -> tuple[Observation, dict[str, Any]]:
        """Starts a new episode, in a new process where the last one was lost."""
        while True:
            try:
                self._obs, info = self._env.reset(seed=seed)
            except EnvLostError as e:
                self._restarts.add(self._actor, str(e), self._most_restarts)
            else:
                return self._obs, info

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Steps the environment."""
        try:
            step = self._env.step(action)
        except EnvLostError as e:
            self._restarts.add(self._actor, str(e), self._most_restarts)
            return self._obs, 0.0, False, True, {}
        self._obs = step[0]
        return step

    def close(self) -> None:
        """Closes the environment."""
        self._env.close()
