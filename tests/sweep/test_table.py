import io
import json

import pytest

from a3crs import live
from a3crs.sweep import table
from a3crs.sweep.plan import Plan

PLAN = Plan.drawn({"env": "CartPole-v1", "lr": "loguniform:1e-4:1e-2"}, draws=3, seeds=2)


def run(sweep, name, steps, score, failed=False):
    """Writes the directory of a trial after so many of its 100 steps."""
    (sweep / name / "checkpoints").mkdir(parents=True, exist_ok=True)
    (sweep / name / "config.json").write_text('{"total_steps": 100}')
    (sweep / name / "progress.jsonl").write_text(json.dumps({"steps": steps, "return_mean_100": score}) + '\n{"st')
    (sweep / name / "checkpoints" / f"step_{steps:010}.safetensors").touch()
    if failed:
        (sweep / name / "failure.txt").write_text("The sky fell.\n")


@pytest.fixture
def half_done(tmp_path):
    run(tmp_path, "draw000__s0", 100, 20.0)
    run(tmp_path, "draw001__s0", 100, 30.0)
    run(tmp_path, "draw001__s1", 100, 32.0)
    run(tmp_path, "draw000__s1", 50, 99.0)
    run(tmp_path, "draw002__s0", 10, 99.0, failed=True)
    return tmp_path


def test_a_line_counts_the_trials_and_names_the_best_draw(half_done, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(table.time, "monotonic", lambda: now[0])
    out = io.StringIO()
    plain = live.plain(table.SweepView(table.Progress(PLAN, half_done)), out)
    running = [half_done / "draw000__s1"]
    plain.show(running)
    now[0] = 5.0
    plain.show(running)  # too soon for another line
    assert out.getvalue() == "3 done, 1 running, 1 failed, 1 waiting, ETA -, best draw001 31.0\n"
    run(half_done, "draw000__s1", 80, 99.0)  # 0.3 of a trial in 10 s: 1.2 are left, 40 s
    now[0] = 10.0
    plain.show(running)
    assert out.getvalue().splitlines()[1].startswith("3 done, 1 running, 1 failed, 1 waiting, ETA 0:00:40")


def test_the_live_table_has_the_best_draws_first(half_done):
    from rich.console import Console

    shown = [table.SweepView(table.Progress(PLAN, half_done)).picture([])]
    console = Console(file=io.StringIO(), width=80)
    console.print(shown[0])
    text = console.file.getvalue()
    assert text.index("31.0") < text.index("20.0")
    assert "99.0" not in text  # the score of an unfinished trial and of a failed one
    assert "3 done, 0 running, 1 failed, 2 waiting" in text
    assert f"lr {PLAN.trials[2].settings['lr']:.4g}" in text
