"""ViZDoom engine: a process that plays a map and draws it, and the clean-up after it.

Without the clean-up, the process and its files in /dev/shm would survive a killed owner, and an owner would wait for
ever for a process that hangs.
"""

import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from a3crs.envs.domains.labyrinth import LABYRINTH
from a3crs.envs.labyrinth.doom import MAP, MapFile
from a3crs.errors import ConfigError, EnvLostError

APPLE_REWARD, PORTAL_REWARD = 1.0, 10.0

WATCH_SECS = 1.0
START_TICS = 5  # the apples exist from then on

# The engine leaves files in the folder where it is started, so it gets its own. The process's number and arguments are
# written to a file for the guard.
LAUNCHER = """#!/bin/sh
cd {folder} && echo "$$ $*" >process && exec {engine} "$@"
"""

# Ends the engine when its owner has ended, even if the owner was killed: the standard input is a pipe whose other end
# only the owner holds.
GUARD = """
trap '' INT TERM HUP
read -r folder
read -r closed && exit
sleep 1 # it may be starting
if read -r process arguments <"$folder/process"; then
    kill -9 "$process"
    id=${arguments##*viz_instance_id }
    rm -f /dev/shm/ViZDoom*"${id%% *}"
fi
rm -rf "$folder"
"""

Screen = NDArray[np.uint8]
T = TypeVar("T")


class Engine:
    """Engine process with one map; two threads must not use it at once.

    Every call raises EnvLostError when the process has died, or when it was killed because it had not answered for
    `timeout_secs`.
    """

    def __init__(self, maze_size: int, map_text: str, resolution: str, timeout_secs: float) -> None:
        vizdoom = installed_vizdoom()
        self._lost = (
            vizdoom.ViZDoomErrorException,
            vizdoom.ViZDoomUnexpectedExitException,
            vizdoom.ViZDoomIsNotRunningException,
        )
        self._folder = folder = tempfile.mkdtemp(prefix="a3crs-labyrinth-")
        self._guard = _guard(folder)
        self._map = MapFile(Path(folder, "maze.wad"), maze_size, map_text)
        self._game = _game(folder, resolution)
        self._asked_at: float | None = None
        self._hung = False
        self._closed = threading.Event()
        _init(self._game)
        self._pid = int(Path(folder, "process").read_text().split()[0])
        threading.Thread(target=self._watch, args=(timeout_secs,), daemon=True).start()
        # Both processes have mapped these files: once unlinked, they are freed when the processes end.
        for shared in Path("/dev/shm").glob(f"ViZDoom*{self._game.get_instance_id()}"):
            shared.unlink()

    def new_episode(self, map_text: str, seed: int) -> None:
        """Starts an episode on this map."""
        self._map.write(map_text)
        self._game.set_seed(seed % 2**32)
        self._ask(self._game.new_episode)

    def act(self, buttons: list[float], tics: int) -> float:
        """Holds the buttons for `tics` tics; returns the reward for apples and portal in that time."""
        return self._ask(lambda: float(self._game.make_action(buttons, tics)))

    def screen(self) -> Screen:
        """Returns the player's view, of shape (height, width, 3)."""
        screen: Screen = self._game.get_state().screen_buffer
        return screen

    def variable(self, name: str) -> float:
        """Returns one of the engine's game variables, such as POSITION_X."""
        import vizdoom

        return float(self._game.get_game_variable(getattr(vizdoom.GameVariable, name)))

    def command(self, command: str) -> None:
        """Sends a command to the engine's console."""
        self._game.send_game_command(command)

    def close(self) -> None:
        """Ends the process."""
        with suppress(EnvLostError):
            self._ask(self._game.close)
        self._closed.set()
        self._map.close()
        self._guard.communicate(b"closed\n")
        shutil.rmtree(self._folder, ignore_errors=True)

    def _ask(self, question: Callable[[], T]) -> T:
        self._asked_at = time.monotonic()
        try:
            return question()
        except self._lost as e:
            raise EnvLostError("hung and was killed" if self._hung else "died") from e
        finally:
            self._asked_at = None

    def _watch(self, timeout_secs: float) -> None:
        """Kills an engine that hangs, so that the call that waits for it returns."""
        while not self._closed.wait(min(WATCH_SECS, timeout_secs)):
            asked_at = self._asked_at
            if asked_at is not None and time.monotonic() - asked_at > timeout_secs:
                self._hung = True
                os.kill(self._pid, signal.SIGKILL)
                return


def _guard(folder: str) -> "subprocess.Popen[bytes]":
    guard = subprocess.Popen(
        ["/bin/sh", "-c", GUARD],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert guard.stdin is not None
    guard.stdin.write(f"{folder}\n".encode())
    guard.stdin.flush()
    return guard


def _game(folder: str, resolution: str) -> Any:
    """Returns a game that is configured and not yet started."""
    vizdoom = installed_vizdoom()
    beside = Path(vizdoom.__file__).parent
    game = vizdoom.DoomGame()
    text = LAUNCHER.format(folder=shlex.quote(folder), engine=shlex.quote(str(beside / "vizdoom")))
    game.set_vizdoom_path(_executable(f"{folder}/launcher", text))
    game.set_doom_game_path(str(beside / "freedoom2.wad"))
    game.set_doom_scenario_path(f"{folder}/maze.wad")
    game.set_doom_config_path(f"{folder}/engine.ini")
    game.set_doom_map(MAP)
    game.set_screen_resolution(getattr(vizdoom.ScreenResolution, resolution))
    game.set_screen_format(vizdoom.ScreenFormat.RGB24)
    for overlay in ("hud", "weapon", "crosshair", "decals", "particles", "messages", "screen_flashes"):
        getattr(game, f"set_render_{overlay}")(False)
    button = vizdoom.Button
    game.set_available_buttons([button.MOVE_FORWARD_BACKWARD_DELTA, button.TURN_LEFT_RIGHT_DELTA])
    game.set_episode_timeout(0)
    game.set_episode_start_time(START_TICS)
    game.set_window_visible(False)
    game.set_sound_enabled(False)
    game.set_mode(vizdoom.Mode.PLAYER)
    game.set_item_reward(APPLE_REWARD)
    game.set_armor_reward(PORTAL_REWARD)
    return game


def _executable(path: str, text: str) -> str:
    # Another process writes the file. If this one did, a child forked by another thread could still have it open for
    # writing; it could not be executed then (ETXTBSY), and ViZDoom would crash.
    subprocess.run(["/bin/sh", "-c", 'cat >"$1" && chmod 700 "$1"', "sh", path], input=text.encode(), check=True)
    return path


def _init(game: Any) -> None:
    # A terminal sends Ctrl-C to all its processes, and a batch job SIGTERM: the owner decides when its engine ends. The
    # engine inherits this thread's blocked signals.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    try:
        game.init()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def installed_vizdoom() -> Any:
    """Returns the module `vizdoom`; raises ConfigError where it is not installed."""
    try:
        import vizdoom
    except ImportError as e:
        raise ConfigError(f"Labyrinth needs ViZDoom: install it with {LABYRINTH.install}.") from e
    return vizdoom
