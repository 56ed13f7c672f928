"""Behaviour of complete settings: their checks, and reading and writing them."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from a3crs.errors import ConfigError, did_you_mean, listed
from a3crs.presets import preset_values
from a3crs.setting import Only, checked, defaults_of, public_name


@dataclass(frozen=True, kw_only=True)
class CompleteSettings:
    """Parent of `RunConfig`, whose fields are the settings."""

    def __post_init__(self) -> None:
        for f in fields(self):
            object.__setattr__(self, f.name, checked(f, getattr(self, f.name)))
        for f in fields(self):
            refuse_unread(f, vars(self))

    @classmethod
    def from_mapping(cls, settings: Mapping[str, Any]) -> Self:
        """Reads a config.json's names and values; a setting unknown to an older run has its usual default."""
        return cls(**by_field(cls, settings))

    def changed(self, **settings: Any) -> Self:
        """Returns a copy in which these settings have other values."""
        return dataclasses.replace(self, **settings)

    def to_mapping(self) -> dict[str, Any]:
        """Returns all settings by their public names."""
        return {public_name(f): getattr(self, f.name) for f in fields(self)}

    def to_json(self) -> str:
        """Returns all settings as config.json has them."""
        return json.dumps(self.to_mapping(), indent=2) + "\n"

    def core_json(self) -> str:
        """Returns the settings that the core reads; the others are about making environments, Python's business."""
        core = [f for f in fields(self) if f.metadata["core"]]
        return json.dumps({public_name(f): getattr(self, f.name) for f in core})


def counts(f: "dataclasses.Field[Any]", values: Mapping[str, Any]) -> bool:
    """Returns true where the chosen method, network, optimizer or place reads the setting."""
    only: Only | None = f.metadata["only"]
    return only is None or values[only.what] in only.names


def refuse_unread(f: "dataclasses.Field[Any]", values: Mapping[str, Any]) -> None:
    """Raises ConfigError where nothing that was chosen reads the setting, and it has no default's value.

    `values`: settings by their fields' names; where those that choose are not among them yet, nothing is refused.
    """
    only: Only | None = f.metadata["only"]
    if only is None or only.what not in values or counts(f, values):
        return
    if values[f.name] in defaults_of(f) + preset_values(public_name(f)):  # as a run of another method has it
        return
    raise ConfigError(
        f"{public_name(f)} is {values[f.name]!r}, but {only.what} {values[only.what]} does not use it, only "
        f"{listed(only.names)}: leave it out."
    )


def by_field(complete: type[CompleteSettings], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns settings with public names, as in a file, by the names of their fields.

    ConfigError for a name that is no setting's, and without an environment.
    """
    names = {public_name(f): f.name for f in fields(complete)}
    for name in settings:
        if name not in names:
            raise unknown_setting(complete, name)
    if "env" not in settings:
        raise ConfigError("The environment is missing: name one, for instance with --env Pong.")
    return {names[name]: value for name, value in settings.items()}


# What others call them: Stable-Baselines3, CleanRL, RLlib.
ALIASES = {
    "activation_fn": "activation",
    "adam_epsilon": "adam_eps",
    "anneal_lr": "lr_schedule",
    "batch_size": "minibatch_steps",
    "beta1": "adam_beta1",
    "beta2": "adam_beta2",
    "betas": "adam_beta1 or adam_beta2",
    "clip_coef": "clip_range",
    "clip_param": "clip_range",
    "clip_range_vf": "value_clip_range",
    "clip_reward": "reward_clip",
    "clip_vloss": "value_clip_range",
    "ent_coef": "entropy_beta",
    "entropy_coeff": "entropy_beta",
    "eps": "adam_eps or rms_eps",
    "epsilon": "adam_eps or rms_eps",
    "gae_lambda": "lambda",
    "grad_clip": "max_grad_norm",
    "learning_rate": "lr",
    "lr_decay": "lr_schedule",
    "minibatch_size": "minibatch_steps",
    "n_envs": "actors",
    "n_epochs": "epochs",
    "n_steps": "t_max",
    "net_arch": "hidden",
    "norm_adv": "normalize_advantage",
    "norm_obs": "normalize_obs",
    "norm_reward": "reward_scale",
    "normalize_reward": "reward_scale",
    "num_epochs": "epochs",
    "num_env_runners": "actors",
    "num_envs": "actors",
    "num_minibatches": "minibatch_steps",
    "num_sgd_iter": "epochs",
    "num_steps": "t_max",
    "num_workers": "actors",
    "opt_eps": "adam_eps or rms_eps",
    "ortho_init": "init",
    "policy_kwargs": "hidden",
    "rms_prop_eps": "rms_eps",
    "rollout_fragment_length": "t_max",
    "sgd_minibatch_size": "minibatch_steps",
    "total_timesteps": "total_steps",
    "update_epochs": "epochs",
    "vf_clip_param": "value_clip_range",
    "vf_coef": "value_coef",
    "vf_loss_coeff": "value_coef",
    "warmup_steps": "lr_warmup_steps",
}


def unknown_setting(complete: type[CompleteSettings], name: str) -> ConfigError:
    """Returns the error for a name that is no setting's, with the nearest that are."""
    known = [public_name(f) for f in fields(complete)]
    hint = f" (did you mean {ALIASES[name]}?)" if name in ALIASES else did_you_mean(name, known)
    return ConfigError(f"There is no setting {name!r}{hint}.")
