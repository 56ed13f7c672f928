"""Description of an environment for the network and the log, and the protocol that every environment implements."""

import json
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from a3crs.setting import Kind

if TYPE_CHECKING:  # NumPy is imported when a name is resolved
    import numpy as np
    from numpy.typing import NDArray

Observation: TypeAlias = "NDArray[np.uint8] | NDArray[np.float32]"


class Env(Protocol):
    """Part of Gymnasium's interface that actors use. One object belongs to one thread.

    `action` is an integer from 0 on where actions are `Discrete`, else a tuple of `Continuous.dims` unbounded numbers
    in the policy's coordinates. `reward` is raw: the learner scales and clips it. `info["episode"] = {"r": raw return,
    "l": agent steps}` appears exactly when a whole game has ended, in the `info` of the call that ended it.
    """

    def reset(self, *, seed: int | None = None) -> tuple[Observation, dict[str, Any]]: ...

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]: ...


class Mode(Enum):
    """Purpose of an environment: in training a lost life may end the episode, in evaluation games are whole."""

    TRAINING = "training"
    EVALUATION = "evaluation"


@dataclass(frozen=True)
class ImageObs:
    """Image observations: C-contiguous uint8 arrays of shape (channels, height, width)."""

    channels: int
    height: int
    width: int

    def to_json(self) -> dict[str, Any]:
        return {"kind": "image", "channels": self.channels, "height": self.height, "width": self.width}


@dataclass(frozen=True)
class VectorObs:
    """Vector observations: float32 arrays of shape (len,)."""

    len: int

    def to_json(self) -> dict[str, Any]:
        return {"kind": "vector", "len": self.len}


@dataclass(frozen=True)
class Discrete:
    """Action space of `n` actions, numbered from 0."""

    n: int

    def to_json(self) -> int:
        return self.n


@dataclass(frozen=True)
class Continuous:
    """Action space of vectors of `dims` numbers, each of which the environment may clip to [-1, 1]."""

    dims: int
    clipped: bool = False

    def to_json(self) -> dict[str, int]:
        return {"dims": self.dims}


@dataclass(frozen=True)
class EnvSpec:
    """Spaces of an environment, the frames in one agent step, and the facts that the core needs to step it."""

    name: str  # canonical, fit for a directory name: "MontezumaRevenge", "CartPole-v1"
    obs: ImageObs | VectorObs
    actions: Discrete | Continuous
    frames_per_step: int
    own_thread: bool = False  # the environment's thread computes the steps while the actor's waits
    own_process: bool = False  # the environment's process computes them
    reseed_steps: int = 0  # a new episode gets a new seed after so many steps since the last seed
    random_steps: bool = False  # steps draw random numbers, not only resets
    max_episode_steps: int | None = None  # Gymnasium's time limit; None where there is no limit
    game: str | None = None  # ALE's name of the game ("montezuma_revenge"); None where it is not an Atari game
    defaults: dict[str, Any] = field(default_factory=dict, hash=False)  # the domain's, by the settings' public names

    @property
    def kinds(self) -> frozenset[Kind]:
        """Kinds of environment on which the settings depend."""
        return frozenset(
            {
                Kind.GYMNASIUM if self.game is None else Kind.ATARI,
                Kind.IMAGES if isinstance(self.obs, ImageObs) else Kind.VECTORS,
            }
            | ({Kind.CONTINUOUS} if isinstance(self.actions, Continuous) else set())
            | ({Kind.CLIPPED} if isinstance(self.actions, Continuous) and self.actions.clipped else set())
        )

    def to_json(self) -> str:
        """Returns the JSON that the core reads."""
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
