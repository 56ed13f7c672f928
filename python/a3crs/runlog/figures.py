"""Figures of what `metrics` computes. Each function takes frames and returns a Matplotlib figure.

Each value of the column `label` gets a colour, each value of the column `panel` (such as `env`) a panel. `against`
are the paper's own points, rows of `published.paper`; they are drawn in grey behind ours, in the same panel.
Save a figure with `figure.savefig("curves.png")`; a notebook shows it. Needs Matplotlib: `pip install 'a3crs[plot]'`.
"""

import polars as pl

from a3crs.runlog.curves import until
from a3crs.runlog.drawing import (
    COLOURS,
    PAPER,
    STYLE,
    Drawing,
    Frame,
    add_legend,
    collected,
    colours_of,
    dashes,
    name_of,
    panels_of,
    papers_axes,
    papers_curves,
    rows_of_game,
    shorten_numbers,
)
from a3crs.runlog.labels import MEASURES
from a3crs.runlog.metrics import SHARES

import matplotlib as mpl  # isort: skip  # only after drawing, which reports a missing Matplotlib
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator, StrMethodFormatter  # isort: skip

AXES = {"frames": "frames", "steps": "steps of all actors", "hours": "hours"}
RETURN, SCORE = "mean episode return", "score (last 100 episodes)"


def learning_curves(
    curves: Frame, x: str = "frames", *, label: str = "run", panel: str | None = None, against: Frame | None = None
) -> Drawing:
    """Draws return over frames, steps or hours: figures 1, 3, 4, S6, S9 and S10.

    `curves` has the columns label, panel, x, episode_return and, for the shaded band, low and high, as returned by
    `metrics.curves`, or by `intervals.across_runs` for it. `against` are rows of `paper.curves`, on the same axis.
    """
    ours, theirs = collected(curves), collected(against)
    with mpl.rc_context(STYLE):
        figure, panels = panels_of(ours, panel)
        colours = colours_of(ours, label)
        for axes, rows, value in panels:
            end = float(rows[x].max() or 1)  # type: ignore[arg-type]
            for style, (name, curve) in zip(dashes(), papers_curves(theirs, value), strict=False):
                points = until(curve, end)  # points beyond would stretch the panel's height
                axes.plot(
                    points["x"], points["score"], color=PAPER, linestyle=style, linewidth=1.2, label=name, zorder=1
                )
                if points["low"].null_count() == 0:
                    axes.fill_between(points["x"], points["low"], points["high"], color=PAPER, alpha=0.12, linewidth=0)
            for key, colour in colours.items():
                curve = rows.filter(pl.col(label).eq_missing(key)).sort(x)
                if curve.is_empty():
                    continue
                marker = "o" if curve.height == 1 else None  # a line of one point is invisible
                name = name_of(key, label)
                axes.plot(curve[x], curve["episode_return"], marker=marker, color=colour, label=name, zorder=3)
                if "low" in curve.columns:
                    known = curve.drop_nulls(["low", "high"])
                    axes.fill_between(known[x], known["low"], known["high"], color=colour, alpha=0.18, linewidth=0)
            axes.set_xlim(0, end)
            axes.set_xlabel(AXES.get(x, x))
            axes.locator_params("x", nbins=5)  # hours of a short run have many digits
            axes.set_ylabel(RETURN)
            shorten_numbers(axes, x=x != "hours")
        add_legend(figure, [axes for axes, _, _ in panels])
    return figure


def learning_rates(
    scores: Frame, *, label: str = "algo", panel: str | None = None, against: Frame | None = None
) -> Drawing:
    """Draws a point for each run, over its learning rate: figures 2 and S11.

    `scores` has the columns label, panel, lr and score; `against` are rows of `paper.learning_rates`.
    """
    ours, theirs = collected(scores), collected(against)
    with mpl.rc_context(STYLE):
        figure, panels = panels_of(ours, panel)
        colours = colours_of(ours, label)
        for axes, rows, value in panels:
            papers = rows_of_game(theirs, value)
            beside = papers_axes(axes, rows, papers)
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
                    label=name_of(key, label),
                    zorder=3,
                )
            axes.set_xscale("log")
            axes.set_xlabel("learning rate")
            axes.set_ylabel(SCORE)
            shorten_numbers(axes, x=False)
        add_legend(figure, [axes for axes, _, _ in panels])
    return figure


def scaling(speed_up: Frame, *, label: str = "algo", against: Frame | None = None) -> Drawing:
    """Draws the speed-up over one actor until a score is reached, by number of actors: table 2.

    `speed_up` has the columns label, actors and speed_up, or no rows; `against` is `paper.table("2")` or part of it.
    """
    ours, theirs = collected(speed_up), collected(against)
    with mpl.rc_context(STYLE):
        figure = Drawing(7.6, 4.0)
        axes = figure.subplots()
        actors = sorted(set(ours["actors"]) | set(() if theirs is None else theirs["actors"]))
        axes.plot(actors, actors, color="#cccccc", linewidth=1, label="as many times as actors", zorder=0)
        if theirs is not None:
            for style, ((algo,), points) in zip(dashes(), theirs.group_by("algo", maintain_order=True), strict=False):
                axes.plot(
                    points["actors"],
                    points["speed_up"],
                    color=PAPER,
                    linestyle=style,
                    linewidth=1.2,
                    label=f"paper: {algo}",
                )
        for key, colour in colours_of(ours, label).items():
            points = ours.filter(pl.col(label).eq_missing(key)).sort("actors")
            axes.plot(points["actors"], points["speed_up"], "o-", color=colour, label=name_of(key, label), zorder=3)
        axes.set_xscale("log", base=2)
        axes.set_yscale("log", base=2)
        axes.xaxis.set_major_locator(FixedLocator(actors))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(StrMethodFormatter("{x:g}"))
            axis.set_minor_locator(NullLocator())
        axes.set_xlabel("actors")
        axes.set_ylabel("speed-up over one actor")
        add_legend(figure, [axes])
    return figure


