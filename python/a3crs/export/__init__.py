"""Exports of agents and runs: parameters as safetensors, the network as ONNX, logs for TensorBoard."""

from pathlib import Path

import numpy as np

from a3crs.agent import Agent
from a3crs.checkpoint import parameters
from a3crs.errors import ConfigError
from a3crs.files import replacing
from a3crs.rundir.names import step_name

FORMATS = ("safetensors", "onnx", "tensorboard")
MISSING = "--format {format} needs packages that are not installed: pip install 'a3crs[export]'."


def export(agent: Agent, kind: str, out: Path | None = None) -> str:
    """Writes the agent's parameters, its network, or its run's logs; returns a sentence with the path and the accuracy.

    `out` is a file, for tensorboard a folder; the default is in the run's directory. Raises ConfigError for another
    format, and where a package is missing; RunError where nothing can be written.
    """
    if kind not in FORMATS:
        raise ConfigError(f"--format is {kind!r}, but it must be one of {', '.join(FORMATS)}.")
    try:
        if kind == "tensorboard":
            from a3crs.export.tensorboard import write_events

            return write_events(agent, out)
        path = out or default_path(agent, kind)
        if kind == "onnx":
            from a3crs.export.onnx import write_model

            return write_model(agent, path)
    except ImportError as e:
        raise ConfigError(MISSING.format(format=kind)) from e
    return write_parameters(agent, path)


def default_path(agent: Agent, suffix: str) -> Path:
    """Returns a path in the agent's run, named after its steps; in the working directory for an agent without a run."""
    return Path(step_name(agent.steps, suffix)) if agent.run is None else agent.run.export(agent.steps, suffix)


def write_parameters(agent: Agent, path: Path) -> str:
    """Writes theta's tensors by name, such as `conv1.weight` (outputs, inputs, height, width), in PyTorch's layout.

    Where observations are normalised, the file also has `observations.mean` and `observations.inverse_deviation`. Its
    metadata then has the `limit` to which normalised observations are clipped.
    """
    from safetensors.numpy import save

    theta = parameters(agent.learned())
    about = {"env": agent.config.env, "algo": agent.config.algo, "net": agent.config.net}
    scale = agent.describe()["scale"]
    tensors = dict(theta)
    if scale is not None:
        about["limit"] = str(scale["limit"])
        for name in ("mean", "inverse_deviation"):
            tensors[f"observations.{name}"] = np.asarray(scale[name], np.float32)
    with replacing(path) as temporary:
        temporary.write_bytes(save(tensors, about))
    return f"{path}: {sum(tensor.size for tensor in theta.values()):,} parameters in {len(theta)} tensors"
