"""Files that appear whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from a3crs.errors import A3crsError, RunError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, with its suffix, which takes its place when the block has ended well. The folder
    is made.

    RunError where it cannot be written.
    """
    if path.is_dir():
        raise RunError(f"{path} cannot be written: it is a folder, so name a file in it.")
    temporary = path.with_name(f".{path.stem}-{os.getpid()}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except A3crsError:
        raise
    except FileExistsError as e:
        raise RunError(f"{path} cannot be written: {path.parent} is a file, not a folder.") from e
    except OSError as e:
        raise RunError(f"{path} cannot be written: {e.strerror or e}.") from e
    finally:
        with suppress(OSError):  # in a folder that could not be made, for one
            temporary.unlink()
