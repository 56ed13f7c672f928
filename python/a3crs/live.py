"""Live display of something that goes on: a picture on a terminal, plain lines elsewhere, or nothing."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TextIO, TypeVar

if TYPE_CHECKING:  # rich is imported where a terminal is
    from rich.console import RenderableType

PLAIN_INTERVAL_SECS = 10.0

State = TypeVar("State", contravariant=True)


class View(Protocol[State]):
    """Appearance of a state."""

    def line(self, state: State) -> str:
        """Returns the state in one line."""
        ...

    def picture(self, state: State) -> "RenderableType":
        """Returns the state as rich draws it."""
        ...

    def is_last(self, state: State) -> bool:
        """Returns true where nothing is left to be done."""
        ...


class Display(Protocol[State]):
    """Display that is told of the state several times a second."""

    def show(self, state: State) -> None: ...


class Quiet:
    """Display that shows nothing."""

    def show(self, state: object) -> None:
        return


class Paced:
    """Display that shows a state at intervals, and the last one in any case."""

    def __init__(self, view: View[Any], interval_secs: float) -> None:
        self._view = view
        self._interval_secs = interval_secs
        self._next_secs = 0.0
        self._done = False

    def show(self, state: Any) -> None:
        """Draws the state when it is time to."""
        now, is_last = time.monotonic(), self._view.is_last(state)
        if (self._done and is_last) or (now < self._next_secs and not is_last):
            return
        self._next_secs, self._done = now + self._interval_secs, is_last
        self._draw(state)

    def _draw(self, state: Any) -> None:
        raise NotImplementedError


class Plain(Paced):
    """Display of one line every 10 seconds, for log files and pipes."""

    def __init__(self, view: View[Any], out: TextIO) -> None:
        super().__init__(view, PLAIN_INTERVAL_SECS)
        self._out = out

    def _draw(self, state: Any) -> None:
        print(self._view.line(state), file=self._out, flush=True)


class Drawn(Paced):
    """Display that redraws its picture in place."""

    def __init__(self, view: View[Any], live: Any, interval_secs: float = 0.0) -> None:
        super().__init__(view, interval_secs)
        self._live = live

    def _draw(self, state: Any) -> None:
        self._live.update(self._view.picture(state))


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
        yield Plain(view, sys.stderr)
    else:
        from rich.console import Console
        from rich.live import Live

        with Live(console=Console(stderr=True), refresh_per_second=4, transient=transient) as live:
            yield Drawn(view, live, interval_secs)
