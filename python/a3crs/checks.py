"""Checks of the settings' values; each returns None for a valid value, else a phrase that says what it must be."""

import json
import math
import re
from collections.abc import Callable
from typing import Any

from a3crs import _core

FLOAT32_MAX = 3.4e38  # the core computes in single precision
Check = Callable[[Any], str | None]  # None for a valid value, else what it must be


def choices(kind: str) -> list[str]:
    """Returns the names in the core's catalogue of `algos`, `nets` or `optimizers`."""
    return [entry["name"] for entry in _core.catalogue()[kind]]


def one_of(*names: str) -> Check:
    """Returns the check that the value is one of these names."""
    words = names[0] if len(names) == 1 else f"one of {', '.join(names)}"
    return lambda value: None if value in names else words


def in_catalogue(kind: str) -> Check:
    """Returns the check that the value is a name in the core's catalogue of `algos`, `nets` or `optimizers`."""
    return one_of(*choices(kind))


def in_range(low: float, high: float = math.inf) -> Check:
    """Returns the check that low <= value <= high, and that it is finite in single precision."""
    words = f"at least {low:g}" if high == math.inf else f"between {low:g} and {high:g}"
    return lambda value: _finite(value, words) if low <= value <= high else words


def above(low: float) -> Check:
    """Returns the check that value > low, and that it is finite in single precision."""
    return lambda value: _finite(value, f"above {low:g}") if value > low else f"above {low:g}"


def _finite(value: float, words: str) -> str | None:
    return None if value <= FLOAT32_MAX else f"{words} and at most {FLOAT32_MAX:g}"


def whatever(value: Any) -> None:
    """Accepts every value of the right type."""


def size(value: str) -> str | None:
    """Checks that the value is empty, or height x width in pixels."""
    return None if re.fullmatch(r"([1-9]\d{0,3}x[1-9]\d{0,3})?", value) else "height x width in pixels, like 84x84"


def savable(value: Any) -> str | None:
    """Checks that config.json can hold the value."""
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return "something that JSON can hold"
    return None


def decay(value: float) -> str | None:
    """Checks the decay of a running mean, 0 <= value < 1: with 1 the mean would never change."""
    return None if 0 <= value < 1 else "at least 0 and below 1"
