"""Figures of what `metrics` computes. Each function takes frames and returns a Matplotlib figure.

`label` is the column whose values get a colour each, `panel` (say `env`) one whose values get a panel each. `against`
are the paper's own points, rows of `published.paper`; they are drawn in grey behind ours, in the same panel.
Save a figure with `figure.savefig("curves.png")`; a notebook shows it. Needs Matplotlib: `pip install 'a3crs[plot]'`.
"""

import io
from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl

from a3crs.errors import ConfigError
from a3crs.published.games import benchmark_game, title
from a3crs.runlog.labels import by_numbers
from a3crs.runlog.metrics import SHARES

try:
    import matplotlib as mpl
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter, FixedLocator, MaxNLocator, NullLocator, StrMethodFormatter
except ImportError as e:
    raise ConfigError("Figures need Matplotlib: pip install 'a3crs[plot]'.") from e

Frame = pl.DataFrame | pl.LazyFrame

# Okabe and Ito's colours, which the colour-blind tell apart as well; without the yellow, which is hard to see.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#5D3A9B", "#333333")
PAPER = "#8a8a8a"
DASHES = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)))
LEGEND_ROWS = 12
FLAT = 5  # where the paper's scores range over more than so many times ours, ours would look all alike beside them
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
AXES = {"frames": "frames", "steps": "steps of all actors", "hours": "hours"}
RETURN, SCORE = "mean episode return", "score (last 100 episodes)"


class Drawing(Figure):
    """A figure that a notebook shows where it is the last line of a cell."""

    def __init__(self, width: float, height: float) -> None:
        super().__init__(figsize=(width, height), dpi=150, layout="constrained")

    def draw(self, renderer: Any) -> None:
        """Matplotlib makes some ticks and grid lines only now; they are to look like the others."""
        with mpl.rc_context(STYLE):
            super().draw(renderer)

    def _repr_png_(self) -> bytes:
        image = io.BytesIO()
        self.savefig(image, format="png", dpi=100)
        return image.getvalue()


def learning_curves(
    curves: Frame, x: str = "frames", *, label: str = "run", panel: str | None = None, against: Frame | None = None
) -> Drawing:
    """Return over frames, steps or hours: figures 1, 3, 4, S6, S9 and S10.

    `curves` has the columns label, panel, x, episode_return and, for the shaded band, low and high: it is what
    `metrics.curves` gives, or `intervals.across_runs` of that. `against` are rows of `paper.curves`, in the same axis.
    """
    ours, theirs = _collected(curves), _collected(against)
    with mpl.rc_context(STYLE):
        figure, panels = _panels(ours, panel)
        colours = _colours(ours, label)
        for axes, rows, value in panels:
            end = float(rows[x].max() or 1)  # type: ignore[arg-type]
            for style, (name, curve) in zip(_dashes(), _curves_of(theirs, value), strict=False):
                points = _until(curve, end)  # what lies beyond would set the height of the panel
                axes.plot(
                    points["x"], points["score"], color=PAPER, linestyle=style, linewidth=1.2, label=name, zorder=1
                )
                if points["low"].null_count() == 0:
                    axes.fill_between(points["x"], points["low"], points["high"], color=PAPER, alpha=0.12, linewidth=0)
            for key, colour in colours.items():
                curve = rows.filter(pl.col(label).eq_missing(key)).sort(x)
                if curve.is_empty():
                    continue
                marker = "o" if curve.height == 1 else None  # a line of one point is not to be seen
                name = _text(key, label)
                axes.plot(curve[x], curve["episode_return"], marker=marker, color=colour, label=name, zorder=3)
                if "low" in curve.columns:
                    known = curve.drop_nulls(["low", "high"])
                    axes.fill_between(known[x], known["low"], known["high"], color=colour, alpha=0.18, linewidth=0)
            axes.set_xlim(0, end)
            axes.set_xlabel(AXES.get(x, x))
            axes.locator_params("x", nbins=5)  # hours of a short run have many digits
            axes.set_ylabel(RETURN)
            _short_numbers(axes, x=x != "hours")
        _legend(figure, [axes for axes, _, _ in panels])
    return figure


