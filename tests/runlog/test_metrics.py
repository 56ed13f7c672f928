import polars as pl
import pytest

from a3crs.runlog import load, metrics


def test_a_curve_is_the_mean_of_the_episodes_that_ended_in_each_part(written):
    curve = metrics.curves(load.episodes(written("run")), bins=2).collect()
    assert curve.rows() == [("run", 2000.0, 1.5, 2), ("run", 4000.0, 3.5, 2)]


def test_a_part_without_an_episode_has_the_mean_of_the_part_before(written):
    long = written("long", returns=[0.0] * 8)
    rows = load.episodes([long, written("short", returns=[5.0, 7.0])])
    gap = rows.filter((pl.col("run") != "long") | pl.col("frames").is_in([1000, 8000]))
    curve = metrics.curves(gap, "frames", bins=4).collect()
    assert curve.filter(pl.col("run") == "long")["episodes"].to_list() == [1, 0, 0, 1]
    assert curve.filter(pl.col("run") == "short").rows() == [("short", 2000.0, 6.0, 2)]  # it ends where its log does


def test_curves_over_hours_have_an_axis_of_hours(written):
    curve = metrics.curves(load.episodes(written("run")), "hours", bins=4).collect()
    assert curve["hours"].to_list() == pytest.approx([0.001, 0.002, 0.003, 0.004])


def test_each_environment_has_its_own_axis(written):
    runs = [written("a", env="Pong"), written("b", env="Qbert", returns=[1.0] * 8)]
    curve = metrics.curves(load.episodes(runs, ["env"]), by=["run", "env"], per="env", bins=2).collect()
    assert curve["frames"].to_list() == [2000, 4000, 4000, 8000]


def test_a_score_is_the_mean_of_the_last_episodes(written):
    (row,) = metrics.scores(load.episodes(written("run")), last_episodes=2).collect().rows(named=True)
    assert row == {"run": "run", "score": 3.5, "stderr": 0.5, "best": 4.0, "episodes": 2}


def test_the_best_are_ranked_in_each_group():
    scores = pl.LazyFrame({"run": list("abcd"), "env": ["x", "x", "y", "y"], "score": [1.0, 2.0, 9.0, 3.0]})
    assert sorted(metrics.best(scores, 1, by="env").collect()["run"]) == ["b", "c"]
    assert metrics.best(scores, 2).collect()["run"].to_list() == ["c", "d"]
    assert metrics.ranked(scores, by="env").collect()["run"].to_list() == ["b", "a", "c", "d"]


def test_scores_over_learning_rates_have_quartiles():
    scores = pl.LazyFrame({"lr": [1.1e-4, 1.2e-4, 1.3e-4, 2e-3], "score": [0.0, 10.0, 20.0, 4.0]})
    low, high = metrics.over_learning_rates(scores, per_decade=1).collect().rows(named=True)
    assert (low["lr_low"], low["runs"], low["low"], low["median"], low["high"]) == (pytest.approx(1e-4), 3, 5, 10, 15)
    assert (high["lr_high"], high["share_of_best"]) == (pytest.approx(1e-2), pytest.approx(0.2))


def test_what_it_took_to_reach_a_threshold_is_null_where_it_was_not_reached(written):
    rows = load.progress([written("up"), written("flat", returns=[0.0] * 3)])
    reached = {row["run"]: row for row in metrics.reached(rows, 3).collect().rows(named=True)}
    assert (reached["up"]["frames"], reached["up"]["hours"]) == (3000, pytest.approx(0.003))
    assert reached["flat"]["frames"] is None


def test_speed_up_is_a_mean_over_games_that_both_reached():
    reached = pl.LazyFrame(
        {
            "env": ["x", "x", "y", "y", "z", "z"],
            "actors": [1, 4, 1, 4, 1, 4],
            "hours": [8.0, 2.0, 6.0, 3.0, None, 1.0],
        }
    )
    assert metrics.speed_up(reached).collect().rows() == [(1, 1.0, 2), (4, 3.0, 2)]


