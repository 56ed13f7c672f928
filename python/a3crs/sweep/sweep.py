"""Execution of a sweep."""

import dataclasses
import json
from pathlib import Path

from a3crs.config import RunConfig, TrainConfig
from a3crs.errors import ConfigError, RunError
from a3crs.live import open_display
from a3crs.rundir import RunDir
from a3crs.setting import public_name
from a3crs.sweep.engine import Engine, LocalEngine, cores
from a3crs.sweep.plan import Plan, refuse_other, save
from a3crs.sweep.space import cells
from a3crs.sweep.table import REDRAWN_SECS, Progress, SweepView
from a3crs.sweep.trial import State, read_failure, state


def run_sweep(
    plan: Plan, out: Path, *, jobs: int | None = None, engine: Engine | None = None, quiet: bool = False
) -> None:
    """Runs all trials of the plan that are not done, in `out`, with the engine; by default on this machine.

    `jobs` trials run at a time; None takes as many as have a core for each actor. A trial that fails does not end the
    sweep: `check_failures` finds it afterwards.
    """
    engine = engine or LocalEngine(default_jobs(plan) if jobs is None else jobs)
    refuse_other(out, plan)
    _check(plan)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise ConfigError(f"{out} cannot be used for a sweep: {e.strerror}.") from e
    directories = [out / trial.name for trial in plan.trials]
    with RunDir(out).locked():
        refuse_other(out, plan)  # another process may have written a plan before the lock was taken
        save(out, plan)
        try:
            view = SweepView(Progress(plan, out))
            with open_display(view, quiet=quiet, interval_secs=REDRAWN_SECS, transient=True) as display:
                engine.run([path for path in directories if state(path) is State.OPEN], display.show)
        except KeyboardInterrupt as e:
            e.add_note("The sweep is saved; the same command goes on with it.")
            raise


def check_failures(sweep: Path, plan: Plan) -> None:
    """Raises RunError where a trial has failed."""
    directories = [sweep / trial.name for trial in plan.trials]
    failed = [path for path in directories if state(path) is State.FAILED]
    if failed:
        raise RunError(
            f"{len(failed)} of {len(directories)} trials failed, {failed[0]} first ({read_failure(failed[0])}): remove "
            "the directory of a trial, and the same command tries it again."
        )


def default_jobs(plan: Plan) -> int:
    """Returns as many jobs as have a core for each of their actors, at least one."""
    actors = max(TrainConfig.from_mapping(trial.settings).with_usual_defaults().actors for trial in plan.trials)
    return max(1, len(cores()) // actors)


def default_out(plan: Plan) -> Path:
    """Returns `runs/<env>__<algo>__sweep`: the same command finds its sweep again."""
    values = [plan.settings.get(name, "a3c") for name in ("env", "algo")]
    names = ["-".join(map(str, value)) if isinstance(value, list) else str(value) for value in values]
    safe = ["".join(c if c.isalnum() or c in "-." else "-" for c in name) for name in names]
    return Path("runs") / "__".join([*safe, "sweep"])


def _check(plan: Plan) -> None:
    """Checks the environment of each cell's first trial, so that errors are reported before anything starts."""
    from a3crs.envs import EnvFamily
    from a3crs.preparation import prepare

    # Cells that differ in the core's settings share an environment, because making one takes time.
    of_env = {public_name(f) for f in dataclasses.fields(RunConfig) if not f.metadata["core"]} | {"env", "protocol"}
    families: dict[str, EnvFamily] = {}
    for trial in plan.trials[: len(cells(plan.settings)) * plan.seeds : plan.seeds]:
        config = TrainConfig.from_mapping(trial.settings)
        where = json.dumps({name: value for name, value in config.to_mapping().items() if name in of_env})
        families[where] = prepare(config, frames=plan.frames, family=families.get(where)).checked().family
