"""Directory of one run: settings, sessions, checkpoints and the lock."""

import itertools
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from a3crs import _core
from a3crs.config import RunConfig
from a3crs.errors import CheckpointError, ConfigError, DamagedError, RunError
from a3crs.files import replace_text
from a3crs.parse import read_settings
from a3crs.rundir import lock, names
from a3crs.rundir.rewind import rewind_logs
from a3crs.rundir.session import session


@dataclass(frozen=True)
class RunDir:
    """Files of one run."""

    path: Path

    @property
    def config(self) -> Path:
        """File of the complete settings."""
        return self.path / names.CONFIG

    @property
    def meta(self) -> Path:
        """File about software and machine: one entry for each time the run was started or resumed."""
        return self.path / names.META

    @property
    def evals(self) -> Path:
        """Log of evaluations."""
        return self.path / names.EVALS

    @property
    def restarts(self) -> Path:
        """Log of restarted worker processes; no file where there was none."""
        return self.path / names.RESTARTS

    @property
    def latest_checkpoint(self) -> Path:
        """File of the newest checkpoint."""
        return self.path / names.CHECKPOINTS / names.LATEST

    def check(self) -> None:
        """Raises ConfigError where this directory is not a run's."""
        if not names.is_run(self.path):
            raise ConfigError(f"{self.path} is not a run: it has no config.json.")

    def read_config(self) -> RunConfig:
        """Returns the settings of the run."""
        self.check()
        return RunConfig.from_mapping(read_settings(self.config))

    def write_config(self, config: RunConfig) -> None:
        """Saves the settings whole or not at all."""
        replace_text(self.config, config.to_json())

    def write(self, name: str, text: str) -> None:
        """Replaces the file of this name at once: a reader sees the old text or the new one."""
        replace_text(self.path / name, text)

    def video(self, steps: int) -> Path:
        """Returns the default place of a video of the parameters at step T."""
        return self.path / names.VIDEOS / names.step_name(steps, "mp4")

    def export(self, steps: int, suffix: str) -> Path:
        """Returns the default place of an export of the parameters at step T."""
        return self.path / names.EXPORTS / names.step_name(steps, suffix)

    def checkpoint(self, chosen: Path | None) -> Path:
        """Returns the chosen checkpoint, or the newest one; CheckpointError where there is none."""
        path = chosen or self.latest_checkpoint
        if not path.is_file():
            again = "" if chosen else f"; start again with: a3crs train --config {self.config}"
            raise CheckpointError(f"There is no checkpoint {path}{again}.")
        return path

    @property
    def going_on(self) -> bool:
        """True while a process trains here."""
        try:
            with (self.path / names.LOCK).open() as file:
                lock.take(file)
        except lock.TAKEN:
            return True
        except OSError:  # no lock, or one that cannot be opened: no process trains
            return False
        return False

    def newest_checkpoint(self) -> tuple[Path, dict[str, Any]]:
        """Returns the newest checkpoint that is whole, and its contents; prints a line where newer ones are damaged."""
        latest = self.latest_checkpoint
        numbered = names.numbered_checkpoints(self.path)
        damaged: list[DamagedError] = []
        for path in [path for path in (latest, *numbered) if path.is_file()] or [self.checkpoint(None)]:
            try:
                saved = _core.read_checkpoint(str(path))
            except DamagedError as e:
                damaged.append(e)
                continue
            if path != latest:
                problem = damaged[0] if damaged else f"There is no {latest}."
                print(f"a3crs: {problem} The one used is {path}.", file=sys.stderr)
            return path, saved
        raise damaged[0]

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other processes from training here during the block."""
        try:
            file = (self.path / names.LOCK).open("a")
        except OSError as e:
            raise _unusable(self.path, e) from e
        with file:
            try:
                lock.take(file)
            except lock.TAKEN as e:
                raise ConfigError(f"{self.path} is in use by another a3crs: wait until it ends, or stop it.") from e
            except OSError as e:
                raise _unusable(self.path, e) from e
            yield

    def sessions(self) -> list[dict[str, Any]]:
        """Returns the entries of meta.json, one for each time the run was started or resumed; none without the file.

        Each has `started` (ISO 8601) and `versions`. RunError where the file is damaged.
        """
        if not self.meta.exists():
            return []
        try:
            sessions = [dict(noted) for noted in json.loads(self.meta.read_text(encoding="utf-8"))["sessions"]]
            for noted in sessions:
                datetime.fromisoformat(noted["started"])
                noted["versions"] = dict(noted.get("versions", {}))
            return sessions
        except (OSError, ValueError, LookupError, TypeError, RecursionError) as e:
            raise RunError(f"{self.meta} is damaged: remove it, and the run can go on.") from e

    def add_session(self) -> None:
        """Adds an entry to meta.json: the run is started or resumed now, on this machine."""
        replace_text(self.meta, json.dumps({"sessions": [*self.sessions(), session()]}, indent=2) + "\n")

    def forget_after(self, saved: dict[str, Any]) -> None:
        """Rewinds the logs to a checkpoint, from which the run is resumed."""
        rewind_logs(self.path, saved)


def new_path(config: RunConfig, env_name: str) -> Path:
    """Returns the default directory of a new run: `runs/<env>__<algo>-<net>__s<seed>__<time>`.

    Runs of the same second are numbered: `<time>-2` and so on.
    """
    stamp = time.strftime("%Y%m%d-%H%M%S")
    safe = "".join(c if c.isalnum() or c in "-." else "-" for c in env_name)
    name = f"{safe}__{config.algo}-{config.net}__s{config.seed}__{stamp}"
    names_of_runs = itertools.chain([name], (f"{name}-{n}" for n in itertools.count(2)))
    return next(path for path in map(Path("runs").joinpath, names_of_runs) if not path.exists())


@contextmanager
def created(config: RunConfig, out: Path) -> Iterator[RunDir]:
    """Makes and locks the directory of a new run."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        _refuse_unless_empty(out)  # before a lock is put there
    except OSError as e:
        raise _unusable(out, e) from e
    run = RunDir(out)
    with run.locked():
        _refuse_unless_empty(out)  # another a3crs may have been a moment faster
        run.write_config(config)
        run.add_session()
        yield run


def _refuse_unless_empty(directory: Path) -> None:
    if any(entry.name != names.LOCK for entry in directory.iterdir()):
        raise ConfigError(f"{directory} is not empty: name a new directory, or go on with `a3crs resume {directory}`.")


def _unusable(directory: Path, e: OSError) -> ConfigError:
    return ConfigError(f"{directory} cannot be used for a run: {e.strerror}.")
