"""Comparison of many runs: runs that differ only in their seeds share a curve and a row of the table.

`a3crs plot` and `a3crs compare` use this module; a notebook may call it as well.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from a3crs.errors import ConfigError, did_you_mean
from a3crs.files import replacing
from a3crs.published import paper
from a3crs.published.games import benchmark_game
from a3crs.runlog import intervals, load, metrics
from a3crs.runlog.labels import by_numbers
from a3crs.runlog.references import human_normalised

if TYPE_CHECKING:
    from a3crs.runlog.drawing import Drawing

AXES = ("frames", "steps", "hours")

# Settings that do not distinguish experiments: the seed, the length, and how a run is saved and supervised.
INCIDENTAL = {"seed", "total_steps", "checkpoint_secs", "keep_checkpoints", "env_workers"}
INCIDENTAL |= {"env_timeout_secs", "env_restarts"}


def labelled(runs: load.Runs) -> pl.DataFrame:
    """Returns a row for each run: `run`, env, algo, actors and `label`, the settings that differ within an environment.

    Runs with the same label differ only in their seeds or lengths. What follows from a preset is not in the label, nor
    is the preset where it follows from the method.
    """
    settings = load.settings(runs)
    telling = [name for name in settings.columns if name not in INCIDENTAL | {"run", "env"}]
    values = settings.group_by("env").agg(pl.col(telling).n_unique())  # each environment has its own settings
    differing = [name for name in telling if name == "algo" or (values[name] > 1).any()]
    if "preset" in differing:
        of_preset = settings.group_by("env", "preset").agg(pl.col(differing).exclude("preset").n_unique())
        differing = [name for name in differing if name in ("algo", "preset") or (of_preset[name] > 1).any()]
        if settings.group_by("env", "algo").agg(pl.col("preset").n_unique())["preset"].max() == 1:
            differing.remove("preset")
    words = [_words(settings[name]) for name in differing]
    label = pl.concat_str(words, separator=", ", ignore_nulls=True)
    return settings.select("run", "env", "algo", "actors", label=label)


def _words(column: pl.Series) -> pl.Series:
    """Returns the value alone where it is a name (of a method, a network), else text such as `lr 0.001`."""
    if column.name in ("algo", "net", "optimizer"):
        return column
    text = column.cast(pl.String)
    if column.dtype.is_float():
        short = pl.Series(column.name, [None if value is None else f"{value:.4g}" for value in column], dtype=pl.String)
        text = short if short.n_unique() == column.n_unique() else text
    return f"{column.name} " + text


def sides(named: Mapping[str, load.Runs]) -> pl.DataFrame:
    """Returns a frame like that of `labelled`; the label of a run is the name under which it was found."""
    where: dict[Path, str] = {}
    seen = set()
    for name, runs in named.items():
        for path in load.find(runs):
            if path.resolve() in seen:
                raise ConfigError(f"{path} is on two sides: name each run once.")
            seen.add(path.resolve())
            where[path] = name
    about = load.settings(list(where), ["env", "algo", "actors"])
    return about.with_columns(label=pl.Series([where[path] for path in sorted(where)]))


def differences(runs: load.Runs, of: pl.DataFrame) -> pl.DataFrame:
    """Returns a row for each setting in which labels differ, a column for each label; null means several values."""
    settings = load.settings(runs)
    labels = of["label"].unique(maintain_order=True)
    rows = []
    for name in settings.drop("run").columns:
        about = of.select("run", "label").join(settings.select("run", value=pl.col(name).cast(pl.String)), on="run")
        values = {label: set(about.filter(pl.col("label") == label)["value"].fill_null("unknown")) for label in labels}
        if any(others != values[labels[0]] for others in values.values()):
            rows.append([name, *(min(each) if len(each) == 1 else None for each in values.values())])
    return pl.DataFrame(
        rows, schema=["setting", *labels], orient="row", schema_overrides=dict.fromkeys(labels, pl.String)
    )


def curves(runs: load.Runs, of: pl.DataFrame, x: str = "frames", *, bins: int = 60) -> pl.LazyFrame:
    """Returns a learning curve for each environment and label: the runs' interquartile mean with a 95 % interval.

    `of` is a frame from `labelled` or `sides`. Columns: env, label, x, episode_return, low, high, runs.
    """
    about = of.lazy().select("run", "env", "label")
    episodes = load.episodes(runs).join(about, on="run")
    each = metrics.curves(episodes, x, by=["run", "env", "label"], per="env", bins=bins)
    return intervals.across_runs(each, "episode_return", by=["env", "label", x], resamples=400)


def table(runs: load.Runs, of: pl.DataFrame) -> pl.DataFrame:
    """Returns a row for each environment and label.

    Columns: env, label, runs, score (interquartile mean over runs of the mean of the last 100 episodes), low, high (its
    95 % interval), human_normalised (percent; null where no reference is known), frames, hours and frames_per_sec
    (means).
    """
    about = of.lazy().select("run", "env", "label")
    keys = ["env", "label"]
    scores = metrics.scores(load.episodes(runs).join(about, on="run"), by=["run", *keys])
    across = human_normalised(intervals.across_runs(scores, "score", by=keys).drop("runs"))
    costs = metrics.cost(load.progress(runs)).join(about, on="run").group_by(keys)
    means = costs.agg(pl.col("frames", "hours", "frames_per_sec").mean())
    every = about.group_by(keys).agg(runs=pl.len())
    columns = ["runs", "score", "low", "high", "human_normalised", "frames", "hours", "frames_per_sec"]
    rows = every.join(means, on=keys, how="left").join(across, on=keys, how="left")
    found = rows.select(*keys, *columns).collect()
    return found[sorted(range(found.height), key=lambda i: [by_numbers(found[key][i]) for key in keys])]


def draw(runs: load.Runs, of: pl.DataFrame, x: str = "frames", *, with_paper: bool = True) -> "Drawing":
    """Draws the curves, a panel for each environment, with the paper's own of the same game and method behind them."""
    if x not in AXES:
        raise ConfigError(f"The axis is {x!r}{did_you_mean(x, AXES)}, but it must be one of {', '.join(AXES)}.")
    from a3crs.runlog import figures

    against = paper_curves(of, x) if with_paper else None
    return figures.learning_curves(curves(runs, of, x), x, label="label", panel="env", against=against)


def paper_curves(of: pl.DataFrame, x: str) -> pl.DataFrame | None:
    """Returns the paper's curves of 16 threads of the same games and methods.

    They are those of figure 1 over hours, of figures 3 and S9 over frames. Over steps the paper has no curves, and the
    result is None.
    """
    numbers: Sequence[str] = {"hours": ("1",), "frames": ("3", "S9")}.get(x, ())
    if not numbers:
        return None
    every = pl.concat(paper.curves(number, actors=16) for number in numbers)
    games = {benchmark_game(env) for env in of["env"]}
    return every.filter(pl.col("game").is_in(games) & pl.col("algo").is_in(of["algo"].unique().to_list()))


def save(figure: "Drawing", path: Path) -> None:
    """Writes the image atomically.

    Raises ConfigError for an unknown suffix, RunError where the file cannot be written.
    """
    kinds = figure.canvas.get_supported_filetypes()
    kind = path.suffix.removeprefix(".").lower()
    if kind not in kinds:
        raise ConfigError(f"{path} is no image that can be written: let its name end in .png, .svg or .pdf.")
    with replacing(path) as temporary:
        figure.savefig(temporary, format=kind)
