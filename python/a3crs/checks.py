"""What the value of a setting must be."""

import json
import math
import re
from collections.abc import Callable
from typing import Any

from a3crs import _core

FLOAT32_MAX = 3.4e38  # what the core computes with
Check = Callable[[Any], str | None]  # None where the value is right, else what it must be


def choices(kind: str) -> list[str]:
    """The names in the core's catalogue of `algos`, `nets` or `optimizers`."""
    return [entry["name"] for entry in _core.catalogue()[kind]]


def one_of(*names: str) -> Check:
    """The value is one of these names."""
    words = names[0] if len(names) == 1 else f"one of {', '.join(names)}"
    return lambda value: None if value in names else words


def in_catalogue(kind: str) -> Check:
    """The value is a name in the core's catalogue of `algos`, `nets` or `optimizers`."""
    return one_of(*choices(kind))


def in_range(low: float, high: float = math.inf) -> Check:
    """low <= value <= high, and finite in single precision."""
    words = f"at least {low:g}" if high == math.inf else f"between {low:g} and {high:g}"
    return lambda value: _finite(value, words) if low <= value <= high else words


def above(low: float) -> Check:
    """value > low, and finite in single precision."""
    return lambda value: _finite(value, f"above {low:g}") if value > low else f"above {low:g}"


def _finite(value: float, words: str) -> str | None:
    return None if value <= FLOAT32_MAX else f"{words} and at most {FLOAT32_MAX:g}"


def whatever(value: Any) -> None:
    """Every value of the right type."""


def size(value: str) -> str | None:
    """Empty, or height x width in pixels."""
    return None if re.fullmatch(r"([1-9]\d{0,3}x[1-9]\d{0,3})?", value) else "height x width in pixels, like 84x84"


def savable(value: Any) -> str | None:
    """config.json can hold it."""
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return "something that JSON can hold"
    return None


def decay(value: float) -> str | None:
    """The share of a running mean that stays: with 1 it would never move."""
    return None if 0 <= value < 1 else "at least 0 and below 1"
