import numpy as np
import polars as pl
import pytest

from a3crs.errors import ConfigError
from a3crs.runlog import intervals


def test_the_interquartile_mean_leaves_out_the_best_and_the_worst_quarter():
    assert intervals.iqm(np.array([-1000.0, 1.0, 2.0, 1000.0])) == 1.5
    assert intervals.iqm(np.array([1.0, 2.0, 9.0])) == 4.0


def test_a_single_run_has_no_interval_and_equal_runs_one_of_no_width():
    frame = pl.LazyFrame({"label": ["a", "b", "b"], "score": [3.0, 5.0, 5.0]})
    rows = intervals.across_runs(frame, "score", by="label").collect().rows()
    assert rows == [("a", 3.0, None, None, 1), ("b", 5.0, 5.0, 5.0, 2)]


def test_the_interval_covers_as_often_as_it_says():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(200, 30))
    frame = pl.LazyFrame({"trial": np.repeat(np.arange(200), 30), "score": values.ravel()})
    rows = intervals.across_runs(frame, "score", by="trial", statistic="mean", resamples=300).collect()
    covered = ((rows["low"] < 0) & (rows["high"] > 0)).mean()
    assert 0.88 < covered < 0.99  # percentile intervals of 30 values are a little narrow


def test_strata_keep_their_number_of_runs():
    frame = pl.LazyFrame({"env": ["x", "x", "y", "y"], "score": [0.0, 0.0, 10.0, 10.0]})
    across = {"statistic": "mean", "resamples": 200}
    assert intervals.across_runs(frame, "score", strata="env", **across).collect().rows() == [(5.0, 5.0, 5.0, 4)]
    ((_, low, high, _),) = intervals.across_runs(frame, "score", **across).collect().rows()
    assert low < 5 < high


def test_an_unknown_statistic_is_refused():
    with pytest.raises(ConfigError, match="statistic is 'mode', but it must be one of iqm, median, mean"):
        intervals.across_runs(pl.LazyFrame({"score": [1.0]}), "score", statistic="mode")
