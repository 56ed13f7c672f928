import json
import os
import signal
import subprocess
import sys
import time

import pytest

from a3crs import _core
from a3crs.config import RunConfig, TrainConfig
from a3crs.errors import CheckpointError, ConfigError, DivergedError, EnvError, RunError
from a3crs.evaluation import Evaluation, evaluate_run
from a3crs.rundir import RunDir
from a3crs.runlog import load
from a3crs.runlog.schema import EPISODES, PROGRESS
from a3crs.training import resume_run, start_run


def test_a_toy_environment_is_learned_through_the_whole_stack(recall, recall_config, tmp_path):
    one_order = recall_config.changed(actors=1)  # of updates: with two actors, one run in some hundred fails
    result = start_run(one_order, out=tmp_path / "run", quiet=True, env=recall)
    assert result.summary["return_mean_100"] > 9
    row = evaluate_run(tmp_path / "run", Evaluation(episodes=20, greedy=True), env=recall)
    assert row["mean"] == 10


@pytest.mark.parametrize("algo", ["a3c", "n-step-q", "one-step-q", "one-step-sarsa"])
@pytest.mark.parametrize("optimizer", ["shared-rmsprop", "rmsprop", "momentum-sgd"])
def test_the_core_knows_every_method_and_optimizer_the_config_allows(recall, recall_config, tmp_path, algo, optimizer):
    config = TrainConfig(env="Recall", env_workers="thread", actors=2, algo=algo, optimizer=optimizer, total_steps=500)
    summary = start_run(config, out=tmp_path / "run", quiet=True, env=recall).summary
    assert summary["steps"] >= 500
    assert summary["updates"] > 0


def test_the_logs_have_exactly_the_columns_of_the_schema(pong_run):
    for name, schema in (("episodes", EPISODES), ("progress", PROGRESS)):
        first = json.loads((pong_run / f"{name}.jsonl").read_text().splitlines()[0])
        assert list(first) == schema.names(), name


def test_the_logs_of_a_run_agree_with_each_other(pong_run):
    episodes, progress = load.episodes(pong_run).collect(), load.progress(pong_run).collect()
    last = progress.row(-1, named=True)
    assert last["steps"] >= 3000
    assert last["frames"] == 4 * last["steps"]
    assert last["episodes"] == len(episodes) >= 1
    assert last["return_mean_100"] == pytest.approx(episodes["episode_return"].mean())
    shares = [last[f"share_{name}"] for name in ("env", "forward", "backward", "update", "waiting")]
    assert sum(shares) == pytest.approx(1, abs=0.02)
    assert -21 <= episodes["episode_return"].min() <= episodes["episode_return"].max() <= 21


def test_a_run_directory_says_how_it_was_made(pong_run):
    config = RunConfig.from_mapping(json.loads((pong_run / "config.json").read_text()))
    assert config == RunConfig(env="Pong", actors=2, total_steps=3000, preset="paper")
    (session,) = json.loads((pong_run / "meta.json").read_text())["sessions"]
    assert session["versions"]["a3crs"]
    assert session["isa"] == _core.isa()
    words = (pong_run / "meta.json").read_text()
    assert os.environ.get("HOME", "no home") not in words


