"""Comparison of the kernels with the machine's peak rates, and with those of another commit.

    python3 rust/core/benches/kernels.py bounds            # time, bound and their ratio for each vector instruction set
    python3 rust/core/benches/kernels.py guard [COMMIT]    # against HEAD~1, in turn; fails if a kernel is slower

Both build and run `cargo bench --bench kernels`; the machine should have nothing else to do.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
Key = tuple[str, str]  # kernel and instruction set
# Usual sizes of the caches, in bytes. A row is read from the smallest cache that holds it.
CACHES = {"peak first cache": 32 << 10, "peak second cache": 1 << 20, "peak third cache": 1 << 40}


def build(checkout: Path, target: Path) -> Path:
    """Builds the benchmark and returns its program."""
    command = [
        "cargo",
        "bench",
        "--locked",
        "-p",
        "a3crs-core",
        "--bench",
        "kernels",
        "--no-run",
        "--message-format=json",
    ]
    environment = os.environ | {"CARGO_TARGET_DIR": str(target)}
    printed = subprocess.run(
        command, cwd=checkout, env=environment, check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    programs = [json.loads(line).get("executable") for line in printed.splitlines()]
    return Path(next(program for program in programs if program))


def measure(program: Path, pattern: str) -> dict[Key, tuple[float, dict[str, int]]]:
    """Returns the seconds and the work of each kernel."""
    with tempfile.TemporaryDirectory() as home:
        environment = os.environ | {"CRITERION_HOME": home}
        command = [program, "--bench", "--quick", pattern]
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return dict(_read(Path(home)))


def _read(home: Path) -> Iterator[tuple[Key, tuple[float, dict[str, int]]]]:
    for path in home.glob("*/*/new/benchmark.json"):
        described = json.loads(path.read_text())
        estimates = json.loads(path.with_name("estimates.json").read_text())
        work = (described["throughput"] or {}).get("ElementsAndBytes", {"elements": 0, "bytes": 0})
        key = (described["group_id"], described["function_id"])
        yield key, (estimates["median"]["point_estimate"] / 1e9, work)


def bounds(target: Path) -> int:
    """Prints each kernel's time, its lower bound and their ratio."""
    measured = measure(build(ROOT, target), "/(avx512|avx2|neon)$")
    secs = {key: took for key, (took, _) in measured.items()}

    def rate(peak: str, isa: str, unit: str) -> float:
        return measured[peak, isa][1][unit] / secs[peak, isa]

    print(f"{'kernel':44}{'':8}{'us':>8}{'bound':>8}{'ratio':>7}  bound by")
    for (kernel, isa), (took, work) in sorted(measured.items()):
        if kernel.startswith("peak"):
            unit = "elements" if work["elements"] else "bytes"
            print(f"{kernel:44}{isa:8}{rate(kernel, isa, unit) / 1e9:8.1f} G{unit}/s")
            continue
        cache = next(name for name, size in CACHES.items() if work["bytes"] <= size)
        limits = {
            "multiply-adds": work["elements"] / rate("peak multiply-adds", isa, "elements"),
            cache.removeprefix("peak "): work["bytes"] / rate(cache, isa, "bytes"),
        }
        by = max(limits, key=limits.__getitem__)
        print(f"{kernel:44}{isa:8}{took * 1e6:8.2f}{limits[by] * 1e6:8.2f}{took / limits[by]:7.2f}  {by}")
    return 0


def guard(target: Path, commit: str, rounds: int, slack: float) -> int:
    """Measures this checkout and another commit in turn; returns 1 if a kernel's median ratio is above `slack`."""
    with tempfile.TemporaryDirectory() as folder:
        other = Path(folder) / "other"
        subprocess.run(["git", "worktree", "add", "--detach", other, commit], cwd=ROOT, check=True, capture_output=True)
        try:
            mine, theirs = build(ROOT, target), build(other, target / "guard")
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", other], cwd=ROOT, check=True)
    ratios: dict[Key, list[float]] = {}
    for _ in range(rounds):
        here, there = (measure(program, "/(avx512|avx2|neon)$") for program in (mine, theirs))
        for key in here.keys() & there.keys():
            ratios.setdefault(key, []).append(here[key][0] / there[key][0])
    slower = 0
    print(f"time of this checkout over that of {commit}, medians of {rounds} rounds")
    for (kernel, isa), measured in sorted(ratios.items()):
        ratio = statistics.median(measured)
        slower += ratio > slack
        print(f"{kernel:44}{isa:8}{ratio:7.2f}{'  slower' if ratio > slack else ''}")
    return int(slower > 0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["bounds", "guard"])
    parser.add_argument("commit", nargs="?", default="HEAD~1")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--slack", type=float, default=1.1, help="a larger ratio is a regression")
    arguments = parser.parse_args()
    directory = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    if arguments.what == "bounds":
        sys.exit(bounds(directory))
    sys.exit(guard(directory, arguments.commit, arguments.rounds, arguments.slack))
