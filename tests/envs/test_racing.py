import sys

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from a3crs.config import TrainConfig
from a3crs.envs import Mode, racing, resolve
from a3crs.envs.spec import Continuous
from a3crs.envs.torcs.env import ACTIONS as TORCS_ACTIONS
from a3crs.errors import ConfigError, EnvError
from a3crs.evaluation import Evaluation, evaluate_run
from a3crs.training import start_run

pytest.importorskip("Box2D", reason="CarRacing is not installed: pip install 'a3crs[racing]'")
AHEAD = racing.ACTIONS.index((0.0, racing.GAS))


@pytest.fixture
def car():
    """Makes environments without the time limit's wrapper, and closes them in the end."""
    made = []

    def make(**arguments):
        made.append(gymnasium.make(racing.ENV_ID, disable_env_checker=True, **arguments))
        return made[-1].unwrapped

    yield make
    for env in made:
        env.close()


def test_it_keeps_to_gymnasiums_rules(car):
    check_env(car())
    check_env(car(continuous=True), skip_render_check=True)


def test_it_is_driven_as_torcs_is(car):
    assert np.sign(racing.ACTIONS).tolist() == np.sign(TORCS_ACTIONS).tolist()
    env = car()
    assert (env.observation_space.shape, env.action_space.n) == ((84, 84, 3), len(TORCS_ACTIONS))
    assert car(continuous=True).action_space.shape == (2,)


def test_gas_brings_it_ahead_and_the_wheel_turns_it(car):
    env, speeds, turned = car(), [], []
    for steer in (racing.STEER, 0.0, -racing.STEER):
        env.reset(seed=3)
        for _ in range(12):
            env.step(AHEAD)
        before = env._car.car.hull.angle
        for _ in range(3):
            env.step(racing.ACTIONS.index((steer, racing.GAS)))
        speeds.append(env._car.car.hull.linearVelocity.length)
        turned.append(env._car.car.hull.angle - before)
    assert min(speeds) > 10
    assert turned[0] > 0.1 > turned[1] > -0.1 > turned[2]


def test_a_step_is_four_frames_of_which_the_last_is_seen(car):
    env, own = car(), gymnasium.make("CarRacing-v3", disable_env_checker=True, max_episode_steps=-1)
    obs, _ = env.reset(seed=5)
    theirs, _ = own.reset(seed=5)
    assert (obs == theirs[:84, 6:90]).all()
    for _ in range(10):
        obs, reward, *_ = env.step(AHEAD)
        rewards = []
        for _ in range(racing.FRAMES_PER_STEP):
            theirs, paid, *_ = own.step(np.array([0.0, racing.GAS, 0.0]))
            rewards.append(paid)
        assert (obs == theirs[:84, 6:90]).all()
        assert reward == pytest.approx(sum(rewards))
    own.close()


def test_the_end_is_seen_also_within_a_step(car, monkeypatch):
    env = car()
    obs, _ = env.reset(seed=5)
    for _ in range(3):
        env.step(AHEAD)
    own = type(env._car).step
    ended = lambda self, action: (*own(self, action)[:2], True, False, {})  # noqa: E731
    monkeypatch.setattr(type(env._car), "step", ended)
    obs, *_ = env.step(AHEAD)
    assert (obs == env._car._render("state_pixels")[:84, 6:90]).all()
    assert (obs != env._car.state[:84, 6:90]).any()


def test_the_larger_view_is_there_if_asked(car):
    env = car(render_mode="rgb_array")
    env.reset(seed=0)
    assert env.render().shape == (400, 600, 3)
    assert car().render() is None


def test_training_has_its_own_settings_and_counts_frames(tmp_path):
    config = TrainConfig(env="carracing", actors=2, total_steps=60, checkpoint_secs=0.2)
    result = start_run(config, out=tmp_path / "run", quiet=True)
    assert result.summary["frames"] == result.summary["steps"] * racing.FRAMES_PER_STEP
    settings = result.run.read_config()
    assert (settings.reward_scale, settings.reward_clip) == (0.1, 0.0)
    row = evaluate_run(tmp_path / "run", Evaluation(episodes=1))
    assert row["episodes"] == 1


def test_its_actions_may_be_continuous():
    config = TrainConfig(env="CarRacing", env_kwargs={"continuous": True})
    spec = resolve(config, Mode.TRAINING).spec
    assert (spec.name, spec.actions) == ("CarRacing", Continuous(2, clipped=True))
    assert spec.own_process


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"continuous": "yes"}, "continuous is 'yes', but it must be true or false"),
        ({"render_mode": "human"}, "render_mode is 'human', but it must be 'rgb_array' or None"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_wrong_arguments_are_refused(arguments, sentence):
    with pytest.raises((ConfigError, TypeError), match=sentence):
        racing.RacingEnv(**arguments)


def test_wrong_arguments_of_a_run_get_one_sentence(a3crs):
    code, _, err = a3crs("train", "--env", "CarRacing", "--env-kwargs", "colour=red", "--quiet")
    assert code == 2
    assert err.startswith("a3crs: error: Gymnasium cannot make 'a3crs/CarRacing-v0' with colour='red': ")
    assert err.count("\n") == 1


def test_an_action_that_does_not_exist_is_refused(car):
    env = car()
    env.reset(seed=0)
    with pytest.raises(EnvError, match=r"The action 9 does not exist: CarRacing has Discrete\(9\)"):
        env.step(9)


def test_without_box2d_it_says_what_to_install(monkeypatch):
    racing._car_racing.cache_clear()
    monkeypatch.delitem(sys.modules, "gymnasium.envs.box2d.car_racing", raising=False)
    monkeypatch.setitem(sys.modules, "Box2D", None)
    with pytest.raises(ConfigError, match=r"CarRacing needs Box2D: pip install 'a3crs\[racing\]'"):
        racing.RacingEnv()
    racing._car_racing.cache_clear()
