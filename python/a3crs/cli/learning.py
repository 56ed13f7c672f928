"""Commands that train."""

from pathlib import Path
from typing import Annotated, Any

import typer

from a3crs.cli.options import (
    Algo,
    Assignments,
    Env,
    EnvKwargs,
    EnvWorkers,
    Frames,
    Net,
    Optimizer,
    Quiet,
    Run,
    Seed,
    Settings,
    chosen_config,
)
from a3crs.errors import ConfigError
from a3crs.parse import parse_count, parse_kwargs, parse_setting


def train(
    env: Env = None,
    algo: Algo = None,
    net: Net = None,
    optimizer: Optimizer = None,
    protocol: Annotated[str | None, typer.Option(help="Rules of Atari games: atari2016 or ale-v5.")] = None,
    env_kwargs: EnvKwargs = [],  # noqa: B006
    pixels: Annotated[bool, typer.Option("--pixels", help="Gymnasium's environments seen as rendered images.")] = False,
    resize: Annotated[str | None, typer.Option(help="Size of Gymnasium's images, height x width: 84x84.")] = None,
    grayscale: Annotated[bool, typer.Option("--grayscale", help="Gymnasium's images without colours.")] = False,
    frame_stack: Annotated[int | None, typer.Option(help="How many of the last observations are seen at once.")] = None,
    env_workers: EnvWorkers = None,
    actors: Annotated[int | None, typer.Option(help="Actor-learner threads.")] = None,
    frames: Frames = None,
    steps: Annotated[str | None, typer.Option(help="The same in agent steps; one of Atari is 4 frames.")] = None,
    t_max: Annotated[str | None, typer.Option(help="Actions between two updates, or episode.", metavar="N")] = None,
    lr: Annotated[float | None, typer.Option(help="Initial learning rate.")] = None,
    gaussian: Annotated[str | None, typer.Option(help="Sigma of continuous actions: diagonal or spherical.")] = None,
    normalize_obs: Annotated[
        bool | None, typer.Option("--normalize-obs/--no-normalize-obs", help="Observed vectors by running statistics.")
    ] = None,
    reward_scale: Annotated[
        str | None, typer.Option(help="Multiplies rewards before they are clipped: a number, or running.")
    ] = None,
    seed: Seed = None,
    deterministic: Annotated[
        bool, typer.Option("--deterministic", help="The same run again, bit for bit, at some cost in speed.")
    ] = False,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Directory of the run, new or empty.")] = None,
    config: Settings = None,
    settings: Assignments = [],  # noqa: B006
    quiet: Quiet = False,
) -> None:
    """Train an agent. Without further flags, Atari games have the paper's settings: 16 actors, t_max 5, 320M frames."""
    from a3crs.training import start_run
    from a3crs.wording import result_lines

    flags: dict[str, Any] = {"env": env, "algo": algo, "net": net, "optimizer": optimizer, "protocol": protocol}
    flags |= {"actors": actors, "lr": lr, "seed": seed, "env_workers": env_workers}
    flags |= {"pixels": pixels or None, "resize": resize, "grayscale": grayscale or None, "frame_stack": frame_stack}
    flags |= {"deterministic": deterministic or None}
    flags |= {"gaussian": gaussian, "normalize_obs": normalize_obs}
    texts = {"t_max": t_max, "reward_scale": reward_scale}
    flags |= {name: parse_setting(name, text) for name, text in texts.items() if text is not None}
    flags |= {"env_kwargs": parse_kwargs(env_kwargs) or None}
    if frames is not None and steps is not None:
        raise ConfigError("--frames and --steps say the same thing: give one of them.")
    if steps is not None:
        flags["total_steps"] = parse_count(steps, what="--steps")
    count = None if frames is None else parse_count(frames, what="--frames")
    result = start_run(chosen_config(config, settings, flags), frames=count, out=out, quiet=quiet)
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


def sweep(
    context: typer.Context,
    draws: Annotated[int, typer.Option(help="How often the settings are drawn.")] = 1,
    seeds: Annotated[int, typer.Option(help="How many seeds each draw is run with.")] = 1,
    jobs: Annotated[
        int | None, typer.Option(help="Trials side by side; as many as have a core for each actor.")
    ] = None,
    frames: Frames = None,
    steps: Annotated[str | None, typer.Option(help="The same in agent steps; one of Atari is 4 frames.")] = None,
    env_kwargs: EnvKwargs = [],  # noqa: B006
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Directory of the sweep, new, empty or to go on with.")
    ] = None,
    config: Settings = None,
    settings: Assignments = [],  # noqa: B006
    quiet: Quiet = False,
) -> None:
    """Train with settings drawn from distributions: --env Pong --lr loguniform:1e-4:1e-2 --draws 50 --seeds 3.

    Every setting is an option, and its value may be uniform:low:high, loguniform:low:high or choice:a,b,c; grid:a,b,c
    runs all draws with each of the values. The same command goes on with a sweep that was stopped.
    """
    from a3crs.sweep.plan import Plan
    from a3crs.sweep.space import read_options
    from a3crs.sweep.sweep import check_failures, default_out, run_sweep
    from a3crs.sweep.table import draw_lines

    given = read_options(config, settings, context.args)
    given |= {"env_kwargs": parse_kwargs(env_kwargs)} if env_kwargs else {}
    if frames is not None and steps is not None:
        raise ConfigError("--frames and --steps say the same thing: give one of them.")
    if steps is not None:
        given["total_steps"] = parse_count(steps, what="--steps")
    count = None if frames is None else parse_count(frames, what="--frames")
    plan = Plan.drawn(given, frames=count, draws=draws, seeds=seeds)
    directory = out or default_out(plan)
    run_sweep(plan, directory, jobs=jobs, quiet=quiet)
    if not quiet:
        print(*draw_lines(directory), sep="\n")
    check_failures(directory, plan)


def bench(
    env: Env = "Pong",
    algo: Algo = None,
    net: Net = None,
    optimizer: Optimizer = None,
    env_kwargs: EnvKwargs = [],  # noqa: B006
    env_workers: EnvWorkers = None,
    actors: Annotated[str, typer.Option(help="Numbers of actors, separated by commas.")] = "1,2,4,8,16",
    secs: Annotated[float, typer.Option(help="Seconds for each number of actors.")] = 10.0,
    config: Settings = None,
    settings: Assignments = [],  # noqa: B006
    json: Annotated[Path | None, typer.Option(help="Write the figures to this file as well.")] = None,
) -> None:
    """Measure training next to its environments alone, and where the time of a step goes."""
    from a3crs.bench import bench_actors, write_figures
    from a3crs.wording import bench_footer, bench_header, bench_line

    counts = [parse_count(count, what="--actors") for count in actors.split(",")]
    flags = {"env": env, "algo": algo, "net": net, "optimizer": optimizer, "env_workers": env_workers}
    chosen = chosen_config(config, settings, flags | {"env_kwargs": parse_kwargs(env_kwargs) or None})
    header = [bench_header()]

    def show(row: dict[str, Any]) -> None:
        print(*header, bench_line(row), sep="\n")
        header.clear()

    figures = bench_actors(chosen, counts, secs, show)
    print(bench_footer(figures))
    if json is not None:
        write_figures(json, figures)
