"""What the network and the log need to know about an environment, and the protocol every environment speaks."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Observation = NDArray[np.uint8] | NDArray[np.float32]


class Env(Protocol):
    """The part of the Gymnasium interface that actors use. One object belongs to one thread.

    `reward` is raw: clipping is the learner's business. `info["episode"] = {"r": raw return, "l": agent steps}` appears
    exactly when a whole game has ended, in the `info` of the call that ended it.
    """

    def reset(self, *, seed: int | None = None) -> tuple[Observation, dict[str, Any]]: ...

    def step(self, action: int) -> tuple[Observation, float, bool, bool, dict[str, Any]]: ...


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
class EnvSpec:
    """The shape of an environment: what goes in, what comes out, and how many frames one agent step is."""

    name: str  # canonical, fit for a directory name: "MontezumaRevenge", "CartPole-v1"
    obs: ImageObs | VectorObs
    num_actions: int
    frames_per_step: int
    own_thread: bool = False  # steps are computed by a thread that the environment has started, while the actor's waits
    game: str | None = None  # ALE's name of the game ("montezuma_revenge"); None where it is not an Atari game

    def to_json(self) -> str:
        """The JSON that the core reads."""
        return json.dumps(
            {
                "obs": self.obs.to_json(),
                "num_actions": self.num_actions,
                "frames_per_step": self.frames_per_step,
                "own_thread": self.own_thread,
            }
        )


@dataclass(frozen=True)
class EnvFamily:
    """A spec together with the way to make one environment per actor; `make(actor)` runs on the actor's own thread."""

    spec: EnvSpec
    make: Callable[[int], Env]
