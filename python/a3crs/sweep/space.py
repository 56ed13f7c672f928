"""Distributions of settings and their notation: `loguniform:1e-4:1e-2`, `uniform:0:1`, `choice:a3c,n-step-q`.

A grid is not drawn: every one of its values is run. It is written `grid:a3c,n-step-q`, in a settings file as a list.
"""

import dataclasses
import itertools
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from a3crs.config import RunConfig, no_setting
from a3crs.errors import ConfigError
from a3crs.parse import parse_setting, read_settings
from a3crs.setting import number_and_words, public_name

FORMS = "loguniform:low:high, uniform:low:high, choice:a,b,c or grid:a,b,c"
GRID = "grid:"


@dataclass(frozen=True)
class Uniform:
    """Uniform distribution of all numbers, or all whole numbers, from low to high."""

    low: float
    high: float
    whole: bool = False

    def at(self, u: float) -> float:
        """Returns the u-quantile; 0 <= u < 1."""
        if self.whole:
            return int(self.low) + int(u * (int(self.high) - int(self.low) + 1))
        return min(self.low + u * (self.high - self.low), self.high)


@dataclass(frozen=True)
class LogUniform:
    """Log-uniform distribution from low to high: the paper draws learning rates from one (section 5.1)."""

    low: float
    high: float
    whole: bool = False

    def at(self, u: float) -> float:
        """Returns the u-quantile; 0 <= u < 1."""
        value: float = min(max(self.low * (self.high / self.low) ** u, self.low), self.high)
        return round(value) if self.whole else value


@dataclass(frozen=True)
class Choice:
    """Uniform distribution of some values."""

    values: Sequence[Any]

    def at(self, u: float) -> Any:
        """Returns the value whose equal part of 0 <= u < 1 contains u."""
        return self.values[int(u * len(self.values))]


Distribution: TypeAlias = Uniform | LogUniform | Choice


def is_distribution(value: Any) -> bool:
    """Returns True for the text of a distribution."""
    return isinstance(value, str) and re.match("(uniform|loguniform|choice):", value) is not None


def parse_value(name: str, text: str) -> Any:
    """Returns a setting's value, a distribution's text unchanged, or a grid's list; ConfigError for any other text."""
    if text.startswith(GRID):
        words = [word.strip() for word in text.removeprefix(GRID).split(",")]
        if not all(words):
            raise ConfigError(f"{name} is {text!r}, but it must be grid:a,b,c, with a value between commas.")
        return [parse_setting(name, word) for word in words]
    if is_distribution(text):
        parse_distribution(name, text)
        return text
    kind, named = number_and_words(_setting(name))
    if kind in (int, float) and ":" in text and text not in named:
        raise ConfigError(f"{name} is {text!r}, but a distribution is written {FORMS}.")
    return parse_setting(name, text)


def parse_distribution(name: str, text: str) -> Distribution:
    """Parses `lr`, "loguniform:1e-4:1e-2" to LogUniform(1e-4, 1e-2), with the setting's type."""
    form, _, rest = text.partition(":")
    if form == "choice":
        return Choice([parse_setting(name, word.strip()) for word in rest.split(",")])
    if form not in ("uniform", "loguniform"):
        raise ConfigError(f"{name} is {text!r}, but a distribution is written {FORMS}.")
    kind = number_and_words(_setting(name))[0]
    bounds = [parse_setting(name, bound) for bound in rest.split(":")]
    if kind not in (int, float) or len(bounds) != 2 or any(isinstance(bound, str) for bound in bounds):
        wanted = f"{form}:low:high, with two numbers" if kind in (int, float) else "choice:a,b,c"
        raise ConfigError(f"{name} is {text!r}, but it must be {wanted}.")
    low, high = bounds
    if not low < high < float("inf") or (form == "loguniform" and low <= 0):
        wanted = "0 < low < high" if form == "loguniform" else "low < high"
        raise ConfigError(f"{name} is {text!r}, but its bounds must have {wanted}.")
    return (Uniform if form == "uniform" else LogUniform)(low, high, kind is int)


def read_space(file: Path) -> dict[str, Any]:
    """Returns the settings of a file, in which text may be a distribution or a grid."""
    settings = read_settings(file)
    grids = {name: text for name, text in settings.items() if isinstance(text, str) and text.startswith(GRID)}
    return settings | {name: parse_value(name, text) for name, text in grids.items()}


def draw(settings: Mapping[str, Any], seed: int, number: int) -> dict[str, Any]:
    """Returns draw `number` of each setting that has a distribution.

    A value depends only on the seed, the number and the setting's name: neither more draws nor further distributions
    change it.
    """
    return {
        name: parse_distribution(name, text).at(random.Random(f"{seed} {number} {name}").random())
        for name, text in settings.items()
        if is_distribution(text)
    }


def cells(settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns every combination of the values of the settings that have a list of them; `[{}]` where none has."""
    grids = {name: values for name, values in settings.items() if isinstance(values, list)}
    for name, values in grids.items():
        if not values:
            raise ConfigError(f"{name} is an empty list: give it at least one value.")
        twice = next((value for place, value in enumerate(values) if value in values[:place]), None)
        if twice is not None:
            raise ConfigError(f"{name} has {twice!r} twice among its values: leave out one.")
    return [dict(zip(grids, values, strict=True)) for values in itertools.product(*grids.values())]


def _setting(name: str) -> "dataclasses.Field[Any]":
    by_name = {public_name(f): f for f in dataclasses.fields(RunConfig)}
    if name not in by_name:
        raise no_setting(name)
    return by_name[name]
