"""The 57 benchmark games and their reference scores under no-op starts (the table of DeepMind's dqn_zoo)."""

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True)
class Reference:
    """Scores of one game, in points of a whole game."""

    random: float  # uniformly random actions
    human: float  # a professional human tester

    def human_normalised(self, score: float) -> float:
        """`100 (score - random) / (human - random)`, in percent (paper, section 5.1 and Table 1)."""
        return 100.0 * (score - self.random) / (self.human - self.random)


@cache
def references() -> dict[str, Reference]:
    """The references by ALE name (`ms_pacman`).

    Video Pinball's random player scores about as much as its human one, so the plain formula blows up. The paper's
    own Table 1 comes out exactly only with a random score of 0 for this game; the same convention is used here.
    """
    table = files("a3crs").joinpath("atari57.csv").read_text(encoding="utf-8")
    rows = {row["game"]: row for row in csv.DictReader(table.splitlines())}
    rows["video_pinball"]["random"] = "0"
    return {game: Reference(float(row["random"]), float(row["human"])) for game, row in rows.items()}
