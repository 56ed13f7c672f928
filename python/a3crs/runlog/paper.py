"""The paper's own figures and tables, in our names, to set beside a run of ours.

`curves("3", game="Pong", algo="a3c", actors=16)` has the curve as the paper's PDF draws it. What the paper does not say
is how its scores were measured, nor what its shaded bands (`low`, `high`) mean.
"""

from functools import cache
from importlib.resources import files

import polars as pl

from a3crs.errors import ConfigError

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


def game(env: str) -> str | None:
    """The ALE name of one of the paper's 57 games in any spelling of ours or the paper's: `ALE/Pong-v5` is `pong`.

    None where it is none of them.
    """
    name = env.removeprefix("ALE/").split("-v")[0].removesuffix("NoFrameskip").removesuffix("Deterministic")
    return _games().get(_letters(name))


def title(env: str) -> str:
    """The name of a game as the paper's tables print it; that of any other environment as it is."""
    known = game(env)
    return env if known is None else dict(_table("table_s3").select("game", "title").iter_rows())[known]


def curves(
    figure: str,
    *,
    game: str | None = None,
    algo: str | None = None,
    actors: int | None = None,
    optimizer: str | None = None,
) -> pl.DataFrame:
    """The curves of figure 1, 3, 4, S5, S6, S9 or S10, or those of one game, method, number of threads, optimizer.

    Columns: figure, game (ALE name, or TORCS' setting), algo (also `dqn` and `human`), actors, optimizer, axis (what x
    is: `hours`, `frames` or `rank`), x, score, low, high. No rows where the paper has no such curve.
    """
    wanted = {"game": _name(game), "algo": algo, "actors": actors, "optimizer": optimizer}
    return _figure("curves", figure, wanted)


def learning_rates(figure: str, *, game: str | None = None, algo: str | None = None) -> pl.DataFrame:
    """The 50 points a panel of figure 2 or S11: figure, game (ALE name), algo, lr, score."""
    return _figure("learning_rates", figure, {"game": _name(game), "algo": algo})


def table(number: str) -> pl.DataFrame:
    """Table 1, 2 or S3.

    1: method, training, mean, median (of human-normalised scores over games, percent). 2: algo, actors, speed_up (mean
    of seven games). S3: game (ALE name), title, random, human and a column for each method (raw scores from human
    starts).
    """
    tables = {"1": "table_1", "2": "table_2", "S3": "table_s3"}
    if number not in tables:
        raise ConfigError(f"There is no table {number!r} of the paper here: {', '.join(tables)}.")
    return _table(tables[number])


def no_op_scores() -> pl.DataFrame:
    """A3C from no-op starts, as our evaluations have them: game (ALE name) and raw scores that others published.

    `a3c_noisynet_paper` is Fortunato et al. 2018 after 320M frames, `a3c_pfrl` the reproduction of PFRL (80M steps, the
    best of 200 evaluations).
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


def _name(env: str | None) -> str | None:
    return None if env is None else game(env) or env


def _letters(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())


@cache
def _games() -> dict[str, str]:
    names = _table("table_s3").select("game", "title")
    return {_letters(spelling): name for name, title in names.iter_rows() for spelling in (name, title)}


@cache
def _drawn(name: str) -> pl.DataFrame:
    with files("a3crs.runlog").joinpath("data", f"{name}.parquet").open("rb") as file:
        frame = pl.read_parquet(file)
    return frame.with_columns(pl.col("game").map_elements(lambda panel: game(panel) or panel, return_dtype=pl.String))


@cache
def _table(name: str) -> pl.DataFrame:
    with files("a3crs.runlog").joinpath("data", f"{name}.csv").open("rb") as file:
        return pl.read_csv(file, infer_schema_length=None)
