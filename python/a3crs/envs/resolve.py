"""Resolution of an environment's name, or of a callable that makes one, to its family."""

from typing import TYPE_CHECKING

from a3crs.config import RunConfig, TrainConfig
from a3crs.envs.domain import rows
from a3crs.envs.family import EnvFamily
from a3crs.envs.spec import Mode
from a3crs.errors import ConfigError, did_you_mean

if TYPE_CHECKING:  # Gymnasium is imported when a name is resolved
    from a3crs.envs.gym_env import MakeEnv

OWN = "callable"  # value of `env` in the settings of a run whose environment a callable made


def resolve(config: TrainConfig | RunConfig, mode: Mode, make: "MakeEnv | None" = None) -> EnvFamily:
    """Returns the family of environments that `config.env` names, from the first domain that has the name.

    `make` makes a user's own environment instead. `mode` matters to Atari games and Labyrinth; the others have no rules
    for training. Raises ConfigError for a name that does not exist.
    """
    if isinstance(config, TrainConfig):
        # The environment's own defaults follow from what it is; none of them says how to make it.
        config = config.with_usual_defaults()
    name = config.env
    if make is not None:
        from a3crs.envs.gym import own_family  # here, so that `a3crs --help` does not load Gymnasium

        if config.env_kwargs:
            raise ConfigError(
                f"env_kwargs is {config.env_kwargs!r}, but an environment made by a callable does not use it: leave it "
                "out."
            )
        return own_family(make, config)
    if name == OWN:
        raise ConfigError(
            "The environment of this run was made by a callable, which only Python can bring: call a3crs.resume(run, "
            "env=...) or a3crs.evaluate(run, env=...)."
        )
    for domain in rows():
        family = domain.family(config, mode) if domain.matches(name) else None
        if family is not None:
            return family
    known = [known for domain in rows() for known in domain.known_names()]
    raise ConfigError(
        f"There is no environment {name!r}{did_you_mean(name, known)}; `a3crs list envs` lists the Atari games."
    )
