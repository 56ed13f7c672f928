"""Benchmark of training against its environments alone, for several numbers of actors."""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from a3crs import _core
from a3crs.config import TrainConfig
from a3crs.envs import Mode, resolve
from a3crs.errors import RunError
from a3crs.preparation import prepare


def bench_actors(
    config: TrainConfig,
    actors: Sequence[int],
    secs: float,
    on_row: Callable[[dict[str, Any]], None] = lambda row: None,
) -> dict[str, Any]:
    """Measures for `secs` with each number of actors.

    Returns `{"env", "isa", "cores", "rows": [...], "network": {"forward_us", "update_us"}}`; a row has `actors`,
    `emulator_steps_per_sec` (same environments, random actions, no network), `train_steps_per_sec`, their `ratio`, and
    the shares of time of environment, forward, backward, update and waiting. `on_row` is called with each row.
    """
    family = resolve(config, Mode.TRAINING)
    complete = [prepare(config.changed(actors=count), family=family).config for count in actors]
    network = _core.bench_network(complete[0].core_json(), family.spec.to_json())
    rows = []
    for each in complete:
        row = _core.bench(each.core_json(), family.spec.to_json(), family.make, secs)
        rows.append(row)
        on_row(row)
    return {"env": family.spec.name, "isa": _core.isa(), "cores": os.cpu_count(), "rows": rows, "network": network}


def write_figures(path: Path, figures: dict[str, Any]) -> None:
    """Writes the result of `bench_actors` as JSON."""
    try:
        path.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    except OSError as e:
        raise RunError(f"{path} cannot be written: {e.strerror}.") from e
