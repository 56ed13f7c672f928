"""TensorBoard's event files of a run's logs, over agent steps."""

import tempfile
from datetime import datetime
from pathlib import Path

import polars as pl
from tensorboardX import SummaryWriter

from a3crs.agent import Agent
from a3crs.errors import ConfigError, RunError
from a3crs.rundir.names import TENSORBOARD
from a3crs.runlog import load
from a3crs.runlog.schema import PROGRESS

NOT_DRAWN = ("steps", "secs", "frames")


def write_events(agent: Agent, out: Path | None) -> str:
    """Writes an event file into the folder `out`; the default is `tensorboard` in the run's directory."""
    if agent.run is None:
        raise ConfigError("TensorBoard shows logs, and a saved agent has none: name the run it comes from.")
    run = agent.run.path
    folder = out or run / TENSORBOARD
    sessions = agent.run.sessions()
    begun = datetime.fromisoformat(sessions[0]["started"]).timestamp() if sessions else agent.run.config.stat().st_mtime
    scalars = [(f"progress/{name}", load.progress(run), name) for name in PROGRESS if name not in NOT_DRAWN] + [
        (f"episodes/{name}", load.episodes(run), name) for name in ("episode_return", "length_steps")
    ]
    scalars += [(f"evals/{name}", load.evals(run), name) for name in ("mean", "median", "human_normalised")]
    points = 0
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
            with SummaryWriter(temporary) as writer:
                for tag, frame, column in scalars:
                    rows = frame.select("steps", _secs(frame), column).collect().drop_nulls(column)
                    for steps, secs, value in rows.iter_rows():
                        writer.add_scalar(tag, value, steps, walltime=begun + (secs or 0.0))
                    points += rows.height
            for old in folder.glob("events.out.tfevents.*"):  # of an earlier export
                old.unlink()
            for new in Path(temporary).iterdir():
                new.replace(folder / new.name)
    except OSError as e:
        raise RunError(f"{folder} cannot be written: {e.strerror or e}.") from e
    return f"{folder}: {points:,} points; see them with: tensorboard --logdir {folder}"


def _secs(frame: pl.LazyFrame) -> pl.Expr:
    return pl.col("secs") if "secs" in frame.collect_schema() else pl.lit(None, pl.Float64).alias("secs")
