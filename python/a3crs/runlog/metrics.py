"""Metrics of runs: functions from lazy frames to lazy frames, without drawing.

`episodes` and `progress` are frames from `load`. `by` names the columns whose values distinguish the groups, among
them `run` and the settings asked of `load`. An axis `x` is `steps`, `frames` or `hours`.
"""

from collections.abc import Sequence

import polars as pl

Columns = str | Sequence[str]


def curves(
    episodes: pl.LazyFrame, x: str = "frames", *, by: Columns = "run", per: Columns = (), bins: int = 100
) -> pl.LazyFrame:
    """Returns learning curves: the mean return of the episodes that ended in each of `bins` equal parts of the axis.

    Columns: `by`, x (the end of the part), episode_return, episodes (0 where none ended in the part; its mean is then
    that of the part before). The axis reaches to the longest run, or to the longest of each group of `per`, such as
    `env`.
    """
    keys, groups = _names(by), _names(per)
    measured = episodes.select(
        *keys, *(name for name in groups if name not in keys), _axis(x).alias("_x"), "episode_return"
    )
    ends = _over(episodes.select(*groups, _x=_axis(x)), groups, _end=pl.col("_x").max())
    part = (pl.col("_x") * bins / pl.col("_end")).ceil().clip(1, bins).cast(pl.Int64)
    means = (
        _with(measured, ends, groups)
        .group_by(*keys, *(name for name in groups if name not in keys), part.alias("_part"))
        .agg(pl.mean("episode_return"), episodes=pl.len(), _end=pl.first("_end"))
    )
    whole = (
        means.group_by(*keys)
        .agg(pl.first("_end"), pl.int_ranges(pl.min("_part"), pl.max("_part") + 1).first().alias("_part"))
        .explode("_part")
    )
    filled = (
        whole.join(means.drop("_end"), on=[*keys, "_part"], how="left", nulls_equal=True)
        .sort(*keys, "_part")
        .with_columns(pl.col("episode_return").forward_fill().over(keys), pl.col("episodes").fill_null(0))
    )
    return filled.select(*keys, (pl.col("_part") * pl.col("_end") / bins).alias(x), "episode_return", "episodes")


def scores(episodes: pl.LazyFrame, *, by: Columns = "run", last_episodes: int = 100) -> pl.LazyFrame:
    """Returns final scores: the mean return of each group's last 100 episodes.

    Columns: `by`, score, stderr (of the mean; null for a single episode), best (of the same episodes), episodes (their
    number).
    """
    last = pl.col("episode_return").tail(last_episodes)
    stderr = last.std() / last.len().sqrt()
    each = episodes.group_by(*_names(by))
    return each.agg(score=last.mean(), stderr=stderr, best=last.max(), episodes=last.len()).sort(*_names(by))


def best(scores: pl.LazyFrame, k: int, *, by: Columns = (), score: str = "score") -> pl.LazyFrame:
    """Returns the k best rows of each group: the paper's curves are of the best 3 or 5 of 50 learning rates.

    Select their curves with `curves.join(best, on="run", how="semi")`.
    """
    place = pl.col(score).rank("ordinal", descending=True)
    return scores.filter((place.over(_names(by)) if by else place) <= k)


def ranked(scores: pl.LazyFrame, *, by: Columns = (), score: str = "score") -> pl.LazyFrame:
    """Adds `rank`, 1 for the best score of each group, and sorts by it: the axis of figure S5."""
    place = pl.col(score).rank("ordinal", descending=True).cast(pl.Int64)
    return scores.with_columns(rank=place.over(_names(by)) if by else place).sort(*_names(by), "rank")


def over_learning_rates(scores: pl.LazyFrame, *, by: Columns = (), per_decade: int = 4) -> pl.LazyFrame:
    """Returns the distribution of scores over learning rates, in equal parts of their logarithm.

    Columns: `by`, lr_low, lr_high, runs, low, median, high (quartiles of the score), share_of_best (the position of the
    median between the worst score of the group and its best, 0..1).
    """
    keys = _names(by)
    part = (pl.col("lr").log10() * per_decade).floor()
    ends = _over(scores, keys, _worst=pl.col("score").min(), _best=pl.col("score").max())
    span = pl.col("_best") - pl.col("_worst")
    quartiles = {"low": 0.25, "median": 0.5, "high": 0.75}
    return (
        scores.group_by(*keys, _part=part)
        .agg(runs=pl.len(), **{name: pl.col("score").quantile(q, "linear") for name, q in quartiles.items()})
        .pipe(_with, ends, keys)
        .sort(*keys, "_part")
        .select(
            *keys,
            lr_low=10 ** (pl.col("_part") / per_decade),
            lr_high=10 ** ((pl.col("_part") + 1) / per_decade),
            runs="runs",
            low="low",
            median="median",
            high="high",
            share_of_best=pl.when(span > 0).then((pl.col("median") - pl.col("_worst")) / span),
        )
    )


