"""The settings of a training run: the only home of defaults, each with its source.

[P] is the paper (Mnih et al. 2016, arXiv 1602.01783v2); [E] is what its authors wrote in e-mails that others quoted,
used where the paper is silent. A settings file, a flag and a log column all use the same names.
"""

import dataclasses
import json
import math
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from a3crs import _core
from a3crs.errors import ConfigError, did_you_mean, listed

Check = Callable[[Any], str | None]  # None where the value is right, else what it must be


def choices(kind: str) -> list[str]:
    """The names in the core's catalogue of `algos`, `nets` or `optimizers`."""
    return [entry["name"] for entry in _core.catalogue()[kind]]


def one_of(*names: str) -> Check:
    """The value is one of these names."""
    words = names[0] if len(names) == 1 else f"one of {', '.join(names)}"
    return lambda value: None if value in names else words


def in_catalogue(kind: str) -> Check:
    """The value is a name in the core's catalogue of `algos`, `nets` or `optimizers`."""
    return one_of(*choices(kind))


def in_range(low: float, high: float = math.inf) -> Check:
    """low <= value <= high, and finite."""
    words = f"at least {low:g}" if high == math.inf else f"between {low:g} and {high:g}"
    return lambda value: None if low <= value <= high and math.isfinite(value) else words


def above(low: float) -> Check:
    """value > low, and finite."""
    return lambda value: None if value > low and math.isfinite(value) else f"above {low:g}"


def decay(value: float) -> str | None:
    """The share of a running mean that stays: with 1 it would never move."""
    return None if 0 <= value < 1 else "at least 0 and below 1"


@dataclass(frozen=True)
class Only:
    """A setting counts for these methods or optimizers alone: `what` is the setting that chooses among them."""

    what: str
    names: frozenset[str]


ACTOR_CRITIC = Only("algo", frozenset({"a3c"}))
VALUE_BASED = Only("algo", frozenset({"one-step-q", "one-step-sarsa", "n-step-q"}))
MOMENTUM = Only("optimizer", frozenset({"momentum-sgd"}))
RMSPROP = Only("optimizer", frozenset({"rmsprop", "shared-rmsprop"}))