def optimizers(
    ranked: Frame, *, label: str = "optimizer", panel: str | None = None, against: Frame | None = None
) -> Drawing:
    """Draws the scores of many learning rates, best first: figure S5. The curve of a robust method stays high.

    `ranked` has the columns label, panel, rank and score, as returned by `metrics.ranked`; `against` are rows of
    `paper.curves("S5")`.
    """
    ours, theirs = collected(ranked), collected(against)
    with mpl.rc_context(STYLE):
        figure, panels = panels_of(ours, panel)
        colours = colours_of(ours, label)
        for axes, rows, value in panels:
            beside = papers_axes(axes, rows, rows_of_game(theirs, value))
            for style, (name, points) in zip(dashes(), papers_curves(theirs, value), strict=False):
                beside.plot(
                    points["x"], points["score"], color=PAPER, linestyle=style, linewidth=1.2, label=name, zorder=1
                )
            for key, colour in colours.items():
                points = rows.filter(pl.col(label).eq_missing(key)).sort("rank")
                axes.plot(
                    points["rank"], points["score"], "o-", ms=3.5, color=colour, label=name_of(key, label), zorder=3
                )
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
            axes.set_xlabel("runs, best first")
            axes.set_ylabel(SCORE)
            shorten_numbers(axes, x=False)
        add_legend(figure, [axes for axes, _, _ in panels])
    return figure


def measures(measured: Frame, x: str = "frames", *, label: str = "run") -> Drawing:
    """Draws losses, entropy and other measures of learning, a panel each that has a value.

    `measured` has the columns label, measure, x and value, as returned by `metrics.measures`; it is of one environment.
    """
    ours = collected(measured)
    with mpl.rc_context(STYLE):
        named = ours.with_columns(pl.col("measure").cast(pl.Enum([*MEASURES])))  # which sorts as they stand there
        figure, panels = panels_of(named, "measure")
        colours = colours_of(ours, label)
        for axes, rows, value in panels:
            for key, colour in colours.items():
                curve = rows.filter(pl.col(label).eq_missing(key)).sort(x)
                if not curve.is_empty():
                    marker = "o" if curve.height == 1 else None
                    axes.plot(curve[x], curve["value"], marker=marker, color=colour, label=name_of(key, label))
            axes.set_title(MEASURES[value])
            axes.set_xlim(0, ours[x].max())
            axes.set_xlabel(AXES.get(x, x))
            axes.locator_params("x", nbins=5)
            shorten_numbers(axes, x=x != "hours")
        add_legend(figure, [axes for axes, _, _ in panels])
    return figure


def returns(histogram: Frame, *, label: str = "run", panel: str | None = None) -> Drawing:
    """Draws the distribution of episode returns. `histogram`: label, panel and the columns of `metrics.histogram`."""
    ours = collected(histogram)
    with mpl.rc_context(STYLE):
        figure, panels = panels_of(ours, panel)
        colours = colours_of(ours, label)
        for axes, rows, _ in panels:
            for key, colour in colours.items():
                bars = rows.filter(pl.col(label).eq_missing(key)).sort("low")
                if bars.is_empty():
                    continue
                x, y = _outline(bars)
                axes.plot(x, y, color=colour, linewidth=1.3, label=name_of(key, label))
                axes.fill_between(x, y, color=colour, alpha=0.3 if len(colours) == 1 else 0.1, linewidth=0)
            axes.set_ylim(bottom=0)
            axes.set_xlabel("episode return")
            axes.set_ylabel("% of episodes")
            axes.grid(axis="x", visible=False)
        add_legend(figure, [axes for axes, _, _ in panels])
    return figure


def time_shares(shares: Frame, *, label: str = "run") -> Drawing:
    """Draws the shares of the actors' time, a bar a row. `shares`: label and the columns of `metrics.time_shares`."""
    ours = collected(shares)
    with mpl.rc_context(STYLE):
        figure = Drawing(7, 1.1 + 0.34 * ours.height)
        axes = figure.subplots()
        names = [name_of(value, label) for value in ours[label]]
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


def _outline(bars: pl.DataFrame) -> tuple[list[float], list[float]]:
    """Returns the outline of a histogram's bars, which falls to 0 where bars are missing."""
    x: list[float] = [bars["low"][0]]
    y = [0.0]
    for low, high, share in bars.select("low", "high", pl.col("share") * 100).iter_rows():
        if low > x[-1] + 1e-9 * (high - low):
            x, y = [*x, x[-1], low], [*y, 0.0, 0.0]
        x, y = [*x, low, high], [*y, share, share]
    return [*x, x[-1]], [*y, 0.0]
