import json

import pytest

from a3crs.errors import ConfigError
from a3crs.paper import experiment
from a3crs.paper.definition import FinishedRuns
from a3crs.paper.scale import Scale
from a3crs.published import paper
from a3crs.runlog.load import find


def shown(name, directory):
    of = experiment(name)
    return of.shown_by(FinishedRuns(of, directory))


def texts(drawing):
    """Returns the panels' titles, and the legend's texts."""
    (legend,) = drawing.legends
    return [axes.get_title() for axes in drawing.axes if axes.get_title()], [t.get_text() for t in legend.get_texts()]


def test_every_draw_is_a_point_over_its_learning_rate(finished):
    scale = Scale(games=["Breakout", "Pong"], frames=4000, draws=4)
    out = finished("fig2", scale, lambda settings: [1e4 * settings["lr"]] * 3)
    of = shown("fig2", out)
    ours, theirs = of.table.filter(game="Breakout").sort("whose").rows(named=True)
    assert (ours["whose"], ours["runs"]) == ("ours", 4)
    assert ours["best"] == pytest.approx(1e4 * ours["its lr"])
    assert (theirs["runs"], theirs["best"]) == (50, paper.learning_rates("2", game="Breakout")["score"].max())
    assert texts(of.drawing) == (["Breakout", "Pong"], ["a3c", "paper: a3c"])


def test_curves_are_means_of_the_best_three_draws(finished):
    scale = Scale(games=["Pong"], methods=["a3c", "n-step-q"], actors=[1, 2], frames=4000, draws=5)
    out = finished("fig4", scale, lambda settings: [settings["seed"] + settings["actors"]] * 4)
    of = shown("fig3", out)  # figures 3 and 4 have the same runs
    rows = of.table.sort("algo", "actors").rows(named=True)
    assert [(row["algo"], row["actors"]) for row in rows] == [
        ("a3c", 1),
        ("a3c", 2),
        ("n-step-q", 1),
        ("n-step-q", 2),
    ]
    assert (rows[1]["best"], rows[1]["of"]) == (3, 5)
    assert rows[1]["score"] == 2 + (4 + 3 + 2) / 3  # the draws with seeds 4, 3 and 2 are the best
    assert rows[1]["median of all"] == 2 + 2
    assert rows[1]["until frames"] == 4000
    theirs = paper.curves("3", game="Pong", algo="a3c", actors=2).sort("x")["score"][0]
    assert rows[1]["paper's then"] == pytest.approx(theirs, abs=0.1)
    titles, legend = texts(of.drawing)
    assert titles == ["Pong, a3c", "Pong, n-step-q"]
    assert legend[:2] == ["1 actor", "2 actors"]
    assert legend[2:] == ["paper: 1 thread", "paper: 2 threads"]
    assert "means of the best 3 of 5 draws" in of.notes[0]


def test_seeds_of_a_draw_count_as_one(finished):
    out = finished(
        "fig4",
        Scale(games=["Pong"], methods=["a3c"], actors=[1], draws=4, seeds=2, frames=4000),
        lambda settings: [settings["seed"]] * 2,
    )
    (row,) = shown("fig4", out).table.rows(named=True)
    assert (row["best"], row["of"], row["score"]) == (6, 8, (2 + 3 + 4 + 5 + 6 + 7) / 6)


@pytest.mark.parametrize(
    ("draws", "seeds", "said"),
    [(1, 1, "curves is one run"), (1, 3, "of 3 seeds"), (2, 1, "of all 2 draws"), (4, 2, "of the best 3 of 4 draws")],
)
def test_what_curves_are_means_of_is_said(finished, draws, seeds, said):
    scale = Scale(games=["Pong"], methods=["a3c"], actors=[1], draws=draws, seeds=seeds, frames=4000)
    assert said in shown("fig4", finished("fig4", scale, lambda settings: [1.0] * 2)).notes[0]


def test_ranks_are_of_each_optimizer(finished):
    scale = Scale(games=["Breakout"], methods=["a3c"], draws=3, frames=4000)
    high = {"shared-rmsprop": 30, "rmsprop": 20, "momentum-sgd": 10}
    of = shown("figS5", finished("figS5", scale, lambda settings: [high[settings["optimizer"]] + settings["seed"]] * 2))
    rows = {(row["optimizer"], row["whose"]): row for row in of.table.rows(named=True)}
    assert rows["rmsprop", "ours"]["mean"] == 21
    assert rows["shared-rmsprop", "paper's"]["best"] == pytest.approx(861.0, abs=0.1)
    assert rows["momentum-sgd", "paper's"]["draws"] == 50


