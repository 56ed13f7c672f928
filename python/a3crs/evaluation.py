"""Evaluation of a checkpoint: whole games, raw scores, no-op starts where the protocol has them."""

import os
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from a3crs import _core
from a3crs.config import RunConfig
from a3crs.envs import EnvFamily, EnvSpec, Mode, resolve
from a3crs.errors import ConfigError
from a3crs.files import append_row
from a3crs.published.atari57 import references
from a3crs.rundir import RunDir

if TYPE_CHECKING:
    from a3crs.envs.gym_env import MakeEnv


MOST_EPISODES = 10**6
MOST_SEED = 2**63 - 1  # as in training


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Options of an evaluation. The paper does not say whether it sampled the policy; sampling is what others do."""

    episodes: int = 30
    greedy: bool = False
    seed: int = 0  # episode i starts from seed + i
    checkpoint: Path | str | None = None  # None: the newest one

    def __post_init__(self) -> None:
        for name, low, high in (("episodes", 1, MOST_EPISODES), ("seed", 0, MOST_SEED)):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"{name} is {value}, but it must be between {low} and {high:g}.")


def evaluate(run: Path | str, *, env: "MakeEnv | None" = None, **how: Any) -> dict[str, Any]:
    """Plays whole games with a run's newest checkpoint: `evaluate("runs/pong", episodes=10, greedy=True)`.

    `how` are fields of `Evaluation`; `env` makes the environment where the run was started with a callable. Returns a
    row as in `runlog.schema.EVALS`.
    """
    return evaluate_run(Path(run), Evaluation(**how), env=env)


def evaluate_run(
    path: Path,
    how: Evaluation,
    *,
    env: "MakeEnv | None" = None,
    on_episode: Callable[[dict[str, Any]], None] = lambda row: None,
) -> dict[str, Any]:
    """Plays whole games with a run's checkpoint; appends the returned row to evals.jsonl (`runlog.schema.EVALS`).

    `env` makes the environment where the run was started with a callable.
    `on_episode` is called as each game ends, with `{"episode", "seed", "return", "length_steps"}`.
    """
    run = RunDir(path)
    config = run.read_config()
    checkpoint = run.checkpoint(Path(how.checkpoint)) if how.checkpoint else run.newest_checkpoint()[0]
    row = play(config, resolve(config, Mode.EVALUATION, env), checkpoint, how, on_episode)
    append_row(run.evals, row)
    return row


def play(
    config: RunConfig,
    family: EnvFamily,
    checkpoint: Path,
    how: Evaluation,
    on_episode: Callable[[dict[str, Any]], None] = lambda row: None,
) -> dict[str, Any]:
    """Plays the games of an evaluation and returns its row; `family` is one for evaluation."""
    steps = _core.read_checkpoint(str(checkpoint))["steps"]
    played = _core.evaluate(
        config.core_json(),
        family.spec.to_json(),
        family.make,
        str(checkpoint),
        how.episodes,
        min(how.episodes, os.cpu_count() or 1),
        how.seed,
        how.greedy,
        on_episode,
    )
    return {
        "steps": steps,
        "frames": steps * family.spec.frames_per_step,
        "protocol": config.protocol if family.spec.game else None,
        "policy": "greedy" if how.greedy else "sampled",
        **summarise([episode["return"] for episode in played], family.spec),
        "checkpoint": checkpoint.resolve().name,
    }


def summarise(returns: list[float], spec: EnvSpec) -> dict[str, Any]:
    """Returns mean, median, standard error of the mean (null for one episode) and human-normalised mean in percent.

    The human and random references are those of no-op starts. The human-normalised mean is null for games without them,
    and for other environments.
    """
    mean = statistics.fmean(returns)
    reference = references().get(spec.game or "")
    return {
        "episodes": len(returns),
        "mean": mean,
        "median": statistics.median(returns),
        "stderr": statistics.stdev(returns) / len(returns) ** 0.5 if len(returns) > 1 else None,
        "human_normalised": reference.human_normalised(mean) if reference else None,
        "returns": returns,
    }
