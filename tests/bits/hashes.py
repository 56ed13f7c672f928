"""Compares what `--deterministic` runs compute with hashes in hashes.json: same settings, same bits.

    python tests/bits/hashes.py             all cases; names those that differ and exits with 1
    python tests/bits/hashes.py --short     a representative part, as tests/bits/test_bits.py runs it
    python tests/bits/hashes.py --only pong all cases with that in their names
    python tests/bits/hashes.py --write     replaces the hashes of the cases it has run

A case's two hashes are of the last checkpoint's tensors (names, types, shapes, bytes) and of the rows of episodes.jsonl
and progress.jsonl, both without what a clock says. Versions and other metadata do not count. The hash of settings that
are refused is null. Hashes hold for one instruction set, AVX2, which is chosen here.

A case without a hash is of a new row in the catalogue: it is listed as "no hash yet" and is no difference.
"""

import argparse
import hashlib
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ["A3CRS_ISA"] = ISA = "avx2"  # before the core is loaded
sys.path.insert(0, str(Path(__file__).parent))

from cases import Case, cases, environment
from safetensors import safe_open

import a3crs
from a3crs.errors import ConfigError

KEPT = Path(__file__).with_name("hashes.json")
COLUMNS = {
    "episodes.jsonl": ("steps", "frames", "actor", "explore_eps", "episode_return", "length_steps"),
    "progress.jsonl": (
        *("steps", "frames", "lr", "episodes", "return_mean_100", "return_best_100", "length_mean_100", "entropy"),
        *("value_loss", "policy_loss", "grad_norm", "clipped_share", "staleness", "updates", "refused_updates"),
    ),
}
COUNTED = 9  # so many of a checkpoint's sums count what was learned; CPU seconds come after them


def kept() -> dict[str, str | None]:
    """The committed hashes by the names of their cases."""
    return dict(json.loads(KEPT.read_text(encoding="utf-8"))) if KEPT.exists() else {}


def hashed(case: Case) -> str | None:
    """Trains and hashes what the run has left; None where the settings are refused."""
    with tempfile.TemporaryDirectory() as place:
        out = Path(place) / "run"
        try:
            _train(case, out)
        except ConfigError:
            if out.exists():
                raise
            return None
        tensors = _tensors(out / "checkpoints" / "latest.safetensors")
        return f"{tensors} {_logs(out)}"


def _train(case: Case, out: Path) -> None:
    env = environment(case)
    own = None if isinstance(env, str) else env
    threads = {} if env == "Pong" else {"env_workers": "thread"}
    settings = {"deterministic": True, "seed": 7, "checkpoint_secs": 1000.0, **threads, **case.settings}
    try:
        a3crs.train(env, out=out, quiet=True, **settings)
        if case.interrupted:
            raise RuntimeError("the run was not interrupted")
    except KeyboardInterrupt:
        if not case.interrupted:
            raise
        a3crs.resume(out, env=own, quiet=True)
    if case.resumed_to is not None:
        a3crs.resume(out, env=own, frames=case.resumed_to, quiet=True)


def _tensors(checkpoint: Path) -> str:
    found = hashlib.sha256()
    with safe_open(checkpoint, framework="numpy") as file:
        for name in sorted(file.keys()):
            tensor = file.get_tensor(name)
            if name.rpartition(".")[2] == "sums":
                tensor = tensor[:COUNTED]
            found.update(f"{name} {tensor.dtype.str} {tensor.shape}\n".encode())
            found.update(tensor.tobytes())
    return found.hexdigest()[:16]


def _logs(run: Path) -> str:
    found = hashlib.sha256()
    for log, columns in COLUMNS.items():
        for line in (run / log).read_text(encoding="utf-8").splitlines():
            row: dict[str, Any] = json.loads(line)
            found.update(json.dumps([row[column] for column in columns]).encode() + b"\n")
    return found.hexdigest()[:16]


def main() -> int:
    """Runs the chosen cases; the exit code."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--short", action="store_true", help="a representative part")
    options.add_argument("--only", default="", help="cases with this in their names")
    options.add_argument("--write", action="store_true", help="replace the hashes")
    chosen = options.parse_args()
    every, before = cases(), kept()
    names = [n for n, c in every.items() if (c.short or not chosen.short) and chosen.only.lower() in n.lower()]
    now, started = {}, time.monotonic()
    for name in names:
        now[name] = hashed(every[name])
        said = "no hash yet" if name not in before else "" if before[name] == now[name] else f"was {before[name]}"
        print(f"{name:42} {now[name] or 'refused':33} {said}".rstrip(), flush=True)
    gone = [] if chosen.short or chosen.only else sorted(before.keys() - every.keys())
    differ = [name for name in names if name in before and before[name] != now[name]]
    print(f"{len(names)} cases in {time.monotonic() - started:.0f} s, {len(differ)} differ.")
    if chosen.write:
        hashes = {name: value for name, value in before.items() if name not in gone} | now
        KEPT.write_text(json.dumps(dict(sorted(hashes.items())), indent=2) + "\n", encoding="utf-8")
        return 0
    for name in differ:
        print(f"differs: {name} (checkpoint, logs): {before[name]} -> {now[name]}", file=sys.stderr)
    for name in gone:
        print(f"differs: {name} has a hash but is no case", file=sys.stderr)
    return 1 if differ or gone else 0


if __name__ == "__main__":
    sys.exit(main())
