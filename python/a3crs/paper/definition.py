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
    """A table or figure of the paper, at the paper's size."""

    name: str  # as the command line has it
    asks: str  # the question it answers
    caption: str  # how the paper got it
    games: tuple[str, ...]
    methods: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)  # further ones, as of a sweep
    frames: int  # of each run
    draws: int = 1
    best: int = 0  # so many of the draws are shown, the best ones; 0 is all
    evaluated: bool = False  # by whole games with the last parameters, not by the episodes of training
    deviations: tuple[str, ...] = ()  # from the paper, at any size
    shown_by: "Callable[[FinishedRuns], Shown]"

    @property
    def number(self) -> str:
        """Number under which `published.paper` has it: `2` or `S3`."""
        return self.name[3:]

    @property
    def title(self) -> str:
        """`Figure 2`, `Table S3`."""
        return f"{'Figure' if self.name.startswith('fig') else 'Table'} {self.number}"

    @property
    def actors(self) -> tuple[int, ...]:
        """The numbers of actor-learners that are compared, or the only one."""
        actors = self.settings["actors"]
        return tuple(actors) if isinstance(actors, list) else (actors,)


@dataclass(frozen=True)
class Shown:
    """A figure where there is one, and a table."""

    table: pl.DataFrame
    drawing: "Drawing | None" = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class FinishedRuns:
    """The runs of an experiment that have ended well, in the directory of its sweep."""

    experiment: "Experiment"
    directory: Path

    @cached_property
    def plan(self) -> Plan:
        """All its runs."""
        return read_plan(self.directory)

    @cached_property
    def runs(self) -> pl.DataFrame:
        """One row each: run, draw, seed, env, algo, net, optimizer, actors, lr, score, game.

        `game` is what a panel has in its title. ConfigError where no run has ended yet.
        """
        done = results(self.directory).filter(pl.col("state") == "done").select("run", "draw", "seed", "score")
        if done["score"].is_null().all():
            raise ConfigError(f"No run in {self.directory} is done and has played a whole episode: nothing is to show.")
        about = load.settings(self.paths(done), SETTINGS)
        games = [_game(env, kwargs) for env, kwargs in about.select("env", "env_kwargs").iter_rows()]
        return done.join(about.with_columns(game=pl.Series(games)), on="run", maintain_order="left")

    def paths(self, runs: pl.DataFrame) -> list[Path]:
        """The directories of some of the runs."""
        return [self.directory / name for name in runs["run"]]

    def best(self, by: Sequence[str]) -> pl.DataFrame:
        """The runs of the best draws of each group, as many as the experiment shows; seeds of a draw count as one."""
        if not self.experiment.best:
            return self.runs
        draws = self.runs.lazy().group_by(*by, "draw").agg(pl.mean("score"))
        chosen = metrics.best(draws, self.experiment.best, by=by).collect()
        return self.runs.join(chosen, on=[*by, "draw"], how="semi")


def _game(env: str, env_kwargs: str) -> str:
    """The name in the paper: a game's title, a setting of TORCS, or the environment's own."""
    kwargs = json.loads(env_kwargs) if env_kwargs else {}
    if "car" in kwargs:
        return f"{kwargs['car'].title()} car, {'bots' if kwargs.get('opponents') else 'no bots'}"
    return title(env)
