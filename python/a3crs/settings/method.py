"""Settings of the method and its losses, each with its source (see `a3crs.config`)."""

from dataclasses import dataclass
from typing import Literal

from a3crs.checks import above, choices, in_catalogue, in_range, one_of, whatever
from a3crs.complete import CompleteSettings
from a3crs.setting import Kind, read_by, setting

GROUP = "Method"


@dataclass(frozen=True, kw_only=True)
class MethodSettings(CompleteSettings):
    """The settings that `--help` shows as Method."""

    algo: str = setting(
        "a3c",
        f"method: {', '.join(choices('algos'))}",
        "[P] sections 4 and 5: of the four methods, the one that did best",
        in_catalogue("algos"),
        group=GROUP,
    )
    t_max: int | Literal["episode"] = setting(
        5,
        "most steps between two updates; episode: whole episodes without bootstrapping",
        "[P] section 8, and section 9 for episode; longer segments were found to learn faster with continuous actions",
        in_range(1, 100_000),
        group=GROUP,
        continuous=32,
    )
    gamma: float = setting(0.99, "discount", "[P] section 8", in_range(0, 1), group=GROUP)
    lambda_: float = setting(
        1.0,
        "weight of longer returns: 1 is the n-step return, below 1 are lambda-returns",
        "[P] Algorithm S3; tuned for continuous actions",
        in_range(0, 1),
        read_by("algo", "lambda"),
        group=GROUP,
        continuous=0.9,
    )
    entropy_beta: float = setting(
        0.01,
        "beta, weight of the entropy",
        "[P] section 8 for Atari and TORCS, section 9 for continuous actions",
        in_range(0),
        read_by("algo", "entropy_beta"),
        group=GROUP,
        continuous=1e-4,
    )
    value_coef: float = setting(
        0.5, "factor of the value loss (R - V)^2", "[E]", in_range(0), read_by("algo", "value_coef"), group=GROUP
    )
    epochs: int = setting(
        3,
        "passes over the same rollouts",
        "Schulman et al. 2017, table 5",
        in_range(1, 1000),
        read_by("algo", "epochs"),
        group=GROUP,
        continuous=10,
    )
    minibatch_steps: int = setting(
        256,
        "steps of one update; 0 is all that the pool has played",
        "Schulman et al. 2017, table 5; 64 for continuous actions, table 3",
        in_range(0, 2**24),
        read_by("algo", "minibatch_steps"),
        group=GROUP,
        continuous=64,
    )
    pool: int = setting(
        8,
        "number of actors whose rollouts are learned from together; the other pools go on meanwhile",
        "Schulman et al. 2017, table 5: 8 actors",
        in_range(1, 1024),
        read_by("algo", "pool"),
        group=GROUP,
    )
    clip_range: float = setting(
        0.2,
        "epsilon, distance from 1 to which the ratio of new and old probability is clipped",
        "Schulman et al. 2017, table 3",
        above(0),
        read_by("algo", "clip_range"),
        group=GROUP,
    )
    value_clip_range: float = setting(
        0.0,
        "distance from the old value to which the new one is clipped; 0 does not clip",
        "not in Schulman et al. 2017, but in their code; Andrychowicz et al. 2021 found that it does not help",
        in_range(0),
        read_by("algo", "value_clip_range"),
        group=GROUP,
    )
    normalize_advantage: bool = setting(
        True,
        "advantages of mean 0 and deviation 1 in each minibatch",
        "not in Schulman et al. 2017, but in their code",
        whatever,
        read_by("algo", "normalize_advantage"),
        group=GROUP,
    )
    gaussian: str = setting(
        "diagonal",
        "sigma of continuous actions: diagonal, one a dimension, or spherical, one that depends on the state",
        "diagonal is usual today; spherical is [P] section 9",
        one_of("diagonal", "spherical"),
        read_by("algo", "gaussian"),
        group=GROUP,
        kinds=(Kind.CONTINUOUS,),
    )
    bound_coef: float = setting(
        0.0,
        "weight of the squares by which the policy's means lie beyond -1 and 1, where actions are clipped",
        "not in the paper; too far out all actions are alike and nothing brings a mean back",
        in_range(0),
        read_by("algo", "bound_coef"),
        group=GROUP,
        kinds=(Kind.CLIPPED,),
        clipped=1e-3,
    )
    target_interval_steps: int = setting(
        10_000,
        "I_target, agent steps between two refreshes of the target network",
        "[P] section 8: 40,000 frames",
        in_range(1, 2**53),
        read_by("algo", "target_interval_steps"),
        group=GROUP,
    )
    explore_anneal_steps: int = setting(
        1_000_000,
        "agent steps over which exploration is annealed",
        "[P] section 8: 4M frames",
        in_range(0, 2**53),
        read_by("algo", "explore_anneal_steps"),
        group=GROUP,
    )
