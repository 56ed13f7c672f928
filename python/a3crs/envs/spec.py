"""What the network and the log need to know about an environment, and the protocol every environment speaks."""

import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from a3crs.errors import EnvError
from a3crs.setting import Kind

if TYPE_CHECKING:  # Gymnasium is imported when a name is resolved
    from a3crs.envs.play import PlayEnv

Observation = NDArray[np.uint8] | NDArray[np.float32]


class Env(Protocol):
    """The part of the Gymnasium interface that actors use. One object belongs to one thread.

    `action` is a number from 0 on where actions are `Discrete`, else a tuple of `Continuous.dims` unbounded numbers, in
    the policy's coordinates. `reward` is raw: scaling and clipping is the learner's business. `info["episode"] = {"r":
    raw return, "l": agent steps}` appears exactly when a whole game has ended, in the `info` of the call that ended it.
    """

    def reset(self, *, seed: int | None = None) -> tuple[Observation, dict[str, Any]]: ...

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]: ...


class Mode(Enum):
    """Training may cut a game into shorter episodes (a lost life is terminal); evaluation plays whole games."""

    TRAINING = "training"
    EVALUATION = "evaluation"


@dataclass(frozen=True)
class ImageObs:
    """Observations are C-contiguous uint8 arrays of shape (channels, height, width)."""

    channels: int
    height: int
    width: int

    def to_json(self) -> dict[str, Any]:
        return {"kind": "image", "channels": self.channels, "height": self.height, "width": self.width}


@dataclass(frozen=True)
class VectorObs:
    """Observations are float32 vectors of shape (len,)."""

    len: int

    def to_json(self) -> dict[str, Any]:
        return {"kind": "vector", "len": self.len}


@dataclass(frozen=True)
class Discrete:
    """The agent chooses one of `n` actions, which are numbered from 0."""

    n: int

    def to_json(self) -> int:
        return self.n


@dataclass(frozen=True)
class Continuous:
    """The agent's action is a vector of `dims` numbers, of which the environment may clip each to [-1, 1]."""

    dims: int
    clipped: bool = False

    def to_json(self) -> dict[str, int]:
        return {"dims": self.dims}


@dataclass(frozen=True)
class EnvSpec:
    """The shape of an environment: what goes in, what comes out, and how many frames one agent step is."""

    name: str  # canonical, fit for a directory name: "MontezumaRevenge", "CartPole-v1"
    obs: ImageObs | VectorObs
    actions: Discrete | Continuous
    frames_per_step: int
    own_thread: bool = False  # steps are computed by a thread that the environment has started, while the actor's waits
    own_process: bool = False  # the same of a process
    reseed_steps: int = 0  # a new episode gets a new seed once so many steps were taken since the last
    random_steps: bool = False  # whether steps draw random numbers, or the starts of episodes alone
    max_episode_steps: int | None = None  # Gymnasium's time limit; None where an episode has no longest length
    more_kinds: frozenset[Kind] = frozenset()  # what else it is, which its spaces do not tell
    game: str | None = None  # ALE's name of the game ("montezuma_revenge"); None where it is not an Atari game

    @property
    def kinds(self) -> frozenset[Kind]:
        """What settings depend on."""
        return frozenset(
            {
                Kind.GYMNASIUM if self.game is None else Kind.ATARI,
                Kind.IMAGES if isinstance(self.obs, ImageObs) else Kind.VECTORS,
            }
            | self.more_kinds
            | ({Kind.CONTINUOUS} if isinstance(self.actions, Continuous) else set())
            | ({Kind.CLIPPED} if isinstance(self.actions, Continuous) and self.actions.clipped else set())
        )

    def to_json(self) -> str:
        """The JSON that the core reads."""
        return json.dumps(
            {
                "obs": self.obs.to_json(),
                "actions": self.actions.to_json(),
                "frames_per_step": self.frames_per_step,
                "own_thread": self.own_thread,
                "own_process": self.own_process,
                "max_episode_steps": self.max_episode_steps,
                "reseed_steps": self.reseed_steps,
                "random_steps": self.random_steps,
            }
        )


class Restarts:
    """Counts the environments that were started again, says so on standard error, and in a log where there is one."""

    def __init__(self) -> None:
        self._of_actor: Counter[int] = Counter()
        self.log: Path | None = None
        self._lock = threading.Lock()

    @property
    def count(self) -> int:
        """Of all actors."""
        return self._of_actor.total()

    def add(self, actor: int, reason: str, most: int) -> None:
        """One more of this actor's; EnvError where it would have more than `most`."""
        with self._lock:
            if self._of_actor[actor] >= most:
                raise EnvError(
                    f"The environment of actor {actor} has no restarts left, and it {reason}: mend the environment, or "
                    "allow more with --set env_restarts=N."
                )
            self._of_actor[actor] += 1
            row = {"time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "actor": actor, "reason": reason}
            if self.log is not None:
                with self.log.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
        print(f"a3crs: the environment of actor {actor} is restarted because it {reason}.", file=sys.stderr)


@dataclass(frozen=True)
class EnvFamily:
    """A spec together with the way to make one environment per actor; `make(actor)` runs on the actor's own thread.

    `own_action` turns an agent's action into the environment's own. `play(rendered)` makes an environment to be stepped
    by hand, in this thread; ConfigError where it shall be rendered and cannot.
    """

    spec: EnvSpec
    make: Callable[[int], Env]
    own_action: Callable[[Any], Any]
    play: Callable[[bool], "PlayEnv"]
    restarts: Restarts = field(default_factory=Restarts)
