"""a3crs: asynchronous advantage actor-critic (Mnih et al. 2016) on CPU threads, with a Rust core.

The command line is `a3crs --help`. From Python: `a3crs.Agent`, or `a3crs.train`, `a3crs.resume` and `a3crs.evaluate`,
their settings `a3crs.TrainConfig`, and `a3crs.runlog` to read what a run has written. Importing this package loads
nothing else; the rest is imported when it is first asked for.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from a3crs import bench, doctor, envs, errors, runlog
    from a3crs.agent import Agent
    from a3crs.config import TrainConfig
    from a3crs.evaluation import evaluate
    from a3crs.training import resume, train

    __version__: str

__all__ = [
    "Agent",
    "TrainConfig",
    "__version__",
    "bench",
    "doctor",
    "envs",
    "errors",
    "evaluate",
    "resume",
    "runlog",
    "train",
]

_IN_MODULES = {"Agent": "agent", "TrainConfig": "config", "evaluate": "evaluation", "resume": "training"}
_IN_MODULES |= {"train": "training"}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return version("a3crs")
    if name in _IN_MODULES:
        return getattr(import_module(f"a3crs.{_IN_MODULES[name]}"), name)
    if name in __all__:
        return import_module(f"a3crs.{name}")
    raise AttributeError(f"module 'a3crs' has no attribute {name!r}")