def test_the_area_is_the_mean_height_whatever_the_axis():
    curve = pl.LazyFrame({"run": "a", "frames": [0.0, 10.0, 40.0], "episode_return": [0.0, 10.0, 10.0]})
    assert metrics.area_under_curve(curve).collect()["area"].to_list() == [pytest.approx((50 + 300) / 40)]


def test_staleness_and_shares_are_weighted_by_what_each_row_covers(written):
    rows = load.progress(written("run"))
    assert metrics.staleness(rows).collect()["staleness"].to_list() == [2.5]
    shares = metrics.time_shares(rows).collect()
    assert shares.select(metrics.SHARES).row(0) == pytest.approx((0.5, 0.25, 0.125, 0.125, 0.0))


def test_what_a_run_cost(written):
    (row,) = metrics.cost(load.progress(written("run"))).collect().rows(named=True)
    assert (row["frames"], row["hours"], row["frames_per_sec"]) == (
        4000,
        pytest.approx(0.004),
        pytest.approx(4000 / 14.4),
    )


def test_whole_returns_have_whole_bins(written):
    bins = metrics.histogram(load.episodes(written("run", returns=[-21.0, -21.0, -20.0, 21.0]))).collect()
    assert bins["episodes"].sum() == 4
    assert bins["share"].sum() == pytest.approx(1)
    assert bins["low"][0] == -21.5
    assert set(bins["high"] - bins["low"]) == {2.0}


def progress_of(run, env, points, **columns):
    """Returns rows of a run at these frames, with columns of a value or a list."""
    return pl.DataFrame(
        {"frames": points, "run": run, "env": env} | columns, schema_overrides={"approx_kl": pl.Float64}
    )


def test_measures_are_means_in_equal_parts_of_the_axis():
    rows = progress_of("a", "Pong", [10, 20, 30, 40], value_loss=[1.0, 3.0, 5.0, None], approx_kl=None)
    found = metrics.measures(rows.lazy(), ["value_loss", "approx_kl"], bins=2).collect()
    assert found.rows() == [("a", "value_loss", 20.0, 2.0), ("a", "value_loss", 40.0, 5.0)]
    assert found.columns == ["run", "measure", "frames", "value"]


def test_a_method_has_no_row_of_a_measure_that_it_lacks():
    rows = pl.concat(
        [
            progress_of("a", "Pong", [10], value_loss=1.0, approx_kl=None),
            progress_of("b", "Pong", [20], value_loss=2.0, approx_kl=0.5),
        ]
    )
    found = metrics.measures(rows.lazy(), ["value_loss", "approx_kl"], bins=2).collect()
    assert found.rows() == [
        ("a", "value_loss", 10.0, 1.0),
        ("b", "approx_kl", 20.0, 0.5),
        ("b", "value_loss", 20.0, 2.0),
    ]


def test_measures_of_runs_of_a_label_are_averaged_and_environments_have_axes_of_their_own():
    rows = pl.concat(
        [
            progress_of("a", "Pong", [0, 10], value_loss=[9.0, 1.0]),  # nothing has been learned from at 0
            progress_of("b", "Pong", [10], value_loss=3.0),
            progress_of("c", "Doom", [1000], value_loss=4.0),
        ]
    )
    found = metrics.measures(rows.lazy(), ["value_loss"], by="env", per="env", bins=1).collect()
    assert found.rows() == [("Doom", "value_loss", 1000.0, 4.0), ("Pong", "value_loss", 10.0, 2.0)]


def test_measures_over_hours_and_of_no_rows():
    rows = progress_of("a", "Pong", [10, 20], secs=[1800.0, 3600.0], entropy=[1.0, 0.5]).lazy()
    assert metrics.measures(rows, ["entropy"], "hours", bins=2).collect()["hours"].to_list() == [0.5, 1.0]
    assert metrics.measures(rows.filter(pl.col("frames") > 99), ["entropy"]).collect().is_empty()
