"""What a3crs's own environments on an engine have in common."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from a3crs.errors import ConfigError, EnvLostError

RENDERED = "rgb_array"

Image = NDArray[np.uint8]


def check_render_mode(render_mode: str | None) -> None:
    """ConfigError for another than the one there is."""
    if render_mode not in (None, RENDERED):
        raise ConfigError(f"render_mode is {render_mode!r}, but it must be {RENDERED!r} or None.")


def check_continuous(continuous: bool) -> None:
    """ConfigError for what is not true or false: `--env-kwargs continuous=no` brings a text."""
    if type(continuous) is not bool:
        raise ConfigError(f"continuous is {continuous!r}, but it must be true or false.")


def with_inset(screen: Image, seen: Image, times: int) -> Image:
    """A copy of a larger view with what the agent sees in its upper right corner, so many times enlarged."""
    shown, inset = screen.copy(), seen.repeat(times, axis=0).repeat(times, axis=1)
    shown[: inset.shape[0], -inset.shape[1] :] = inset
    return shown


@contextmanager
def closed_if_lost(close: Callable[[], None]) -> Iterator[None]:
    """Closes what is left when the engine's process has died or hangs."""
    try:
        yield
    except EnvLostError:
        close()
        raise
