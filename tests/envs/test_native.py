"""Comparison of the core's own stepping of a game with the Python one, which test_atari.py compares to Gymnasium's."""

import pytest
from ale_py import _ale_py

from a3crs import _core
from a3crs.config import TrainConfig
from a3crs.envs import Mode, resolve
from a3crs.envs.atari import PROTOCOLS, AtariGame
from a3crs.training import start_run


def differs(game, protocol, mode, steps):
    rules = PROTOCOLS[protocol]
    return _core.native_differs(lambda native: AtariGame(game, rules, mode, native=native), steps)


@pytest.mark.parametrize("game", ["pong", "breakout", "montezuma_revenge", "seaquest"])
@pytest.mark.parametrize("mode", Mode)
def test_thousands_of_steps_through_lost_lives_and_ends_of_games_are_equal(game, mode):
    assert differs(game, "atari2016", mode, 3000) is None


def test_sticky_actions_are_equal_too():
    assert differs("breakout", "ale-v5", Mode.TRAINING, 1000) is None


def test_a_difference_is_found():
    def make(native):
        game = AtariGame("pong", PROTOCOLS["atari2016"], Mode.TRAINING, native=native)
        if not native:
            step = game.step
            game.step = lambda action: (*step(action)[:1], 7.0, *step(action)[2:])
        return game

    assert _core.native_differs(make, 20) == "step 0 differs"


def test_a_run_steps_games_without_the_interpreter():
    game = resolve(TrainConfig(env="Pong"), Mode.TRAINING).make(0)
    assert game.native()["num_actions"] == 6


def test_without_the_interface_games_are_played_through_python_and_that_is_said(monkeypatch, tmp_path, capsys):
    monkeypatch.delattr(_ale_py, "VectorXLAStep")
    config = TrainConfig(env="Pong", actors=2, total_steps=200)
    summary = start_run(config, out=tmp_path / "run", quiet=True).summary
    assert summary["steps"] >= 200
    said = capsys.readouterr().err
    assert said.startswith("a3crs: games are played through Python, a little slower: ")
    assert said.count("\n") == 1
