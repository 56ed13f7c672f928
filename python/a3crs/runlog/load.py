"""Readers of runs' logs, as lazy Polars frames. They may be called while a run goes on, or after it was killed.

Each takes a run's directory, a directory with runs somewhere below it, a glob (`"runs/Pong*"`) or a list of these. The
first column, `run`, is the name of the run's directory, with as much of its path as distinguishes the runs. `settings`
names settings of config.json that become further columns: `progress("runs", settings=["lr", "actors"])`.
"""

import glob
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import polars as pl
from polars.io.plugins import register_io_source

from a3crs.errors import ConfigError, RunError, did_you_mean
from a3crs.files import last_line
from a3crs.rundir import names
from a3crs.runlog.schema import ADDED, EPISODES, EVALS, INCIDENTS, PROGRESS, RESTARTS

Runs: TypeAlias = Path | str | Iterable[Path | str]

CHUNK_BYTES = 16 << 20  # bytes of the logs that are parsed at once


def episodes(runs: Runs, settings: Sequence[str] = ()) -> pl.LazyFrame:
    """Returns a row for each whole episode; columns as in `schema.EPISODES`."""
    return _scan(runs, names.EPISODES, EPISODES, settings)


def progress(runs: Runs, settings: Sequence[str] = ()) -> pl.LazyFrame:
    """Returns a row about every 2 seconds; columns as in `schema.PROGRESS`."""
    return _scan(runs, names.PROGRESS, PROGRESS, settings)


def evals(runs: Runs, settings: Sequence[str] = ()) -> pl.LazyFrame:
    """Returns a row for each evaluation; columns as in `schema.EVALS`."""
    return _scan(runs, names.EVALS, EVALS, settings)


def restarts(runs: Runs, settings: Sequence[str] = ()) -> pl.LazyFrame:
    """Returns a row for each worker process that was restarted; columns as in `schema.RESTARTS`."""
    return _scan(runs, names.RESTARTS, RESTARTS, settings)


def incidents(runs: Runs, settings: Sequence[str] = ()) -> pl.LazyFrame:
    """Returns a row for each unexpected event; columns as in `schema.INCIDENTS`."""
    return _scan(runs, names.INCIDENTS, INCIDENTS, settings)


def last_progress(run: Path | str) -> dict[str, Any] | None:
    """Returns the newest whole row of a run's progress.jsonl, reading no other; None where there is none yet."""
    path = Path(run) / names.PROGRESS
    line = last_line(path)
    try:
        row = None if line is None else json.loads(line)
    except ValueError:
        row = ()
    if row is not None and not (isinstance(row, dict) and row.keys() >= PROGRESS.keys() - ADDED):
        raise RunError(f"The last line of {path} is damaged: remove that line.")
    return row if row is None else dict.fromkeys(ADDED) | row


def find(runs: Runs) -> list[Path]:
    """Returns the runs' directories, those with a config.json, sorted; raises ConfigError where there is none."""
    asked = [runs] if isinstance(runs, (str, Path)) else list(runs)
    found = {run for place in asked for run in _below(place)}
    if not found:
        raise ConfigError(
            f"There is no run in {', '.join(map(str, asked)) or 'an empty list'}: name directories of runs."
        )
    return sorted(found)


def settings(runs: Runs, wanted: Sequence[str] | None = None) -> pl.DataFrame:
    """Returns a row for each run: `run` and the named settings, or all of them.

    A setting that an older run did not know is null. Raises ConfigError for a setting that no run knows.
    """
    directories = find(runs)
    configs = [_config(directory) for directory in directories]
    known = list(dict.fromkeys(name for config in configs for name in config))
    for name in wanted or ():
        if name not in known:
            raise ConfigError(f"The runs have no setting {name!r}{did_you_mean(name, known)}.")
    columns = {
        name: _column([config.get(name) for config in configs]) for name in (known if wanted is None else wanted)
    }
    return pl.DataFrame({"run": _names(directories), **columns})


def _below(place: Path | str) -> Iterator[Path]:
    matches = map(Path, glob.glob(str(place))) if glob.has_magic(str(place)) else [Path(place)]
    seen = set()  # links may form cycles
    for path in matches:
        for directory, inner, files in os.walk(path, followlinks=True):
            real = os.path.realpath(directory)
            if real in seen:
                inner.clear()
                continue
            seen.add(real)
            if names.CONFIG in files:
                inner.clear()  # a run contains no runs
                yield Path(directory)


