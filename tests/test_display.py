import io

from a3crs import display, live
from a3crs.config import RunConfig
from a3crs.runlog.schema import PROGRESS

CONFIG = RunConfig(env="Pong", total_steps=1000)
EARLY = dict.fromkeys(PROGRESS, None) | {
    "steps": 0,
    "frames": 0,
    "secs": 0.1,
    "steps_per_sec": 0.0,
    "lr": 7e-4,
    "episodes": 0,
    "updates": 0,
    "refused_updates": 0,
}
LATER = EARLY | {
    "steps": 500,
    "frames": 2000,
    "steps_per_sec": 3000.0,
    "episodes": 12,
    "return_mean_100": -20.25,
    "return_best_100": -17.0,
    "entropy": 1.79,
    "value_loss": 0.0123,
    "explained_variance": 0.876,
    "staleness": 14.6,
}


def test_a_plain_line_has_every_figure():
    out = io.StringIO()
    live.plain(display.RunView(CONFIG), out).show(LATER)
    line = out.getvalue()
    for text in ("50.0%", "2,000 frames", "frames/s 12,000", "-20.2", "best -17.0", "entropy 1.790", "lr 7.00e-04"):
        assert text in line
    assert "value loss 0.0123" in line
    assert "explained variance 0.88" in line
    assert "staleness 14.6" in line


def test_figures_without_a_value_yet_are_dashes():
    assert dict(display.figures(EARLY))["return (100)"] == "- (best -)"
    assert not {"entropy", "explained variance"} & dict(display.figures(EARLY)).keys()  # nor in those of Q methods


def test_plain_lines_are_10_seconds_apart_but_the_last_is_always_there(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(live.time, "monotonic", lambda: clock[0])
    out = io.StringIO()
    plain = live.plain(display.RunView(CONFIG), out)
    for clock[0] in (0.0, 0.25, 9.75, 10.0, 10.25):
        plain.show(LATER)
    assert out.getvalue().count("\n") == 2
    for _ in range(2):
        plain.show(LATER | {"steps": 1019, "frames": 4076})
        assert out.getvalue().count("\n") == 3
    assert out.getvalue().splitlines()[-1].startswith("100.0%")


def test_the_live_display_draws_bar_and_figures():
    from rich.console import Console
    from rich.live import Live as RichLive

    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=100)
    view = display.RunView(CONFIG)
    with RichLive(console=console, auto_refresh=False) as drawing:
        shown = live.redrawn(view, drawing)
        shown.show(EARLY)
        shown.show(LATER)
    assert view.bar(LATER).tasks[0].completed == 500
    assert "a3c Pong" in out.getvalue()
    assert "-20.2" in out.getvalue()


def test_the_bar_of_a_resumed_run_starts_where_the_run_was():
    bar = display.RunView(CONFIG).bar(LATER)
    assert (bar.tasks[0].completed, bar.tasks[0].speed) == (500, None)