def learning_rates(
    scores: Frame, *, label: str = "algo", panel: str | None = None, against: Frame | None = None
) -> Drawing:
    """A point for each run, over its learning rate: figures 2 and S11.

    `scores` has the columns label, panel, lr and score; `against` are rows of `paper.learning_rates`.
    """
    ours, theirs = _collected(scores), _collected(against)
    with mpl.rc_context(STYLE):
        figure, panels = _panels(ours, panel)
        colours = _colours(ours, label)
        for axes, rows, value in panels:
            papers = _of_game(theirs, value)
            beside = _papers_axes(axes, rows, papers)
            for (algo,), points in papers.group_by("algo", maintain_order=True):
                name = f"paper: {algo}"
                beside.scatter(
                    points["lr"], points["score"], s=16, color=PAPER, alpha=0.5, linewidth=0, label=name, zorder=1
                )
            for key, colour in colours.items():
                points = rows.filter(pl.col(label).eq_missing(key))
                axes.scatter(
                    points["lr"],
                    points["score"],
                    s=26,
                    color=colour,
                    alpha=0.8,
                    linewidth=0,
                    label=_text(key, label),
                    zorder=3,
                )
            axes.set_xscale("log")
            axes.set_xlabel("learning rate")
            axes.set_ylabel(SCORE)
            _short_numbers(axes, x=False)
        _legend(figure, [axes for axes, _, _ in panels])
    return figure


def scaling(speed_up: Frame, *, label: str = "algo", against: Frame | None = None) -> Drawing:
    """How many times sooner so many actors reach a score than one: table 2.

    `speed_up` has the columns label, actors and speed_up, or no rows; `against` is `paper.table("2")` or part of it.
    """
    ours, theirs = _collected(speed_up), _collected(against)
    with mpl.rc_context(STYLE):
        figure = Drawing(7.6, 4.0)
        axes = figure.subplots()
        actors = sorted(set(ours["actors"]) | set(() if theirs is None else theirs["actors"]))
        axes.plot(actors, actors, color="#cccccc", linewidth=1, label="as many times as actors", zorder=0)
        if theirs is not None:
            for style, ((algo,), points) in zip(_dashes(), theirs.group_by("algo", maintain_order=True), strict=False):
                axes.plot(
                    points["actors"],
                    points["speed_up"],
                    color=PAPER,
                    linestyle=style,
                    linewidth=1.2,
                    label=f"paper: {algo}",
                )
        for key, colour in _colours(ours, label).items():
            points = ours.filter(pl.col(label).eq_missing(key)).sort("actors")
            axes.plot(points["actors"], points["speed_up"], "o-", color=colour, label=_text(key, label), zorder=3)
        axes.set_xscale("log", base=2)
        axes.set_yscale("log", base=2)
        axes.xaxis.set_major_locator(FixedLocator(actors))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(StrMethodFormatter("{x:g}"))
            axis.set_minor_locator(NullLocator())
        axes.set_xlabel("actors")
        axes.set_ylabel("speed-up over one actor")
        _legend(figure, [axes])
    return figure


