"""TORCS process: it drives in lock-step on an X server of its own, and leaves nothing behind."""

import os
import select
import shutil
import socket
import struct
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from a3crs.envs.torcs import install, race
from a3crs.envs.torcs.race import Camera, Race
from a3crs.errors import ConfigError, EnvLostError

# The robot sends whether it knows the layout (if not, nothing follows), width and height of the image, the telemetry,
# and the image's rows from the bottom up. It receives the command, the steering and the throttle.
_LAYOUT = struct.Struct("=i")
_TELEMETRY = struct.Struct("=ii6f")
_COMMAND = struct.Struct("=iff")
DRIVE, START_AGAIN = 0, 1

KEY_SECS = 0.3  # between two keys pressed in the menus

# Ends the game and its screen, which are in its process group, when their owner has ended, even if the owner was
# killed: the standard input is a pipe whose other end only the owner holds. SIGTERM lets the screen remove its files.
GUARD = """
trap '' INT TERM HUP
read -r closed
kill -TERM 0
sleep 0.2
rm -rf "$1"
kill -KILL 0
"""

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Telemetry:
    """State of the car at the time of the image."""

    reward: float  # mean speed along the track's axis since the last action, m/s
    speed: float  # along the car, m/s
    angle: float  # of the track's axis to the car, rad
    track_position: float  # 0 in the middle, 1 and -1 at the left and right edge
    distance: float  # driven since the start, m
    time: float  # since the start, s


