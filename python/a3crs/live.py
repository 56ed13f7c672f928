"""Live display of a changing state: a picture on a terminal, plain lines elsewhere, or nothing."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TextIO, TypeVar

if TYPE_CHECKING:  # rich is imported only on a terminal
    from rich.console import RenderableType

PLAIN_INTERVAL_SECS = 10.0

State = TypeVar("State", contravariant=True)


class View(Protocol[State]):
    """Presentation of a state, as a line or a picture."""

    def line(self, state: State) -> str:
        """Returns the state in one line."""
        ...

    def picture(self, state: State) -> "RenderableType":
        """Returns the state as a rich renderable."""
        ...

    def is_last(self, state: State) -> bool:
        """Returns True for a final state."""
        ...


class Display(Protocol[State]):
    """Display that gets the state several times a second."""

    def show(self, state: State) -> None: ...


class Quiet:
    """Display that shows nothing."""

    def show(self, state: object) -> None:
        return


class Paced:
    """Display that draws a state at intervals, and always draws the last one."""

    def __init__(self, view: View[Any], draw: Callable[[Any], object], interval_secs: float) -> None:
        self._view = view
        self._draw = draw
        self._interval_secs = interval_secs
        self._next_secs = 0.0
        self._done = False

    def show(self, state: Any) -> None:
        """Draws the state if the interval has passed or the state is the last."""
        now, is_last = time.monotonic(), self._view.is_last(state)
        if (self._done and is_last) or (now < self._next_secs and not is_last):
            return
        self._next_secs, self._done = now + self._interval_secs, is_last
        self._draw(state)


def plain(view: View[Any], out: TextIO) -> Paced:
    """Returns a display of one line every 10 seconds, for log files and pipes."""
    return Paced(view, lambda state: print(view.line(state), file=out, flush=True), PLAIN_INTERVAL_SECS)


def redrawn(view: View[Any], live: Any, interval_secs: float = 0.0) -> Paced:
    """Returns a display that redraws its picture in place, in a `rich.live.Live`."""
    return Paced(view, lambda state: live.update(view.picture(state)), interval_secs)


@contextmanager
def open_display(
    view: View[State], *, quiet: bool, interval_secs: float = 0.0, transient: bool = False
) -> Iterator[Display[State]]:
    """Opens the display that fits standard error: a terminal, or a file or pipe.

    On a terminal the picture is redrawn every `interval_secs`, and removed at the end where it is `transient`.
    """
    if quiet:
        yield Quiet()
    elif not sys.stderr.isatty():
        yield plain(view, sys.stderr)
    else:
        from rich.console import Console
        from rich.live import Live

        with Live(console=Console(stderr=True), refresh_per_second=4, transient=transient) as live:
            yield redrawn(view, live, interval_secs)
