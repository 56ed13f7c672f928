"""The exceptions a3crs raises. Each message is one sentence: what was wrong, with which value, what to do.

They are defined here and imported by the Rust side, so `except a3crs.errors.ConfigError` catches both. An exception
raised by an environment is not wrapped: it reaches the caller as itself, with a note naming the actor and the step.
"""

import difflib
from collections.abc import Collection, Iterable


class A3crsError(Exception):
    """Any failure a3crs foresaw; the message is meant for the person at the keyboard."""


class ConfigError(A3crsError, ValueError):
    """A setting, a name or a file of settings is wrong; nothing has been started."""


class EnvError(A3crsError, RuntimeError):
    """An environment broke the protocol (wrong shape, wrong type, an action it does not have)."""


class EnvLostError(EnvError):
    """A process of an environment's own died or hung; the message follows `because it`. In training another is
    started."""


class CheckpointError(A3crsError, OSError):
    """A checkpoint is missing, damaged, or belongs to another network."""


class DamagedError(CheckpointError):
    """A checkpoint is not as it was written: cut off, or some of its bytes are others."""


class RunError(A3crsError, RuntimeError):
    """A run could not go on (gradients that are not numbers, a dead actor, a full disk)."""


class DivergedError(RunError):
    """The gradients are no longer numbers: the run cannot learn any more as it was set up."""


def listed(names: Collection[str]) -> str:
    """`a`, `a and b`, `a, b and c`; sorted."""
    *most, last = sorted(names)
    return f"{', '.join(most)} and {last}" if most else last


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """` (did you mean Pong or Pooyan?)`, ready to follow the wrong word in a sentence; empty where nothing is near."""
    by_lower = {name.lower(): name for name in known}
    near = [by_lower[key] for key in difflib.get_close_matches(word.lower(), by_lower, n=3, cutoff=0.7)]
    return f" (did you mean {' or '.join(near)}?)" if near else ""
