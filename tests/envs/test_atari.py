"""Tests of our Atari environment against Gymnasium's AtariPreprocessing and frame stack over the same emulator."""

import random
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from ale_py import roms
from ale_py.env import AtariEnv
from gymnasium.wrappers import AtariPreprocessing, FrameStackObservation

from a3crs.envs import Mode, atari
from a3crs.envs.atari import MULTIPLAYER_ONLY, PROTOCOLS, AtariGame, AtariProtocol, emulator
from a3crs.errors import EnvError
from a3crs.published.atari57 import references

# Without no-ops at the start, the reference is at the same frame.
NO_NOOPS = AtariProtocol(0.0, full_action_space=False, max_noop_frames=0, life_loss_is_terminal=False)
PAPER = PROTOCOLS["atari2016"]
SEED = 7


def reference_game(game):
    """Returns Gymnasium's preprocessing, on an emulator that has been seeded as ours is."""
    emulator = AtariEnv(game, frameskip=1, repeat_action_probability=0.0, max_num_frames_per_episode=None)
    emulator.ale.setInt("random_seed", SEED)
    emulator.ale.loadROM(roms.get_rom_path(game))
    preprocessed = AtariPreprocessing(emulator, noop_max=0, frame_skip=4, screen_size=84, grayscale_obs=True)
    return FrameStackObservation(preprocessed, 4, padding_type="zero")


def play_until(game, rng, stop):
    """Plays at random until `stop(step result)`; returns all step results."""
    results = []
    while not results or not stop(results[-1]):
        results.append(game.step(rng.randrange(game.num_actions)))
        assert len(results) < 30_000
    return results


@pytest.mark.parametrize("game", ["pong", "breakout", "seaquest", "montezuma_revenge"])
def test_observations_rewards_and_ends_equal_gymnasiums_frame_by_frame(game):
    ours, theirs = AtariGame(game, NO_NOOPS, Mode.EVALUATION), reference_game(game)
    rng = random.Random(1)
    obs, _ = ours.reset(seed=SEED)
    expected, _ = theirs.reset()
    np.testing.assert_array_equal(obs, expected)
    for _ in range(1200):
        action = rng.randrange(ours.num_actions)
        obs, reward, terminated, truncated, info = ours.step(action)
        expected, expected_reward, expected_end, _, _ = theirs.step(action)
        np.testing.assert_array_equal(obs, expected)
        assert (reward, terminated, truncated) == (expected_reward, expected_end, False)
        assert ("episode" in info) == terminated
        if terminated:
            obs, _ = ours.reset()
            expected, _ = theirs.reset()
            np.testing.assert_array_equal(obs, expected)


def test_rewards_are_raw():
    game = AtariGame("space_invaders", PAPER, Mode.EVALUATION)  # an invader is worth 5 to 30 points
    game.reset(seed=SEED)
    results = play_until(game, random.Random(0), lambda result: result[2])
    assert max(result[1] for result in results) >= 5


def test_a_lost_life_ends_a_training_episode_but_not_the_game():
    training, whole = AtariGame("breakout", PAPER, Mode.TRAINING), AtariGame("breakout", PAPER, Mode.EVALUATION)
    training.reset(seed=SEED)
    whole.reset(seed=SEED)
    rng = random.Random(3)
    score, length, lives_lost, noops = 0.0, 0, 0, random.Random(SEED)
    while True:
        length += 1
        action = rng.randrange(4)
        obs, reward, terminated, _, info = training.step(action)
        whole_obs, whole_reward, whole_ended, _, whole_info = whole.step(action)
        assert reward == whole_reward
        score += reward
        if whole_ended:
            break
        if terminated:  # a lost life: the game continues, after 1 to 7 no-ops of 4 frames each
            assert info == {}
            np.testing.assert_array_equal(obs, whole_obs)
            lives_lost += 1
            obs, _ = training.reset()
            for _ in range(noops.randint(1, 7)):
                whole_obs, *_ = whole.step(0)
            assert not obs[:3].any()
            np.testing.assert_array_equal(obs[3], whole_obs[3])
    assert (lives_lost, terminated) == (4, True)
    assert info["episode"] == {"r": score, "l": length}
    assert whole_info["episode"]["r"] == score
    assert whole_info["episode"]["l"] > length  # evaluation counts the no-ops as steps


def test_the_frame_stack_starts_anew_after_a_lost_life():
    game = AtariGame("breakout", PAPER, Mode.TRAINING)
    game.reset(seed=SEED)
    play_until(game, random.Random(0), lambda result: result[2])
    first, _ = game.reset()
    seen = [first[3]]
    for blank in (2, 1, 0):
        obs, *_ = game.step(1)
        seen.append(obs[3])
        assert not obs[:blank].any()
        np.testing.assert_array_equal(obs[blank:], seen)


def test_evaluation_and_ale_v5_play_whole_games():
    for protocol, mode in ((PAPER, Mode.EVALUATION), (PROTOCOLS["ale-v5"], Mode.TRAINING)):
        game = AtariGame("breakout", protocol, mode)
        game.reset(seed=SEED)
        results = play_until(game, random.Random(0), lambda result: result[2])
        whole = results[-1][4]["episode"]
        assert whole == {"r": sum(result[1] for result in results), "l": len(results)}


