import json
import pickle
from dataclasses import fields

import pytest

from a3crs import _core
from a3crs.checks import choices
from a3crs.config import RunConfig, TrainConfig
from a3crs.envs import Continuous, Discrete, EnvSpec, ImageObs, VectorObs
from a3crs.errors import ConfigError
from a3crs.setting import Kind, default_of, number_and_words, public_name


def test_the_defaults_are_the_papers():
    config = RunConfig(env="Pong").to_mapping()
    assert config == {
        "env": "Pong",
        "protocol": "atari2016",
        "env_kwargs": {},
        "pixels": False,
        "resize": "",
        "grayscale": False,
        "frame_stack": 1,
        "env_workers": "auto",
        "env_timeout_secs": 60.0,
        "env_restarts": 10,
        "preset": "auto",
        "algo": "a3c",
        "epochs": 3,  # of ppo, as all up to here: unused
        "minibatch_steps": 256,
        "pool": 8,
        "clip_range": 0.2,
        "value_clip_range": 0.0,
        "normalize_advantage": True,
        "net": "ff",
        "init": "torch",
        "hidden": [],  # the network's own
        "activation": "relu",
        "cells": 0,  # the network's own
        "optimizer": "shared-rmsprop",
        "gaussian": "diagonal",  # unused with discrete actions
        "actors": 16,
        "deterministic": False,
        "segments_at_once": 0,  # chosen for the number of cores
        "total_steps": 80_000_000,  # 320M frames
        "t_max": 5,
        "gamma": 0.99,
        "lambda": 1.0,
        "entropy_beta": 0.01,
        "bound_coef": 0.0,
        "value_coef": 0.5,
        "lr": 7e-4,
        "lr_schedule": "linear",
        "lr_warmup_steps": 0,
        "adam_beta1": 0.9,  # unused
        "adam_beta2": 0.999,
        "adam_eps": 1e-5,
        "momentum": 0.9,
        "rms_decay": 0.99,
        "rms_eps": 0.1,
        "max_grad_norm": 40.0,
        "reward_scale": 1.0,
        "reward_clip": 1.0,
        "normalize_obs": False,
        "target_interval_steps": 10_000,  # 40,000 frames
        "explore_anneal_steps": 1_000_000,  # 4M frames
        "seed": 0,
        "checkpoint_secs": 60.0,
        "keep_checkpoints": 3,
    }


def test_every_setting_names_its_source():
    assert all(f.metadata["source"] for f in fields(RunConfig))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({}, "The environment is missing: name one, for instance with --env Pong."),
        ({"env": ""}, "env is '', but it must be a name."),
        ({"env": 3}, "env is 3, but it must be text."),
        ({"actors": 0}, "actors is 0, but it must be between 1 and 1024."),
        ({"actors": 1.5}, "actors is 1.5, but it must be a whole number."),
        ({"t_max": 0}, "t_max is 0, but it must be between 1 and 100000 or episode."),
        ({"t_max": 1.5}, "t_max is 1.5, but it must be a whole number or episode."),
        ({"t_max": "game"}, "t_max is 'game', but it must be a whole number or episode."),
        ({"reward_scale": 0}, "reward_scale is 0.0, but it must be above 0 or running."),
        ({"reward_scale": "std"}, "reward_scale is 'std', but it must be a number or running."),
        ({"gaussian": "full"}, "gaussian is 'full', but it must be one of diagonal, spherical."),
        ({"normalize_obs": 1}, "normalize_obs is 1, but it must be true or false."),
        (
            {"algo": "n-step-q", "gaussian": "spherical"},
            "gaussian is 'spherical', but algo n-step-q does not use it, only a2c, a3c and ppo: leave it out.",
        ),
        ({"actors": True}, "actors is True, but it must be a whole number."),
        ({"actors": "16"}, "actors is '16', but it must be a whole number."),
        ({"total_steps": 0}, "total_steps is 0, but it must be between 1 and 9.0072e+15."),
        ({"gamma": 1.01}, "gamma is 1.01, but it must be between 0 and 1."),
        ({"lambda": -0.5}, "lambda is -0.5, but it must be between 0 and 1."),
        ({"lr": 0}, "lr is 0.0, but it must be above 0."),
        ({"lr": float("nan")}, "lr is nan, but it must be above 0."),
        ({"entropy_beta": float("inf")}, "entropy_beta is inf, but it must be at least 0 and at most 3.4e+38."),
        ({"rms_eps": None}, "rms_eps is None, but it must be a number."),
        ({"net": "lstm2"}, "net is 'lstm2', but it must be one of ff, lstm, nature, nature-lstm."),
        (
            {"momentum": 0.5},
            "momentum is 0.5, but optimizer shared-rmsprop does not use it, only momentum-sgd: leave it out.",
        ),
        (
            {"target_interval_steps": 5},
            "target_interval_steps is 5, but algo a3c does not use it, only n-step-q, one-step-q and one-step-sarsa: "
            "leave it out.",
        ),
        ({"optimizer": "momentum-sgd", "momentum": 1}, "momentum is 1.0, but it must be at least 0 and below 1."),
        ({"rms_decay": float("nan")}, "rms_decay is nan, but it must be at least 0 and below 1."),
        ({"algo": "dqn"}, "algo is 'dqn', but it must be one of a3c, a2c, ppo, one-step-q, one-step-sarsa, n-step-q."),
        ({"resize": "84"}, "resize is '84', but it must be height x width in pixels, like 84x84."),
        ({"grayscale": 1}, "grayscale is 1, but it must be true or false."),
        ({"env_kwargs": "a=1"}, "env_kwargs is 'a=1', but it must be names with values."),
        ({"env_kwargs": {"a": {1}}}, "env_kwargs is {'a': {1}}, but it must be something that JSON can hold."),
        ({"env_workers": "fork"}, "env_workers is 'fork', but it must be one of auto, thread, process."),
        (
            {"env_workers": "thread", "env_restarts": 3},
            "env_restarts is 3, but env_workers thread does not use it, only auto and process: leave it out.",
        ),
        ({"entropy": 0.01}, "There is no setting 'entropy' (did you mean entropy_beta?)."),
        ({"xyz": 1}, "There is no setting 'xyz'."),
    ],
)
def test_a_wrong_setting_is_refused_in_one_sentence(settings, sentence):
    complete = settings if settings in ({}, {"env": ""}, {"env": 3}) else {"env": "Pong"} | settings
    for config in (TrainConfig, RunConfig):
        with pytest.raises(ConfigError) as refusal:
            config.from_mapping(complete)
        assert str(refusal.value) == sentence


