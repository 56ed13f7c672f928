"""Crashes lose only the work since the last checkpoint, and a deterministic run repeats."""

import json
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from a3crs import _core
from a3crs.errors import RunError
from a3crs.rundir import RunDir
from a3crs.training import resume_run

REPEATABLE = ["--env", "CartPole-v1", "--deterministic", "--actors", "3", "--seed", "7"]
# Columns that depend on the wall clock and the system.
WALL = (
    "secs",
    "steps_per_sec",
    "rss_mb",
    "share_env",
    "share_forward",
    "share_backward",
    "share_update",
    "share_waiting",
)


def remains(run):
    """Returns theta, its statistics and the logs, without the columns that cannot repeat."""
    content = run.latest_checkpoint.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    places = {name: at["data_offsets"] for name, at in json.loads(content[8:start]).items() if name != "__metadata__"}
    assert places
    own = {name: content[start + a : start + b] for name, (a, b) in places.items() if name.startswith(("theta.", "g."))}
    logs = {}
    for log in ("episodes", "progress"):
        rows = map(json.loads, (run.path / f"{log}.jsonl").read_text().splitlines())
        logs[log] = [{name: value for name, value in row.items() if name not in WALL} for row in rows]
    return own, logs


def spawn(*arguments):
    return subprocess.Popen([sys.executable, "-m", "a3crs", *map(str, arguments)], stderr=subprocess.PIPE, text=True)


def test_a_repeatable_run_killed_again_and_again_is_the_run_that_was_not(a3crs, tmp_path):
    whole, killed = RunDir(tmp_path / "whole"), RunDir(tmp_path / "killed")
    flags = [*REPEATABLE, "--steps", "30k", "--quiet"]
    assert a3crs("train", *flags, "--out", whole.path)[0] == 0
    process = spawn("train", *flags, "--set", "checkpoint_secs=0.2", "--out", killed.path)
    kills = done = 0
    while kills < 6 and process.poll() is None:
        newest = (
            _core.read_checkpoint(str(killed.latest_checkpoint))["steps"] if killed.latest_checkpoint.exists() else 0
        )
        if newest > done:
            done = newest
            time.sleep(0.013 * kills)  # varies the moment of the kill between the files that are written
            process.kill()
            kills += 1
            process.communicate()
            process = spawn("resume", killed.path, "--quiet")
        time.sleep(0.005)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0 or "has finished" in err, err  # the last kill may come just before it says so
    assert kills >= 2
    assert remains(killed) == remains(whole)


def test_other_seeds_are_other_runs(a3crs, tmp_path):
    for name, seed in [("one", 1), ("same", 1), ("other", 2)]:
        flags = [*REPEATABLE, "--seed", seed, "--steps", "1k", "--quiet", "--out", tmp_path / name]
        assert a3crs("train", *flags)[0] == 0
    one, same, other = (remains(RunDir(tmp_path / name)) for name in ("one", "same", "other"))
    assert one == same
    assert one[0] != other[0]
    assert one[1] != other[1]


@pytest.fixture
def unfinished(a3crs, tmp_path):
    """Run whose length was doubled after its end."""
    run = RunDir(tmp_path / "run")
    flags = ["--env", "CartPole-v1", "--actors", "2", "--steps", "2k", "--quiet", "--out", run.path]
    assert a3crs("train", *flags)[0] == 0
    run.write_config(run.read_config().changed(total_steps=4_000))
    return run


def test_a_full_disk_leaves_the_last_checkpoint_whole_and_the_run_goes_on_when_there_is_space(unfinished):
    before = unfinished.latest_checkpoint.read_bytes()
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2,) * 2)  # noqa: E731
    command = [sys.executable, "-m", "a3crs", "resume", str(unfinished.path), "--quiet"]
    full = subprocess.run(command, preexec_fn=limit, stderr=subprocess.PIPE, text=True, timeout=120)
    assert full.returncode == 1
    assert full.stderr.startswith("a3crs: error: ")
    assert "File too large" in full.stderr
    assert "Traceback" not in full.stderr
    assert unfinished.latest_checkpoint.read_bytes() == before
    assert not [path for path in unfinished.path.rglob("*") if path.name.endswith(".tmp") or path.name.startswith(".")]
    assert resume_run(unfinished.path, quiet=True).summary["steps"] >= 4_000


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is full")
@pytest.mark.parametrize("log", ["episodes.jsonl", "progress.jsonl"])
def test_a_log_that_cannot_be_written_ends_the_run_in_a_sentence(unfinished, log):
    (unfinished.path / log).unlink()
    (unfinished.path / log).symlink_to("/dev/full")
    with pytest.raises(RunError, match=f"Cannot write .*{log}: No space left on device"):
        _train_on(unfinished)


def _train_on(run):
    # Like resume, but without the rewinding of the logs, which would replace the link.
    from a3crs.envs import Mode, resolve

    config = run.read_config()
    family = resolve(config, Mode.TRAINING)
    quiet = (lambda row: None, print)
    _core.train(
        config.core_json(), family.spec.to_json(), family.make, str(run.path), *quiet, str(run.latest_checkpoint)
    )


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_loses_nothing(tmp_path, signum):
    run = RunDir(tmp_path / "run")
    process = spawn("train", *REPEATABLE, "--steps", "1G", "--out", run.path)
    log = run.path / "episodes.jsonl"
    while not (log.exists() and log.stat().st_size) and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signum)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    saved = _core.read_checkpoint(str(run.latest_checkpoint))
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    assert len(rows) == saved["episodes"] > 0
    assert max(row["steps"] for row in rows) <= saved["steps"]
