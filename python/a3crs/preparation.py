"""Preparation of a run: the same for training, sweeps, benchmarks, the paper's experiments and agents."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from a3crs import _core
from a3crs.config import RunConfig, TrainConfig
from a3crs.envs import EnvFamily, Mode, resolve
from a3crs.errors import ConfigError

if TYPE_CHECKING:
    from a3crs.envs.gym_env import MakeEnv


@dataclass(frozen=True)
class Prepared:
    """A complete configuration, and the environments that it names."""

    config: RunConfig
    family: EnvFamily

    def checked(self, checkpoint: Path | None = None) -> Self:
        """Returns itself; ConfigError where it could not be trained, CheckpointError where it could not go on from
        `checkpoint`. Nothing is started or written."""
        path = None if checkpoint is None else str(checkpoint)
        _core.check(self.config.core_json(), self.family.spec.to_json(), path)
        return self


def prepare(
    config: TrainConfig | RunConfig,
    *,
    frames: int | None = None,
    env: "MakeEnv | None" = None,
    family: EnvFamily | None = None,
) -> Prepared:
    """Finds the environments and completes what was given with the defaults of their domain and kinds.

    A run's own settings are complete and stay as they are. `frames` replaces `total_steps` by as many agent steps as
    give that many frames. `env` makes an environment of the caller's own, `family` is one that was found before; else
    `config.env` is looked up by name.
    """
    family = family or resolve(config, Mode.TRAINING, env)
    if isinstance(config, TrainConfig):
        config = config.complete(family.spec.name, family.spec.kinds, family.spec.defaults)
    return Prepared(with_frames(config, frames, family), family)


def with_frames(config: RunConfig, frames: int | None, family: EnvFamily) -> RunConfig:
    """Returns the configuration with `total_steps` set from a number of frames, if there is one."""
    if frames is None:
        return config
    if frames < family.spec.frames_per_step:
        least = family.spec.frames_per_step
        raise ConfigError(f"--frames is {frames}, but it must be at least {least}: that is one agent step.")
    return config.changed(total_steps=frames // family.spec.frames_per_step)