ACTOR_CRITIC = {"a3c", "a2c", "ppo"}
Q_METHODS = {"one-step-q", "one-step-sarsa", "n-step-q"}
COUNTS_FOR = {
    "lambda": ("algo", ACTOR_CRITIC),
    "entropy_beta": ("algo", ACTOR_CRITIC),
    "value_coef": ("algo", ACTOR_CRITIC),
    "gaussian": ("algo", ACTOR_CRITIC),
    "bound_coef": ("algo", ACTOR_CRITIC),
    **dict.fromkeys(["epochs", "minibatch_steps", "pool", "clip_range"], ("algo", {"ppo"})),
    **dict.fromkeys(["value_clip_range", "normalize_advantage"], ("algo", {"ppo"})),
    **dict.fromkeys(["adam_beta1", "adam_beta2", "adam_eps"], ("optimizer", {"adam", "shared-adam"})),
    "target_interval_steps": ("algo", Q_METHODS),
    "explore_anneal_steps": ("algo", Q_METHODS),
    "momentum": ("optimizer", {"momentum-sgd"}),
    "rms_decay": ("optimizer", {"rmsprop", "shared-rmsprop"}),
    "rms_eps": ("optimizer", {"rmsprop", "shared-rmsprop"}),
    "env_timeout_secs": ("env_workers", {"auto", "process"}),
    "env_restarts": ("env_workers", {"auto", "process"}),
    "cells": ("net", {"lstm", "nature-lstm"}),
}
NAMES = {"algo": choices("algos"), "optimizer": choices("optimizers"), "env_workers": ["auto", "thread", "process"]}
NAMES |= {"net": choices("nets")}


@pytest.mark.parametrize("f", [f for f in fields(RunConfig) if f.name != "env"], ids=public_name)
def test_a_setting_is_refused_exactly_where_nothing_reads_it(f):
    what, names = COUNTS_FOR.get(public_name(f), ("algo", set(choices("algos"))))
    kind, _ = number_and_words(f)
    other = f.default + 1 if kind is int else f.default / 3 or 0.5 if kind is float else default_of(f)
    other = not other if kind is bool else other
    other = "spherical" if f.name == "gaussian" else other
    for name in NAMES[what]:
        default = {what: name} if f.name == what else {what: name, f.name: default_of(f)}
        RunConfig(env="Pong", **default)  # every config.json gives the defaults
        if name in names:
            RunConfig(env="Pong", **{f.name: other} | {what: name})
        else:
            with pytest.raises(ConfigError, match=f"{public_name(f)} is .* does not use it"):
                RunConfig(env="Pong", **{what: name, f.name: other})


def test_a_whole_number_is_welcome_where_a_float_is_wanted():
    for config in (TrainConfig, RunConfig):
        assert type(config(env="Pong", max_grad_norm=40).max_grad_norm) is float


