import json

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete

from a3crs.cli import run
from a3crs.config import TrainConfig
from a3crs.runlog.schema import PROGRESS


class Recall(gymnasium.Env):
    """Environment with four signs; naming the sign shown earns 1. Ten signs are an episode: best 10, by chance 2.5."""

    def __init__(self, fails_at_step=None):
        self.observation_space = Box(0, 1, (4,))
        self.action_space = Discrete(4)
        self._fails_at_step = fails_at_step
        self._steps = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self._show(), {}

    def step(self, action):
        self._steps += 1
        if self._steps == self._fails_at_step:
            raise ArithmeticError("the sign fell over")
        reward = float(action == self._sign)
        return self._show(), reward, self._steps % 10 == 0, False, {}

    def _show(self):
        self._sign = int(self.np_random.integers(4))
        return np.eye(4, dtype=np.float32)[self._sign]


@pytest.fixture
def recall():
    return Recall


@pytest.fixture
def failing_recall():
    return lambda: Recall(fails_at_step=50)


@pytest.fixture
def recall_config():
    """Settings that learn the environment in a short test."""
    return TrainConfig(
        env="Recall",
        actors=2,
        total_steps=40_000,
        lr=1e-2,
        entropy_beta=0.05,
        checkpoint_secs=0.2,
        env_workers="thread",
    )


@pytest.fixture
def a3crs(capsys):
    """Runs a command line in this process; returns (exit code, standard output, standard error)."""

    def command(*arguments):
        code = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return command


@pytest.fixture(scope="session")
def pong_run(tmp_path_factory):
    """Short run on the real game; tests must not change it."""
    out = tmp_path_factory.mktemp("runs") / "pong"
    assert run(["train", "--env", "Pong", "--actors", "2", "--steps", "3k", "--out", str(out), "--quiet"]) == 0
    return out


@pytest.fixture
def written(tmp_path):
    """Writes a run's logs: `written("name", returns=[...], lr=...)`; an episode ends every 1000 frames, 3.6 s apart."""

    def write(name, returns=(1.0, 2.0, 3.0, 4.0), **settings):
        run = tmp_path / name
        run.mkdir(parents=True)
        config = {"env": "Pong", "algo": "a3c", "actors": 1, "lr": 1e-3, "seed": 0, "total_steps": 9}
        (run / "config.json").write_text(json.dumps(config | settings))
        episodes, progress = [], []
        for number, value in enumerate(returns, 1):
            when = {"steps": 250 * number, "frames": 1000 * number, "secs": 3.6 * number}
            about = {"actor": 0, "explore_eps": None, "episode_return": value, "length_steps": 250}
            episodes.append(when | about)
            shares = {"share_env": 0.5, "share_forward": 0.25, "share_backward": 0.125}
            shares |= {"share_update": 0.125, "share_waiting": 0.0}
            what = {"return_mean_100": value, "updates": 50 * number, "staleness": float(number)} | shares
            progress.append(dict.fromkeys(PROGRESS) | when | what)
        for log, rows in (("episodes", episodes), ("progress", progress)):
            (run / f"{log}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return run

    return write
