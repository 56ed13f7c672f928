"""Readers of a run's logs. They may be called while the run goes on, or after it was killed."""

import io
from pathlib import Path

import polars as pl

from a3crs.runlog.schema import EPISODES, EVALS, INCIDENTS, PROGRESS, RESTARTS


def episodes(run: Path | str) -> pl.LazyFrame:
    """One row for each whole episode; columns as in `schema.EPISODES`."""
    return _read(Path(run) / "episodes.jsonl", EPISODES)


def progress(run: Path | str) -> pl.LazyFrame:
    """One row about every 2 seconds; columns as in `schema.PROGRESS`."""
    return _read(Path(run) / "progress.jsonl", PROGRESS)


def evals(run: Path | str) -> pl.LazyFrame:
    """One row for each evaluation; columns as in `schema.EVALS`."""
    return _read(Path(run) / "evals.jsonl", EVALS)


def restarts(run: Path | str) -> pl.LazyFrame:
    """One row for each worker process that was restarted; columns as in `schema.RESTARTS`."""
    return _read(Path(run) / "restarts.jsonl", RESTARTS)


def incidents(run: Path | str) -> pl.LazyFrame:
    """One row for each thing that should not have happened; columns as in `schema.INCIDENTS`."""
    return _read(Path(run) / "incidents.jsonl", INCIDENTS)


def _read(path: Path, schema: pl.Schema) -> pl.LazyFrame:
    """All complete lines: what follows the last newline is a row still being written, or cut off by a kill.

    A log that does not exist yet has no rows.
    """
    lines = path.read_bytes() if path.exists() else b""
    complete = lines[: lines.rfind(b"\n") + 1]
    if not complete:
        return pl.LazyFrame(schema=schema)
    return pl.read_ndjson(io.BytesIO(complete), schema=schema).lazy()
