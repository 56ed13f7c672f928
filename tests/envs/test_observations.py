import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.spaces import Box, Dict, Graph, MultiBinary, MultiDiscrete, Sequence, Text, Tuple

from a3crs import _core
from a3crs.config import RunConfig
from a3crs.envs import Discrete, EnvSpec, ImageObs, VectorObs
from a3crs.envs.gym import gym_family
from a3crs.errors import ConfigError


class Film(gymnasium.Env):
    """Environment that shows these observations in turn, and repeats the last one."""

    action_space = spaces.Discrete(2)

    def __init__(self, space, *shows):
        self.observation_space = space
        self._shows = shows

    def reset(self, *, seed=None, options=None):
        self._at = 0
        return self._shows[0], {}

    def step(self, action):
        self._at = min(self._at + 1, len(self._shows) - 1)
        return self._shows[self._at], 0, False, False, {}


def shown(space, *shows, **settings):
    """Returns the spec, and all observations of a Film."""
    config = RunConfig(env="callable", env_workers="thread", **settings)
    family = gym_family("Film", lambda: Film(space, *shows), config)
    env = family.make(0)
    observations = [env.reset()[0], *(env.step(0)[0] for _ in shows[1:])]
    dtype = np.uint8 if isinstance(family.spec.obs, ImageObs) else np.float32
    assert all(obs.flags.c_contiguous and obs.dtype == dtype for obs in observations)
    return family.spec.obs, observations


def image(*shape):
    return np.random.default_rng(1).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize(
    ("space", "obs", "vector"),
    [
        (Box(-1, 1, (3,), np.float64), np.array([0.1, 0.2, 0.3]), [0.1, 0.2, 0.3]),
        (Box(-1, 1, (2, 2)), np.array([[1, 2], [3, 4]], np.float32), [1, 2, 3, 4]),
        (Box(-1, 1, (1, 2, 1, 2)), np.arange(4, dtype=np.float32).reshape(1, 2, 1, 2), [0, 1, 2, 3]),
        (Box(0, 255, (3,), np.uint8), np.array([0, 7, 255], np.uint8), [0, 7, 255]),
        (Box(0, 2, (2, 2), np.uint8), np.array([[0, 1], [2, 0]], np.uint8), [0, 1, 2, 0]),  # a board
        (Box(-5, 5, (2, 2), np.int64), np.array([[-5, 1], [2, 5]]), [-5, 1, 2, 5]),
        (Box(0, 1, (1, 2, 3)), np.arange(6, dtype=np.float32).reshape(1, 2, 3), [0, 1, 2, 3, 4, 5]),
        (Box(-1, 1, ()), np.float32(0.5), [0.5]),
        (spaces.Discrete(4), np.int64(2), [0, 0, 1, 0]),
        (spaces.Discrete(3, start=5), 7, [0, 0, 1]),
        (MultiBinary(3), np.array([1, 0, 1], np.int8), [1, 0, 1]),
        (MultiDiscrete([2, 3]), np.array([1, 0]), [0, 1, 1, 0, 0]),
        (MultiDiscrete([2, 3], start=[4, 5]), np.array([5, 5]), [0, 1, 1, 0, 0]),
        (Tuple([spaces.Discrete(2), Box(-1, 1, (2,))]), (1, np.array([0.5, -0.5], np.float32)), [0, 1, 0.5, -0.5]),
        (
            Dict({"b": spaces.Discrete(2), "a": Dict({"x": Box(-9, 9, (2, 1), np.float64)})}),
            {"a": {"x": np.array([[7.0], [8.0]])}, "b": 0},
            [7, 8, 1, 0],
        ),
    ],
    ids=str,
)
def test_what_is_no_image_becomes_a_vector(space, obs, vector):
    spec, (seen,) = shown(space, obs)
    assert spec == VectorObs(len(vector))
    np.testing.assert_array_equal(seen, np.float32(vector))


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((20, 21, 3), (2, 0, 1)),
        ((84, 84, 4), (2, 0, 1)),
        ((24, 30, 24), (2, 0, 1)),  # channels are last where both are possible, as in Gymnasium
        ((3, 20, 21), (0, 1, 2)),
        ((4, 84, 84), (0, 1, 2)),
        ((1, 21, 20), (0, 1, 2)),
    ],
)
def test_images_come_with_their_channels_first(shape, axes):
    picture = image(*shape)
    spec, (seen,) = shown(Box(0, 255, shape, np.uint8), picture)
    expected = picture.transpose(axes)
    assert spec == ImageObs(*expected.shape)
    np.testing.assert_array_equal(seen, expected)


