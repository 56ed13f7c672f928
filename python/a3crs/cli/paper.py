"""`a3crs paper`: the paper's experiments on the command line."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from a3crs.cli.flags import Given, takes_settings
from a3crs.cli.options import Quiet
from a3crs.errors import ConfigError
from a3crs.parse import parse_count
from a3crs.sweep.space import parse_value, read_space

app = typer.Typer(help="The paper's tables and figures: list them, run them, draw ours over the paper's.")

Name = Annotated[str, typer.Argument(help="fig1, figS5, tab2, ...: `a3crs paper` lists them.", show_default=False)]


@app.callback(invoke_without_command=True)
def list_experiments(context: typer.Context) -> None:
    """Lists the experiments if no command is given: each one's question, and its runs at the paper's size."""
    if context.invoked_subcommand is None:
        from a3crs.paper.lines import experiment_lines

        print(*experiment_lines(), sep="\n")


@app.command()
@takes_settings(parse=parse_value, read=read_space, leave_out=("env", "algo", "actors", "seed"))
def run(
    given: Given,
    name: Name,
    game: Annotated[str | None, typer.Option(help="Games or environments, separated by commas.")] = None,
    methods: Annotated[str | None, typer.Option(help="Methods, separated by commas.")] = None,
    actors: Annotated[str | None, typer.Option(help="Numbers of actors, separated by commas.")] = None,
    draws: Annotated[int | None, typer.Option(help="How often the settings are drawn.")] = None,
    seeds: Annotated[int, typer.Option(help="How many seeds each draw is run with.")] = 1,
    jobs: Annotated[int | None, typer.Option(help="Runs side by side; as many as have a core for each actor.")] = None,
    episodes: Annotated[int, typer.Option(help="Whole games of each evaluation, of tables 1 and S3.")] = 30,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Directory, new, empty or to go on with.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how long it takes and what differs.")] = False,
    quiet: Quiet = False,
) -> None:
    """Run an experiment: at the paper's size, or smaller. The same command goes on with one that was stopped."""
    from a3crs.evaluation import Evaluation
    from a3crs.paper.experiments import experiment
    from a3crs.paper.lines import before_lines, estimate_line
    from a3crs.paper.running import estimate, run_experiment
    from a3crs.paper.scale import Scale, plan_of
    from a3crs.sweep.engine import LocalEngine
    from a3crs.sweep.plan import refuse_other
    from a3crs.sweep.sweep import default_jobs

    chosen = experiment(name)
    scale = Scale(
        games=_words(game),
        methods=_words(methods),
        actors=None if actors is None else [parse_count(word, what="--actors") for word in actors.split(",")],
        frames=given.frames,
        draws=draws,
        seeds=seeds,
        settings=given.settings,
    )
    plan = plan_of(chosen, scale)
    directory = out or Path("runs") / "paper" / chosen.name
    how = Evaluation(episodes=episodes)
    engine = LocalEngine(default_jobs(plan) if jobs is None else jobs)
    refuse_other(directory, plan)
    if not quiet or dry_run:
        header = [*before_lines(chosen, plan), "each kind of run, timed for a second:"]

        def show(kind: str, frames_per_sec: float) -> None:
            print(*header, f"  {frames_per_sec:,.0f} frames/s with {kind}", sep="\n", flush=True)
            header.clear()

        hours = estimate(plan, directory, engine, show)
        print(
            *header[:-1], estimate_line(hours, len(engine.shares)) if hours else "nothing is left to be run", sep="\n"
        )
    if dry_run:
        return
    run_experiment(
        chosen,
        plan,
        directory,
        engine=engine,
        how=how,
        quiet=quiet,
        on_evaluation=lambda line: None if quiet else print(line, file=sys.stderr),
    )
    if not quiet:
        print(f"draw it with: a3crs paper plot {chosen.name} {directory}")


@app.command()
def plot(
    name: Name,
    directory: Annotated[Path, typer.Argument(help="Where the experiment was run.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Image to write: .png, .svg or .pdf; the page lies beside it.")
    ] = None,
) -> None:
    """Draw ours over the paper's, and write a page that says what was run and what differs from the paper."""
    from a3crs.paper.experiments import experiment
    from a3crs.paper.page import present

    for path in present(experiment(name), directory, out):
        print(path)


def _words(text: str | None) -> list[str] | None:
    if text is None:
        return None
    words = [word.strip() for word in text.split(",")]
    if not all(words):
        raise ConfigError(f"{text!r} has an empty name: separate names by single commas.")
    return words
