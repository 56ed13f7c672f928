"""Random and human reference scores of the 57 benchmark games under no-op starts (the table of DeepMind's dqn_zoo)."""

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
        """Returns `100 (score - random) / (human - random)`, in percent (paper, section 5.1 and Table 1)."""
        return 100.0 * (score - self.random) / (self.human - self.random)


@cache
def references() -> dict[str, Reference]:
    """Returns the reference scores by ALE name (`ms_pacman`).

    The random score of Video Pinball counts as 0: the published one is close to the human score, so the formula would
    divide by almost nothing. The paper's Table 1 comes out exactly only with the same convention.
    """
    table = files("a3crs.published").joinpath("data", "no_op_references.csv").read_text(encoding="utf-8")
    rows = {row["game"]: row for row in csv.DictReader(table.splitlines())}
    rows["video_pinball"]["random"] = "0"
    return {game: Reference(float(row["random"]), float(row["human"])) for game, row in rows.items()}
