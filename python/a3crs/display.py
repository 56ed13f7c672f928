"""Progress display of a training run: a live panel on a terminal, plain lines elsewhere, or nothing."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from a3crs.config import TrainConfig
from a3crs.wording import number

if TYPE_CHECKING:  # rich is imported where a terminal is
    from rich.live import Live as RichLive
    from rich.progress import Progress

PLAIN_INTERVAL_SECS = 10.0

Row = dict[str, Any]  # a row of progress.jsonl


class Display(Protocol):
    """Takes a row about 4 times a second."""

    def show(self, row: Row) -> None: ...


class Quiet:
    """Shows nothing."""

    def show(self, row: Row) -> None:
        return


class Plain:
    """One line every 10 seconds, for log files and pipes."""

    def __init__(self, config: TrainConfig, out: TextIO) -> None:
        self._config = config
        self._out = out
        self._next_secs = 0.0
        self._done = False

    def show(self, row: Row) -> None:
        """Writes a line when it is time for one, and one when the run is done."""
        now, done = time.monotonic(), row["steps"] >= self._config.total_steps
        if self._done or (now < self._next_secs and not done):
            return
        self._next_secs, self._done = now + PLAIN_INTERVAL_SECS, done
        share = min(row["steps"] / self._config.total_steps, 1.0)  # the segments in flight still end
        parts = [f"{share:6.1%}", f"{row['frames']:,} frames"]
        print("  ".join(parts + [f"{name} {value}" for name, value in figures(row)]), file=self._out, flush=True)


class Live:
    """A progress bar with the remaining time, and the figures below it, redrawn in place."""

    def __init__(self, config: TrainConfig, live: "RichLive", bar: "Progress") -> None:
        self._config = config
        self._live = live
        self._bar = bar

    def show(self, row: Row) -> None:
        """Redraws."""
        from rich.console import Group
        from rich.table import Table

        total = self._config.total_steps
        if not self._bar.tasks:  # a resumed run starts where it was: its past says nothing about our speed
            self._bar.add_task(f"{self._config.algo} {self._config.env}", total=total, completed=row["steps"])
        self._bar.update(self._bar.tasks[0].id, completed=min(row["steps"], total))
        table = Table.grid(padding=(0, 2))
        cells = [cell for name, value in figures(row) for cell in (f"[dim]{name}[/]", value)]
        for start in range(0, len(cells), 4):
            table.add_row(*cells[start : start + 4])
        self._live.update(Group(self._bar, table))


def figures(row: Row) -> list[tuple[str, str]]:
    """Returns the figures shown of a row, with their names."""
    frames_per_step = row["frames"] / row["steps"] if row["steps"] else 1.0
    shown = [
        ("frames/s", f"{row['steps_per_sec'] * frames_per_step:,.0f}"),
        ("return (100)", f"{number(row['return_mean_100'], '.1f')} (best {number(row['return_best_100'], '.1f')})"),
        ("episodes", f"{row['episodes']:,}"),
        ("entropy", number(row["entropy"], ".3f")),
        ("lr", f"{row['lr']:.2e}"),
        ("value loss", number(row["value_loss"], ".3g")),
        ("staleness", number(row["staleness"], ".1f")),
        ("refused updates", f"{row['refused_updates']:,}"),
    ]
    return [figure for figure in shown if row["entropy"] is not None or figure[0] != "entropy"]  # a Q method has none


@contextmanager
def open_display(config: TrainConfig, *, quiet: bool) -> Iterator[Display]:
    """Opens the display that fits standard error: a terminal, or a file or pipe."""
    if quiet:
        yield Quiet()
    elif not sys.stderr.isatty():
        yield Plain(config, sys.stderr)
    else:
        from rich.console import Console
        from rich.live import Live as RichLive

        bar = progress_bar()
        with RichLive(bar, console=Console(stderr=True), refresh_per_second=4) as live:
            yield Live(config, live, bar)


def progress_bar() -> "Progress":
    """Returns a bar with the share done and the remaining time, without a task yet."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    # The remaining time is taken over minutes, because a game's speed depends on what the agent makes of it.
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("ETA"))
    return Progress(*columns, TimeRemainingColumn(), speed_estimate_period=300)
