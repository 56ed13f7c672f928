"""A run on disk: its directory, config.json, meta.json and the names of everything else in it."""

import dataclasses
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Any

from a3crs import _core
from a3crs.config import TrainConfig
from a3crs.errors import CheckpointError, ConfigError, DamagedError, RunError
from a3crs.parse import read_settings

LOCK = "lock"
PACKAGES = ("a3crs", "ale-py", "gymnasium", "mujoco", "numpy", "polars", "typer")


@dataclass(frozen=True)
class RunDir:
    """The files of one run."""

    path: Path

    @property
    def config(self) -> Path:
        """The complete settings."""
        return self.path / "config.json"

    @property
    def meta(self) -> Path:
        """Where and with which software the run was made: one entry for each time it was started or resumed."""
        return self.path / "meta.json"

    @property
    def evals(self) -> Path:
        """One row for each evaluation."""
        return self.path / "evals.jsonl"

    @property
    def restarts(self) -> Path:
        """One row for each worker process that was restarted; no file where none was."""
        return self.path / "restarts.jsonl"

    @property
    def latest_checkpoint(self) -> Path:
        """The newest checkpoint."""
        return self.path / "checkpoints" / "latest.safetensors"

    def check(self) -> None:
        """ConfigError where this directory is not a run's."""
        if not self.config.is_file():
            raise ConfigError(f"{self.path} is not a run: it has no config.json.")

    def read_config(self) -> TrainConfig:
        """The settings the run was started with, all of them given."""
        self.check()
        config = TrainConfig.from_mapping(read_settings(self.config))
        return dataclasses.replace(config)  # what an older run did not know, it ran without

    def write_config(self, config: TrainConfig) -> None:
        """Saves the settings whole or not at all."""
        _write(self.config, config.to_json())

    def write(self, name: str, text: str) -> None:
        """Replaces the file of this name at once: a reader sees the old text or the new one."""
        _write(self.path / name, text)

    def checkpoint(self, chosen: Path | None) -> Path:
        """The chosen checkpoint, or the newest one; CheckpointError where there is none."""
        path = chosen or self.latest_checkpoint
        if not path.is_file():
            again = "" if chosen else f"; start again with: a3crs train --config {self.config}"
            raise CheckpointError(f"There is no checkpoint {path}{again}.")
        return path

    @property
    def going_on(self) -> bool:
        """Whether some process trains here now."""
        try:
            with (self.path / LOCK).open() as file:
                _lock(file)
        except (BlockingIOError, PermissionError):  # POSIX, Windows
            return True
        except OSError:  # no lock, or none that can be asked: nobody trains
            return False
        return False

    def newest_checkpoint(self) -> tuple[Path, dict[str, Any]]:
        """The newest checkpoint that is whole, and what it says of itself; a line says if newer ones are damaged."""
        latest = self.latest_checkpoint
        numbered = sorted(latest.parent.glob("step_*.safetensors"), reverse=True)
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
        """While this lasts, no other process trains here; the system lets go of it should this process be killed."""
        try:
            file = (self.path / LOCK).open("a")
        except OSError as e:
            raise _unusable(self.path, e) from e
        with file:
            try:
                _lock(file)
            except (BlockingIOError, PermissionError) as e:  # POSIX, Windows
                raise ConfigError(f"{self.path} is in use by another a3crs: wait until it ends, or stop it.") from e
            except OSError as e:
                raise _unusable(self.path, e) from e
            yield

    def sessions(self) -> list[dict[str, Any]]:
        """What meta.json notes of each time the run was started or resumed; nothing where there is none.

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
        """Notes in meta.json that the run is started or resumed now, on this machine."""
        _write(self.meta, json.dumps({"sessions": [*self.sessions(), session()]}, indent=2) + "\n")

    def forget_after(self, saved: dict[str, Any]) -> None:
        """Drops the log rows of what came after a checkpoint, and half-written ones: the run goes on from there.

        An episode is dropped that ended after what the checkpoint has of its actor: it will end once more.
        """
        tickets = {actor: state["ticket"] for actor, state in enumerate(saved["actors"])}
        for log in ("episodes.jsonl", "progress.jsonl", "incidents.jsonl"):
            path = self.path / log
            if path.exists():
                if not path.is_file():  # a device may never end
                    raise RunError(f"{path} is not a file: remove it, and the run can go on.")
                try:
                    text = path.read_bytes()
                except OSError as e:
                    raise RunError(f"{path} cannot be read: {e.strerror}.") from e
                rows = text[: text.rfind(b"\n") + 1].splitlines(keepends=True)
                last = tickets if log == "episodes.jsonl" else {}
                kept = (
                    row for number, row in enumerate(rows, 1) if _is_before(path, number, row, saved["steps"], last)
                )
                _write(path, b"".join(kept).decode())


def new_path(config: TrainConfig, env_name: str) -> Path:
    """`runs/<env>__<algo>-<net>__s<seed>__<time>`, where a run lies that is given no other place."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    safe = "".join(c if c.isalnum() or c in "-." else "-" for c in env_name)
    return Path("runs") / f"{safe}__{config.algo}-{config.net}__s{config.seed}__{stamp}"


@contextmanager
def created(config: TrainConfig, out: Path) -> Iterator[RunDir]:
    """The locked directory of a new run."""
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
    if any(entry.name != LOCK for entry in directory.iterdir()):
        raise ConfigError(f"{directory} is not empty: name a new directory, or go on with `a3crs resume {directory}`.")


def _unusable(directory: Path, e: OSError) -> ConfigError:
    return ConfigError(f"{directory} cannot be used for a run: {e.strerror}.")


if sys.platform == "win32":

    def _lock(file: IO[str]) -> None:
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

else:

    def _lock(file: IO[str]) -> None:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is_before(log: Path, number: int, row: bytes, steps: int, last: dict[int, int]) -> bool:
    """Whether the row is of T = `steps` at most, or of its actor's `last` T."""
    try:
        fields = json.loads(row)
        return bool(fields["steps"] <= last.get(fields.get("actor"), steps))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as e:
        raise RunError(f"Line {number} of {log} is damaged: remove that line, and the run can go on.") from e


def session() -> dict[str, Any]:
    """Versions, machine and commit; no environment variables, no names of users or hosts."""
    return {
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "versions": versions(),
        "build_profile": _core.build_profile,
        "isa": _core.isa(),
        "cpu": cpu_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "commit": _commit(),
    }


def versions() -> dict[str, str | None]:
    """Of Python and the packages that matter; None for one that is missing."""
    return {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES}


def cpu_name() -> str:
    """The model of the processor, as far as the system tells."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    """The commit of a3crs itself, with `-dirty` after it where files differ; None where it runs from no checkout."""
    root = Path(__file__).parents[2]
    if not (root / "rust" / "core" / "Cargo.toml").exists():
        return None
    try:
        git = ["git", "-C", str(root)]
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        status = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{head}-dirty" if status else head


def _write(path: Path, text: str) -> None:
    """Replaces a file at once: a reader sees the old text or the new one."""
    temporary = path.with_suffix(path.suffix + ".tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync(path.parent)
    except OSError as e:
        temporary.unlink(missing_ok=True)
        raise RunError(f"{path} cannot be written: {e.strerror}.") from e


def _sync(directory: Path) -> None:
    """Makes a rename survive a power cut, where the system can open a directory."""
    if sys.platform != "win32":
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