def climbing(settings):
    """Returns scores that climb from 0 to 20, in half as many frames with four actors as with one."""
    reach = 20 if settings["actors"] == 1 else 10
    return [min(20.0, 20.0 * number / reach) for number in range(41)]


def test_a_speed_up_is_in_time_and_apart_from_it_in_data(finished):
    scale = Scale(games=["Pong", "Breakout"], methods=["a3c"], actors=[1, 4], draws=3, frames=4000)
    speed = {1: 1000.0, 4: 3000.0}
    of = shown("tab2", finished("tab2", scale, climbing, lambda settings: speed[settings["actors"]]))
    one, four = of.table.rows(named=True)
    assert (one["speed_up"], four["games"], four["paper's speed_up"]) == (1.0, 2, 3.7)
    # The log is coarse: the halfway point is reached after 11 and after 6 of 41 rows.
    assert four["in data"] == pytest.approx(2, rel=0.1)
    assert four["speed_up"] == pytest.approx(3 * four["in data"])
    assert four["frames_per_sec"] == pytest.approx(3000)
    assert of.notes == ("Reference scores: Breakout with a3c 10.0 (from 0.0), Pong with a3c 10.0 (from 0.0).",)


def test_a_speed_up_needs_a_run_with_one_actor(finished):
    out = finished("tab2", Scale(games=["Pong"], actors=[2, 4], draws=1, frames=4000), climbing)
    with pytest.raises(ConfigError, match="no run has one"):
        shown("tab2", out)


def test_a_speed_up_needs_runs_of_a_hundred_episodes(finished):
    out = finished("tab2", Scale(games=["Pong"], actors=[1, 2], draws=1, frames=4000), climbing)
    for log in out.glob("*/progress.jsonl"):
        log.write_text("")
    with pytest.raises(ConfigError, match="has played 100 episodes"):
        shown("tab2", out)


def evaluated(out, scores):
    for run in find(out):
        settings = json.loads((run / "config.json").read_text())
        row = {"mean": scores[settings["env"]], "episodes": 30, "returns": [1.0]}
        (run / "evals.jsonl").write_text(json.dumps(row) + "\n")


def test_table_1_has_mean_and_median_over_games_beside_the_papers(finished):
    out = finished("tab1", Scale(games=["Pong", "Breakout", "video_pinball"], frames=4000), lambda settings: [0.0])
    with pytest.raises(ConfigError, match="has been evaluated"):
        shown("tab1", out)
    evaluated(out, {"Pong": -20.7, "Breakout": 30.5, "video_pinball": 17667.9})  # random, a human, a human
    table = shown("tab1", out).table
    ours = table.filter(method="a3c-ff").row(0, named=True)
    assert ours["games"] == 3
    assert ours["median"] == pytest.approx(100, abs=1)
    assert ours["mean"] == pytest.approx(200 / 3, abs=1)
    lstm = table.filter(method="paper: a3c_lstm, 4 days on a CPU").row(0, named=True)
    assert (lstm["mean"], lstm["median"]) == (623.0, 112.6)


def test_table_s3_has_each_game_beside_the_papers(finished):
    out = finished("tabS3", Scale(games=["Pong", "MsPacman"], frames=4000), lambda settings: [0.0])
    evaluated(out, {"Pong": 3.0, "MsPacman": 500.0})
    row = shown("tabS3", out).table.filter(game="Pong").row(0, named=True)
    assert (row["a3c-ff"], row["a3c-lstm"], row["paper: a3c_ff_1day"]) == (3.0, 3.0, 11.4)
    assert row["no-op: NoisyNet's A3C"] == 7


def test_torcs_has_a_panel_for_each_of_the_papers_settings(finished):
    out = finished("figS6", Scale(methods=["a3c"], draws=1, frames=4000), lambda settings: [1.0, 2.0])
    titles, legend = texts(shown("figS6", out).drawing)
    assert titles == ["Fast car, bots", "Fast car, no bots", "Slow car, bots", "Slow car, no bots"]
    assert sorted(legend) == ["a3c", "paper: a3c, 16 threads", "paper: human"]
