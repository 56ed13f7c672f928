import os
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from tests.envs.torcs.settings import SLACK_MB, has_ended, resident_mb

from a3crs.config import TrainConfig
from a3crs.envs import Discrete, ImageObs, Mode, resolve
from a3crs.envs.torcs import ENV_ID, EPISODE_STEPS, install
from a3crs.envs.torcs.env import ACTIONS, STUCK_STEPS
from a3crs.errors import ConfigError, EnvError

try:
    install.check_installed()
except ConfigError as e:
    pytest.skip(str(e), allow_module_level=True)

AHEAD = ACTIONS.index((0.0, 1.0))
BRAKE = ACTIONS.index((0.0, -1.0))


def make(**options):
    return gymnasium.make(ENV_ID, disable_env_checker=True, **options)


@pytest.fixture(scope="module")
def torcs():
    """Game shared by the tests that do not change it."""
    env = make()
    yield env
    env.close()


@pytest.fixture
def actors():
    """Environments of two actors, with the counter of restarts."""
    family = resolve(TrainConfig(env="TORCS", env_restarts=1), Mode.TRAINING)
    envs = [family.make(0), family.make(1)]
    yield envs, family.restarts
    for env in envs:
        env.close()


def game(env):
    return env._env._env.unwrapped._games[0]


def wait_until(condition):
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_it_has_its_name_and_shape():
    spec = resolve(TrainConfig(env="torcs"), Mode.TRAINING).spec
    assert (spec.name, spec.obs, spec.actions) == ("TORCS", ImageObs(3, 84, 84), Discrete(9))
    assert (spec.frames_per_step, spec.max_episode_steps, spec.own_thread) == (4, EPISODE_STEPS, True)


def test_it_pays_the_speed_along_the_track(torcs):
    torcs.reset(seed=0)
    for _ in range(30):
        obs, reward, terminated, truncated, info = torcs.step(AHEAD)
    assert 5 < reward == info["reward"] <= info["speed"] + 1
    assert not terminated
    assert not truncated
    assert obs.shape == (84, 84, 3)
    assert np.ptp(obs) > 100


def test_a_race_repeats_to_the_bit(torcs):
    races = []
    for _ in range(2):
        obs, info = torcs.reset()
        steps = [torcs.step(action % 6) for action in range(40)]
        races.append([obs, *(step[0] for step in steps), [info, *(step[4] for step in steps)]])
    assert races[0][-1] == races[1][-1]
    assert all((one == other).all() for one, other in zip(races[0][:-1], races[1][:-1], strict=True))


def test_a_car_that_stands_is_stuck(torcs):
    torcs.reset()
    ends = [torcs.step(BRAKE)[2] for _ in range(STUCK_STEPS)]
    assert ends == [False] * (STUCK_STEPS - 1) + [True]


def test_an_action_that_does_not_exist_is_refused(torcs):
    torcs.reset()
    with pytest.raises(EnvError, match="9"):
        torcs.unwrapped.step(9)


def test_opponents_race_too_and_a_larger_view_shows_the_same_race():
    env = make(opponents=1, car="slow", continuous=True, render_mode="rgb_array")
    try:
        for _ in range(2):
            env.reset(seed=0)
            for _ in range(5):
                env.step(np.array([0.1, 1.0], np.float32))
        seen, larger = env.unwrapped._games
        assert seen.telemetry == larger.telemetry
        assert env.render().shape == (480, 640, 3)
    finally:
        env.close()


def test_a_game_or_screen_that_dies_ends_its_episode_and_another_is_started(actors):
    def lose(env, process):
        env.reset(seed=0)
        os.kill(getattr(game(env), process).pid, signal.SIGKILL)
        while not (last := env.step(AHEAD))[3]:
            pass
        env.reset(seed=0)
        return last[1:], env.step(AHEAD)[2:4]

    envs, restarts = actors
    with ThreadPoolExecutor() as pool:
        ends = list(pool.map(lose, envs, ["_game", "_screen"]))
    assert ends == [((0.0, False, True, {}), (False, False))] * 2
    assert restarts.count == 2


def test_resets_take_no_memory(torcs):
    used_mb = []
    for _ in range(25):
        torcs.reset()
        torcs.step(AHEAD)
        used_mb.append(resident_mb(torcs.unwrapped._games[0]._game.pid))
    assert used_mb[-1] - used_mb[5] < SLACK_MB


OWNER = f"""
import sys, time, gymnasium, a3crs.envs.torcs
env = gymnasium.make("{ENV_ID}")
env.reset()
game = env.unwrapped._games[0]
print(game._folder, game._display[1:], game._game.pid, game._screen.pid, game._guard.pid, flush=True)
if sys.argv[1:] == ["close"]:
    env.close()
else:
    time.sleep(600)
"""


def start_owner(end):
    path = os.pathsep.join(sys.path)
    return subprocess.Popen(
        [sys.executable, "-c", OWNER, end], stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": path}
    )


@pytest.fixture(scope="module")
def owners():
    """Processes that are started in parallel; the tests check one after the other."""
    owners = {end: start_owner(end) for end in ("close", "kill")}
    yield owners
    for owner in owners.values():
        with owner:
            owner.kill()


@pytest.mark.parametrize("end", ["close", "kill"])
def test_nothing_outlives_its_owner(owners, end):
    with owners[end] as owner:
        folder, display, *processes = owner.stdout.readline().split()
        assert Path(folder).parent == Path(tempfile.gettempdir())
        if end == "kill":
            owner.kill()
    wait_until(lambda: all(map(has_ended, processes)))
    assert not Path(folder).exists()
    assert not Path(f"/tmp/.X{display}-lock").exists()
    assert not Path(f"/tmp/.X11-unix/X{display}").exists()
