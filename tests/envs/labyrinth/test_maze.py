from random import Random

import pytest

from a3crs.envs.labyrinth.maze import EVALUATION_SHARE, MazeKind, draw, side
from a3crs.errors import ConfigError

KINDS = [
    MazeKind(),
    MazeKind(size=3, apples=7, rooms=0, loops=0.0),
    MazeKind(size=8, apples=0, rooms=5, loops=0.3),
    MazeKind(mazes="evaluation", maze_seed=4),
]


def mazes(kind, count, seed=0):
    rng = Random(seed)
    return [draw(kind, rng) for _ in range(count)]


def reached(maze):
    """Returns the open blocks that can be reached from the start."""
    found, new = set(), {maze.start}
    while new:
        found |= new
        beside = {(x + dx, y + dy) for x, y in new for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1))}
        new = (beside & maze.open) - found
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_every_block_and_with_it_every_apple_and_the_portal_can_be_walked_to(kind):
    for maze in mazes(kind, 30):
        assert reached(maze) == maze.open
        assert {maze.portal, *maze.apples} <= set(maze.cells) <= maze.open


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_shares_its_cell(kind):
    for maze in mazes(kind, 30):
        assert len({maze.start, maze.portal, *maze.apples}) == 2 + kind.apples


@pytest.mark.parametrize("kind", KINDS)
def test_a_wall_surrounds_the_maze(kind):
    inside = range(1, 2 * kind.size)
    assert all(x in inside and y in inside for maze in mazes(kind, 30) for x, y in maze.open)


def test_without_rooms_and_loops_there_is_one_way_between_any_two_cells():
    for maze in mazes(MazeKind(rooms=0, loops=0.0), 30):
        assert len(maze.open) == 2 * len(maze.cells) - 1  # a tree has one passage less than cells


def test_rooms_are_open_squares_of_four_cells():
    for maze in mazes(MazeKind(rooms=1, loops=0.0), 30):
        corners = [(x, y) for x, y in maze.cells if {(x + i, y + j) for i in range(3) for j in range(3)} <= maze.open]
        assert len(corners) == 1


def test_more_loops_are_fewer_walls():
    few, many = (
        sum(len(maze.open) for maze in mazes(MazeKind(rooms=0, loops=loops, mazes="all"), 30)) for loops in (0.05, 0.5)
    )
    assert few < many


def test_mazes_are_distinct_and_follow_from_the_seed():
    drawn = mazes(MazeKind(), 200)
    assert len({maze.open for maze in drawn}) == 200
    assert drawn == mazes(MazeKind(), 200)
    assert not {maze.open for maze in drawn} & {maze.open for maze in mazes(MazeKind(), 200, seed=1)}


def test_no_maze_is_for_training_and_for_evaluation():
    # There are so few such mazes that both sides would draw the same ones, unless the walls decide the side.
    small = {"size": 3, "apples": 0, "rooms": 0, "loops": 0.0}
    training = {maze.open for maze in mazes(MazeKind(**small), 2000)}
    evaluation = {maze.open for maze in mazes(MazeKind(**small, mazes="evaluation"), 500)}
    both = {maze.open for maze in mazes(MazeKind(**small, mazes="all"), 3000)}
    assert training
    assert evaluation
    assert training.isdisjoint(evaluation)
    assert both <= training | evaluation


def test_about_one_maze_in_eight_is_for_evaluation_and_the_maze_seed_says_which():
    drawn = [maze.open for maze in mazes(MazeKind(mazes="all"), 800)]
    sides = [[side(walls_out, seed) for walls_out in drawn] for seed in (0, 1)]
    assert EVALUATION_SHARE == 8
    assert 60 < sides[0].count("evaluation") < 140
    assert sides[0] != sides[1]


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"size": 2}, "size is 2, but it must be a whole number from 3 to 20."),
        ({"size": 5.0}, "size is 5.0, but it must be a whole number from 3 to 20."),
        ({"size": True}, "size is True, but it must be a whole number from 3 to 20."),
        ({"apples": 24}, "apples is 24, but it must be a whole number from 0 to 23."),
        ({"rooms": -1}, "rooms is -1, but it must be a whole number from 0 to 100."),
        ({"loops": 1.5}, "loops is 1.5, but it must be a number from 0.0 to 1.0."),
        ({"loops": "many"}, "loops is 'many', but it must be a number from 0.0 to 1.0."),
        ({"maze_seed": -1}, "maze_seed is -1, but it must be a whole number from 0 to 9223372036854775807."),
        ({"mazes": "test"}, "mazes is 'test', but it must be training, evaluation or all."),
    ],
)
def test_a_wrong_option_is_refused(wrong, sentence):
    with pytest.raises(ConfigError) as refusal:
        MazeKind(**wrong)
    assert str(refusal.value) == sentence


def test_where_all_mazes_are_alike_one_side_has_none():
    (only,) = {maze.open for maze in mazes(MazeKind(rooms=0, loops=1.0, mazes="all"), 3)}
    none = {"training": "evaluation", "evaluation": "training"}[side(only, 0)]
    with pytest.raises(ConfigError, match=f"^size 5, rooms 0 and loops 1.0 leave no maze for {none}: "):
        draw(MazeKind(rooms=0, loops=1.0, mazes=none), Random(0))
