"""Presets: the defaults known to be best for a method and a kind of environment, a row each.

A setting that is not given has the default of its domain, else that of the preset, else the setting's own. `auto`
chooses the first row that is made for the method and the environment; `paper` leaves all to the paper.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from a3crs.setting import Kind

AUTO, PAPER = "auto", "paper"


@dataclass(frozen=True)
class Value:
    """Default of one setting, with its source: a publication, or the sweep that found it."""

    value: Any
    source: str


@dataclass(frozen=True)
class Preset:
    """Row of the table: defaults of some methods in environments of some kinds."""

    name: str
    about: str
    algos: frozenset[str]
    kinds: frozenset[Kind]  # all of them
    others: frozenset[Kind]  # none of them
    values: Mapping[str, Value]  # by the settings' public names
    is_automatic: bool = True  # False: only where it is asked for
    is_whole: bool = False  # True: its settings of the method, network and optimizer go before a domain's

    def fits(self, algo: str, kinds: Collection[Kind]) -> bool:
        """Returns true where the preset is made for the method in environments of these kinds."""
        return algo in self.algos and self.kinds <= set(kinds) and not self.others & set(kinds)


def _row(
    name: str,
    about: str,
    algos: Iterable[str],
    values: Mapping[str, tuple[Any, str]],
    *,
    kinds: Iterable[Kind] = (),
    others: Iterable[Kind] = (),
    is_automatic: bool = True,
) -> Preset:
    rows = {setting: Value(*value) for setting, value in values.items()}
    # A domain chose its t_max, say, for the paper's methods; ppo's and a2c's settings go together.
    is_whole = not {"ppo", "a2c"}.isdisjoint(algos)
    return Preset(name, about, frozenset(algos), frozenset(kinds), frozenset(others), rows, is_automatic, is_whole)


_SCALED = {
    "reward_scale": ("running", "sweep over vectors: rewards of any size become alike"),
    "reward_clip": (10.0, "VecNormalize of Stable-Baselines3"),
}
_RMS = {"rms_eps": (1e-3, "sweep over vectors: with 0.1 steps are too small to learn in minutes")}
_ADAM = {
    "optimizer": ("shared-adam", "Schulman et al. 2017, table 3"),
    "init": ("orthogonal", "Andrychowicz et al. 2021, section 3.2"),
    "max_grad_norm": (0.5, "the code of Schulman et al. 2017"),
    "lambda": (0.95, "Schulman et al. 2017, table 3"),
}
_TANH = {
    "hidden": ([64, 64], "Schulman et al. 2017, section 6.1"),
    "activation": ("tanh", "Schulman et al. 2017, section 6.1"),
}

_A3C = {
    "actors": (8, "sweep over vectors"),
    "total_steps": (1_000_000, "sweep over vectors: LunarLander is solved by then"),
    "t_max": (20, "sweep over vectors"),
    "lambda": (0.95, "sweep over vectors"),
    "gamma": (0.995, "sweep over vectors: LunarLander's episodes have 1000 steps"),
    "entropy_beta": (1e-3, "sweep over vectors"),
}

TABLE = (
    _row(
        "ppo-images",
        "ppo on images",
        ["ppo"],
        _ADAM
        | {
            "t_max": (128, "Schulman et al. 2017, table 5"),
            "lr": (4e-4, "sweep on Pong"),
            "minibatch_steps": (32, "sweep on Pong: learns faster than 16, 64 and 256"),
            "epochs": (3, "Schulman et al. 2017, table 5"),
            "clip_range": (0.1, "Schulman et al. 2017, table 5"),
            "entropy_beta": (0.01, "Schulman et al. 2017, table 5"),
        },
        kinds=[Kind.IMAGES],
    ),
    _row(
        "ppo-continuous",
        "ppo on vectors with continuous actions",
        ["ppo"],
        _ADAM
        | _TANH
        | _SCALED
        | {
            "total_steps": (1_000_000, "Schulman et al. 2017, section 6.1"),
            "t_max": (256, "chosen, not compared on its own"),
            "lr": (1e-3, "chosen on Pendulum"),
            "epochs": (10, "Schulman et al. 2017, table 3"),
            "minibatch_steps": (64, "Schulman et al. 2017, table 3"),
            "entropy_beta": (0.0, "Schulman et al. 2017, section 6.1"),
            "normalize_obs": (True, "the code of Schulman et al. 2017"),
        },
        kinds=[Kind.VECTORS, Kind.CONTINUOUS],
    ),
    _row(
        "ppo-vectors",
        "ppo on vectors with discrete actions",
        ["ppo"],
        _ADAM
        | _TANH
        | _SCALED
        | {
            "actors": (8, "Schulman et al. 2017, table 5"),
            "total_steps": (1_000_000, "sweep over vectors: LunarLander is solved by then"),
            "t_max": (32, "sweep over vectors"),
            "lr": (1e-3, "sweep over vectors: 2e-3 is as good on CartPole"),
            "epochs": (10, "Schulman et al. 2017, table 3"),
            "gamma": (0.999, "sweep over vectors: LunarLander's episodes have 1000 steps"),
            "lambda": (0.98, "sweep over vectors"),
            "entropy_beta": (0.01, "Schulman et al. 2017, table 5"),
            "normalize_obs": (True, "sweep over vectors: without, LunarLander is not solved"),
        },
        kinds=[Kind.VECTORS],
        others=[Kind.CONTINUOUS],
    ),
    _row(
        "a2c-images",
        "a2c on images",
        ["a2c"],
        {
            "init": ("orthogonal", "rl-baselines3-zoo, a2c.yml"),
            "rms_eps": (1e-5, "rl-baselines3-zoo, a2c.yml"),
            "max_grad_norm": (0.5, "a2c of Stable-Baselines3"),
        },
        kinds=[Kind.IMAGES],
    ),
    _row(
        "a2c-continuous",
        "a2c on vectors with continuous actions",
        ["a2c"],
        _ADAM
        | _TANH
        | _SCALED
        | {
            "lr": (1e-3, "chosen, not compared; Pendulum is not learned"),
            "entropy_beta": (0.0, "rl-baselines3-zoo, a2c.yml"),
        },
        kinds=[Kind.VECTORS, Kind.CONTINUOUS],
    ),
    _row(
        "a2c-vectors",
        "a2c on vectors with discrete actions",
        ["a2c"],
        _ADAM
        | _TANH
        | _SCALED
        | _A3C
        | {
            "lr": (2e-3, "sweep over CartPole"),
            "normalize_obs": (False, "chosen, not compared: that of a3c-vectors"),
        },
        kinds=[Kind.VECTORS],
        others=[Kind.CONTINUOUS],
    ),
    _row(
        "a3c-vectors",
        "a3c on vectors with discrete actions",
        ["a3c"],
        _SCALED
        | _RMS
        | _A3C
        | {
            "lr": (2e-3, "sweep over vectors"),
            "max_grad_norm": (0.0, "sweep over vectors: 40 clips nearly every update at first"),
            "normalize_obs": (False, "sweep over vectors: Acrobot is not learned with it, CartPole as fast without"),
        },
        kinds=[Kind.VECTORS],
        others=[Kind.CONTINUOUS],
    ),
    _row(
        "a3c-images",
        "a3c on images, faster at the start than the paper's settings",
        ["a3c"],
        {"rms_eps": (1e-3, "one run of Pong: -12.9 after 9M frames, the paper's best three -19 after 10M")},
        kinds=[Kind.IMAGES],
        is_automatic=False,  # on Atari games --algo a3c is the paper's
    ),
    _row(
        "q-vectors",
        "the Q methods on vectors with discrete actions",
        ["one-step-q", "one-step-sarsa", "n-step-q"],
        _SCALED
        | _RMS
        | {
            "actors": (8, "chosen, not compared"),
            "total_steps": (1_000_000, "chosen, not compared"),
            "target_interval_steps": (1_000, "chosen, not compared"),
            "explore_anneal_steps": (100_000, "chosen, not compared"),
            "max_grad_norm": (0.0, "sweep over vectors: 40 clips nearly every update at first"),
            "normalize_obs": (False, "chosen, not compared: that of a3c-vectors"),
        },
        kinds=[Kind.VECTORS],
        others=[Kind.CONTINUOUS],
    ),
)

NAMES = (AUTO, PAPER, *(row.name for row in TABLE))


def chosen(name: str, algo: str, kinds: Collection[Kind]) -> Preset | None:
    """Returns the row of that name, or for `auto` the first that fits; None where the paper's settings remain."""
    if name == AUTO:
        return next((row for row in TABLE if row.is_automatic and row.fits(algo, kinds)), None)
    return next((row for row in TABLE if row.name == name), None)


def may_set(algo: str) -> frozenset[str]:
    """Returns the names of the settings that some preset for the method sets."""
    return frozenset(name for row in TABLE if algo in row.algos for name in row.values)


def preset_values(name: str) -> list[Any]:
    """Returns the values that presets give a setting of that public name."""
    return [row.values[name].value for row in TABLE if name in row.values]
