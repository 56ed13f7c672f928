"""Plan of a sweep: all its trials, written to sweep.json before the first one starts."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from a3crs.config import TrainConfig
from a3crs.errors import ConfigError, RunError
from a3crs.files import temporary_of
from a3crs.rundir import LOCK, RunDir
from a3crs.sweep.space import cells, draw, is_distribution

PLAN = "sweep.json"


@dataclass(frozen=True)
class Trial:
    """Run of a sweep; its directory has its name."""

    name: str
    draw: int
    settings: dict[str, Any]  # as drawn, and the seed

    @property
    def group(self) -> str:
        """Name without the seed: the same for all trials that differ only in their seeds."""
        return self.name.rpartition("__")[0]


@dataclass(frozen=True)
class Plan:
    """Plan of a sweep: `draws` draws of the settings, each run with `seeds` seeds in every cell of the grid.

    A setting with a list of values spans the grid; a draw is the same in all its cells.
    """

    settings: dict[str, Any]  # as given: a value, the text of a distribution, or a list
    frames: int | None  # length of each run, instead of total_steps
    draws: int
    seeds: int
    trials: tuple[Trial, ...]

    @classmethod
    def drawn(cls, settings: Mapping[str, Any], *, frames: int | None = None, draws: int = 1, seeds: int = 1) -> "Plan":
        """Draws all trials. The setting `seed` is the seed of the draws, and the first of the runs' seeds."""
        for name, count in (("draws", draws), ("seeds", seeds)):
            if not 1 <= count <= 100_000:
                raise ConfigError(f"{name} is {count}, but it must be between 1 and 100000.")
        seed = settings.get("seed", 0)
        if is_distribution(seed) or isinstance(seed, list):
            raise ConfigError(f"seed is {seed!r}, but it must be a whole number: --seeds says how many there are.")
        if frames is not None and "total_steps" in settings:
            raise ConfigError("frames and total_steps say the same thing: give one of them.")
        spaces = [name for name, value in settings.items() if is_distribution(value)]
        if draws > 1 and not spaces:
            raise ConfigError(f"draws is {draws}, but nothing is drawn: give a setting like --lr loguniform:1e-4:1e-2.")
        grid = cells(settings)
        TrainConfig.from_mapping(dict(settings) | grid[0] | draw(settings, seed, 0))  # checks the seed's type too
        trials = []
        for number in range(draws):  # the outer loop, so that a stopped sweep has as many draws in each cell
            for cell in grid:
                drawn = dict(settings) | cell | draw(settings, seed, number)
                for run_seed in range(seed, seed + seeds):
                    chosen = drawn | {"seed": run_seed}
                    TrainConfig.from_mapping(chosen)  # errors are reported before anything starts
                    name = "__".join([*map(_word, cell.items()), f"draw{number:03}", f"s{run_seed}"])
                    trials.append(Trial(name, number, chosen))
        if len({trial.name for trial in trials}) < len(trials):
            raise ConfigError("Two cells of the grid have the same name: leave out one.")
        return cls(dict(settings), frames, draws, seeds, tuple(trials))

    @property
    def varied_names(self) -> list[str]:
        """Names of the settings that have a distribution, or several values."""
        return [name for name, value in self.settings.items() if is_distribution(value) or isinstance(value, list)]

    def trial(self, name: str) -> Trial:
        """Returns the trial of this name."""
        for trial in self.trials:
            if trial.name == name:
                return trial
        raise ConfigError(f"There is no trial {name!r} in this sweep: {PLAN} names those there are.")

    def to_json(self) -> str:
        """Returns the whole plan, as in sweep.json."""
        plan = {"settings": self.settings, "frames": self.frames, "draws": self.draws, "seeds": self.seeds}
        return json.dumps(plan | {"trials": [vars(trial) for trial in self.trials]}, indent=2) + "\n"


def _word(setting: tuple[str, Any]) -> str:
    """Returns a cell's part of a directory's name: `Pong`, `a3c`, `actors4`, `env_kwargs-car-slow`."""
    name, value = setting
    text = value if isinstance(value, str) else name + json.dumps(value)
    return "-".join(re.findall("[A-Za-z0-9._]+", text))


def read_plan(sweep: Path) -> Plan:
    """Returns the plan in a directory; raises ConfigError where there is none."""
    try:
        plan = json.loads((sweep / PLAN).read_bytes())
        return Plan(**plan | {"trials": tuple(Trial(**trial) for trial in plan["trials"])})
    except OSError as e:
        raise ConfigError(f"{sweep} is not a sweep: it has no {PLAN}.") from e
    except (ValueError, KeyError, TypeError, RecursionError) as e:
        raise RunError(f"{sweep / PLAN} is damaged: begin the sweep in another directory.") from e


def refuse_other(sweep: Path, plan: Plan) -> None:
    """Raises ConfigError where the directory holds anything but this plan's sweep."""
    if (sweep / PLAN).exists():
        there, wanted = (json.loads(each.to_json()) for each in (read_plan(sweep), plan))
        if there != wanted:  # compares without the order of the settings
            raise ConfigError(f"{sweep} holds a sweep with another plan: repeat its command, or name another --out.")
    elif sweep.is_dir() and any(entry.name not in (LOCK, temporary_of(Path(PLAN)).name) for entry in sweep.iterdir()):
        raise ConfigError(f"{sweep} is not empty and no sweep: name another --out.")
    elif sweep.exists() and not sweep.is_dir():
        raise ConfigError(f"{sweep} is not a directory: name another --out.")


def save(sweep: Path, plan: Plan) -> None:
    """Writes sweep.json atomically, unless it exists."""
    if not (sweep / PLAN).exists():
        RunDir(sweep).write(PLAN, plan.to_json())
