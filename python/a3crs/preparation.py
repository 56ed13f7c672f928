"""Preparation of a run: the same for training, sweeps, benchmarks, the paper's experiments and agents."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from a3crs import _core
from a3crs.config import TrainConfig
from a3crs.envs import EnvFamily, Mode, resolve
from a3crs.errors import ConfigError

if TYPE_CHECKING:
    from a3crs.envs.gym_env import MakeEnv


@dataclass(frozen=True)
class Prepared:
    """A complete configuration, and the environments that it names."""

    config: TrainConfig
    family: EnvFamily

    def checked(self, checkpoint: Path | None = None) -> Self:
        """Returns itself; ConfigError where it could not be trained, CheckpointError where it could not go on from
        `checkpoint`. Nothing is started or written."""
        path = None if checkpoint is None else str(checkpoint)
        _core.check(self.config.core_json(), self.family.spec.to_json(), path)
        return self


def prepare(
    given: TrainConfig,
    *,
    frames: int | None = None,
    env: "MakeEnv | None" = None,
    family: EnvFamily | None = None,
) -> Prepared:
    """Finds the environments and completes what was given with the defaults of their domain and kinds.

    `frames` replaces `total_steps` by as many agent steps as give that many frames. `env` makes an environment of the
    caller's own, `family` is one that was found before; else `given.env` is looked up by name.
    """
    family = family or resolve(given, Mode.TRAINING, env)
    config = given.in_environment(family.spec.name, family.spec.kinds, family.spec.defaults)
    return Prepared(with_frames(config, frames, family), family)


def prepare_again(config: TrainConfig, *, frames: int | None = None, env: "MakeEnv | None" = None) -> Prepared:
    """Finds the environments of a run's own configuration, which is complete, with a new length if there is one."""
    family = resolve(config, Mode.TRAINING, env)
    return Prepared(with_frames(config, frames, family), family)


def with_frames(config: TrainConfig, frames: int | None, family: EnvFamily) -> TrainConfig:
    """Returns the configuration with `total_steps` set from a number of frames, if there is one."""
    if frames is None:
        return config
    if frames < family.spec.frames_per_step:
        least = family.spec.frames_per_step
        raise ConfigError(f"--frames is {frames}, but it must be at least {least}: that is one agent step.")
    return dataclasses.replace(config, total_steps=frames // family.spec.frames_per_step)
