"""Sort key of labels, by the numbers in them."""

import re
from typing import Any

NUMBER = re.compile(r"(\d+(?:\.\d+)?(?:e[+-]?\d+)?)")


def by_numbers(label: Any) -> tuple[Any, ...]:
    """Returns a key for `sorted`: `actors 2` before `actors 16`, `lr 7e-05` before `lr 0.001`; None comes first."""
    if label is None:
        return (0,)
    if isinstance(label, (int, float)):
        return (1, label)
    words = NUMBER.split(str(label))
    return (2, *(float(word) if place % 2 else word for place, word in enumerate(words)))
