from itertools import pairwise

import polars as pl
import pytest

from a3crs.errors import ConfigError
from a3crs.published import paper
from a3crs.runlog import drawing, figures, load, metrics
from a3crs.runlog.labels import MEASURES, by_numbers
from a3crs.runlog.schema import PROGRESS

PNG = b"\x89PNG\r\n\x1a\n"


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_learning_curves_are_drawn_before_the_papers_own(written):
    runs = [written("a", env="Pong"), written("b", env="CartPole-v1"), written("c", env="Pong")]
    curves = metrics.curves(load.episodes(runs, ["env"]), by=["run", "env"], per="env", bins=4)
    against = paper.curves("3", algo="a3c", actors=16)
    figure = figures.learning_curves(curves, label="run", panel="env", against=against)
    assert [axes.get_title() for axes in figure.axes] == ["CartPole-v1", "Pong"]
    assert legend(figure) == ["a", "b", "c", "paper: a3c, 16 threads"]
    assert [len(axes.lines) for axes in figure.axes] == [1, 3]
    assert figure._repr_png_().startswith(PNG)


@pytest.mark.parametrize("hours", [0.006, 0.0345, 0.06, 0.24, 1.2, 24.0])
def test_hours_beside_one_another_are_apart(hours):
    curves = pl.DataFrame({"env": ["Pong", "Pong", "Seaquest", "Seaquest"], "hours": [0.0, hours] * 2})
    curves = curves.with_columns(run=pl.lit("a"), episode_return=1.0)
    against = paper.curves("1", algo="a3c")  # its legend takes space
    figure = figures.learning_curves(curves, "hours", label="run", panel="env", against=against)
    figure.canvas.draw()
    for axes in figure.axes:
        shown = [text.get_window_extent() for text in axes.get_xticklabels() if text.get_text()]
        shown = [box for box in shown if box.x1 > axes.bbox.x0 and box.x0 < axes.bbox.x1]
        assert len(shown) > 2
        assert all(right.x0 - left.x1 > left.width / 2 for left, right in pairwise(shown))


def test_learning_rates_are_on_a_logarithmic_axis():
    scores = pl.DataFrame({"algo": "a3c", "env": "Pong", "lr": [1e-4, 1e-3], "score": [-21.0, 20.0]})
    figure = figures.learning_rates(scores, panel="env", against=paper.learning_rates("2"))
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    assert [len(points.get_offsets()) for points in axes.collections] == [50, 2]
    assert figure._repr_png_().startswith(PNG)


@pytest.mark.parametrize(("highest", "scales"), [(849.0, 1), (200.0, 1), (30.0, 2), (1.2, 2)])
def test_the_papers_scores_have_a_scale_of_their_own_where_ours_would_look_alike(highest, scales):
    scores = pl.DataFrame({"algo": "a3c", "env": "Breakout", "lr": [1e-4, 1e-3], "score": [1.2, highest]})
    ranked = pl.DataFrame({"optimizer": "rmsprop", "env": "Breakout", "rank": [1, 2], "score": [highest, 1.2]})
    for figure, count in (
        (figures.learning_rates(scores, panel="env", against=paper.learning_rates("2")), 1),
        (figures.optimizers(ranked, panel="env", against=paper.curves("S5", algo="a3c")), 3),
    ):
        ours, *beside = figure.axes
        assert len(figure.axes) == scales
        assert [axes.get_ylabel() for axes in beside] == ["the paper's score"] * len(beside)
        assert all(ours.get_zorder() > axes.get_zorder() for axes in beside)
        assert len([entry for entry in legend(figure) if entry.startswith("paper: a3c")]) == count
        assert (ours.get_ylim()[1] < 40) == (scales == 2)


def test_scaling_and_optimizers_and_returns_and_time_are_drawn(written):
    speed_up = pl.DataFrame({"algo": "a3c", "actors": [1, 2], "speed_up": [1.0, 1.8]})
    scores = pl.DataFrame({"optimizer": ["rmsprop"] * 3, "env": "Breakout", "score": [1.0, 3.0, 2.0]}).lazy()
    run = written("run")
    drawn = [
        figures.scaling(speed_up, against=paper.table("2")),
        figures.optimizers(metrics.ranked(scores), panel="env", against=paper.curves("S5", algo="a3c")),
        figures.returns(metrics.histogram(load.episodes(run), by="run")),
        figures.time_shares(metrics.time_shares(load.progress(run))),
    ]
    for figure in drawn:
        assert figure._repr_png_().startswith(PNG)
    assert "paper: a3c" in legend(drawn[0])
    assert "paper: a3c, shared-rmsprop, 16 threads" in legend(drawn[1])


