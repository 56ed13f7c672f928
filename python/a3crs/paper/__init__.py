"""The paper's tables and figures as experiments: `EXPERIMENTS` says what each runs, `a3crs paper` runs and draws them.

An experiment is a sweep with the paper's settings; what it came to is set beside the paper's own numbers, which
`a3crs.published.paper` has.
"""

from typing import Any

from a3crs.lazy import attribute

__all__ = ["EXPERIMENTS", "Scale", "experiment", "plan_of", "present", "run_experiment"]

_MODULES = {"EXPERIMENTS": "experiments", "experiment": "experiments", "Scale": "scale", "plan_of": "scale"}
_MODULES |= {"present": "page", "run_experiment": "running"}


def __getattr__(name: str) -> Any:
    return attribute("a3crs.paper", _MODULES, name)
