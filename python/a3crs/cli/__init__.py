"""Command line: it parses, builds a config and calls the library. The commands are in the other files here."""

import os
import re
import sys
import traceback
from typing import Annotated

import typer

import a3crs
from a3crs.cli import agents, installation, learning, runs
from a3crs.cli.flags import unknown_flag
from a3crs.cli.paper import app as paper
from a3crs.errors import A3crsError, ConfigError

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def main() -> None:
    """Runs the command line; every foreseen failure becomes one sentence on standard error and an exit code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Runs one command line; the exit code is 0, 1 after a failure, 2 after bad usage or settings, 130 after Ctrl-C."""
    command = typer.main.get_command(app)
    try:
        # Typer's own main would replace a KeyboardInterrupt, and lose its note that says how to go on.
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
    except BrokenPipeError:  # the reader of the output (`| head`) has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the flush at exit must not fail either
        return 1
    except KeyboardInterrupt as e:
        print("\na3crs: stopped.", *_notes(e), sep="\n", file=sys.stderr)  # below the terminal's ^C
        return 130
    except SystemExit as e:  # only an environment exits like this, perhaps with code 0
        if isinstance(e.__context__, BrokenPipeError):  # rich exits like this when the reader of the help has closed it
            return 1
        return _fail(f"The environment called sys.exit({e.code!r}) while it was made.", exit_code=1)
    except Exception as e:  # mostly an environment's, whose author needs the traceback
        traceback.print_exception(e)
        return _fail(f"{type(e).__name__}: {e}", exit_code=1)


def _usage(message: str, arguments: list[str]) -> str:
    """Returns Typer's message on a wrong command line, with a bad number's value and a hint for `a3crs train Pong`."""
    number = re.fullmatch(r"Invalid value for '(--[\w-]+)': Input should be a valid (integer|number).*", message)
    if number:
        flag, kind = number.groups()
        pairs = zip(arguments, [*arguments[1:], ""], strict=True)
        given = [w.partition("=")[2] or value for w, value in pairs if w.partition("=")[0] == flag]
        return f"{flag} is {given[-1]!r}, but it must be a {'whole ' if kind == 'integer' else ''}number."
    unknown = re.fullmatch(r"No such option: (--[\w-]+).*", message, re.DOTALL)
    if unknown and (meant := unknown_flag(unknown[1])):
        return str(meant)
    extra = re.fullmatch(r"Got unexpected extra argument\S* \((\S+).*\)", message)
    if extra and arguments[0] in ("train", "sweep", "bench"):
        return f"{message}: an environment is named with --env, perhaps --env {extra[1]}."
    return message


def _fail(*lines: str, exit_code: int) -> int:
    print("a3crs: error: " + "\n".join(lines), file=sys.stderr)
    return exit_code


def _notes(e: BaseException) -> list[str]:
    """Returns an exception's notes, such as how to go on with a saved run."""
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


# In the order of --help.
app.command()(learning.train)
app.command()(learning.resume)
app.command()(learning.sweep)
app.add_typer(paper, name="paper")
app.command()(runs.watch)
app.command(name="eval")(agents.evaluate)
app.command()(agents.video)
app.command()(agents.export)
app.command()(learning.bench)
app.command()(runs.plot)
app.command()(runs.compare)
app.command()(runs.report)
app.command()(installation.doctor)
app.command(name="list")(installation.list_choices)
