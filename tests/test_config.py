import json
from dataclasses import fields

import pytest

from a3crs.config import TrainConfig, choices, parse_assignment, parse_count, public_name, read_settings
from a3crs.errors import ConfigError


def test_the_defaults_are_the_papers():
    config = TrainConfig(env="Pong").to_mapping()
    assert config == {
        "env": "Pong",
        "protocol": "atari2016",
        "algo": "a3c",
        "net": "ff",
        "optimizer": "shared-rmsprop",
        "actors": 16,
        "segments_at_once": 0,  # as many as suit the cores
        "total_steps": 80_000_000,  # 320M frames
        "t_max": 5,
        "gamma": 0.99,
        "lambda": 1.0,
        "entropy_beta": 0.01,
        "value_coef": 0.5,
        "lr": 7e-4,
        "momentum": 0.9,
        "rms_decay": 0.99,
        "rms_eps": 0.1,
        "max_grad_norm": 40.0,
        "reward_clip": 1.0,
        "target_interval_steps": 10_000,  # 40,000 frames
        "explore_anneal_steps": 1_000_000,  # 4M frames
        "seed": 0,
        "checkpoint_secs": 300.0,
        "keep_checkpoints": 3,
    }


def test_every_setting_names_its_source():
    assert all(f.metadata["source"] for f in fields(TrainConfig))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({}, "The environment is missing: name one, for instance with --env Pong."),
        ({"env": ""}, "env is '', but it must be a name."),
        ({"env": 3}, "env is 3, but it must be text."),
        ({"actors": 0}, "actors is 0, but it must be between 1 and 1024."),
        ({"actors": 1.5}, "actors is 1.5, but it must be a whole number."),
        ({"actors": True}, "actors is True, but it must be a whole number."),
        ({"actors": "16"}, "actors is '16', but it must be a whole number."),
        ({"total_steps": 0}, "total_steps is 0, but it must be between 1 and 9.0072e+15."),
        ({"gamma": 1.01}, "gamma is 1.01, but it must be between 0 and 1."),
        ({"lambda": -0.5}, "lambda is -0.5, but it must be between 0 and 1."),
        ({"lr": 0}, "lr is 0.0, but it must be above 0."),
        ({"lr": float("nan")}, "lr is nan, but it must be above 0."),
        ({"entropy_beta": float("inf")}, "entropy_beta is inf, but it must be at least 0."),
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
        ({"algo": "a2c"}, "algo is 'a2c', but it must be one of a3c, one-step-q, one-step-sarsa, n-step-q."),
        ({"entropy": 0.01}, "There is no setting 'entropy' (did you mean entropy_beta?)."),
        ({"xyz": 1}, "There is no setting 'xyz'."),
    ],
)
def test_a_wrong_setting_is_refused_in_one_sentence(settings, sentence):
    complete = settings if settings in ({}, {"env": ""}, {"env": 3}) else {"env": "Pong"} | settings
    with pytest.raises(ConfigError) as refusal:
        TrainConfig.from_mapping(complete)
    assert str(refusal.value) == sentence


Q_METHODS = {"one-step-q", "one-step-sarsa", "n-step-q"}
COUNTS_FOR = {
    "lambda": ("algo", {"a3c"}),
    "entropy_beta": ("algo", {"a3c"}),
    "value_coef": ("algo", {"a3c"}),
    "target_interval_steps": ("algo", Q_METHODS),
    "explore_anneal_steps": ("algo", Q_METHODS),
    "momentum": ("optimizer", {"momentum-sgd"}),
    "rms_decay": ("optimizer", {"rmsprop", "shared-rmsprop"}),
    "rms_eps": ("optimizer", {"rmsprop", "shared-rmsprop"}),
}


@pytest.mark.parametrize("f", [f for f in fields(TrainConfig) if f.name != "env"], ids=public_name)
def test_a_setting_is_refused_exactly_where_nothing_reads_it(f):
    what, names = COUNTS_FOR.get(public_name(f), ("algo", set(choices("algos"))))
    other = {int: lambda: f.default + 1, float: lambda: f.default / 2, str: lambda: f.default}[f.type]()
    for name in choices(f"{what}s"):
        default = {what: name} if f.name == what else {what: name, f.name: f.default}
        TrainConfig(env="Pong", **default)  # as every config.json has it
        if name in names:
            TrainConfig(env="Pong", **{f.name: other} | {what: name})
        else:
            with pytest.raises(ConfigError, match=f"{public_name(f)} is .* does not use it"):
                TrainConfig(env="Pong", **{what: name, f.name: other})


def test_a_whole_number_is_welcome_where_a_float_is_wanted():
    assert type(TrainConfig(env="Pong", max_grad_norm=40).max_grad_norm) is float


def test_json_round_trips_every_setting():
    config = TrainConfig(env="Breakout", lambda_=0.95, seed=7, lr=1e-3)
    assert TrainConfig.from_mapping(json.loads(config.to_json())) == config


def test_toml_and_json_files_say_the_same(tmp_path):
    (tmp_path / "a.toml").write_text('env = "Pong"\nlr = 0.001\nlambda = 0.9\n')
    (tmp_path / "a.json").write_text('{"env": "Pong", "lr": 0.001, "lambda": 0.9}')
    assert read_settings(tmp_path / "a.toml") == read_settings(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("a.toml", "lr = ", "is not valid TOML"),
        ("a.json", "{", "is not valid JSON"),
        ("a.json", "[1]", "must hold names with values"),
        ("a.json", None, "cannot be read: No such file or directory"),
    ],
)
def test_a_wrong_settings_file_is_named(tmp_path, name, text, sentence):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=sentence) as refusal:
        read_settings(tmp_path / name)
    assert str(tmp_path / name) in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("80000000", 80_000_000),
        ("80_000_000", 80_000_000),
        ("10M", 10**7),
        ("2.5M", 2_500_000),
        ("1e6", 10**6),
        ("4k", 4000),
        ("4K", 4000),
        ("1G", 10**9),
        ("0.5k", 500),
    ],
)
def test_counts_are_read_as_people_write_them(text, count):
    assert parse_count(text, what="--frames") == count


@pytest.mark.parametrize("text", ["", "M", "ten", "1.5", "1.0001k", "nan", "inf", "1MM", "0x10"])
def test_what_is_no_whole_number_is_refused(text):
    with pytest.raises(ConfigError, match=r"--frames is .*, but it must be a whole number"):
        parse_count(text, what="--frames")


def test_assignments_are_typed_as_their_settings():
    pairs = [parse_assignment(text) for text in ("lr=1e-3", "t-max = 20", "optimizer=rmsprop", "total_steps=1M")]
    assert pairs == [("lr", 1e-3), ("t_max", 20), ("optimizer", "rmsprop"), ("total_steps", 10**6)]


@pytest.mark.parametrize("text", ["lr", "lr=fast", "t_maxx=5", "=3"])
def test_a_wrong_assignment_is_refused(text):
    with pytest.raises(ConfigError):
        parse_assignment(text)


def test_public_names_differ_from_pythons_in_lambda_alone():
    assert [f.name for f in fields(TrainConfig) if f.name != public_name(f)] == ["lambda_"]
