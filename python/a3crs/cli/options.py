"""Options and arguments that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Run = Annotated[Path, typer.Argument(help="Directory of a run.", show_default=False)]
AgentFile = Annotated[Path, typer.Argument(help="A run, a checkpoint of one, or a saved agent.", show_default=False)]
Greedy = Annotated[bool, typer.Option("--greedy", help="Take the likeliest action instead of sampling.")]
GameSeed = Annotated[int, typer.Option(help="Game i starts from seed + i.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show nothing but errors.")]
