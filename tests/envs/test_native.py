"""Tests of the core's way around the interpreter against Python's, which test_atari.py holds against Gymnasium's."""

import random

import numpy as np
import pytest
from ale_py import _ale_py

from a3crs import _core
from a3crs.config import TrainConfig
from a3crs.envs import Mode, atari
from a3crs.envs.atari import CHECKED_STEPS, PROTOCOLS, AtariGame
from a3crs.training import start_run


class Watched:
    """ALE's object; counts the calls of `send` and changes what `recv` returns."""

    def __init__(self, ale, change=lambda received: received):
        self._ale, self._change = ale, change
        self.sent = 0

    def __getattr__(self, name):
        return getattr(self._ale, name)

    def send(self, *arguments):
        self.sent += 1
        self._ale.send(*arguments)

    def recv(self):
        return self._change(self._ale.recv())


def both(game, protocol, mode):
    return [AtariGame(game, PROTOCOLS[protocol], mode, native=native) for native in (True, False)]


def assert_equal_for(steps, games):
    rng = random.Random(1)
    ends = 0
    observations = [game.reset(seed=1)[0] for game in games]
    for _ in range(steps):
        np.testing.assert_array_equal(*observations)
        action = rng.randrange(games[0].num_actions)
        (native, *told), (python, *expected) = (game.step(action) for game in games)
        np.testing.assert_array_equal(native, python)
        assert told == expected
        if told[1] or told[2]:
            ends += 1
            observations = [game.reset()[0] for game in games]
    assert ends > 0


@pytest.mark.parametrize("game", ["pong", "breakout", "montezuma_revenge", "seaquest"])
@pytest.mark.parametrize("mode", Mode)
def test_thousands_of_steps_through_lost_lives_and_ends_of_games_are_equal(game, mode):
    assert_equal_for(3000, both(game, "atari2016", mode))


def test_sticky_actions_are_equal_too():
    assert_equal_for(1000, both("breakout", "ale-v5", Mode.TRAINING))


@pytest.mark.parametrize("game", ["pong", "breakout"])
def test_emulators_are_compared_through_ends_of_games(game):
    native, python = both(game, "atari2016", Mode.TRAINING)
    assert native.core.differs(python.core, 1000) is None


def other_reward(received):
    return (received[0], received[1] + 7, *received[2:])


def other_screens(received):
    return (255 - received[0], *received[1:])


def other_lives(received):
    return (*received[:-1], received[-1] | {"lives": received[-1]["lives"] + 1})


@pytest.mark.parametrize("change", [other_reward, other_screens, other_lives])
def test_a_difference_is_found(monkeypatch, change):
    native = AtariGame("pong", PROTOCOLS["atari2016"], Mode.TRAINING, native=True)
    emulator = atari.emulator
    monkeypatch.setattr(atari, "emulator", lambda *game, **look: Watched(emulator(*game, **look), change))
    python = AtariGame("pong", PROTOCOLS["atari2016"], Mode.TRAINING)
    assert native.core.differs(python.core, 20) == "step 0 differs"


def test_an_emulator_of_other_screens_is_refused():
    ale = atari.emulator("pong", PROTOCOLS["atari2016"], size=(90, 84), stack_num=4, frameskip=4)
    interface = (bytes(ale.handle()), _ale_py.VectorXLAStep(), _ale_py.VectorXLAReset())
    with pytest.raises(ValueError, match=r"\(4, 90, 84\), not one game's \[4, 84, 84\]"):
        _core.Game(ale, interface, atari.Noops(7), 6, True)


def test_a_run_steps_games_without_the_interpreter(monkeypatch, tmp_path, capsys):
    watched = []
    emulator = atari.emulator

    def watching(*game, **look):
        watched.append(Watched(emulator(*game, **look)))
        return watched[-1]

    monkeypatch.setattr(atari, "emulator", watching)
    config = TrainConfig(env="Pong", actors=2, total_steps=200)
    assert start_run(config, out=tmp_path / "run", quiet=True).summary["steps"] >= 200
    assert "through Python" not in capsys.readouterr().err
    # The check at the start of the run.
    assert sorted(ale.sent for ale in watched) == [0] * (len(watched) - 1) + [CHECKED_STEPS]


def test_without_the_interface_games_are_played_through_python_and_that_is_said(monkeypatch, tmp_path, capsys):
    monkeypatch.delattr(_ale_py, "VectorXLAStep")
    config = TrainConfig(env="Pong", actors=2, total_steps=200)
    summary = start_run(config, out=tmp_path / "run", quiet=True).summary
    assert summary["steps"] >= 200
    said = capsys.readouterr().err
    assert said.startswith("a3crs: games are played through Python, a little slower: ")
    assert said.count("\n") == 1
