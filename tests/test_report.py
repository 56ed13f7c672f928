import json
import re
from html.parser import HTMLParser

import pytest

from a3crs import Agent, report
from a3crs.report import table, write_report
from a3crs.runlog import load
from a3crs.runlog.schema import PROGRESS

SECTIONS = [
    "Learning curves",
    "What they reached",
    "Evaluations",
    "Returns of all episodes",
    "How learning went",
    "Where the time went",
    "The agents at play",
    "What went wrong",
    "Settings",
    "Made with",
]


class Page(HTMLParser):
    """Parsed page: its headings, the text of each cell by row, and the addresses that it would load."""

    def __init__(self, path):
        super().__init__()
        self.headings, self.rows, self.loaded = [], [], []
        self._in = None
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        self._in = tag
        if tag == "tr":
            self.rows.append([])
        for name, value in attributes:
            if name.split(":")[-1] in ("src", "href", "data", "srcset") and not value.startswith(("data:", "#")):
                self.loaded.append(value)

    def handle_data(self, data):
        if self._in == "h2":
            self.headings.append(data.strip())
        elif self._in in ("td", "th"):
            self.rows[-1].append(data)

    def handle_endtag(self, tag):
        self._in = None


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    """Run of CartPole with an evaluation, a restart and an incident; tests must not change it."""
    run = tmp_path_factory.mktemp("runs") / "cart&pole"
    Agent("CartPole-v1", actors=1).learn(steps=300, out=run, quiet=True).evaluate(episodes=2)
    (run / "restarts.jsonl").write_text('{"time": "2026-01-01T00:00:00+0000", "actor": 0, "reason": "it died"}\n')
    return run


@pytest.fixture(scope="module")
def whole(reported, tmp_path_factory):
    path = tmp_path_factory.mktemp("pages") / "report.html"
    assert write_report([reported], path) == []
    return path


def test_a_report_has_every_section(whole):
    assert Page(whole).headings == SECTIONS


def test_a_report_is_one_file_that_loads_nothing(whole):
    text = whole.read_text(encoding="utf-8")
    assert Page(whole).loaded == []
    assert not re.search(r"@import|url\((?!['\"]?#)|<script|<link", text)
    assert [path.name for path in whole.parent.iterdir()] == ["report.html"]
    assert text.count("<svg") == 4
    assert text.count("data:video/mp4;base64,AAAA") == 1


def test_its_tables_have_what_the_logs_have(whole, reported):
    rows = Page(whole).rows
    assert ["CartPole-v1", "a3c", "1"] in [row[:3] for row in rows]
    frames = load.evals(reported).collect()["frames"].item()
    assert [reported.name, str(frames), "-", "sampled", "2"] in [row[:5] for row in rows]
    assert [reported.name, "-", "0", "restarted: it died"] in rows
    assert ["value_coef", "0.5"] in rows
    assert [reported.name, "1", "0.1.0"] in [[row[0], *row[2:4]] for row in rows]


def test_what_comes_from_outside_is_no_markup(whole):
    text = whole.read_text(encoding="utf-8")
    assert "cart&amp;pole" in text
    assert "cart&pole" not in text
    assert "&lt;b&gt;" in table(["<b>"], [["<b>"]])
    assert "<b>" not in table(["<b>"], [["<b>"]])


def test_measures_have_a_figure_for_each_environment_that_has_any(written, tmp_path):
    for env in ("Pong", "CartPole-v1"):
        written(f"runs/{env}", env=env)
    out = tmp_path / "report.html"
    write_report(tmp_path / "runs", out, with_clips=False)
    text = out.read_text(encoding="utf-8")
    assert "<p>CartPole-v1</p><figure>" in text
    assert "<p>Pong</p><figure>" in text
    for run in (tmp_path / "runs").iterdir():  # no update has been made yet
        (run / "progress.jsonl").write_text(json.dumps(dict.fromkeys(PROGRESS) | {"frames": 5, "secs": 1.0}) + "\n")
    write_report(tmp_path / "runs", out, with_clips=False)
    assert "How learning went" not in Page(out).headings


def test_settings_that_differ_come_first(written, tmp_path):
    for seed in (2, 10, 1):
        written(f"runs/{seed}", seed=seed)
    out = tmp_path / "report.html"
    write_report(tmp_path / "runs", out, with_clips=False)
    rows = Page(out).rows
    assert rows[rows.index(["setting", "1", "10", "2"]) + 1] == ["seed", "1", "10", "2"]
    for lr in (1e-2, 1e-1):
        written(f"runs/{lr}", lr=lr)
    write_report(tmp_path / "runs", out, with_clips=False)
    rows = Page(out).rows
    assert sorted(rows[rows.index(["setting", "values"]) + 1 :][:2]) == [
        ["lr", "0.001, 0.01, 0.1"],
        ["seed", "0, 1, 2, 10"],
    ]


@pytest.mark.parametrize("versions", ["null", '"x"', "[1]"])
def test_a_damaged_meta_json_does_not_cost_the_report(written, tmp_path, versions):
    run = written("run")
    (run / "meta.json").write_text(f'{{"sessions": [{{"started": "2026-01-01T00:00:00", "versions": {versions}}}]}}')
    (sentence,) = write_report(run, tmp_path / "report.html", with_clips=False)
    assert sentence == f"{run / 'meta.json'} is damaged: remove it, and the run can go on."


def test_an_agent_that_cannot_be_filmed_does_not_cost_the_report(reported, tmp_path, monkeypatch):
    def fail(*_):
        raise ValueError("no GL context")

    monkeypatch.setattr("a3crs.video.record", fail)
    (sentence,) = write_report(reported, tmp_path / "report.html")
    assert sentence == f"{reported} is not shown at play: ValueError: no GL context"


def test_what_cannot_be_shown_is_told(a3crs, written, tmp_path):
    run = written("run")
    (run / "meta.json").write_text("{")
    code, out, err = a3crs("report", run, "-o", tmp_path / "report.html")
    assert (code, out) == (0, f"{tmp_path / 'report.html'}\n")
    assert f"a3crs: {run} is not shown at play: " in err
    assert "meta.json is damaged" in err
    shown = Page(tmp_path / "report.html")
    assert shown.headings[-1] == "What is not here"
    assert "The agents at play" not in shown.headings
    assert ["run", "-", "0", "-"] in [row[:4] for row in shown.rows]


def test_only_so_many_agents_are_shown_at_play(reported, tmp_path, monkeypatch):
    monkeypatch.setattr(report, "MOST_CLIPS", 1)
    monkeypatch.setattr(report, "CLIP_STEPS", 3)
    again = tmp_path / "again"
    Agent.load(reported).learn(steps=100, out=again, quiet=True)
    (sentence,) = write_report([reported, again], tmp_path / "report.html")
    assert sentence == "Only the first 1 of 2 runs are shown at play."


def test_columns_of_numbers_are_set_to_the_right():
    cells = re.findall(r"<td( class=number)?>", table(["a", "b", "c"], [["x", 1, "-"], ["2", None, "1,000.5"]]))
    assert [bool(cell) for cell in cells] == [False, True, True] * 2


def test_a_report_that_cannot_be_written_leaves_nothing(a3crs, written, tmp_path):
    run = written("run")
    code, _, err = a3crs("report", run, "--no-clips", "-o", run / "config.json" / "report.html")
    assert code == 1
    assert err.endswith("config.json is a file, not a folder.\n")
