"""Installed game and the compiled robot that drives in it."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from a3crs.envs.domains.torcs import TORCS
from a3crs.errors import ConfigError

LIBRARIES = Path("/usr/lib/x86_64-linux-gnu/torcs")
DATA = Path("/usr/share/games/torcs")
SOURCES = Path(__file__).with_name("robot")

KNOWN_BUILD = "1.3.7+dfsg-5 amd64"  # Debian 12's and 13's: the robot contains the offsets of its structures
NEEDED = f"TORCS needs Debian's game, a screen without a monitor, and a way to press its keys: {TORCS.install}."


def check_installed() -> None:
    """Raises ConfigError, with the packages to install, where the game cannot be played."""
    if not (LIBRARIES / "torcs-bin").exists() or not (DATA / "config").exists():
        raise ConfigError(NEEDED)
    if not shutil.which("Xvfb") or not shutil.which("xdotool"):
        raise ConfigError(NEEDED)
    build = _build()
    if build != KNOWN_BUILD:
        raise ConfigError(
            f"The installed TORCS is {build}, but the robot knows the layout of {KNOWN_BUILD} alone, Debian's: install "
            "that one."
        )
    if not _plugin().exists():
        _rustc()


def _build() -> str:
    try:
        query = ["dpkg-query", "--show", "--showformat=${source:Version} ${Architecture}", "torcs"]
        return subprocess.run(query, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return "not a Debian package"


def robot() -> Path:
    """Returns the plugin, compiled where this source has no compiled one yet; raises ConfigError where that fails."""
    plugin = _plugin()
    cache = plugin.parent
    if not plugin.exists():
        try:
            cache.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=cache) as folder:
                made = Path(folder, plugin.name)
                _compile(made)
                made.replace(plugin)
        except OSError as e:
            raise ConfigError(f"TORCS's robot cannot be written to {cache}: {e.strerror}.") from e
    return plugin


def _plugin() -> Path:
    source = b"".join(path.read_bytes() for path in sorted(SOURCES.glob("*.rs")))
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "a3crs"
    return cache / f"torcs-robot-{hashlib.sha256(source).hexdigest()[:16]}.so"


def _rustc() -> str:
    rustc = shutil.which("rustc")
    if rustc is None:
        raise ConfigError("TORCS's robot is compiled when it is first needed, and rustc is not in PATH: install Rust.")
    return rustc


def _compile(plugin: Path) -> None:
    options = ["--edition=2024", "--crate-type=cdylib", "--crate-name=a3crs_torcs_robot", "-O", "-Cpanic=abort"]
    result = subprocess.run(
        [_rustc(), *options, "-Cstrip=symbols", "-o", str(plugin), str(SOURCES / "lib.rs")],
        capture_output=True,
        text=True,
    )
    if result.returncode != 0:
        said = next((line for line in result.stderr.splitlines() if "error" in line), result.stderr[-200:])
        raise ConfigError(
            f"TORCS's robot cannot be compiled ({said.strip()}): it takes Rust 1.89 or newer and a linker."
        )
