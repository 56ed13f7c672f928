import json
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

from a3crs import Agent
from a3crs.errors import ConfigError, RunError
from a3crs.export import export
from a3crs.export import onnx as onnx_export
from a3crs.runlog import load


def agent_of(env, tmp_path, **settings):
    agent = Agent(env, actors=1, seed=2, **settings)
    return agent.learn(steps=200, out=tmp_path / "run", quiet=True)


@pytest.mark.parametrize(
    ("env", "settings", "outputs"),
    [
        ("CartPole-v1", {}, ["policy", "value"]),
        ("CartPole-v1", {"net": "lstm"}, ["policy", "value", "state_out"]),
        ("CartPole-v1", {"algo": "one-step-q"}, ["q"]),
        ("CartPole-v1", {"algo": "n-step-q", "net": "lstm"}, ["q", "state_out"]),
        ("Pendulum-v1", {}, ["sigma", "mu", "value"]),
        ("Pendulum-v1", {"net": "lstm", "gaussian": "spherical"}, ["sigma", "mu", "value", "state_out"]),
        ("CartPole-v1", {"hidden": [64, 48], "activation": "tanh"}, ["policy", "value"]),
        ("CartPole-v1", {"net": "lstm", "hidden": [32], "cells": 32}, ["policy", "value", "state_out"]),
        ("Pendulum-v1", {"hidden": [16, 16, 16], "activation": "tanh"}, ["sigma", "mu", "value"]),
        ("Pong", {"hidden": [64, 32], "activation": "tanh"}, ["policy", "value"]),
        ("Pong", {"net": "ff"}, ["policy", "value"]),
        ("Pong", {"net": "lstm"}, ["policy", "value", "state_out"]),
        ("Pong", {"net": "nature"}, ["policy", "value"]),
        ("Pong", {"net": "nature-lstm", "algo": "n-step-q"}, ["q", "state_out"]),
    ],
)
def test_onnxruntime_computes_what_we_do(tmp_path, env, settings, outputs):
    agent = agent_of(env, tmp_path, **settings)
    path = tmp_path / "model.onnx"
    sentence = export(agent, "onnx", path)
    assert "differs from the agent by up to" in sentence
    assert [output.name for output in onnx.load(path).graph.output] == outputs
    assert onnx_export.largest_error(agent, path.read_bytes()) < 1e-4


def test_normalisation_is_in_the_model(tmp_path):
    agent = agent_of("Pendulum-v1", tmp_path, normalize_obs=True)
    assert agent.describe()["scale"] is not None
    export(agent, "onnx", tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    obs = np.array([[1, 0, 8], [-1, 0, -100]], np.float32)  # the last is beyond the limit
    (mu,) = session.run(["mu"], {"obs": obs})
    np.testing.assert_allclose(mu, agent.outputs(obs)["mu"], rtol=1e-4, atol=1e-5)


def test_a_model_that_is_wrong_is_found_out_and_not_written(tmp_path, monkeypatch):
    agent = agent_of("CartPole-v1", tmp_path, net="lstm")
    swapped = agent.outputs

    def wrong(obs, state=None):
        named = swapped(obs, state)
        return named | {"value": named["value"] + 0.01}

    monkeypatch.setattr(agent, "outputs", wrong)
    with pytest.raises(RunError, match=r"differs from the agent by up to 1\.0e-02"):
        export(agent, "onnx", tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


def test_an_episode_can_be_played_with_the_model_alone(tmp_path):
    agent = agent_of("CartPole-v1", tmp_path, net="lstm")
    export(agent, "onnx", tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    env = agent.make_env()
    obs, _ = env.reset(seed=1)
    state, ours, over = np.zeros((1, agent.describe()["state_len"]), np.float32), None, False
    while not over:
        policy, state = session.run(["policy", "state_out"], {"obs": obs[None], "state_in": state})
        action, ours = agent.predict(obs, ours, deterministic=True)
        assert action == policy.argmax()
        obs, _, terminated, truncated, _ = env.step(action)
        over = terminated or truncated
    np.testing.assert_allclose(state[0], ours, atol=1e-5)


def test_safetensors_has_the_parameters_alone_in_canonical_shapes(tmp_path):
    agent = agent_of("CartPole-v1", tmp_path, normalize_obs=True)
    assert "1,603 parameters in 6 tensors" in export(agent, "safetensors", tmp_path / "theta.safetensors")
    theta = load_file(tmp_path / "theta.safetensors")
    mean, inverse_deviation = (theta.pop(f"observations.{name}") for name in ("mean", "inverse_deviation"))
    with safe_open(tmp_path / "theta.safetensors", framework="numpy") as file:
        limit = float(file.metadata()["limit"])
    assert {name: tensor.shape for name, tensor in theta.items()} == {
        "fc.weight": (200, 4),
        "fc.bias": (200,),
        "policy.weight": (2, 200),
        "policy.bias": (2,),
        "value.weight": (1, 200),
        "value.bias": (1,),
    }
    obs = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    seen = np.clip((obs - mean) * inverse_deviation, -limit, limit)
    hidden = np.maximum(0, seen @ theta["fc.weight"].T + theta["fc.bias"])
    value = hidden @ theta["value.weight"].T + theta["value.bias"]
    np.testing.assert_allclose(value[:, 0], agent.value(obs), rtol=1e-4, atol=1e-5)


def test_tensorboard_gets_every_point_once(tmp_path):
    agent = agent_of("CartPole-v1", tmp_path)
    episodes = load.episodes(agent.run.path).collect()
    for _ in range(2):  # the second export replaces the first
        sentence = export(agent, "tensorboard")
        (events,) = (agent.run.path / "tensorboard").iterdir()
    assert "tensorboard --logdir" in sentence
    content = events.read_bytes()
    assert content.count(b"episodes/episode_return") == episodes.height
    assert content.count(b"progress/entropy") >= 1


def test_what_lies_in_the_folder_besides_stays(tmp_path):
    agent = agent_of("CartPole-v1", tmp_path)
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "mine.txt").touch()
    export(agent, "tensorboard", tmp_path / "logs")
    assert (tmp_path / "logs" / "mine.txt").exists()


def test_a_saved_agent_has_no_logs(tmp_path):
    agent_of("CartPole-v1", tmp_path).save(tmp_path / "agent.safetensors")
    with pytest.raises(ConfigError, match="a saved agent has none"):
        export(Agent.load(tmp_path / "agent.safetensors"), "tensorboard")


def test_the_command_says_where_it_lies(a3crs, pong_run):
    code, out, err = a3crs("export", pong_run, "--format", "safetensors")
    assert code == 0, err
    assert out.startswith(f"{pong_run}/exports/step_")


def test_a_package_that_is_missing_is_named(tmp_path):
    agent_of("CartPole-v1", tmp_path)
    code = "import sys; sys.modules['onnx'] = None\nfrom a3crs.cli import run; sys.exit(run(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "export", str(tmp_path / "run"), "--format", "onnx"]
    refused = subprocess.run(command, capture_output=True, text=True)
    assert refused.returncode == 2
    assert "pip install 'a3crs[export]'" in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_nothing_of_pytorch_is_loaded(tmp_path):
    agent_of("CartPole-v1", tmp_path)
    code = (
        "import json, sys; from a3crs.cli import run\n"
        "assert run(sys.argv[1:]) == 0; print(json.dumps([m for m in sys.modules if m.startswith('torch')]))"
    )
    command = [sys.executable, "-c", code, "export", str(tmp_path / "run"), "--format", "onnx"]
    assert json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]) == []
