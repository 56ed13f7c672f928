"""Environments whose observations are their rendered images; MuJoCo's render in worker processes."""

import itertools

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box

import a3crs
from a3crs.config import TrainConfig
from a3crs.envs import ImageObs, Mode, mujoco, resolve
from a3crs.envs.worker import WorkerEnv
from a3crs.errors import ConfigError

draws = pytest.mark.skipif(mujoco._opengl_that_works() is None, reason="this machine has neither EGL nor OSMesa")


class Dot(gymnasium.Env):
    """Environment that observes numbers, and renders a dot in the column of the last action."""

    observation_space = Box(-1, 1, (2,))
    action_space = Box(-1, 1, (1,))

    def __init__(self, render_mode=None):
        self.render_mode = render_mode

    def reset(self, *, seed=None, options=None):
        self.column = 0
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.column = int(20 + 20 * action[0])
        return np.zeros(2, np.float32), 0, False, False, {}

    def render(self):
        image = np.zeros((30, 41, 3), np.uint8)
        image[:, self.column] = 255
        return image


def play(env, *actions, **settings):
    """Returns the spec, and all observations of an environment from a callable or an id."""
    make, name = (None, env) if isinstance(env, str) else (env, "callable")
    family = resolve(TrainConfig(env=name, pixels=True, **settings), Mode.TRAINING, make)
    env = family.make(0)
    assert isinstance(env, WorkerEnv)
    seen = [env.reset(seed=1)[0].copy(), *(env.step(action)[0].copy() for action in actions)]
    env.close()
    return family.spec, seen


def test_what_is_rendered_is_observed_after_each_step():
    spec, seen = play(lambda: Dot("rgb_array"), (-0.5,), (1.0,))
    assert (spec.obs, spec.own_process) == (ImageObs(3, 30, 41), True)
    assert [image[1, 7].argmax() for image in seen] == [0, 10, 40]


def test_rendered_images_are_stacked_made_grey_and_resized_like_others():
    spec, seen = play(lambda: Dot("rgb_array"), (1.0,), grayscale=True, frame_stack=2)
    assert spec.obs == ImageObs(2, 30, 41)
    assert seen[1][:, 7].argmax(axis=1).tolist() == [0, 40]
    assert play(lambda: Dot("rgb_array"), resize="24x25")[0].obs == ImageObs(3, 24, 25)


def test_without_pixels_the_numbers_are_observed():
    family = resolve(TrainConfig(env="callable"), Mode.TRAINING, lambda: Dot("rgb_array"))
    assert family.spec.obs.len == 2


@pytest.mark.parametrize("render_mode", [None, "human"])
def test_an_environment_that_renders_no_images_is_refused(render_mode):
    with pytest.raises(ConfigError) as refusal:
        play(lambda: Dot(render_mode))
    assert str(refusal.value) == (
        f"pixels is true, but Dot has the render_mode {render_mode!r}: make it with render_mode='rgb_array'."
    )


def test_pixels_are_refused_in_threads_which_would_share_opengl():
    with pytest.raises(ConfigError, match="env_workers is 'thread', but with pixels environments need a process each"):
        play(lambda: Dot("rgb_array"), env_workers="thread")


@draws
@pytest.mark.parametrize("env", ["HalfCheetah-v5", "Ant-v5", "dm_control/cheetah-run-v0"])
def test_mujocos_images_have_the_wanted_size_and_show_what_moves(env):
    dims = 8 if env == "Ant-v5" else 6
    spec, seen = play(env, *[(0.9,) * dims] * 3, resize="40x48")
    assert spec.obs == ImageObs(3, 40, 48)
    for before, after in itertools.pairwise(seen):
        assert after.std() > 10
        assert (before != after).any()


@draws
def test_mujoco_draws_shadows_and_reflections_no_more():
    env = gymnasium.make("HalfCheetah-v5", render_mode="rgb_array", width=32, height=32)
    model = env.unwrapped.model
    assert (model.vis.quality.shadowsize > 0, model.vis.quality.offsamples > 0) == (True, True)
    mujoco.draw_fast(env)
    assert (model.vis.quality.shadowsize, model.vis.quality.offsamples, model.mat_reflectance.max()) == (0, 0, 0)


@draws
@pytest.mark.parametrize("net", ["ff", "lstm"])
def test_a_policy_is_trained_from_pixels_and_evaluated(tmp_path, net):
    settings = {"pixels": True, "resize": "44x44", "net": net, "actors": 2, "total_steps": 200, "quiet": True}
    result = a3crs.train("Reacher-v5", out=tmp_path / "run", **settings)
    assert (result.summary["steps"] >= 200, result.summary["env_restarts"]) == (True, 0)
    assert a3crs.evaluate(tmp_path / "run", episodes=1)["episodes"] == 1
