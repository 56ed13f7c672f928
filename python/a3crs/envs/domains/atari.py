"""Row of the Atari games, which are in `a3crs.envs.atari`."""

from collections.abc import Iterable

from a3crs.envs.domain import Domain


def _names() -> Iterable[str]:
    from a3crs.envs.atari import display_name, games

    return map(display_name, games())


ATARI = Domain(
    name="Atari",
    about="the games above in any spelling: Pong, ALE/Pong-v5, PongNoFrameskip-v4",
    matches=lambda name: True,  # the entry point knows the spellings
    entry_point="a3crs.envs.atari:named_family",
    names=_names,
)
