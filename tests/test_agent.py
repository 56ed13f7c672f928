import gymnasium
import numpy as np
import pytest

from a3crs import Agent
from a3crs.errors import CheckpointError, ConfigError
from a3crs.runlog import load

SMALL = {"actors": 1, "seed": 3}


def learned(tmp_path, env="CartPole-v1", **settings):
    return Agent(env, **(SMALL | settings)).learn(steps=600, out=tmp_path / "run", quiet=True)


def play(agent, seed, deterministic):
    """Plays an episode with the loop of Stable-Baselines3's users; returns its score."""
    env = agent.make_env()
    agent.set_random_seed(seed)
    obs, _ = env.reset(seed=seed)
    state, score, over = None, 0.0, False
    while not over:
        action, state = agent.predict(obs, state, deterministic=deterministic)
        obs, reward, terminated, truncated, _ = env.step(action)
        score, over = score + reward, terminated or truncated
    env.close()
    return score


@pytest.mark.parametrize("deterministic", [True, False])
@pytest.mark.parametrize(
    ("env", "settings"),
    [
        ("CartPole-v1", {"net": "lstm"}),
        ("CartPole-v1", {"algo": "n-step-q"}),
        ("Pendulum-v1", {"normalize_obs": True}),
        ("Acrobot-v1", {"frame_stack": 2}),
    ],
)
def test_the_loop_by_hand_scores_what_evaluate_does(tmp_path, env, settings, deterministic):
    agent = learned(tmp_path, env, **settings)
    row = agent.evaluate(3, seed=11, deterministic=deterministic)
    assert [play(agent, 11 + i, deterministic) for i in range(3)] == pytest.approx(row["returns"])


def test_the_loop_by_hand_scores_what_evaluate_does_in_atari(pong_run):
    agent = Agent.load(pong_run)
    assert play(agent, 5, deterministic=False) == agent.evaluate(1, seed=5)["mean"]


def test_learning_goes_on_in_the_same_run(tmp_path):
    agent = learned(tmp_path)
    run, steps = agent.run, agent.steps
    assert steps >= 600
    assert agent.learn(steps="1k", quiet=True) is agent
    assert agent.run == run
    assert agent.steps >= steps + 1000
    assert load.progress(run.path).collect()["steps"].is_sorted()


def test_an_agent_that_has_learned_nothing_acts_but_is_not_saved_or_evaluated(tmp_path):
    agent = Agent("CartPole-v1", **SMALL)
    assert (agent.steps, agent.run, agent.checkpoint) == (0, None, None)
    assert agent.predict(np.zeros(4, np.float32))[0] in (0, 1)
    for call in (lambda: agent.save(tmp_path / "agent.safetensors"), agent.evaluate):
        with pytest.raises(ConfigError, match="has learned nothing yet"):
            call()


def test_saved_and_loaded_it_is_the_same_agent(tmp_path):
    agent = learned(tmp_path, net="lstm")
    agent.save(tmp_path / "agent.safetensors")
    obs = np.random.default_rng(1).normal(size=(5, 4)).astype(np.float32)
    for path in (tmp_path / "agent.safetensors", tmp_path / "run", agent.checkpoint):
        loaded = Agent.load(path)
        assert loaded.config == agent.config
        assert loaded.steps == agent.steps
        np.testing.assert_array_equal(loaded.value(obs), agent.value(obs))
        np.testing.assert_array_equal(loaded.predict(obs)[1], agent.predict(obs)[1])


def test_what_was_saved_learns_on_in_a_run_of_its_own(tmp_path):
    learned(tmp_path).save(tmp_path / "agent.safetensors")
    agent = Agent.load(tmp_path / "agent.safetensors")
    before = agent.steps
    agent.learn(steps=500, out=tmp_path / "other", quiet=True)
    assert agent.run.path == tmp_path / "other"
    assert agent.steps >= before + 500


def test_a_file_of_another_kind_is_refused(tmp_path):
    learned(tmp_path)
    (tmp_path / "noise").write_bytes(b"noise")
    shutil_copy = tmp_path / "lonely.safetensors"
    shutil_copy.write_bytes((tmp_path / "run" / "checkpoints" / "latest.safetensors").read_bytes())
    with pytest.raises(CheckpointError, match="is damaged or not a checkpoint"):
        Agent.load(tmp_path / "noise")
    with pytest.raises(CheckpointError, match="is a checkpoint without settings"):
        Agent.load(shutil_copy)
    with pytest.raises(ConfigError, match="is not a run"):
        Agent.load(tmp_path)


