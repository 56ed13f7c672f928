"""Settings of the optimizer and the learning rate, each with its source (see `a3crs.config`)."""

from dataclasses import dataclass

from a3crs.checks import above, choices, decay, in_catalogue, in_range, one_of
from a3crs.complete import CompleteSettings
from a3crs.setting import read_by, setting

GROUP = "Optimizer"


@dataclass(frozen=True, kw_only=True)
class OptimizerSettings(CompleteSettings):
    """The settings that `--help` shows as Optimizer."""

    optimizer: str = setting(
        "shared-rmsprop",
        f"optimizer: {', '.join(choices('optimizers'))}",
        "[P] section 7: one g shared by all threads",
        in_catalogue("optimizers"),
        group=GROUP,
    )
    lr: float = setting(
        7e-4,
        "learning rate, at its highest",
        "[E]; annealing [P] section 8; tuned for continuous actions",
        above(0),
        group=GROUP,
        continuous=1e-3,
    )
    lr_schedule: str = setting(
        "linear",
        "way in which the learning rate falls over the run: linear, to 0; cosine, to 0; or constant",
        "[P] section 8: linear",
        one_of("linear", "cosine", "constant"),
        group=GROUP,
    )
    lr_warmup_steps: int = setting(
        0,
        "agent steps over which the learning rate first rises from 0",
        "not in the paper",
        in_range(0, 2**53),
        group=GROUP,
    )
    max_grad_norm: float = setting(
        40.0,
        "L2 norm to which a gradient is clipped; 0 does not clip",
        "[E]; tuned for continuous actions",
        in_range(0),
        group=GROUP,
        continuous=10.0,
    )
    momentum: float = setting(
        0.9,
        "alpha of momentum SGD",
        "not in the paper, which gives no number (section 7)",
        decay,
        read_by("optimizer", "momentum"),
        group=GROUP,
    )
    rms_decay: float = setting(
        0.99, "alpha of RMSProp", "[P] section 8", decay, read_by("optimizer", "rms_decay"), group=GROUP
    )
    rms_eps: float = setting(
        0.1,
        "epsilon of RMSProp, inside the square root",
        "[E] the number, [P] equation S3 the place; tuned for continuous actions",
        above(0),
        read_by("optimizer", "rms_eps"),
        group=GROUP,
        continuous=1e-3,
    )
    adam_beta1: float = setting(
        0.9,
        "beta_1 of Adam",
        "Kingma and Ba 2015, section 2",
        decay,
        read_by("optimizer", "adam_beta1"),
        group=GROUP,
    )
    adam_beta2: float = setting(
        0.999,
        "beta_2 of Adam",
        "Kingma and Ba 2015, section 2",
        decay,
        read_by("optimizer", "adam_beta2"),
        group=GROUP,
    )
    adam_eps: float = setting(
        1e-5,
        "epsilon of Adam, outside the square root",
        "the code of Schulman et al. 2017; Kingma and Ba 2015 have 1e-8",
        above(0),
        read_by("optimizer", "adam_eps"),
        group=GROUP,
    )
