"""Labyrinth, section 5.4 of the paper, on ViZDoom: `a3crs/Labyrinth-v0`. See README.md in this folder.

Importing this package registers the environment with Gymnasium.
"""

import gymnasium

from a3crs.config import RunConfig
from a3crs.envs.domains.labyrinth import ENV_ID, LABYRINTH
from a3crs.envs.family import EnvFamily
from a3crs.envs.restarted import restarted_family
from a3crs.envs.spec import Mode

EPISODE_STEPS = 525  # 60 seconds
TICS_PER_STEP = 4

if ENV_ID not in gymnasium.registry:
    gymnasium.register(ENV_ID, entry_point="a3crs.envs.labyrinth.env:LabyrinthEnv", max_episode_steps=EPISODE_STEPS)


def labyrinth_family(config: RunConfig, mode: Mode) -> EnvFamily:
    """Returns Labyrinth with the arguments in `config.env_kwargs`; evaluation has other mazes than training."""
    given = {"mazes": mode.value, "engine_timeout_secs": config.env_timeout_secs} | config.env_kwargs
    return restarted_family(LABYRINTH, ENV_ID, TICS_PER_STEP, config.changed(env_kwargs=given))
