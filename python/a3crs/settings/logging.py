"""Settings of checkpoints, each with its source (see `a3crs.config`)."""

from dataclasses import dataclass

from a3crs.checks import in_range
from a3crs.complete import CompleteSettings
from a3crs.setting import setting

GROUP = "Logging"


@dataclass(frozen=True, kw_only=True)
class LoggingSettings(CompleteSettings):
    """The settings that `--help` shows as Logging."""

    checkpoint_secs: float = setting(
        60.0, "seconds between two checkpoints", "not in the paper", in_range(0.001, 1e9), group=GROUP
    )
    keep_checkpoints: int = setting(
        3, "number of newest checkpoints that stay on disk", "not in the paper", in_range(1, 1e6), group=GROUP
    )