def test_a_grey_image_is_one_channel():
    spec, (seen,) = shown(Box(0, 255, (20, 21), np.uint8), image(20, 21))
    assert spec == ImageObs(1, 20, 21)
    np.testing.assert_array_equal(seen[0], image(20, 21))


@pytest.mark.parametrize("shape", [(60, 40, 3), (3, 60, 40)])
def test_images_are_made_grey_and_resized_as_gymnasium_does(shape):
    space = Box(0, 255, shape, np.uint8)
    picture = np.full(shape, 0, np.uint8)
    (picture[..., 0] if shape[-1] == 3 else picture[0])[:30] = 200  # the upper half is red
    assert shown(space, picture, grayscale=True)[0] == ImageObs(1, 60, 40)
    assert shown(space, picture, resize="20x10")[0] == ImageObs(3, 20, 10)
    spec, (seen,) = shown(space, picture, grayscale=True, resize="20x10")
    assert spec == ImageObs(1, 20, 10)
    np.testing.assert_array_equal(seen[0, :, 0], [42] * 10 + [0] * 10)  # 0.2125 x 200, rounded down


def test_a_stack_of_images_has_the_oldest_first_and_starts_with_the_first_one():
    space = Box(0, 255, (26, 27, 2), np.uint8)
    frames = [np.full((26, 27, 2), value, np.uint8) for value in (10, 20, 30)]
    for frame in frames:
        frame[..., 1] += 1
    spec, seen = shown(space, *frames, frame_stack=2)
    assert spec == ImageObs(4, 26, 27)
    assert [obs[:, 0, 0].tolist() for obs in seen] == [[10, 11, 10, 11], [10, 11, 20, 21], [20, 21, 30, 31]]


def test_a_stack_of_vectors_is_a_longer_vector():
    spec, seen = shown(Box(0, 9, (2,)), *(np.float32([n, n + 1]) for n in (1, 3, 5)), frame_stack=2)
    assert spec == VectorObs(4)
    assert [obs.tolist() for obs in seen] == [[1, 2, 1, 2], [1, 2, 3, 4], [3, 4, 5, 6]]


def test_a_stack_of_a_dict_is_flat_too():
    spec, seen = shown(Dict({"a": spaces.Discrete(2)}), {"a": 0}, {"a": 1}, frame_stack=2)
    assert (spec, seen[1].tolist()) == (VectorObs(4), [1, 0, 0, 1])


def test_an_image_without_three_colours_is_not_made_grey():
    with pytest.raises(
        ConfigError, match="grayscale is true, but Film shows images of 4 channels, not 3: leave it out"
    ):
        shown(Box(0, 255, (20, 21, 4), np.uint8), image(20, 21, 4), grayscale=True)


@pytest.mark.parametrize("shape", [(8, 8), (19, 30), (30, 19, 3), (3, 30, 19), (6, 7, 2)])
def test_a_board_too_small_for_the_networks_filters_is_a_vector_unless_it_is_resized(shape):
    space = Box(0, 255, shape, np.uint8)
    spec, (seen,) = shown(space, image(*shape))
    assert spec == VectorObs(image(*shape).size)
    np.testing.assert_array_equal(seen, image(*shape).reshape(-1))
    spec, _ = shown(space, image(*shape), resize="24x25")
    assert (spec.height, spec.width) == (24, 25)


def test_the_smallest_image_is_the_smallest_that_a_network_takes():
    config = RunConfig(env="callable")
    for height, width in ((20, 30), (30, 20)):
        spec, _ = shown(Box(0, 255, (height, width), np.uint8), image(height, width))
        assert spec == ImageObs(1, height, width)
        _core.check(config.core_json(), EnvSpec("Film", spec, Discrete(2), 1).to_json())
    with pytest.raises(ConfigError, match="19"):
        _core.check(config.core_json(), EnvSpec("Film", ImageObs(1, 19, 30), Discrete(2), 1).to_json())


@pytest.mark.parametrize(
    "space",
    [
        Text(5),
        Sequence(spaces.Discrete(2)),
        Graph(Box(0, 1, (2,)), spaces.Discrete(2)),
        Dict({"note": Text(5), "x": Box(0, 1, (2,))}),
        Tuple([spaces.Discrete(2), Sequence(spaces.Discrete(2))]),
    ],
    ids=str,
)
def test_what_has_no_fixed_length_is_refused_by_name(space):
    with pytest.raises(ConfigError) as refusal:
        shown(space, None)
    assert str(refusal.value).startswith(f"Film has the observation space {space}; a3crs needs Box, ")


def test_an_empty_observation_is_refused_by_name():
    with pytest.raises(ConfigError, match=r"Film has the observation space Box\(.*\), which is empty"):
        shown(Box(0, 1, (0,)), np.zeros(0, np.float32))
