"""`a3crs report`: one self-contained HTML file about one or more runs, which opens anywhere and loads nothing."""

import base64
import html
import json
import tempfile
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

import polars as pl

from a3crs.errors import A3crsError
from a3crs.files import replacing
from a3crs.report import number
from a3crs.rundir import RunDir
from a3crs.runlog import comparison, load, metrics

if TYPE_CHECKING:  # Matplotlib is imported when something is drawn
    from a3crs.runlog.figures import Drawing

CLIP_STEPS = 300  # so many steps of the agent are shown
MOST_CLIPS = 4  # of so many runs: each is some hundred kB
STYLE = Path(__file__).with_name("page.css")
PAGE = Template(
    """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>$title</title>
<style>
$style</style></head>
<body>
<h1>$title</h1>
$body</body>
</html>
"""
)


def write_report(runs: load.Runs, out: Path, *, with_clips: bool = True) -> list[str]:
    """Writes the file; what could not be shown is returned, a sentence each, and stands in the page too.

    Settings, learning curves with the paper's own, what the runs reached and took, evaluations, returns, where the time
    went, what went wrong, and a clip of each agent at play. ConfigError where there is no run or Matplotlib is missing,
    RunError where the file cannot be written.
    """
    directories = load.find(runs)
    of = comparison.labelled(directories)
    missing: list[str] = []
    sections = [
        ("Learning curves", _figure(comparison.draw(directories, of))),
        ("What they reached", _reached(directories, of)),
        ("Evaluations", _evaluations(directories)),
        ("Returns of all episodes", _figure(_returns(directories, of))),
        ("Where the time went", _figure(_times(directories))),
        ("The agents at play", _clips(directories, missing) if with_clips else ""),
        ("What went wrong", _incidents(directories)),
        ("Settings", _settings(directories)),
        ("Made with", _made_with(directories)),
    ]
    body = "".join(f"<h2>{title}</h2>\n{content}\n" for title, content in sections if content)
    envs = ", ".join(of["env"].unique(maintain_order=True))
    count = "one run" if len(directories) == 1 else f"{len(directories)} runs"
    page = PAGE.substitute(title=html.escape(f"{envs}: {count}"), style=STYLE.read_text(encoding="utf-8"), body=body)
    with replacing(out) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return missing


def table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """An HTML table; numbers are set to the right."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in header)
    lines = ["".join(_cell(value) for value in row) for row in rows]
    body = "\n".join(f"<tr>{line}</tr>" for line in lines)
    return f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>'


def _cell(value: Any) -> str:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    text = "-" if value is None else f"{value:,}" if isinstance(value, int) and is_number else str(value)
    right = is_number or text == "-" or text.replace(",", "").replace(".", "").lstrip("-").isdigit()
    return f"<td{' class=number' if right else ''}>{html.escape(text)}</td>"


def _figure(figure: "Drawing") -> str:
    svg = StringIO()
    figure.savefig(svg, format="svg", metadata={"Date": None})
    text = svg.getvalue()
    return f"<figure>{text[text.index('<svg') :]}</figure>"


def _reached(runs: list[Path], of: pl.DataFrame) -> str:
    rows = []
    for row in comparison.table(runs, of).iter_rows(named=True):
        interval = "-" if row["low"] is None or row["runs"] < 2 else f"{row['low']:.1f} to {row['high']:.1f}"
        figures = [number(row["score"], ".1f"), interval, number(row["human_normalised"], ".1f")]
        costs = [number(row["frames"], ",.0f"), number(row["hours"], ".2f"), number(row["frames_per_sec"], ",.0f")]
        rows.append([row["env"], row["label"], row["runs"], *figures, *costs])
    header = ["environment", "settings", "runs", "score", "95 % interval", "human %", "frames", "hours", "frames/s"]
    note = "<p>Score: mean of the last 100 episodes of training; of several runs, their interquartile mean.</p>"
    return table(header, rows) + note


def _evaluations(runs: list[Path]) -> str:
    rows = load.evals(runs).sort("run", "frames").collect()
    if rows.is_empty():
        return ""
    header = ["run", "frames", "protocol", "policy", "episodes", "mean", "standard error", "median", "human %"]
    lines = [
        [row["run"], row["frames"], row["protocol"], row["policy"], row["episodes"], number(row["mean"], ".1f")]
        + [number(row[name], ".1f") for name in ("stderr", "median", "human_normalised")]
        for row in rows.iter_rows(named=True)
    ]
    return table(header, lines)


def _returns(runs: list[Path], of: pl.DataFrame) -> "Drawing":
    from a3crs.runlog import figures

    episodes = load.episodes(runs).join(of.lazy().select("run", "env", "label"), on="run")
    bars = metrics.histogram(episodes, by=["env", "label"], per="env")
    return figures.returns(bars, label="label", panel="env")


def _times(runs: list[Path]) -> "Drawing":
    from a3crs.runlog import figures

    return figures.time_shares(metrics.time_shares(load.progress(runs)))


def _clips(runs: list[Path], missing: list[str]) -> str:
    shown = []
    for run in runs[:MOST_CLIPS]:
        try:
            shown.append(f"<figure>{_clip(run)}<figcaption>{html.escape(run.name)}</figcaption></figure>")
        except A3crsError as e:
            missing.append(f"{run} is not shown at play: {e}")
    if len(runs) > MOST_CLIPS:
        missing.append(f"The first {MOST_CLIPS} of {len(runs)} runs are shown at play.")
    return '<div class="clips">' + "".join(shown) + "</div>" + "".join(f"<p>{html.escape(m)}</p>" for m in missing)


def _clip(run: Path) -> str:
    from a3crs.agent import Agent
    from a3crs.video import Showing, record

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.gif"
        record(Agent.load(run), path, Showing(max_steps=CLIP_STEPS, overlay=True))
        data = base64.b64encode(path.read_bytes()).decode()
    return f'<img alt="the agent at play" src="data:image/gif;base64,{data}">'


def _incidents(runs: list[Path]) -> str:
    rows = load.incidents(runs).collect()
    lines = [[row["run"], row["frames"], row["actor"], row["what"]] for row in rows.iter_rows(named=True)]
    restarts = load.restarts(runs).collect()
    lines += [[row["run"], None, row["actor"], f"restarted: {row['reason']}"] for row in restarts.iter_rows(named=True)]
    return table(["run", "frames", "actor", "what"], lines) if lines else ""


def _settings(runs: list[Path]) -> str:
    """Those that differ first, a column a run while there are few."""
    settings = load.settings(runs)
    names = [name for name in settings.columns if name != "run"]
    names.sort(key=lambda name: settings[name].n_unique() == 1)
    if len(runs) <= MOST_CLIPS:
        return table(["setting", *settings["run"]], [[name, *map(str, settings[name])] for name in names])
    values = [", ".join(sorted(map(str, settings[name].unique()))) for name in names]
    return table(["setting", "values"], list(zip(names, values, strict=True)))


def _made_with(runs: list[Path]) -> str:
    rows = []
    for run in runs:
        sessions = json.loads(RunDir(run).meta.read_text(encoding="utf-8"))["sessions"]
        last = sessions[-1]
        made = [last.get(name) for name in ("cpu", "cores", "isa", "system")]
        rows.append([run.name, last["started"], len(sessions), last["versions"]["a3crs"], *made])
    return table(["run", "last started", "sessions", "a3crs", "processor", "cores", "instructions", "system"], rows)
