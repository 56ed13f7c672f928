"""Labyrinth environment with Gymnasium's interface."""

from random import Random
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from a3crs.envs.domains.labyrinth import LABYRINTH
from a3crs.envs.engines import RENDERED, Image, check_render_mode, closed_if_lost, with_inset
from a3crs.envs.labyrinth import doom
from a3crs.envs.labyrinth.engine import PORTAL_REWARD, Engine, Screen, installed_vizdoom
from a3crs.envs.labyrinth.maze import Maze, MazeKind, draw
from a3crs.errors import ConfigError, EnvError

TICS_PER_SEC = 35
TICS_PER_STEP = 4  # the action repeat of the paper's other domains
SCREEN = 84
INSET = 2  # magnification of the observation in the corner of a rendered image

FORWARD, TURN = 50.0, 4.5  # running speed in the engine's unit; degrees a tic
ACTIONS = {
    "forward": [FORWARD, 0.0],
    "turn left": [0.0, -TURN],
    "turn right": [0.0, TURN],
    "forward and left": [FORWARD, -TURN],
    "forward and right": [FORWARD, TURN],
    "backward": [-FORWARD, 0.0],
}
BUTTONS = list(ACTIONS.values())


class LabyrinthEnv(gymnasium.Env[Image, np.int64]):
    """First-person maze with apples (+1) and a portal (+10), drawn anew for each episode.

    Observations are RGB images of shape (84, 84, 3). Actions are the six of `ACTIONS`, each held for 4 tics of the
    engine's 35 a second. The portal moves the player to a random cell and brings all apples back. `gymnasium.make` adds
    the limit of 60 seconds. `info` has the numbers collected so far in the episode: `{"apples", "portals"}`.
    `maze_kind` are the fields of `MazeKind`.

    With `render_mode="rgb_array"`, `render()` returns images of shape (480, 640, 3): a larger view, drawn by a second
    engine that plays the same game, with the last observation in its corner.

    Raises ConfigError for a wrong argument, and where ViZDoom or OpenCV is not installed. Raises EnvLostError when the
    engine has died or has not answered for `engine_timeout_secs`; the next `reset` starts another one.
    """

    metadata = {"render_modes": [RENDERED], "render_fps": TICS_PER_SEC / TICS_PER_STEP}  # noqa: RUF012

    def __init__(
        self,
        *,
        engine_timeout_secs: float = 60.0,
        textures: doom.Textures = "varied",
        render_mode: str | None = None,
        **maze_kind: Any,
    ) -> None:
        doom.check_textures(textures)
        check_render_mode(render_mode)
        installed_vizdoom()
        self._cv2 = _installed_opencv()
        self.maze: Maze | None = None  # of the current episode
        self.kind = MazeKind(**maze_kind)
        self.observation_space = spaces.Box(0, 255, (SCREEN, SCREEN, 3), np.uint8)
        self.action_space = spaces.Discrete(len(BUTTONS))
        self.render_mode = render_mode
        self._timeout_secs = engine_timeout_secs
        self._textures: doom.Textures = textures
        self._engines: list[Engine] = []  # the first draws observations, the second the larger view
        self._obs = np.zeros((SCREEN, SCREEN, 3), np.uint8)
        self._apples = self._portals = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Image, dict[str, Any]]:
        """Starts an episode in a new maze. All randomness follows from the first seed."""
        super().reset(seed=seed)
        key = int(self.np_random.integers(2**63))
        rng = Random(f"{self.kind.maze_seed} {key}")
        self.maze = draw(self.kind, rng)
        text = doom.map_text(self.maze, rng, self._textures)
        self._apples = self._portals = 0
        with closed_if_lost(self.close):
            if not self._engines:
                self._start(text)
            for engine in self._engines:
                engine.new_episode(text, key)
            return self._observe(), self._info()

    def step(self, action: np.int64 | int) -> tuple[Image, float, bool, bool, dict[str, Any]]:
        """Steps the game by four tics; an episode has no terminal state."""
        if not 0 <= action < len(BUTTONS):
            raise EnvError(f"Action {action} does not exist: Labyrinth has the actions 0 to {len(BUTTONS) - 1}.")
        if not self._engines:
            raise EnvError("Labyrinth was stepped without an episode: call reset() first.")
        with closed_if_lost(self.close):
            reward, *_ = [engine.act(BUTTONS[action], TICS_PER_STEP) for engine in self._engines]
            portals, apples = divmod(int(reward), int(PORTAL_REWARD))
            self._portals += portals
            self._apples += apples
            return self._observe(), reward, False, False, self._info()

    def render(self) -> Screen | None:
        """Returns the larger view with the observation in its corner, (480, 640, 3); None without a `render_mode`."""
        if self.render_mode is None or len(self._engines) < 2:
            return None
        return with_inset(self._engines[1].screen(), self._obs, INSET)

    def close(self) -> None:
        """Ends the engines."""
        while self._engines:
            self._engines.pop().close()

    def _start(self, map_text: str) -> None:
        for resolution in ("RES_160X120", "RES_640X480")[: 1 if self.render_mode is None else 2]:
            self._engines.append(Engine(self.kind.size, map_text, resolution, self._timeout_secs))

    def _observe(self) -> Image:
        screen = self._engines[0].screen()
        self._obs = self._cv2.resize(screen, (SCREEN, SCREEN), interpolation=self._cv2.INTER_LINEAR)
        return self._obs

    def _info(self) -> dict[str, Any]:
        return {"apples": self._apples, "portals": self._portals}


def _installed_opencv() -> Any:
    try:
        import cv2
    except ImportError as e:
        raise ConfigError(f"Labyrinth needs OpenCV: install it with {LABYRINTH.install}.") from e
    return cv2
