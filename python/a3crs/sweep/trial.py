"""Trial of a sweep: an ordinary run, which is started, resumed or left alone depending on its directory."""

import json
import shutil
import time
import traceback
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import Any

from a3crs.config import TrainConfig
from a3crs.errors import A3crsError, ConfigError
from a3crs.files import last_line
from a3crs.rundir import RunDir
from a3crs.rundir.names import CONFIG, FAILURE, LOCK, PROGRESS, checkpoint_steps
from a3crs.sweep.plan import read_plan

FREE_SECS = 30.0  # longest wait for a killed process to release the run


class State(Enum):
    """State of a trial. It is read from the run's own files, so that it cannot disagree with them."""

    DONE = "done"
    FAILED = "failed"
    OPEN = "open"


def run_trial(directory: Path) -> None:
    """Runs the trial in `<sweep>/<trial>` to its end, from its newest checkpoint where it has one.

    A trial that is done is left unchanged. An error is written to failure.txt, with a sentence in the first line, and
    raised. Ctrl-C and SIGTERM save the trial, as in any run.
    """
    from a3crs.training import resume_run, start_run

    plan = read_plan(directory.parent)
    trial = plan.trial(directory.name)
    if state(directory) is State.DONE:
        return
    try:
        if checkpoint_steps(directory):
            _wait_until_free(directory)
            resume_run(directory, quiet=True)
        else:
            _clear(directory)
            start_run(TrainConfig.from_mapping(trial.settings), frames=plan.frames, out=directory, quiet=True)
    except Exception as e:
        write_failure(directory, *_told(e))
        raise


def state(directory: Path) -> State:
    """Returns DONE where the newest checkpoint has all steps, FAILED where there is a failure.txt, else OPEN."""
    total = total_steps(directory)
    if total is not None and checkpoint_steps(directory) and checkpoint_steps(directory)[-1] >= total:
        return State.DONE
    return State.FAILED if (directory / FAILURE).exists() else State.OPEN


def total_steps(directory: Path) -> int | None:
    """Returns the length of the run; None where it has not begun."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        return int(json.loads((directory / CONFIG).read_bytes())["total_steps"])
    return None


def newest_row(directory: Path) -> dict[str, Any] | None:
    """Returns the newest row of progress.jsonl; None where there is none yet."""
    with suppress(OSError, ValueError):
        row = json.loads(last_line(directory / PROGRESS) or b"null")
        return row if isinstance(row, dict) else None
    return None


def write_failure(directory: Path, sentence: str, *more: str) -> None:
    """Writes the reason of a failure to the trial's directory."""
    directory.mkdir(exist_ok=True)
    RunDir(directory).write(FAILURE, "\n".join([sentence.strip(), *more]) + "\n")


def read_failure(directory: Path) -> str:
    """Returns the sentence on a trial's failure."""
    lines = (directory / FAILURE).read_text(encoding="utf-8", errors="replace").splitlines()
    return lines[0] if lines else "It failed."


def _told(e: Exception) -> list[str]:
    if isinstance(e, A3crsError):
        return [str(e), *getattr(e, "__notes__", [])]
    return [f"{type(e).__name__}: {e}".replace("\n", " "), *traceback.format_exception(e)]  # mostly the environment's


def _wait_until_free(directory: Path) -> None:
    """Waits for the lock of the run: a killed process may take a moment to release it."""
    deadline = time.monotonic() + FREE_SECS
    while True:
        try:
            with RunDir(directory).locked():
                return
        except ConfigError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _clear(directory: Path) -> None:
    """Empties the directory of a trial that has no checkpoint."""
    directory.mkdir(exist_ok=True)
    _wait_until_free(directory)
    with RunDir(directory).locked():
        for entry in directory.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            elif entry.name != LOCK:
                entry.unlink()