def _setting(default: Any, source: str, check: Check, only: Only | None = None) -> Any:
    return field(default=default, metadata={"source": source, "check": check, "only": only})


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Everything that decides how a run learns. Immutable; a wrong value raises ConfigError."""

    env: str = field(
        metadata={
            "source": "the name of the environment",
            "check": lambda name: None if name else "a name",
            "only": None,
        }
    )
    protocol: str = _setting(
        "atari2016",
        "the rules of Atari games: atari2016 is the paper's setting, ale-v5 that of Machado et al. 2018",
        one_of("atari2016", "ale-v5"),
    )
    algo: str = _setting(
        "a3c",
        "[P] sections 4 and 5: of the four methods, the one that did best",
        in_catalogue("algos"),
    )
    net: str = _setting("ff", "[P] section 8: 16@8x8/4, 32@4x4/2, 256, policy and value heads", in_catalogue("nets"))
    optimizer: str = _setting(
        "shared-rmsprop",
        "[P] section 7: one g shared by all threads",
        in_catalogue("optimizers"),
    )
    actors: int = _setting(16, "[P] section 8: 16 actor-learner threads", in_range(1, 1024))
    segments_at_once: int = _setting(
        0,
        "not in the paper, whose cores were as many as its actors: so many segments are in flight, the other actors "
        "wait their turn; 0 is one a core for Atari, whose actors share a core with their emulators, else two a core",
        in_range(0, 1024),
    )
    total_steps: int = _setting(
        80_000_000, "[E] T_max of the one-day runs, 320M frames: agent steps of all actors together", in_range(1, 2**53)
    )
    t_max: int = _setting(5, "[P] section 8: an update after every 5 actions", in_range(1, 1000))
    gamma: float = _setting(0.99, "[P] section 8: discount", in_range(0, 1))
    lambda_: float = _setting(
        1.0, "[P] 1 is the n-step return of Algorithm S3; below 1, lambda-returns", in_range(0, 1), ACTOR_CRITIC
    )
    entropy_beta: float = _setting(
        0.01, "[P] section 8: weight of the entropy, for Atari and TORCS", in_range(0), ACTOR_CRITIC
    )
    value_coef: float = _setting(0.5, "[E] multiplies the gradient of (R - V)^2", in_range(0), ACTOR_CRITIC)
    lr: float = _setting(
        7e-4, "[E] initial learning rate; annealed to 0 over the run ([P] section 8), linearly", above(0)
    )
    momentum: float = _setting(
        0.9, "not in the paper, which gives no number: alpha of momentum SGD (section 7)", decay, MOMENTUM
    )
    rms_decay: float = _setting(0.99, "[P] section 8: RMSProp's alpha", decay, RMSPROP)
    rms_eps: float = _setting(0.1, "[E] the number; [P] equation S3: inside the square root", above(0), RMSPROP)
    max_grad_norm: float = _setting(
        40.0, "[E] the L2 norm above which a gradient is scaled down; 0 leaves it as it is", in_range(0)
    )
    reward_clip: float = _setting(1.0, "[E] training rewards are clipped to [-1, 1]; 0 leaves them raw", in_range(0))
    target_interval_steps: int = _setting(
        10_000,
        "[P] section 8: the target network of the Q methods is renewed every 40,000 frames",
        in_range(1, 2**53),
        VALUE_BASED,
    )
    explore_anneal_steps: int = _setting(
        1_000_000,
        "[P] section 8: the Q methods anneal their exploration over 4M frames",
        in_range(0, 2**53),
        VALUE_BASED,
    )
    seed: int = _setting(0, "of the initial parameters, the policies and the games", in_range(0, 2**63 - 1))
    checkpoint_secs: float = _setting(300.0, "seconds between checkpoints", in_range(0.001, 1e9))
    keep_checkpoints: int = _setting(3, "how many of the newest checkpoints stay on disk", in_range(1, 1e6))

    def __post_init__(self) -> None:
        for f in dataclasses.fields(self):
            value = _typed(f, getattr(self, f.name))
            wanted = f.metadata["check"](value)
            if wanted is not None:
                raise ConfigError(f"{public_name(f)} is {value!r}, but it must be {wanted}.")
            object.__setattr__(self, f.name, value)
        for f in dataclasses.fields(self):
            self._refuse_what_does_not_count(f)

    def _refuse_what_does_not_count(self, f: "dataclasses.Field[Any]") -> None:
        only: Only | None = f.metadata["only"]
        if only is None or getattr(self, only.what) in only.names or getattr(self, f.name) == f.default:
            return
        raise ConfigError(
            f"{public_name(f)} is {getattr(self, f.name)!r}, but {only.what} {getattr(self, only.what)} does not use "
            f"it, only {listed(only.names)}: leave it out."
        )

    @classmethod
    def from_mapping(cls, settings: Mapping[str, Any]) -> "TrainConfig":
        """From public names to values, as in a settings file; missing names take their defaults."""
        by_name = {public_name(f): f.name for f in dataclasses.fields(cls)}
        for name in settings:
            if name not in by_name:
                raise ConfigError(f"There is no setting {name!r}{did_you_mean(name, by_name)}.")
        if "env" not in settings:
            raise ConfigError("The environment is missing: name one, for instance with --env Pong.")
        return cls(**{by_name[name]: value for name, value in settings.items()})

    def to_mapping(self) -> dict[str, Any]:
        """All settings by their public names, complete."""
        return {public_name(f): getattr(self, f.name) for f in dataclasses.fields(self)}

    def to_json(self) -> str:
        """The complete settings, as the core and config.json have them."""
        return json.dumps(self.to_mapping(), indent=2) + "\n"


def public_name(f: "dataclasses.Field[Any]") -> str:
    """`lambda_` is called `lambda` everywhere but in Python, where that is a keyword."""
    return f.name.rstrip("_")


def read_settings(path: Path) -> dict[str, Any]:
    """The settings in a TOML or JSON file; a run's own config.json is one."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as e:
        reason = e.strerror if isinstance(e, OSError) else "it is not text"
        raise ConfigError(f"The settings file {path} cannot be read: {reason}.") from e
    try:
        settings = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except ValueError as e:
        kind = "JSON" if path.suffix == ".json" else "TOML"
        raise ConfigError(f"The settings file {path} is not valid {kind}: {e}.") from e
    if not isinstance(settings, dict):
        raise ConfigError(f"The settings file {path} must hold names with values, like lr = 0.0007.")
    return settings


def parse_assignment(assignment: str) -> tuple[str, Any]:
    """`lr=1e-3` -> ("lr", 0.001), typed as the setting is."""
    name, equals, text = assignment.partition("=")
    name = name.strip().replace("-", "_")
    if not equals:
        raise ConfigError(f"--set takes name=value, for instance --set lr=1e-3, but got {assignment!r}.")
    by_name = {public_name(f): f for f in dataclasses.fields(TrainConfig)}
    if name not in by_name:
        raise ConfigError(f"There is no setting {name!r}{did_you_mean(name, by_name)}.")
    kind, text = by_name[name].type, text.strip()
    if kind is int:
        return name, parse_count(text, what=name)
    if kind is float:
        try:
            return name, float(text)
        except ValueError:
            raise ConfigError(f"{name} is {text!r}, but it must be a number.") from None
    return name, text


def parse_count(text: str, *, what: str) -> int:
    """A whole number the way people write big ones: `80000000`, `80_000_000`, `80M`, `2.5M`, `4k`, `1e6`, `1G`."""
    units = {"k": 10**3, "m": 10**6, "g": 10**9, "b": 10**9}
    body, unit = (text[:-1], units[text[-1].lower()]) if text[-1:].lower() in units else (text, 1)
    try:
        count = Decimal(body) * unit
        if count == count.to_integral_value():
            return int(count)
    except ArithmeticError:
        pass
    raise ConfigError(f"{what} is {text!r}, but it must be a whole number, like 80000000, 80M, 4k or 1e6.")


def _typed(f: "dataclasses.Field[Any]", value: Any) -> Any:
    """The value if it has the setting's type; a whole number is welcome where a float is wanted."""
    if f.type is float and type(value) is int:
        return float(value)
    if type(value) is not f.type:
        words = {int: "a whole number", float: "a number", str: "text"}[f.type]  # type: ignore[index]
        raise ConfigError(f"{public_name(f)} is {value!r}, but it must be {words}.")
    return value
