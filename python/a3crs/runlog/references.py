"""Human-normalised scores: 0 % is a random player's score, 100 % a professional human tester's (section 5.1)."""

from typing import Literal

import polars as pl

from a3crs.published import paper
from a3crs.published.atari57 import references
from a3crs.published.games import benchmark_game

Starts = Literal["no-op", "human"]


def of_games(starts: Starts = "no-op") -> pl.DataFrame:
    """Returns the random and human raw scores of the paper's 57 games: game (ALE name), random, human.

    Games of our evaluations start with no-ops; those of the paper's tables start from states that a human had reached.
    The random score of Video Pinball counts as 0 with both: the published ones are close to the human scores, so the
    formula would divide by almost nothing, and the paper's table 1 is reproduced with a 0 there.
    """
    if starts == "no-op":
        rows = [(game, reference.random, reference.human) for game, reference in references().items()]
        return pl.DataFrame(rows, schema={"game": pl.String, "random": pl.Float64, "human": pl.Float64}, orient="row")
    at_random = pl.when(pl.col("game") == "video_pinball").then(0.0).otherwise(pl.col("random"))
    return paper.table("S3").select("game", random=at_random, human="human")


def human_normalised(
    scores: pl.LazyFrame, score: str = "score", *, game: str = "env", starts: Starts = "no-op"
) -> pl.LazyFrame:
    """Adds `human_normalised`, percent; null where `game`, a column of names in any spelling, is not one of the 57."""
    names = pl.col(game).map_elements(benchmark_game, return_dtype=pl.String, skip_nulls=True)
    known = of_games(starts).lazy().rename({"game": "_game", "random": "_random", "human": "_human"})
    percent = 100 * (pl.col(score) - pl.col("_random")) / (pl.col("_human") - pl.col("_random"))
    joined = scores.with_columns(_game=names).join(known, on="_game", how="left", maintain_order="left")
    return joined.with_columns(human_normalised=percent).drop("_game", "_random", "_human")
