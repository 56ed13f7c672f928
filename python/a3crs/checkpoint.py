"""Checkpoint files: an agent saved in a single file, and parameters by name."""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save

from a3crs import _core
from a3crs.config import RunConfig
from a3crs.errors import CheckpointError
from a3crs.files import replacing

CONFIG = "config"  # key of an agent's settings in the file's metadata
THETA = "theta."


def save_agent(checkpoint: Path, config: RunConfig, path: Path) -> None:
    """Writes a copy of a checkpoint that contains the settings, so that the file alone is enough to resume from."""
    with safe_open(checkpoint, framework="numpy") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # it is no dict
        metadata = file.metadata() | {CONFIG: config.to_json()}
    with replacing(path) as temporary:
        temporary.write_bytes(save(tensors, metadata))


def saved_config(path: Path) -> RunConfig:
    """Returns the settings in a file that `save_agent` has written; CheckpointError where there are none."""
    _core.read_checkpoint(str(path))  # raises CheckpointError for any other file
    with safe_open(path, framework="numpy") as file:
        config = file.metadata().get(CONFIG)
    if config is None:
        raise CheckpointError(
            f"{path} is a checkpoint without settings: name the run it belongs to, or a file written by Agent.save."
        )
    return RunConfig.from_mapping(json.loads(config))


def parameters(path: Path) -> dict[str, NDArray[np.float32]]:
    """Returns the tensors of theta in canonical shapes, by their names: `conv1.weight`, `policy.bias`, ..."""
    with safe_open(path, framework="numpy") as file:
        return {n.removeprefix(THETA): file.get_tensor(n) for n in file.keys() if n.startswith(THETA)}  # noqa: SIM118
