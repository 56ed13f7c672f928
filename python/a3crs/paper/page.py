"""Page of an experiment as Markdown: the results, the runs and the differences from the paper."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from a3crs.errors import ConfigError
from a3crs.files import replacing
from a3crs.paper.definition import Experiment, FinishedRuns, Shown
from a3crs.paper.scale import differences
from a3crs.rundir import RunDir
from a3crs.runlog import comparison, load, metrics
from a3crs.sweep.space import is_distribution
from a3crs.wording import counted


def present(experiment: Experiment, directory: Path, image: Path | None = None) -> list[Path]:
    """Draws the experiment's figure to `image` and writes its page beside it; returns the written files.

    Without `image`, the files are in the directory itself. Raises ConfigError where no run of it is done yet.
    """
    outcome = FinishedRuns(experiment, directory)
    if outcome.plan.frames is None:
        raise ConfigError(f"{directory} holds a sweep without --frames, and cannot be set beside the paper's.")
    shown = experiment.shown_by(outcome)
    target = image or directory / f"{experiment.name}.png"
    page = target.with_suffix(".md")
    if shown.drawing is None and image is not None and image.suffix != ".md":
        raise ConfigError(f"{experiment.name} is a table without a picture: let the name of {image} end in .md.")
    text = _page(outcome, shown, None if shown.drawing is None else target.name)
    with replacing(page) as temporary:
        temporary.write_text(text, encoding="utf-8")
        if shown.drawing is not None:
            comparison.save(shown.drawing, target)
    return [page] if shown.drawing is None else [target, page]


def _page(outcome: FinishedRuns, shown: Shown, image: str | None) -> str:
    experiment = outcome.experiment
    picture = [f"![ours over the paper's]({image})"] if image else []
    parts = [
        f"# {experiment.title}: {experiment.asks}",
        f"The paper's: {experiment.caption}",
        *picture,
        " ".join(shown.notes),
        "## What came out",
        markdown(shown.table),
        "## What was run",
        markdown(pl.DataFrame(_run(outcome), schema=["setting", "value"], orient="row")),
        "## What differs from the paper",
        "\n".join(f"- {sentence}" for sentence in [*differences(experiment, outcome.plan), *_cores(outcome)]),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def markdown(table: pl.DataFrame) -> str:
    """Returns a table as Markdown; numbers are aligned to the right."""
    rules = ["--:" if kind.is_numeric() else "---" for kind in table.dtypes]
    rows = [list(table.columns), rules, *([_text(value) for value in row] for row in table.iter_rows())]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        if abs(value) >= 10_000:
            return f"{value:,.0f}"
        return f"{value:,.1f}" if abs(value) >= 1 or value == 0 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _run(outcome: FinishedRuns) -> list[tuple[str, str]]:
    """Returns protocol, size and machine, by name."""
    plan, runs = outcome.plan, outcome.runs
    settings = load.settings(outcome.paths(runs))
    cost = metrics.cost(load.progress(outcome.paths(runs))).collect()
    speeds = cost["frames_per_sec"].to_list()
    sessions = [session for run in outcome.paths(runs) for session in RunDir(run).sessions()]
    drawn = [f"{name} {value}" for name, value in plan.settings.items() if is_distribution(value)]
    about = [name for name in ("env", "protocol", "algo", "net", "optimizer", "actors", "t_max") if name in settings]
    rows = [(name, _distinct(settings[name])) for name in about]
    rows += [
        ("frames a run", f"{plan.frames or 0:,}"),
        ("draws x seeds", f"{plan.draws} x {plan.seeds}"),
        ("drawn", ", ".join(drawn) or "nothing"),
        ("runs done", f"{runs.height} of {len(plan.trials)}"),
        ("score", _score(outcome)),
        ("hours of training", f"{cost['hours'].sum():.2f}, all runs together"),
        ("frames a second", _distinct([f"{min(speeds):,.0f}", f"{max(speeds):,.0f}"], " to ") + " a run"),
    ]
    rows += [(name, _distinct([each.get(name) for each in sessions])) for name in ("cpu", "cores", "isa", "system")]
    rows.append(("a3crs", _distinct([each["versions"].get("a3crs") for each in sessions])))
    rows.append(("commit", _distinct([each.get("commit") for each in sessions])))
    return rows


def _score(outcome: FinishedRuns) -> str:
    if not outcome.experiment.evaluated:
        return "mean return of the last 100 episodes of training"
    evals = load.evals(outcome.paths(outcome.runs)).collect()
    return f"mean of {_distinct(evals['episodes'])} whole games with the last parameters, {evals['policy'][0]} policy"


def _cores(outcome: FinishedRuns) -> list[str]:
    """Returns a difference where actors shared cores: the paper's threads had one each."""
    sessions = [session for run in outcome.paths(outcome.runs) for session in RunDir(run).sessions()]
    cores, most = [session["cores"] for session in sessions if session.get("cores")], max(outcome.runs["actors"])
    if not cores or min(cores) >= most:
        return []
    return [f"{most} actors shared {counted(min(cores), 'core')}; the paper's threads had one each."]


def _distinct(values: Sequence[Any] | pl.Series, between: str = ", ") -> str:
    return between.join(dict.fromkeys("unknown" if value is None else str(value) for value in values))
