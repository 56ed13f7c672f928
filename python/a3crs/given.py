"""Behaviour of a configuration: which settings were given, completing the others, and reading and writing them."""

import dataclasses
import json
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any, Self

from a3crs.errors import ConfigError, did_you_mean, listed
from a3crs.setting import Kind, Only, default_of, defaults_of, number_and_words, public_name, typed, wrong


class Configuration:
    """Parent of `TrainConfig`, whose fields are the settings.

    It remembers which settings were given: the others take the defaults of the environment's kinds (`in_environment`).
    For `dataclasses.replace` all are given; `changed` keeps the difference.
    """

    def __new__(cls, **given: Any) -> Self:
        config = super().__new__(cls)
        object.__setattr__(config, "_given", frozenset(given))
        return config

    def __post_init__(self) -> None:
        for f in _fields(self):
            value = typed(f, getattr(self, f.name))
            words = number_and_words(f)[1]
            wanted = None if value in words else wrong(f, value)
            if wanted is not None:
                raise ConfigError(f"{public_name(f)} is {value!r}, but it must be {' or '.join([wanted, *words])}.")
            object.__setattr__(self, f.name, value)
        for f in _fields(self):
            if not self._counts(f) and getattr(self, f.name) not in defaults_of(f):
                only: Only = f.metadata["only"]
                raise ConfigError(
                    f"{public_name(f)} is {getattr(self, f.name)!r}, but {only.what} {getattr(self, only.what)} does "
                    f"not use it, only {listed(only.names)}: leave it out."
                )

    def _counts(self, f: "dataclasses.Field[Any]") -> bool:
        only: Only | None = f.metadata["only"]
        return only is None or getattr(self, only.what) in only.names

    @property
    def given(self) -> frozenset[str]:
        """The names of the fields that do not merely have their default."""
        names: frozenset[str] = self.__dict__["_given"]
        return names

    def changed(self, **settings: Any) -> Self:
        """With these settings given too."""
        return type(self)(**{name: getattr(self, name) for name in self.given} | settings)

    def in_environment(
        self, name: str, kinds: Collection[Kind], domains: Mapping[str, Any] = MappingProxyType({})
    ) -> Self:
        """Complete: what was not given has its domain's default, else that of an environment of these kinds.

        ConfigError, with the environment's name, where something was given that does not count there.
        """
        for unknown in domains.keys() - self.to_mapping().keys():
            raise unknown_setting(type(self), unknown)
        defaults: dict[str, Any] = {}
        for f in _fields(self):
            lacking = [kind for kind in f.metadata["kinds"] if kind not in kinds]
            default = domains.get(public_name(f), default_of(f, kinds))
            if f.name not in self.given:
                defaults |= {f.name: default} if self._counts(f) else {}
            elif lacking and getattr(self, f.name) != default:
                value = getattr(self, f.name)
                raise ConfigError(f"{public_name(f)} is {value!r}, but {name} {lacking[0].value}: leave it out.")
        return _replaced(self, defaults)

    @classmethod
    def from_mapping(cls, settings: Mapping[str, Any]) -> Self:
        """From public names to values, as in a settings file; missing names take their defaults."""
        by_name = {public_name(f): f.name for f in _fields(cls)}
        for name in settings:
            if name not in by_name:
                raise unknown_setting(cls, name)
        if "env" not in settings:
            raise ConfigError("The environment is missing: name one, for instance with --env Pong.")
        return cls(**{by_name[name]: value for name, value in settings.items()})

    def to_mapping(self) -> dict[str, Any]:
        """All settings by their public names, complete."""
        return {public_name(f): getattr(self, f.name) for f in _fields(self)}

    def to_json(self) -> str:
        """The complete settings, as config.json has them."""
        return json.dumps(self.to_mapping(), indent=2) + "\n"

    def core_json(self) -> str:
        """The settings the core reads; the others are about making environments, which is Python's business."""
        core = [f for f in _fields(self) if f.metadata["core"]]
        return json.dumps({public_name(f): getattr(self, f.name) for f in core})


def _fields(config: Any) -> "tuple[dataclasses.Field[Any], ...]":
    return dataclasses.fields(config)


def _replaced(config: Any, changes: dict[str, Any]) -> Any:
    return dataclasses.replace(config, **changes)


# What others call them.
ALIASES = {
    "batch_size": "t_max",
    "ent_coef": "entropy_beta",
    "gae_lambda": "lambda",
    "learning_rate": "lr",
    "n_envs": "actors",
    "n_steps": "t_max",
    "num_envs": "actors",
    "num_workers": "actors",
    "rms_prop_eps": "rms_eps",
    "total_timesteps": "total_steps",
    "vf_coef": "value_coef",
}


def unknown_setting(config: Any, name: str) -> ConfigError:
    """The error for a name that is none of a configuration's settings, with the nearest that are."""
    known = [public_name(f) for f in _fields(config)]
    hint = f" (did you mean {ALIASES[name]}?)" if name in ALIASES else did_you_mean(name, known)
    return ConfigError(f"There is no setting {name!r}{hint}.")
