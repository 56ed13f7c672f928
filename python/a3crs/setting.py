"""What is known of a setting: its source, what it must be, where it counts, and its default there."""

import dataclasses
import math
import sys
from collections.abc import Collection
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Union, get_args, get_origin

from a3crs import _core
from a3crs.checks import Check
from a3crs.errors import ConfigError


@dataclass(frozen=True)
class Only:
    """A setting counts for these methods or optimizers alone: `what` is the setting that chooses among them."""

    what: str
    names: frozenset[str]


def read_by(what: str, name: str) -> Only:
    """The methods (`what` is "algo") or optimizers (`what` is "optimizer") whose catalogue entry lists a setting."""
    entries = _core.catalogue()[f"{what}s"]
    return Only(what, frozenset(entry["name"] for entry in entries if name in entry["settings"]))


class Kind(Enum):
    """What an environment is, where a setting's default depends on it or the setting counts for no other.

    The value says of an environment that it is not so.
    """

    ATARI = "is no Atari game"
    GYMNASIUM = "is an Atari game"
    IMAGES = "shows no images"
    VECTORS = "shows no vectors"
    CONTINUOUS = "has no continuous actions"
    CLIPPED = "clips no actions"


def about(
    what: str,
    source: str,
    check: Check,
    only: Only | None = None,
    *,
    group: str,
    kinds: tuple[Kind, ...] = (),
    core: bool = True,
    **elsewhere: Any,
) -> dict[str, Any]:
    """Metadata of a setting: `continuous=`, for instance, is its default where actions are continuous.

    `what` is its meaning in a few words, `group` its panel in `--help`. It counts for environments of all `kinds`;
    settings that the core does not read are about making environments.
    """
    known = {"what": what, "source": source, "check": check, "only": only}
    known |= {"group": group, "kinds": kinds, "core": core}
    return known | {"elsewhere": {Kind[kind.upper()]: other for kind, other in elsewhere.items()}}


def setting(default: Any, *known: Any, **more: Any) -> Any:
    """Field with this default and metadata as in `about`."""
    return field(default=default, metadata=about(*known, **more))


def public_name(f: "dataclasses.Field[Any]") -> str:
    """`lambda_` is called `lambda` everywhere but in Python, where that is a keyword."""
    return f.name.rstrip("_")


def default_of(f: "dataclasses.Field[Any]", kinds: Collection[Kind] = ()) -> Any:
    """In an environment of these kinds; a new one where it could be changed."""
    for kind, other in f.metadata["elsewhere"].items():
        if kind in kinds:
            return other
    return f.default if f.default_factory is dataclasses.MISSING else f.default_factory()


def defaults_of(f: "dataclasses.Field[Any]") -> list[Any]:
    """All that it has somewhere."""
    return [default_of(f), *f.metadata["elsewhere"].values()]


def number_and_words(f: "dataclasses.Field[Any]") -> tuple[Any, tuple[str, ...]]:
    """`(int, ("episode",))` of a setting that is a number or the word; a type and no words of the others."""
    if get_origin(f.type) is not Union:
        return f.type, ()
    kind, words = get_args(f.type)
    return kind, get_args(words)


def typed(f: "dataclasses.Field[Any]", value: Any) -> Any:
    """The value if it has the setting's type; a whole number is welcome where a float is wanted."""
    kind, words = number_and_words(f)
    if type(value) is str and value in words:
        return value
    if kind is float and type(value) is int:
        return float(value) if abs(value) < sys.float_info.max else math.inf if value > 0 else -math.inf
    if get_origin(kind) is list:
        return _integers(f, value)
    kind = get_origin(kind) or kind
    if type(value) is not kind:
        names = {
            int: "a whole number",
            float: "a number",
            str: "text",
            bool: "true or false",
            dict: "names with values",
        }
        wanted = " or ".join([names[kind], *words])
        raise ConfigError(f"{public_name(f)} is {value!r}, but it must be {wanted}.")
    return value


def _integers(f: "dataclasses.Field[Any]", value: Any) -> list[int]:
    """List of whole numbers; one alone is a list of one, and the words of a command line are separated by commas."""
    items = value.split(",") if type(value) is str else [value] if type(value) is int else value
    try:
        if type(items) is not list or any(type(item) not in (int, str) for item in items):
            raise ValueError
        return [int(item) for item in items]
    except ValueError:
        raise ConfigError(
            f"{public_name(f)} is {value!r}, but it must be whole numbers separated by commas, like 64,64."
        ) from None


def wrong(f: "dataclasses.Field[Any]", value: Any) -> str | None:
    """What the value must be, if it is not so; of a list each element."""
    items = value if type(value) is list else [value]
    return next((wanted for item in items if (wanted := f.metadata["check"](item)) is not None), None)


def checked(f: "dataclasses.Field[Any]", value: Any) -> Any:
    """Returns the value as the setting has it; ConfigError where the type or the value is wrong."""
    value = typed(f, value)
    words = number_and_words(f)[1]
    wanted = None if value in words else wrong(f, value)
    if wanted is not None:
        raise ConfigError(f"{public_name(f)} is {value!r}, but it must be {' or '.join([wanted, *words])}.")
    return value
