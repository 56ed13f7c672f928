"""Sweeps: many runs whose settings are drawn from distributions, each with several seeds.

An engine only has to call `run_trial(directory)`, in any process and as often as it likes. `results(directory)`
returns the results as a Polars frame.
"""

from typing import Any

from a3crs.lazy import attribute

__all__ = ["LocalEngine", "Plan", "by_draw", "results", "run_sweep", "run_trial"]

_MODULES = {"LocalEngine": "engine", "Plan": "plan", "by_draw": "outcome", "results": "outcome"}
_MODULES |= {"run_sweep": "sweep", "run_trial": "trial"}


def __getattr__(name: str) -> Any:
    return attribute("a3crs.sweep", _MODULES, name)
