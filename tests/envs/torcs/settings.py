"""Runs the paper's four settings of TORCS in turn: `python tests/envs/torcs/settings.py`.

Each is started, driven for 1,000 steps and reset 20 times. Prints a table, and fails if the game's memory grew with the
resets, or if a process, a file or shared memory is still there at the end.
"""

import itertools
import random
import sys
import time
from pathlib import Path

import gymnasium

from a3crs.envs.torcs import ENV_ID
from a3crs.envs.torcs.env import ACTIONS

STEPS = 1000
RESETS = 20
SLACK_MB = 1.0  # of one process, whose memory varies by some pages
AHEAD = ACTIONS.index((0.0, 1.0))


def resident_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 / 1e6


def has_ended(pid: int) -> bool:
    """Returns True for a process that has ended or is a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def driven(env: gymnasium.Env, steps: int) -> float:
    """Returns steps a second, half of the actions ahead and half random, so that cars block each other."""
    rng, begun = random.Random(0), time.monotonic()
    for _ in range(steps):
        if env.step(AHEAD if rng.random() < 0.5 else rng.randrange(len(ACTIONS)))[2]:
            env.reset()
    return steps / (time.monotonic() - begun)


def measured(car: str, opponents: int) -> tuple[str, list[str]]:
    """Returns a row of the table, and a list of what was left behind."""
    begun = time.monotonic()
    env = gymnasium.make(ENV_ID, disable_env_checker=True, max_episode_steps=10**6, car=car, opponents=opponents)
    env.reset()
    start_secs = time.monotonic() - begun
    game = env.unwrapped._games[0]
    steps_per_sec = driven(env, STEPS)
    before = resident_mb(game._game.pid)
    begun = time.monotonic()
    for _ in range(RESETS):
        env.reset()
    reset_ms = (time.monotonic() - begun) / RESETS * 1e3
    driven(env, 10)
    after = resident_mb(game._game.pid)
    screen = resident_mb(game._screen.pid)
    pids = [process.pid for process in (game._game, game._screen, game._guard)]
    number = game._display.removeprefix(":")
    files = {game._folder, Path(f"/tmp/.X{number}-lock"), Path(f"/tmp/.X11-unix/X{number}")}
    files |= shared_files(pids[0]) | shared_files(pids[1])
    env.close()
    left = [f"process {pid}" for pid in pids if not has_ended(pid)] + segments_of(pids)
    left += [str(file) for file in files if file.exists()]
    if after - before > SLACK_MB:
        left.append(f"{after - before:.1f} MB after {RESETS} resets")
    figures = f"{start_secs:.1f} | {steps_per_sec:.0f} | {reset_ms:.0f} | {before:.0f} | {after:.0f} | {screen:.0f}"
    return f"| {car} | {opponents} | {figures} |", left


def segments_of(pids: list[int]) -> list[str]:
    """Returns the shared memory segments that these processes have made."""
    rows = [line.split() for line in Path("/proc/sysvipc/shm").read_text().splitlines()]
    maker = rows[0].index("cpid")
    return [f"shared memory {row[1]}" for row in rows[1:] if int(row[maker]) in pids]


def shared_files(pid: int) -> set[Path]:
    """Returns the files in /dev/shm that the process has mapped."""
    words = [line.split() for line in Path(f"/proc/{pid}/maps").read_text().splitlines()]
    return {Path(word[5]) for word in words if len(word) == 6 and word[5].startswith("/dev/shm/")}


def main() -> None:
    print("| car | opponents | start, s | steps/s | reset, ms | game, MB | after 20 resets, MB | X server, MB |")
    print("|---|---|---|---|---|---|---|---|")
    for car, opponents in itertools.product(("slow", "fast"), (0, 4)):
        row, left = measured(car, opponents)
        print(row, flush=True)
        if left:
            sys.exit(f"Left behind by car={car} opponents={opponents}: {', '.join(left)}.")


if __name__ == "__main__":
    main()
