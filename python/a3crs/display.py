"""Live display of a training run: figures and progress bar."""

from typing import TYPE_CHECKING, Any

from a3crs.config import RunConfig
from a3crs.wording import number

if TYPE_CHECKING:  # rich is imported only on a terminal
    from rich.console import Group
    from rich.progress import Progress

Row = dict[str, Any]  # a row of progress.jsonl


class RunView:
    """View of a run's progress: the share done, the remaining time and the figures of the last row."""

    def __init__(self, config: RunConfig) -> None:
        self._config = config
        self._bar: Progress | None = None

    def is_last(self, row: Row) -> bool:
        """Returns True for the row after the last step."""
        return bool(row["steps"] >= self._config.total_steps)

    def line(self, row: Row) -> str:
        """Returns the share done and the figures."""
        share = min(row["steps"] / self._config.total_steps, 1.0)  # segments in flight at the end may exceed the total
        parts = [f"{share:6.1%}", f"{row['frames']:,} frames"]
        return "  ".join(parts + [f"{name} {value}" for name, value in figures(row)])

    def picture(self, row: Row) -> "Group":
        """Returns a progress bar with the figures below it."""
        from rich.console import Group
        from rich.table import Table

        table = Table.grid(padding=(0, 2))
        cells = [cell for name, value in figures(row) for cell in (f"[dim]{name}[/]", value)]
        for start in range(0, len(cells), 4):
            table.add_row(*cells[start : start + 4])
        return Group(self.bar(row), table)

    def bar(self, row: Row) -> "Progress":
        """Returns the bar, updated to the row."""
        total = self._config.total_steps
        if self._bar is None:  # a resumed run starts at its steps, so that the estimate counts this session only
            self._bar = progress_bar()
            self._bar.add_task(f"{self._config.algo} {self._config.env}", total=total, completed=row["steps"])
        self._bar.update(self._bar.tasks[0].id, completed=min(row["steps"], total))
        return self._bar


def figures(row: Row) -> list[tuple[str, str]]:
    """Returns the displayed figures of a row, with their names."""
    frames_per_step = row["frames"] / row["steps"] if row["steps"] else 1.0
    shown = [
        ("frames/s", f"{row['steps_per_sec'] * frames_per_step:,.0f}"),
        ("return (100)", f"{number(row['return_mean_100'], '.1f')} (best {number(row['return_best_100'], '.1f')})"),
        ("episodes", f"{row['episodes']:,}"),
        ("entropy", number(row["entropy"], ".3f")),
        ("lr", f"{row['lr']:.2e}"),
        ("value loss", number(row["value_loss"], ".3g")),
        ("explained variance", number(row["explained_variance"], ".2f")),
        ("staleness", number(row["staleness"], ".1f")),
        ("refused updates", f"{row['refused_updates']:,}"),
    ]
    missing = {name for name in ("entropy", "explained variance") if row[name.replace(" ", "_")] is None}
    return [figure for figure in shown if figure[0] not in missing]  # Q methods have neither


def progress_bar() -> "Progress":
    """Returns a bar with the share done and the remaining time, without a task."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    # The estimate averages over minutes, because a game's speed depends on the agent's play.
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("ETA"))
    return Progress(*columns, TimeRemainingColumn(), speed_estimate_period=300)
