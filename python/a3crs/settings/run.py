"""Settings of a run as a whole: its length, its threads, its seed, each with its source (see `a3crs.config`)."""

from dataclasses import dataclass

from a3crs.checks import in_range, one_of, whatever
from a3crs.complete import CompleteSettings
from a3crs.presets import AUTO, NAMES
from a3crs.setting import setting

GROUP = "Run"


@dataclass(frozen=True, kw_only=True)
class RunSettings(CompleteSettings):
    """The settings that `--help` shows as Run."""

    preset: str = setting(
        AUTO,
        f"defaults of the other settings: {', '.join(NAMES)}",
        "not in the paper; auto is the preset made for the method and the environment, see a3crs list presets",
        one_of(*NAMES),
        group=GROUP,
        core=False,
    )
    actors: int = setting(
        16,
        "number of actor-learner threads",
        "[P] section 8; fewer for continuous actions",
        in_range(1, 1024),
        group=GROUP,
        continuous=8,
    )
    total_steps: int = setting(
        80_000_000,
        "T_max, length of the run in agent steps of all actors",
        "[E] 320M frames, the one-day runs",
        in_range(1, 2**53),
        group=GROUP,
        continuous=10_000_000,
    )
    seed: int = setting(
        0,
        "seed of the initial parameters, the policies and the games",
        "not in the paper",
        in_range(0, 2**63 - 1),
        group=GROUP,
    )
    deterministic: bool = setting(
        False,
        "updates in a fixed order: the same settings give the same run, bit for bit, at some cost in speed",
        "not in the paper; machines with the same instruction set agree",
        whatever,
        group=GROUP,
    )
    segments_at_once: int = setting(
        0,
        "number of segments in flight at once; 0 is one a core for Atari, all in worker processes, else two a core",
        "not in the paper, whose cores were as many as its actors; 4 where the run is deterministic",
        in_range(0, 1024),
        group=GROUP,
    )
