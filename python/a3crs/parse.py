"""Parser of settings in files and on the command line."""

import dataclasses
import json
import tomllib
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, get_origin

from a3crs.config import RunConfig, no_setting
from a3crs.errors import ConfigError
from a3crs.setting import number_and_words, public_name


def read_settings(path: Path) -> dict[str, Any]:
    """Returns the settings in a TOML or JSON file, such as a run's config.json."""
    try:
        text = path.read_text(encoding="utf-8-sig")  # editors on Windows may put a byte order mark first
    except (OSError, UnicodeDecodeError) as e:
        reason = e.strerror if isinstance(e, OSError) else "it is not text"
        raise ConfigError(f"The settings file {path} cannot be read: {reason}.") from e
    try:
        settings = json.loads(text, object_pairs_hook=_unique) if path.suffix == ".json" else tomllib.loads(text)
    except (ValueError, RecursionError) as e:
        kind = "JSON" if path.suffix == ".json" else "TOML"
        raise ConfigError(f"The settings file {path} is not valid {kind}: {e}.") from e
    if not isinstance(settings, dict):
        raise ConfigError(f"The settings file {path} must hold names with values, like lr = 0.0007.")
    return settings


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Raises ValueError for a name that is given twice, which JSON allows; TOML refuses it by itself."""
    settings = dict(pairs)
    if len(settings) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)} is given twice")
    return settings


def split_assignment(assignment: str) -> tuple[str, str]:
    """Splits `t-max=20` into ("t_max", "20")."""
    name, equals, text = assignment.partition("=")
    if not equals:
        raise ConfigError(f"--set takes name=value, for instance --set lr=1e-3, but got {assignment!r}.")
    return name.strip().replace("-", "_"), text.strip()


def parse_assignment(assignment: str) -> tuple[str, Any]:
    """Parses `lr=1e-3` to ("lr", 0.001), with the setting's type."""
    name, text = split_assignment(assignment)
    return name, parse_setting(name, text)


def parse_setting(name: str, text: str) -> Any:
    """Parses `lr`, "1e-3" to 0.001. The settings' own checks find values that are not numbers but of a wrong type."""
    by_name = {public_name(f): f for f in dataclasses.fields(RunConfig)}
    if name not in by_name:
        raise no_setting(name)
    kind, words = number_and_words(by_name[name])
    if kind is str or text in words or get_origin(kind) is list:
        return text
    if kind is int:
        return parse_count(text, what=name, words=words)
    if kind is float:
        try:
            return float(text)
        except ValueError:
            raise ConfigError(f"{name} is {text!r}, but it must be {' or '.join(['a number', *words])}.") from None
    return parse_json(text)


def parse_kwargs(assignments: list[str]) -> dict[str, Any]:
    """Parses `["goal=0.4", "map=4x4"]` to {"goal": 0.4, "map": "4x4"}: values are JSON where possible, else text."""
    kwargs = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals or not name.strip().isidentifier():
            raise ConfigError(
                f"--env-kwargs takes name=value, for instance --env-kwargs gravity=-5, not {assignment!r}."
            )
        kwargs[name.strip()] = parse_json(text.strip())
    return kwargs


def parse_json(text: str) -> Any:
    """Returns the parsed JSON, or the text itself where it is not JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def parse_count(text: str, *, what: str, words: Sequence[str] = ()) -> int:
    """Parses a whole number with units: `80000000`, `80_000_000`, `80M`, `2.5M`, `4k`, `1e6`, `1G`.

    Raises ConfigError for any other text; its message also names the accepted `words`.
    """
    units = {"k": 10**3, "m": 10**6, "g": 10**9, "b": 10**9}
    body, unit = (text[:-1], units[text[-1].lower()]) if text[-1:].lower() in units else (text, 1)
    try:
        count = Decimal(body) * unit
        if count == count.to_integral_value():
            return int(count)
    except ArithmeticError:
        pass
    wanted = " or ".join(["a whole number, like 80000000, 80M, 4k or 1e6", *words])
    raise ConfigError(f"{what} is {text!r}, but it must be {wanted}.")
