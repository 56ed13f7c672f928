"""Live display of a sweep, and its table at the end."""

import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from a3crs.sweep.plan import Plan
from a3crs.sweep.trial import State, newest_row, state, total_steps
from a3crs.wording import number

if TYPE_CHECKING:  # rich is imported only on a terminal
    from rich.console import Group

REDRAWN_SECS = 1.0
BEST_DRAWS = 5


class Progress:
    """Progress of a sweep, read from its trials' files; a trial that has ended is read once."""

    def __init__(self, plan: Plan, sweep: Path) -> None:
        self._plan = plan
        self._sweep = sweep
        self._ended: dict[Path, State] = {}
        self._scores: dict[Path, float | None] = {}
        self._began: tuple[float, float] | None = None  # time of the first call, and the share done then
        self._directories = [sweep / trial.name for trial in plan.trials]

    def headline(self, running: Sequence[Path]) -> str:
        """Returns `3 done, 2 running, 0 failed, 15 waiting, ETA 0:04:10`."""
        shares = [self._share(path, path in running) for path in self._directories]
        states = list(self._ended.values())
        counts = {"done": states.count(State.DONE), "running": len(running), "failed": states.count(State.FAILED)}
        counts["waiting"] = len(self._directories) - len({*self._ended, *running})
        share, now = sum(shares) / len(shares), time.monotonic()
        began, share_then = self._began = self._began or (now, share)
        rate = (share - share_then) / (now - began) if now > began else 0.0
        eta = str(timedelta(seconds=round((1 - share) / rate))) if rate > 0 else "-"
        return ", ".join([f"{count} {word}" for word, count in counts.items()]) + f", ETA {eta}"

    def is_over(self) -> bool:
        """Returns True where every trial has ended; none may be running."""
        for path in self._directories:
            self._share(path, is_running=False)
        return len(self._ended) == len(self._directories)

    def best_draws(self) -> list[tuple[str, dict[str, Any], float, int]]:
        """Returns the best draws so far: group, drawn settings, mean score of the finished seeds, and their number."""
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
        """Returns the share of the trial's steps that is done; 1 for a trial that is done or failed."""
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


class SweepView:
    """View of a sweep's progress: the counts, and the best draws so far."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def is_last(self, running: Sequence[Path]) -> bool:
        """Returns True where no trial is running or waiting."""
        return not running and self._progress.is_over()

    def line(self, running: Sequence[Path]) -> str:
        """Returns the counts and the best draw."""
        headline = self._progress.headline(running)  # first, because it reads the scores of the draws
        best = [f", best {group} {score:.1f}" for group, _, score, _ in self._progress.best_draws()[:1]]
        return "".join([headline, *best])

    def picture(self, running: Sequence[Path]) -> "Group":
        """Returns the counts above a table of the best draws."""
        from rich.console import Group
        from rich.table import Table

        headline = self._progress.headline(running)  # first, because it reads the scores of the draws
        table = Table("draw", "drawn", "seeds", "score")
        for group, drawn, score, seeds in self._progress.best_draws():
            table.add_row(group.rpartition("draw")[2], spelled(drawn), str(seeds), number(score, ".1f"))
        return Group(headline, table)


def spelled(drawn: dict[str, Any]) -> str:
    """Returns `lr 0.00123, t_max 20`."""
    return ", ".join(
        f"{name} {value:.4g}" if type(value) is float else f"{name} {value}" for name, value in drawn.items()
    )


def draw_lines(sweep: Path) -> list[str]:
    """Returns the table of all draws, the best first, which the command prints at the end."""
    from a3crs.sweep.outcome import by_draw, results

    table = by_draw(results(sweep))
    rows = [("draw", "score", "seeds", "drawn")]
    for row in table.iter_rows(named=True):
        drawn = {name: value for name, value in row.items() if name not in ("draw", "score", "seeds")}
        rows.append((f"{row['draw']:03}", number(row["score"], ".1f"), str(row["seeds"]), spelled(drawn)))
    lines = [f"{draw:4}  {score:>9}  {seeds:>5}  {drawn}".rstrip() for draw, score, seeds, drawn in rows]
    return [*lines, f"draw the curves with: a3crs plot {sweep}"]
