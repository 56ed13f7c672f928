"""From the name people type to an environment family."""

from a3crs.envs.spec import EnvFamily, Mode
from a3crs.errors import ConfigError, did_you_mean


def resolve(name: str, protocol: str, mode: Mode) -> EnvFamily:
    """The family of environments called `name`: an Atari game in any spelling, or else a Gymnasium id.

    `protocol` and `mode` are rules of Atari games; other environments have none, and are the same in both modes.
    """
    from a3crs.envs import atari, gym  # here, so that `a3crs --help` does not load the emulator

    game = atari.game_of(name)
    if game is not None and name not in gym.gym_ids():  # Blackjack-v1 is Gymnasium's, Blackjack is Atari's
        return atari.atari_family(game, protocol, mode)
    family = gym.gym_id_family(name)
    if family is not None:
        return family
    known = [atari.display_name(game) for game in atari.games()] + gym.gym_ids()
    raise ConfigError(
        f"There is no environment {name!r}{did_you_mean(name, known)}; `a3crs list envs` lists the Atari games."
    )
