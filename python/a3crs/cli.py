"""The command line: parse, build a config, call. No logic of its own."""

import os
import re
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any

import typer

import a3crs
from a3crs.checks import choices
from a3crs.config import TrainConfig
from a3crs.errors import A3crsError, ConfigError, did_you_mean
from a3crs.paper.commands import app as paper
from a3crs.parse import parse_assignment, parse_count, parse_kwargs, parse_setting, read_settings

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
app.add_typer(paper, name="paper")

Env = Annotated[str | None, typer.Option(help="Atari game in any spelling (`a3crs list envs`), or a Gymnasium id.")]
Algo = Annotated[str | None, typer.Option(help=f"Method: {', '.join(choices('algos'))}.")]
Net = Annotated[str | None, typer.Option(help=f"Network: {', '.join(choices('nets'))}.")]
Optimizer = Annotated[str | None, typer.Option(help=f"Optimizer: {', '.join(choices('optimizers'))}.")]
EnvKwargs = Annotated[
    list[str],
    typer.Option("--env-kwargs", metavar="NAME=VALUE", help="Argument of a Gymnasium environment; repeatable."),
]
EnvWorkers = Annotated[str | None, typer.Option(help="Where Gymnasium environments run: auto, thread or process.")]
Run = Annotated[Path, typer.Argument(help="Directory of a run.", show_default=False)]
AgentFile = Annotated[Path, typer.Argument(help="A run, a checkpoint of one, or a saved agent.", show_default=False)]
Greedy = Annotated[bool, typer.Option("--greedy", help="Take the likeliest action instead of sampling.")]
GameSeed = Annotated[int, typer.Option(help="Game i starts from seed + i.")]
Frames = Annotated[str | None, typer.Option(help="Length of the run in emulator frames: 320M, 4k, 1e6.")]
Seed = Annotated[int | None, typer.Option(help="Of everything random.")]
Settings = Annotated[Path | None, typer.Option("--config", help="Settings from a TOML or JSON file.")]
Assignments = Annotated[list[str], typer.Option("--set", metavar="NAME=VALUE", help="Any setting; may be repeated.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show nothing but errors.")]


def main() -> None:
    """The entry point: every foreseen failure becomes one sentence on standard error and an exit code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Runs one command line; the exit code is 0, 1 after a failure, 2 after bad usage or settings, 130 after Ctrl-C."""
    command = typer.main.get_command(app)
    try:
        # Typer's own main would replace a KeyboardInterrupt, and with it the note that says how to go on.
        with command.make_context("a3crs", arguments) as context:
            command.invoke(context)
        return 0
    except typer.Exit as e:
        return e.exit_code
    except typer.TyperException as e:  # wrong flags and arguments
        return _fail(_usage(e.format_message(), arguments), exit_code=2)
    except ConfigError as e:
        return _fail(str(e), *_notes(e), exit_code=2)
    except A3crsError as e:
        return _fail(str(e), *_notes(e), exit_code=1)
    except BrokenPipeError:  # whoever read the output (`| head`) has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nor shall the flush at exit complain
        return 1
    except KeyboardInterrupt as e:
        print("\na3crs: stopped.", *_notes(e), sep="\n", file=sys.stderr)  # below the terminal's ^C
        return 130
    except Exception as e:  # of the environment, most likely: its author needs the traceback
        traceback.print_exception(e)
        return _fail(f"{type(e).__name__}: {e}", exit_code=1)


def _usage(message: str, arguments: list[str]) -> str:
    """What typer says of a wrong command line, of a number with its value, and of `a3crs train Pong` what was meant."""
    number = re.fullmatch(r"Invalid value for '(--[\w-]+)': Input should be a valid (integer|number).*", message)
    if number:
        flag, kind = number.groups()
        pairs = zip(arguments, [*arguments[1:], ""], strict=True)
        given = [w.partition("=")[2] or value for w, value in pairs if w.partition("=")[0] == flag]
        return f"{flag} is {given[-1]!r}, but it must be a {'whole ' if kind == 'integer' else ''}number."
    extra = re.fullmatch(r"Got unexpected extra argument\S* \((\S+).*\)", message)
    if extra and arguments[0] in ("train", "bench"):
        return f"{message}: an environment is named with --env, perhaps --env {extra[1]}."
    return message