def test_a_run_is_named_after_environment_method_seed_and_time(recall, recall_config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = recall_config.changed(total_steps=100, seed=3)
    result = start_run(config, quiet=True, env=recall)
    assert result.run.path.parent.name == "runs"
    assert result.run.path.name.startswith("Recall__a3c-ff__s3__2")


def test_frames_are_steps_times_the_action_repeat(tmp_path):
    config = TrainConfig(env="Pong", actors=1, total_steps=10**6)
    result = start_run(config, frames=2000, out=tmp_path / "run", quiet=True)
    assert json.loads(result.run.config.read_text())["total_steps"] == 500
    assert 500 <= result.summary["steps"] < 520


def test_a_run_goes_on_where_its_checkpoint_left_off(recall, recall_config, tmp_path):
    first = start_run(recall_config.changed(actors=1), out=tmp_path / "run", quiet=True, env=recall).summary
    with (tmp_path / "run" / "progress.jsonl").open("a") as log:
        log.write('{"steps": 99')  # a row cut off by a kill
    second = resume_run(tmp_path / "run", frames=60_000, quiet=True, env=recall).summary
    assert second["steps"] >= 60_000 > first["steps"]
    assert second["updates"] > first["updates"]
    assert second["secs"] > first["secs"]
    assert second["return_mean_100"] > 9  # the parameters were kept
    assert len(json.loads((tmp_path / "run" / "meta.json").read_text())["sessions"]) == 2
    for log in (load.episodes, load.progress):
        steps = log(tmp_path / "run").collect()["steps"]
        assert steps.is_sorted()
        assert steps.null_count() == 0


def test_a_finished_run_is_not_resumed_without_more_frames(recall, recall_config, tmp_path):
    config = recall_config.changed(total_steps=100)
    start_run(config, out=tmp_path / "run", quiet=True, env=recall)
    with pytest.raises(ConfigError, match=r"has finished its .* frames: give it more with --frames"):
        resume_run(tmp_path / "run", quiet=True, env=recall)


def test_frames_that_make_no_step_are_refused_by_name(recall, recall_config, tmp_path):
    with pytest.raises(ConfigError, match="--frames is 0, but it must be at least 1"):
        start_run(recall_config, frames=0, out=tmp_path / "run", quiet=True, env=recall)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("file", "text", "sentence"),
    [
        ("meta.json", "{", "meta.json is damaged"),
        ("episodes.jsonl", "garbage\n", "Line 1 of .*episodes.jsonl is damaged"),
        ("progress.jsonl", '{"frames": 1}\n', "Line 1 of .*progress.jsonl is damaged"),
    ],
)
def test_a_damaged_file_of_the_run_is_named(recall, recall_config, tmp_path, file, text, sentence):
    config = recall_config.changed(total_steps=100)
    start_run(config, out=tmp_path / "run", quiet=True, env=recall)
    (tmp_path / "run" / file).write_text(text)
    with pytest.raises(RunError, match=sentence):
        resume_run(tmp_path / "run", frames=200, quiet=True, env=recall)


def test_a_checkpoint_of_another_method_leaves_the_run_untouched(recall, recall_config, tmp_path):
    config = TrainConfig(env="Recall", env_workers="thread", actors=2, total_steps=100)
    run = start_run(config, out=tmp_path / "run", quiet=True, env=recall).run
    run.write_config(run.read_config().changed(algo="n-step-q"))
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    with pytest.raises(CheckpointError, match=r"is of algo a3c, this run has n-step-q"):
        resume_run(run.path, frames=200, quiet=True, env=recall)
    assert {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()} == before


def test_a_run_killed_before_its_first_checkpoint_says_how_to_start_again(recall, recall_config, tmp_path):
    run = start_run(recall_config.changed(total_steps=100), out=tmp_path / "run", quiet=True, env=recall)
    for checkpoint in run.run.latest_checkpoint.parent.iterdir():
        checkpoint.unlink()
    with pytest.raises(CheckpointError, match="a3crs train --config"):
        resume_run(tmp_path / "run", quiet=True, env=recall)


def test_a_directory_that_is_not_empty_is_refused(recall, recall_config, tmp_path):
    (tmp_path / "precious").touch()
    with pytest.raises(ConfigError, match="is not empty"):
        start_run(recall_config, out=tmp_path, quiet=True, env=recall)
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


