"""Row of the table of environments: everything that a3crs knows of a domain, without loading its code.

A new domain is one file in `domains/` and one line in `TABLE` there. A program adds its own row with `register`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

from a3crs.errors import ConfigError

if TYPE_CHECKING:  # these imports load NumPy or Gymnasium
    from a3crs.config import RunConfig
    from a3crs.envs.family import EnvFamily
    from a3crs.envs.spec import Mode

    MakeFamily = Callable[[RunConfig, Mode], EnvFamily | None]


@dataclass(frozen=True)
class Default:
    """Default of a setting in one domain, with its source."""

    value: Any
    source: str
    discrete_only: bool = False  # with continuous actions the setting keeps its general default


@dataclass(frozen=True, kw_only=True)
class Domain:
    """Environments that are named, made and installed in the same way.

    `entry_point` is a function or, as in Gymnasium, the text `module:function`, which is imported when an environment
    of the domain is made. It takes the settings and the mode, and returns the family of environments. It returns None
    where the domain has no environment of that name; the next matching rows are tried then.
    """

    name: str
    about: str  # its line in `a3crs list envs`
    matches: Callable[[str], bool]  # gets the value of `--env`
    entry_point: "str | MakeFamily"
    names: Callable[[], Iterable[str]] | None = None  # suggestions for misspelled names; None: the domain's own name
    install: str = ""  # the command; empty where a3crs has all dependencies
    defaults: Mapping[str, Default] = field(default_factory=dict)  # by the settings' public names
    threaded: tuple[str, ...] = ()  # prefixes of modules whose environments are faster in threads than in processes

    def family(self, config: "RunConfig", mode: "Mode") -> "EnvFamily | None":
        """Returns the family of environments that `config.env` names; None where the domain has none."""
        make = self.entry_point
        if isinstance(make, str):
            module, _, function = make.partition(":")
            make = getattr(import_module(module), function)
        return make(config, mode)

    def known_names(self) -> Iterable[str]:
        """Lists the names that are suggested where a name is misspelled."""
        return [self.name] if self.names is None else self.names()

    def defaults_with(self, *, continuous: bool) -> dict[str, Any]:
        """Returns the domain's own defaults for discrete or continuous actions."""
        return {name: d.value for name, d in self.defaults.items() if not (continuous and d.discrete_only)}


def named(name: str, env_id: str) -> Callable[[str], bool]:
    """Returns a predicate that accepts the name in any capitals, or the exact Gymnasium id."""
    return lambda given: given == env_id or given.lower() == name.lower()


_rows: list[Domain] = []


def fill(table: Iterable[Domain]) -> None:
    """Appends a3crs's own rows, at import."""
    _rows.extend(table)


def register(row: Domain) -> None:
    """Adds a domain of the calling program; its names are looked up before all others.

    Raises ConfigError where a domain of that name exists.
    """
    if any(row.name.lower() == other.name.lower() for other in _rows):
        raise ConfigError(f"There is a domain {row.name!r} already: register yours under another name.")
    _rows.insert(0, row)


def unregister(name: str) -> None:
    """Removes a domain that was added with `register`; raises ConfigError where none has that name."""
    row = next((row for row in _rows if row.name == name), None)
    if row is None:
        raise ConfigError(f"There is no domain {name!r} to remove.")
    _rows.remove(row)


def rows() -> tuple[Domain, ...]:
    """Returns all domains, in the order in which a name is looked up."""
    return tuple(_rows)


def runs_in_threads(module: str) -> bool:
    """Returns True for a module whose environments are known to be faster in threads than in processes."""
    return module.startswith(tuple(prefix for row in _rows for prefix in row.threaded))
