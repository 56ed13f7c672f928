"""MuJoCo's tasks in Gymnasium and dm_control."""

import os
import subprocess
import sys

import gymnasium
import numpy as np
import pytest

import a3crs
from a3crs.config import TrainConfig
from a3crs.envs import Continuous, Mode, VectorObs, mujoco, resolve
from a3crs.envs.gym_env import GymEnv
from a3crs.envs.worker import WorkerEnv
from a3crs.errors import ConfigError

# Number of observations, number of actions, steps of an episode.
TASKS = {
    "Reacher-v5": (10, 2, 50),
    "InvertedPendulum-v5": (4, 1, 1000),
    "Pendulum-v1": (3, 1, 200),
    "Hopper-v5": (11, 3, 1000),
    "Walker2d-v5": (17, 6, 1000),
    "HalfCheetah-v5": (17, 6, 1000),
    "Ant-v5": (105, 8, 1000),
    "Swimmer-v5": (8, 2, 1000),
    "Pusher-v5": (23, 7, 100),
}
NEAREST_TO_THE_PAPERS = {  # each of 1000 steps
    "reacher-easy": (6, 2),
    "cartpole-balance": (5, 1),
    "cartpole-swingup": (5, 1),
    "pendulum-swingup": (3, 1),
    "point_mass-easy": (4, 2),
    "manipulator-bring_ball": (44, 5),
    "finger-spin": (9, 2),
    "ball_in_cup-catch": (8, 2),
    "hopper-hop": (15, 4),
    "walker-walk": (24, 6),
    "cheetah-run": (17, 6),
    "quadruped-walk": (78, 12),
}


@pytest.mark.parametrize("env", TASKS)
def test_every_task_trains_in_threads_and_is_evaluated(tmp_path, env):
    observed, dims, limit = TASKS[env]
    family = resolve(TrainConfig(env=env), Mode.TRAINING)
    assert (family.spec.obs, family.spec.actions) == (VectorObs(observed), Continuous(dims, clipped=True))
    assert family.spec.max_episode_steps == limit
    assert isinstance(family.make(0), GymEnv)
    result = a3crs.train(env, actors=2, total_steps=400, out=tmp_path / "run", quiet=True)
    assert result.summary["steps"] >= 400
    assert result.summary["refused_updates"] == 0
    assert np.isfinite(a3crs.evaluate(tmp_path / "run", episodes=1)["mean"])


def test_whole_episodes_and_the_papers_gaussian_train_the_papers_networks(tmp_path):
    settings = {"net": "lstm", "gaussian": "spherical", "t_max": "episode", "actors": 2, "total_steps": 200}
    result = a3crs.train("Reacher-v5", out=tmp_path / "run", quiet=True, **settings)
    assert result.summary["updates"] == result.summary["episodes"] == result.summary["steps"] / 50
    assert a3crs.evaluate(tmp_path / "run", episodes=1, greedy=True)["episodes"] == 1


def test_mujoco_writes_no_log_and_says_nothing_of_models_that_are_not_ours(tmp_path):
    code = "from a3crs.cli import main; main()"
    train = ["train", "--env", "HalfCheetah-v5", "--actors", "1", "--steps", "100", "--quiet", "--out", "run"]
    done = subprocess.run([sys.executable, "-c", code, *train], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_warning_of_mujoco_is_said_once(capsys):
    for warning in ("Nan in QACC at time 1", "Nan in QACC at time 1", "attribute 'x' is deprecated"):
        mujoco._say(warning)
    assert capsys.readouterr().err == "a3crs: MuJoCo warns: Nan in QACC at time 1\n"


@pytest.mark.parametrize("task", NEAREST_TO_THE_PAPERS)
def test_the_tasks_of_dm_control_nearest_to_the_papers_can_be_played(task):
    observed, dims = NEAREST_TO_THE_PAPERS[task]
    family = resolve(TrainConfig(env=f"dm_control/{task}-v0", env_workers="thread"), Mode.TRAINING)
    assert (family.spec.obs, family.spec.actions) == (VectorObs(observed), Continuous(dims, clipped=True))
    assert family.spec.max_episode_steps == 1000
    env = family.make(0)
    first, second = env.reset(seed=1)[0], env.reset(seed=1)[0]
    np.testing.assert_array_equal(first, second)
    assert all(0 <= env.step((5.0,) * dims)[1] <= 1 for _ in range(10))


def test_a_task_of_dm_control_ends_where_its_time_limit_cuts_it():
    env = resolve(TrainConfig(env="dm_control/pendulum-swingup-v0", env_workers="thread"), Mode.TRAINING).make(0)
    env.reset(seed=1)
    steps = [env.step((0.0,)) for _ in range(1000)]
    assert [(step[2], step[3]) for step in steps] == [(False, False)] * 999 + [(False, True)]


def test_a_task_of_dm_control_trains_in_worker_processes(tmp_path):
    env = resolve(TrainConfig(env="dm_control/cheetah-run-v0"), Mode.TRAINING).make(0)
    assert isinstance(env, WorkerEnv)
    env.close()
    settings = {"actors": 2, "total_steps": 300, "quiet": True}
    result = a3crs.train("dm_control/cheetah-run-v0", out=tmp_path / "run", **settings)
    assert (result.summary["steps"] >= 300, result.summary["env_restarts"]) == (True, 0)


@pytest.mark.parametrize("missing", ["dm_control", "shimmy"])
def test_without_the_extra_the_ids_of_dm_control_name_it(monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ConfigError) as refusal:
        resolve(TrainConfig(env="dm_control/cheetah-run-v0"), Mode.TRAINING)
    assert str(refusal.value) == (
        f"The tasks of dm_control are an extra, and {missing} is not installed: pip install 'a3crs[dm-control]'."
    )


def test_mujocos_environments_are_known_before_they_are_made():
    known = [gymnasium.spec(env) for env in ("HalfCheetah-v5", "Ant-v4", "CartPole-v1", "FrozenLake-v1")]
    assert [mujoco.has(spec) for spec in known] == [True, True, False, False]


@pytest.fixture
def linux(monkeypatch):
    """Pretends Linux without MUJOCO_GL, where only the named renderers work."""
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("MUJOCO_GL", "")  # makes monkeypatch restore the present value
    monkeypatch.delenv("MUJOCO_GL")
    monkeypatch.setenv("LP_NUM_THREADS", "")
    monkeypatch.delenv("LP_NUM_THREADS")

    def works(*names):
        monkeypatch.setattr(mujoco, "_works", lambda name: name in names)

    return works


@pytest.mark.parametrize(("works", "chosen"), [(["egl", "osmesa"], "egl"), (["osmesa"], "osmesa")])
def test_mujoco_draws_with_egl_or_else_osmesa(linux, works, chosen):
    linux(*works)
    mujoco.choose_opengl()
    assert (os.environ["MUJOCO_GL"], os.environ["LP_NUM_THREADS"]) == (chosen, "0")


def test_where_mujoco_cannot_draw_the_missing_packages_are_named(linux):
    linux()
    with pytest.raises(ConfigError, match="libegl1 and libgl1-mesa-dri or libosmesa6"):
        mujoco.choose_opengl()
    assert "MUJOCO_GL" not in os.environ


def test_the_users_choice_of_opengl_stays(linux):
    linux()
    os.environ |= {"MUJOCO_GL": "glfw", "LP_NUM_THREADS": "3"}
    mujoco.choose_opengl()
    assert (os.environ["MUJOCO_GL"], os.environ["LP_NUM_THREADS"]) == ("glfw", "3")


def test_what_cannot_draw_is_not_chosen():
    assert not mujoco._works("no_such_opengl")
