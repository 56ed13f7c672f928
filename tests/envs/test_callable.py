"""Users' own environments with `a3crs.train`, `a3crs.resume` and `a3crs.evaluate`."""

import json

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete

import a3crs
from a3crs.errors import ConfigError
from a3crs.evaluation import Evaluation, evaluate_run
from a3crs.runlog import load

THREAD = {"env_workers": "thread"}


class Fork(gymnasium.Env):
    """Environment that starts in state S or, one time in five, in state X.

    In X, any action earns 1 and ends the episode. In S, action 0 earns 5/8 and ends it; action 1 earns nothing and
    leads to X, where the episode ends too: by a time limit, or because X is terminal. With gamma = 0.8, action 1 is
    worth 0.8 V(X) = 0.8 if V(X) counts, and 0 if it does not. If the first observation of the next episode counted
    instead of the final one, action 1 would be worth 0.8 (0.2 x 1 + 0.8 x 5/8) = 0.56.
    """

    observation_space = Box(0, 1, (2,))
    action_space = Discrete(2)
    S, X = np.eye(2, dtype=np.float32)

    def __init__(self, leads_to):
        self._terminated, self._truncated = leads_to == "terminal", leads_to == "time limit"

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._at_x = self.np_random.random() < 0.2
        return (self.X if self._at_x else self.S), {}

    def step(self, action):
        if self._at_x:
            return self.X, 1, True, False, {}
        if action == 0:
            return self.S, 0.625, True, False, {}
        return self.X, 0, self._terminated, self._truncated, {}


@pytest.mark.parametrize("algo", ["a3c", "n-step-q", "one-step-q"])
@pytest.mark.parametrize("leads_to", ["terminal", "time limit"])
def test_the_value_of_the_final_observation_counts_where_a_time_limit_ended_the_episode(tmp_path, algo, leads_to):
    learning = {"algo": algo, "gamma": 0.8, "lr": 5e-3, "actors": 2, "total_steps": 30_000, "rms_eps": 1e-3} | THREAD
    learning |= (
        {"entropy_beta": 0.02} if algo == "a3c" else {"target_interval_steps": 500, "explore_anneal_steps": 5000}
    )
    a3crs.train(lambda: Fork(leads_to), out=tmp_path / "run", quiet=True, **learning)
    row = a3crs.evaluate(tmp_path / "run", env=lambda: Fork(leads_to), episodes=50, greedy=True)
    assert set(row["returns"]) - {1} == ({0} if leads_to == "time limit" else {0.625})


def test_a_callable_is_trained_resumed_and_evaluated(recall, tmp_path):
    settings = {
        "algo": "a3c",
        "actors": 2,
        "lr": 1e-2,
        "entropy_beta": 0.05,
        "lambda_": 0.9,
        "deterministic": True,
    } | THREAD
    result = a3crs.train(env=recall, frames=40_000, out=str(tmp_path / "run"), quiet=True, **settings)
    assert json.loads(result.run.config.read_text())["lambda"] == 0.9
    assert result.summary["return_mean_100"] > 9
    assert a3crs.resume(str(tmp_path / "run"), env=recall, frames=41_000, quiet=True).summary["steps"] >= 41_000
    assert a3crs.evaluate(tmp_path / "run", env=recall, episodes=3, greedy=True)["mean"] == 10
    assert len(load.evals(tmp_path / "run").collect()) == 1


def test_the_directory_of_a_callables_run_has_its_class_name(recall, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = a3crs.train(recall, total_steps=100, actors=1, quiet=True, **THREAD)
    assert result.run.path.name.startswith("Recall__a3c-ff__s0__2")


def test_a_name_is_trained_as_on_the_command_line(tmp_path):
    result = a3crs.train("CartPole-v1", total_steps=200, actors=1, out=tmp_path / "run", quiet=True)
    assert json.loads(result.run.config.read_text())["env"] == "CartPole-v1"


def test_a_callables_run_is_not_evaluated_without_it(recall, tmp_path):
    a3crs.train(recall, total_steps=100, actors=1, out=tmp_path / "run", quiet=True, **THREAD)
    with pytest.raises(ConfigError, match=r"a3crs\.evaluate\(run, env=\.\.\.\)"):
        evaluate_run(tmp_path / "run", Evaluation(episodes=1))


def test_settings_a_callable_does_not_read_are_refused(recall, tmp_path):
    with pytest.raises(ConfigError, match=r"env_kwargs is .*, but an environment made by a callable does not use it"):
        a3crs.train(recall, env_kwargs={"size": 3}, out=tmp_path / "run", **THREAD)
    with pytest.raises(ConfigError, match="There is no setting 'actor'"):
        a3crs.train(recall, actor=3, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
