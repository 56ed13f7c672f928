import json

import polars as pl
import pytest

from a3crs.runlog import load
from a3crs.runlog.schema import EPISODES, EVALS, PROGRESS

ROW = {"steps": 5, "frames": 20, "secs": 0.5, "actor": 1, "explore_eps": 0.25}
ROW |= {"episode_return": -21.0, "length_steps": 900}


def test_a_half_written_last_line_is_left_out(tmp_path):
    line = json.dumps(ROW) + "\n"
    (tmp_path / "episodes.jsonl").write_text(line * 3 + line[:17])
    assert load.episodes(tmp_path).collect().rows(named=True) == [ROW] * 3


def test_a_first_line_that_is_half_written_is_no_row(tmp_path):
    (tmp_path / "episodes.jsonl").write_text('{"steps": 5')
    assert load.episodes(tmp_path).collect().is_empty()


@pytest.mark.parametrize(
    ("read", "schema"), [(load.episodes, EPISODES), (load.progress, PROGRESS), (load.evals, EVALS)]
)
def test_a_log_that_does_not_exist_has_columns_and_no_rows(tmp_path, read, schema):
    frame = read(tmp_path).collect()
    assert frame.schema == schema
    assert frame.is_empty()


def test_null_is_null_even_in_every_row(tmp_path):
    row = dict.fromkeys(PROGRESS, None) | {"steps": 1, "lr": 1e-3}
    (tmp_path / "progress.jsonl").write_text(2 * (json.dumps(row) + "\n"))
    frame = load.progress(tmp_path).collect()
    assert frame.schema == PROGRESS
    assert frame["return_mean_100"].null_count() == 2
    assert not frame["lr"].is_nan().any()


def test_whole_numbers_fit_float_columns(tmp_path):
    (tmp_path / "episodes.jsonl").write_text(json.dumps(ROW | {"episode_return": 3, "secs": 1}) + "\n")
    assert load.episodes(tmp_path).select(pl.col("episode_return") + pl.col("secs")).collect().item() == 4.0


def test_evaluations_keep_each_return(tmp_path):
    row = {"steps": 1, "frames": 4, "protocol": None, "policy": "sampled", "episodes": 2, "mean": 1.5, "median": 1.5}
    row |= {"stderr": 0.5, "human_normalised": None, "returns": [1.0, 2.0], "checkpoint": "latest.safetensors"}
    (tmp_path / "evals.jsonl").write_text(json.dumps(row) + "\n")
    assert load.evals(tmp_path).collect().rows(named=True) == [row]