class Game:
    """Process of one race; two threads must not use it at once.

    `telemetry` and `image`, of shape (height, width, 3), are those after the last action.

    Every call raises EnvLostError when a process has died or has not answered for `timeout_secs`.
    """

    def __init__(self, of: Race, size: tuple[int, int], camera: Camera, timeout_secs: float) -> None:
        robot = install.robot()
        self._timeout_secs = timeout_secs
        self._folder = Path(tempfile.mkdtemp(prefix="a3crs-torcs-"))
        self._guard = _guard(self._folder)
        self._screen: subprocess.Popen[bytes] | None = None
        self._game: subprocess.Popen[bytes] | None = None
        self._display = ""
        self._line, far_end = socket.socketpair()
        try:
            with far_end:
                race.write(self._folder, of, robot, size, camera)
                self._display = self._start_screen(size)
                self._start_game(far_end)
            self._pass_menus(size)
            self._receive()
        except BaseException:
            self.close()
            raise

    def drive(self, steer: float, throttle: float) -> None:
        """Drives for 80 ms with both from -1 to 1: a positive `steer` is to the left, a negative `throttle` brakes."""
        self._ask(DRIVE, steer, throttle)

    def start_again(self) -> None:
        """Starts the race again."""
        os.truncate(self._folder / "log", 0)  # opponents write to it at each start
        self._ask(START_AGAIN)

    def close(self) -> None:
        """Ends the processes."""
        self._line.close()
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        for process in (self._guard, self._game, self._screen):
            if process is not None:
                process.wait()
        self._remove_lock()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _ask(self, command: int, steer: float = 0.0, throttle: float = 0.0) -> None:
        try:
            self._line.sendall(_COMMAND.pack(command, steer, throttle))
        except OSError as e:
            raise EnvLostError("died") from e
        self._receive()

    def _receive(self) -> None:
        """Receives telemetry and image; the wait is without the interpreter's lock."""
        self._line.settimeout(self._timeout_secs)
        try:
            if _LAYOUT.unpack(self._exactly(_LAYOUT.size)) != (0,):
                raise ConfigError(f"The installed TORCS has another layout than {install.KNOWN_BUILD}: install that.")
            width, height, *telemetry = _TELEMETRY.unpack(self._exactly(_TELEMETRY.size))
            pixels = np.frombuffer(self._exactly(3 * width * height), np.uint8)
        except TimeoutError:
            raise EnvLostError(f"did not answer for {self._timeout_secs:g} s") from None
        except (OSError, EOFError) as e:
            raise EnvLostError("died") from e
        self.telemetry = Telemetry(*telemetry)
        self.image: Image = pixels.reshape(height, width, 3)[::-1]

    def _exactly(self, size: int) -> bytearray:
        data = bytearray(size)
        rest = memoryview(data)
        while rest:
            count = self._line.recv_into(rest)
            if count == 0:
                raise EOFError
            rest = rest[count:]
        return data

    def _start_screen(self, size: tuple[int, int]) -> str:
        """Starts Xvfb and returns the display that it chose."""
        reading, writing = os.pipe()
        with os.fdopen(reading, "rb", buffering=0) as answer:
            with os.fdopen(writing, "wb"):
                options = ["-displayfd", str(writing), "-screen", "0", f"{size[0]}x{size[1]}x24", "-nolisten", "tcp"]
                self._screen = self._popen(["Xvfb", *options], pass_fds=(writing,))
            if not select.select([answer], [], [], self._timeout_secs)[0]:
                raise EnvLostError(f"had no screen after {self._timeout_secs:g} s")
            number = answer.readline().strip().decode()
        if not number:
            raise EnvLostError("had no screen: Xvfb did not start")
        return f":{number}"

    def _start_game(self, far_end: socket.socket) -> None:
        paths = {"-l": self._folder / "settings", "-L": self._folder / "libraries", "-D": install.DATA}
        arguments = [str(word) for option in paths.items() for word in option]
        # A single texture a surface (-s) draws up to twice as fast.
        self._game = self._popen(
            [str(install.LIBRARIES / "torcs-bin"), *arguments, "-s", "-k"],
            pass_fds=(far_end.fileno(),),
            A3CRS_TORCS_SOCKET=str(far_end.fileno()),
            A3CRS_TORCS_PHYSICS=str(install.LIBRARIES / "modules" / "simu" / "simuv2.so"),
            HOME=str(self._folder),
            LD_LIBRARY_PATH=str(install.LIBRARIES / "lib"),
            LIBGL_ALWAYS_SOFTWARE="1",
            LP_NUM_THREADS="0",
        )

    def _popen(self, command: list[str], pass_fds: tuple[int, ...] = (), **more: str) -> "subprocess.Popen[bytes]":
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(
                command,
                cwd=install.DATA,
                env=os.environ | {"DISPLAY": self._display} | more,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=pass_fds,
                process_group=self._guard.pid,
            )

    def _pass_menus(self, size: tuple[int, int]) -> None:
        """Presses keys until the race starts; the first choice of each menu leads there."""
        assert self._game is not None
        until = time.monotonic() + self._timeout_secs
        # Without a window manager, a window has the keyboard focus while the pointer is in it.
        keys = ["mousemove", str(size[0] // 2), str(round(size[1] * 0.185)), "click", "1", "key", "Return"]
        while not select.select([self._line], [], [], KEY_SECS)[0]:
            if self._game.poll() is not None:
                raise EnvLostError(f"ended before the race ({self._last_words()})")
            if time.monotonic() > until:
                raise EnvLostError(f"did not start within {self._timeout_secs:g} s")
            pressing = self._popen(["xdotool", *keys])
            try:
                pressing.wait(self._timeout_secs)
            except subprocess.TimeoutExpired:  # the loop checks the deadline
                pressing.kill()
                pressing.wait()

    def _last_words(self) -> str:
        lines = (self._folder / "log").read_text(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "no message")

    def _remove_lock(self) -> None:
        """Removes the files that a killed X server has left."""
        if self._screen is None:
            return
        number = self._display.removeprefix(":")
        lock = Path(f"/tmp/.X{number}-lock")
        with suppress(OSError, ValueError):
            if int(lock.read_text()) == self._screen.pid:
                lock.unlink()
                Path(f"/tmp/.X11-unix/X{number}").unlink()


def _guard(folder: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        ["/bin/sh", "-c", GUARD, "a3crs-torcs-guard", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        process_group=0,
    )
