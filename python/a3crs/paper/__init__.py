"""Experiments of the paper's tables and figures: the table `EXPERIMENTS`, which `a3crs paper` runs and draws.

An experiment is a sweep with the paper's settings. Its results are shown beside the paper's own numbers, from
`a3crs.published.paper`.
"""

from typing import Any

from a3crs.lazy import attribute

__all__ = ["EXPERIMENTS", "Scale", "experiment", "plan_of", "present", "run_experiment"]

_MODULES = {"EXPERIMENTS": "experiments", "experiment": "experiments", "Scale": "scale", "plan_of": "scale"}
_MODULES |= {"present": "page", "run_experiment": "running"}


def __getattr__(name: str) -> Any:
    return attribute("a3crs.paper", _MODULES, name)
