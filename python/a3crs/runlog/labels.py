"""Names of the log's columns in figures, and a sort key of labels, by the numbers in them."""

import re
from typing import Any

NUMBER = re.compile(r"(\d+(?:\.\d+)?(?:e[+-]?\d+)?)")


# Columns of the progress that tell how learning goes, with their units, in the order of the figure's panels.
MEASURES = {
    "policy_loss": "policy loss",
    "value_loss": "value loss",
    "explained_variance": "explained variance of returns",
    "entropy": "entropy (nats)",
    "approx_kl": "KL divergence of old and new policy (nats)",
    "clip_fraction": "share of steps with a clipped ratio",
    "grad_norm": "gradient norm before clipping",
    "staleness": "staleness (updates)",
    "lr": "learning rate",
}


def by_numbers(label: Any) -> tuple[Any, ...]:
    """Returns a key for `sorted`: `actors 2` before `actors 16`, `lr 7e-05` before `lr 0.001`; None comes first."""
    if label is None:
        return (0,)
    if isinstance(label, (int, float)):
        return (1, label)
    words = NUMBER.split(str(label))
    return (2, *(float(word) if place % 2 else word for place, word in enumerate(words)))
