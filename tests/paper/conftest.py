import json

import pytest

from a3crs.paper import experiment
from a3crs.paper.scale import plan_of
from a3crs.runlog.schema import PROGRESS
from a3crs.sweep.plan import save

FRAMES = 4000


@pytest.fixture
def finished(tmp_path):
    """Writes the files of an experiment's finished runs: `finished("fig2", scale, returns=lambda settings: [...])`.

    A run has 4,000 frames, with an episode for each return; `frames_per_sec` gives the speed for a run's settings.
    """

    def write(name, scale, returns, frames_per_sec=lambda settings: 1000.0):
        out = tmp_path / name
        out.mkdir()
        plan = plan_of(experiment(name), scale)
        save(out, plan)
        for trial in plan.trials:
            _write(out / trial.name, trial.settings, returns(trial.settings), frames_per_sec(trial.settings))
        return out

    return write


def _write(run, settings, returns, frames_per_sec):
    (run / "checkpoints").mkdir(parents=True)
    (run / "checkpoints" / "step_0000001000.safetensors").touch()
    config = {
        "net": "ff",
        "optimizer": "shared-rmsprop",
        "env_kwargs": {},
        "protocol": "atari2016",
        "t_max": 5,
        "lr": 7e-4,
    }
    (run / "config.json").write_text(json.dumps(config | settings | {"total_steps": 1000}))
    session = {
        "started": "2026-01-01T00:00:00+0000",
        "cpu": "A processor",
        "cores": 2,
        "isa": "avx2",
        "system": "Linux",
        "versions": {"a3crs": "0.1.0"},
    }
    (run / "meta.json").write_text(json.dumps({"sessions": [session | {"commit": None}]}))
    episodes, progress = [], []
    for number, value in enumerate(returns, 1):
        frames = FRAMES * number // len(returns)
        when = {"steps": frames // 4, "frames": frames, "secs": frames / frames_per_sec}
        episodes.append(
            when | {"actor": 0, "explore_eps": None, "episode_return": float(value), "length_steps": frames // 4}
        )
        row = {"episodes": 99 + number, "return_mean_100": float(value), "updates": number}
        progress.append(dict.fromkeys(PROGRESS) | when | row)
    for log, rows in (("episodes", episodes), ("progress", progress)):
        (run / f"{log}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
