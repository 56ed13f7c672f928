import json

from a3crs.paper import experiment, running
from a3crs.paper.scale import Scale, plan_of
from a3crs.sweep import results
from a3crs.sweep.plan import save

SMALL = ["--game", "CartPole-v1", "--frames", "2k", "--draws", "2", "--actors", "1"]


def test_an_experiment_is_run_drawn_and_explained(a3crs, tmp_path):
    out = tmp_path / "fig2"
    code, said, err = a3crs("paper", "run", "fig2", *SMALL, "-o", out)
    assert code == 0, err
    lines = said.splitlines()
    assert lines[0] == "Figure 2: How much does A3C depend on the learning rate?"
    assert lines[1] == "2 runs of 2,000 frames"
    assert lines[-4] == "each kind of run, timed for a second:"
    assert "frames/s with a3c, actors 1" in lines[-3]
    assert lines[-2].startswith("about 1 minute on this machine, ")
    assert "- 2 draws of the settings instead of 50." in lines
    assert lines[-1] == f"draw it with: a3crs paper plot fig2 {out}"
    assert results(out)["state"].to_list() == ["done"] * 2
    assert results(out)["seed"].to_list() == [0, 1]

    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    code, said, _ = a3crs("paper", "run", "fig2", *SMALL, "-o", out)  # no run is left to be started or timed
    assert (code, "timed" in said, said.splitlines()[-2]) == (0, False, "nothing is left to be run")
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()} == before

    code, said, err = a3crs("paper", "plot", "fig2", out, "-o", tmp_path / "ours.svg")
    assert (code, said) == (0, f"{tmp_path / 'ours.svg'}\n{tmp_path / 'ours.md'}\n"), err
    page = (tmp_path / "ours.md").read_text()
    assert "![ours over the paper's](ours.svg)" in page
    for row in ("| runs done | 2 of 2 |", "| frames a run | 2,000 |", "| draws x seeds | 2 x 1 |", "| cpu | "):
        assert row in page
    assert "- Runs of 2,000 frames instead of 320,000,000" in page


def test_a_dry_run_leaves_nothing_behind(a3crs, tmp_path):
    code, said, err = a3crs("paper", "run", "fig2", *SMALL, "--dry-run", "-o", tmp_path / "fig2")
    assert (code, err) == (0, "")
    assert "timed for a second" in said
    assert list(tmp_path.iterdir()) == []


def test_stopped_between_evaluations_it_says_how_many_are_left(a3crs, tmp_path, monkeypatch):
    once, played = running.evaluate_run, []

    def stopped_in_the_second(run, how):
        played.append(run)
        if len(played) == 2:
            raise KeyboardInterrupt
        return once(run, how)

    monkeypatch.setattr(running, "evaluate_run", stopped_in_the_second)
    out = tmp_path / "tab1"
    size = ["--game", "CartPole-v1", "--frames", "1k", "--actors", "1", "--episodes", "1", "--quiet"]
    code, _, err = a3crs("paper", "run", "tab1", *size, "-o", out)
    assert code == 130
    assert "All runs are saved, 1 of 2 are not evaluated; the same command goes on with them." in err
    assert a3crs("paper", "run", "tab1", *size, "-o", out)[0] == 0
    assert played[1:] == played[1:2] * 2  # the first run is not evaluated again


def test_tables_of_games_are_of_evaluations(a3crs, tmp_path):
    out = tmp_path / "tab1"
    size = ["--game", "CartPole-v1", "--frames", "1k", "--actors", "1", "--episodes", "2", "--quiet"]
    assert a3crs("paper", "run", "tab1", *size, "-o", out)[:2] == (0, "")
    evals = [path.read_text() for path in sorted(out.glob("*/evals.jsonl"))]
    assert [json.loads(text)["episodes"] for text in evals] == [2, 2]  # ff and lstm
    code, _, err = a3crs("paper", "run", "tab1", *size, "-o", out)
    assert code == 0, err
    assert [path.read_text() for path in sorted(out.glob("*/evals.jsonl"))] == evals  # no second evaluation
    code, said, err = a3crs("paper", "plot", "tab1", out)
    assert (code, said) == (0, f"{out / 'tab1.md'}\n"), err
    page = (out / "tab1.md").read_text()
    assert "| paper: a3c_lstm, 4 days on a CPU | 57 | 623.0 | 112.6 |" in page
    assert "mean of 2 whole games with the last parameters, sampled policy" in page
    code, _, err = a3crs("paper", "plot", "tab1", out, "-o", tmp_path / "tab1.png")
    assert (code, "tab1 is a table without a picture" in err) == (2, True)


def test_nothing_is_drawn_before_a_run_is_done(a3crs, tmp_path):
    save(tmp_path, plan_of(experiment("fig2"), Scale(games=["Pong"], draws=2)))
    code, _, err = a3crs("paper", "plot", "fig2", tmp_path)
    assert (code, err.count("\n")) == (2, 1)
    assert f"No run in {tmp_path} is done" in err


def test_an_ordinary_sweep_is_drawn_too_if_its_length_is_in_frames(a3crs, tmp_path):
    flags = ["--env", "CartPole-v1", "--actors", "1", "--lr", "loguniform:1e-4:1e-2", "--draws", "2", "--quiet"]
    for length in ("--frames", "--steps"):
        assert a3crs("sweep", *flags, length, "500", "--out", tmp_path / length[2:])[0] == 0
    assert a3crs("paper", "plot", "fig2", tmp_path / "frames")[0] == 0
    said = (tmp_path / "frames" / "fig2.md").read_text()
    assert "- env is CartPole-v1 instead of" in said
    assert "- algo is" not in said  # the default is the paper's
    code, _, err = a3crs("paper", "plot", "fig2", tmp_path / "steps")
    assert (code, "holds a sweep without --frames" in err) == (2, True)


def test_a_run_whose_origin_is_not_known_is_shown_without_it(a3crs, finished):
    out = finished("fig2", Scale(games=["Pong"], frames=4000, draws=2), lambda settings: [1.0, 2.0])
    metas = sorted(out.glob("*/meta.json"))
    metas[0].write_text("{")
    code, _, err = a3crs("paper", "plot", "fig2", out)
    assert (code, f"{metas[0]} is damaged" in err, err.count("\n")) == (1, True, 1)
    metas[0].unlink()
    assert a3crs("paper", "plot", "fig2", out)[0] == 0
    assert "16 actors shared 2 cores" in (out / "fig2.md").read_text()
