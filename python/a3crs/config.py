"""The settings of a training run: the only home of defaults, each with its source.

[P] is the paper (Mnih et al. 2016, arXiv 1602.01783v2); [E] is what its authors wrote in e-mails that others quoted,
used where the paper is silent. A settings file, a flag and a log column all use the same names.
"""

import dataclasses
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, Self

from a3crs.checks import above, decay, in_catalogue, in_range, one_of, savable, size, whatever
from a3crs.errors import ConfigError, did_you_mean, listed
from a3crs.setting import Kind, Only, about, default_of, defaults_of, number_and_words, public_name, setting, typed

ACTOR_CRITIC = Only("algo", frozenset({"a3c"}))
VALUE_BASED = Only("algo", frozenset({"one-step-q", "one-step-sarsa", "n-step-q"}))
MOMENTUM = Only("optimizer", frozenset({"momentum-sgd"}))
RMSPROP = Only("optimizer", frozenset({"rmsprop", "shared-rmsprop"}))
PROCESSES = Only("env_workers", frozenset({"auto", "process"}))


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Everything that decides how a run learns. Immutable; a wrong value raises ConfigError.

    It remembers which settings were given: the others take the defaults of the environment's kinds (`in_environment`).
    For `dataclasses.replace` all are given; `changed` keeps the difference.
    """

    env: str = field(metadata=about("the name of the environment", lambda name: None if name else "a name"))
    protocol: str = setting(
        "atari2016",
        "the rules of Atari games: atari2016 is the paper's setting, ale-v5 that of Machado et al. 2018",
        one_of("atari2016", "ale-v5", "none"),
        kinds=(Kind.ATARI,),
        gymnasium="none",
    )
    env_kwargs: dict[str, Any] = field(
        default_factory=dict,
        metadata=about("arguments a Gymnasium environment is made with", savable, kinds=(Kind.GYMNASIUM,), core=False),
    )
    pixels: bool = setting(
        False,
        "[P] section 9 learns some tasks from pixels: a Gymnasium environment's rendered images are observed",
        whatever,
        kinds=(Kind.GYMNASIUM,),
        core=False,
    )
    resize: str = setting(
        "",
        "Gymnasium's images are resized to height x width, like 84x84 in [P] section 8; empty leaves them as they are",
        size,
        kinds=(Kind.GYMNASIUM, Kind.IMAGES),
        core=False,
    )
    grayscale: bool = setting(
        False, "Gymnasium's colour images become grey", whatever, kinds=(Kind.GYMNASIUM, Kind.IMAGES), core=False
    )
    frame_stack: int = setting(
        1,
        "so many of a Gymnasium environment's last observations are seen at once; Atari games have their protocol's 4",
        in_range(1, 64),
        kinds=(Kind.GYMNASIUM,),
        core=False,
    )
    env_workers: str = setting(
        "auto",
        "not in the paper: Gymnasium environments run in the actors' threads or in a process each; auto is a process, "
        "but a thread for those known to be faster in one",
        one_of("auto", "thread", "process"),
        kinds=(Kind.GYMNASIUM,),
        core=False,
    )
    env_timeout_secs: float = setting(
        60.0,
        "a worker process that has not answered for so long is restarted",
        above(0),
        PROCESSES,
        kinds=(Kind.GYMNASIUM,),
        core=False,
    )
    env_restarts: int = setting(
        10,
        "so often is an actor's worker process restarted before the run ends",
        in_range(0, 1e6),
        PROCESSES,
        kinds=(Kind.GYMNASIUM,),
        core=False,
    )
    algo: str = setting(
        "a3c",
        "[P] sections 4 and 5: of the four methods, the one that did best",
        in_catalogue("algos"),
    )
    net: str = setting("ff", "[P] section 8: 16@8x8/4, 32@4x4/2, 256, policy and value heads", in_catalogue("nets"))
    optimizer: str = setting(
        "shared-rmsprop",
        "[P] section 7: one g shared by all threads",
        in_catalogue("optimizers"),
    )
    gaussian: str = setting(
        "diagonal",
        "a sigma for each dimension that no state changes is the usual modern choice; [P] section 9 has spherical: "
        "one sigma^2, softplus of a linear layer",
        one_of("diagonal", "spherical"),
        ACTOR_CRITIC,
        kinds=(Kind.CONTINUOUS,),
    )
    bound_coef: float = setting(
        0.0,
        "not in the paper: weight of the squares by which the policy's means lie beyond -1 and 1, where actions are "
        "clipped; too far out, all actions are alike and nothing brings a mean back",
        in_range(0),
        ACTOR_CRITIC,
        kinds=(Kind.CLIPPED,),
        clipped=1e-3,
    )
    actors: int = setting(
        16,
        "[P] section 8: 16 actor-learner threads; fewer where actions are continuous",
        in_range(1, 1024),
        continuous=8,
    )
    deterministic: bool = setting(
        False,
        "not in the paper: updates come in a fixed order, so that the same settings give the same run, bit for bit, on "
        "every machine with the same instruction set",
        whatever,
    )
    segments_at_once: int = setting(
        0,
        "not in the paper, whose cores were as many as its actors: so many segments are in flight, the other actors "
        "wait their turn; 0 is one a core for Atari, whose actors share a core with their emulators, all of them where "
        "environments run in processes, else two a core; 4 where the run is deterministic",
        in_range(0, 1024),
    )
    total_steps: int = setting(
        80_000_000,
        "[E] T_max of the one-day runs, 320M frames: agent steps of all actors together",
        in_range(1, 2**53),
        continuous=10_000_000,
    )
    t_max: int | Literal["episode"] = setting(
        5,
        "[P] section 8: an update after every 5 actions; section 9: episode, after every whole one, without "
        "bootstrapping. Where actions are continuous, longer segments were found to learn faster",
        in_range(1, 1000),
        continuous=32,
    )
    gamma: float = setting(0.99, "[P] section 8: discount", in_range(0, 1))
    lambda_: float = setting(
        1.0,
        "[P] 1 is the n-step return of Algorithm S3; below 1, lambda-returns. Tuned for continuous actions",
        in_range(0, 1),
        ACTOR_CRITIC,
        continuous=0.9,
    )
    entropy_beta: float = setting(
        0.01,
        "[P] weight of the entropy: section 8 for Atari and TORCS, section 9 for continuous actions",
        in_range(0),
        ACTOR_CRITIC,
        continuous=1e-4,
    )
    value_coef: float = setting(0.5, "[E] multiplies the gradient of (R - V)^2", in_range(0), ACTOR_CRITIC)
    lr: float = setting(
        7e-4,
        "[E] initial learning rate; annealed to 0 over the run ([P] section 8), linearly. Tuned for continuous actions",
        above(0),
        continuous=1e-3,
    )
    momentum: float = setting(
        0.9, "not in the paper, which gives no number: alpha of momentum SGD (section 7)", decay, MOMENTUM
    )
    rms_decay: float = setting(0.99, "[P] section 8: RMSProp's alpha", decay, RMSPROP)
    rms_eps: float = setting(
        0.1,
        "[E] the number; [P] equation S3: inside the square root. Tuned for continuous actions",
        above(0),
        RMSPROP,
        continuous=1e-3,
    )
    max_grad_norm: float = setting(
        40.0,
        "[E] the L2 norm above which a gradient is scaled down; 0 leaves it as it is. Tuned for continuous actions",
        in_range(0),
        continuous=10.0,
    )
    reward_scale: float | Literal["running"] = setting(
        1.0,
        "not in the paper: rewards are multiplied by it before they are clipped; running divides them by the running "
        "standard deviation of the discounted return, as Stable-Baselines3's VecNormalize does",
        above(0),
        continuous="running",
    )
    reward_clip: float = setting(
        1.0,
        "[E] training rewards are clipped to [-1, 1]; 0 leaves them raw, because in Labyrinth a portal is worth ten "
        "apples. For continuous actions that of VecNormalize",
        in_range(0),
        continuous=10.0,
    )
    normalize_obs: bool = setting(
        False,
        "not in the paper, usual for vectors: each dimension less its running mean, by its running standard deviation",
        whatever,
        kinds=(Kind.VECTORS,),
        vectors=True,
    )
    target_interval_steps: int = setting(
        10_000,
        "[P] section 8: the target network of the Q methods is renewed every 40,000 frames",
        in_range(1, 2**53),
        VALUE_BASED,
    )
    explore_anneal_steps: int = setting(
        1_000_000,
        "[P] section 8: the Q methods anneal their exploration over 4M frames",
        in_range(0, 2**53),
        VALUE_BASED,
    )
    seed: int = setting(0, "of the initial parameters, the policies and the games", in_range(0, 2**63 - 1))
    checkpoint_secs: float = setting(60.0, "seconds between checkpoints", in_range(0.001, 1e9))
    keep_checkpoints: int = setting(3, "how many of the newest checkpoints stay on disk", in_range(1, 1e6))

    def __new__(cls, **given: Any) -> Self:
        config = super().__new__(cls)
        object.__setattr__(config, "_given", frozenset(given))
        return config

    def __post_init__(self) -> None:
        for f in dataclasses.fields(self):
            value = typed(f, getattr(self, f.name))
            words = number_and_words(f)[1]
            wanted = None if value in words else f.metadata["check"](value)
            if wanted is not None:
                raise ConfigError(f"{public_name(f)} is {value!r}, but it must be {' or '.join([wanted, *words])}.")
            object.__setattr__(self, f.name, value)
        for f in dataclasses.fields(self):
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

    def changed(self, **settings: Any) -> "TrainConfig":
        """With these settings given too."""
        return TrainConfig(**{name: getattr(self, name) for name in self.given} | settings)

    def in_environment(
        self, name: str, kinds: Collection[Kind], domains: Mapping[str, Any] = MappingProxyType({})
    ) -> "TrainConfig":
        """Complete: what was not given has its domain's default, else that of an environment of these kinds.

        ConfigError, with the environment's name, where something was given that does not count there.
        """
        for unknown in domains.keys() - self.to_mapping().keys():
            raise no_setting(unknown)
        defaults: dict[str, Any] = {}
        for f in dataclasses.fields(self):
            lacking = [kind for kind in f.metadata["kinds"] if kind not in kinds]
            default = domains.get(public_name(f), default_of(f, kinds))
            if f.name not in self.given:
                defaults |= {f.name: default} if self._counts(f) else {}
            elif lacking and getattr(self, f.name) != default:
                value = getattr(self, f.name)
                raise ConfigError(f"{public_name(f)} is {value!r}, but {name} {lacking[0].value}: leave it out.")
        return dataclasses.replace(self, **defaults)

    @classmethod
    def from_mapping(cls, settings: Mapping[str, Any]) -> "TrainConfig":
        """From public names to values, as in a settings file; missing names take their defaults."""
        by_name = {public_name(f): f.name for f in dataclasses.fields(cls)}
        for name in settings:
            if name not in by_name:
                raise no_setting(name)
        if "env" not in settings:
            raise ConfigError("The environment is missing: name one, for instance with --env Pong.")
        return cls(**{by_name[name]: value for name, value in settings.items()})

    def to_mapping(self) -> dict[str, Any]:
        """All settings by their public names, complete."""
        return {public_name(f): getattr(self, f.name) for f in dataclasses.fields(self)}

    def to_json(self) -> str:
        """The complete settings, as config.json has them."""
        return json.dumps(self.to_mapping(), indent=2) + "\n"

    def core_json(self) -> str:
        """The settings the core reads; the others are about making environments, which is Python's business."""
        core = [f for f in dataclasses.fields(self) if f.metadata["core"]]
        return json.dumps({public_name(f): getattr(self, f.name) for f in core})


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


def no_setting(name: str) -> ConfigError:
    """The error for a name that is no setting's, with the nearest that are."""
    known = [public_name(f) for f in dataclasses.fields(TrainConfig)]
    hint = f" (did you mean {ALIASES[name]}?)" if name in ALIASES else did_you_mean(name, known)
    return ConfigError(f"There is no setting {name!r}{hint}.")
