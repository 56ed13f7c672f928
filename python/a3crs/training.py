"""Starting and resuming runs."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from a3crs import _core, rundir
from a3crs.config import RunConfig, TrainConfig
from a3crs.display import RunView
from a3crs.envs.resolve import OWN
from a3crs.errors import ConfigError, DivergedError
from a3crs.live import open_display
from a3crs.preparation import Prepared, prepare
from a3crs.rundir import RunDir
from a3crs.wording import counted

if TYPE_CHECKING:
    from a3crs.envs.gym_env import MakeEnv


Callback = Callable[[dict[str, Any]], object]
"""Hears of each row as in progress.jsonl, about 4 times a second; one that returns False stops the run."""


class StoppedError(Exception):
    """A callback has stopped the run, which is saved."""


@dataclass(frozen=True)
class Result:
    """How a run ended: where it lies, and the core's summary."""

    run: RunDir
    summary: dict[str, Any]


def train(
    env: "str | MakeEnv",
    *,
    frames: int | None = None,
    out: Path | str | None = None,
    quiet: bool = False,
    **settings: Any,
) -> Result:
    """Trains from scratch in a new directory: `train("Pong", algo="n-step-q")`, `train(lambda: MyEnv(), t_max=20)`.

    `env` is a name, or a callable that makes a `gymnasium.Env`, one for each actor. `settings` are those of
    `TrainConfig`. `frames` is the run's length in place of `total_steps`.
    """
    config, make = chosen(env, settings)
    return start_run(config, frames=frames, out=None if out is None else Path(out), quiet=quiet, env=make)


def chosen(env: "str | MakeEnv", settings: Mapping[str, Any]) -> "tuple[TrainConfig, MakeEnv | None]":
    """The settings as Python has them, and the callable where the environment is one."""
    make = None if isinstance(env, str) else env
    given = {name.rstrip("_"): value for name, value in settings.items()}
    return TrainConfig.from_mapping({"env": OWN if make else env} | given), make


def resume(run: Path | str, *, env: "MakeEnv | None" = None, frames: int | None = None, quiet: bool = False) -> Result:
    """Goes on with a run in its directory; see `resume_run`."""
    return resume_run(Path(run), frames=frames, quiet=quiet, env=env)


def start_run(
    config: TrainConfig | RunConfig,
    *,
    frames: int | None = None,
    out: Path | None = None,
    quiet: bool = False,
    env: "MakeEnv | None" = None,
    callback: Callback | None = None,
    begin_with: Path | None = None,
) -> Result:
    """Trains from scratch, or from the checkpoint `begin_with`, in a new directory.

    What `config` does not give has the environment's defaults. `frames` replaces its `total_steps` by as many agent
    steps as give that many frames. `env` makes an environment of your own; otherwise `config.env` is looked up by
    name. `callback` hears of each row of progress.
    """
    prepared = prepare(config, frames=frames, env=env).checked(begin_with)  # before there is a directory
    with rundir.created(prepared.config, out or rundir.new_path(prepared.config, prepared.family.spec.name)) as run:
        return _train(run, prepared, resume_from=begin_with, quiet=quiet, callback=callback)


def resume_run(
    path: Path,
    *,
    frames: int | None = None,
    quiet: bool = False,
    env: "MakeEnv | None" = None,
    callback: Callback | None = None,
) -> Result:
    """Goes on where the newest checkpoint of a run left off, in the same directory; `frames` gives it a new total.

    `env` makes the environment where the run was started with a callable. `callback` hears of each row of progress.
    """
    run = RunDir(path)
    run.check()  # before a lock is put there
    with run.locked():
        config = run.read_config()
        checkpoint, saved = run.newest_checkpoint()
        done = saved["steps"]
        prepared = prepare(config, frames=frames, env=env)
        prepared.checked(checkpoint)  # before anything of the run is touched
        if done >= prepared.config.total_steps:
            done_frames = done * prepared.family.spec.frames_per_step
            raise ConfigError(f"{path} has finished its {done_frames:,} frames: give it more with --frames.")
        run.write_config(prepared.config)
        run.add_session()
        run.forget_after(saved)
        return _train(run, prepared, resume_from=checkpoint, quiet=quiet, callback=callback)


def _train(
    run: RunDir,
    prepared: Prepared,
    *,
    resume_from: Path | None,
    quiet: bool,
    callback: Callback | None,
) -> Result:
    config, family = prepared.config, prepared.family
    family.restarts.log = run.restarts

    def hear(row: dict[str, Any]) -> None:
        display.show(row)
        if callback is not None and callback(row) is False:
            raise StoppedError("A callback has stopped the run.")

    with _stoppable(), open_display(RunView(config), quiet=quiet) as display:
        if not quiet:
            print(f"{family.spec.name}: {counted(config.actors, 'actor')}, {_core.isa()}, {run.path}", file=sys.stderr)
        try:
            summary = _core.train(
                config.core_json(),
                family.spec.to_json(),
                family.make,
                str(run.path),
                hear,
                _notice,
                None if resume_from is None else str(resume_from),
            )
        except DivergedError as e:
            lr = f"--lr {config.lr / 3:.2g}"
            e.add_note(f"Try a lower learning rate, for instance: a3crs train --config {run.config} {lr}")
            raise
        except BaseException as e:
            if run.latest_checkpoint.exists():
                e.add_note(f"The run is saved; go on with: a3crs resume {run.path}")
            raise
    return Result(run, summary | {"env_restarts": family.restarts.count})


@contextmanager
def _stoppable() -> Iterator[None]:
    """While training, Ctrl-C and SIGTERM (of a batch system, or of `kill`) save the run; a second one ends it there."""

    def interrupt(signum: int, frame: FrameType | None) -> None:
        for number in before:  # the system's own way with a second one: the process is gone
            signal.signal(number, signal.SIG_DFL)
        _notice("saving the run; a second Ctrl-C leaves at once")
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # Python delivers signals to the main thread only
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _notice(what: str) -> None:
    print(f"a3crs: {what}.", file=sys.stderr)