def _fail(*lines: str, exit_code: int) -> int:
    print("a3crs: error: " + "\n".join(lines), file=sys.stderr)
    return exit_code


def _notes(e: BaseException) -> list[str]:
    """For example how to go on with a run that has been saved."""
    return getattr(e, "__notes__", [])


@app.callback(invoke_without_command=True)
def no_command(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Asynchronous advantage actor-critic (Mnih et al. 2016) on CPU threads."""
    if version:
        print(f"a3crs {a3crs.__version__}")
        raise typer.Exit()
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command()
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
    out: Annotated[Path | None, typer.Option(help="Directory of the run, new or empty.")] = None,
    config: Settings = None,
    settings: Assignments = [],  # noqa: B006
    quiet: Quiet = False,
) -> None:
    """Train an agent. Without further flags, Atari games have the paper's settings: 16 actors, t_max 5, 320M frames."""
    from a3crs.report import result_lines
    from a3crs.training import start_run

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
    result = start_run(_config(config, settings, flags), frames=count, out=out, quiet=quiet)
    if not quiet:
        print(*result_lines(result.run.path, result.summary), sep="\n")


@app.command()
def resume(run: Run, frames: Frames = None, quiet: Quiet = False) -> None:
    """Go on with a run where its newest checkpoint left off; --frames gives it a new length."""
    from a3crs.report import result_lines
    from a3crs.training import resume_run

    count = None if frames is None else parse_count(frames, what="--frames")
    result = resume_run(run, frames=count, quiet=quiet)
    if not quiet:
        print(*result_lines(result.run.path, result.summary), sep="\n")


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
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
    out: Annotated[Path | None, typer.Option(help="Directory of the sweep, new, empty or to go on with.")] = None,
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


@app.command()
def watch(run: Run) -> None:
    """Show how a run goes that was started elsewhere; Ctrl-C ends the watching, not the run."""
    from a3crs.watch import watch

    print(watch(run))


@app.command(name="eval")
def evaluate(
    run: Run,
    episodes: Annotated[int, typer.Option(help="Whole games to play.")] = 30,
    greedy: Greedy = False,
    checkpoint: Annotated[Path | None, typer.Option(help="A checkpoint other than the newest.")] = None,
    seed: GameSeed = 0,
) -> None:
    """Play whole games with a trained agent and report the raw score."""
    from a3crs.evaluation import Evaluation, evaluate_run
    from a3crs.report import episode_line, evaluation_lines

    how = Evaluation(episodes=episodes, greedy=greedy, checkpoint=checkpoint, seed=seed)
    row = evaluate_run(run, how, on_episode=lambda episode: print(episode_line(episode), file=sys.stderr))
    print(*evaluation_lines(row), sep="\n")


@app.command()
def video(
    run: AgentFile,
    episodes: Annotated[int, typer.Option(help="Whole games to show.")] = 1,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="An .mp4 or .gif file.")] = None,
    overlay: Annotated[bool, typer.Option("--overlay", help="Score and V(s) above the image.")] = False,
    greedy: Greedy = False,
    seed: GameSeed = 0,
) -> None:
    """Film an agent at play, in full colours and at full speed."""
    from a3crs.agent import Agent
    from a3crs.report import episode_line
    from a3crs.video import Showing, default_path, record

    agent = Agent.load(run)
    path = out or default_path(agent)
    how = Showing(episodes=episodes, seed=seed, greedy=greedy, overlay=overlay)
    record(agent, path, how, on_episode=lambda episode: print(episode_line(episode)))
    print(path)


@app.command()
def export(
    run: AgentFile,
    kind: Annotated[str, typer.Option("--format", help="safetensors, onnx or tensorboard.")],
    out: Annotated[Path | None, typer.Option("-o", "--out", help="A file, of tensorboard a folder.")] = None,
) -> None:
    """Write an agent's parameters, its network or its run's logs for other programs."""
    from a3crs.agent import Agent
    from a3crs.export import export

    print(export(Agent.load(run), kind, out))


@app.command()
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
    from a3crs.report import bench_footer, bench_header, bench_line

    counts = [parse_count(count, what="--actors") for count in actors.split(",")]
    flags = {"env": env, "algo": algo, "net": net, "optimizer": optimizer, "env_workers": env_workers}
    chosen = _config(config, settings, flags | {"env_kwargs": parse_kwargs(env_kwargs) or None})
    header = [bench_header()]

    def show(row: dict[str, Any]) -> None:
        print(*header, bench_line(row), sep="\n")
        header.clear()

    figures = bench_actors(chosen, counts, secs, show)
    print(bench_footer(figures))
    if json is not None:
        write_figures(json, figures)


