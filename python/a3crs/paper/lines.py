"""What `a3crs paper` prints."""

from a3crs.paper.experiments import EXPERIMENTS, Experiment
from a3crs.paper.running import Estimate
from a3crs.paper.scale import Scale, differences, settings_of
from a3crs.report import counted
from a3crs.sweep.plan import Plan
from a3crs.sweep.space import cells


def experiment_lines() -> list[str]:
    """One line for each experiment: its name, what it asks, and the runs it takes at the paper's size."""
    rows = [(each.name, each.asks, _size(each)) for each in EXPERIMENTS.values()]
    name, asks = (max(len(row[column]) for row in rows) for column in (0, 1))
    return [f"{row[0]:{name}}  {row[1]:{asks}}  {row[2]}" for row in rows]


def _size(experiment: Experiment) -> str:
    runs = experiment.draws * len(cells(settings_of(experiment, Scale())))
    return f"{counted(runs, 'run')} of {experiment.frames // 10**6:,}M frames"


def _duration(hours: float) -> str:
    if hours < 1:
        return counted(max(1, round(hours * 60)), "minute")
    return f"{hours:,.1f} hours"


def before_lines(experiment: Experiment, plan: Plan, estimate: Estimate) -> list[str]:
    """What is going to be run, how long that takes here, and what it has otherwise than the paper."""
    lines = [f"{experiment.title}: {experiment.asks}", f"{counted(len(plan.trials), 'run')} of {plan.frames:,} frames"]
    if estimate.frames_per_sec:
        rates = [f"{rate:,.0f} frames/s with {kind}" for kind, rate in estimate.frames_per_sec]
        at_once = counted(estimate.jobs, "run")
        lines.append(f"about {_duration(estimate.hours)} on this machine, {at_once} at a time; timed for a second:")
        lines += [f"  {rate}" for rate in rates]
    return [*lines, "differs from the paper:", *(f"- {sentence}" for sentence in differences(experiment, plan))]
