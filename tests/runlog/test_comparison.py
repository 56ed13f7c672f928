import sys

import polars as pl
import pytest

from a3crs.errors import ConfigError
from a3crs.runlog import comparison


def test_runs_that_differ_in_their_seeds_alone_are_one(written, tmp_path):
    for seed, lr in ((1, 1e-3), (2, 1e-3), (1, 1e-2)):
        written(f"{lr}_{seed}", seed=seed, lr=lr, returns=[lr * 1000 + seed] * 4)
    of = comparison.labelled(tmp_path)
    assert of["label"].to_list() == ["a3c, lr 0.001", "a3c, lr 0.001", "a3c, lr 0.01"]
    table = comparison.table(tmp_path, of)
    assert table["runs"].to_list() == [2, 1]
    assert table["score"].to_list() == [2.5, 11.0]
    curves = comparison.curves(tmp_path, of, bins=4).collect()
    assert curves.filter(pl.col("label") == "a3c, lr 0.001")["runs"].to_list() == [2] * 4


def test_labels_name_what_differs_within_an_environment(written, tmp_path):
    for env, lr, actors in (("Pong", 1e-3, 2), ("Pong", 1e-3, 16), ("CartPole-v1", 1e-2, 4)):
        written(f"{env}_{actors}", env=env, lr=lr, actors=actors)
    of = comparison.labelled(tmp_path)
    assert set(of.select("env", "label").rows()) == {
        ("CartPole-v1", "a3c, actors 4"),
        ("Pong", "a3c, actors 2"),
        ("Pong", "a3c, actors 16"),
    }
    assert comparison.table(tmp_path, of)["label"].to_list() == ["a3c, actors 4", "a3c, actors 2", "a3c, actors 16"]


def test_what_follows_from_a_preset_is_not_in_the_label(written, tmp_path):
    written("1", algo="a3c", preset="vectors", lr=1e-3, t_max=5)
    written("2", algo="ppo", preset="fast", lr=3e-4, t_max=128)
    assert comparison.labelled(tmp_path)["label"].to_list() == ["a3c", "ppo"]
    written("3", algo="ppo", preset="fast", lr=3e-4, t_max=64)
    assert comparison.labelled(tmp_path)["label"].to_list() == ["a3c, t_max 5", "ppo, t_max 128", "ppo, t_max 64"]
    written("4", algo="ppo", preset="paper", lr=7e-4, t_max=64)
    assert comparison.labelled(tmp_path)["label"].to_list() == [
        "a3c, preset vectors, t_max 5",
        "ppo, preset fast, t_max 128",
        "ppo, preset fast, t_max 64",
        "ppo, preset paper, t_max 64",
    ]


def test_a_preset_of_another_environment_is_not_in_the_label(written, tmp_path):
    written("1", env="Pong", preset="paper", lr=7e-4)
    written("2", env="CartPole-v1", preset="vectors", lr=1e-3)
    written("3", env="Own", lr=1e-3)  # of a version without presets
    assert comparison.labelled(tmp_path)["label"].to_list() == ["a3c"] * 3


@pytest.mark.parametrize(
    ("rates", "words"), [((1e-3, 10**-2.9), ("0.001", "0.001259")), ((1e-3, 1.000001e-3), ("0.001", "0.001000001"))]
)
def test_numbers_in_labels_are_short_but_tell_runs_apart(written, tmp_path, rates, words):
    for rate in rates:
        written(str(rate), lr=rate)
    assert comparison.labelled(tmp_path)["label"].to_list() == [f"a3c, lr {word}" for word in words]


def test_the_papers_curves_are_those_of_the_same_games_and_methods(written, tmp_path):
    written("one")
    of = comparison.labelled(tmp_path)
    over_frames = comparison.paper_curves(of, "frames")
    assert over_frames.select("figure", "game", "algo", "actors").unique().rows() == [("3", "pong", "a3c", 16)]
    assert comparison.paper_curves(of, "hours")["figure"].unique().to_list() == ["1"]
    assert comparison.paper_curves(of, "steps") is None


def test_plot_writes_an_image(a3crs, written, tmp_path):
    written("one")
    written("two", seed=2)
    image = tmp_path / "curves.svg"
    assert a3crs("plot", tmp_path, "-o", image) == (0, "", "")
    text = image.read_text(encoding="utf-8")
    assert text.startswith("<?xml")


def test_compare_shows_what_differs_and_what_it_took(a3crs, written, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written("slow", lr=1e-4, returns=[-21.0] * 4)
    written("fast/1", returns=[20.0] * 4)
    written("fast/2", returns=[21.0] * 4, seed=1)
    code, out, err = a3crs("compare", "slow", "fast", "-o", "both.png")
    assert (code, err) == (0, "")
    lines = [line.split() for line in out.splitlines()]
    assert ["fast", "2", "20.5", "20.0", "to", "21.0", "116.7", "4,000", "0.004", "278"] in lines
    assert ["lr", "0.001", "0.0001"] in lines
    assert ["seed", "several", "0"] in lines
    assert (tmp_path / "both.png").exists()


def test_a_run_without_a_row_is_a_side_all_the_same(a3crs, written):
    code, out, err = a3crs("compare", written("empty", returns=[]))
    assert (code, err) == (0, "")
    assert out.splitlines()[1].split()[1:] == ["1", *"------"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["plot", "nowhere"], "There is no run in nowhere: name directories of runs."),
        (["plot", "run", "-o", "curves.xyz"], "curves.xyz is no image that can be written: let its name end in"),
        (
            ["plot", "run", "-o", "run/config.json/curves.png"],
            "run/config.json/curves.png cannot be written: run/config.json is a file, not a folder.",
        ),
        (["plot", "run", "--x", "frame"], "The axis is 'frame' (did you mean frames?), but it must be one of"),
        (["plot", "empty"], "There is nothing to draw yet: no whole episode is in the logs of these runs."),
        (["compare", "run", "r*"], "run is on two sides: name each run once."),
    ],
)
def test_what_is_wrong_is_one_sentence(a3crs, written, tmp_path, monkeypatch, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    written("run")
    written("empty", returns=[])
    code, out, err = a3crs(*arguments)
    assert code in (1, 2)
    assert (out, err.count("\n")) == ("", 1)
    assert sentence in err
    assert not list(tmp_path.glob("*.tmp")) + list(tmp_path.glob(".*.tmp"))


def test_without_matplotlib_the_extra_is_named(monkeypatch, written):
    run = written("run")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for module in ("a3crs.runlog.figures", "a3crs.runlog.drawing"):
        monkeypatch.delitem(sys.modules, module, raising=False)
        monkeypatch.delattr(module, raising=False)
    with pytest.raises(ConfigError, match=r"pip install 'a3crs\[plot\]'"):
        comparison.draw(run, comparison.labelled(run))
