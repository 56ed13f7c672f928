"""Parts of the figures: style, panels, colours, legend, and the paper's curves behind ours."""

import io
from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl

from a3crs.errors import ConfigError
from a3crs.published.games import benchmark_game, title
from a3crs.runlog.labels import by_numbers

try:
    import matplotlib as mpl
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter
except ImportError as e:
    raise ConfigError("Figures need Matplotlib: pip install 'a3crs[plot]'.") from e

Frame = pl.DataFrame | pl.LazyFrame

# Okabe and Ito's colours, which colour-blind readers can distinguish, without the yellow, which is hard to see.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#5D3A9B", "#333333")
PAPER = "#8a8a8a"
DASHES = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)))
LEGEND_ROWS = 12
FLAT = 5  # above this ratio of the paper's range of scores to ours, our scores would look flat on the paper's axis
STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#666666",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.6,
}


class Drawing(Figure):
    """Figure that a notebook shows where it is the last line of a cell."""

    def __init__(self, width: float, height: float) -> None:
        super().__init__(figsize=(width, height), dpi=150, layout="constrained")

    def draw(self, renderer: Any) -> None:
        """Draws with the style: Matplotlib makes some ticks and grid lines only now."""
        with mpl.rc_context(STYLE):
            super().draw(renderer)

    def _repr_png_(self) -> bytes:
        image = io.BytesIO()
        self.savefig(image, format="png", dpi=100)
        return image.getvalue()


def collected(frame: Frame | None) -> Any:
    return frame.collect() if isinstance(frame, pl.LazyFrame) else frame


def panels_of(rows: pl.DataFrame, panel: str | None) -> tuple[Drawing, list[tuple[Axes, pl.DataFrame, Any]]]:
    """Returns the figure, and axes, rows and value of each panel; at most three panels are side by side."""
    if rows.is_empty():
        raise ConfigError("There is nothing to draw yet: no whole episode is in the logs of these runs.")
    values = [None] if panel is None else rows[panel].unique().sort().to_list()
    across = min(3, len(values))
    down = -(-len(values) // across)
    figure = Drawing(7.6 if across == 1 else 4.4 * across, 4.0 if down == 1 else 3.2 * down)
    every = list(figure.subplots(down, across, squeeze=False).flat)
    panels = []
    for axes, value in zip(every, values, strict=False):
        if value is not None:
            axes.set_title(title(str(value)))
        panels.append((axes, rows if panel is None else rows.filter(pl.col(panel) == value), value))
    for axes in every[len(values) :]:
        axes.set_visible(False)
    return figure, panels


def colours_of(rows: pl.DataFrame, label: str) -> dict[Any, Any]:
    """Returns a colour for each label: from dark to light for numbers, and for more names than there are colours."""
    keys = sorted(rows[label].unique(), key=by_numbers)
    if len(keys) <= len(COLOURS) and not (rows[label].dtype.is_numeric() and len(keys) > 2):
        return dict(zip(keys, COLOURS, strict=False))
    scale = mpl.colormaps["viridis"].resampled(256)
    return {key: scale(0.88 * place / max(1, len(keys) - 1)) for place, key in enumerate(keys)}


def name_of(value: Any, label: str) -> str:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        number = f"{value:g}"
        return (
            f"{number} {label if value != 1 else label.removesuffix('s')}" if label == "actors" else f"{label} {number}"
        )
    return "none" if value is None else str(value)


def dashes() -> Iterator[Any]:
    while True:
        yield from DASHES


def rows_of_game(theirs: pl.DataFrame | None, value: Any) -> pl.DataFrame:
    """Returns the paper's rows of the panel's game; all rows for a single panel, which has no value."""
    if theirs is None:
        return pl.DataFrame(schema={"algo": pl.String})
    return (
        theirs if value is None else theirs.filter(pl.col("game").eq_missing(benchmark_game(str(value)) or str(value)))
    )


def papers_axes(axes: Axes, ours: pl.DataFrame, theirs: pl.DataFrame) -> Axes:
    """Returns the axes for the paper's scores: the panel's, or a second one on the right where ours would look flat."""
    if theirs.is_empty() or _span(theirs) <= FLAT * _span(ours):
        return axes
    beside = axes.twinx()
    beside.set_ylabel("the paper's score", color=PAPER)
    beside.tick_params(axis="y", colors=PAPER)
    beside.grid(visible=False)
    axes.set_zorder(beside.get_zorder() + 1)  # draws ours over the paper's
    axes.patch.set_visible(False)
    return beside


def _span(rows: pl.DataFrame) -> float:
    low, high = rows["score"].min(), rows["score"].max()
    return 0.0 if low is None else float(high - low)  # type: ignore[operator,arg-type]


def papers_curves(theirs: pl.DataFrame | None, value: Any) -> list[tuple[str, pl.DataFrame]]:
    """Returns the paper's curves of the panel's game, each with a name that distinguishes it from the others."""
    rows = rows_of_game(theirs, value)
    if rows.is_empty():
        return []
    curves = rows.partition_by("figure", "game", "algo", "actors", "optimizer", maintain_order=True)
    return [(_paper_name(curve.row(0, named=True)), curve.sort("x")) for curve in curves]


def _paper_name(row: dict[str, Any]) -> str:
    threads = None if row["actors"] is None else f"{row['actors']} thread{'s' if row['actors'] > 1 else ''}"
    return "paper: " + ", ".join(part for part in (row["algo"], row["optimizer"], threads) if part is not None)


def shorten_numbers(axes: Axes, *, x: bool) -> None:
    """Formats large numbers as 10M instead of 1e7."""
    for axis in (axes.xaxis, axes.yaxis) if x else (axes.yaxis,):
        low, high = sorted(axis.get_view_interval())
        if max(abs(low), abs(high)) >= 10_000 or (axis is axes.xaxis and high >= 1000):
            axis.set_major_formatter(EngFormatter(sep=""))


def add_legend(figure: Figure, every: Sequence[Axes]) -> None:
    """Adds one legend for all panels, on the right: ours first, and no more rows than fit."""
    entries = {
        name: handle for axes in figure.axes for handle, name in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    ordered = sorted(entries, key=lambda name: (name.startswith("paper: "), by_numbers(name)))
    if len(ordered) < 2 and not any(name.startswith("paper: ") for name in ordered):
        for axes in every:
            axes.set_title(" · ".join(filter(None, [axes.get_title(), *ordered])))
        return
    rows = max(LEGEND_ROWS, len(every) * 3)
    shown = ordered if len(ordered) <= rows else [ordered[i * (len(ordered) - 1) // (rows - 1)] for i in range(rows)]
    heading = None if len(shown) == len(ordered) else f"{len(shown)} of {len(ordered)}"
    figure.legend([entries[name] for name in shown], shown, loc="outside right center", title=heading)
