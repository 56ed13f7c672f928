"""Environments in worker processes: their observations, and the run's behaviour when they die or hang."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import cloudpickle
import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete

import a3crs
from a3crs.config import RunConfig, TrainConfig
from a3crs.envs import Mode, resolve
from a3crs.envs.gym import gym_family
from a3crs.envs.gym_env import GymEnv
from a3crs.envs.worker import WorkerEnv
from a3crs.errors import ConfigError, EnvError
from a3crs.runlog import load


def ten_steps(trouble=lambda env: None, at=5, shape=(3,), dtype=np.float32):
    """Returns a class of environments with ten steps of reward 1 an episode; `trouble` is called in step `at`.

    The class is local, like one of a notebook: workers cannot import it from a module.
    """

    class TenSteps(gymnasium.Env):
        observation_space = Box(0, 200, shape, dtype)
        action_space = Discrete(2)

        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            self.steps = 0
            return self._show(), {}

        def step(self, action):
            self.steps += 1
            if self.steps == at:
                trouble(self)
            return self._show(), 1, self.steps == 10, False, {}

        def _show(self):
            return np.full(shape, self.steps, dtype)

    return TenSteps


def once(path, trouble):
    """Returns `trouble`, limited to one call in all processes together."""

    def maybe(env):
        try:
            path.touch(exist_ok=False)
        except FileExistsError:
            return
        trouble(env)

    return maybe


def die(env):
    os.kill(os.getpid(), signal.SIGKILL)


def hang(env):
    time.sleep(1000)


@pytest.fixture(autouse=True)
def _this_file_is_sent_whole():
    module = sys.modules[__name__]  # workers cannot import it
    cloudpickle.register_pickle_by_value(module)
    yield
    cloudpickle.unregister_pickle_by_value(module)


@pytest.fixture
def worker():
    """Makes an environment in a worker process; closes it after the test."""
    made = []

    def make(make_env, **settings):
        settings = {"env": "callable", "env_workers": "process"} | settings
        family = gym_family("TenSteps", make_env, RunConfig(**settings))
        made.append(family.make(3))
        assert isinstance(made[-1], WorkerEnv)
        return made[-1], family.restarts

    yield make
    for env in made:
        env.close()


@pytest.mark.parametrize(("shape", "dtype"), [((3,), np.float32), ((24, 21, 3), np.uint8), ((4, 24, 21), np.uint8)])
def test_a_worker_shows_what_the_environment_shows_in_a_thread(worker, shape, dtype):
    make_env = ten_steps(shape=shape, dtype=dtype)
    there, restarts = worker(make_env)
    here = gym_family("TenSteps", make_env, RunConfig(env="callable", env_workers="thread")).make(0)
    assert isinstance(here, GymEnv)
    for _ in range(2):
        np.testing.assert_array_equal(there.reset(seed=1)[0], here.reset(seed=1)[0])
        for _ in range(10):
            (seen, *rest), (expected, *expected_rest) = there.step(1), here.step(1)
            assert (seen.dtype, seen.shape) == (expected.dtype, expected.shape)
            np.testing.assert_array_equal(seen, expected)
            assert rest == expected_rest
    assert restarts.count == 0


def test_cart_pole_goes_the_same_way_in_a_process_as_in_a_thread():
    ways = []
    for where in ("thread", "process"):
        env = resolve(TrainConfig(env="CartPole-v1", env_workers=where), Mode.TRAINING).make(0)
        way = [env.reset(seed=7)[0].tolist()]
        ended = False
        while not ended:
            obs, _, ended, _, info = env.step(len(way) % 2)
            way.append(obs.tolist())
        env.close()
        ways.append((way, info["episode"]))
    assert ways[0] == ways[1]


def test_vectors_of_continuous_actions_reach_the_environment_in_its_process(worker):
    there, _ = worker(lambda: gymnasium.make("Pendulum-v1"))
    here = resolve(TrainConfig(env="Pendulum-v1"), Mode.TRAINING).make(0)
    np.testing.assert_array_equal(there.reset(seed=1)[0], here.reset(seed=1)[0])
    for action in [(0.3,), (-0.7,), (-2.0,)]:
        (seen, *rest), (expected, *expected_rest) = there.step(action), here.step(action)
        np.testing.assert_array_equal(seen, expected)
        assert rest[:3] == expected_rest[:3]


def test_the_environment_computes_in_another_process_and_leaves_with_its_actor(worker, tmp_path):
    note = tmp_path / "pid"
    env, _ = worker(ten_steps(lambda env: note.write_text(str(os.getpid())), at=1))
    env.reset()
    env.step(0)
    pid = int(note.read_text())
    assert pid != os.getpid()
    os.kill(pid, 0)  # raises an error if there is no such process
    env.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_waiting_for_a_worker_leaves_the_interpreter_to_others(worker):
    env, _ = worker(ten_steps(lambda env: time.sleep(0.5), at=1))
    env.reset()
    stepping = threading.Thread(target=env.step, args=(0,))
    stepping.start()
    counted = 0
    while stepping.is_alive():
        counted += 1
    assert counted > 1000  # a held interpreter lock would have stopped this thread


@pytest.mark.parametrize(
    ("trouble", "reason"), [(die, "died (signal SIGKILL)"), (lambda env: os._exit(3), "died (exit code 3)")]
)
def test_a_worker_that_dies_cuts_the_episode_and_is_restarted(worker, tmp_path, capsys, trouble, reason):
    env, restarts = worker(ten_steps(once(tmp_path / "died", trouble)))
    env.reset()
    for _ in range(4):
        env.step(0)
    obs, reward, terminated, truncated, info = env.step(0)
    assert (obs.tolist(), reward, terminated, truncated, info) == ([4, 4, 4], 0, False, True, {})
    assert env.reset()[0].tolist() == [0, 0, 0]
    assert [env.step(0)[2] for _ in range(10)] == [False] * 9 + [True]
    assert restarts.count == 1
    said = f"a3crs: the environment of actor 3 is restarted because it {reason}.\n"
    assert capsys.readouterr().err == said


def test_a_worker_that_hangs_is_restarted_after_its_time(worker, tmp_path, capsys):
    env, restarts = worker(ten_steps(once(tmp_path / "hung", hang)), env_timeout_secs=4.0)
    env.reset()
    steps = [env.step(0) for _ in range(5)]
    assert [step[3] for step in steps] == [False, False, False, False, True]
    env.reset()
    assert [env.step(0)[2] for _ in range(10)] == [False] * 9 + [True]
    assert restarts.count == 1
    assert "did not answer for 4 s" in capsys.readouterr().err


def test_a_worker_that_dies_again_and_again_ends_in_a_sentence(worker):
    env, restarts = worker(ten_steps(die, at=1), env_restarts=2)
    env.reset()
    for _ in range(2):
        assert env.step(0)[3]
        env.reset()
    with pytest.raises(EnvError) as end:
        env.step(0)
    assert str(end.value) == (
        "The environment of actor 3 has no restarts left, and it died (signal SIGKILL): mend the environment, or "
        "allow more with --set env_restarts=N."
    )
    assert restarts.count == 2


def test_a_worker_that_dies_while_it_resets_is_restarted_until_none_are_left(worker, tmp_path):
    trouble = once(tmp_path / "died", die)

    class DiesInReset(ten_steps()):
        def reset(self, *, seed=None, options=None):
            trouble(self)
            return super().reset(seed=seed)

    env, restarts = worker(DiesInReset)
    assert env.reset(seed=5)[0].tolist() == [0, 0, 0]
    assert restarts.count == 1


def test_the_environments_exception_arrives_as_itself_with_its_traceback(worker):
    def fall(env):
        raise ArithmeticError("the sign fell over")

    env, restarts = worker(ten_steps(fall))
    env.reset()
    for _ in range(4):
        env.step(0)
    with pytest.raises(ArithmeticError) as failure:
        env.step(0)
    assert str(failure.value) == "the sign fell over"
    (note,) = failure.value.__notes__
    assert "in fall" in note
    assert restarts.count == 0


def test_an_exception_that_cannot_be_sent_arrives_in_words(worker):
    class StubbornError(Exception):
        def __reduce__(self):
            raise TypeError("no")

    def fall(env):
        raise StubbornError("the sign fell over")

    env, _ = worker(ten_steps(fall, at=1))
    env.reset()
    with pytest.raises(EnvError, match=r"^The environment raised StubbornError: the sign fell over\."):
        env.step(0)


def test_an_observation_of_another_shape_than_its_space_is_refused(worker):
    class Grows(ten_steps()):
        def reset(self, *, seed=None, options=None):
            return np.zeros(4, np.float32), {}

    env, _ = worker(Grows)
    with pytest.raises(EnvError, match=r"has the shape \(4,\), but its observation_space has \(3,\)"):
        env.reset()


def test_a_worker_knows_the_ids_that_the_program_has_registered(worker, monkeypatch):
    monkeypatch.setattr(gymnasium.envs.registration, "registry", dict(gymnasium.registry))
    monkeypatch.setattr(gymnasium, "registry", gymnasium.envs.registration.registry)
    gymnasium.register("Unsendable-v0", lambda: threading.Lock, kwargs={"lock": threading.Lock()})
    gymnasium.register("TenSteps-v0", ten_steps())
    env, _ = worker(lambda: gymnasium.make("TenSteps-v0"))
    assert env.reset()[0].tolist() == [0, 0, 0]


def test_what_cannot_be_sent_is_refused_or_runs_in_threads_where_that_is_left_open(capsys):
    lock = threading.Lock()
    make_env = ten_steps(lambda env: lock.acquire())
    with pytest.raises(ConfigError, match=r"TenSteps cannot be sent to a worker process \(TypeError: .*lock"):
        gym_family("TenSteps", make_env, RunConfig(env="callable", env_workers="process"))
    family = gym_family("TenSteps", make_env, RunConfig(env="callable"))
    assert isinstance(family.make(0), GymEnv)
    assert "a3crs: TenSteps runs in the actors' threads: TenSteps cannot be sent" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "process"), [("CartPole-v1", False), ("FrozenLake-v1", False), ("callable", True)])
def test_environments_run_in_processes_unless_they_are_known_to_be_faster_in_threads(name, process):
    make_env = ten_steps() if name == "callable" else None
    env = resolve(TrainConfig(env=name), Mode.TRAINING, make_env).make(0)
    assert isinstance(env, WorkerEnv) == process
    env.close()


def test_a_run_goes_on_when_workers_die_and_says_how_many(tmp_path):
    deaths = tmp_path / "deaths"
    deaths.mkdir()

    def die_three_times(env):
        for n in range(3):
            once(deaths / str(n), die)(env)

    settings = {"actors": 2, "total_steps": 2000, "env_workers": "process"}
    result = a3crs.train(ten_steps(die_three_times), out=tmp_path / "run", quiet=True, **settings)
    assert result.summary["steps"] >= 2000
    assert result.summary["env_restarts"] == 3
    rows = load.restarts(tmp_path / "run").collect()
    assert len(rows) == 3
    assert set(rows["reason"]) == {"died (signal SIGKILL)"}
    assert set(rows["actor"]) <= {0, 1}
    episodes = load.episodes(tmp_path / "run").collect()
    assert set(episodes["length_steps"]) == {10}  # lost episodes have no score


PROGRAM = """
import a3crs, gymnasium, os, pathlib, time