def reached(progress: pl.LazyFrame, threshold: float | pl.Expr, *, by: Columns = "run") -> pl.LazyFrame:
    """Returns the steps, frames and hours until the mean of the last 100 episodes first reached the threshold.

    Columns: `by`, threshold, steps, frames, hours; these three are null where it never did. The threshold may be an
    expression, so that each environment has its own.
    """
    limit = pl.lit(threshold, pl.Float64) if isinstance(threshold, (int, float)) else threshold
    first = pl.col("steps", "frames", "hours").filter(pl.col("return_mean_100") >= limit).first()
    rows = progress.with_columns(_axis("hours").alias("hours"), threshold=limit)
    return rows.group_by(*_names(by)).agg(pl.first("threshold"), first)


def halfway(per: Columns = "env") -> pl.Expr:
    """Returns a threshold for `reached`: halfway from the worst mean of 100 episodes to the best of each group."""
    mean = pl.col("return_mean_100")
    return ((mean.min() + mean.max()) / 2).over(_names(per))


def speed_up(reached: pl.LazyFrame, x: str = "hours", *, by: Columns = (), games: str = "env") -> pl.LazyFrame:
    """Returns table 2: the speed-up over one actor until the same score is reached, as a mean over games.

    Needs the columns `actors`, `games` and x (steps and frames measure data, hours time). Runs of the same game and
    number of actors are averaged; those that never reached the score are left out. Columns: `by`, actors, speed_up,
    games (the number of games in which both reached it, one actor and this number of actors).
    """
    keys = [*_names(by), games]
    times = reached.group_by(*keys, "actors").agg(pl.mean(x))
    alone = times.filter(pl.col("actors") == 1).select(*keys, _alone=x)
    return (
        times.join(alone, on=keys, nulls_equal=True)
        .with_columns(speed_up=pl.col("_alone") / pl.col(x))
        .group_by(*_names(by), "actors")
        .agg(pl.mean("speed_up"), pl.col("speed_up").count().alias("games"))
        .sort(*_names(by), "actors")
    )


def area_under_curve(curves: pl.LazyFrame, x: str = "frames", *, by: Columns = "run") -> pl.LazyFrame:
    """Returns the mean height of each curve, by the trapezoid rule: it has the unit of the score on any axis.

    Columns: `by`, area. The area of a curve of a single point is its height.
    """
    ordered = curves.sort(x).group_by(*_names(by), maintain_order=True)
    width, y = pl.col(x).diff(), pl.col("episode_return")
    span = pl.col(x).last() - pl.col(x).first()
    mean = (width * (y + y.shift()) / 2).sum() / span
    return ordered.agg(area=pl.when(span > 0).then(mean).otherwise(y.first()))


def measures(
    progress: pl.LazyFrame,
    columns: Sequence[str],
    x: str = "frames",
    *,
    by: Columns = "run",
    per: Columns = (),
    bins: int = 60,
) -> pl.LazyFrame:
    """Returns curves of columns of the progress: their means in each of `bins` equal parts of the axis.

    Columns: `by`, measure (the column's name), x (the end of the part), value. There is no row where a column is null
    in the whole part, as one is that the method does not have. The axis reaches as far as that of `curves`.
    """
    keys, groups = _names(by), _names(per)
    further = [name for name in groups if name not in keys]
    measured = progress.select(*keys, *further, *columns, _axis(x).alias("_x")).filter(pl.col("_x") > 0)
    ends = _over(measured, groups, _end=pl.col("_x").max())
    part = (pl.col("_x") * bins / pl.col("_end")).ceil().clip(1, bins)
    means = _with(measured, ends, groups).group_by(*keys, *further, "_end", part.alias("_part"))
    ended = (pl.col("_part") * pl.col("_end") / bins).alias("_x")
    return (
        means.agg(pl.col(*columns).mean())
        .select(*keys, *columns, ended)
        .unpivot(columns, index=[*keys, "_x"], variable_name="measure")
        .drop_nulls("value")
        .sort(*keys, "measure", "_x")
        .select(*keys, "measure", pl.col("_x").alias(x), "value")
    )


