"""TORCS, section 5.2 of the paper: `a3crs/TORCS-v0`. See README.md in this folder.

Importing this package registers the environment with Gymnasium.
"""

import gymnasium

from a3crs.config import RunConfig
from a3crs.envs.domains.torcs import ENV_ID, TORCS
from a3crs.envs.family import EnvFamily
from a3crs.envs.restarted import restarted_family
from a3crs.envs.spec import Mode

EPISODE_STEPS = 1000  # 80 seconds
CALLS_PER_STEP = 4  # calls of each driver by the game in a step

if ENV_ID not in gymnasium.registry:
    gymnasium.register(ENV_ID, entry_point="a3crs.envs.torcs.env:TorcsEnv", max_episode_steps=EPISODE_STEPS)


def torcs_family(config: RunConfig, mode: Mode) -> EnvFamily:
    """Returns TORCS with the arguments in `config.env_kwargs`; `mode` changes nothing."""
    given = {"game_timeout_secs": config.env_timeout_secs} | config.env_kwargs
    return restarted_family(TORCS, ENV_ID, CALLS_PER_STEP, config.changed(env_kwargs=given))
