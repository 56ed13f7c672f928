import dataclasses
import json
import os
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from a3crs.cli import app, run
from a3crs.cli.flags import Given, takes_settings
from a3crs.config import ALIASES, RunConfig
from a3crs.described import described_default
from a3crs.errors import ConfigError
from a3crs.setting import public_name
from a3crs.sweep.space import parse_value, read_space

FIELDS = {public_name(f): f for f in dataclasses.fields(RunConfig)}


def given(*words, **how):
    """Returns the settings that a command gets from these words."""
    got = []

    @takes_settings(**how)
    def command(given: Given, times: int = 1) -> None:
        got.append(given)

    probe = typer.Typer()
    probe.command()(command)
    result = CliRunner().invoke(probe, list(words))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return got[0]


@pytest.mark.parametrize("words", [["train"], ["sweep"], ["bench"], ["paper", "run"]])
def test_every_setting_is_a_flag_with_its_default_in_the_help(words):
    result = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "200", "TERMINAL_WIDTH": "200"})
    text = " ".join(result.output.replace("│", " ").split())
    left_out = {"env", "algo", "actors", "seed"} if words[0] == "paper" else set()
    for name, f in FIELDS.items():
        assert name in left_out or f"--{name.replace('_', '-')}" in text, name
        if name not in left_out and described_default(f) and (words[0], name) != ("bench", "actors"):
            assert f"Default: {described_default(f)}." in text, name
    for group in ("Run", "Environment", "Method", "Network", "Optimizer", "Logging"):
        assert f"─ {group} ─" in result.output


def test_flags_have_the_types_of_their_settings():
    words = ["--rms-eps", "0.05", "--deterministic", "--no-normalize-obs", "--total-steps", "4k", "--lambda", "0.9"]
    words += ["--t-max", "episode", "--reward-scale", "running", "--env-kwargs", "goal=0.4", "--env-kwargs", "map=4x4"]
    assert given(*words).settings == {
        "rms_eps": 0.05,
        "deterministic": True,
        "normalize_obs": False,
        "total_steps": 4000,
        "lambda": 0.9,
        "t_max": "episode",
        "reward_scale": "running",
        "env_kwargs": {"goal": 0.4, "map": "4x4"},
    }


def test_flags_win_over_set_and_set_over_the_file(tmp_path):
    (tmp_path / "run.toml").write_text("gamma = 0.1\nlr = 0.1\nt_max = 7\n")
    words = ["--config", str(tmp_path / "run.toml"), "--set", "lr=0.2", "--set", "gamma=0.2", "--gamma", "0.3"]
    assert given(*words).settings == {"gamma": 0.3, "lr": 0.2, "t_max": 7}


def test_the_length_is_given_in_frames_or_in_steps():
    assert given("--frames", "4k") == Given({}, 4000)
    assert given("--steps", "4k") == Given({"total_steps": 4000}, None)
    with pytest.raises(ConfigError, match="give one of them"):
        given("--frames", "4k", "--steps", "1k")


def test_the_settings_of_a_sweep_may_be_drawn():
    words = ["--lr=uniform:0.1:0.2", "--actors", "grid:1,2", "--set", "normalize_obs=grid:true,false"]
    assert given(*words, parse=parse_value, read=read_space).settings == {
        "lr": "uniform:0.1:0.2",
        "actors": [1, 2],
        "normalize_obs": [True, False],
    }


def test_flags_reach_the_run(tmp_path):
    words = "--env CartPole-v1 --steps 200 --gamma 0.5 --max-grad-norm 0 --actors 2 --env-workers thread --quiet"
    assert run(["train", *words.split(), "--out", str(tmp_path / "run")]) == 0
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (config["gamma"], config["max_grad_norm"], config["total_steps"]) == (0.5, 0.0, 200)


@pytest.mark.parametrize(
    ("flag", "name"),
    [
        ("--learning-rate", "lr"),
        ("--n-steps", "t_max"),
        ("--ent-coef", "entropy_beta"),
        ("--batch-size", "minibatch_steps"),
        ("--clip-coef", "clip_range"),
        ("--num-sgd-iter", "epochs"),
        ("--no-norm-adv", "normalize_advantage"),
    ],
)
def test_what_others_call_a_setting_is_answered_with_its_name(flag, name, capsys):
    assert run(["train", "--env", "Pong", flag, "1"]) == 2
    assert f"did you mean {name}?" in capsys.readouterr().err


def test_what_others_call_a_setting_is_the_name_of_none_here():
    assert not ALIASES.keys() & FIELDS.keys()
    assert {name for names in ALIASES.values() for name in names.split(" or ")} <= FIELDS.keys()


@pytest.mark.parametrize("name", ALIASES)
def test_an_alias_is_answered_in_a_file_as_well(name):
    with pytest.raises(ConfigError) as refusal:
        RunConfig.from_mapping({"env": "Pong", name: 1})
    assert str(refusal.value) == f"There is no setting {name!r} (did you mean {ALIASES[name]}?)."


def test_the_list_of_settings_has_every_default_and_source(capsys):
    assert run(["list", "settings"]) == 0
    text = capsys.readouterr().out
    for name, f in FIELDS.items():
        assert f"  {name} = {described_default(f)}\n" in text or f"  {name}\n" in text
        assert f.metadata["what"] in text
        assert f.metadata["source"] in text


def test_help_whose_reader_has_gone_says_nothing_more():
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([sys.executable, "-m", "a3crs", "train", "--help"], stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    assert (done.returncode, done.stderr) == (1, b"")
