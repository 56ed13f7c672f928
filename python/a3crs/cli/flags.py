"""Flags generated from the settings: every command that takes settings has one for each setting."""

import dataclasses
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from a3crs.config import ALIASES, RunConfig, TrainConfig, no_setting
from a3crs.described import described_default
from a3crs.errors import ConfigError
from a3crs.parse import parse_count, parse_kwargs, parse_setting, read_settings, split_assignment
from a3crs.setting import number_and_words, public_name

Frames = Annotated[
    str | None,
    typer.Option(help="Length of the run in emulator frames: 320M, 4k, 1e6.", rich_help_panel="Run"),
]
Steps = Annotated[
    str | None,
    typer.Option(help="Length of the run in agent steps; one of Atari is 4 frames.", rich_help_panel="Run"),
]
Config = Annotated[Path | None, typer.Option("--config", help="Settings from a TOML or JSON file.")]
Assignments = Annotated[list[str], typer.Option("--set", metavar="NAME=VALUE", help="Any setting; may be repeated.")]


@dataclasses.dataclass(frozen=True)
class Given:
    """Settings given on a command line, by public name, and the length in frames if it was given."""

    settings: dict[str, Any]
    frames: int | None

    def config(self, **fallback: Any) -> TrainConfig:
        """Returns the settings as a configuration; `fallback` has values for settings that were not given."""
        return TrainConfig.from_mapping(fallback | self.settings)


def takes_settings(
    *,
    parse: Callable[[str, str], Any] = parse_setting,
    read: Callable[[Path], dict[str, Any]] = read_settings,
    leave_out: tuple[str, ...] = (),
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorates a command whose first parameter is `given: Given` with a flag for each setting but `leave_out`.

    `parse(name, text)` converts a flag's text to a value, `read` reads the settings of a file. Flags override --set,
    and --set overrides the file.
    """
    fields = [f for f in dataclasses.fields(RunConfig) if public_name(f) not in leave_out]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        def run(**values: Any) -> None:
            command(_given(fields, values, parse, read), **values)

        flags = [_flag(f) for f in fields]
        own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]
        shared = [_option("frames", Frames), _option("steps", Steps)]
        shared += [_option("config", Config), _option("assignments", Assignments, [])]
        parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in [*own, *shared, *flags]]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__name__, run.__doc__ = command.__name__, command.__doc__
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        return run

    return decorate


def _option(name: str, annotation: Any, default: Any = None) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _flag(f: "dataclasses.Field[Any]") -> inspect.Parameter:
    name = public_name(f)
    spelled = name.replace("_", "-")
    kind, _ = number_and_words(f)
    known = {"help": _help(f), "rich_help_panel": f.metadata["group"]}
    if kind is bool:
        return _option(f.name, Annotated[bool | None, typer.Option(f"--{spelled}/--no-{spelled}", **known)])
    if name == "env_kwargs":
        known |= {"help": "Argument of a Gymnasium environment; may be repeated.", "metavar": "NAME=VALUE"}
        return _option(f.name, Annotated[list[str], typer.Option(f"--{spelled}", **known)], [])
    metavar = {int: "N", float: "X"}.get(kind, "TEXT")
    return _option(f.name, Annotated[str | None, typer.Option(f"--{spelled}", metavar=metavar, **known)])


def _help(f: "dataclasses.Field[Any]") -> str:
    what, default = f.metadata["what"], described_default(f)
    return f"{what[0].upper()}{what[1:]}." + (f" Default: {default}." if default else "")


def _given(
    fields: list[Any],
    values: dict[str, Any],
    parse: Callable[[str, str], Any],
    read: Callable[[Path], dict[str, Any]],
) -> Given:
    """Removes the settings from a command's values and merges them: file, --set, flags; later ones override."""
    file, assignments = values.pop("config"), values.pop("assignments")
    frames, steps = values.pop("frames"), values.pop("steps")
    settings = {} if file is None else read(file)
    for assignment in assignments:
        name, text = split_assignment(assignment)
        settings[name] = parse(name, text)
    for f in fields:
        value, name = values.pop(f.name), public_name(f)
        if name == "env_kwargs":
            settings |= {name: parse_kwargs(value)} if value else {}
        elif value is not None:
            settings[name] = value if isinstance(value, bool) else parse(name, value)
    if frames is not None and steps is not None:
        raise ConfigError("--frames and --steps say the same thing: give one of them.")
    if steps is not None:
        settings["total_steps"] = parse_count(steps, what="--steps")
    return Given(settings, None if frames is None else parse_count(frames, what="--frames"))


def unknown_flag(flag: str) -> ConfigError | None:
    """Returns the error for a flag that has another library's name, like --learning-rate; None for other flags."""
    name = flag.removeprefix("--").replace("-", "_")
    names = (name, name.removeprefix("no_"))  # --no-anneal-lr
    return next((no_setting(name) for name in names if name in ALIASES), None)