class Own(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(0, 1, (2,))
    action_space = gymnasium.spaces.Discrete(2)
    def reset(self, *, seed=None, options=None):
        return [0, 1], {{}}
    def step(self, action):
        {body}

print("started")
a3crs.train(Own, actors=2, total_steps=500, out={out!r}, quiet=True)
"""


def test_a_program_without_a_main_guard_trains_and_leaves_no_process_behind(tmp_path):
    (tmp_path / "program.py").write_text(
        PROGRAM.format(body="return [1, 0], 1, True, False, {}", out=str(tmp_path / "run"))
    )
    # The pipe ends only when the last process that holds it has ended.
    done = subprocess.run([sys.executable, tmp_path / "program.py"], capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stdout) == (0, "started\n"), done.stderr
    assert json.loads((tmp_path / "run" / "config.json").read_text())["env"] == "callable"


def test_workers_that_hang_follow_a_program_that_was_killed(tmp_path):
    body = f"(pathlib.Path({str(tmp_path)!r}) / str(os.getpid())).touch(); time.sleep(1000)"
    (tmp_path / "program.py").write_text(PROGRAM.format(body=body, out=str(tmp_path / "run")))
    program = subprocess.Popen([sys.executable, tmp_path / "program.py"], stdout=subprocess.PIPE)
    try:
        wait_until(lambda: len(list(tmp_path.glob("[0-9]*"))) == 2)
    finally:
        program.kill()
    program.communicate(timeout=100)  # the pipe ends only with the workers, which would sleep for longer


def test_a_signal_to_all_processes_saves_the_run_and_ends_it_quietly(tmp_path):
    out = tmp_path / "run"
    flags = ["--env", "CartPole-v1", "--env-workers", "process", "--actors", "2", "--out", str(out)]
    command = [sys.executable, "-m", "a3crs", "train", *flags]
    program = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        wait_until(lambda: (out / "episodes.jsonl").exists() and load.episodes(out).collect().height)
        os.killpg(program.pid, signal.SIGTERM)
        _, err = program.communicate(timeout=60)
    finally:
        program.kill()
    assert program.returncode == 130, err
    assert f"a3crs resume {out}" in err
    assert "restarted" not in err
    assert not (out / "restarts.jsonl").exists()


def wait_until(true):
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)
