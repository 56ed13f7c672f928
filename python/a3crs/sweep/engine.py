"""Engines, which run trials: an engine gets directories and calls `run_trial` on each, on any machine."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import IO, Protocol

from a3crs.errors import ConfigError
from a3crs.rundir.names import FAILURE
from a3crs.sweep.trial import write_failure

LOOK_SECS = 0.1


class Engine(Protocol):
    """Runner of trials."""

    def run(self, trials: Sequence[Path], look: Callable[[Sequence[Path]], None]) -> None:
        """Calls `run_trial` on each directory, and `look` with the running ones, several times a second.

        A trial that fails leaves a failure.txt, and the others go on. KeyboardInterrupt saves the running trials.
        """
        ...


class LocalEngine:
    """Engine that runs `jobs` trials at a time on this machine, each in a process with its share of the cores."""

    def __init__(self, jobs: int) -> None:
        if not 1 <= jobs <= 1024:
            raise ConfigError(f"jobs is {jobs}, but it must be between 1 and 1024.")
        self.shares = shares(cores(), jobs)

    def run(self, trials: Sequence[Path], look: Callable[[Sequence[Path]], None]) -> None:
        """Runs the trials, like `Engine.run`. A second KeyboardInterrupt ends them at once."""
        waiting, free = deque(trials), deque(self.shares)
        running: list[_Child] = []
        with _interruptible():
            try:
                while waiting or running:
                    while waiting and free:
                        running.append(_start(waiting.popleft(), free.popleft()))
                    for child in [child for child in running if child.process.poll() is not None]:
                        running.remove(child)
                        _note_failure(child)
                        free.append(child.cores)
                    look([child.trial for child in running])
                    time.sleep(LOOK_SECS if running else 0)
            except KeyboardInterrupt:
                print("a3crs: saving the trials; a second Ctrl-C leaves at once.", file=sys.stderr)
                for child in running:
                    child.process.terminate()
                for child in running:
                    child.process.wait()
                raise
            finally:
                for child in running:
                    child.process.kill()
                    child.end()


def cores() -> list[int]:
    """Returns the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def shares(cores: Sequence[int], jobs: int) -> list[list[int]]:
    """Returns each job's cores: shares that differ by one at most, or a core for several jobs if jobs are more."""
    if jobs >= len(cores):
        return [[cores[job % len(cores)]] for job in range(jobs)]
    ends = [len(cores) * job // jobs for job in range(jobs + 1)]
    return [list(cores[start:end]) for start, end in pairwise(ends)]


@dataclass(frozen=True)
class _Child:
    trial: Path
    cores: list[int]
    process: "subprocess.Popen[bytes]"
    said: IO[bytes]

    def end(self) -> list[str]:
        """Waits for the process, closes its files and returns the lines it wrote to standard error."""
        with self.said, self.process:
            self.process.wait()
            self.said.seek(0)
            return self.said.read().decode(errors="replace").splitlines()


def _start(trial: Path, cores: list[int]) -> _Child:
    said = tempfile.TemporaryFile()  # noqa: SIM115 (open for the child's lifetime)
    command = [sys.executable, "-m", "a3crs.sweep", str(trial), ",".join(map(str, cores))]
    # A session of its own, so that only the engine forwards the terminal's Ctrl-C. Standard input ends with the engine.
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=said, start_new_session=True
    )
    return _Child(trial, cores, process, said)


def _note_failure(child: _Child) -> None:
    """Writes a failure.txt for a process that died without writing one."""
    lines = child.end()
    code = child.process.returncode
    if code and not (child.trial / FAILURE).exists():
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        write_failure(child.trial, f"Its process {how}{': ' + lines[-1] if lines else ''}.", *lines)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Raises KeyboardInterrupt on Ctrl-C and SIGTERM (from a batch system, or `kill`).

    A script's background job gets it too, although its shell has SIGINT ignored.
    """

    def interrupt(signum: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # Python delivers signals to the main thread only
        yield
        return
    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
