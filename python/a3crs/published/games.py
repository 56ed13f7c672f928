"""Names of Atari games: one parser for every spelling in use, and the titles that the paper prints."""

import csv
import re
from functools import cache
from importlib.resources import files


def spelling_key(name: str) -> str:
    """Returns the same key for every spelling of a game: `pong` for `Pong`, `ALE/Pong-v5` and `PongNoFrameskip-v4`."""
    bare = re.sub(r"-v\d+$", "", name.removeprefix("ALE/"))
    bare = re.sub(r"(NoFrameskip|Deterministic)$", "", bare)
    return re.sub(r"[^a-z0-9]", "", bare.lower())


def benchmark_game(env: str) -> str | None:
    """Returns the ALE name of one of the paper's 57 games in any spelling: `ALE/Pong-v5` is `pong`.

    None for every other environment.
    """
    return _by_key().get(spelling_key(env))


def title(env: str) -> str:
    """Returns the name of a game as the paper's tables print it; that of any other environment unchanged."""
    game = benchmark_game(env)
    return env if game is None else titles()[game]


@cache
def titles() -> dict[str, str]:
    """Titles of the 57 games in the paper's table S3, by ALE name."""
    table = files("a3crs.published").joinpath("data", "table_s3.csv").read_text(encoding="utf-8")
    return {row["game"]: row["title"] for row in csv.DictReader(table.splitlines())}


@cache
def _by_key() -> dict[str, str]:
    return {spelling_key(spelling): game for game, title in titles().items() for spelling in (game, title)}