def optimizers(
    ranked: Frame, *, label: str = "optimizer", panel: str | None = None, against: Frame | None = None
) -> Drawing:
    """The scores of many learning rates, best first: figure S5. Who is robust, stays high for longest.

    `ranked` has the columns label, panel, rank and score, as `metrics.ranked` gives them; `against` are rows of
    `paper.curves("S5")`.
    """
    ours, theirs = _collected(ranked), _collected(against)
    with mpl.rc_context(STYLE):
        figure, panels = _panels(ours, panel)
        colours = _colours(ours, label)
        for axes, rows, value in panels:
            beside = _papers_axes(axes, rows, _of_game(theirs, value))
            for style, (name, points) in zip(_dashes(), _curves_of(theirs, value), strict=False):
                beside.plot(
                    points["x"], points["score"], color=PAPER, linestyle=style, linewidth=1.2, label=name, zorder=1
                )
            for key, colour in colours.items():
                points = rows.filter(pl.col(label).eq_missing(key)).sort("rank")
                axes.plot(
                    points["rank"], points["score"], "o-", ms=3.5, color=colour, label=_text(key, label), zorder=3
                )
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
            axes.set_xlabel("runs, best first")
            axes.set_ylabel(SCORE)
            _short_numbers(axes, x=False)
        _legend(figure, [axes for axes, _, _ in panels])
    return figure


def returns(histogram: Frame, *, label: str = "run", panel: str | None = None) -> Drawing:
    """How often which episode return came about. `histogram`: label, panel and what `metrics.histogram` gives."""
    ours = _collected(histogram)
    with mpl.rc_context(STYLE):
        figure, panels = _panels(ours, panel)
        colours = _colours(ours, label)
        for axes, rows, _ in panels:
            for key, colour in colours.items():
                bars = rows.filter(pl.col(label).eq_missing(key)).sort("low")
                if bars.is_empty():
                    continue
                x, y = _outline(bars)
                axes.plot(x, y, color=colour, linewidth=1.3, label=_text(key, label))
                axes.fill_between(x, y, color=colour, alpha=0.3 if len(colours) == 1 else 0.1, linewidth=0)
            axes.set_ylim(bottom=0)
            axes.set_xlabel("episode return")
            axes.set_ylabel("% of episodes")
            axes.grid(axis="x", visible=False)
        _legend(figure, [axes for axes, _, _ in panels])
    return figure


def time_shares(shares: Frame, *, label: str = "run") -> Drawing:
    """Where the cores' time went, a bar a row. `shares`: label and what `metrics.time_shares` gives."""
    ours = _collected(shares)
    with mpl.rc_context(STYLE):
        figure = Drawing(7, 1.1 + 0.34 * ours.height)
        axes = figure.subplots()
        names = [_text(value, label) for value in ours[label]]
        start = pl.Series([0.0] * ours.height)
        for share, colour in zip(SHARES, (*COLOURS[:4], "#d9d9d9"), strict=True):
            width = ours[share].fill_null(0.0) * 100
            axes.barh(
                range(ours.height), width, left=start, height=0.7, color=colour, label=share.removeprefix("share_")
            )
            start = start + width
        axes.set_yticks(range(ours.height), names)
        axes.set_ylim(ours.height - 0.5, -0.5)
        axes.set_xlim(0, 100)
        axes.set_xlabel("% of the actors' time")
        axes.grid(axis="y", visible=False)
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=5, handlelength=1.0)
    return figure


def _until(curve: pl.DataFrame, end: float) -> pl.DataFrame:
    """The points up to x = end, where there is one in between two of the curve's."""
    inside, beyond = curve.filter(pl.col("x") <= end), curve.filter(pl.col("x") > end).head(1)
    if inside.is_empty() or beyond.is_empty():
        return inside
    last = inside.tail(1)
    share = (end - last["x"].item()) / (beyond["x"].item() - last["x"].item())
    values = ("x", "score", "low", "high")
    cut = last.with_columns(
        (pl.col(name) + share * (beyond[name].item() - pl.col(name)))
        for name in values
        if beyond[name].item() is not None
    )
    return pl.concat([inside, cut])


def _outline(bars: pl.DataFrame) -> tuple[list[float], list[float]]:
    """The line around the bars of a histogram, down to 0 where some are missing."""
    x: list[float] = [bars["low"][0]]
    y = [0.0]
    for low, high, share in bars.select("low", "high", pl.col("share") * 100).iter_rows():
        if low > x[-1] + 1e-9 * (high - low):
            x, y = [*x, x[-1], low], [*y, 0.0, 0.0]
        x, y = [*x, low, high], [*y, share, share]
    return [*x, x[-1]], [*y, 0.0]


