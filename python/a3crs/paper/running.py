"""Execution of an experiment: an estimate of its time, its sweep, and the evaluations for its tables."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from a3crs import _core
from a3crs.config import TrainConfig
from a3crs.evaluation import Evaluation, evaluate_run
from a3crs.paper.definition import Experiment
from a3crs.runlog import load
from a3crs.sweep.engine import Engine, LocalEngine
from a3crs.sweep.plan import Plan, Trial
from a3crs.sweep.sweep import check_failures, run_sweep
from a3crs.sweep.trial import State, newest_row, state
from a3crs.wording import counted

TIMING_SECS = 1.0


def estimate(plan: Plan, out: Path, engine: LocalEngine, on_rate: Callable[[str, float], None]) -> float:
    """Returns the estimated hours for the runs that are not done.

    Each kind of run is timed for a second, on as many cores as a run will have; `on_rate` is called with each kind and
    its frames a second. Games differ in speed: the first one stands for all.
    """
    from a3crs.preparation import prepare

    rates: dict[str, float] = {}
    secs = 0.0
    with _on(engine.shares[0]):
        for trial in plan.trials:
            if state(out / trial.name) is not State.OPEN:
                continue
            kind = _kind(trial)
            if kind not in rates:
                prepared = prepare(TrainConfig.from_mapping(trial.settings), frames=plan.frames)
                config, family = prepared.config, prepared.family
                row = _core.bench(config.core_json(), family.spec.to_json(), family.make, TIMING_SECS)
                rates[kind] = max(row["train_steps_per_sec"] * family.spec.frames_per_step, 1e-9)
                on_rate(kind, rates[kind])
            begun = newest_row(out / trial.name)
            secs += max(0, (plan.frames or 0) - (begun["frames"] if begun else 0)) / rates[kind]
    return secs / len(engine.shares) / 3600


def _kind(trial: Trial) -> str:
    """Returns the settings that the speed depends on, except the game."""
    named = (str(trial.settings.get(name, "")) for name in ("algo", "net", "optimizer"))
    return ", ".join([*filter(None, named), f"actors {trial.settings['actors']}"])


@contextmanager
def _on(chosen: Sequence[int]) -> Iterator[None]:
    """Restricts the process to these cores, where the system supports that."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, chosen)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def run_experiment(
    experiment: Experiment,
    plan: Plan,
    out: Path,
    *,
    engine: Engine | None = None,
    how: Evaluation | None = None,
    quiet: bool = False,
    on_evaluation: Callable[[str], None] = lambda line: None,
) -> None:
    """Runs the trials that are not done, by default on this machine.

    An experiment of evaluations then plays games with each run's last parameters. Raises RunError where a run has
    failed, after the others are done.
    """
    run_sweep(plan, out, engine=engine, quiet=quiet)
    if experiment.evaluated:
        done = [out / trial.name for trial in plan.trials if state(out / trial.name) is State.DONE]
        waiting = [run for run in done if load.evals(run).collect().is_empty()]
        for number, run in enumerate(waiting):
            try:
                row = evaluate_run(run, how or Evaluation())
            except KeyboardInterrupt as e:
                left = f"{len(waiting) - number} of {len(done)}"
                e.add_note(f"All runs are saved, {left} are not evaluated; the same command goes on with them.")
                raise
            on_evaluation(f"{run.name}: mean {row['mean']:.1f} of {counted(row['episodes'], 'game')}")
    check_failures(out, plan)
