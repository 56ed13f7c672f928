import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.spaces import Box
from gymnasium.wrappers import OrderEnforcing, RecordEpisodeStatistics, TimeLimit, TransformReward

from a3crs.config import RunConfig, TrainConfig
from a3crs.envs import Continuous, Discrete, Mode, VectorObs, resolve
from a3crs.envs.gym import gym_family, own_family
from a3crs.errors import ConfigError

CONFIG = RunConfig(env="callable", env_workers="thread")


class Counter(gymnasium.Env):
    """Environment that gives a reward of 2 a step for three steps."""

    observation_space = Box(-1, 1, (5,))
    action_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        self.steps = 0
        return np.zeros(5, np.float32), {}

    def step(self, action):
        self.steps += 1
        return np.zeros(5, np.float32), 2, self.steps == 3, False, {}


def test_cart_pole_speaks_the_protocol():
    env = resolve(TrainConfig(env="CartPole-v1"), Mode.TRAINING).make(0)
    obs, _ = env.reset(seed=2**40)
    assert (obs.dtype, obs.shape) == (np.float32, (4,))
    total, length, ended = 0.0, 0, False
    while not ended:
        _, reward, terminated, truncated, info = env.step(0)
        total, length, ended = total + reward, length + 1, terminated or truncated
        assert ("episode" in info) == ended
    assert (info["episode"]["r"], info["episode"]["l"]) == (total, length)


def test_an_environments_own_statistics_are_its_score():
    def make():
        return TransformReward(RecordEpisodeStatistics(Counter()), lambda reward: 100 * reward)

    for make_env, score in ((make, 6), (Counter, 6), (lambda: TransformReward(Counter(), lambda reward: -reward), -6)):
        env = gym_family("Counter", make_env, CONFIG).make(0)
        env.reset()
        steps = [env.step(0) for _ in range(3)]
        assert ["episode" in step[4] for step in steps] == [False, False, True]
        assert (steps[-1][4]["episode"]["r"], steps[-1][4]["episode"]["l"]) == (score, 3)


def test_an_id_may_name_the_module_that_registers_it(tmp_path, monkeypatch):
    lines = ["import gymnasium", "from gymnasium.envs.classic_control import CartPoleEnv"]
    (tmp_path / "a3crs_own_envs.py").write_text("\n".join([*lines, "gymnasium.register('OwnPole-v0', CartPoleEnv)"]))
    monkeypatch.syspath_prepend(tmp_path)
    spec = resolve(TrainConfig(env="a3crs_own_envs:OwnPole-v0"), Mode.TRAINING).spec
    assert (spec.obs, spec.actions) == (VectorObs(4), Discrete(2))


def test_a_module_that_does_not_exist_is_named():
    with pytest.raises(ConfigError, match=r"'nowhere:Pole-v0': No module named 'nowhere'\.$"):
        resolve(TrainConfig(env="nowhere:Pole-v0"), Mode.TRAINING)


def test_an_environment_is_made_with_its_arguments():
    shapes = []
    for size in ("4x4", "8x8"):
        config = TrainConfig(env="FrozenLake-v1", env_kwargs={"map_name": size, "is_slippery": False})
        shapes.append(resolve(config, Mode.TRAINING).spec.obs)
    assert shapes == [VectorObs(16), VectorObs(64)]


def test_an_argument_the_environment_does_not_take_is_refused():
    with pytest.raises(ConfigError, match=r"cannot make 'CartPole-v1' with colour='red': .*colour"):
        resolve(TrainConfig(env="CartPole-v1", env_kwargs={"colour": "red"}), Mode.TRAINING)


def test_a_callable_brings_an_environment_named_after_its_id_or_its_class():
    assert own_family(Counter, CONFIG).spec.name == "Counter"
    assert own_family(lambda: gymnasium.make("Acrobot-v1"), CONFIG).spec.name == "Acrobot-v1"


def test_what_is_no_environment_is_refused():
    with pytest.raises(ConfigError, match=r"The callable made a dict, but it must make a gymnasium\.Env"):
        own_family(dict, CONFIG)


def test_a_run_with_a_callable_asks_for_it_again():
    with pytest.raises(ConfigError, match=r"made by a callable, .* call a3crs\.resume\(run, env=\.\.\.\)"):
        resolve(CONFIG, Mode.EVALUATION)


def test_an_environment_acts_with_what_its_space_holds():
    class Tilt(Counter):
        action_space = Box(-2, 6, (2,))

        def step(self, action):
            obs, _, *rest = super().step(action)
            return obs, action.sum(), *rest

    family = gym_family("Tilt", Tilt, CONFIG)
    assert family.spec.actions == Continuous(2, clipped=True)
    env = family.make(0)
    env.reset()
    assert env.step((0.0, -9.0))[1] == 2 - 2


@pytest.mark.parametrize("limited", [lambda: TimeLimit(Counter(), 7), lambda: OrderEnforcing(TimeLimit(Counter(), 7))])
def test_the_longest_episode_is_known_where_gymnasium_cuts_it(limited):
    assert gym_family("Counter", limited, CONFIG).spec.max_episode_steps == 7
    assert gym_family("Counter", Counter, CONFIG).spec.max_episode_steps is None
    assert resolve(TrainConfig(env="Pendulum-v1"), Mode.TRAINING).spec.max_episode_steps == 200
    longer = TrainConfig(env="Pendulum-v1", env_kwargs={"max_episode_steps": 300})
    assert resolve(longer, Mode.TRAINING).spec.max_episode_steps == 300
