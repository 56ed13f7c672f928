"""The settings of a training run: the only home of defaults, each with its source.

[P] is the paper (Mnih et al. 2016, arXiv 1602.01783v2); [E] is what its authors wrote in e-mails that others quoted,
used where the paper is silent. A settings file, a flag and a log column all use the same names.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from a3crs.checks import above, choices, decay, in_catalogue, in_range, one_of, savable, size, whatever
from a3crs.complete import ALIASES, CompleteSettings, unknown_setting
from a3crs.errors import ConfigError
from a3crs.given import GivenSettings
from a3crs.setting import Kind, Only, about, read_by, setting

__all__ = ["ALIASES", "RunConfig", "TrainConfig", "no_setting"]

ENVIRONMENT, RUN, METHOD = "Environment", "Run", "Method"
NETWORK, OPTIMIZER, LOGGING = "Network", "Optimizer", "Logging"

RECURRENT = Only("net", frozenset({"lstm", "nature-lstm"}))
PROCESSES = Only("env_workers", frozenset({"auto", "process"}))


@dataclass(frozen=True, kw_only=True)
class RunConfig(CompleteSettings):
    """Complete settings of a run, each with its final value. Immutable; a wrong value raises ConfigError.

    `TrainConfig.complete` makes one for an environment, and config.json holds one.
    """

    # Environment
    env: str = field(
        metadata=about(
            "name of the environment", "not in the paper", lambda name: None if name else "a name", group=ENVIRONMENT
        )
    )
    protocol: str = setting(
        "atari2016",
        "rules of Atari games: atari2016 or ale-v5",
        "[P] section 8 and Mnih et al. 2015; ale-v5 is Machado et al. 2018",
        one_of("atari2016", "ale-v5", "none"),
        group=ENVIRONMENT,
        kinds=(Kind.ATARI,),
        gymnasium="none",
    )
    env_kwargs: dict[str, Any] = field(
        default_factory=dict,
        metadata=about(
            "arguments of a Gymnasium environment",
            "not in the paper",
            savable,
            group=ENVIRONMENT,
            kinds=(Kind.GYMNASIUM,),
            core=False,
        ),
    )
    pixels: bool = setting(
        False,
        "rendered images as observations of a Gymnasium environment",
        "[P] section 9 learns some tasks from pixels",
        whatever,
        group=ENVIRONMENT,
        kinds=(Kind.GYMNASIUM,),
        core=False,
    )
    resize: str = setting(
        "",
        "size of a Gymnasium environment's images, height x width like 84x84; empty leaves them as they are",
        "[P] section 8 has 84x84",
        size,
        group=ENVIRONMENT,
        kinds=(Kind.GYMNASIUM, Kind.IMAGES),
        core=False,
    )
    grayscale: bool = setting(
        False,
        "grey instead of coloured images of a Gymnasium environment",
        "not in the paper",
        whatever,
        group=ENVIRONMENT,
        kinds=(Kind.GYMNASIUM, Kind.IMAGES),
        core=False,
    )
    frame_stack: int = setting(
        1,
        "number of last observations that a Gymnasium environment's agent sees at once",
        "Atari games have their protocol's 4",
        in_range(1, 64),
        group=ENVIRONMENT,
        kinds=(Kind.GYMNASIUM,),
        core=False,
    )
    env_workers: str = setting(
        "auto",
        "place of Gymnasium environments: thread, process, or auto: a process unless known to be faster in a thread",
        "not in the paper",
        one_of("auto", "thread", "process"),
        group=ENVIRONMENT,
        kinds=(Kind.GYMNASIUM,),
        core=False,
    )
    env_timeout_secs: float = setting(
        60.0,
        "seconds without an answer after which a worker process is restarted",
        "not in the paper",
        above(0),
        PROCESSES,
        group=ENVIRONMENT,
        kinds=(Kind.GYMNASIUM,),
        core=False,
    )
    env_restarts: int = setting(
        10,
        "restarts of one actor's worker process before the run ends",
        "not in the paper",
        in_range(0, 1e6),
        PROCESSES,
        group=ENVIRONMENT,
        kinds=(Kind.GYMNASIUM,),
        core=False,
    )
    normalize_obs: bool = setting(
        False,
        "normalisation of observed vectors by their running mean and deviation",
        "not in the paper, usual for vectors",
        whatever,
        group=ENVIRONMENT,
        kinds=(Kind.VECTORS,),
        vectors=True,
    )
    reward_scale: float | Literal["running"] = setting(
        1.0,
        "factor of rewards before they are clipped; running: 1 / deviation of the discounted return",
        "not in the paper; running is that of Stable-Baselines3's VecNormalize",
        above(0),
        group=ENVIRONMENT,
        continuous="running",
    )
    reward_clip: float = setting(
        1.0,
        "limit to which rewards are clipped for learning; 0 leaves them as they are",
        "[E]; that of VecNormalize for continuous actions",
        in_range(0),
        group=ENVIRONMENT,
        continuous=10.0,
    )
    # Run
    actors: int = setting(
        16,
        "number of actor-learner threads",
        "[P] section 8; fewer for continuous actions",
        in_range(1, 1024),
        group=RUN,
        continuous=8,
    )
    total_steps: int = setting(
        80_000_000,
        "T_max, length of the run in agent steps of all actors",
        "[E] 320M frames, the one-day runs",
        in_range(1, 2**53),
        group=RUN,
        continuous=10_000_000,
    )
    seed: int = setting(
        0,
        "seed of the initial parameters, the policies and the games",
        "not in the paper",
        in_range(0, 2**63 - 1),
        group=RUN,
    )
    deterministic: bool = setting(
        False,
        "updates in a fixed order: the same settings give the same run, bit for bit, at some cost in speed",
        "not in the paper; machines with the same instruction set agree",
        whatever,
        group=RUN,
    )
    segments_at_once: int = setting(
        0,
        "number of segments in flight at once; 0 is one a core for Atari, all in worker processes, else two a core",
        "not in the paper, whose cores were as many as its actors; 4 where the run is deterministic",
        in_range(0, 1024),
        group=RUN,
    )
    # Method
    algo: str = setting(
        "a3c",
        f"method: {', '.join(choices('algos'))}",
        "[P] sections 4 and 5: of the four methods, the one that did best",
        in_catalogue("algos"),
        group=METHOD,
    )
    t_max: int | Literal["episode"] = setting(
        5,
        "most steps between two updates; episode: whole episodes without bootstrapping",
        "[P] section 8, and section 9 for episode; longer segments were found to learn faster with continuous actions",
        in_range(1, 1000),
        group=METHOD,
        continuous=32,
    )
    gamma: float = setting(0.99, "discount", "[P] section 8", in_range(0, 1), group=METHOD)
    lambda_: float = setting(
        1.0,
        "weight of longer returns: 1 is the n-step return, below 1 are lambda-returns",
        "[P] Algorithm S3; tuned for continuous actions",
        in_range(0, 1),
        read_by("algo", "lambda"),
        group=METHOD,
        continuous=0.9,
    )
    entropy_beta: float = setting(
        0.01,
        "beta, weight of the entropy",
        "[P] section 8 for Atari and TORCS, section 9 for continuous actions",
        in_range(0),
        read_by("algo", "entropy_beta"),
        group=METHOD,
        continuous=1e-4,
    )
    value_coef: float = setting(
        0.5, "factor of the value loss (R - V)^2", "[E]", in_range(0), read_by("algo", "value_coef"), group=METHOD
    )
    epochs: int = setting(
        3,
        "passes over the same rollouts",
        "Schulman et al. 2017, table 5",
        in_range(1, 1000),
        read_by("algo", "epochs"),
        group=METHOD,
        continuous=10,
    )
    minibatch_steps: int = setting(
        256,
        "steps of one update; 0 is all that the pool has played",
        "Schulman et al. 2017, table 5; 64 for continuous actions, table 3",
        in_range(0, 2**24),
        read_by("algo", "minibatch_steps"),
        group=METHOD,
        continuous=64,
    )
    pool: int = setting(
        8,
        "number of actors whose rollouts are learned from together; the other pools go on meanwhile",
        "Schulman et al. 2017, table 5: 8 actors",
        in_range(1, 1024),
        read_by("algo", "pool"),
        group=METHOD,
    )
    clip_range: float = setting(
        0.2,
        "epsilon, distance from 1 to which the ratio of new and old probability is clipped",
        "Schulman et al. 2017, table 3",
        above(0),
        read_by("algo", "clip_range"),
        group=METHOD,
    )
    value_clip_range: float = setting(
        0.0,
        "distance from the old value to which the new one is clipped; 0 does not clip",
        "not in Schulman et al. 2017, but in their code; Andrychowicz et al. 2021 found that it does not help",
        in_range(0),
        read_by("algo", "value_clip_range"),
        group=METHOD,
    )
    normalize_advantage: bool = setting(
        True,
        "advantages of mean 0 and deviation 1 in each minibatch",
        "not in Schulman et al. 2017, but in their code",
        whatever,
        read_by("algo", "normalize_advantage"),
        group=METHOD,
    )
    gaussian: str = setting(
        "diagonal",
        "sigma of continuous actions: diagonal, one a dimension, or spherical, one that depends on the state",
        "diagonal is usual today; spherical is [P] section 9",
        one_of("diagonal", "spherical"),
        read_by("algo", "gaussian"),
        group=METHOD,
        kinds=(Kind.CONTINUOUS,),
    )
    bound_coef: float = setting(
        0.0,
        "weight of the squares by which the policy's means lie beyond -1 and 1, where actions are clipped",
        "not in the paper; too far out all actions are alike and nothing brings a mean back",
        in_range(0),
        read_by("algo", "bound_coef"),
        group=METHOD,
        kinds=(Kind.CLIPPED,),
        clipped=1e-3,
    )
    target_interval_steps: int = setting(
        10_000,
        "I_target, agent steps between two refreshes of the target network",
        "[P] section 8: 40,000 frames",
        in_range(1, 2**53),
        read_by("algo", "target_interval_steps"),
        group=METHOD,
    )
    explore_anneal_steps: int = setting(
        1_000_000,
        "agent steps over which exploration is annealed",
        "[P] section 8: 4M frames",
        in_range(0, 2**53),
        read_by("algo", "explore_anneal_steps"),
        group=METHOD,
    )
    # Network
    net: str = setting(
        "ff",
        f"network: {', '.join(choices('nets'))}",
        "[P] section 8: 16@8x8/4, 32@4x4/2, 256, policy and value heads",
        in_catalogue("nets"),
        group=NETWORK,
    )
    hidden: list[int] = field(
        default_factory=list,
        metadata=about(
            "units of each fully connected layer before the LSTM or the heads, like 64,64; empty is the net's own",
            "[P] sections 8 and 9: 200 for vectors, 256 for images (nature 512)",
            in_range(1, 65_536),
            group=NETWORK,
        ),
    )
    activation: str = setting(
        "relu",
        "activation behind convolutions and hidden layers: relu or tanh",
        "[P] section 8: rectifiers; tanh is usual for vectors elsewhere",
        one_of("relu", "tanh"),
        group=NETWORK,
    )
    cells: int = setting(
        0,
        "cells of the LSTM, a multiple of 16; 0 is the net's own",
        "[P] sections 8 and 9: 256 for images, 128 for vectors and for continuous actions",
        in_range(0, 65_536),
        RECURRENT,
        group=NETWORK,
    )
    init: str = setting(
        "torch",
        "initial parameters: torch, uniform by the number of inputs, or orthogonal",
        "[P] has Torch's; orthogonal is usual for ppo and a2c",
        one_of("torch", "orthogonal"),
        group=NETWORK,
    )
    # Optimizer
    optimizer: str = setting(
        "shared-rmsprop",
        f"optimizer: {', '.join(choices('optimizers'))}",
        "[P] section 7: one g shared by all threads",
        in_catalogue("optimizers"),
        group=OPTIMIZER,
    )
    lr: float = setting(
        7e-4,
        "learning rate, at its highest",
        "[E]; annealing [P] section 8; tuned for continuous actions",
        above(0),
        group=OPTIMIZER,
        continuous=1e-3,
    )
    lr_schedule: str = setting(
        "linear",
        "way in which the learning rate falls over the run: linear, to 0; cosine, to 0; or constant",
        "[P] section 8: linear",
        one_of("linear", "cosine", "constant"),
        group=OPTIMIZER,
    )
    lr_warmup_steps: int = setting(
        0,
        "agent steps over which the learning rate first rises from 0",
        "not in the paper",
        in_range(0, 2**53),
        group=OPTIMIZER,
    )
    max_grad_norm: float = setting(
        40.0,
        "L2 norm to which a gradient is clipped; 0 does not clip",
        "[E]; tuned for continuous actions",
        in_range(0),
        group=OPTIMIZER,
        continuous=10.0,
    )
    momentum: float = setting(
        0.9,
        "alpha of momentum SGD",
        "not in the paper, which gives no number (section 7)",
        decay,
        read_by("optimizer", "momentum"),
        group=OPTIMIZER,
    )
    rms_decay: float = setting(
        0.99, "alpha of RMSProp", "[P] section 8", decay, read_by("optimizer", "rms_decay"), group=OPTIMIZER
    )
    rms_eps: float = setting(
        0.1,
        "epsilon of RMSProp, inside the square root",
        "[E] the number, [P] equation S3 the place; tuned for continuous actions",
        above(0),
        read_by("optimizer", "rms_eps"),
        group=OPTIMIZER,
        continuous=1e-3,
    )
    adam_beta1: float = setting(
        0.9,
        "beta_1 of Adam",
        "Kingma and Ba 2015, section 2",
        decay,
        read_by("optimizer", "adam_beta1"),
        group=OPTIMIZER,
    )
    adam_beta2: float = setting(
        0.999,
        "beta_2 of Adam",
        "Kingma and Ba 2015, section 2",
        decay,
        read_by("optimizer", "adam_beta2"),
        group=OPTIMIZER,
    )
    adam_eps: float = setting(
        1e-5,
        "epsilon of Adam, outside the square root",
        "the code of Schulman et al. 2017; Kingma and Ba 2015 have 1e-8",
        above(0),
        read_by("optimizer", "adam_eps"),
        group=OPTIMIZER,
    )
    # Logging
    checkpoint_secs: float = setting(
        60.0, "seconds between two checkpoints", "not in the paper", in_range(0.001, 1e9), group=LOGGING
    )
    keep_checkpoints: int = setting(
        3, "number of newest checkpoints that stay on disk", "not in the paper", in_range(1, 1e6), group=LOGGING
    )


class TrainConfig(GivenSettings[RunConfig]):
    """Settings that a person gives for a run: `TrainConfig(env="Pong", lr=1e-3)`, any fields of `RunConfig`.

    The others get the defaults of the environment when the run is prepared. Immutable; a wrong value raises
    ConfigError.
    """

    __slots__ = ()
    complete_type = RunConfig


def no_setting(name: str) -> ConfigError:
    """The error for a name that is no setting's, with the nearest that are."""
    return unknown_setting(RunConfig, name)