def test_measures_have_a_panel_each_in_the_order_of_their_names():
    measured = pl.DataFrame(
        {
            "run": ["a", "a", "b", "b"],
            "measure": ["value_loss", "value_loss", "value_loss", "approx_kl"],
            "frames": [10.0, 20.0, 20.0, 20.0],
            "value": [1.0, 2.0, 3.0, 0.5],
        }
    )
    figure = figures.measures(measured)
    assert [axes.get_title() for axes in figure.axes] == [MEASURES["value_loss"], MEASURES["approx_kl"]]
    assert [len(axes.lines) for axes in figure.axes] == [2, 1]
    assert figure.axes[0].lines[1].get_color() == figure.axes[1].lines[0].get_color()  # those of b
    assert legend(figure) == ["a", "b"]
    assert figure._repr_png_().startswith(PNG)


def test_measures_are_columns_of_the_log():
    assert MEASURES.keys() <= PROGRESS.keys()


def test_the_papers_curve_ends_where_ours_do():
    ours = pl.DataFrame({"run": "a", "env": "Pong", "frames": [1e6, 6e6], "episode_return": [-20.5, -20.0]})
    against = paper.curves("3", algo="a3c", actors=16)
    (axes,) = figures.learning_curves(ours, panel="env", against=against).axes
    theirs = against.filter(pl.col("game") == "pong").sort("x")
    before, after = theirs.filter(pl.col("x") <= 6e6).tail(1), theirs.filter(pl.col("x") > 6e6).head(1)
    x, y = (list(axis)[-1] for axis in axes.lines[0].get_data())
    assert x == pytest.approx(6e6)
    assert min(before["score"].item(), after["score"].item()) < y < max(before["score"].item(), after["score"].item())
    assert axes.get_ylim()[1] < -15


def test_returns_have_the_colours_of_their_labels_in_every_panel():
    bins = pl.DataFrame({"env": ["A", "B", "B"], "run": ["y", "x", "y"], "low": 0.0, "high": 1.0, "share": 1.0})
    left, right = figures.returns(bins, panel="env").axes
    colours = {line.get_label(): line.get_color() for line in right.lines}
    assert [(line.get_label(), line.get_color()) for line in left.lines] == [("y", colours["y"])]
    assert colours["x"] != colours["y"]


def test_a_histogram_goes_down_where_bars_are_missing():
    bins = pl.DataFrame({"run": "x", "low": [0.0, 1.0, 5.0], "high": [1.0, 2.0, 6.0], "share": [0.2, 0.3, 0.5]})
    (axes,) = figures.returns(bins).axes
    points = list(zip(*(axis.tolist() for axis in axes.lines[0].get_data()), strict=True))
    assert points[:6] == [(0, 0), (0, 20), (1, 20), (1, 30), (2, 30), (2, 0)]
    assert points[6:] == [(5, 0), (5, 50), (6, 50), (6, 0)]


def test_labels_stand_in_the_order_of_their_numbers():
    labels = ["a3c, actors 16", "a3c, actors 2", None, "a3c, lr 0.001", "a3c, lr 7e-05", "a3c, actors 2, x"]
    expected = [None, "a3c, actors 2", "a3c, actors 2, x", "a3c, actors 16", "a3c, lr 7e-05", "a3c, lr 0.001"]
    assert sorted(labels, key=by_numbers) == expected
    assert sorted([10, 2.5, None], key=by_numbers) == [None, 2.5, 10]


def test_the_only_label_stands_in_every_title():
    ranked = pl.DataFrame({"env": ["A", "B"], "optimizer": "rmsprop", "rank": 1, "score": 1.0})
    figure = figures.optimizers(ranked, panel="env")
    assert [axes.get_title() for axes in figure.axes] == ["A · rmsprop", "B · rmsprop"]
    figure._repr_png_()
    assert all(float(tick).is_integer() for axes in figure.axes for tick in axes.get_xticks())


def test_many_labels_share_a_legend_that_fits(written):
    curves = pl.DataFrame({"lr": [i / 1000 for i in range(50)], "frames": 1.0, "episode_return": 1.0})
    figure = figures.learning_curves(curves, label="lr")
    assert len(legend(figure)) == drawing.LEGEND_ROWS
    assert figure.legends[0].get_title().get_text() == "12 of 50"


def test_nothing_to_draw_is_said(written):
    with pytest.raises(ConfigError, match="nothing to draw yet"):
        figures.learning_curves(metrics.curves(load.episodes(written("run", returns=[]))))
