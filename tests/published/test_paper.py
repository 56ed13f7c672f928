import polars as pl
import pytest

from a3crs.errors import ConfigError
from a3crs.published import paper
from a3crs.runlog import references


def test_every_figure_is_whole():
    points = {figure: paper.curves(figure).height for figure in ("1", "3", "4", "S5", "S6", "S9", "S10")}
    assert points == {"1": 400, "3": 3750, "4": 1200, "S5": 1200, "S6": 960, "S9": 1250, "S10": 400}
    assert [paper.learning_rates(figure).height for figure in ("2", "S11")] == [5 * 50, 15 * 50]
    assert len(points) + 2 == len(paper.FIGURES)


def test_a_curve_of_the_paper_has_its_values():
    curve = paper.curves("1", game="ALE/Pong-v5", algo="a3c")
    assert curve["x"].to_list() == list(range(16))
    assert curve["score"][15] == pytest.approx(20.8, abs=0.1)
    assert paper.curves("3", game="Breakout", algo="a3c", actors=16)["x"].max() == 49 * 4_000_000
    assert paper.curves("1", game="Pong", algo="ppo").is_empty()


def test_figure_2_has_fifty_learning_rates_a_game():
    points = paper.learning_rates("2", game="Pong")
    assert (points.height, points["lr"].n_unique()) == (50, 50)
    assert points.sort("score")["lr"][-1] == pytest.approx(7.4e-4, rel=0.01)


def test_what_is_not_there_is_said():
    with pytest.raises(ConfigError, match="figure '7'"):
        paper.curves("7")
    with pytest.raises(ConfigError, match="table '4'"):
        paper.table("4")


def test_table_2_is_that_of_the_paper():
    a3c = paper.table("2").filter(pl.col("algo") == "a3c")
    assert a3c["speed_up"].to_list() == [1.0, 2.1, 3.7, 6.9, 12.5]


@pytest.mark.parametrize("method", ["ddqn", "dueling", "prioritized", "a3c_ff_1day", "a3c_ff", "a3c_lstm"])
def test_the_published_scores_give_the_published_means_and_medians(method):
    scores = paper.table("S3").lazy().select(env="game", score=method)
    percent = references.human_normalised(scores, starts="human").collect()["human_normalised"]
    mean, median = paper.table("1").filter(pl.col("method") == method).select("mean", "median").row(0)
    assert percent.len() == 57
    assert percent.mean() == pytest.approx(mean, abs=0.2)
    assert percent.median() == pytest.approx(median, abs=0.2)


def test_our_own_scores_are_normalised_by_no_op_references():
    scores = pl.LazyFrame({"env": ["Pong", "CartPole-v1"], "score": [-20.7, 1.0]})
    assert references.human_normalised(scores).collect()["human_normalised"].to_list() == [pytest.approx(0.0), None]
