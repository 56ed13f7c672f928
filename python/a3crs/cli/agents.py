"""Commands that play with an agent or export it."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from a3crs.cli.options import AgentFile, GameSeed, Greedy, Run


def evaluate(
    run: Run,
    episodes: Annotated[int, typer.Option(help="Whole games to play.")] = 30,
    greedy: Greedy = False,
    checkpoint: Annotated[Path | None, typer.Option(help="A checkpoint other than the newest.")] = None,
    seed: GameSeed = 0,
) -> None:
    """Play whole games with a trained agent and report the raw score."""
    from a3crs.evaluation import Evaluation, evaluate_run
    from a3crs.wording import episode_line, evaluation_lines

    how = Evaluation(episodes=episodes, greedy=greedy, checkpoint=checkpoint, seed=seed)
    row = evaluate_run(run, how, on_episode=lambda episode: print(episode_line(episode), file=sys.stderr))
    print(*evaluation_lines(row), sep="\n")


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
    from a3crs.video import Showing, default_path, record
    from a3crs.wording import episode_line

    agent = Agent.load(run)
    path = out or default_path(agent)
    how = Showing(episodes=episodes, seed=seed, greedy=greedy, overlay=overlay)
    record(agent, path, how, on_episode=lambda episode: print(episode_line(episode)))
    print(path)


def export(
    run: AgentFile,
    kind: Annotated[str, typer.Option("--format", help="safetensors, onnx or tensorboard.")],
    out: Annotated[Path | None, typer.Option("-o", "--out", help="A file, of tensorboard a folder.")] = None,
) -> None:
    """Write an agent's parameters, its network or its run's logs for other programs."""
    from a3crs.agent import Agent
    from a3crs.export import export

    print(export(Agent.load(run), kind, out))
