import json
import shutil
import subprocess
import sys
import time

import pytest

from a3crs import watch
from a3crs.errors import RunError
from a3crs.rundir import RunDir
from a3crs.runlog import load


@pytest.fixture
def run(pong_run, tmp_path):
    return shutil.copytree(pong_run, tmp_path / "run")


def test_a_run_that_has_ended_shows_its_last_state(a3crs, run):
    code, out, err = a3crs("watch", run)
    assert (code, out) == (0, f"{run} has finished; evaluate with: a3crs eval {run}\n")
    last = load.progress(run).collect().row(-1, named=True)
    assert f"{last['frames']:,} frames" in err
    assert len(err.splitlines()) == 1


def test_a_run_that_was_stopped_says_how_to_go_on(a3crs, run):
    RunDir(run).write_config(RunDir(run).read_config().changed(total_steps=10**6))
    assert f"frames; go on with: a3crs resume {run}" in a3crs("watch", run)[1]


def test_a_run_without_a_row_has_nothing_to_show(a3crs, run):
    (run / "progress.jsonl").unlink()
    assert "ended before its first row" in a3crs("watch", run)[1]


def test_a_run_that_goes_on_is_watched_until_it_ends(a3crs, tmp_path, monkeypatch):
    monkeypatch.setattr(watch, "INTERVAL_SECS", 0.05)
    out = tmp_path / "run"
    command = [sys.executable, "-m", "a3crs", "train", "--env", "CartPole-v1", "--actors", "1", "--quiet"]
    process = subprocess.Popen([*command, "--out", str(out), "--steps", "100k"])
    while not (out / "episodes.jsonl").exists() and process.poll() is None:
        time.sleep(0.02)
    code, text, _ = a3crs("watch", out)
    assert process.wait(timeout=60) == 0
    assert (code, text) == (0, f"{out} has finished; evaluate with: a3crs eval {out}\n")


def test_ctrl_c_ends_the_watching_and_not_the_run(a3crs, run, monkeypatch):
    def interrupt(secs):
        raise KeyboardInterrupt

    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    monkeypatch.setattr(watch.time, "sleep", interrupt)
    with RunDir(run).locked():
        assert a3crs("watch", run)[:2] == (0, f"{run} goes on.\n")
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_only_the_end_of_a_long_log_is_read_and_half_a_row_is_none(run):
    log = run / "progress.jsonl"
    row = json.loads(log.read_text().splitlines()[-1])
    rows = [json.dumps(row | {"steps": steps}) for steps in range(1000)]
    log.write_text("\n".join(rows) + '\n{"steps": 7')
    assert load.last_progress(run)["steps"] == 999
    log.write_text('{"steps": 7')
    assert load.last_progress(run) is None


@pytest.mark.parametrize("line", ["hello", "[1]", "{}", ""])
def test_a_damaged_row_is_an_error(run, line):
    with (run / "progress.jsonl").open("a") as log:
        log.write(line + "\n")
    with pytest.raises(RunError, match=r"The last line of .*progress\.jsonl is damaged"):
        load.last_progress(run)
