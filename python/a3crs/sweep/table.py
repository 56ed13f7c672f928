"""What a person sees while a sweep goes on: one table on a terminal, plain lines elsewhere, or nothing."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from a3crs.sweep.plan import Plan
from a3crs.sweep.trial import State, newest_row, state, total_steps
from a3crs.wording import number

if TYPE_CHECKING:  # rich is imported where a terminal is
    from rich.live import Live as RichLive

PLAIN_INTERVAL_SECS = 10.0
LIVE_INTERVAL_SECS = 1.0
BEST_DRAWS = 5


class Progress:
    """How far a sweep is, read from its trials' files; a trial that has ended is read once."""

    def __init__(self, plan: Plan, sweep: Path) -> None:
        self._plan = plan
        self._sweep = sweep
        self._ended: dict[Path, State] = {}
        self._scores: dict[Path, float | None] = {}
        self._began: tuple[float, float] | None = None  # when we looked first, and the share that was done then
        self._directories = [sweep / trial.name for trial in plan.trials]

    def headline(self, running: Sequence[Path]) -> str:
        """`3 done, 2 running, 0 failed, 15 waiting, ETA 0:04:10`."""
        shares = [self._share(path, path in running) for path in self._directories]
        states = list(self._ended.values())
        counts = {"done": states.count(State.DONE), "running": len(running), "failed": states.count(State.FAILED)}
        counts["waiting"] = len(self._directories) - len({*self._ended, *running})
        share, now = sum(shares) / len(shares), time.monotonic()
        began, share_then = self._began = self._began or (now, share)
        rate = (share - share_then) / (now - began) if now > began else 0.0
        eta = str(timedelta(seconds=round((1 - share) / rate))) if rate > 0 else "-"
        return ", ".join([f"{count} {word}" for word, count in counts.items()]) + f", ETA {eta}"

    def best_draws(self) -> list[tuple[str, dict[str, Any], float, int]]:
        """The best so far: group, what was drawn, mean score of the seeds that are done, and how many those are."""
        by_group: dict[str, list[float]] = {}
        for trial, path in zip(self._plan.trials, self._directories, strict=True):
            score = self._scores.get(path)
            if score is not None:
                by_group.setdefault(trial.group, []).append(score)
        drawn = {trial.group: trial.settings for trial in self._plan.trials}
        rows = [
            (group, {name: drawn[group][name] for name in self._plan.varied_names}, sum(of) / len(of), len(of))
            for group, of in by_group.items()
        ]
        return sorted(rows, key=lambda row: -row[2])[:BEST_DRAWS]

    def _share(self, path: Path, is_running: bool) -> float:
        """Of the trial's steps; 1 when it has ended, either way."""
        if path in self._ended:
            return 1.0
        now = State.OPEN if is_running else state(path)
        row = newest_row(path) if now is not State.FAILED else None
        if now is not State.OPEN:
            self._ended[path] = now
            self._scores[path] = row["return_mean_100"] if row else None
            return 1.0
        total = total_steps(path)
        return min(1.0, row["steps"] / total) if row and total else 0.0


class Table(Protocol):
    """Takes the trials that are running, several times a second."""

    def look(self, running: Sequence[Path]) -> None: ...


class Quiet:
    """Shows nothing."""

    def look(self, running: Sequence[Path]) -> None:
        return


class Plain:
    """One line every 10 seconds, for log files and pipes, and one when nothing runs any more."""

    def __init__(self, progress: Progress, out: TextIO) -> None:
        self._progress = progress
        self._out = out
        self._next_secs = 0.0

    def look(self, running: Sequence[Path]) -> None:
        """Writes a line when it is time for one."""
        now = time.monotonic()
        if now < self._next_secs and running:
            return
        self._next_secs = now + PLAIN_INTERVAL_SECS
        headline = self._progress.headline(running)  # first: it reads what the best is chosen from
        best = [f", best {group} {score:.1f}" for group, _, score, _ in self._progress.best_draws()[:1]]
        print("".join([headline, *best]), file=self._out, flush=True)


class Live:
    """The table of the best draws so far, redrawn in place every second."""

    def __init__(self, progress: Progress, live: "RichLive") -> None:
        self._progress = progress
        self._live = live
        self._next_secs = 0.0

    def look(self, running: Sequence[Path]) -> None:
        """Redraws."""
        from rich.console import Group
        from rich.table import Table as RichTable

        now = time.monotonic()
        if now < self._next_secs and running:
            return
        self._next_secs = now + LIVE_INTERVAL_SECS
        headline = self._progress.headline(running)  # first: it reads what the best are chosen from
        table = RichTable("draw", "drawn", "seeds", "score")
        for group, drawn, score, seeds in self._progress.best_draws():
            table.add_row(group.rpartition("draw")[2], spelled(drawn), str(seeds), number(score, ".1f"))
        self._live.update(Group(headline, table))


def spelled(drawn: dict[str, Any]) -> str:
    """`lr 0.00123, t_max 20`."""
    return ", ".join(
        f"{name} {value:.4g}" if type(value) is float else f"{name} {value}" for name, value in drawn.items()
    )


@contextmanager
def open_table(plan: Plan, sweep: Path, *, quiet: bool) -> Iterator[Table]:
    """The table that fits where standard error goes."""
    progress = Progress(plan, sweep)
    if quiet:
        yield Quiet()
    elif not sys.stderr.isatty():
        yield Plain(progress, sys.stderr)
    else:
        from rich.console import Console
        from rich.live import Live as RichLive

        with RichLive(console=Console(stderr=True), refresh_per_second=4, transient=True) as live:
            yield Live(progress, live)


def draw_lines(sweep: Path) -> list[str]:
    """All draws, the best first, as the command prints them at the end."""
    from a3crs.sweep.outcome import by_draw, results

    table = by_draw(results(sweep))
    rows = [("draw", "score", "seeds", "drawn")]
    for row in table.iter_rows(named=True):
        drawn = {name: value for name, value in row.items() if name not in ("draw", "score", "seeds")}
        rows.append((f"{row['draw']:03}", number(row["score"], ".1f"), str(row["seeds"]), spelled(drawn)))
    lines = [f"{draw:4}  {score:>9}  {seeds:>5}  {drawn}".rstrip() for draw, score, seeds, drawn in rows]
    return [*lines, f"draw the curves with: a3crs plot {sweep}"]
