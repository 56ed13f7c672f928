import json
import os
import signal
import subprocess
import sys
import time

import pytest

from a3crs.rundir import RunDir
from a3crs.runlog import load
from a3crs.sweep import by_draw, results
from a3crs.sweep.engine import LocalEngine, shares
from a3crs.sweep.plan import Plan, save
from a3crs.sweep.sweep import default_jobs, run_sweep
from a3crs.sweep.trial import State, read_failure, run_trial, state

CARTPOLE = {"env": "CartPole-v1", "actors": 1, "total_steps": 300, "lr": "loguniform:1e-4:1e-2"}
TRIAL = ["--env", "CartPole-v1", "--actors", "1", "--lr", "loguniform:1e-4:1e-2"]
SEED_OF_BOTH = 5  # draws ff first, then nature too
DEADLINE_SECS = 120  # for a busy machine


IGNORING_SIGINT = ["sh", "-c", "trap '' INT; exec \"$@\"", "sh"]  # like a shell for a script's background jobs


def start(*flags, out, by=()):
    """Starts `a3crs sweep` as a subprocess."""
    command = [*by, sys.executable, "-m", "a3crs", "sweep", *TRIAL, *flags, "--jobs", "2", "--out", str(out)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def wait_until(condition, process):
    deadline = time.monotonic() + DEADLINE_SECS
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def trials(sweep):
    return sorted(path for path in sweep.glob("draw*") if path.is_dir())


def done(sweep):
    return {path for path in trials(sweep) if state(path) is State.DONE}


def sessions(trial):
    return len(json.loads((trial / "meta.json").read_text())["sessions"])


def written(trial):
    """Returns all files of a trial with their modification times."""
    return {path: path.stat().st_mtime_ns for path in trial.rglob("*") if path.is_file()}


def test_a_sweep_gives_each_trial_an_ordinary_run(a3crs, tmp_path):
    out = tmp_path / "sweep"
    flags = [*TRIAL, "--t-max", "choice:5,20", "--steps", "300", "--draws", "2", "--seeds", "2", "--out", out]
    code, shown, err = a3crs("sweep", *flags)
    assert (
        code,
        err.splitlines()[-1].startswith("4 done, 0 running, 0 failed, 0 waiting, ETA 0:00:00, best draw"),
    ) == (0, True)
    assert f"a3crs plot {out}" in shown
    table = results(out)
    assert table["run"].to_list() == [path.name for path in trials(out)]
    assert table["state"].to_list() == ["done"] * 4
    assert table["score"].min() > 8  # steps; even the worst policy takes as many
    ordinary = load.settings(out, ["lr", "t_max", "seed"])
    assert ordinary.rows() == table.select("run", "lr", "t_max", "seed").rows()
    draws = by_draw(table)
    assert (draws["seeds"].to_list(), draws["score"].is_sorted(descending=True)) == ([2, 2], True)

    before = {path: written(path) for path in trials(out)}
    assert a3crs("sweep", *flags)[:2] == (0, shown)
    assert {path: written(path) for path in trials(out)} == before  # finished trials are left alone
    code, _, err = a3crs("sweep", *flags, "--gamma", "0.9")
    assert (code, "holds a sweep with another plan" in err) == (2, True)


def test_every_value_of_a_grid_is_run_with_every_draw(a3crs, tmp_path):
    out = tmp_path / "sweep"
    flags = [*TRIAL, "--algo", "grid:a3c,one-step-q", "--steps", "300", "--draws", "2", "--out", out]
    code, shown, err = a3crs("sweep", *flags)
    assert code == 0, err
    table = results(out)
    assert table["run"].to_list() == [f"{algo}__draw00{draw}__s0" for draw in (0, 1) for algo in ("a3c", "one-step-q")]
    assert load.settings(out, ["algo"])["algo"].to_list() == ["a3c", "a3c", "one-step-q", "one-step-q"]
    draws = by_draw(table)
    assert (draws.height, draws["lr"].n_unique(), draws["seeds"].to_list()) == (4, 2, [1, 1, 1, 1])
    assert sum("algo a3c, lr " in line for line in shown.splitlines()) == 2


def test_twenty_trials_killed_twice_end_with_twenty_results_and_none_is_run_twice(tmp_path):
    out, flags = tmp_path / "sweep", ["--steps", "300", "--draws", "10", "--seeds", "2"]
    left_alone = {}
    for enough in (5, 11):
        process = start(*flags, out=out)
        try:
            wait_until(lambda enough=enough: len(done(out)) >= enough, process)
        finally:
            process.kill()  # SIGKILL, so that the engine cannot clean up
            process.communicate()
        wait_until_free(trials(out))  # the trials have ended with the engine, or finished just before
        left_alone |= {path: written(path) for path in done(out)}
    process = start(*flags, out=out)
    shown, err = process.communicate(timeout=DEADLINE_SECS)
    assert process.returncode == 0, err
    assert len(trials(out)) == len(done(out)) == results(out)["score"].count() == 20
    assert len(shown.splitlines()) == 1 + 10 + 1
    assert {path: written(path) for path in left_alone} == left_alone
    # Each kill interrupts the two running trials, which start once more; no other trial does.
    assert sum(sessions(path) for path in trials(out)) <= 20 + 2 * 2
    for path in trials(out):
        assert load.progress(path).collect()["steps"].is_sorted()
        assert load.episodes(path).collect()["steps"].max() < 300 + 20  # t_max


def wait_until_free(paths):
    """Waits until no process trains in these directories."""
    deadline = time.monotonic() + DEADLINE_SECS
    for path in paths:
        while True:
            try:
                with RunDir(path).locked():
                    break
            except ValueError:
                assert time.monotonic() < deadline
                time.sleep(0.02)


@pytest.mark.parametrize(
    ("number", "by"), [(signal.SIGINT, ()), (signal.SIGINT, IGNORING_SIGINT), (signal.SIGTERM, ())]
)
def test_a_sweep_that_is_stopped_saves_its_trials_and_goes_on_with_them(tmp_path, number, by):
    out, flags = tmp_path / "sweep", ["--steps", "1G", "--draws", "3", "--set", "checkpoint_secs=0.05"]
    process = start(*flags, out=out, by=by)
    try:
        wait_until(lambda: len(list(out.glob("draw*/checkpoints/latest.safetensors"))) == 2, process)
        process.send_signal(number)
        shown, err = process.communicate(timeout=DEADLINE_SECS)
    finally:
        process.kill()
    assert (process.returncode, shown) == (130, "")
    assert "The sweep is saved; the same command goes on with it." in err
    assert [state(path) for path in trials(out)] == [State.OPEN] * 2  # the third has not been started
    wait_until_free(trials(out))
    steps = [int(path.stem.removeprefix("step_")) for path in trials(out)[0].glob("checkpoints/step_*")]
    config = json.loads((trials(out)[0] / "config.json").read_text())
    (trials(out)[0] / "config.json").write_text(json.dumps(config | {"total_steps": max(steps) + 100}))
    run_trial(trials(out)[0])
    assert (state(trials(out)[0]), sessions(trials(out)[0])) == (State.DONE, 2)  # it was resumed


def test_a_failing_trial_is_named_and_the_others_go_on(a3crs, tmp_path):
    out = tmp_path / "sweep"
    flags = [*TRIAL, "--steps", "300", "--net", "choice:nature,ff", "--draws", "4", "--seed", SEED_OF_BOTH]
    plan = Plan.drawn({"net": "choice:nature,ff", "env": "CartPole-v1", "seed": SEED_OF_BOTH}, draws=4)
    bad = [trial.name for trial in plan.trials if trial.settings["net"] == "nature"]
    assert 0 < len(bad) < 4
    code, shown, err = a3crs("sweep", *flags, "--out", out)
    said = [line for line in err.splitlines() if line.startswith("a3crs: error: ")]
    assert (code, len(said)) == (1, 1)
    assert f"{len(bad)} of 4 trials failed, {out / bad[0]} first (Net nature looks at images" in said[0]
    assert len(done(out)) == 4 - len(bad)
    assert len(shown.splitlines()) == 1 + 4 + 1
    assert {row["run"]: row["state"] for row in results(out).rows(named=True) if row["run"] in bad} == dict.fromkeys(
        bad, "failed"
    )
    before = written(out / bad[0])
    assert a3crs("sweep", *flags, "--out", out)[0] == 1
    assert written(out / bad[0]) == before  # it is not run again


def test_a_trial_whose_process_dies_wordlessly_is_failed_with_what_is_known(tmp_path):
    looks = []
    LocalEngine(2).run([tmp_path / "no-plan"], looks.append)
    assert state(tmp_path / "no-plan") is State.FAILED
    assert "exit code 1" in read_failure(tmp_path / "no-plan")
    assert "is not a sweep: it has no sweep.json." in read_failure(tmp_path / "no-plan")
    assert looks[-1] == []


def test_a_trial_without_a_checkpoint_begins_again(tmp_path):
    save(tmp_path, Plan.drawn(CARTPOLE))
    trial = tmp_path / "draw000__s0"
    trial.mkdir()
    (trial / "episodes.jsonl").write_text('{"steps": 1')
    (trial / "checkpoints").mkdir()
    run_trial(trial)
    assert (state(trial), sessions(trial)) == (State.DONE, 1)
    before = written(trial)
    run_trial(trial)
    assert written(trial) == before


def test_two_cannot_work_on_one_sweep(tmp_path, a3crs):
    save(tmp_path, Plan.drawn(CARTPOLE))
    with RunDir(tmp_path).locked(), pytest.raises(ValueError, match="is in use by another a3crs"):
        run_sweep(Plan.drawn(CARTPOLE), tmp_path, quiet=True)
    assert trials(tmp_path) == []


def test_any_engine_will_do(tmp_path):
    class Patient:
        def run(self, trials, look):
            for trial in trials:
                look([trial])
                run_trial(trial)

    run_sweep(Plan.drawn(CARTPOLE, seeds=2), tmp_path / "sweep", engine=Patient(), quiet=True)
    assert len(done(tmp_path / "sweep")) == 2


def test_cores_are_shared_out():
    assert shares([0, 1, 2, 3, 4], 2) == [[0, 1], [2, 3, 4]]
    assert shares([4, 6], 3) == [[4], [6], [4]]
    assert shares([0, 1, 2], 1) == [[0, 1, 2]]
    count = len(os.sched_getaffinity(0))
    assert default_jobs(Plan.drawn(CARTPOLE)) == count
    assert default_jobs(Plan.drawn(CARTPOLE | {"actors": "choice:1,1024"}, draws=20)) == 1
