import itertools

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.spaces import Box, MultiBinary, MultiDiscrete

from a3crs.envs import Continuous, Discrete
from a3crs.envs.actions import agents_actions
from a3crs.errors import ConfigError


@pytest.mark.parametrize("start", [0, -1, 7])
def test_discrete_actions_count_from_the_spaces_first(start):
    space = spaces.Discrete(3, start=start)
    actions, action = agents_actions("Any", space)
    assert actions == Discrete(3)
    assert [action(number) for number in range(3)] == [start, start + 1, start + 2]
    assert all(space.contains(action(number)) for number in range(3))


@pytest.mark.parametrize(
    ("space", "components"),
    [
        (MultiDiscrete([2, 3]), [range(2), range(3)]),
        (MultiDiscrete([3, 2], start=[-1, 5]), [range(-1, 2), range(5, 7)]),
        (MultiDiscrete([[2, 1], [2, 3]]), [range(2), range(1), range(2), range(3)]),
        (MultiBinary(3), [range(2)] * 3),
        (MultiBinary([2, 2]), [range(2)] * 4),
    ],
)
def test_several_choices_at_once_are_one_number_for_each_combination(space, components):
    spec, action = agents_actions("Any", space)
    actions = [action(number) for number in range(spec.n)]
    assert [tuple(a.reshape(-1).tolist()) for a in actions] == list(itertools.product(*components))
    assert all(space.contains(a) for a in actions)
    assert all(a.dtype == space.dtype for a in actions)


def test_an_environment_may_change_the_action_it_is_given():
    _, action = agents_actions("Any", MultiDiscrete([2, 2]))
    action(3)[:] = 0
    np.testing.assert_array_equal(action(3), [1, 1])


@pytest.mark.parametrize(
    ("space", "combinations"),
    [(MultiDiscrete([17, 241]), "4,097"), (MultiBinary(13), "8,192"), (MultiDiscrete([2**40, 2**40]), f"{2**80:,}")],
)
def test_too_many_combinations_are_refused_by_name_with_the_reason(space, combinations):
    with pytest.raises(ConfigError) as refusal:
        agents_actions("Robot", space)
    assert str(refusal.value).startswith(f"Robot has the action space {space}, which is {combinations} combinations; ")


def test_as_many_combinations_as_are_allowed_are_served():
    assert agents_actions("Any", MultiBinary(12))[0] == Discrete(4096)


def acted(space, *vector):
    spec, action = agents_actions("Any", space)
    assert (type(spec), spec.dims) == (Continuous, len(vector))
    taken = action(vector)
    assert space.contains(taken)
    return taken


@pytest.mark.parametrize(("vector", "taken"), [(-1, -3), (1, 5), (0, 1), (0.5, 3), (-7, -3), (1e30, 5)])
def test_minus_one_and_one_are_the_bounds_and_what_lies_beyond_is_clipped(vector, taken):
    assert acted(Box(-3, 5, (1,)), vector) == [taken]


def test_a_dimension_without_bounds_is_as_it_is():
    np.testing.assert_array_equal(acted(Box(-np.inf, np.inf, (2,)), -1234.5, 0.25), [-1234.5, 0.25])
    largest = np.finfo(np.float32).max  # some spaces use it for "no bound"
    np.testing.assert_array_equal(acted(Box(-largest, largest, (2,)), -1234.5, 0.25), [-1234.5, 0.25])


@pytest.mark.parametrize(
    ("space", "taken"),
    [(Box(3, np.inf, (4,)), [3, 3, 4, 6]), (Box(-np.inf, 3, (4,)), [1, 2, 3, 3])],
    ids=["from 3 on", "up to 3"],
)
def test_a_single_bound_is_minus_one_or_one_and_the_unit_is_the_environments(space, taken):
    np.testing.assert_array_equal(acted(space, *((-2, -1, 0, 2) if taken[0] == 3 else (-1, 0, 1, 5))), taken)


def test_each_dimension_has_its_own_bounds():
    space = Box(np.array([[0, -np.inf], [2, -1]], np.float64), np.array([[10, np.inf], [2, np.inf]]), dtype=np.float64)
    np.testing.assert_array_equal(acted(space, 0.5, -8, 0.3, 1), [[7.5, -8], [2, 1]])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_bounds_of_any_type_are_kept(dtype):
    space = Box(dtype(-0.1), dtype(0.7), (3,), dtype)
    for number in np.linspace(-1.1, 1.1, 45):
        assert acted(space, number, -number, 1).dtype == dtype


def test_an_agent_may_have_64_dimensions():
    assert agents_actions("Any", Box(-1, 1, (8, 8)))[0] == Continuous(64, clipped=True)


@pytest.mark.parametrize(("low", "high", "clipped"), [(-2, 2, True), (-np.inf, np.inf, False), (0, np.inf, False)])
def test_actions_are_clipped_where_every_dimension_has_two_bounds(low, high, clipped):
    space = Box(np.array([-1, low]), np.array([1, high]), dtype=np.float64)
    assert agents_actions("Any", space)[0] == Continuous(2, clipped)


@pytest.mark.parametrize(
    ("space", "reason"),
    [
        (Box(0, 9, (2,), np.int64), "whose numbers are whole; a3crs needs a Box of floats, or Discrete"),
        (Box(0, 255, (2,), np.uint8), "whose numbers are whole"),
        (Box(-1, 1, (0,)), "which has 0 dimensions; a3crs takes 1 to 64."),
        (Box(-1, 1, (65,)), "which has 65 dimensions; a3crs takes 1 to 64."),
        (spaces.Text(5), "a3crs needs Box, Discrete, MultiDiscrete or MultiBinary."),
    ],
    ids=str,
)
def test_what_cannot_be_served_is_refused_by_name(space, reason):
    with pytest.raises(ConfigError) as refusal:
        agents_actions("Robot", space)
    assert str(refusal.value).startswith(f"Robot has the action space {space}")
    assert reason in str(refusal.value)
