import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from a3crs.envs.labyrinth import ENV_ID, EPISODE_STEPS
from a3crs.envs.labyrinth.doom import BLOCK
from a3crs.envs.labyrinth.env import ACTIONS
from a3crs.errors import ConfigError, EnvError, EnvLostError

FORWARD, STAY = list(ACTIONS).index("forward"), [0.0, 0.0]


@pytest.fixture
def labyrinth():
    """Makes environments and closes them in the end; `labyrinth(size=4)` is without the time limit's wrapper."""
    made = []

    def make(**options):
        made.append(gymnasium.make(ENV_ID, disable_env_checker=True, **options))
        return made[-1].unwrapped

    yield make
    for env in made:
        env.close()


def engine(env):
    return env._engines[0]


def position(env):
    """Returns the player's position, in blocks."""
    return engine(env).variable("POSITION_X") / BLOCK, engine(env).variable("POSITION_Y") / BLOCK


def go_to(env, block):
    """Moves the player to the middle of a block; returns the reward there."""
    x, y = (coordinate * BLOCK + BLOCK // 2 for coordinate in block)
    engine(env).command(f"warp {x} {y}")
    return sum(engine(env).act([speed, 0.0], 2) for speed in (0.0, 10.0, -10.0, 0.0))


def rollout(env, seed, steps=40):
    rng = np.random.default_rng(seed)
    seen = [env.reset(seed=seed)[0]]
    rewards = []
    for _ in range(steps):
        obs, reward, *_ = env.step(int(rng.integers(len(ACTIONS))))
        seen.append(obs)
        rewards.append(reward)
    return np.stack(seen), rewards


def walk_on(env, steps=20):
    return [env.step(FORWARD) for _ in range(steps)]


def test_gymnasiums_checker_has_nothing_to_object_to(labyrinth):
    check_env(labyrinth(size=3, apples=2, render_mode="rgb_array"))


def test_an_apple_is_worth_one_and_is_gone_until_the_portal_brings_it_back(labyrinth):
    env = labyrinth(apples=2)
    env.reset(seed=1)
    first, second = env.maze.apples
    assert go_to(env, first) == 1
    assert go_to(env, first) == 0
    assert go_to(env, second) == 1
    assert go_to(env, env.maze.portal) == 10
    engine(env).act(STAY, 10)
    assert go_to(env, first) == 1


def test_the_portal_is_worth_ten_each_time_and_moves_the_player_to_different_cells(labyrinth):
    env = labyrinth(apples=0)
    env.reset(seed=1)
    landings = set()
    for _ in range(6):
        assert go_to(env, env.maze.portal) == 10
        x, y = position(env)
        landings.add((int(x), int(y)))
        engine(env).act(STAY, 40)
    assert landings <= set(env.maze.cells) - {env.maze.portal}
    assert len(landings) > 1


def test_the_player_starts_where_the_maze_says_and_walls_stop_it(labyrinth):
    env = labyrinth(size=3, apples=0)
    for seed in range(5):
        env.reset(seed=seed)
        assert position(env) == tuple(coordinate + 0.5 for coordinate in env.maze.start)
        for _ in range(20):
            env.step(FORWARD)
            assert tuple(map(int, position(env))) in env.maze.open


def test_each_episode_has_another_maze_and_a_seed_brings_the_same_ones(labyrinth):
    env = labyrinth()
    first = [env.reset(seed=seed) and env.maze for seed in (5, None, None)]
    again = [env.reset(seed=seed) and env.maze for seed in (5, None, None)]
    assert first == again
    assert len(set(first)) == 3


def test_the_same_seed_gives_the_same_episode_in_another_engine_and_with_a_larger_view(labyrinth):
    one, other = labyrinth(), labyrinth(render_mode="rgb_array")
    other.reset(seed=1)  # independent of earlier episodes
    (seen, rewards), (seen_there, rewards_there) = rollout(one, 7), rollout(other, 7)
    assert (seen == seen_there).all()
    assert rewards == rewards_there


def test_info_counts_what_was_collected(labyrinth):
    env = labyrinth(size=3, apples=7, rooms=100, loops=1.0, mazes="all")
    env.reset(seed=0)
    total, rng = 0.0, np.random.default_rng(0)
    for _ in range(400):
        *_, info = step = env.step(int(rng.choice([0, 3, 4])))
        total += step[1]
    assert total > 0
    assert info["apples"] + 10 * info["portals"] == total


def test_an_episode_of_sixty_seconds_is_cut_not_terminal():
    env = gymnasium.make(ENV_ID, size=3, apples=0, disable_env_checker=True)
    env.reset(seed=0)
    ends = [env.step(FORWARD)[2:4] for _ in range(EPISODE_STEPS)]
    env.close()
    assert ends == [(False, False)] * (EPISODE_STEPS - 1) + [(False, True)]
    assert EPISODE_STEPS * 4 == 60 * 35  # tics


def test_textures_vary_from_maze_to_maze_unless_they_are_plain(labyrinth):
    def floors(env):
        return {env.reset(seed=seed)[0][-1, 30:54].tobytes() for seed in range(6)}

    assert len(floors(labyrinth(textures="varied"))) > len(floors(labyrinth(textures="plain")))


def test_the_larger_view_shows_the_same_with_what_the_agent_sees_in_its_corner(labyrinth):
    env = labyrinth(render_mode="rgb_array")
    assert env.render() is None
    obs, _ = env.reset(seed=3)
    picture = env.render()
    assert (picture.shape, picture.dtype) == ((480, 640, 3), np.uint8)
    assert (picture[:168:2, -168::2] == obs).all()
    below = picture[200:, :].astype(float).mean(axis=(0, 1))
    assert np.abs(below - obs[35:].astype(float).mean(axis=(0, 1))).max() < 10


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"textures": "ugly"}, "textures is 'ugly', but it must be varied or plain."),
        ({"size": 2}, "size is 2, but it must be a whole number from 3 to 20."),
    ],
)
def test_a_wrong_option_is_refused(labyrinth, wrong, sentence):
    with pytest.raises(ConfigError) as refusal:
        labyrinth(**wrong)
    assert str(refusal.value) == sentence


