"""Labyrinth, section 5.4 of the paper, on ViZDoom: `a3crs/Labyrinth-v0`. See README.md beside this file.

Importing this package registers it with Gymnasium.
"""

import dataclasses
from typing import cast

import gymnasium

from a3crs.config import Kind, TrainConfig
from a3crs.envs.gym import gym_id_family
from a3crs.envs.gym_env import GymEnv
from a3crs.envs.restarted import RestartedEnv
from a3crs.envs.spec import EnvFamily, Mode

NAME = "Labyrinth"
ENV_ID = "a3crs/Labyrinth-v0"
EPISODE_STEPS = 525  # 60 seconds
TICS_PER_STEP = 4

if ENV_ID not in gymnasium.registry:
    gymnasium.register(ENV_ID, entry_point="a3crs.envs.labyrinth.env:LabyrinthEnv", max_episode_steps=EPISODE_STEPS)


def is_meant_by(name: str) -> bool:
    """Whether `--env` names Labyrinth so."""
    return name == ENV_ID or name.lower() == NAME.lower()


def labyrinth_family(config: TrainConfig, mode: Mode) -> EnvFamily:
    """Labyrinth with the arguments in `config.env_kwargs`; the mazes of evaluation are others than those of training.

    Engines are processes, so that actors need none of their own: threads wait for them without the interpreter's lock.
    """
    given = {"mazes": mode.value, "engine_timeout_secs": config.env_timeout_secs} | config.env_kwargs
    family = gym_id_family(ENV_ID, config.changed(env_kwargs=given))
    assert family is not None
    in_thread = not family.spec.own_process
    spec = dataclasses.replace(
        family.spec,
        name=NAME,
        frames_per_step=TICS_PER_STEP,
        own_thread=in_thread,
        more_kinds=frozenset({Kind.LABYRINTH}),
    )
    if not in_thread:
        return dataclasses.replace(family, spec=spec)
    most, restarts = config.env_restarts, family.restarts

    def make(actor: int) -> RestartedEnv:
        return RestartedEnv(actor, cast(GymEnv, family.make(actor)), most, restarts)

    return dataclasses.replace(family, spec=spec, make=make)
