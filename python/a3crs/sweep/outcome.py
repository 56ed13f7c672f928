"""Results of a sweep, also while it goes on."""

import json
from pathlib import Path
from typing import Any

import polars as pl

from a3crs.runlog import load, metrics
from a3crs.sweep.plan import read_plan
from a3crs.sweep.trial import state, total_steps


def results(sweep: Path | str) -> pl.DataFrame:
    """Returns a frame with one row for each trial.

    Columns: run (its directory's name), draw, the settings that are drawn or have several values, seed, state (done,
    failed or open), score (mean return of the last 100 episodes), episodes (the number of these). A setting of names
    with values, `env_kwargs`, is JSON text here. The score is null where no episode has ended yet.
    """
    sweep = Path(sweep)
    plan = read_plan(sweep)
    rows = [
        {"run": trial.name, "draw": trial.draw}
        | {name: _cell(trial.settings[name]) for name in [*plan.varied_names, "seed"]}
        | {"state": state(sweep / trial.name).value}
        for trial in plan.trials
    ]
    table = pl.DataFrame(rows, infer_schema_length=None, strict=False)
    begun = [sweep / trial.name for trial in plan.trials if total_steps(sweep / trial.name) is not None]
    if not begun:
        return table.with_columns(score=pl.lit(None, pl.Float64), episodes=pl.lit(None, pl.UInt32))
    scores = metrics.scores(load.episodes(begun)).select("run", "score", "episodes").collect()
    return table.join(scores, on="run", how="left", maintain_order="left")


def _cell(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, dict) else value


def by_draw(results: pl.DataFrame) -> pl.DataFrame:
    """Returns a row for each draw in each cell, best first: draw, its settings, seeds (done), score (their mean)."""
    names = [name for name in results.columns if name not in ("run", "seed", "state", "score", "episodes")]
    done = pl.col("state") == "done"
    scored = results.group_by(names).agg(seeds=done.sum(), score=pl.col("score").filter(done).mean())
    return scored.sort("score", "draw", descending=[True, False], nulls_last=True)