def test_observations_one_at_a_time_or_many_at_once_are_answered_alike(tmp_path):
    agent = learned(tmp_path, net="lstm")
    obs = np.random.default_rng(2).normal(size=(7, 4)).astype(np.float32)
    actions, states = agent.predict(obs, deterministic=True)
    assert actions.shape == (7,)
    assert states.shape[0] == 7
    for i in range(7):
        action, state = agent.predict(obs[i], deterministic=True)
        assert action == actions[i]
        np.testing.assert_array_equal(state, states[i])
    again, _ = agent.predict(obs, states, deterministic=True)
    assert again.shape == (7,)
    assert agent.value(obs).shape == (7,)
    assert isinstance(agent.value(obs[0]), float)


def test_without_recurrence_there_is_no_state(tmp_path):
    assert learned(tmp_path).predict(np.zeros(4, np.float32))[1] is None


@pytest.mark.parametrize(
    ("obs", "state", "sentence"),
    [
        (
            np.zeros(3, np.float32),
            None,
            r"obs is float32 of shape \(3,\), but the agent observes float32 of shape \(4,\)",
        ),
        (np.zeros((2, 2, 4), np.float32), None, "or several of these in one array"),
        (np.array(["a", "b", "c", "d"]), None, "obs is <U1"),
        (np.zeros(4, np.float32), np.zeros(3, np.float32), r"state has the shape \(3,\), but it must be"),
    ],
)
def test_wrong_shapes_are_refused_in_a_sentence(tmp_path, obs, state, sentence):
    agent = Agent("CartPole-v1", net="lstm", **SMALL)
    with pytest.raises(ConfigError, match=sentence):
        agent.predict(obs, state)


def test_a_callback_hears_rows_and_stops_the_run(tmp_path):
    rows = []

    def enough(row):
        rows.append(row)
        return len(rows) < 3

    agent = Agent("CartPole-v1", **SMALL).learn(steps=10**9, callback=enough, out=tmp_path / "run", quiet=True)
    assert len(rows) == 3
    assert {"steps", "return_mean_100", "steps_per_sec"} <= rows[0].keys()
    assert agent.steps >= rows[-1]["steps"]


def test_a_callback_is_a_function(tmp_path):
    with pytest.raises(ConfigError, match="callback is 3, but it must be a function"):
        Agent("CartPole-v1", **SMALL).learn(steps=100, callback=3, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("error", [LookupError, ConfigError, KeyboardInterrupt])
def test_what_a_callback_raises_comes_back_and_what_was_learned_is_kept(tmp_path, error):
    def fail(row):
        raise error("no such thing")

    agent = Agent("CartPole-v1", **SMALL)
    with pytest.raises(error, match="no such thing"):
        agent.learn(steps=10**9, callback=fail, out=tmp_path / "run", quiet=True)
    assert agent.steps > 0


def test_an_environment_of_ones_own_and_its_own_actions(tmp_path):
    class Tall(gymnasium.Env):
        observation_space = gymnasium.spaces.Box(-1, 1, (2,))
        action_space = gymnasium.spaces.MultiDiscrete([2, 3])

        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            return np.zeros(2, np.float32), {}

        def step(self, action):
            assert self.action_space.contains(action)
            return np.zeros(2, np.float32), 1.0, bool(self.np_random.random() < 0.1), False, {}

    agent = Agent(Tall, env_workers="thread", **SMALL).learn(steps=300, out=tmp_path / "run", quiet=True)
    action, _ = agent.predict(np.zeros(2, np.float32))
    assert Tall.action_space.contains(action)
    assert Agent.load(tmp_path / "run", env=Tall).evaluate(2)["episodes"] == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"frames": 1, "steps": 1}, "say the same thing"),
        ({"frames": 0}, "frames is 0, but it must be at least 1"),
        ({"steps": "many"}, "steps is 'many', but it must be a whole number"),
    ],
)
def test_wrong_lengths_are_refused(arguments, sentence):
    with pytest.raises(ConfigError, match=sentence):
        Agent("CartPole-v1", **SMALL).learn(quiet=True, **arguments)


def test_wrong_settings_are_refused_where_the_agent_is_made():
    with pytest.raises(ConfigError, match=r"There is no setting 'gama' \(did you mean gamma\?\)"):
        Agent("CartPole-v1", gama=1)
    with pytest.raises(ConfigError, match="There is no environment 'Pogn'"):
        Agent("Pogn")
