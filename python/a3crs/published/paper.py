"""The paper's figures and tables as Polars frames, in the names that runs use.

`curves("3", game="Pong", algo="a3c", actors=16)` is the curve as the paper's PDF draws it. The paper does not say how
its scores were measured, nor what its shaded bands (`low`, `high`) mean.
"""

from functools import cache
from importlib.resources import files

import polars as pl

from a3crs.errors import ConfigError
from a3crs.published.games import benchmark_game

FIGURES = {
    "1": "score over hours: DQN on a GPU and the four methods on 16 threads, mean of the best 5 of 50 learning rates",
    "2": "score over the learning rate, A3C",
    "3": "score over frames by threads: one-step Q, n-step Q and A3C, mean of the best 3 of 50 learning rates",
    "4": "the same over hours",
    "S5": "scores of 50 learning rates, best first, by optimizer: n-step Q and A3C",
    "S6": "score over hours in TORCS, mean of the best 5 of 50 learning rates",
    "S9": "figure 3 for one-step Sarsa",
    "S10": "figure 4 for one-step Sarsa",
    "S11": "score over the learning rate, the other three methods",
}


def curves(
    figure: str,
    *,
    game: str | None = None,
    algo: str | None = None,
    actors: int | None = None,
    optimizer: str | None = None,
) -> pl.DataFrame:
    """Curves of figure 1, 3, 4, S5, S6, S9 or S10: all, or those of one game, method, number of threads or optimizer.

    Columns: figure, game (ALE name, or TORCS' setting), algo (also `dqn` and `human`), actors, optimizer, axis (the
    unit of x: `hours`, `frames` or `rank`), x, score, low, high. No rows where the paper has no such curve.
    """
    wanted = {"game": game and _name(game), "algo": algo, "actors": actors, "optimizer": optimizer}
    return _figure("curves", figure, wanted)


def learning_rates(figure: str, *, game: str | None = None, algo: str | None = None) -> pl.DataFrame:
    """Points of figure 2 or S11, 50 a panel: figure, game (ALE name), algo, lr, score."""
    return _figure("learning_rates", figure, {"game": game and _name(game), "algo": algo})


def table(number: str) -> pl.DataFrame:
    """Table 1, 2 or S3 of the paper.

    1: method, training, mean, median (of human-normalised scores over games, percent). 2: algo, actors, speed_up (mean
    of seven games). S3: game (ALE name), title, random, human and a column for each method (raw scores from human
    starts).
    """
    tables = {"1": "table_1", "2": "table_2", "S3": "table_s3"}
    if number not in tables:
        raise ConfigError(f"There is no table {number!r} of the paper here: {', '.join(tables)}.")
    return _table(tables[number])


def no_op_scores() -> pl.DataFrame:
    """Raw scores of A3C from no-op starts, as others published them; our evaluations start with no-ops too.

    Columns: game (ALE name); `a3c_noisynet_paper`, Fortunato et al. 2018 after 320M frames; `a3c_pfrl`, the
    reproduction of PFRL (80M steps, the best of 200 evaluations).
    """
    return _table("no_op_scores")


def _figure(table: str, figure: str, wanted: dict[str, str | int | None]) -> pl.DataFrame:
    frame = _drawn(table)
    if figure not in frame["figure"]:
        there = ", ".join(frame["figure"].unique(maintain_order=True))
        raise ConfigError(f"There are no {table.replace('_', ' ')} of figure {figure!r} of the paper here: {there}.")
    for column, value in {"figure": figure, **wanted}.items():
        if value is not None:
            frame = frame.filter(pl.col(column) == value)
    return frame


def _name(env: str) -> str:
    return benchmark_game(env) or env


@cache
def _drawn(name: str) -> pl.DataFrame:
    with files("a3crs.published").joinpath("data", f"{name}.parquet").open("rb") as file:
        frame = pl.read_parquet(file)
    return frame.with_columns(pl.col("game").map_elements(_name, return_dtype=pl.String))


@cache
def _table(name: str) -> pl.DataFrame:
    with files("a3crs.published").joinpath("data", f"{name}.csv").open("rb") as file:
        return pl.read_csv(file, infer_schema_length=None)