def test_json_round_trips_every_setting():
    config = RunConfig(env="Breakout", lambda_=0.95, seed=7, lr=1e-3)
    assert RunConfig.from_mapping(json.loads(config.to_json())) == config


CART_POLE = EnvSpec("CartPole-v1", VectorObs(4), Discrete(2), 1)
CHEETAH = EnvSpec("HalfCheetah-v5", VectorObs(17), Continuous(6, clipped=True), 1, max_episode_steps=1000)
CHEETAHS_FILM = EnvSpec("HalfCheetah-v5", ImageObs(3, 84, 84), Continuous(6, clipped=True), 1)
ROCKET = EnvSpec("Rocket-v0", VectorObs(3), Continuous(2), 1)
PONG = EnvSpec("Pong", ImageObs(4, 84, 84), Discrete(6), 4, game="pong")


def in_environment(spec, **settings):
    return TrainConfig(env=spec.name, **settings).complete(spec.name, spec.kinds)


def test_the_core_gets_what_it_reads_and_the_environments_settings_stay_in_python():
    config = in_environment(CART_POLE, env_kwargs={"sutton_barto_reward": True}, frame_stack=2)
    _core.check(config.core_json(), CART_POLE.to_json())
    making = {"preset", "env_kwargs", "pixels", "resize", "grayscale", "frame_stack"}
    making |= {"env_workers", "env_timeout_secs", "env_restarts"}
    assert set(config.to_mapping()) - set(json.loads(config.core_json())) == making


def test_atari_games_keep_the_papers_defaults():
    assert in_environment(PONG) == RunConfig(env="Pong", preset="paper")


def test_continuous_actions_have_defaults_of_their_own():
    usual = RunConfig(env="HalfCheetah-v5").to_mapping()
    own = in_environment(CHEETAH).to_mapping()
    assert {name: value for name, value in own.items() if value != usual[name]} == {
        "preset": "paper",  # and what the settings themselves have for continuous actions
        "protocol": "none",
        "bound_coef": 1e-3,
        "actors": 8,
        "total_steps": 10_000_000,
        "t_max": 32,
        "lambda": 0.9,
        "entropy_beta": 1e-4,
        "lr": 1e-3,
        "rms_eps": 1e-3,
        "max_grad_norm": 10.0,
        "reward_scale": "running",
        "reward_clip": 10.0,
        "normalize_obs": True,
    }


def test_means_are_held_only_where_actions_are_clipped():
    assert [in_environment(spec).bound_coef for spec in (CHEETAH, ROCKET, CART_POLE)] == [1e-3, 0, 0]


def test_vectors_of_continuous_tasks_are_normalised_unless_that_is_not_wanted():
    assert [in_environment(spec).normalize_obs for spec in (CART_POLE, CHEETAH, CHEETAHS_FILM, PONG)] == [
        False,
        True,
        False,
        False,
    ]
    assert not in_environment(CHEETAH, normalize_obs=False).normalize_obs


def test_what_was_given_stays_even_where_it_is_the_default_of_other_environments():
    config = in_environment(CHEETAH, lr=7e-4, t_max=5, lambda_=1)
    assert (config.lr, config.t_max, config.lambda_, config.rms_eps) == (7e-4, 5, 1, 1e-3)
    read = TrainConfig.from_mapping({"env": "HalfCheetah-v5", "lr": 7e-4})
    assert read.complete("HalfCheetah-v5", CHEETAH.kinds).lr == 7e-4


def test_a_config_that_is_changed_still_leaves_the_rest_to_the_environment():
    config = TrainConfig(env="HalfCheetah-v5", lr=2e-3).changed(seed=3).complete("HalfCheetah-v5", CHEETAH.kinds)
    assert (config.lr, config.seed, config.gamma, config.rms_eps) == (2e-3, 3, 0.99, 1e-3)


@pytest.mark.parametrize(
    "spec", [CART_POLE, CHEETAH, CHEETAHS_FILM, PONG], ids=["vectors", "continuous", "film", "Pong"]
)
def test_the_complete_config_reads_back_as_it_is_whatever_the_environment(spec):
    config = in_environment(spec, seed=7, t_max="episode", reward_scale="running")
    assert RunConfig.from_mapping(json.loads(config.to_json())) == config
    assert pickle.loads(pickle.dumps(config)) == config
    given = TrainConfig.from_mapping(json.loads(config.to_json()))  # as with `a3crs train --config`
    assert given.complete(spec.name, spec.kinds) == config


