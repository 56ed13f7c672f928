"""Files that appear whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from a3crs.errors import RunError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, with its suffix, which takes its place when the block has ended well. The folder
    is made; of a link, what it leads to is replaced.

    RunError where it cannot be written, or is there and no file: a device or a pipe would be lost.
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


def _unwritable(path: Path, e: OSError) -> RunError:
    return RunError(f"{path} cannot be written: {e.strerror or e}.")