def _names(directories: Sequence[Path]) -> list[str]:
    """Returns the last parts of each path, as few as distinguish all paths."""
    paths = [directory.resolve() for directory in directories]
    for parts in range(1, max(len(path.parts) for path in paths)):
        shown = ["/".join(path.parts[-parts:]) for path in paths]
        if len(set(shown)) == len(set(paths)):
            break
    return shown


def _config(directory: Path) -> dict[str, Any]:
    path = directory / names.CONFIG
    try:
        config = json.loads(path.read_bytes())
    except (OSError, ValueError) as e:
        raise RunError(f"{path} cannot be read ({e}): mend it, or leave this run out.") from e
    if not isinstance(config, dict):
        raise RunError(f"{path} holds no settings: mend it, or leave this run out.")
    return config


def _column(values: list[Any]) -> pl.Series:
    """Converts whole numbers to floats beside floats, and values of several types (t_max can be a word) to text."""
    types = {type(value) for value in values if value is not None}
    if types <= {int, float}:
        return pl.Series(values, dtype=pl.Int64 if types == {int} else pl.Float64)
    if types <= {str} or types == {bool}:
        return pl.Series(values)
    return pl.Series([value if isinstance(value, str) or value is None else json.dumps(value) for value in values])


def _scan(runs: Runs, log: str, schema: pl.Schema, asked: Sequence[str]) -> pl.LazyFrame:
    """Returns a frame that reads the logs when it is collected, 16 MiB at a time."""
    paths = [directory / log for directory in find(runs)]
    about = settings(runs, [name for name in asked if name != "run"])
    # Some names are both, such as lr: a column of the progress, and a setting with its initial value.
    about = about.rename({name: f"{name}_setting" for name in about.columns if name in schema})

    def read(
        columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, batch_size: int | None
    ) -> Iterator[pl.DataFrame]:
        wanted = list(full) if columns is None else columns
        narrow = pl.Schema({name: kind for name, kind in schema.items() if name in wanted})
        for pieces in _batches(paths):
            if n_rows == 0:
                return
            rows = _parse(paths, pieces, narrow or pl.Schema(list(schema.items())[:1]))
            of_run = np.repeat([run for run, _, _ in pieces], [lines.count(b"\n") for _, _, lines in pieces])
            batch = rows.hstack(about[of_run]).select(wanted)
            if n_rows is not None:
                batch = batch.head(n_rows)
                n_rows -= batch.height
            yield batch if predicate is None else batch.filter(predicate)

    full = pl.Schema({**about.select("run").schema, **schema, **about.drop("run").schema})
    return register_io_source(read, schema=full, validate_schema=True)


Piece: TypeAlias = tuple[int, int, bytes]  # index of the run, byte offset in its log, whole lines


def _batches(paths: Sequence[Path]) -> Iterator[list[Piece]]:
    """Yields the logs in batches: many short logs, or part of a long one."""
    batch: list[Piece] = []
    size = 0
    for run, path in enumerate(paths):
        for offset, lines in _whole_lines(path):
            batch.append((run, offset, lines))
            size += len(lines)
            if size >= CHUNK_BYTES:
                yield batch
                batch, size = [], 0
    if batch:
        yield batch


def _whole_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yields whole lines with their offset: text after the last newline is unfinished, or cut off by a kill."""
    if not path.exists():
        return
    offset, rest = 0, b""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            end = chunk.rfind(b"\n") + 1
            if end:
                lines, rest = rest + chunk[:end], chunk[end:]
                yield offset, lines
                offset += len(lines)
            else:
                rest += chunk


def _parse(paths: Sequence[Path], pieces: list[Piece], schema: pl.Schema) -> pl.DataFrame:
    try:
        rows = pl.read_ndjson(b"".join(lines for _, _, lines in pieces), schema=schema)
        if rows.height == sum(lines.count(b"\n") for _, _, lines in pieces):
            return rows
    except pl.exceptions.PolarsError:
        pass  # _damage finds the line
    raise _damage(paths, pieces)


def _damage(paths: Sequence[Path], pieces: list[Piece]) -> RunError:
    """Returns the error for the first line that is not an object with the right types."""
    for run, offset, lines in pieces:
        for number, line in enumerate(lines.splitlines(), 1):
            try:
                damaged = not isinstance(json.loads(line), dict)
            except ValueError:
                damaged = True
            if damaged:
                with paths[run].open("rb") as file:
                    before = file.read(offset).count(b"\n")
                return RunError(f"Line {before + number} of {paths[run]} is damaged: remove that line.")
    return RunError(f"A line of {paths[pieces[0][0]]} or a later log has a column of another type: remove it.")
