"""Columns of a run's logs. Each line is a JSON object; a missing value is null, never NaN.

`_steps` are agent decisions summed over the actors, `frames` emulator frames (4 a step in Atari games), `secs` seconds
of training including those before a resume. Returns are raw scores of whole episodes.
"""

import polars as pl

# A row for each whole episode, when it ends.
EPISODES = pl.Schema(
    {
        "steps": pl.Int64,  # T at the end of the episode
        "frames": pl.Int64,
        "secs": pl.Float64,
        "actor": pl.Int64,
        "explore_eps": pl.Float64,  # the actor's probability of a random action; null for a3c
        "episode_return": pl.Float64,
        "length_steps": pl.Int64,
    }
)

# A row for each unexpected event that did not stop the run: an update refused because it was not finite, an environment
# that a resumed run could not restore to its state, a policy that has collapsed.
INCIDENTS = pl.Schema(
    {
        "steps": pl.Int64,  # T
        "frames": pl.Int64,
        "secs": pl.Float64,
        "actor": pl.Int64,  # null for an event that concerns the whole run
        "what": pl.String,
    }
)

# A row about every 2 seconds, in deterministic runs every 10,000 steps; means are over the time since the previous row.
PROGRESS = pl.Schema(
    {
        "steps": pl.Int64,  # T
        "frames": pl.Int64,
        "secs": pl.Float64,
        "steps_per_sec": pl.Float64,
        "lr": pl.Float64,
        "episodes": pl.Int64,  # so far
        "return_mean_100": pl.Float64,  # of the last 100 episodes
        "return_best_100": pl.Float64,
        "length_mean_100": pl.Float64,  # steps
        "entropy": pl.Float64,  # nats; null without a policy, as policy_loss is
        "value_loss": pl.Float64,
        "policy_loss": pl.Float64,
        "clip_fraction": pl.Float64,  # of steps, 0..1; null for methods that clip no ratio
        "approx_kl": pl.Float64,  # nats, between the policy that acted and the one learned; null likewise
        "explained_variance": pl.Float64,  # of the returns by the values, at most 1; null without a policy
        "grad_norm": pl.Float64,  # before clipping
        "clipped_share": pl.Float64,  # of updates, 0..1
        "staleness": pl.Float64,  # updates by others between an actor's pull and its push
        "updates": pl.Int64,  # so far
        "refused_updates": pl.Int64,  # so far: their gradients were not finite
        "share_env": pl.Float64,  # of the time, 0..1; the five add up to 1
        "share_forward": pl.Float64,
        "share_backward": pl.Float64,
        "share_update": pl.Float64,
        "share_waiting": pl.Float64,
        "rss_mb": pl.Float64,  # resident memory, MiB
    }
)

# Columns of the progress that older runs' logs lack; they are read as null.
ADDED = frozenset({"clip_fraction", "approx_kl", "explained_variance"})

# A row for each evaluation of a checkpoint.
EVALS = pl.Schema(
    {  # type: ignore[arg-type]  # a type and a type with an inner type have no common name
        "steps": pl.Int64,  # of the checkpoint
        "frames": pl.Int64,
        "protocol": pl.String,
        "policy": pl.String,  # "sampled" or "greedy"
        "episodes": pl.Int64,
        "mean": pl.Float64,
        "median": pl.Float64,
        "stderr": pl.Float64,  # of the mean; null for a single episode
        "human_normalised": pl.Float64,  # percent; null where no reference is known
        "returns": pl.List(pl.Float64()),
        "checkpoint": pl.String,  # file name
    }
)

# A row for each worker process that died or hung and was restarted.
RESTARTS = pl.Schema(
    {
        "time": pl.String,  # ISO 8601, with the offset from UTC
        "actor": pl.Int64,
        "reason": pl.String,
    }
)
