"""Environments with Gymnasium's interface: `CartPole-v1`, `package:MyEnv-v0`, or a callable that makes one."""

import dataclasses
import sys
from functools import partial
from importlib import import_module
from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec as Registered

from a3crs.config import RunConfig
from a3crs.envs import mujoco, pixels, worker
from a3crs.envs.domain import runs_in_threads
from a3crs.envs.family import EnvFamily, Restarts
from a3crs.envs.gym_env import GymEnv, MakeEnv
from a3crs.envs.pixels import AnyEnv
from a3crs.envs.play import Frame, PlayEnv
from a3crs.envs.spec import Mode
from a3crs.envs.worker import WorkerEnv
from a3crs.errors import ConfigError, did_you_mean


def gym_family(name: str, make: MakeEnv, config: RunConfig, make_rendered: MakeEnv | None = None) -> EnvFamily:
    """Returns a family of environments made by a callable without arguments; one is made here to read its spaces.

    `make_rendered` makes them with `render_mode="rgb_array"`, if `make` does not.
    """
    made = make()
    env = GymEnv(name, made, config)
    env.close()

    def play(rendered: bool) -> PlayEnv:
        game = GymEnv(name, (make_rendered or make)() if rendered else make(), config)
        return PlayEnv(env.spec, game, game.step_with, game.action_space, GymScreen(name, game) if rendered else None)

    family = EnvFamily(env.spec, lambda actor: GymEnv(name, make(), config), env.own_action, play)
    return family if _in_thread(made, config) else _in_processes(family, make, config)


def _in_thread(env: AnyEnv, config: RunConfig) -> bool:
    if config.pixels:
        if config.env_workers == "thread":
            raise ConfigError(
                "env_workers is 'thread', but with pixels environments need a process each, because several that draw "
                "with OpenGL in one process make each other's images black: leave it out."
            )
        return False
    known = runs_in_threads(type(env.unwrapped).__module__)
    return config.env_workers == "thread" or (config.env_workers == "auto" and known)


def _in_processes(family: EnvFamily, make: MakeEnv, config: RunConfig) -> EnvFamily:
    spec = family.spec
    try:
        job = worker.job(spec, make, config)
    except ConfigError as e:
        if config.env_workers == "process" or config.pixels:
            raise
        print(f"a3crs: {spec.name} runs in the actors' threads: {e}", file=sys.stderr)
        return family
    restarts = Restarts()
    spec = dataclasses.replace(spec, own_process=True)
    in_process = partial(WorkerEnv, job=job, spec=spec, config=config, restarts=restarts)
    return dataclasses.replace(family, spec=spec, make=in_process, restarts=restarts)


def own_family(make: MakeEnv, config: RunConfig) -> EnvFamily:
    """Returns the family of a user's callable, named after the environment's id or its class."""
    env = make()
    if not isinstance(env, gymnasium.Env):
        raise ConfigError(f"The callable made a {type(env).__name__}, but it must make a gymnasium.Env.")
    name = env.spec.id if env.spec else type(env.unwrapped).__name__
    env.close()
    return gym_family(name, make, config)


def gym_id_family(env_id: str, config: RunConfig) -> EnvFamily | None:
    """Returns the family of an id in Gymnasium's registry; None where Gymnasium does not know the id."""
    module, _, registered = env_id.rpartition(":")
    given = config.env_kwargs
    try:
        if module:  # `package:MyEnv-v0`: importing the package registers its environments
            import_module(module)
        spec = gymnasium.spec(registered)
        if config.pixels:
            given = pixels.arguments(spec, config) | given
        # The registered spec instead of the id: a worker process may not have registered the id.
        make = partial(_make, spec, **given)
        return gym_family(
            env_id, make, config, partial(_make_rendered, spec, **(pixels.arguments(spec, config) | given))
        )
    except gymnasium.error.NameNotFound:
        return None
    except (gymnasium.error.Error, ImportError) as e:
        near = "" if isinstance(e, ImportError) else did_you_mean(env_id, gym_ids())
        raise ConfigError(f"Gymnasium cannot make {env_id!r}{near}: {str(e).strip().rstrip('.?')}.") from e
    except TypeError as e:
        if not given:
            raise
        words = ", ".join(f"{name}={value!r}" for name, value in given.items())
        raise ConfigError(f"Gymnasium cannot make {env_id!r} with {words}: {str(e).rstrip('.')}.") from e


def registered_family(config: RunConfig, mode: Mode) -> EnvFamily | None:
    """Returns the family of the id `config.env`; `mode` changes nothing. None where Gymnasium does not know the id."""
    return gym_id_family(config.env, config)


def dm_control_family(config: RunConfig, mode: Mode) -> EnvFamily | None:
    """Returns the family of a dm_control task, after registering all tasks; None where there is no such task."""
    mujoco.register_dm_control()
    return gym_id_family(config.env, config)


def _make(spec: Registered, **given: Any) -> AnyEnv:
    if mujoco.has(spec):
        mujoco.say_warnings_once()  # worker processes call this too
    env: AnyEnv = gymnasium.make(spec, disable_env_checker=True, **given)
    return env


def _make_rendered(spec: Registered, **given: Any) -> AnyEnv:
    env = _make(spec, **given)
    mujoco.draw_fast(env)
    return env


class GymScreen:
    """Screen of an environment that renders one image after each step."""

    def __init__(self, name: str, env: GymEnv) -> None:
        if env.render_mode != pixels.RENDERED:
            env.close()
            raise ConfigError(
                f"{name} has the render_mode {env.render_mode!r}, which makes no images: make it with "
                f"render_mode={pixels.RENDERED!r}."
            )
        self._env = env
        self.fps = env.fps

    def reset(self, seed: int | None) -> list[Frame]:
        return self.step(None)

    def step(self, action: Any) -> list[Frame]:
        return [np.asarray(self._env.render(), np.uint8)]

    def close(self) -> None:
        """Does nothing: the owner of the environment closes it."""


def gym_ids() -> list[str]:
    """Returns Gymnasium's own ids (not ALE's), to suggest the nearest one."""
    return [env_id for env_id in gymnasium.registry if "ale_py" not in str(gymnasium.registry[env_id].entry_point)]
