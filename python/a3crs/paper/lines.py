"""Texts that `a3crs paper` prints."""

from a3crs.paper.definition import Experiment
from a3crs.paper.experiments import EXPERIMENTS
from a3crs.paper.scale import Scale, differences, settings_of
from a3crs.sweep.plan import Plan
from a3crs.sweep.space import cells
from a3crs.wording import counted


def experiment_lines() -> list[str]:
    """Returns a line for each experiment: its name, its question, and its runs at the paper's size."""
    rows = [(each.name, each.asks, _size(each)) for each in EXPERIMENTS.values()]
    name, asks = (max(len(row[column]) for row in rows) for column in (0, 1))
    lines = [f"{row[0]:{name}}  {row[1]:{asks}}  {row[2]}" for row in rows]
    return [*lines, "", "run one at this size, or smaller: a3crs paper run fig2 --game Pong --frames 8M --draws 10"]


def _size(experiment: Experiment) -> str:
    runs = experiment.draws * len(cells(settings_of(experiment, Scale())))
    return f"{counted(runs, 'run')} of {experiment.frames // 10**6:,}M frames"


def before_lines(experiment: Experiment, plan: Plan) -> list[str]:
    """Returns the runs of a plan and its differences from the paper."""
    size = f"{counted(len(plan.trials), 'run')} of {plan.frames:,} frames"
    said = [f"- {sentence}" for sentence in differences(experiment, plan)]
    return [f"{experiment.title}: {experiment.asks}", size, "differs from the paper:", *said]


def estimate_line(hours: float, jobs: int) -> str:
    """Returns the estimated time on this machine, based on the timed speeds."""
    time = counted(max(1, round(hours * 60)), "minute") if hours < 1 else f"{hours:,.1f} hours"
    return f"about {time} on this machine, {counted(jobs, 'run')} at a time"
