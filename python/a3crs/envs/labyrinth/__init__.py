"""Labyrinth, section 5.4 of the paper, on ViZDoom: `a3crs/Labyrinth-v0`. See README.md beside this file.

Importing this package registers it with Gymnasium.
"""

import gymnasium

from a3crs.config import TrainConfig
from a3crs.envs.restarted import restarted_family
from a3crs.envs.spec import EnvFamily, Mode
from a3crs.setting import Kind

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
    """Labyrinth with the arguments in `config.env_kwargs`; evaluation has other mazes than training."""
    given = {"mazes": mode.value, "engine_timeout_secs": config.env_timeout_secs} | config.env_kwargs
    return restarted_family(ENV_ID, NAME, Kind.LABYRINTH, TICS_PER_STEP, config.changed(env_kwargs=given))