@app.command()
def plot(
    runs: Annotated[list[str], typer.Argument(help="Runs, directories of runs, or globs.", show_default=False)],
    out: Annotated[Path, typer.Option("-o", "--out", help="Image to write: .png, .svg or .pdf.")] = Path("curves.png"),
    x: Annotated[str, typer.Option("--x", help="Axis: frames, steps or hours.")] = "frames",
    no_paper: Annotated[bool, typer.Option("--no-paper", help="Leave out the paper's own curves.")] = False,
) -> None:
    """Draw learning curves; runs that differ in their seeds alone become one, with its 95 % interval."""
    from a3crs.runlog import comparison

    comparison.save(comparison.draw(runs, comparison.labelled(runs), x, with_paper=not no_paper), out)


@app.command()
def compare(
    runs: Annotated[
        list[str], typer.Argument(help="One side each: a run, a directory of seeds, a glob.", metavar="RUNS...")
    ],
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Draw their curves to this image too.")] = None,
    x: Annotated[str, typer.Option("--x", help="Axis of the image: frames, steps or hours.")] = "frames",
) -> None:
    """Set runs side by side: in which settings they differ, what they reached and what it took."""
    from a3crs.report import comparison_lines
    from a3crs.runlog import comparison

    sides = comparison.sides({name: name for name in runs})
    print(*comparison_lines(comparison.table(runs, sides), comparison.differences(runs, sides)), sep="\n")
    if out is not None:
        comparison.save(comparison.draw(runs, sides, x), out)


@app.command()
def report(
    runs: Annotated[list[str], typer.Argument(help="Runs, directories of runs, or globs.", show_default=False)],
    out: Annotated[Path, typer.Option("-o", "--out", help="HTML file to write.")] = Path("report.html"),
    no_clips: Annotated[bool, typer.Option("--no-clips", help="Leave out the agents at play.")] = False,
) -> None:
    """Write one self-contained HTML file: settings, curves, evaluations, timing, and the agents at play."""
    from a3crs.page import write_report

    for sentence in write_report(runs, out, with_clips=not no_clips):
        print(f"a3crs: {sentence}", file=sys.stderr)
    print(out)


@app.command()
def doctor(
    fix_hint: Annotated[
        str, typer.Option(help="Only print what installs a domain's needs: torcs or labyrinth.", show_default=False)
    ] = "",
) -> None:
    """Check this installation: processor, packages, games, and a one-second self-test."""
    from a3crs.doctor import examine, what_to_install

    if fix_hint:
        print(what_to_install(fix_hint))
        return
    sick = False
    for finding in examine():
        print(f"{'FAIL' if finding.cure else 'ok':4}  {finding.name}: {finding.detail}", flush=True)
        if finding.cure:
            print(f"      {finding.cure}")
            sick = True
    raise typer.Exit(1 if sick else 0)


@app.command(name="list")
def list_choices(
    kind: Annotated[str | None, typer.Argument(help="algos, nets, optimizers or envs.", show_default=False)] = None,
) -> None:
    """List the methods, networks, optimizers or environments there are, with the paper's section."""
    from a3crs import _core
    from a3crs.report import catalogue_lines, game_lines

    catalogue = _core.catalogue()
    if kind in catalogue:
        print(*catalogue_lines(catalogue[kind]), sep="\n")
    elif kind == "envs":
        print(*game_lines(), sep="\n")
    else:
        kinds = [*catalogue, "envs"]
        nothing = "Say what to list" if kind is None else f"There is no list of {kind!r}{did_you_mean(kind, kinds)}"
        raise ConfigError(f"{nothing}: {', '.join(kinds)}.")


def _config(file: Path | None, assignments: list[str], flags: dict[str, Any]) -> TrainConfig:
    """File, then --set, then flags: the later wins."""
    settings = {} if file is None else read_settings(file)
    settings |= dict(parse_assignment(assignment) for assignment in assignments)
    settings |= {name: value for name, value in flags.items() if value is not None}
    return TrainConfig.from_mapping(settings)