def test_a_place_where_no_directory_can_be_is_refused(recall, recall_config, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be used for a run: Not a directory"):
        start_run(recall_config, out=tmp_path / "file" / "run", quiet=True, env=recall)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_place_is_refused(recall, recall_config, tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(ConfigError, match="cannot be used for a run: Permission denied"):
        start_run(recall_config, out=tmp_path / "run", quiet=True, env=recall)


def test_an_environments_exception_arrives_unchanged_with_a_note(failing_recall, recall_config, tmp_path):
    with pytest.raises(ArithmeticError, match="the sign fell over") as failure:
        start_run(recall_config, out=tmp_path / "run", quiet=True, env=failing_recall)
    assert str(failure.value) == "the sign fell over"
    notes = "\n".join(failure.value.__notes__)
    assert "actor" in notes
    assert "step" in notes
    assert any("in step" in str(frame) or frame.name == "step" for frame in failure.traceback)


def test_an_environment_that_exits_has_failed(recall, recall_config, tmp_path):
    class Leaving(recall):
        def step(self, action):
            sys.exit(0)

    with pytest.raises(EnvError, match=r"^The environment called sys\.exit\(0\): ") as failure:
        start_run(recall_config, out=tmp_path / "run", quiet=True, env=Leaving)
    assert isinstance(failure.value.__cause__, SystemExit)
    assert "at its step 0" in "".join(failure.value.__notes__)


def test_an_exception_while_showing_progress_stops_the_run_and_saves_it(recall, recall_config, tmp_path, monkeypatch):
    class Broken:
        def show(self, row):
            raise LookupError("no terminal")

    monkeypatch.setattr("a3crs.training.open_display", lambda config, quiet: _context(Broken()))
    config = recall_config.changed(total_steps=10**9)
    with pytest.raises(LookupError, match="no terminal"):
        start_run(config, out=tmp_path / "run", quiet=True, env=recall)
    assert _core.read_checkpoint(str(tmp_path / "run" / "checkpoints" / "latest.safetensors"))["steps"] > 0


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_the_run_and_says_how_to_go_on(tmp_path, signum):
    out = tmp_path / "run"
    command = [sys.executable, "-m", "a3crs", "train", "--env", "CartPole-v1", "--actors", "2", "--out", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 30
        log = out / "episodes.jsonl"
        while not (log.exists() and log.stat().st_size) and time.monotonic() < deadline:
            time.sleep(0.1)
        process.send_signal(signum)
        _, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130, err
    assert "a3crs: stopped." in err
    assert f"a3crs resume {out}" in err
    assert "Traceback" not in err
    assert _core.read_checkpoint(str(out / "checkpoints" / "latest.safetensors"))["steps"] > 0


DAMAGES = {
    "empty": lambda whole: b"",
    "cut": lambda whole: whole[: len(whole) // 2],
    "noise": lambda whole: b"x" * 1000,
    "flip": lambda whole: whole[:-1000] + bytes([whole[-1000] ^ 1]) + whole[-999:],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_gives_way_to_the_one_before(pong_run, tmp_path, capsys, damage):
    run = RunDir(_copy(pong_run, tmp_path))
    latest = run.latest_checkpoint
    (step,) = latest.parent.glob("step_*.safetensors")
    latest.write_bytes(DAMAGES[damage](latest.read_bytes()))
    assert run.newest_checkpoint()[0] == step
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{latest} cannot be used: the file is damaged" in line
    assert line.endswith(f"The one used is {step}.")


def test_a_latest_checkpoint_that_is_missing_gives_way_to_the_last_one(pong_run, tmp_path, capsys):
    run = RunDir(_copy(pong_run, tmp_path))
    run.latest_checkpoint.unlink()
    done = run.newest_checkpoint()[1]["steps"]
    assert resume_run(run.path, frames=4 * done + 400, quiet=True).summary["steps"] >= done + 100
    assert f"There is no {run.latest_checkpoint}. The one used is " in capsys.readouterr().err


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_run_without_a_whole_checkpoint_is_refused_and_left_as_it_is(pong_run, tmp_path, damage):
    run = RunDir(_copy(pong_run, tmp_path))
    for path in run.latest_checkpoint.parent.iterdir():
        path.write_bytes(DAMAGES[damage](path.read_bytes()))
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    with pytest.raises(CheckpointError) as refusal:
        resume_run(run.path, frames=20_000, quiet=True)
    assert f"{run.latest_checkpoint} cannot be used: the file is damaged" in str(refusal.value)
    assert {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()} == before


def test_a_checkpoint_of_another_game_is_refused(pong_run, tmp_path):
    run = _copy(pong_run, tmp_path)
    config = json.loads((run / "config.json").read_text()) | {"env": "Breakout"}
    (run / "config.json").write_text(json.dumps(config))
    with pytest.raises(
        CheckpointError, match=r"was trained on Pong with .* and 6 actions, this run's environment has .* and 4 actions"
    ):
        resume_run(run, frames=20_000, quiet=True)


def test_a_second_ctrl_c_leaves_at_once_and_the_last_checkpoint_stays(tmp_path):
    out = tmp_path / "run"
    script = (
        "import sys, time, a3crs.training as t\n"
        "t._core.train = lambda *a: (print('on', flush=True), time.sleep(60))\n"
        "notice = t._notice\n"
        "def slow(what):\n"
        "    notice(what)\n"
        "    sys.stderr.flush()\n"
        "    time.sleep(60)\n"  # a save that takes its time
        "t._notice = slow\n"
        f"t.train('CartPole-v1', out={str(out)!r}, quiet=True)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "on\n"
        process.send_signal(signal.SIGINT)
        assert process.stderr.readline() == "a3crs: saving the run; a second Ctrl-C leaves at once.\n"
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == -signal.SIGINT


def test_the_rows_after_a_checkpoint_are_dropped_from_the_logs_each_actors_own(recall, recall_config, tmp_path):
    run = start_run(recall_config.changed(total_steps=500), out=tmp_path / "run", quiet=True, env=recall).run
    row = {"steps": 1, "frames": 1, "secs": 1.0, "actor": 0, "return": 1.0, "length_steps": 1, "explore_eps": None}
    rows = [row | {"steps": steps, "actor": actor} for steps, actor in [(90, 0), (95, 1), (99, 0), (120, 1)]]
    episodes = run.path / "episodes.jsonl"
    episodes.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"steps": 1')
    run.forget_after({"steps": 100, "actors": [{"ticket": 95}, {"ticket": 110}]})
    kept = [json.loads(line) for line in episodes.read_text().splitlines()]
    assert [(row["steps"], row["actor"]) for row in kept] == [(90, 0), (95, 1)]


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"is not a run: it has no config\.json"):
        resume_run(tmp_path / "nothing")


def test_gradients_that_are_not_numbers_end_the_run_in_a_sentence(recall, recall_config, tmp_path):
    config = recall_config.changed(reward_clip=0, max_grad_norm=1e30, lr=1e30)
    with pytest.raises(DivergedError, match="lr") as failure:
        start_run(config, out=tmp_path / "run", quiet=True, env=recall)
    (advice,) = failure.value.__notes__
    assert "--lr 3.3e+29" in advice
    assert "resume" not in advice


def test_two_trainings_of_one_run_at_once_are_refused(recall, recall_config, tmp_path):
    config = recall_config.changed(total_steps=100)
    run = start_run(config, out=tmp_path / "run", quiet=True, env=recall).run
    with run.locked(), pytest.raises(ConfigError, match="is in use by another a3crs"):
        resume_run(run.path, frames=200, quiet=True, env=recall)
    resume_run(run.path, frames=200, quiet=True, env=recall)


def test_two_new_runs_of_one_directory_at_the_same_moment_are_refused(recall, recall_config, tmp_path):
    # Both have seen an empty directory; one of them has the lock.
    with RunDir(tmp_path).locked(), pytest.raises(ConfigError, match="is in use by another a3crs"):
        start_run(recall_config, out=tmp_path, quiet=True, env=recall)
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]
    start_run(recall_config.changed(total_steps=100), out=tmp_path, quiet=True, env=recall)


def test_another_process_that_trains_holds_the_run_until_it_is_killed(tmp_path):
    out = tmp_path / "run"
    command = [sys.executable, "-m", "a3crs", "train", "--env", "CartPole-v1", "--actors", "1", "--quiet"]
    process = subprocess.Popen([*command, "--set", "checkpoint_secs=0.05", "--out", str(out)])
    try:
        deadline = time.monotonic() + 60
        while not RunDir(out).latest_checkpoint.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        with pytest.raises(ConfigError, match="is in use by another a3crs: wait until it ends, or stop it"):
            resume_run(out, frames=1, quiet=True)  # the run has its length already, so only the lock can refuse it
    finally:
        process.kill()
        process.wait()
    done = _core.read_checkpoint(str(RunDir(out).latest_checkpoint))["steps"]
    assert resume_run(out, frames=done + 100, quiet=True).summary["steps"] >= done + 100


def test_what_is_no_run_gets_no_lock(tmp_path):
    with pytest.raises(ConfigError, match="is not a run"):
        resume_run(tmp_path)
    assert list(tmp_path.iterdir()) == []


def _context(value):
    from contextlib import nullcontext

    return nullcontext(value)


def _copy(run, tmp_path):
    import shutil

    return shutil.copytree(run, tmp_path / "copy")
