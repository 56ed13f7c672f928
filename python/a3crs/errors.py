"""Exceptions that a3crs raises. Each message is one sentence: what was wrong, with which value, what to do.

They are defined here and imported by the Rust side, so `except a3crs.errors.ConfigError` catches both. An exception
raised by an environment is not wrapped: it reaches the caller unchanged, with a note on the actor and the step.
"""

import difflib
from collections.abc import Collection, Iterable


class A3crsError(Exception):
    """Base class of the failures that a3crs foresees; the message is meant for the user."""


class ConfigError(A3crsError, ValueError):
    """Error in a setting, a name or a file of settings; nothing has been started."""


class EnvError(A3crsError, RuntimeError):
    """Violation of the protocol by an environment (wrong shape, wrong type, an action it does not have)."""


class EnvLostError(EnvError):
    """Loss of an environment's process, which died or hung; the message fits after `because it`.

    Training starts another process.
    """


class CheckpointError(A3crsError, OSError):
    """Checkpoint that is missing, damaged, or of another network."""


class DamagedError(CheckpointError):
    """Checkpoint that is not as it was written: truncated, or with changed bytes."""


class RunError(A3crsError, RuntimeError):
    """Failure that stops a run (gradients that are not numbers, a dead actor, a full disk)."""


class DivergedError(RunError):
    """Divergence: the gradients are no longer numbers, and the run cannot learn any more with its settings."""


def listed(names: Collection[str]) -> str:
    """Returns `a`, `a and b` or `a, b and c`, sorted."""
    *most, last = sorted(names)
    return f"{', '.join(most)} and {last}" if most else last


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Returns ` (did you mean Pong or Pooyan?)`, to follow the wrong word; empty where no known word is similar."""
    by_lower = {name.lower(): name for name in known}
    near = [by_lower[key] for key in difflib.get_close_matches(word.lower(), by_lower, n=3, cutoff=0.7)]
    return f" (did you mean {' or '.join(near)}?)" if near else ""
