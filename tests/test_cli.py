import json
import re
import subprocess
import sys

import pytest
import typer

from a3crs import _core
from a3crs.cli import app
from a3crs.runlog import load


def test_version_and_help(a3crs):
    code, out, _ = a3crs("--version")
    assert (code, out.startswith("a3crs 0.")) == (0, True)
    for arguments in (["--help"], []):
        code, out, _ = a3crs(*arguments)
        assert code == 0
        assert "train" in out


@pytest.mark.parametrize("command", sorted(typer.main.get_command(app).commands))
def test_every_command_has_help(a3crs, command):
    code, out, _ = a3crs(command, "--help")
    assert (code, "Usage" in out) == (0, True)


def test_every_out_is_also_o():
    def commands(group):
        for command in group.commands.values():
            yield from commands(command) if hasattr(command, "commands") else [command]

    outs = [
        option.opts for each in commands(typer.main.get_command(app)) for option in each.params if option.name == "out"
    ]
    assert len(outs) >= 9
    assert [opts for opts in outs if "-o" not in opts] == []


def test_help_loads_no_heavy_module():
    heavy = ["numpy", "polars", "gymnasium", "ale_py"]
    code = f"import sys; from a3crs.cli import run; run(['--help']); sys.exit(any(m in sys.modules for m in {heavy}))"
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL).returncode == 0


def test_train_eval_resume_on_a_real_game(a3crs, tmp_path):
    out = tmp_path / "run"
    code, text, err = a3crs("train", "--env", "pong", "--actors", 2, "--steps", "2k", "--t-max", 7, "--out", out)
    assert code == 0, err
    assert f"evaluate with: a3crs eval {out}" in text
    assert "frames/s" in err
    assert json.loads((out / "config.json").read_text())["t_max"] == 7

    code, text, err = a3crs("eval", out, "--episodes", 1, "--greedy")
    assert code == 0, err
    assert "human-normalised" in text
    assert "episode 1: -2" in err
    assert load.evals(out).collect()["policy"].to_list() == ["greedy"]

    code, text, err = a3crs("resume", out, "--frames", "16k", "--quiet")
    assert (code, text) == (0, ""), err
    assert load.progress(out).collect()["frames"][-1] >= 16_000


@pytest.mark.parametrize(
    ("kind", "rows"),
    [
        ("algos", ["a3c ", "n-step-q ", "Algorithm S2", "section 4"]),
        ("nets", ["nature-lstm ", "256 LSTM cells", "section 5.1"]),
        ("optimizers", ["momentum-sgd ", "section 7"]),
        ("presets", ["ppo-images", "optimizer ", "Schulman et al. 2017", "--preset paper"]),
        ("envs", ["* Pong", "* MontezumaRevenge", "CartPole-v1"]),
    ],
)
def test_list_tells_what_there_is(a3crs, kind, rows):
    code, out, err = a3crs("list", kind)
    assert (code, err) == (0, "")
    assert all(row in out for row in rows), out


@pytest.mark.parametrize("command", ["train", "bench"])
def test_help_names_every_method_network_and_optimizer(a3crs, command):
    _, out, _ = a3crs(command, "--help")
    shown = set(re.findall(r"[a-z0-9]+(?:-[a-z0-9]+)*", out))
    assert shown >= {entry["name"] for entries in _core.catalogue().values() for entry in entries}


@pytest.mark.parametrize("net", ["ff", "lstm"])
@pytest.mark.parametrize("algo", ["a3c", "n-step-q", "one-step-q", "one-step-sarsa"])
def test_every_method_trains_every_network_and_plays_it(a3crs, tmp_path, algo, net):
    flags = ["--env", "CartPole-v1", "--algo", algo, "--net", net, "--optimizer", "rmsprop"]
    code, _, err = a3crs("train", *flags, "--actors", 2, "--steps", "1k", "--out", tmp_path / "run", "--quiet")
    assert code == 0, err
    code, out, err = a3crs("eval", tmp_path / "run", "--episodes", 1)
    assert (code, "1 episode at" in out) == (0, True), err
    row = load.episodes(tmp_path / "run").collect().row(0, named=True)
    assert (row["explore_eps"] is None) == (algo == "a3c")


def test_an_environments_arguments_and_observations_are_settings(a3crs, tmp_path):
    flags = ["--env-kwargs", "map_name=8x8", "--env-kwargs", "is_slippery=false", "--frame-stack", 2]
    flags += ["--env-workers", "thread", "--actors", 1, "--steps", 100, "--quiet"]
    code, _, err = a3crs("train", "--env", "FrozenLake-v1", *flags, "--out", tmp_path / "run")
    assert code == 0, err
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["env_kwargs"] == {"map_name": "8x8", "is_slippery": False}
    assert (config["frame_stack"], config["env_workers"], config["grayscale"]) == (2, "thread", False)
    assert a3crs("eval", tmp_path / "run", "--episodes", 1)[0] == 0


