"""Scores of several runs as one figure with its uncertainty, as Agarwal et al. 2021 recommend.

The interquartile mean (IQM) leaves out the best and the worst quarter of the runs. The interval is a percentile
bootstrap that resamples runs within each stratum (each environment), as many as there are.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from a3crs.errors import ConfigError

Floats = NDArray[np.float64]


def iqm(values: Floats) -> Floats:
    """Returns the mean of the middle half along the last axis; of fewer than four values, the mean of all."""
    count = values.shape[-1]
    cut = count // 4
    middle = np.sort(values, axis=-1)[..., cut : count - cut]
    result: Floats = middle.mean(axis=-1)
    return result


STATISTICS: dict[str, Callable[[Floats], Any]] = {
    "iqm": iqm,
    "median": lambda values: np.median(values, axis=-1),
    "mean": lambda values: values.mean(axis=-1),
}


def across_runs(
    frame: pl.LazyFrame,
    value: str,
    *,
    by: str | Sequence[str] = (),
    strata: str | None = None,
    statistic: str = "iqm",
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> pl.LazyFrame:
    """Returns a row for each group, over the rows (one a run) that have a value.

    Columns: `by`, the value (their `iqm`, `median` or `mean`), low, high (its confidence interval; null for a single
    run), runs. `strata` is the column within which runs are resampled; scores of several environments should be
    normalised before.
    """
    if statistic not in STATISTICS:
        raise ConfigError(f"statistic is {statistic!r}, but it must be one of {', '.join(STATISTICS)}.")
    keys = [by] if isinstance(by, str) else list(by)
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    of = STATISTICS[statistic]

    def summarise(columns: Sequence[pl.Series]) -> pl.Series:
        values = columns[0].cast(pl.Float64).to_numpy()
        if not values.size:  # Polars calls this without rows to learn the result's type
            return pl.Series([None], dtype=summary)
        groups = [np.arange(values.size)] if strata is None else _indices(columns[1])
        drawn = _resampled(values, groups, resamples, np.random.default_rng(seed))
        low, high = np.quantile(of(drawn), tails) if values.size > 1 else (None, None)
        return pl.Series([{value: float(of(values)), "low": low, "high": high, "runs": values.size}], dtype=summary)

    summary = pl.Struct({value: pl.Float64, "low": pl.Float64, "high": pl.Float64, "runs": pl.Int64})
    inputs = [value] if strata is None else [value, strata]
    whole = pl.map_groups(inputs, summarise, return_dtype=summary, returns_scalar=True).alias("_summary")
    known = frame.filter(pl.col(value).is_not_null())
    constant = [] if keys else [pl.lit(0).alias("_all")]
    rows = known.group_by(*keys, *constant, maintain_order=True).agg(whole).unnest("_summary")
    return rows.sort(*keys) if keys else rows.drop("_all")


def _indices(strata: pl.Series) -> list[NDArray[np.int64]]:
    codes = strata.rank("dense").to_numpy()
    return [np.flatnonzero(codes == code) for code in np.unique(codes)]


def _resampled(values: Floats, groups: list[Any], resamples: int, rng: np.random.Generator) -> Floats:
    """Returns (resamples, len(values)): each row draws from every group as many values as the group has."""
    drawn = [values[group[rng.integers(group.size, size=(resamples, group.size))]] for group in groups]
    return np.concatenate(drawn, axis=1)
