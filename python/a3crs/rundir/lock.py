"""Lock of a run's directory: one process trains in it at a time; the system releases it if that process is killed."""

import sys
from typing import IO

# What a lock held by another process raises: on POSIX, on Windows.
TAKEN = (BlockingIOError, PermissionError)

if sys.platform == "win32":

    def take(file: IO[str]) -> None:
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

else:

    def take(file: IO[str]) -> None:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
