import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete, MultiBinary

from a3crs.envs import ImageObs, Mode, VectorObs, resolve
from a3crs.envs.gym import gym_family
from a3crs.errors import ConfigError


class Fixed(gymnasium.Env):
    """Gives one observation for ever and remembers the actions."""

    def __init__(self, observation_space, action_space=None):
        self.observation_space = observation_space
        self.action_space = action_space or Discrete(2)
        self.obs = observation_space.sample()
        self.actions = []

    def reset(self, *, seed=None, options=None):
        return self.obs, {}

    def step(self, action):
        self.actions.append(action)
        return self.obs, 2, len(self.actions) == 3, False, {}


def test_cart_pole_speaks_the_protocol():
    env = resolve("CartPole-v1", "atari2016", Mode.TRAINING).make(0)
    obs, _ = env.reset(seed=2**40)
    assert (obs.dtype, obs.shape) == (np.float32, (4,))
    total, length, ended = 0.0, 0, False
    while not ended:
        _, reward, terminated, truncated, info = env.step(0)
        total, length, ended = total + reward, length + 1, terminated or truncated
        assert ("episode" in info) == ended
    assert (info["episode"]["r"], info["episode"]["l"]) == (total, length)


def test_an_id_may_name_the_module_that_registers_it(tmp_path, monkeypatch):
    lines = ["import gymnasium", "from gymnasium.envs.classic_control import CartPoleEnv"]
    (tmp_path / "a3crs_own_envs.py").write_text("\n".join([*lines, "gymnasium.register('OwnPole-v0', CartPoleEnv)"]))
    monkeypatch.syspath_prepend(tmp_path)
    spec = resolve("a3crs_own_envs:OwnPole-v0", "atari2016", Mode.TRAINING).spec
    assert (spec.obs, spec.num_actions) == (VectorObs(4), 2)


def test_a_module_that_does_not_exist_is_named():
    with pytest.raises(ConfigError, match=r"'nowhere:Pole-v0': No module named 'nowhere'\.$"):
        resolve("nowhere:Pole-v0", "atari2016", Mode.TRAINING)


def test_images_come_with_their_channels_first():
    inner = Fixed(Box(0, 255, (8, 9, 3), np.uint8))
    family = gym_family("Image", lambda: inner)
    obs, _ = family.make(0).reset()
    assert family.spec.obs == ImageObs(channels=3, height=8, width=9)
    assert obs.flags.c_contiguous
    np.testing.assert_array_equal(obs, inner.obs.transpose(2, 0, 1))


def test_double_precision_becomes_single():
    family = gym_family("Vector", lambda: Fixed(Box(-1, 1, (5,), np.float64)))
    assert family.spec.obs == VectorObs(5)
    assert family.make(0).reset()[0].dtype == np.float32


def test_actions_count_from_the_spaces_first():
    inner = Fixed(Box(-1, 1, (5,)), Discrete(3, start=-1))
    env = gym_family("Offset", lambda: inner).make(0)
    env.reset()
    for action in range(3):
        env.step(action)
    assert inner.actions == [-1, 0, 1]


@pytest.mark.parametrize(
    ("observations", "actions", "sentence"),
    [
        (Box(-1, 1, (5,)), Box(-1, 1, (2,)), "needs a Discrete one"),
        (MultiBinary(4), Discrete(2), "needs a Box"),
        (Box(-1, 1, (5, 5)), Discrete(2), "needs a vector, or a uint8 image"),
        (Box(0, 1, (8, 8, 3), np.float32), Discrete(2), "needs a vector, or a uint8 image"),
    ],
)
def test_unsupported_spaces_are_refused(observations, actions, sentence):
    with pytest.raises(ConfigError, match=sentence):
        gym_family("Odd", lambda: Fixed(observations, actions))