def test_a_wrong_action_and_a_step_before_the_reset_are_refused(labyrinth):
    env = labyrinth()
    with pytest.raises(EnvError, match="without an episode"):
        env.step(0)
    env.reset(seed=0)
    with pytest.raises(EnvError, match="Action 6 does not exist: Labyrinth has the actions 0 to 5"):
        env.step(6)


def test_an_engine_that_is_killed_is_lost_in_a_sentence_and_reset_starts_another(labyrinth):
    env = labyrinth(size=4)
    env.reset(seed=0)
    os.kill(engine(env)._pid, signal.SIGKILL)
    with pytest.raises(EnvLostError, match=r"^died$"):
        walk_on(env)
    assert (rollout(env, 2)[0] == rollout(labyrinth(size=4), 2)[0]).all()


def test_an_engine_that_hangs_is_killed(labyrinth):
    env = labyrinth(size=4, engine_timeout_secs=2.0)
    env.reset(seed=0)
    os.kill(engine(env)._pid, signal.SIGSTOP)
    with pytest.raises(EnvLostError, match=r"^hung and was killed$"):
        env.step(FORWARD)


def test_ctrl_c_in_the_terminal_does_not_reach_the_engine(labyrinth):
    env = labyrinth(size=4)
    env.reset(seed=0)
    for interrupt in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(engine(env)._pid, interrupt)
    walk_on(env)


OWNER = f"""
import gymnasium, os, sys
import a3crs.envs.labyrinth
env = gymnasium.make({ENV_ID!r}, size=4)
env.reset(seed=0)
print(env.unwrapped._engines[0]._pid, env.unwrapped._engines[0]._folder, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, None], ids=["killed", "ended without close"])
def test_nothing_is_left_of_an_owner_that_was_killed(how):
    owner = subprocess.Popen([sys.executable, "-c", OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        pid, folder = owner.stdout.readline().split()
        assert Path(folder).is_dir()
        id_in_arguments = Path("/proc", pid, "cmdline").read_text().split("\0")
        instance = id_in_arguments[id_in_arguments.index("+viz_instance_id") + 1]
        assert not list(Path("/dev/shm").glob(f"*{instance}"))
        if how is not None:
            owner.send_signal(how)
    finally:
        owner.stdin.close()
        owner.wait(60)
        owner.stdout.close()
    deadline = time.monotonic() + 60
    while Path(folder).exists() or _lives(pid):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _lives(pid):
    try:
        return Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_nothing_is_left_in_the_directory_it_is_used_in(labyrinth, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    env = labyrinth(size=4)
    env.reset(seed=0)
    folder = Path(engine(env)._folder)
    env.close()
    assert not folder.exists()
    assert not list(tmp_path.iterdir())


def test_engines_may_start_side_by_side():
    # A file that is open for writing here may also be open in children that other threads fork: executing it fails.
    code = (
        "import sys; opened = []\n"
        "sys.addaudithook(lambda event, about: opened.append(about) if event == 'open' else None)\n"
        "import gymnasium, os, a3crs.envs.labyrinth as labyrinth\n"
        "env = gymnasium.make(labyrinth.ENV_ID); env.reset(seed=0)\n"
        "folder = env.unwrapped._engines[0]._folder\n"
        "executable = {f'{folder}/{name}' for name in os.listdir(folder) if os.access(f'{folder}/{name}', os.X_OK)}\n"
        "env.close()\n"
        "print(f'{folder}/launcher' in executable, executable & {str(path) for path, *_ in opened})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.returncode) == ("True set()\n", 0), done.stderr
