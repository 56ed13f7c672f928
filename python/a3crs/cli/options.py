"""The options and arguments that several commands share."""

from pathlib import Path
from typing import Annotated, Any

import typer

from a3crs.checks import choices
from a3crs.config import TrainConfig
from a3crs.parse import parse_assignment, read_settings

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


def chosen_config(file: Path | None, assignments: list[str], flags: dict[str, Any]) -> TrainConfig:
    """File, then --set, then flags: the later wins."""
    settings = {} if file is None else read_settings(file)
    settings |= dict(parse_assignment(assignment) for assignment in assignments)
    settings |= {name: value for name, value in flags.items() if value is not None}
    return TrainConfig.from_mapping(settings)
