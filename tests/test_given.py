"""The two types of settings: the given ones of a person, and the complete ones of a run."""

import copy
import dataclasses
import inspect
import pickle

import numpy as np
import pytest

from a3crs import Agent
from a3crs.config import RunConfig, TrainConfig
from a3crs.envs import Mode, resolve
from a3crs.errors import ConfigError
from a3crs.preparation import prepare
from a3crs.presets import TABLE
from a3crs.setting import Kind

GYM = (Kind.GYMNASIUM, Kind.VECTORS)


def test_given_settings_are_those_that_were_given_and_no_others():
    given = TrainConfig(env="CartPole-v1", lambda_=1, hidden="64,64")
    assert given.to_mapping() == {"env": "CartPole-v1", "lambda": 1.0, "hidden": [64, 64]}
    assert (given.env, given.lambda_, given.hidden) == ("CartPole-v1", 1.0, [64, 64])
    with pytest.raises(AttributeError, match="'lr', or that setting was not given"):
        given.lr  # noqa: B018


def test_given_settings_read_back_as_they_are():
    given = TrainConfig(env="Pong", lambda_=0.9, seed=7)
    assert TrainConfig.from_mapping(given.to_mapping()) == given
    assert eval(repr(given)) == given
    assert copy.deepcopy(given) == pickle.loads(pickle.dumps(given)) == given


def test_what_was_given_makes_the_difference_even_where_it_is_the_default():
    usual = RunConfig(env="Pong").lr
    assert TrainConfig(env="Pong", lr=usual) != TrainConfig(env="Pong")
    assert TrainConfig(env="Pong", seed=1, lr=usual) == TrainConfig(lr=usual, seed=1, env="Pong")
    assert TrainConfig(env="Pong") != RunConfig(env="Pong")


def test_changed_settings_win_over_those_of_before_and_leave_them_as_they_are():
    before = TrainConfig(env="Pong", lr=1e-3, seed=1)
    after = before.changed(lr=2e-3, actors=4)
    assert after == TrainConfig(env="Pong", lr=2e-3, seed=1, actors=4)
    assert before == TrainConfig(env="Pong", lr=1e-3, seed=1)
    with pytest.raises(ConfigError, match="actors is 0"):
        before.changed(actors=0)


@pytest.mark.parametrize("config", [TrainConfig(env="Pong", lr=1e-3), RunConfig(env="Pong", lr=1e-3)])
def test_no_setting_can_be_assigned_to(config):
    with pytest.raises(AttributeError):
        config.lr = 1.0
    with pytest.raises(AttributeError):
        config.seed = 1


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"lr": 1e-3}, "The environment is missing"),
        ({"env": "Pong", "learning_rate": 1e-3}, r"There is no setting 'learning_rate' \(did you mean lr\?\)."),
    ],
)
def test_in_python_names_are_refused_as_in_a_file(settings, sentence):
    with pytest.raises(ConfigError, match=sentence):
        TrainConfig(**settings)
    with pytest.raises(ConfigError, match=sentence):
        TrainConfig.from_mapping(settings)


def test_a_file_has_the_public_names_alone():
    with pytest.raises(ConfigError, match="There is no setting 'lambda_'"):
        TrainConfig.from_mapping({"env": "Pong", "lambda_": 1})


def test_help_shows_every_setting():
    assert inspect.signature(TrainConfig).parameters.keys() == {f.name for f in dataclasses.fields(RunConfig)}


def test_complete_settings_hold_their_values_and_nothing_else():
    complete = TrainConfig(env="CartPole-v1", lr=1e-3).complete("CartPole-v1", GYM)
    assert type(complete) is RunConfig
    assert vars(complete) == dataclasses.asdict(complete)
    values = next(row for row in TABLE if row.name == "a3c-vectors").values
    preset = {"preset": "a3c-vectors"} | {name.replace("lambda", "lambda_"): v.value for name, v in values.items()}
    assert complete == RunConfig(**preset | {"env": "CartPole-v1", "lr": 1e-3, "protocol": "none"})


def test_a_domain_may_choose_the_network_and_a_setting_of_it():
    domains = {"net": "lstm", "cells": 32}
    assert TrainConfig(env="Toy").complete("Toy", GYM, domains).cells == 32
    without = TrainConfig(env="Toy", net="ff").complete("Toy", GYM, domains)
    assert (without.net, without.cells) == ("ff", 0)


def test_environments_are_found_with_either_type():
    given = TrainConfig(env="CartPole-v1", frame_stack=2, env_workers="thread")
    complete = given.with_usual_defaults()
    specs = [resolve(config, Mode.TRAINING).spec for config in (given, complete)]
    assert specs[0] == specs[1]
    assert specs[0].obs.len == 8


def test_the_preparation_completes_what_was_given_and_leaves_a_runs_own_settings_as_they_are():
    given = TrainConfig(env="Pendulum-v1", env_workers="thread", t_max=5)
    complete = prepare(given).config
    assert (complete.t_max, complete.actors, complete.protocol) == (5, 8, "none")
    assert prepare(complete).config == complete
    assert prepare(complete, frames=500).config == complete.changed(total_steps=500)


def test_an_agent_has_the_complete_settings():
    agent = Agent("Pendulum-v1", env_workers="thread", hidden=[8])
    given = TrainConfig(env="Pendulum-v1", algo="a3c", env_workers="thread", hidden=[8])
    assert agent.config == prepare(given).config
    assert np.shape(agent.predict(np.zeros(3, np.float32))[0]) == (1,)