def _collected(frame: Frame | None) -> Any:
    return frame.collect() if isinstance(frame, pl.LazyFrame) else frame


def _panels(rows: pl.DataFrame, panel: str | None) -> tuple[Drawing, list[tuple[Axes, pl.DataFrame, Any]]]:
    """The figure, and for each panel its axes, its rows and its value; at most three panels side by side."""
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


def _colours(rows: pl.DataFrame, label: str) -> dict[Any, Any]:
    """Numbers, and more names than there are colours, go from dark to light."""
    keys = sorted(rows[label].unique(), key=by_numbers)
    if len(keys) <= len(COLOURS) and not (rows[label].dtype.is_numeric() and len(keys) > 2):
        return dict(zip(keys, COLOURS, strict=False))
    scale = mpl.colormaps["viridis"].resampled(256)
    return {key: scale(0.88 * place / max(1, len(keys) - 1)) for place, key in enumerate(keys)}


def _text(value: Any, label: str) -> str:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        number = f"{value:g}"
        return (
            f"{number} {label if value != 1 else label.removesuffix('s')}" if label == "actors" else f"{label} {number}"
        )
    return "none" if value is None else str(value)


def _dashes() -> Iterator[Any]:
    while True:
        yield from DASHES


def _of_game(theirs: pl.DataFrame | None, value: Any) -> pl.DataFrame:
    """The paper's rows of the panel's game; all of them in the only panel, which has no value."""
    if theirs is None:
        return pl.DataFrame(schema={"algo": pl.String})
    return (
        theirs if value is None else theirs.filter(pl.col("game").eq_missing(benchmark_game(str(value)) or str(value)))
    )


def _papers_axes(axes: Axes, ours: pl.DataFrame, theirs: pl.DataFrame) -> Axes:
    """Where the paper's scores are drawn: in the panel, or where ours would look all alike beside them, over a scale of
    their own to the right."""
    if theirs.is_empty() or _span(theirs) <= FLAT * _span(ours):
        return axes
    beside = axes.twinx()
    beside.set_ylabel("the paper's score", color=PAPER)
    beside.tick_params(axis="y", colors=PAPER)
    beside.grid(visible=False)
    axes.set_zorder(beside.get_zorder() + 1)  # ours over the paper's
    axes.patch.set_visible(False)
    return beside


def _span(rows: pl.DataFrame) -> float:
    low, high = rows["score"].min(), rows["score"].max()
    return 0.0 if low is None else float(high - low)  # type: ignore[operator,arg-type]


def _curves_of(theirs: pl.DataFrame | None, value: Any) -> list[tuple[str, pl.DataFrame]]:
    """The paper's curves of the panel's game, each with its name: what tells it from the others."""
    rows = _of_game(theirs, value)
    if rows.is_empty():
        return []
    curves = rows.partition_by("figure", "game", "algo", "actors", "optimizer", maintain_order=True)
    return [(_paper_name(curve.row(0, named=True)), curve.sort("x")) for curve in curves]


def _paper_name(row: dict[str, Any]) -> str:
    threads = None if row["actors"] is None else f"{row['actors']} thread{'s' if row['actors'] > 1 else ''}"
    return "paper: " + ", ".join(part for part in (row["algo"], row["optimizer"], threads) if part is not None)


def _short_numbers(axes: Axes, *, x: bool) -> None:
    """10M rather than 1e7."""
    for axis in (axes.xaxis, axes.yaxis) if x else (axes.yaxis,):
        low, high = sorted(axis.get_view_interval())
        if max(abs(low), abs(high)) >= 10_000 or (axis is axes.xaxis and high >= 1000):
            axis.set_major_formatter(EngFormatter(sep=""))


def _legend(figure: Figure, every: Sequence[Axes]) -> None:
    """One for all panels, to the right; ours first, and no more rows than fit."""
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