def test_continuous_control_has_flags_of_its_own_and_defaults_for_what_is_not_given(a3crs, tmp_path):
    flags = [
        "--gaussian",
        "spherical",
        "--t-max",
        "episode",
        "--no-normalize-obs",
        "--reward-scale",
        0.1,
        "--actors",
        2,
    ]
    out = tmp_path / "run"
    code, _, err = a3crs("train", "--env", "Pendulum-v1", *flags, "--steps", "1k", "--quiet", "--out", out)
    assert code == 0, err
    config = json.loads((out / "config.json").read_text())
    given = [config[name] for name in ("gaussian", "t_max", "normalize_obs", "reward_scale", "actors")]
    assert given == ["spherical", "episode", False, 0.1, 2]
    assert [config[name] for name in ("lr", "entropy_beta", "protocol")] == [1e-3, 1e-4, "none"]
    assert a3crs("eval", out, "--episodes", 1)[0] == 0
    assert a3crs("resume", out, "--frames", "1500", "--quiet")[0] == 0
    assert json.loads((out / "config.json").read_text()) == config | {"total_steps": 1500}


def test_a_config_of_another_policy_does_not_go_on_with_the_checkpoint(a3crs, tmp_path):
    out = tmp_path / "run"
    assert a3crs("train", "--env", "Pendulum-v1", "--actors", 1, "--steps", 200, "--quiet", "--out", out)[0] == 0
    config = json.loads((out / "config.json").read_text())
    (out / "config.json").write_text(json.dumps(config | {"gaussian": "spherical"}))
    code, _, err = a3crs("resume", out, "--frames", "1k")
    assert (code, err.count("\n")) == (1, 1)
    assert "it is of a diagonal gaussian, this run has a spherical one" in err


def test_file_then_set_then_flags_the_later_wins(a3crs, tmp_path):
    (tmp_path / "a.toml").write_text('env = "CartPole-v1"\nlr = 0.1\ngamma = 0.5\nactors = 3\ntotal_steps = 100\n')
    arguments = ["--config", tmp_path / "a.toml", "--set", "gamma=0.6", "--set", "lr=0.2", "--lr", 0.3, "--quiet"]
    code, _, err = a3crs("train", *arguments, "--out", tmp_path / "run")
    assert code == 0, err
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert [config[name] for name in ("lr", "gamma", "actors")] == [0.3, 0.6, 3]
    assert a3crs("train", "--config", tmp_path / "run" / "config.json", "--out", tmp_path / "again", "--quiet")[0] == 0


def test_bench_prints_a_table_and_writes_json(a3crs, tmp_path):
    code, out, err = a3crs("bench", "--actors", "1,2", "--secs", 1, "--json", tmp_path / "bench.json")
    assert code == 0, err
    figures = json.loads((tmp_path / "bench.json").read_text())
    assert set(figures) == {"env", "isa", "cores", "rows", "network"}
    assert [row["actors"] for row in figures["rows"]] == [1, 2]
    for row in figures["rows"]:
        assert row["emulator_steps_per_sec"] > 0
        assert row["train_steps_per_sec"] > 0
        assert 0 < row["ratio"] < 2
        shares = [row[name] for name in row if name.startswith("share_")]
        assert len(shares) == 5
        assert sum(shares) == pytest.approx(1, abs=0.05)
    assert len(out.splitlines()) == 4
    assert figures["network"]["forward_us"] > 0
    assert figures["network"]["update_us"] > figures["network"]["forward_us"]


def test_an_environments_exception_shows_its_traceback_then_one_sentence(a3crs, monkeypatch, tmp_path):
    from a3crs.envs.gym import GymEnv

    def fall(self, action):
        raise ArithmeticError("the pole fell")

    monkeypatch.setattr(GymEnv, "step", fall)
    code, _, err = a3crs("train", "--env", "CartPole-v1", "--actors", 1, "--out", tmp_path / "run", "--quiet")
    assert code == 1
    assert "Traceback" in err
    assert "a3crs: error: ArithmeticError: the pole fell" in err


def test_an_environment_that_exits_while_it_is_made_has_failed(a3crs, monkeypatch):
    monkeypatch.setattr("a3crs.preparation.resolve", lambda *_: sys.exit(0))
    code, _, err = a3crs("train", "--env", "CartPole-v1", "--quiet")
    assert (code, err) == (1, "a3crs: error: The environment called sys.exit(0) while it was made.\n")


def test_list_envs_has_all_games_and_a_star_for_the_57(a3crs):
    code, out, _ = a3crs("list", "envs")
    lines = out.splitlines()
    assert code == 0
    assert "* MontezumaRevenge" in lines
    assert "  Tetris" in lines
    assert sum(line.startswith("*") for line in lines) == 57


def test_the_package_imports_in_well_under_half_a_second():
    # Processor time, because other load on the machine must not fail the test.
    code = "import time; start = time.process_time(); import a3crs; print(time.process_time() - start)"
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert float(printed) < 0.3


def test_a_reader_that_goes_away_is_no_error_to_talk_about():
    process = subprocess.Popen(
        [sys.executable, "-m", "a3crs", "list", "envs"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.close()  # as `| head` does after its last line
    assert process.stderr is not None
    assert process.stderr.read() == ""
    assert process.wait(timeout=60) == 1
    process.stderr.close()
