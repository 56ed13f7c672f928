"""Behaviour of given settings: a part of all, which is merged, refused or completed for an environment."""

import inspect
from collections.abc import Collection, Mapping
from copy import copy
from dataclasses import Field, fields
from types import MappingProxyType
from typing import Any, Generic, Self, TypeVar

from a3crs.complete import CompleteSettings, by_field, counts, refuse_unread, unknown_setting
from a3crs.errors import ConfigError
from a3crs.presets import PAPER, Preset, chosen, may_set
from a3crs.setting import Kind, checked, default_of, public_name

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
        by_name = {f.name: f for f in fields(self.complete_type)}
        self._given = {name: checked(by_name[name], value) for name, value in named.items()}
        known = {name: default_of(f) for name, f in by_name.items() if name != "env"} | self._given
        for chooser in may_set(known["algo"]) - self._given.keys():
            known.pop(chooser, None)  # a preset may choose it, once the environment is known
        for name in named:
            refuse_unread(by_name[name], known)

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
        """Returns complete settings with defaults of no particular environment: those of Atari games, the paper's.

        A setting that counts with a preset's choice alone, like Adam's epsilon, is left out.
        """
        settings = fields(self.complete_type)
        usual = {f.name: default_of(f) for f in settings if f.name != "env"} | self._given
        return self.complete_type(**{f.name: usual[f.name] for f in settings if counts(f, usual)})

    def complete(
        self, name: str, kinds: Collection[Kind], domains: Mapping[str, Any] = MappingProxyType({})
    ) -> Complete:
        """Returns the settings of a run in the environment of this name and these kinds.

        A setting that was not given has its domain's default, else that of the preset, else that of the kinds; a whole
        preset comes before the domain in what concerns the method. ConfigError, with the environment's name, where one
        was given that does not count there.
        """
        settings = fields(self.complete_type)
        for unknown in domains.keys() - {public_name(f) for f in settings}:
            raise unknown_setting(self.complete_type, unknown)
        usual = {f.name: default_of(f, kinds) for f in settings}
        preset = _preset(usual | self._given, name, kinds)
        values: dict[str, Any] = {}
        for f in settings:
            default = _default(f, kinds, domains, preset)
            value = values[f.name] = self._given.get(f.name, default)
            lacking = [kind for kind in f.metadata["kinds"] if kind not in kinds]
            if lacking and value != default:
                raise ConfigError(f"{public_name(f)} is {value!r}, but {name} {lacking[0].value}: leave it out.")
        values["preset"] = PAPER if preset is None else preset.name
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


def _preset(values: Mapping[str, Any], name: str, kinds: Collection[Kind]) -> Preset | None:
    """Returns the preset of these settings; ConfigError where it is not made for the method or the environment."""
    preset = chosen(values["preset"], values["algo"], kinds)
    if preset is not None and not preset.fits(values["algo"], kinds):
        raise ConfigError(
            f"preset is {preset.name!r}, which is for {preset.about}, but this is {values['algo']} on {name}: leave it "
            "out."
        )
    return preset


def _default(f: "Field[Any]", kinds: Collection[Kind], domains: Mapping[str, Any], preset: Preset | None) -> Any:
    """Returns the default of a setting. A domain knows its environments, a whole preset its method."""
    name = public_name(f)
    of_preset = {} if preset is None or name not in preset.values else {name: preset.values[name].value}
    is_the_methods = preset is not None and preset.is_whole and f.metadata["group"] not in ("Environment", "Run")
    first, second = (of_preset, domains) if is_the_methods else (domains, of_preset)
    return copy(first.get(name, second.get(name, default_of(f, kinds))))