@pytest.mark.parametrize("optimizer", ["momentum-sgd", "rmsprop"])
def test_no_default_of_continuous_actions_is_refused_with_another_optimizer(optimizer):
    config = in_environment(CHEETAH, optimizer=optimizer)
    assert RunConfig.from_mapping(config.to_mapping()) == config
    TrainConfig.from_mapping(in_environment(CHEETAH).to_mapping() | {"optimizer": optimizer})


@pytest.mark.parametrize(
    ("spec", "settings", "sentence"),
    [
        (PONG, {"frame_stack": 2}, "frame_stack is 2, but Pong is an Atari game: leave it out."),
        (PONG, {"env_kwargs": {"a": 1}}, "env_kwargs is {'a': 1}, but Pong is an Atari game: leave it out."),
        (PONG, {"env_workers": "thread"}, "env_workers is 'thread', but Pong is an Atari game: leave it out."),
        (PONG, {"env_restarts": 1}, "env_restarts is 1, but Pong is an Atari game: leave it out."),
        (PONG, {"env_timeout_secs": 1}, "env_timeout_secs is 1.0, but Pong is an Atari game: leave it out."),
        (PONG, {"grayscale": True}, "grayscale is True, but Pong is an Atari game: leave it out."),
        (PONG, {"pixels": True}, "pixels is True, but Pong is an Atari game: leave it out."),
        (PONG, {"gaussian": "spherical"}, "gaussian is 'spherical', but Pong has no continuous actions: leave it out."),
        (PONG, {"bound_coef": 0.1}, "bound_coef is 0.1, but Pong clips no actions: leave it out."),
        (ROCKET, {"bound_coef": 0.1}, "bound_coef is 0.1, but Rocket-v0 clips no actions: leave it out."),
        (PONG, {"normalize_obs": True}, "normalize_obs is True, but Pong shows no vectors: leave it out."),
        (CART_POLE, {"protocol": "ale-v5"}, "protocol is 'ale-v5', but CartPole-v1 is no Atari game: leave it out."),
        (
            CART_POLE,
            {"protocol": "atari2016"},
            "protocol is 'atari2016', but CartPole-v1 is no Atari game: leave it out.",
        ),
        (CART_POLE, {"resize": "84x84"}, "resize is '84x84', but CartPole-v1 shows no images: leave it out."),
        (CART_POLE, {"grayscale": True}, "grayscale is True, but CartPole-v1 shows no images: leave it out."),
    ],
)
def test_a_setting_that_does_not_count_in_the_environment_is_refused(spec, settings, sentence):
    with pytest.raises(ConfigError) as refusal:
        in_environment(spec, **settings)
    assert str(refusal.value) == sentence


def test_an_environment_is_of_one_kind_of_each_sort():
    assert PONG.kinds == {Kind.ATARI, Kind.IMAGES}
    assert CHEETAH.kinds == {Kind.GYMNASIUM, Kind.VECTORS, Kind.CONTINUOUS, Kind.CLIPPED}
    assert ROCKET.kinds == {Kind.GYMNASIUM, Kind.VECTORS, Kind.CONTINUOUS}


def test_two_configs_do_not_share_their_environments_arguments():
    first, second = RunConfig(env="CartPole-v1"), RunConfig(env="CartPole-v1")
    first.env_kwargs["gravity"] = 5
    assert second.env_kwargs == {}


def test_public_names_differ_from_pythons_in_lambda_alone():
    assert [f.name for f in fields(RunConfig) if f.name != public_name(f)] == ["lambda_"]


@pytest.mark.parametrize(
    ("given", "hidden"), [("64,64", [64, 64]), (32, [32]), ([16, 8], [16, 8]), ("128", [128]), ([], [])]
)
def test_hidden_is_a_list_of_widths(given, hidden):
    assert TrainConfig(env="CartPole-v1", hidden=given).hidden == hidden


@pytest.mark.parametrize("wrong", ["64,,64", "wide", [0], "64,0", 1.5, [True]])
def test_widths_that_no_layer_has_are_refused(wrong):
    with pytest.raises(ConfigError, match="hidden is "):
        TrainConfig(env="CartPole-v1", hidden=wrong)


def test_each_setting_of_the_network_changes_it():
    def params(**settings):
        config = in_environment(CART_POLE, **settings)
        layers = _core.Policy(config.core_json(), CART_POLE.to_json()).describe()["layers"]
        return [(layer["kind"], layer["activation"], [c["outputs"] for c in layer["columns"]]) for layer in layers]

    heads = ("linear", "identity", [2, 1])
    assert params() == [("linear", "relu", [200]), heads]
    assert params(hidden=[64, 64], activation="tanh") == [("linear", "tanh", [64]), ("linear", "tanh", [64]), heads]
    assert params(net="lstm", cells=32)[1] == ("lstm", "identity", [32])
