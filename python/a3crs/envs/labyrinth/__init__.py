"""Labyrinth, section 5.4 of the paper, on ViZDoom: `a3crs/Labyrinth-v0`. See README.md beside this file.

Importing this package registers it with Gymnasium.
"""

import dataclasses

import gymnasium

from a3crs.config import TrainConfig
from a3crs.envs.gym import gym_id_family
from a3crs.envs.spec import EnvFamily, Mode

NAME = "Labyrinth"
ENV_ID = "a3crs/Labyrinth-v0"
NAMES = (NAME, ENV_ID)
EPISODE_STEPS = 525  # 60 seconds
TICS_PER_STEP = 4

if ENV_ID not in gymnasium.registry:
    gymnasium.register(ENV_ID, entry_point="a3crs.envs.labyrinth.env:LabyrinthEnv", max_episode_steps=EPISODE_STEPS)


def labyrinth_family(config: TrainConfig, mode: Mode) -> EnvFamily:
    """Labyrinth with the arguments in `config.env_kwargs`; the mazes of evaluation are others than those of training."""
    config = config.changed(env_kwargs={"mazes": mode.value} | config.env_kwargs)
    family = gym_id_family(ENV_ID, config)
    assert family is not None
    return dataclasses.replace(family, spec=dataclasses.replace(family.spec, name=NAME, frames_per_step=TICS_PER_STEP))
