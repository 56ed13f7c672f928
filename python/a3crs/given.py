"""Behaviour of given settings: a part of all, which is merged, refused or completed for an environment."""

import inspect
from collections.abc import Collection, Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any, Generic, Self, TypeVar

from a3crs.complete import CompleteSettings, by_field, counts, unknown_setting
from a3crs.errors import ConfigError
from a3crs.setting import Kind, default_of, public_name

Complete = TypeVar("Complete", bound=CompleteSettings)


class GivenSettings(Generic[Complete]):
    """Parent of `TrainConfig`: the settings that a person has given, `env` among them, and no others.

    A setting that was given is an attribute; one that was not has no value before its environment is known.
    """

    __slots__ = ("_given",)
    complete_type: type[Complete]

    def __init_subclass__(cls) -> None:
        cls.__signature__ = inspect.signature(cls.complete_type)  # type: ignore[attr-defined]  # for help and notebooks

    def __init__(self, **settings: Any) -> None:
        named = by_field(self.complete_type, {name.rstrip("_"): value for name, value in settings.items()})
        usual = self.complete_type(**named)  # refuses wrong values, and those that the method given does not use
        self._given = {name: getattr(usual, name) for name in named}

    @classmethod
    def from_mapping(cls, settings: Mapping[str, Any]) -> Self:
        """Takes public names and values, as in a settings file."""
        return cls(**by_field(cls.complete_type, settings))

    def to_mapping(self) -> dict[str, Any]:
        """Returns the given settings by their public names."""
        return {public_name(f): self._given[f.name] for f in fields(self.complete_type) if f.name in self._given}

    def changed(self, **settings: Any) -> Self:
        """Returns a copy in which these settings are given too; they win over those of before."""
        return type(self)(**self._given | settings)

    def with_usual_defaults(self) -> Complete:
        """Returns complete settings with defaults of no particular environment: those of Atari games, the paper's."""
        return self.complete_type(**self._given)

    def complete(
        self, name: str, kinds: Collection[Kind], domains: Mapping[str, Any] = MappingProxyType({})
    ) -> Complete:
        """Returns the settings of a run in the environment of this name and these kinds.

        A setting that was not given has its domain's default, else that of the kinds. ConfigError, with the
        environment's name, where one was given that does not count there.
        """
        settings = fields(self.complete_type)
        for unknown in domains.keys() - {public_name(f) for f in settings}:
            raise unknown_setting(self.complete_type, unknown)
        values: dict[str, Any] = {}
        for f in settings:
            default = domains.get(public_name(f), default_of(f, kinds))
            value = values[f.name] = self._given.get(f.name, default)
            lacking = [kind for kind in f.metadata["kinds"] if kind not in kinds]
            if lacking and value != default:
                raise ConfigError(f"{public_name(f)} is {value!r}, but {name} {lacking[0].value}: leave it out.")
        # Neither a domain nor a kind has a say in a setting that nothing reads: it keeps its usual default.
        read = {f.name for f in settings if counts(f, values)}
        return self.complete_type(**{name: value for name, value in values.items() if name in read | set(self._given)})

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and name in self._given:  # `_given` itself is looked up here while unpickling
            return self._given[name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}, or that setting was not given.")

    def __eq__(self, other: object) -> bool:
        return self.to_mapping() == other.to_mapping() if isinstance(other, type(self)) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # arguments of an environment can be changed

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self._given.items())
        return f"{type(self).__name__}({given})"
