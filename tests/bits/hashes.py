"""Hashes of repeatable runs: a change that is not meant to change what a run computes leaves them as they are.

    python tests/bits/hashes.py            compares all cases with hashes.json
    python tests/bits/hashes.py --short    the part that pytest runs
    python tests/bits/hashes.py --write    writes hashes.json anew, after a change that is meant to change results

A hash covers every tensor of the last checkpoint and every log row, without wall-clock times. The hashes hold for the
AVX2 kernels, which every instruction set's own tests compare with the naive ones.
"""

import hashlib
import itertools
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ["A3CRS_ISA"] = "avx2"  # before the core is loaded

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete
from safetensors.numpy import load_file

import a3crs
from a3crs import _core

HASHES = Path(__file__).parent / "hashes.json"
WALL_CLOCK = {"secs", "steps_per_sec", "rss_mb", "share_env", "share_forward", "share_backward", "share_update"}
WALL_CLOCK |= {"share_waiting"}
CPU_SECONDS = 3  # the last numbers of each actor's sums
SHORT = 7  # every so many cases, and all of Pong
SETTINGS = {"deterministic": True, "quiet": True, "seed": 3}


class Spot(gymnasium.Env):
    """A bright spot wanders over a small image; being at the side that the action says earns 1."""

    def __init__(self, *, continuous: bool, side: int = 36) -> None:
        self.observation_space = Box(0, 255, (side, side, 1), np.uint8)
        self.action_space = Box(-1, 1, (2,)) if continuous else Discrete(2)
        self._side = side

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self._steps, self._x = 0, self._side // 2
        return self._show(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self._steps += 1
        self._x = int(np.clip(self._x + self.np_random.integers(-6, 7), 2, self._side - 3))
        right = float(np.ravel(action)[0]) > 0
        terminated = self._x in (2, self._side - 3)
        return self._show(), float(right == (self._x > self._side // 2)), terminated, self._steps == 40, {}

    def _show(self) -> Any:
        image = np.zeros((self._side, self._side, 1), np.uint8)
        image[10:20, self._x - 2 : self._x + 3] = 200
        return image


Case = tuple[Any, dict[str, Any]]


def cases() -> Iterator[tuple[str, Case]]:
    """Name, environment and settings of each case; `resumed` is a second length in frames."""
    names = {kind: [entry["name"] for entry in entries] for kind, entries in _core.catalogue().items()}
    vectors = {"actors": 5, "total_steps": 3_000, "env_workers": "thread"}
    for algo, net, optimizer in itertools.product(names["algos"], names["nets"], names["optimizers"]):
        target = {} if "target_interval_steps" not in settings_of(algo) else {"target_interval_steps": 200}
        chosen = {"algo": algo, "net": net, "optimizer": optimizer} | target
        if "nature" not in net:
            yield f"CartPole-v1 {algo} {net} {optimizer}", ("CartPole-v1", vectors | chosen)
        else:
            images = {"actors": 3, "total_steps": 200, "env_workers": "thread"}
            yield f"Spot {algo} {net} {optimizer}", (lambda: Spot(continuous=False), images | chosen)
    for gaussian, net in itertools.product(["diagonal", "spherical"], ["ff", "lstm"]):
        chosen = {"gaussian": gaussian, "net": net}
        yield f"Pendulum-v1 {gaussian} {net}", ("Pendulum-v1", vectors | chosen)
        images = {"actors": 2, "total_steps": 400, "t_max": 16, "env_workers": "thread"}
        yield f"Spot {gaussian} {net}", (lambda: Spot(continuous=True), images | chosen)
    yield "Pendulum-v1 episode", ("Pendulum-v1", vectors | {"t_max": "episode", "lambda_": 0.8})
    raw = {"normalize_obs": False, "reward_scale": 0.5, "reward_clip": 0.0, "max_grad_norm": 0.5}
    yield "CartPole-v1 raw", ("CartPole-v1", vectors | raw)
    running = {"reward_scale": "running", "reward_clip": 10.0, "lambda_": 0.9, "t_max": 11, "actors": 3}
    yield "CartPole-v1 running resumed", ("CartPole-v1", vectors | running | {"resumed": 6_000})
    sarsa = {"algo": "one-step-sarsa", "net": "lstm", "target_interval_steps": 300, "resumed": 5_000}
    yield "CartPole-v1 one-step-sarsa lstm resumed", ("CartPole-v1", vectors | sarsa)
    yield "Pong ff", ("Pong", {"actors": 6, "total_steps": 2_500})
    yield "Pong lstm", ("Pong", {"actors": 6, "total_steps": 1_500, "net": "lstm"})
    q = {"algo": "n-step-q", "net": "nature", "target_interval_steps": 300, "explore_anneal_steps": 600}
    yield "Pong n-step-q nature resumed", ("Pong", {"actors": 3, "total_steps": 600} | q | {"resumed": 4_000})


def settings_of(algo: str) -> list[str]:
    """Settings that a method reads and others do not."""
    return next(entry for entry in _core.catalogue()["algos"] if entry["name"] == algo)["settings"]


def hash_of(case: Case) -> str:
    """Trains and returns a hash of what the run left."""
    env, settings = case
    settings = SETTINGS | settings
    resumed = settings.pop("resumed", None)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        a3crs.train(env, out=out, **settings)
        if resumed is not None:
            a3crs.resume(out, frames=resumed, quiet=True)
        return hash_of_run(out)


def hash_of_run(run: Path) -> str:
    """Hash of a run's checkpoint and logs."""
    sha = hashlib.sha256()
    tensors = load_file(run / "checkpoints" / "latest.safetensors")
    for name, values in sorted(tensors.items()):
        counted = values[:-CPU_SECONDS] if name.endswith("sums") else values
        sha.update(f"{name} {counted.dtype} {counted.shape}".encode() + counted.tobytes())
    for log in ("episodes.jsonl", "progress.jsonl"):
        for line in (run / log).read_text().splitlines():
            row = {name: value for name, value in json.loads(line).items() if name not in WALL_CLOCK}
            sha.update(json.dumps(row, sort_keys=True).encode())
    return sha.hexdigest()[:16]


def main(arguments: list[str]) -> int:
    """Exit code 0 if every hash is as it was; cases without one are listed and no failure."""
    known = json.loads(HASHES.read_text()) if HASHES.exists() else {}
    chosen = list(cases())
    if "--short" in arguments:
        chosen = [case for i, case in enumerate(chosen) if i % SHORT == 0 or case[0].startswith("Pong")]
    found, wrong = {}, 0
    for name, case in chosen:
        found[name] = hash_of(case)
        verdict = "same" if known.get(name) == found[name] else "DIFFERS" if name in known else "has no hash yet"
        wrong += verdict == "DIFFERS"
        print(f"{found[name]}  {verdict:8}  {name}", flush=True)
    if "--write" in arguments:
        HASHES.write_text(json.dumps(found, indent=1) + "\n")
        return 0
    print(f"{len(found)} cases, {wrong} of which differ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
