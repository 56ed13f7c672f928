import json

import pytest

from a3crs.runlog.schema import PROGRESS


@pytest.fixture
def written(tmp_path):
    """Writes a run's logs: `written("name", returns=[...], lr=...)`; an episode ends every 1000 frames, 3.6 s apart."""

    def write(name, returns=(1.0, 2.0, 3.0, 4.0), **settings):
        run = tmp_path / name
        run.mkdir(parents=True)
        config = {"env": "Pong", "algo": "a3c", "actors": 1, "lr": 1e-3, "seed": 0, "total_steps": 9}
        (run / "config.json").write_text(json.dumps(config | settings))
        episodes, progress = [], []
        for number, value in enumerate(returns, 1):
            when = {"steps": 250 * number, "frames": 1000 * number, "secs": 3.6 * number}
            about = {"actor": 0, "explore_eps": None, "episode_return": value, "length_steps": 250}
            episodes.append(when | about)
            shares = {"share_env": 0.5, "share_forward": 0.25, "share_backward": 0.125}
            shares |= {"share_update": 0.125, "share_waiting": 0.0}
            what = {"return_mean_100": value, "updates": 50 * number, "staleness": float(number)} | shares
            progress.append(dict.fromkeys(PROGRESS) | when | what)
        for log, rows in (("episodes", episodes), ("progress", progress)):
            (run / f"{log}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return run

    return write
