"""Scale of an experiment of the paper: a smaller or larger size, and the differences that it makes."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from a3crs.config import RunConfig
from a3crs.paper.definition import Experiment
from a3crs.setting import default_of, public_name
from a3crs.sweep.plan import Plan, Trial
from a3crs.wording import counted

ANNEALED_FRAMES = 4_000_000  # the Q methods' exploration falls over so many (section 8)


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Replacement for the paper's size; None keeps the paper's value."""

    games: Sequence[str] | None = None
    methods: Sequence[str] | None = None
    actors: Sequence[int] | None = None
    frames: int | None = None
    draws: int | None = None
    seeds: int = 1
    settings: Mapping[str, Any] = field(default_factory=dict)  # any others


def plan_of(experiment: Experiment, scale: Scale) -> Plan:
    """Returns the sweep of the experiment. Each draw starts with other parameters, as in the paper."""
    frames = experiment.frames if scale.frames is None else scale.frames
    draws = experiment.draws if scale.draws is None else scale.draws
    plan = Plan.drawn(settings_of(experiment, scale), frames=frames, draws=draws, seeds=scale.seeds)
    return dataclasses.replace(plan, trials=tuple(_reseeded(trial, scale.seeds) for trial in plan.trials))


def settings_of(experiment: Experiment, scale: Scale) -> dict[str, Any]:
    """Returns the settings of the sweep; a list has all values that are compared."""
    compared = {
        "env": _one_or_all(scale.games or experiment.games),
        "algo": _one_or_all(scale.methods or experiment.methods),
        "actors": _one_or_all(scale.actors or experiment.actors),
    }
    return compared | {**experiment.settings, **compared, **scale.settings}


def _one_or_all(values: Sequence[Any]) -> Any:
    return values[0] if len(values) == 1 else list(values)


def _reseeded(trial: Trial, seeds: int) -> Trial:
    seed = trial.settings["seed"] + trial.draw * seeds
    return Trial(f"{trial.group}__s{seed}", trial.draw, trial.settings | {"seed": seed})


def differences(experiment: Experiment, plan: Plan) -> list[str]:
    """Returns the differences between a plan and the paper, a sentence each."""
    own, said = settings_of(experiment, Scale()), []
    if plan.frames != experiment.frames:
        length = f"Runs of {plan.frames or 0:,} frames instead of {experiment.frames:,}"
        said.append(f"{length}; the learning rate falls to 0 over them.")
    if plan.draws != experiment.draws:
        said.append(f"{counted(plan.draws, 'draw')} of the settings instead of {experiment.draws}.")
    if plan.seeds > 1:
        said.append(f"{plan.seeds} seeds for each draw; the paper tells of no more than one.")
    for name in {**own, **plan.settings}:
        ours, papers = plan.settings.get(name, _default(name)), own.get(name)
        if ours != papers and name != "seed":
            without = f"instead of {_listed(papers)}" if name in own else "which the paper does not change"
            said.append(f"{name} is {_listed(ours)}{' ' if name in own else ', '}{without}.")
    if any(trial.settings.get("algo", "a3c") != "a3c" for trial in plan.trials) and not experiment.evaluated:
        said.append("Scores of the Q methods are those of all actors, also of the ones that keep exploring.")
        if plan.frames is not None and plan.frames < ANNEALED_FRAMES:
            said.append(f"Runs end before the Q methods' exploration has fallen, in {ANNEALED_FRAMES:,} frames.")
    return [*said, *experiment.deviations]


def _default(name: str) -> Any:
    return default_of(next(f for f in dataclasses.fields(RunConfig) if public_name(f) == name))


def _listed(values: Any) -> str:
    if not isinstance(values, list):
        return str(values)
    shown = [str(value) for value in values]
    return ", ".join(shown if len(shown) <= 8 else [*shown[:7], f"... ({len(shown)} in all)"])
