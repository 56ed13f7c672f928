"""Software and machine of a training session, as meta.json has them."""

import os
import platform
import subprocess
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from a3crs import _core

PACKAGES = ("a3crs", "ale-py", "gymnasium", "mujoco", "numpy", "polars", "typer")


def session() -> dict[str, Any]:
    """Returns versions, machine and commit; no environment variables, no names of users or hosts."""
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
    """Returns the versions of Python and of the packages a run depends on; None for a package that is missing."""
    return {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES}


def cpu_name() -> str:
    """Returns the model of the processor, as far as the system reports it."""
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
    """Returns the commit of a3crs, with `-dirty` appended where files differ; None where it is no checkout."""
    root = Path(__file__).parents[3]
    if not (root / "rust" / "core" / "Cargo.toml").exists():
        return None
    try:
        git = ["git", "-C", str(root)]
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        status = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{head}-dirty" if status else head
