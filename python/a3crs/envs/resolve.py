"""From the name people type, or a callable of their own, to an environment family."""

from typing import TYPE_CHECKING

from a3crs.config import TrainConfig
from a3crs.envs.spec import EnvFamily, Mode
from a3crs.errors import ConfigError, did_you_mean

if TYPE_CHECKING:  # Gymnasium is imported when a name is resolved
    from a3crs.envs.gym_env import MakeEnv

OWN = "callable"  # the `env` of a run whose environment was made by a callable


def resolve(config: TrainConfig, mode: Mode, make: "MakeEnv | None" = None) -> EnvFamily:
    """The family of environments that `config.env` names: an Atari game in any spelling, Labyrinth, TORCS,
    CarRacing, or a Gymnasium id.

    `make` brings an environment of one's own instead. `mode` matters to Atari games and Labyrinth; others have no rules
    for training. ConfigError for a name that does not exist.
    """
    from a3crs.envs import (
        atari,
        gym,
        labyrinth,
        racing,
        torcs,
    )  # here, so that `a3crs --help` does not load the emulator

    name = config.env
    if make is not None:
        if config.env_kwargs:
            raise ConfigError(
                f"env_kwargs is {config.env_kwargs!r}, but an environment made by a callable does not use it: leave it "
                "out."
            )
        return gym.own_family(make, config)
    if name == OWN:
        raise ConfigError(
            "The environment of this run was made by a callable, which only Python can bring: call a3crs.resume(run, "
            "env=...) or a3crs.evaluate(run, env=...)."
        )
    if labyrinth.is_meant_by(name):
        return labyrinth.labyrinth_family(config, mode)
    if torcs.is_meant_by(name):
        return torcs.torcs_family(config)
    if racing.is_meant_by(name):
        return racing.racing_family(config)
    game = atari.game_of(name)
    if game is not None and name not in gym.gym_ids():  # Blackjack-v1 is Gymnasium's, Blackjack is Atari's
        return atari.atari_family(game, config.protocol, mode)
    family = gym.gym_id_family(name, config)
    if family is not None:
        return family
    known = [labyrinth.NAME, torcs.NAME, racing.NAME, *map(atari.display_name, atari.games()), *gym.gym_ids()]
    raise ConfigError(
        f"There is no environment {name!r}{did_you_mean(name, known)}; `a3crs list envs` lists the Atari games."
    )
