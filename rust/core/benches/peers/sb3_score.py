"""Stable-Baselines3's PPO or A2C with the zoo's settings; writes its score over time, a row of JSON about each second.

score.py starts it; the time in a row counts from `--since`, so that it holds the imports too.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any, TextIO

import gymnasium
import torch
import zoo
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_atari_env, make_vec_env
from stable_baselines3.common.sb2_compat.rmsprop_tf_like import RMSpropTFLike
from stable_baselines3.common.vec_env import VecEnv, VecFrameStack, VecNormalize

ROW_SECS = 1.0
CLASSES = {"ReLU": torch.nn.ReLU, "RMSpropTFLike": RMSpropTFLike}


class Scores(BaseCallback):
    """Callback that writes rows and ends the training when its time is over."""

    def __init__(self, out: TextIO, row: dict[str, Any], since: float, secs: float, frames_a_step: int) -> None:
        super().__init__()
        self.out = out
        self.row = row
        self.since = since
        self.secs = secs
        self.frames_a_step = frames_a_step
        self.next_secs = 0.0

    def write(self) -> None:
        # The Monitor around each game is inside all that clips or normalizes: these are raw returns of whole games.
        returns = [episode["r"] for episode in self.model.ep_info_buffer]
        row = self.row | {
            "secs": time.time() - self.since,
            "frames": self.num_timesteps * self.frames_a_step,
            "return_mean_100": sum(returns) / len(returns) if returns else None,
        }
        self.out.write(json.dumps(row) + "\n")
        self.out.flush()

    def _on_step(self) -> bool:
        elapsed = time.time() - self.since
        if elapsed >= self.next_secs:
            self.write()
            self.next_secs = elapsed + ROW_SECS
        return elapsed < self.secs

    def _on_training_end(self) -> None:
        self.write()


def make_envs(env: str, settings: zoo.Settings, seed: int) -> VecEnv:
    """Returns the environments, wrapped as the zoo wraps them: all in this process."""
    if env in zoo.ATARI:
        import ale_py

        gymnasium.register_envs(ale_py)
        games = make_atari_env(f"{env}NoFrameskip-v4", n_envs=settings.envs, seed=seed)
        return VecFrameStack(games, n_stack=4)
    envs = make_vec_env(env, n_envs=settings.envs, seed=seed)
    # The zoo hands over the method's gamma where it gives one; 0.99 is both defaults.
    return VecNormalize(envs, gamma=settings.model.get("gamma", 0.99)) if settings.is_normalized else envs


def make_model(algo: str, settings: zoo.Settings, envs: VecEnv, seed: int) -> PPO | A2C:
    """Returns the untrained model."""
    kwargs = dict(settings.model)
    policy = kwargs.pop("policy_kwargs", {})
    policy = {name: CLASSES.get(value, value) if isinstance(value, str) else value for name, value in policy.items()}
    method = {"ppo": PPO, "a2c": A2C}[algo]
    return method(settings.policy, envs, policy_kwargs=policy, device="cpu", seed=seed, **kwargs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--algo", required=True, choices=list(zoo.ALGOS))
    parser.add_argument("--env", required=True, choices=zoo.ENVS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--secs", type=float, required=True)
    parser.add_argument("--since", type=float, default=time.time(), help="UNIX time from which seconds count")
    parser.add_argument("--steps", type=int, help="length of the run, over which schedules run; default: the zoo's")
    parser.add_argument("--threads", type=int, required=True, help="torch's")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    settings = zoo.ALGOS[arguments.algo][arguments.env]
    model = make_model(arguments.algo, settings, make_envs(arguments.env, settings, arguments.seed), arguments.seed)
    row = {"library": f"sb3-{arguments.algo}", "env": arguments.env, "seed": arguments.seed}
    with arguments.out.open("w") as out:
        frames_a_step = 4 if arguments.env in zoo.ATARI else 1
        scores = Scores(out, row, arguments.since, arguments.secs, frames_a_step)
        model.learn(arguments.steps or settings.steps, callback=scores)


if __name__ == "__main__":
    main()
