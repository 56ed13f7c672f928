"""Trains for hours and fails if memory, open files or threads grow: `python tests/soak.py --hours 2 --env Pong`.

Linux only: it reads /proc. The environment's worker processes, where there are any, are counted with the trainer.
"""

import argparse
import json
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

# Not judged: the last 100 episodes, the allocator's arenas and the emulators' caches are still filling up.
WARM_UP = 0.1
# Tolerance for the difference in resident memory between the first quarter and the last.
SLACK_SHARE = 0.02
SLACK_MB = 2.0


@dataclass(frozen=True)
class Sample:
    """Resources of a process and its descendants at one moment."""

    secs: float
    rss_mb: float
    open_files: int
    threads: int
    processes: int


def verdict(samples: list[Sample]) -> str | None:
    """Returns a sentence on what has grown; None if nothing has. Raises ValueError for too few samples."""
    judged = samples[int(len(samples) * WARM_UP) :]
    quarter = len(judged) // 4
    if quarter < 3:
        raise ValueError(f"{len(samples)} samples are too few: soak for longer, or sample more often.")
    first, last = judged[:quarter], judged[-quarter:]
    before, after = (statistics.median(sample.rss_mb for sample in part) for part in (first, last))
    if after > before * (1 + SLACK_SHARE) + SLACK_MB:
        return f"resident memory grew from {before:.1f} to {after:.1f} MB"
    # The minimum of each quarter: a leak raises it permanently, a checkpoint being written does not.
    for name in ("open_files", "threads", "processes"):
        before, after = (min(getattr(sample, name) for sample in part) for part in (first, last))
        if after > before:
            return f"{name} grew from {before} to {after}"
    return None


def sample(pid: int, secs: float) -> Sample:
    """Returns the resources of the process `pid` and its descendants; raises OSError where it has ended."""
    family, found = [pid], [pid]
    while found:
        tasks = [task for parent in found for task in Path(f"/proc/{parent}/task").iterdir()]
        found = [int(child) for task in tasks for child in (task / "children").read_text().split()]
        family += found
    status = [_status(process) for process in family]
    return Sample(
        secs=round(secs, 1),
        rss_mb=round(sum(int(s.get("VmRSS", "0").split()[0]) for s in status) / 1024, 2),
        open_files=sum(len(list(Path(f"/proc/{process}/fd").iterdir())) for process in family),
        threads=sum(int(s["Threads"]) for s in status),
        processes=len(family),
    )


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def soak(command: list[str], hours: float, every: float, log: Path) -> list[Sample]:
    """Trains for so many hours and stops with SIGINT, like Ctrl-C; raises SystemExit if the training ends by itself."""
    samples: list[Sample] = []
    with log.open("w") as out, subprocess.Popen(command) as process:
        try:
            start = time.monotonic()
            while (secs := time.monotonic() - start) < hours * 3600:
                time.sleep(every)
                if process.poll() is not None:
                    raise SystemExit(
                        f"soak: the training ended after {secs:.0f} s with exit code {process.returncode}."
                    )
                samples.append(sample(process.pid, time.monotonic() - start))
                out.write(json.dumps(asdict(samples[-1])) + "\n")
                out.flush()
            process.send_signal(signal.SIGINT)
            if process.wait(timeout=120) != 130:
                raise SystemExit(f"soak: Ctrl-C ended the training with exit code {process.returncode}, not 130.")
        finally:
            process.kill()
    return samples


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hours", type=float, default=2)
    parser.add_argument("--every", type=float, default=10, help="seconds between two samples")
    parser.add_argument("--log", type=Path, default=None, help="where the samples go, one JSON object a line")
    given, train = parser.parse_known_args()  # the rest is for `a3crs train`
    with tempfile.TemporaryDirectory() as directory:
        run = Path(directory) / "run"
        command = [sys.executable, "-m", "a3crs", "train", "--quiet", "--out", str(run), "--frames", "1e12", *train]
        samples = soak(command, given.hours, given.every, given.log or Path(directory) / "soak.jsonl")
        rows = sum(1 for _ in (run / "episodes.jsonl").open())
    shown = [samples[round(share * (len(samples) - 1))] for share in (0, WARM_UP, 0.25, 0.5, 0.75, 1)]
    for s in shown:
        held = f"{s.rss_mb:8.1f} MB  {s.open_files:4d} files  {s.threads:3d} threads  {s.processes} processes"
        print(f"{s.secs:8.0f} s  {held}")
    grown = verdict(samples)
    print(f"soak: {samples[-1].secs / 3600:.2f} h, {rows:,} episodes: {grown or 'nothing grew'}.")
    sys.exit(grown is not None)


if __name__ == "__main__":
    main()