def staleness(progress: pl.LazyFrame, *, by: Columns = "run") -> pl.LazyFrame:
    """Returns the number of updates by others between an actor's pull and its push.

    Columns: `by`, staleness (mean of all updates), median, high (95th percentile), the last two of the progress rows.
    """
    rows, number = _since_the_row_before(progress, "updates"), pl.col("staleness")
    known = rows.filter(number.is_not_null() & (pl.col("_since") > 0))
    mean = (number * pl.col("_since")).sum() / pl.col("_since").sum()
    each = known.group_by(*_names(by))
    return each.agg(staleness=mean, median=number.median(), high=number.quantile(0.95, "linear")).sort(*_names(by))


SHARES = ("share_env", "share_forward", "share_backward", "share_update", "share_waiting")


def time_shares(progress: pl.LazyFrame, *, by: Columns = "run") -> pl.LazyFrame:
    """Returns the shares of the cores' time over the whole run: `by` and the five shares, 0..1, which add up to 1."""
    rows = _since_the_row_before(progress, "secs")
    means = [((pl.col(share) * pl.col("_since")).sum() / pl.col("_since").sum()).alias(share) for share in SHARES]
    return rows.group_by(*_names(by)).agg(means)


def cost(progress: pl.LazyFrame, *, by: Columns = "run") -> pl.LazyFrame:
    """Returns the length of each run so far: `by`, steps, frames, hours, frames_per_sec."""
    rows = progress.with_columns(_axis("hours").alias("hours"))
    return rows.group_by(*_names(by)).agg(
        pl.col("steps", "frames", "hours").max(), frames_per_sec=pl.col("frames").max() / pl.col("secs").max()
    )


def histogram(episodes: pl.LazyFrame, *, by: Columns = (), per: Columns = (), bins: int = 40) -> pl.LazyFrame:
    """Returns the distribution of returns: `by`, low, high (of a bin of returns), episodes, share (of the group, 0..1).

    Bins are the same for all groups, or within each group of `per`. Bins have a whole width if all returns are whole
    numbers.
    """
    keys, groups = _names(by), _names(per)
    returns = pl.col("episode_return")
    ends = _over(episodes, groups, _low=returns.min(), _high=returns.max(), _whole=(returns == returns.round()).all())
    width = (pl.col("_high") - pl.col("_low")) / bins
    whole_width = pl.max_horizontal(((pl.col("_high") - pl.col("_low") + 1) / bins).ceil(), 1.0)
    ends = ends.with_columns(_width=pl.when("_whole").then(whole_width).otherwise(width))
    ends = ends.with_columns(pl.when(pl.col("_width") > 0).then("_width").otherwise(1.0).alias("_width"))
    last = pl.when("_whole").then(pl.lit(bins)).otherwise(bins - 1)  # the highest return belongs to the last bin
    part = ((returns - pl.col("_low")) / pl.col("_width")).floor().clip(0, last)
    low = pl.col("_low") + pl.col("_part") * pl.col("_width") - pl.when("_whole").then(0.5).otherwise(0.0)
    counted = (
        _with(episodes, ends, groups)
        .group_by(*keys, *(name for name in groups if name not in keys), part.alias("_part"))
        .agg(pl.first("_low", "_width", "_whole"), episodes=pl.len())
    )
    share = pl.col("episodes") / (pl.col("episodes").sum().over(keys) if keys else pl.col("episodes").sum())
    return counted.sort(*keys, "_part").select(
        *keys, low=low, high=low + pl.col("_width"), episodes="episodes", share=share
    )


def _names(columns: Columns) -> list[str]:
    return [columns] if isinstance(columns, str) else list(columns)


def _axis(x: str) -> pl.Expr:
    return pl.col("secs") / 3600 if x == "hours" else pl.col(x)


def _over(frame: pl.LazyFrame, groups: list[str], **ends: pl.Expr) -> pl.LazyFrame:
    return frame.group_by(groups).agg(**ends) if groups else frame.select(**ends)


def _with(frame: pl.LazyFrame, ends: pl.LazyFrame, groups: list[str]) -> pl.LazyFrame:
    return frame.join(ends, on=groups, how="left", nulls_equal=True) if groups else frame.join(ends, how="cross")


def _since_the_row_before(progress: pl.LazyFrame, column: str) -> pl.LazyFrame:
    """Adds `_since`: the column's increase since the run's previous row, which is the weight of the row's means."""
    before = pl.col(column).shift(fill_value=0).over("run")
    return progress.with_columns(_since=(pl.col(column) - before).clip(0))
