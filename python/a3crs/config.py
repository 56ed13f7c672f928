"""Settings of a training run: the only home of defaults, each with its source.

[P] is the paper (Mnih et al. 2016, arXiv 1602.01783v2); [E] is what its authors wrote in e-mails that others quoted,
used where the paper is silent. A settings file, a flag and a log column all use the same names. The fields are in
`a3crs.settings`, what is known to be best for a kind of environment in `a3crs.presets`.
"""

from dataclasses import dataclass

from a3crs.complete import ALIASES, unknown_setting
from a3crs.errors import ConfigError
from a3crs.given import GivenSettings
from a3crs.settings.environment import EnvironmentSettings
from a3crs.settings.logging import LoggingSettings
from a3crs.settings.method import MethodSettings
from a3crs.settings.network import NetworkSettings
from a3crs.settings.optimizer import OptimizerSettings
from a3crs.settings.run import RunSettings

__all__ = ["ALIASES", "RunConfig", "TrainConfig", "no_setting"]


@dataclass(frozen=True, kw_only=True)
class RunConfig(  # of the last parent come the first fields
    LoggingSettings,
    OptimizerSettings,
    NetworkSettings,
    MethodSettings,
    RunSettings,
    EnvironmentSettings,
):
    """Complete settings of a run, each with its final value. Immutable; a wrong value raises ConfigError.

    `TrainConfig.complete` makes one for an environment, and config.json holds one.
    """


class TrainConfig(GivenSettings[RunConfig]):
    """Settings that a person gives for a run: `TrainConfig(env="Pong", lr=1e-3)`, any fields of `RunConfig`.

    The others get the defaults of the environment when the run is prepared. Immutable; a wrong value raises
    ConfigError.
    """

    __slots__ = ()
    complete_type = RunConfig


def no_setting(name: str) -> ConfigError:
    """The error for a name that is no setting's, with the nearest that are."""
    return unknown_setting(RunConfig, name)
