"""Settings of rl-baselines3-zoo for Stable-Baselines3's PPO and A2C, as of its commit 22e3ff2.

They are those of hyperparams/ppo.yml and hyperparams/a2c.yml in github.com/DLR-RM/rl-baselines3-zoo: Pong's are its
`atari`, HalfCheetah-v5's its HalfCheetah-v4. What a file does not give has Stable-Baselines3's default there and here.
Nothing here imports torch: score.py, which may run without it, reads the lengths and the environments.
"""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Linear:
    """Schedule that falls linearly to 0 over the run, the zoo's `lin_`."""

    initial: float

    def __call__(self, remaining: float) -> float:
        return remaining * self.initial


@dataclass(frozen=True)
class Settings:
    """Settings of one method in one environment."""

    policy: str
    steps: int  # n_timesteps, over which schedules run
    envs: int = 1
    is_normalized: bool = False  # VecNormalize of observations and rewards
    model: dict[str, Any] = field(default_factory=dict)


ENVS = ("CartPole-v1", "LunarLander-v3", "HalfCheetah-v5", "Pong")
ATARI = ("Pong",)

PPO = {
    "CartPole-v1": Settings(
        "MlpPolicy",
        100_000,
        envs=8,
        model={
            "n_steps": 32,
            "batch_size": 256,
            "gae_lambda": 0.8,
            "gamma": 0.98,
            "n_epochs": 20,
            "ent_coef": 0.0,
            "learning_rate": Linear(0.001),
            "clip_range": Linear(0.2),
        },
    ),
    "LunarLander-v3": Settings(
        "MlpPolicy",
        1_000_000,
        envs=16,
        model={
            "n_steps": 1024,
            "batch_size": 64,
            "gae_lambda": 0.98,
            "gamma": 0.999,
            "n_epochs": 4,
            "ent_coef": 0.01,
        },
    ),
    "HalfCheetah-v5": Settings(
        "MlpPolicy",
        1_000_000,
        is_normalized=True,
        model={
            "batch_size": 64,
            "n_steps": 512,
            "gamma": 0.98,
            "learning_rate": 2.0633e-05,
            "ent_coef": 0.000401762,
            "clip_range": 0.1,
            "n_epochs": 20,
            "gae_lambda": 0.92,
            "max_grad_norm": 0.8,
            "vf_coef": 0.58096,
            "policy_kwargs": {
                "log_std_init": -2,
                "ortho_init": False,
                "activation_fn": "ReLU",
                "net_arch": {"pi": [256, 256], "vf": [256, 256]},
            },
        },
    ),
    "Pong": Settings(
        "CnnPolicy",
        10_000_000,
        envs=8,
        model={
            "n_steps": 128,
            "n_epochs": 4,
            "batch_size": 256,
            "learning_rate": Linear(2.5e-4),
            "clip_range": Linear(0.1),
            "vf_coef": 0.5,
            "ent_coef": 0.01,
        },
    ),
}

A2C = {
    "CartPole-v1": Settings("MlpPolicy", 500_000, envs=8, model={"ent_coef": 0.0}),
    "LunarLander-v3": Settings(
        "MlpPolicy",
        200_000,
        envs=8,
        model={"gamma": 0.995, "n_steps": 5, "learning_rate": Linear(0.00083), "ent_coef": 0.00001},
    ),
    "HalfCheetah-v5": Settings("MlpPolicy", 1_000_000, is_normalized=True),
    "Pong": Settings(
        "CnnPolicy",
        10_000_000,
        envs=16,
        model={
            "ent_coef": 0.01,
            "vf_coef": 0.25,
            "policy_kwargs": {"optimizer_class": "RMSpropTFLike", "optimizer_kwargs": {"eps": 1e-5}},
        },
    ),
}

ALGOS = {"ppo": PPO, "a2c": A2C}
