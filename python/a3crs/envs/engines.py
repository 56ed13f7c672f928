"""Code shared by a3crs's environments on a game engine: checks of arguments, images and clean-up."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from a3crs.errors import ConfigError, EnvLostError

RENDERED = "rgb_array"

Image = NDArray[np.uint8]


def check_render_mode(render_mode: str | None) -> None:
    """Raises ConfigError for any mode but `rgb_array` and None."""
    if render_mode not in (None, RENDERED):
        raise ConfigError(f"render_mode is {render_mode!r}, but it must be {RENDERED!r} or None.")


def check_continuous(continuous: bool) -> None:
    """Raises ConfigError for anything but True and False: `--env-kwargs continuous=no` gives a text."""
    if type(continuous) is not bool:
        raise ConfigError(f"continuous is {continuous!r}, but it must be true or false.")


def with_inset(screen: Image, seen: Image, times: int) -> Image:
    """Returns a copy of `screen` with the observation `seen`, enlarged `times` times, in its upper right corner."""
    shown, inset = screen.copy(), seen.repeat(times, axis=0).repeat(times, axis=1)
    shown[: inset.shape[0], -inset.shape[1] :] = inset
    return shown


@contextmanager
def closed_if_lost(close: Callable[[], None]) -> Iterator[None]:
    """Calls `close` when the engine's process has died or hangs."""
    try:
        yield
    except EnvLostError:
        close()
        raise
