"""Commands that show and compare runs."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from a3crs.cli.options import Run


def watch(run: Run) -> None:
    """Show how a run goes that was started elsewhere; Ctrl-C ends the watching, not the run."""
    from a3crs.watch import watch

    print(watch(run))


def plot(
    runs: Annotated[list[str], typer.Argument(help="Runs, directories of runs, or globs.", show_default=False)],
    out: Annotated[Path, typer.Option("-o", "--out", help="Image to write: .png, .svg or .pdf.")] = Path("curves.png"),
    x: Annotated[str, typer.Option("--x", help="Axis: frames, steps or hours.")] = "frames",
    no_paper: Annotated[bool, typer.Option("--no-paper", help="Leave out the paper's own curves.")] = False,
) -> None:
    """Draw learning curves; runs that differ in their seeds alone become one, with its 95 % interval."""
    from a3crs.runlog import comparison

    comparison.save(comparison.draw(runs, comparison.labelled(runs), x, with_paper=not no_paper), out)


def compare(
    runs: Annotated[
        list[str], typer.Argument(help="One side each: a run, a directory of seeds, a glob.", metavar="RUNS...")
    ],
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Draw their curves to this image too.")] = None,
    x: Annotated[str, typer.Option("--x", help="Axis of the image: frames, steps or hours.")] = "frames",
) -> None:
    """Set runs side by side: in which settings they differ, what they reached and what it took."""
    from a3crs.runlog import comparison
    from a3crs.wording import comparison_lines

    sides = comparison.sides({name: name for name in runs})
    print(*comparison_lines(comparison.table(runs, sides), comparison.differences(runs, sides)), sep="\n")
    if out is not None:
        comparison.save(comparison.draw(runs, sides, x), out)


def report(
    runs: Annotated[list[str], typer.Argument(help="Runs, directories of runs, or globs.", show_default=False)],
    out: Annotated[Path, typer.Option("-o", "--out", help="HTML file to write.")] = Path("report.html"),
    no_clips: Annotated[bool, typer.Option("--no-clips", help="Leave out the agents at play.")] = False,
) -> None:
    """Write one self-contained HTML file: settings, curves, evaluations, timing, and the agents at play."""
    from a3crs.report import write_report

    for sentence in write_report(runs, out, with_clips=not no_clips):
        print(f"a3crs: {sentence}", file=sys.stderr)
    print(out)
