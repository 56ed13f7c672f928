"""Live display of a run that another process trains, from its logs; the run's files are only read."""

import time
from pathlib import Path

from a3crs.display import RunView
from a3crs.live import open_display
from a3crs.rundir import RunDir
from a3crs.runlog import load

INTERVAL_SECS = 1.0  # the log gets a row every two seconds


def watch(path: Path) -> str:
    """Shows the progress of a run until it ends, and returns a sentence on its final state.

    Ctrl-C ends the display. Raises ConfigError where there is no run, RunError for a damaged log.
    """
    run = RunDir(path)
    total = run.read_config().total_steps
    row = None
    try:
        with open_display(RunView(run.read_config()), quiet=False) as display:
            going_on = True
            while going_on:
                going_on = run.going_on  # before the log is read, so that the last row is shown
                row = load.last_progress(path)
                if row is not None:
                    display.show(row)
                if going_on:
                    time.sleep(INTERVAL_SECS)
    except KeyboardInterrupt:
        return f"{path} goes on."
    if row is None:
        return f"{path} has ended before its first row of progress; start again with: a3crs train --config {run.config}"
    if row["steps"] >= total:
        return f"{path} has finished; evaluate with: a3crs eval {path}"
    return f"{path} was stopped at {row['frames']:,} frames; go on with: a3crs resume {path}"
