"""`a3crs report`: one self-contained HTML file about one or more runs, without external resources."""

import base64
import html
import re
import tempfile
from collections.abc import Iterable, Sequence
from io import StringIO
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

import polars as pl

from a3crs.errors import A3crsError, ConfigError, RunError
from a3crs.files import replacing
from a3crs.rundir import RunDir
from a3crs.runlog import comparison, load, metrics
from a3crs.runlog.labels import MEASURES, by_numbers
from a3crs.wording import number

if TYPE_CHECKING:  # Matplotlib is imported when something is drawn
    from a3crs.runlog.drawing import Drawing

CLIP_STEPS, CLIP_WIDTH = 300, 320  # at most so many agent steps and pixels a clip
MOST_CLIPS = 4  # each is a few MB at most
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
    """Writes the file; returns what could not be shown, a sentence each, which the page contains too.

    The page has the settings, learning curves with the paper's own, the runs' results and cost, evaluations, returns,
    losses and other measures of learning, the shares of time, incidents, and a clip of each agent's play. Raises
    ConfigError where there is no run or Matplotlib is missing, RunError where the file cannot be written.
    """
    if out.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"{out} is no name for a report: let it end in .html.")
    directories = load.find(runs)
    of = comparison.labelled(directories)
    missing: list[str] = []
    sections = [
        ("Learning curves", _figure(comparison.draw(directories, of))),
        ("What they reached", _reached(directories, of)),
        ("Evaluations", _evaluations(directories)),
        ("Returns of all episodes", _figure(_returns(directories, of))),
        ("How learning went", _measures(directories, of)),
        ("Where the time went", _figure(_times(directories))),
        ("The agents at play", _clips(directories, missing) if with_clips else ""),
        ("What went wrong", _incidents(directories)),
        ("Settings", _settings(directories)),
        ("Made with", _made_with(directories, missing)),
    ]
    sections.append(("What is not here", "".join(f"<p>{html.escape(sentence)}</p>" for sentence in missing)))
    body = "".join(f"<h2>{title}</h2>\n{content}\n" for title, content in sections if content)
    envs = ", ".join(of["env"].unique(maintain_order=True))
    count = "one run" if len(directories) == 1 else f"{len(directories)} runs"
    page = PAGE.substitute(title=html.escape(f"{envs}: {count}"), style=STYLE.read_text(encoding="utf-8"), body=body)
    with replacing(out) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return missing


def table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Returns an HTML table; columns of numbers are aligned to the right."""
    columns = list(zip(*rows, strict=True))
    sides = [" class=number" if all(map(_is_number, column)) else "" for column in columns]
    lines = [_line("th", header, sides), *(_line("td", map(_text, row), sides) for row in rows)]
    head, body = lines[0], "\n".join(lines[1:])
    return f'<div class="wide"><table>\n<thead>{head}</thead>\n<tbody>\n{body}\n</tbody></table></div>'


def _line(tag: str, cells: Iterable[str], sides: Sequence[str]) -> str:
    inner = "".join(f"<{tag}{side}>{html.escape(text)}</{tag}>" for text, side in zip(cells, sides, strict=True))
    return f"<tr>{inner}</tr>"


def _is_number(value: Any) -> bool:
    return value is None or re.fullmatch(r"-|-?[\d,.]+", _text(value)) is not None


def _text(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return "-" if value is None else str(value)


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


def _measures(runs: list[Path], of: pl.DataFrame) -> str:
    """Returns a figure for each environment; nothing where the logs have no measure yet."""
    progress = load.progress(runs).join(of.lazy().select("run", "env", "label"), on="run")
    measured = metrics.measures(progress, list(MEASURES), by=["env", "label"], per="env").collect()
    if measured.is_empty():
        return ""
    from a3crs.runlog import figures

    shown = []
    for (env,), rows in measured.group_by("env", maintain_order=True):
        several = "" if measured["env"].n_unique() == 1 else f"<p>{html.escape(str(env))}</p>"
        shown.append(several + _figure(figures.measures(rows, label="label")))
    return "".join(shown) + "<p>Means of all runs of a curve; a method has the panels of what it measures.</p>"


def _times(runs: list[Path]) -> "Drawing":
    from a3crs.runlog import figures

    return figures.time_shares(metrics.time_shares(load.progress(runs)))


def _clips(runs: list[Path], missing: list[str]) -> str:
    shown = []
    for run in runs[:MOST_CLIPS]:
        try:
            shown.append(f"<figure>{_clip(run)}<figcaption>{html.escape(run.name)}</figcaption></figure>")
        except Exception as e:  # an environment may raise anything; the report is useful without its clip
            said = str(e) if isinstance(e, A3crsError) else f"{type(e).__name__}: {e}"
            missing.append(f"{run} is not shown at play: {said}")
    if len(runs) > MOST_CLIPS:
        missing.append(f"Only the first {MOST_CLIPS} of {len(runs)} runs are shown at play.")
    return f'<div class="clips">{"".join(shown)}</div>' if shown else ""


def _clip(run: Path) -> str:
    from a3crs.agent import Agent
    from a3crs.video import Showing, record

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        record(Agent.load(run), path, Showing(max_steps=CLIP_STEPS, most_width=CLIP_WIDTH, overlay=True))
        data = base64.b64encode(path.read_bytes()).decode()
    return f'<video controls loop muted src="data:video/mp4;base64,{data}"></video>'


def _incidents(runs: list[Path]) -> str:
    rows = load.incidents(runs).collect()
    lines = [[row["run"], row["frames"], row["actor"], row["what"]] for row in rows.iter_rows(named=True)]
    restarts = load.restarts(runs).collect()
    lines += [[row["run"], None, row["actor"], f"restarted: {row['reason']}"] for row in restarts.iter_rows(named=True)]
    return table(["run", "frames", "actor", "what"], lines) if lines else ""


def _settings(runs: list[Path]) -> str:
    """Returns the table of settings: those that differ come first; a few runs have a column each."""
    settings = load.settings(runs)
    names = [name for name in settings.columns if name != "run"]
    names.sort(key=lambda name: settings[name].n_unique() == 1)
    if len(runs) <= MOST_CLIPS:
        return table(["setting", *settings["run"]], [[name, *map(str, settings[name])] for name in names])
    values = [", ".join(map(str, sorted(settings[name].unique(), key=by_numbers))) for name in names]
    return table(["setting", "values"], list(zip(names, values, strict=True)))


def _made_with(runs: list[Path], missing: list[str]) -> str:
    rows = []
    for run in runs:
        try:
            sessions = RunDir(run).sessions()
        except RunError as e:  # the logs are worth a report without it
            missing.append(str(e))
            sessions = []
        last = sessions[-1] if sessions else {}
        made = [last.get("versions", {}).get("a3crs"), *(last.get(name) for name in ("cpu", "cores", "isa", "system"))]
        rows.append([run.name, last.get("started"), len(sessions), *made])
    return table(["run", "last started", "sessions", "a3crs", "processor", "cores", "instructions", "system"], rows)
