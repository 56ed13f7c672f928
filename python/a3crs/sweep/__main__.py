"""Process of one trial, started by LocalEngine: `python -m a3crs.sweep DIRECTORY CORES`.

Standard input is a pipe from the engine. When it closes, the engine has ended, and the trial ends at once, as if
killed.
"""

import os
import sys
import threading
from pathlib import Path

from a3crs.errors import A3crsError
from a3crs.sweep.trial import run_trial


def main() -> int:
    """Runs the trial; the exit code is 0, 1 after a failure, 130 where it was stopped and saved."""
    threading.Thread(target=_follow_engine, daemon=True).start()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(core) for core in sys.argv[2].split(",")})
    try:
        run_trial(Path(sys.argv[1]))
    except A3crsError as e:
        print(e, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _follow_engine() -> None:
    while os.read(0, 1):
        pass
    os._exit(1)


sys.exit(main())
