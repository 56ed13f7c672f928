"""Files written whole or not at all, rows appended to a log, and the last row of one."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from a3crs.errors import RunError

TAIL_BYTES = 1 << 14  # more than two rows of progress


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`, with the same suffix, and renames it to `path` when the block succeeds.

    The folder is made; a link's target is replaced. RunError where the file cannot be written, or where `path` is a
    device or a pipe, which a rename would remove.
    """
    real = Path(os.path.realpath(path))
    if real.is_dir():
        raise RunError(f"{path} cannot be written: it is a folder, so name a file in it.")
    if real.exists() and not real.is_file():
        raise RunError(f"{path} cannot be written: it is a device or a pipe, so name a file.")
    temporary = real.with_name(f".{real.stem}-{os.getpid()}{real.suffix}")
    try:
        real.parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError as e:
        raise RunError(f"{path} cannot be written: {path.parent} is a file, not a folder.") from e
    except OSError as e:
        raise _unwritable(path, e) from e
    try:
        yield temporary
        temporary.replace(real)
    except OSError as e:
        if e.filename not in (None, str(temporary), temporary):
            raise  # about another file, of an environment for instance
        raise _unwritable(path, e) from e
    finally:
        with suppress(OSError):
            temporary.unlink()


def replace_text(path: Path, text: str) -> None:
    """Replaces a file at once, also across a power cut: a reader sees the old text or the new one."""
    temporary = temporary_of(path)
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync(path.parent)
    except OSError as e:
        temporary.unlink(missing_ok=True)
        raise _unwritable(path, e) from e


def temporary_of(path: Path) -> Path:
    """Returns the file that `replace_text` writes first; its name is fixed, so the next write replaces a leftover."""
    return path.with_suffix(path.suffix + ".tmp")


def append_row(log: Path, row: dict[str, Any]) -> None:
    """Appends one row to a log of JSON lines."""
    try:
        with log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
    except OSError as e:
        raise _unwritable(log, e) from e


def last_line(log: Path) -> bytes | None:
    """Returns the last whole line of a log without reading the others; None where there is none yet."""
    if not log.exists():
        return None
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - TAIL_BYTES))
        lines = file.read().split(b"\n")[:-1]
    return lines[-1] if lines else None


def _sync(directory: Path) -> None:
    """Makes a rename survive a power cut, where the system can open a directory."""
    if sys.platform != "win32":
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _unwritable(path: Path, e: OSError) -> RunError:
    return RunError(f"{path} cannot be written: {e.strerror or e}.")
