"""Settings as people write them, in files and on the command line."""

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
    """The settings in a TOML or JSON file; a run's own config.json is one."""
    try:
        text = path.read_text(encoding="utf-8-sig")  # Windows' editors put a mark first
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
    """What JSON allows and nobody means: a name given twice. TOML refuses that by itself."""
    settings = dict(pairs)
    if len(settings) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)} is given twice")
    return settings


def split_assignment(assignment: str) -> tuple[str, str]:
    """`t-max=20` -> ("t_max", "20")."""
    name, equals, text = assignment.partition("=")
    if not equals:
        raise ConfigError(f"--set takes name=value, for instance --set lr=1e-3, but got {assignment!r}.")
    return name.strip().replace("-", "_"), text.strip()


def parse_assignment(assignment: str) -> tuple[str, Any]:
    """`lr=1e-3` -> ("lr", 0.001), typed as the setting is."""
    name, text = split_assignment(assignment)
    return name, parse_setting(name, text)


def parse_setting(name: str, text: str) -> Any:
    """`lr`, "1e-3" -> 0.001; whether it is of the right type is found out with all the others where it is no number."""
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
    """`["goal=0.4", "map=4x4"]` -> {"goal": 0.4, "map": "4x4"}: values are JSON where they can be, else text."""
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
    """What the text is in JSON, or the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def parse_count(text: str, *, what: str, words: Sequence[str] = ()) -> int:
    """A whole number the way people write big ones: `80000000`, `80_000_000`, `80M`, `2.5M`, `4k`, `1e6`, `1G`.

    ConfigError, which names the `words` that are allowed too, for any other text.
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
