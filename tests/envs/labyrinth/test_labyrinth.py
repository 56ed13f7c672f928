import os
import signal
import sys
from pathlib import Path

import pytest

from a3crs.config import TrainConfig
from a3crs.envs import Discrete, ImageObs, Mode, resolve
from a3crs.envs.labyrinth import ENV_ID
from a3crs.envs.labyrinth.engine import Engine
from a3crs.errors import EnvError
from a3crs.runlog import load
from a3crs.training import start_run

SMALL = {"size": 4, "apples": 5}


@pytest.fixture
def actor():
    """Makes an actor's environment; returns it with its counter of restarts: `actor(Mode.TRAINING, env_restarts=1)`."""
    made = []

    def make(mode=Mode.TRAINING, **settings):
        family = resolve(TrainConfig(env="Labyrinth", env_kwargs=SMALL, **settings), mode)
        made.append(family.make(3))
        return made[-1], family.restarts

    yield make
    for env in made:
        env.close()


def labyrinth_of(env):
    return env._env._env.unwrapped


def kill(env):
    os.kill(labyrinth_of(env)._engines[0]._pid, signal.SIGKILL)


@pytest.mark.parametrize("name", ["Labyrinth", "labyrinth", ENV_ID])
def test_labyrinth_is_known_by_its_names(name):
    spec = resolve(TrainConfig(env=name), Mode.TRAINING).spec
    assert (spec.name, spec.obs, spec.actions) == ("Labyrinth", ImageObs(3, 84, 84), Discrete(6))
    assert (spec.frames_per_step, spec.max_episode_steps) == (4, 525)


def test_its_settings_leave_rewards_as_they_are():
    spec = resolve(TrainConfig(env="Labyrinth"), Mode.TRAINING).spec
    given = TrainConfig(env="Labyrinth")
    usual = given.with_usual_defaults().to_mapping()
    own = given.complete(spec.name, spec.kinds, spec.defaults).to_mapping()
    assert {name: value for name, value in own.items() if value != usual[name]} == {
        "preset": "paper",
        "protocol": "none",
        "t_max": 20,
        "reward_clip": 0.0,
    }


def test_training_and_evaluation_have_mazes_of_their_own(actor):
    sides = []
    for mode in Mode:
        env, _ = actor(mode)
        env.reset(seed=0)
        sides.append(labyrinth_of(env).kind.mazes)
    assert sides == ["training", "evaluation"]


def test_the_side_can_be_chosen():
    config = TrainConfig(env="Labyrinth", env_kwargs=SMALL | {"mazes": "all"})
    env = resolve(config, Mode.EVALUATION).make(0)
    assert labyrinth_of(env).kind.mazes == "all"


def test_an_engine_that_dies_ends_its_episode_and_another_is_started_until_none_are_left(actor, capsys):
    env, restarts = actor(env_restarts=1)
    env.reset(seed=0)
    kill(env)
    last = env.step(0)
    assert last[1:] == (0.0, False, True, {})
    assert last[0].shape == (3, 84, 84)
    env.reset()
    assert not any(env.step(0)[3] for _ in range(20))
    assert restarts.count == 1
    assert "the environment of actor 3 is restarted because it died" in capsys.readouterr().err
    kill(env)
    with pytest.raises(EnvError, match="The environment of actor 3 has no restarts left, and it died: "):
        env.step(0)


def test_a_worker_process_whose_engine_dies_is_restarted(actor):
    env, restarts = actor(env_workers="process")
    env.reset(seed=0)
    os.kill(child_of(env._worker._process.pid, "vizdoom"), signal.SIGKILL)
    assert env.step(0)[3]
    assert restarts.count == 1
    env.reset()
    assert not env.step(0)[3]


def child_of(pid, name):
    """Returns the number of the process of this name whose parent is `pid`."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        number, _, rest = stat.read_text().partition(" (")
        its_name, _, rest = rest.rpartition(") ")
        if (its_name, rest.split()[1]) == (name, str(pid)):
            return int(number)
    raise AssertionError(f"no {name}")


def test_training_goes_on_when_an_engine_dies(tmp_path, monkeypatch, capsys):
    act, acted = Engine.act, []

    def dies_once(engine, *arguments):
        acted.append(engine)
        if len(acted) == 200:
            os.kill(engine._pid, signal.SIGKILL)
        return act(engine, *arguments)

    monkeypatch.setattr(Engine, "act", dies_once)
    monkeypatch.chdir(tmp_path)
    config = TrainConfig(env="Labyrinth", env_kwargs=SMALL, actors=2, total_steps=1500, net="lstm")
    result = start_run(config, out=tmp_path / "run", quiet=True)
    assert result.summary["steps"] >= 1500
    assert result.summary["frames"] == 4 * result.summary["steps"]
    assert result.summary["env_restarts"] == 1
    assert load.restarts(tmp_path / "run").collect()["reason"].to_list() == ["died"]
    assert load.episodes(tmp_path / "run").collect()["length_steps"].unique().to_list() == [525]
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_without_vizdoom_labyrinth_is_refused_in_a_sentence(a3crs, monkeypatch):
    monkeypatch.setitem(sys.modules, "vizdoom", None)
    assert a3crs("train", "--env", "Labyrinth") == (
        2,
        "",
        "a3crs: error: Labyrinth needs ViZDoom: install it with pip install 'a3crs[labyrinth]'.\n",
    )


@pytest.mark.parametrize(
    ("kwargs", "sentence"),
    [
        (["size=2"], "size is 2, but it must be a whole number from 3 to 20."),
        (["sizes=4"], "Gymnasium cannot make 'a3crs/Labyrinth-v0' with"),
        (["textures=ugly"], "textures is 'ugly', but it must be varied or plain."),
    ],
)
def test_a_wrong_option_is_refused_in_a_sentence(a3crs, kwargs, sentence):
    code, out, err = a3crs("train", "--env", "Labyrinth", *(f"--env-kwargs={kwarg}" for kwarg in kwargs))
    assert (code, out) == (2, "")
    assert sentence in err
    assert "Traceback" not in err
