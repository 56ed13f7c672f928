"""Table of the domains: contents of its rows, and a new domain as a single row."""

import os
import subprocess
import sys
from dataclasses import fields

import gymnasium
import pytest

import a3crs
from a3crs.config import RunConfig, TrainConfig
from a3crs.doctor import what_to_install
from a3crs.envs import TABLE, Default, Domain, Mode, named, register, resolve, unregister
from a3crs.envs.domain import rows, runs_in_threads
from a3crs.envs.gym import gym_family
from a3crs.errors import ConfigError
from a3crs.setting import public_name
from a3crs.wording import game_lines

ROWS = {row.name: row for row in TABLE}


def toy_family(config, mode):
    family = gym_family("Toy", lambda: gymnasium.make("CartPole-v1"), config)
    family.spec.defaults.update(TOY.defaults_with(continuous=False))
    return family


TOY = Domain(
    name="Toy",
    about="a pole on a cart",
    matches=named("Toy", "toy/Toy-v0"),
    entry_point=toy_family,
    install="pip install toy",
    defaults={"t_max": Default(7, "a number of its own"), "lambda": Default(0.5, "likewise")},
    threaded=("toy.",),
)


@pytest.fixture
def toy():
    register(TOY)
    yield TOY
    unregister("Toy")


def test_a_row_is_all_that_a_new_domain_takes(toy, tmp_path):
    assert resolve(TrainConfig(env="tOY"), Mode.TRAINING).spec.name == "Toy"
    assert what_to_install("toy") == "pip install toy"
    assert any(line.split() == ["Toy", *toy.about.split(), "pip", "install", "toy"] for line in game_lines())
    assert runs_in_threads("toy.env")
    with pytest.raises(ConfigError, match=r"no environment 'Toyy' \(did you mean Toy"):
        resolve(TrainConfig(env="Toyy"), Mode.TRAINING)
    run = a3crs.train("toy", total_steps=200, actors=1, out=tmp_path / "run", quiet=True).run
    config = run.read_config()
    assert (config.t_max, config.lambda_, config.gamma) == (7, 0.5, 0.995)  # the last is that of a3c-vectors


def test_a_domain_that_was_removed_is_unknown(toy):
    unregister("Toy")
    try:
        with pytest.raises(ConfigError, match="no environment 'Toy'"):
            resolve(TrainConfig(env="Toy"), Mode.TRAINING)
        with pytest.raises(ConfigError, match="no domain 'Toy'"):
            unregister("Toy")
    finally:
        register(TOY)


def test_a_name_is_registered_once(toy):
    with pytest.raises(ConfigError, match="There is a domain 'Toy' already"):
        register(TOY)


def test_a_default_for_a_setting_that_does_not_exist_is_refused():
    with pytest.raises(ConfigError, match="There is no setting 't_maxx'"):
        TrainConfig(env="Toy").complete("Toy", (), {"t_maxx": 3})


def test_a_domains_default_gives_way_to_what_was_given():
    config = TrainConfig(env="Toy", t_max=3).complete("Toy", (), {"t_max": 7, "actors": 2})
    assert (config.t_max, config.actors) == (3, 2)


def test_the_tables_rows_are_those_that_are_asked():
    assert rows() == TABLE
    assert rows()[-1].name == "Gymnasium"


@pytest.mark.parametrize("row", TABLE, ids=ROWS)
def test_a_row_names_settings_that_exist_and_their_sources(row):
    known = {public_name(f) for f in fields(RunConfig)}
    assert row.about
    assert row.defaults.keys() <= known
    assert all(default.source for default in row.defaults.values())


@pytest.mark.parametrize(
    ("name", "discrete", "continuous"),
    [
        ("Labyrinth", {"t_max": 20, "reward_clip": 0.0}, {"t_max": 20, "reward_clip": 0.0}),
        ("TORCS", {"actors": 4, "reward_scale": 0.02, "reward_clip": 0.0}, {"actors": 4}),
        ("CarRacing", {"reward_scale": 0.1, "reward_clip": 0.0}, {}),
        ("Atari", {}, {}),
        ("Gymnasium", {}, {}),
    ],
)
def test_continuous_actions_keep_their_own_scale_of_rewards(name, discrete, continuous):
    assert ROWS[name].defaults_with(continuous=False) == discrete
    assert ROWS[name].defaults_with(continuous=True) == continuous


@pytest.mark.parametrize(
    ("module", "threads"),
    [
        ("gymnasium.envs.classic_control.cartpole", True),
        ("gymnasium.envs.toy_text.blackjack", True),
        ("gymnasium.envs.mujoco.ant_v5", True),
        ("gymnasium.envs.box2d.lunar_lander", False),
        ("a3crs.envs.labyrinth.env", True),
        ("a3crs.envs.torcs.env", True),
        ("a3crs.envs.racing", False),
        ("shimmy.dm_control_compatibility", False),
    ],
)
def test_what_is_faster_in_threads_is_known(module, threads):
    assert runs_in_threads(module) is threads


def test_the_table_is_read_without_loading_numpy_or_an_environment():
    code = "import sys, a3crs.envs; print({'numpy', 'gymnasium', 'ale_py'} & sys.modules.keys())"
    process = subprocess.run([sys.executable, "-c", code], env=os.environ, capture_output=True, text=True)
    assert process.stdout == "set()\n", process.stderr
