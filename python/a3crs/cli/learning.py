"""Commands that train."""

from pathlib import Path
from typing import Annotated, Any

import typer

from a3crs.cli.flags import Frames, Given, takes_settings
from a3crs.cli.options import Quiet, Run
from a3crs.parse import parse_count
from a3crs.sweep.space import parse_value, read_space


@takes_settings()
def train(
    given: Given,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Directory of the run, new or empty.")] = None,
    quiet: Quiet = False,
) -> None:
    """Train an agent. Without further flags, Atari games have the paper's settings: 16 actors, t_max 5, 320M frames."""
    from a3crs.training import start_run
    from a3crs.wording import result_lines

    result = start_run(given.config(), frames=given.frames, out=out, quiet=quiet)
    if not quiet:
        print(*result_lines(result.run.path, result.summary), sep="\n")


def resume(run: Run, frames: Frames = None, quiet: Quiet = False) -> None:
    """Go on with a run where its newest checkpoint left off; --frames gives it a new length."""
    from a3crs.training import resume_run
    from a3crs.wording import result_lines

    count = None if frames is None else parse_count(frames, what="--frames")
    result = resume_run(run, frames=count, quiet=quiet)
    if not quiet:
        print(*result_lines(result.run.path, result.summary), sep="\n")


@takes_settings(parse=parse_value, read=read_space)
def sweep(
    given: Given,
    draws: Annotated[int, typer.Option(help="How often the settings are drawn.")] = 1,
    seeds: Annotated[int, typer.Option(help="How many seeds each draw is run with.")] = 1,
    jobs: Annotated[
        int | None, typer.Option(help="Trials side by side; as many as have a core for each actor.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Directory of the sweep, new, empty or to go on with.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Train with settings drawn from distributions: --env Pong --lr loguniform:1e-4:1e-2 --draws 50 --seeds 3.

    The value of a setting may be uniform:low:high, loguniform:low:high or choice:a,b,c; grid:a,b,c runs all draws with
    each of the values (of yes-or-no settings with --set name=grid:true,false). The same command goes on with a sweep that
    was stopped.
    """
    from a3crs.sweep.plan import Plan
    from a3crs.sweep.sweep import check_failures, default_out, run_sweep
    from a3crs.sweep.table import draw_lines

    plan = Plan.drawn(given.settings, frames=given.frames, draws=draws, seeds=seeds)
    directory = out or default_out(plan)
    run_sweep(plan, directory, jobs=jobs, quiet=quiet)
    if not quiet:
        print(*draw_lines(directory), sep="\n")
    check_failures(directory, plan)


@takes_settings(leave_out=("actors",))
def bench(
    given: Given,
    actors: Annotated[str, typer.Option(help="Numbers of actors, separated by commas.")] = "1,2,4,8,16",
    secs: Annotated[float, typer.Option(help="Seconds for each number of actors.")] = 10.0,
    json: Annotated[Path | None, typer.Option(help="Write the figures to this file as well.")] = None,
) -> None:
    """Measure training next to its environments alone, on Pong unless told otherwise, and where a step's time goes."""
    from a3crs.bench import bench_actors, write_figures
    from a3crs.wording import bench_footer, bench_header, bench_line

    counts = [parse_count(count, what="--actors") for count in actors.split(",")]
    header = [bench_header()]

    def show(row: dict[str, Any]) -> None:
        print(*header, bench_line(row), sep="\n")
        header.clear()

    figures = bench_actors(given.config(env="Pong"), counts, secs, show)
    print(bench_footer(figures))
    if json is not None:
        write_figures(json, figures)
