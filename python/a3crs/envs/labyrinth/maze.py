"""Random mazes of rooms and corridors, with the places of player, portal and apples.

A maze of `size` x `size` cells is a grid of `2 * size + 1` blocks a side. Cells are the blocks with two odd
coordinates; a block between two cells is a passage or a wall. A depth-first random walk with backtracking joins all
cells by corridors. Then squares of four cells become rooms, and some walls between cells are removed to make loops.
"""

import hashlib
from dataclasses import dataclass
from random import Random

from a3crs.errors import ConfigError

Block = tuple[int, int]  # (x, y)

SIDES = ("training", "evaluation", "all")
EVALUATION_SHARE = 8  # one maze in 8 is for evaluation
ATTEMPTS = 1000


@dataclass(frozen=True, kw_only=True)
class MazeKind:
    """Distribution of mazes; a wrong value raises ConfigError."""

    size: int = 5  # cells a side
    apples: int = 10
    rooms: int = 2  # squares of four cells without walls between them; they may overlap
    loops: float = 0.08  # probability that a wall between two cells is removed
    maze_seed: int = 0  # another seed gives other mazes and another split into training and evaluation
    mazes: str = "training"  # "evaluation" has other walls; "all" has both

    def __post_init__(self) -> None:
        _check("size", self.size, 3, 20)
        _check("apples", self.apples, 0, self.size**2 - 2)  # a cell each, besides the portal's and the player's
        _check("rooms", self.rooms, 0, 100)
        _check("loops", self.loops, 0.0, 1.0)
        _check("maze_seed", self.maze_seed, 0, 2**63 - 1)
        if self.mazes not in SIDES:
            raise ConfigError(f"mazes is {self.mazes!r}, but it must be {', '.join(SIDES[:-1])} or {SIDES[-1]}.")


def _check(name: str, value: float, low: float, high: float) -> None:
    kinds, wanted = ((int, float), "a number") if isinstance(high, float) else ((int,), "a whole number")
    if type(value) not in kinds or not low <= value <= high:
        raise ConfigError(f"{name} is {value!r}, but it must be {wanted} from {low} to {high}.")


@dataclass(frozen=True)
class Maze:
    """Maze: its open blocks, its cells, and the cells of player, portal and apples."""

    open: frozenset[Block]
    cells: tuple[Block, ...]
    start: Block
    portal: Block
    apples: tuple[Block, ...]


def draw(kind: MazeKind, rng: Random) -> Maze:
    """Draws a maze of this kind with `rng`.

    Raises ConfigError where none of many draws belongs to the wanted side, as when all walls are removed.
    """
    for _ in range(ATTEMPTS):
        walls_out = _carve(kind, rng)
        if kind.mazes in ("all", side(walls_out, kind.maze_seed)):
            cells = _cells(kind.size)
            portal, start, *apples = rng.sample(cells, 2 + kind.apples)
            return Maze(frozenset(walls_out), tuple(cells), start, portal, tuple(apples))
    raise ConfigError(
        f"size {kind.size}, rooms {kind.rooms} and loops {kind.loops} leave no maze for {kind.mazes}: "
        "choose a larger size, or fewer rooms and loops."
    )


def side(walls_out: set[Block] | frozenset[Block], maze_seed: int) -> str:
    """Returns the side of a maze: `training` or `evaluation`.

    The side is a hash of the walls, so that no seed and no number of episodes shows a maze of one side on the other.
    """
    digest = hashlib.blake2b(repr((maze_seed, sorted(walls_out))).encode(), digest_size=8).digest()
    return "training" if int.from_bytes(digest) % EVALUATION_SHARE else "evaluation"


def _cells(size: int) -> list[Block]:
    return [(x, y) for y in range(1, 2 * size, 2) for x in range(1, 2 * size, 2)]


def _carve(kind: MazeKind, rng: Random) -> set[Block]:
    cells = _cells(kind.size)
    path = [rng.choice(cells)]
    walls_out = {path[0]}
    closed = set(cells) - walls_out
    while path:
        x, y = path[-1]
        steps = [(dx, dy) for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)) if (x + 2 * dx, y + 2 * dy) in closed]
        if not steps:
            path.pop()
            continue
        dx, dy = rng.choice(steps)
        path.append((x + 2 * dx, y + 2 * dy))
        closed.remove(path[-1])
        walls_out |= {(x + dx, y + dy), path[-1]}
    for _ in range(kind.rooms):
        x, y = (2 * rng.randrange(kind.size - 1) + 1 for _ in "xy")
        walls_out |= {(x + dx, y + dy) for dx in range(3) for dy in range(3)}
    inside = range(1, 2 * kind.size)
    between = [(x, y) for y in inside for x in inside if (x + y) % 2]
    return walls_out | {block for block in between if rng.random() < kind.loops}
