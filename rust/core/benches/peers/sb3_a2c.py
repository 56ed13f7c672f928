"""Stable-Baselines3's A2C on an Atari game with the zoo's settings; prints agent steps per second after a warm-up."""

import argparse
import time

import ale_py
import gymnasium
from stable_baselines3 import A2C
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_atari_env
from stable_baselines3.common.sb2_compat.rmsprop_tf_like import RMSpropTFLike
from stable_baselines3.common.vec_env import VecFrameStack

ENVS = 16
WARM_UP_STEPS = ENVS * 100


class Stopwatch(BaseCallback):
    """Callback that ends the training after some seconds, not counting the warm-up."""

    def __init__(self, secs: float) -> None:
        super().__init__()
        self.secs = secs
        self.since = None
        self.rate = 0.0

    def _on_step(self) -> bool:
        if self.since is None:
            if self.num_timesteps >= WARM_UP_STEPS:
                self.since = (time.perf_counter(), self.num_timesteps)
            return True
        elapsed = time.perf_counter() - self.since[0]
        self.rate = (self.num_timesteps - self.since[1]) / elapsed
        return elapsed < self.secs


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--game", default="Pong")
    parser.add_argument("--secs", type=float, default=20)
    arguments = parser.parse_args()
    gymnasium.register_envs(ale_py)
    env = VecFrameStack(make_atari_env(f"{arguments.game}NoFrameskip-v4", n_envs=ENVS, seed=0), n_stack=4)
    policy = {"optimizer_class": RMSpropTFLike, "optimizer_kwargs": {"eps": 1e-5}}
    model = A2C("CnnPolicy", env, ent_coef=0.01, vf_coef=0.25, policy_kwargs=policy, device="cpu", seed=0)
    stopwatch = Stopwatch(arguments.secs)
    model.learn(10**9, callback=stopwatch)
    print(stopwatch.rate)
