"""Rewinding of a run's logs to the checkpoint from which it is resumed."""

import json
from pathlib import Path
from typing import Any

from a3crs.errors import RunError
from a3crs.files import replace_text
from a3crs.rundir.names import EPISODES, REWOUND


def rewind_logs(directory: Path, saved: dict[str, Any]) -> None:
    """Drops the rows written after a checkpoint, and half-written ones.

    An episode is dropped that ended after the step up to which the checkpoint has its actor: it will end once more.
    """
    tickets = {actor: state["ticket"] for actor, state in enumerate(saved["actors"])}
    for name in REWOUND:
        log = directory / name
        if log.exists():
            rows = enumerate(_whole_rows(log), 1)
            last = tickets if name == EPISODES else {}
            kept = (row for number, row in rows if _is_before(log, number, row, saved["steps"], last))
            replace_text(log, b"".join(kept).decode())


def _whole_rows(log: Path) -> list[bytes]:
    if not log.is_file():  # a device may never end
        raise RunError(f"{log} is not a file: remove it, and the run can go on.")
    try:
        text = log.read_bytes()
    except OSError as e:
        raise RunError(f"{log} cannot be read: {e.strerror}.") from e
    return text[: text.rfind(b"\n") + 1].splitlines(keepends=True)


def _is_before(log: Path, number: int, row: bytes, steps: int, last: dict[int, int]) -> bool:
    """Returns True for a row of T = `steps` at most, or of its actor's `last` T at most."""
    try:
        fields = json.loads(row)
        return bool(fields["steps"] <= last.get(fields.get("actor"), steps))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as e:
        raise RunError(f"Line {number} of {log} is damaged: remove that line, and the run can go on.") from e
