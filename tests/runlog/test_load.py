import json

import polars as pl
import pytest

from a3crs.errors import ConfigError, RunError
from a3crs.runlog import load
from a3crs.runlog.schema import ADDED, EPISODES, EVALS, INCIDENTS, PROGRESS, RESTARTS

ROW = {"steps": 5, "frames": 20, "secs": 0.5, "actor": 1, "explore_eps": 0.25}
ROW |= {"episode_return": -21.0, "length_steps": 900}
LINE = json.dumps(ROW) + "\n"


def make_run(path, episodes="", **settings):
    path.mkdir(parents=True)
    (path / "config.json").write_text(json.dumps({"env": "Pong", "lr": 1e-3} | settings))
    (path / "episodes.jsonl").write_text(episodes)
    return path


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path / "run")


def test_a_half_written_last_line_is_left_out(run):
    (run / "episodes.jsonl").write_text(LINE * 3 + LINE[:17])
    assert load.episodes(run).collect().rows(named=True) == [{"run": "run"} | ROW] * 3


def test_a_first_line_that_is_half_written_is_no_row(run):
    (run / "episodes.jsonl").write_text('{"steps": 5')
    assert load.episodes(run).collect().is_empty()


@pytest.mark.parametrize(
    ("read", "schema"),
    [
        (load.episodes, EPISODES),
        (load.progress, PROGRESS),
        (load.evals, EVALS),
        (load.restarts, RESTARTS),
        (load.incidents, INCIDENTS),
    ],
)
def test_a_log_that_does_not_exist_has_columns_and_no_rows(run, read, schema):
    frame = read(run).collect()
    assert frame.schema == {"run": pl.String, **schema}
    assert frame.is_empty()


def test_columns_that_an_older_run_did_not_log_are_null(run):
    old = {name: 1 for name in PROGRESS if name not in ADDED}
    new = dict.fromkeys(PROGRESS, 2)
    (run / "progress.jsonl").write_text(json.dumps(old) + "\n")
    assert load.last_progress(run) == old | dict.fromkeys(ADDED)
    (run / "progress.jsonl").write_text("".join(json.dumps(row) + "\n" for row in (old, new, old)))
    assert load.progress(run).collect()["approx_kl"].to_list() == [None, 2.0, None]


def test_null_is_null_even_in_every_row(run):
    row = dict.fromkeys(PROGRESS, None) | {"steps": 1, "lr": 1e-3}
    (run / "progress.jsonl").write_text(2 * (json.dumps(row) + "\n"))
    frame = load.progress(run).collect()
    assert frame.schema == {"run": pl.String, **PROGRESS}
    assert frame["return_mean_100"].null_count() == 2
    assert not frame["lr"].is_nan().any()


def test_whole_numbers_fit_float_columns(run):
    (run / "episodes.jsonl").write_text(json.dumps(ROW | {"episode_return": 3, "secs": 1}) + "\n")
    assert load.episodes(run).select(pl.col("episode_return") + pl.col("secs")).collect().item() == 4.0


def test_evaluations_keep_each_return(run):
    row = {"steps": 1, "frames": 4, "protocol": None, "policy": "sampled", "episodes": 2, "mean": 1.5, "median": 1.5}
    row |= {"stderr": 0.5, "human_normalised": None, "returns": [1.0, 2.0], "checkpoint": "latest.safetensors"}
    (run / "evals.jsonl").write_text(json.dumps(row) + "\n")
    assert load.evals(run).collect().rows(named=True) == [{"run": "run"} | row]


def test_directories_globs_and_lists_of_runs_are_found(tmp_path):
    for name in ("a/one", "a/two", "b/one"):
        make_run(tmp_path / name, LINE)
    assert load.episodes(tmp_path).collect()["run"].to_list() == ["a/one", "a/two", "b/one"]
    assert load.episodes(f"{tmp_path}/*/one").collect()["run"].to_list() == ["a/one", "b/one"]
    assert load.episodes([tmp_path / "a" / "two", tmp_path / "b"]).collect()["run"].to_list() == ["two", "one"]
    with pytest.raises(ConfigError, match="There is no run in "):
        load.episodes(tmp_path / "c")


def test_settings_are_columns(tmp_path):
    make_run(tmp_path / "one", LINE, t_max=5)
    make_run(tmp_path / "two", LINE * 2, t_max="episode", lr=1)
    frame = load.episodes(tmp_path, settings=["t_max", "lr"]).collect()
    assert frame["t_max"].to_list() == ["5", "episode", "episode"]
    assert frame["lr"].to_list() == [1e-3, 1.0, 1.0]
    with pytest.raises(ConfigError, match=r"no setting 'lrr' \(did you mean lr\?\)"):
        load.episodes(tmp_path, settings=["lrr"])


def test_a_setting_that_is_a_column_too_keeps_its_own_name(run):
    (run / "progress.jsonl").write_text(json.dumps(dict.fromkeys(PROGRESS, None) | {"lr": 5e-4}) + "\n")
    frame = load.progress(run, settings=["lr"]).collect()
    assert (frame["lr"].item(), frame["lr_setting"].item()) == (5e-4, 1e-3)


@pytest.mark.parametrize("damage", ["hello\n", "[1]\n", "\n", "\x00\n", '{"steps": "many"}\n'])
def test_a_damaged_line_is_named(run, damage):
    (run / "episodes.jsonl").write_text(LINE * 2 + damage + LINE)
    with pytest.raises(RunError, match=r"episodes\.jsonl"):
        load.episodes(run).collect()


def test_only_what_is_asked_for_is_parsed_and_given(tmp_path):
    make_run(tmp_path / "one", LINE * 5)
    frame = load.episodes(tmp_path).filter(pl.col("steps") == 5).select("episode_return").head(3).collect()
    assert frame.to_dict(as_series=False) == {"episode_return": [-21.0] * 3}


def test_a_log_longer_than_what_is_parsed_at_once_is_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(load, "CHUNK_BYTES", 1000)
    for name in ("one", "two"):
        make_run(tmp_path / name, "".join(json.dumps(ROW | {"steps": steps}) + "\n" for steps in range(500)))
    frame = load.episodes(tmp_path).collect()
    assert frame["steps"].to_list() == list(range(500)) * 2
    assert frame["run"].to_list() == ["one"] * 500 + ["two"] * 500


def test_runs_behind_links_are_found_once(written, tmp_path):
    run = written("elsewhere/run")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "best").symlink_to(run)
    (tmp_path / "runs" / "again").symlink_to(run)
    (tmp_path / "runs" / "round").symlink_to(tmp_path / "runs")
    assert [path.resolve() for path in load.find(tmp_path / "runs")] == [run.resolve()]
