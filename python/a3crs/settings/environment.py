"""Settings of making environments, their observations and their rewards, each with its source (see `a3crs.config`)."""

from dataclasses import dataclass, field
from typing import Any, Literal

from a3crs.checks import above, in_range, one_of, savable, size, whatever
from a3crs.complete import CompleteSettings
from a3crs.setting import Kind, Only, about, setting

GROUP = "Environment"
PROCESSES = Only("env_workers", frozenset({"auto", "process"}))


@dataclass(frozen=True, kw_only=True)
class EnvironmentSettings(CompleteSettings):
    """The settings that `--help` shows as Environment."""

    env: str = field(
        metadata=about(
            "name of the environment", "not in the paper", lambda name: None if name else "a name", group=GROUP
        )
    )
    protocol: str = setting(
        "atari2016",
        "rules of Atari games: atari2016 or ale-v5",
        "[P] section 8 and Mnih et al. 2015; ale-v5 is Machado et al. 2018",
        one_of("atari2016", "ale-v5", "none"),
        group=GROUP,
        kinds=(Kind.ATARI,),
        gymnasium="none",
    )
    env_kwargs: dict[str, Any] = field(
        default_factory=dict,
        metadata=about(
            "arguments of a Gymnasium environment",
            "not in the paper",
            savable,
            group=GROUP,
            kinds=(Kind.GYMNASIUM,),
            core=False,
        ),
    )
    pixels: bool = setting(
        False,
        "rendered images as observations of a Gymnasium environment",
        "[P] section 9 learns some tasks from pixels",
        whatever,
        group=GROUP,
        kinds=(Kind.GYMNASIUM,),
        core=False,
    )
    resize: str = setting(
        "",
        "size of a Gymnasium environment's images, height x width like 84x84; empty leaves them as they are",
        "[P] section 8 has 84x84",
        size,
        group=GROUP,
        kinds=(Kind.GYMNASIUM, Kind.IMAGES),
        core=False,
    )
    grayscale: bool = setting(
        False,
        "grey instead of coloured images of a Gymnasium environment",
        "not in the paper",
        whatever,
        group=GROUP,
        kinds=(Kind.GYMNASIUM, Kind.IMAGES),
        core=False,
    )
    frame_stack: int = setting(
        1,
        "number of last observations that a Gymnasium environment's agent sees at once",
        "Atari games have their protocol's 4",
        in_range(1, 64),
        group=GROUP,
        kinds=(Kind.GYMNASIUM,),
        core=False,
    )
    env_workers: str = setting(
        "auto",
        "place of Gymnasium environments: thread, process, or auto: a process unless known to be faster in a thread",
        "not in the paper",
        one_of("auto", "thread", "process"),
        group=GROUP,
        kinds=(Kind.GYMNASIUM,),
        core=False,
    )
    env_timeout_secs: float = setting(
        60.0,
        "seconds without an answer after which a worker process is restarted",
        "not in the paper",
        above(0),
        PROCESSES,
        group=GROUP,
        kinds=(Kind.GYMNASIUM,),
        core=False,
    )
    env_restarts: int = setting(
        10,
        "restarts of one actor's worker process before the run ends",
        "not in the paper",
        in_range(0, 1e6),
        PROCESSES,
        group=GROUP,
        kinds=(Kind.GYMNASIUM,),
        core=False,
    )
    normalize_obs: bool = setting(
        False,
        "normalisation of observed vectors by their running mean and deviation",
        "not in the paper, usual for vectors",
        whatever,
        group=GROUP,
        kinds=(Kind.VECTORS,),
        vectors=True,
    )
    reward_scale: float | Literal["running"] = setting(
        1.0,
        "factor of rewards before they are clipped; running: 1 / deviation of the discounted return",
        "not in the paper; running is that of Stable-Baselines3's VecNormalize",
        above(0),
        group=GROUP,
        continuous="running",
    )
    reward_clip: float = setting(
        1.0,
        "limit to which rewards are clipped for learning; 0 leaves them as they are",
        "[E]; that of VecNormalize for continuous actions",
        in_range(0),
        group=GROUP,
        continuous=10.0,
    )
