"""Definition of an experiment, its finished runs, and the figure and table made of them."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from a3crs.errors import ConfigError
from a3crs.published.games import title
from a3crs.runlog import load, metrics
from a3crs.sweep.outcome import results
from a3crs.sweep.plan import Plan, read_plan

if TYPE_CHECKING:
    from a3crs.runlog.drawing import Drawing

SETTINGS = ("env", "env_kwargs", "algo", "net", "optimizer", "actors", "lr")


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """Table or figure of the paper, at the paper's size."""

    name: str  # on the command line
    asks: str  # question that it answers
    caption: str  # procedure of the paper
    games: tuple[str, ...]
    methods: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)  # further settings, in the form of a sweep's
    frames: int  # of each run
    draws: int = 1
    best: int = 0  # number of best draws to show; 0 shows all
    evaluated: bool = False  # score of whole games with the last parameters, instead of training episodes
    deviations: tuple[str, ...] = ()  # from the paper, at any size
    shown_by: "Callable[[FinishedRuns], Shown]"

    @property
    def number(self) -> str:
        """Number in `published.paper`: `2` or `S3`."""
        return self.name[3:]

    @property
    def title(self) -> str:
        """Title: `Figure 2`, `Table S3`."""
        return f"{'Figure' if self.name.startswith('fig') else 'Table'} {self.number}"

    @property
    def actors(self) -> tuple[int, ...]:
        """Numbers of actor-learners that are compared, or the only one."""
        actors = self.settings["actors"]
        return tuple(actors) if isinstance(actors, list) else (actors,)


@dataclass(frozen=True)
class Shown:
    """Result of an experiment: a table, and a figure where there is one."""

    table: pl.DataFrame
    drawing: "Drawing | None" = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class FinishedRuns:
    """Runs of an experiment that are done, in the directory of its sweep."""

    experiment: "Experiment"
    directory: Path

    @cached_property
    def plan(self) -> Plan:
        """Plan of the sweep, with all its runs."""
        return read_plan(self.directory)

    @cached_property
    def runs(self) -> pl.DataFrame:
        """Frame with one row for each run: run, draw, seed, env, algo, net, optimizer, actors, lr, score, game.

        `game` is the name in a panel's title. Raises ConfigError where no run is done yet.
        """
        done = results(self.directory).filter(pl.col("state") == "done").select("run", "draw", "seed", "score")
        if done["score"].is_null().all():
            raise ConfigError(f"No run in {self.directory} is done and has played a whole episode: nothing is to show.")
        about = load.settings(self.paths(done), SETTINGS)
        games = [_game(env, kwargs) for env, kwargs in about.select("env", "env_kwargs").iter_rows()]
        return done.join(about.with_columns(game=pl.Series(games)), on="run", maintain_order="left")

    def paths(self, runs: pl.DataFrame) -> list[Path]:
        """Returns the directories of some of the runs."""
        return [self.directory / name for name in runs["run"]]

    def best(self, by: Sequence[str]) -> pl.DataFrame:
        """Returns the runs of each group's best draws, as many as the experiment shows; a draw's seeds count as one."""
        if not self.experiment.best:
            return self.runs
        draws = self.runs.lazy().group_by(*by, "draw").agg(pl.mean("score"))
        chosen = metrics.best(draws, self.experiment.best, by=by).collect()
        return self.runs.join(chosen, on=[*by, "draw"], how="semi")


def _game(env: str, env_kwargs: str) -> str:
    """Returns the paper's name: a game's title, a setting of TORCS, or the environment's own name."""
    kwargs = json.loads(env_kwargs) if env_kwargs else {}
    if "car" in kwargs:
        return f"{kwargs['car'].title()} car, {'bots' if kwargs.get('opponents') else 'no bots'}"
    return title(env)
