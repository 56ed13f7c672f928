"""Conversion of an agent's action, an integer from 0 on or an unbounded vector, to an environment's action space."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.spaces import Space
from numpy.typing import NDArray

from a3crs.envs.spec import Continuous, Discrete
from a3crs.errors import ConfigError

MAX_COMBINED_ACTIONS = 4096
MAX_DIMS = 64

Converter = Callable[[Any], Any]


def agents_actions(name: str, space: Space[Any]) -> tuple[Discrete | Continuous, Converter]:
    """Returns the agent's action space for an environment's `space`, and the conversion of an action to it.

    - Discrete: the actions count from the space's `start`.
    - MultiDiscrete, MultiBinary: all combinations; the last component changes fastest.
    - Box: a vector. In a dimension with two bounds, -1 and 1 stand for the bounds, and values beyond are clipped to
      them. A dimension without bounds is unchanged. With one bound, the environment's unit is kept: -1 stands for a
      lower bound, 1 for an upper one.

    Raises ConfigError, naming the space, for any other space.
    """
    if isinstance(space, spaces.Box):
        return _continuous(name, space)
    if isinstance(space, spaces.Discrete):
        start = int(space.start)
        return Discrete(int(space.n)), lambda number: start + number
    if isinstance(space, spaces.MultiDiscrete):
        return _combinations(name, space, np.asarray(space.nvec), np.asarray(space.start))
    if isinstance(space, spaces.MultiBinary):
        return _combinations(name, space, np.full(space.shape, 2), np.zeros(space.shape, int))
    raise ConfigError(f"{name} has the action space {space}; a3crs needs Box, Discrete, MultiDiscrete or MultiBinary.")


def _combinations(name: str, space: Space[Any], sizes: Any, start: Any) -> tuple[Discrete, Converter]:
    count = math.prod(int(size) for size in sizes.flat)  # exact, where NumPy's product would overflow
    if count > MAX_COMBINED_ACTIONS:
        raise ConfigError(
            f"{name} has the action space {space}, which is {count:,} combinations; a3crs gives each an output of its "
            f"own, and up to {MAX_COMBINED_ACTIONS:,}."
        )
    digits = np.stack(np.unravel_index(np.arange(count), sizes.reshape(-1)), axis=1)
    table = (digits.reshape(count, *sizes.shape) + start).astype(space.dtype)
    return Discrete(count), lambda number: table[number].copy()  # a copy, because the environment may keep or change it


def _continuous(name: str, space: spaces.Box) -> tuple[Continuous, Converter]:
    dims = math.prod(space.shape)
    if not np.issubdtype(space.dtype, np.floating):
        raise ConfigError(
            f"{name} has the action space {space}, whose numbers are whole; a3crs needs a Box of floats, or Discrete, "
            "MultiDiscrete or MultiBinary."
        )
    if not 1 <= dims <= MAX_DIMS:
        raise ConfigError(
            f"{name} has the action space {space}, which has {dims} dimensions; a3crs takes 1 to {MAX_DIMS}."
        )
    dtype = space.dtype
    low, high = _bound(space.low), _bound(space.high)
    origin, unit = _coordinates(low, high)

    def action(vector: tuple[float, ...]) -> Any:
        clipped = np.minimum(np.maximum(origin + unit * np.array(vector), low), high)
        return clipped.astype(dtype).reshape(space.shape)

    return Continuous(dims, clipped=bool(np.isfinite(low).all() and np.isfinite(high).all())), action


def _bound(bound: NDArray[Any]) -> NDArray[np.float64]:
    """Returns a flat bound; a type's largest number, which some spaces use for "unbounded", becomes infinite too."""
    flat = bound.reshape(-1).astype(np.float64)
    return np.where(np.abs(flat) < np.finfo(bound.dtype).max, flat, np.copysign(np.inf, flat))


def _coordinates(low: NDArray[Any], high: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Returns the environment's values of the policy's 0 and of its unit, for each dimension."""
    origin, unit = np.zeros_like(low), np.ones_like(low)
    below, above = np.isfinite(low), np.isfinite(high)
    both = below & above
    origin[below], origin[above] = low[below] + 1, high[above] - 1
    origin[both] = low[both] / 2 + high[both] / 2
    unit[both] = high[both] / 2 - low[both] / 2
    return origin, unit