def frames_at_starts(protocol, games):
    """Returns the numbers of frames that games have played before their first observation."""
    ale = emulator("pong", protocol, size=(84, 84), stack_num=4, frameskip=4)
    ale.reset([0], [SEED])
    return {ale.reset([0], [-1])[1]["episode_frame_number"].item() for _ in range(games)}


def test_a_game_starts_with_0_to_30_noops_of_every_number():
    counts = frames_at_starts(PAPER, 400)
    start = min(counts)
    assert counts == set(range(start, start + 31))  # each of 31 is missed with a chance of 2e-6


def test_ale_v5_starts_without_noops():
    assert len(frames_at_starts(PROTOCOLS["ale-v5"], 20)) == 1


def test_only_ale_v5_has_sticky_actions():
    def screens(protocol, seed):
        game = AtariGame("pong", protocol, Mode.TRAINING)
        game.reset(seed=seed)
        return [game.step(step % game.num_actions)[0][3].tobytes() for step in range(150)]

    v5 = PROTOCOLS["ale-v5"]
    assert screens(v5, 1) == screens(v5, 1)
    assert screens(v5, 1) != screens(v5, 2)
    assert screens(NO_NOOPS, 1) == screens(NO_NOOPS, 2)


def test_one_seed_gives_one_game():
    def play(seed):
        game = AtariGame("breakout", PAPER, Mode.TRAINING)
        first, _ = game.reset(seed=seed)
        results = play_until(game, random.Random(0), lambda result: result[2])
        return [first.tobytes(), *(result[0].tobytes() for result in results), game.reset()[0].tobytes()]

    assert play(11) == play(11)


def test_a_game_is_cut_at_the_frame_limit_and_says_so(monkeypatch):
    monkeypatch.setattr(atari, "MAX_GAME_FRAMES", 400)
    game = AtariGame("pong", PAPER, Mode.TRAINING)
    game.reset(seed=SEED)
    results = play_until(game, random.Random(0), lambda result: result[2] or result[3])
    _, _, terminated, truncated, info = results[-1]
    assert (terminated, truncated, info["episode"]["l"]) == (False, True, 100)
    game.reset()
    assert game.step(0)[2:] == (False, False, {})


class Ending:
    """ALE's object; every action ends the game while `ends` is set."""

    def __init__(self, ale):
        self._ale = ale
        self.ends = False

    def __getattr__(self, name):
        return getattr(self._ale, name)

    def recv(self):
        obs, reward, over, cut, info = self._ale.recv()
        return obs, reward, over | self.ends, cut, info


def test_a_game_that_ends_during_noops_is_reported_by_the_next_step(monkeypatch):
    ending = Ending(emulator("breakout", PAPER, size=(84, 84), stack_num=4, frameskip=4))
    monkeypatch.setattr(atari, "emulator", lambda *game, **look: ending)
    game = AtariGame("breakout", PAPER, Mode.TRAINING)
    game.reset(seed=SEED)
    results = play_until(game, random.Random(0), lambda result: result[2])
    ending.ends = True
    game.reset()
    ending.ends = False
    whole = {"r": sum(result[1] for result in results), "l": len(results)}
    assert game.step(0)[4] == {"episode": whole}
    assert game.step(0)[4] == {}


@pytest.mark.parametrize("action", [-1, 6])
def test_an_action_the_game_does_not_have_is_refused(action):
    game = AtariGame("pong", PAPER, Mode.TRAINING)
    game.reset(seed=SEED)
    with pytest.raises(EnvError, match=f"Action {action} does not exist"):
        game.step(action)


def test_other_threads_run_while_the_emulator_does():
    game = AtariGame("pong", PAPER, Mode.TRAINING)
    ticks = []
    done = threading.Event()

    def tick():
        while not done.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.0005)

    ticker = threading.Thread(target=tick)
    ticker.start()
    start = time.perf_counter()
    game.reset(seed=SEED)  # one call of some 80 ms
    end = time.perf_counter()
    done.set()
    ticker.join()
    assert sum(start < t < end for t in ticks) >= 5


def test_the_57_games_load_and_the_refused_ones_are_not_among_them():
    games = list(references())
    assert len(games) == 57
    assert not MULTIPLAYER_ONLY & set(games)
    # A subprocess, because ALE ends the process where a game cannot be played.
    code = f"""
from a3crs.envs import Mode
from a3crs.envs.atari import PROTOCOLS, AtariGame
for name in {games!r}:
    game = AtariGame(name, PROTOCOLS["atari2016"], Mode.TRAINING)
    game.reset()
    for _ in range(4):  # Amidar and Qbert blink: one screen is black after some numbers of no-ops
        obs = game.step(game.num_actions - 1)[0]
    assert obs.shape == (4, 84, 84) and obs.any(), name
    print(name)
"""
    played = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert played.stdout.split() == games, played.stderr
