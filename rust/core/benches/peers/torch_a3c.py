"""Plain A3C in PyTorch with 16 processes and one shared network; prints agent steps per second after a warm-up.

The network, the preprocessing and the settings are those of a3crs: 16@8x8/4, 32@4x4/2, 256; 84x84, stack of 4.
"""

import argparse
import time

import ale_py
import gymnasium
import numpy as np
import torch
from gymnasium.wrappers import AtariPreprocessing, FrameStackObservation
from torch import multiprocessing, nn
from torch.nn import functional

ACTORS = 16
T_MAX = 5
GAMMA, BETA, LR, DECAY, EPS, MAX_NORM = 0.99, 0.01, 7e-4, 0.99, 0.1, 40.0
WARM_UP_SECS = 5.0


class Net(nn.Module):
    """Network of section 8."""

    def __init__(self, num_actions: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(4, 16, 8, stride=4)
        self.conv2 = nn.Conv2d(16, 32, 4, stride=2)
        self.fc = nn.Linear(2592, 256)
        self.policy = nn.Linear(256, num_actions)
        self.value = nn.Linear(256, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = functional.relu(self.conv1(x))
        x = functional.relu(self.conv2(x))
        x = functional.relu(self.fc(x.flatten(1)))
        return self.policy(x), self.value(x).squeeze(1)


def make_env(game: str) -> gymnasium.Env:
    gymnasium.register_envs(ale_py)
    env = gymnasium.make(f"ALE/{game}-v5", frameskip=1, repeat_action_probability=0.0, full_action_space=False)
    return FrameStackObservation(AtariPreprocessing(env, terminal_on_life_loss=True), 4)


def act(game: str, actor: int, shared: Net, g: list[torch.Tensor], steps: torch.Tensor, stop: torch.Tensor) -> None:
    """Runs one actor-learner, Algorithm S3."""
    torch.set_num_threads(1)
    torch.manual_seed(actor)
    env = make_env(game)
    local = Net(env.action_space.n)
    state, _ = env.reset(seed=actor)
    while not stop.item():
        local.load_state_dict(shared.state_dict())
        log_pis, entropies, values, rewards, done = [], [], [], [], False
        while len(rewards) < T_MAX and not done:
            logits, value = local(torch.from_numpy(np.asarray(state)).float()[None] / 255)
            log_pi = functional.log_softmax(logits, 1)
            action = log_pi.exp().multinomial(1).item()
            state, reward, terminated, truncated, _ = env.step(action)
            done = terminated or truncated
            log_pis.append(log_pi[0, action])
            entropies.append(-(log_pi.exp() * log_pi).sum())
            values.append(value[0])
            rewards.append(max(-1.0, min(1.0, float(reward))))
        steps[actor] += len(rewards)
        r = 0.0
        if not done:
            with torch.no_grad():
                r = local(torch.from_numpy(np.asarray(state)).float()[None] / 255)[1].item()
        loss = torch.zeros(())
        for i in reversed(range(len(rewards))):
            r = rewards[i] + GAMMA * r
            advantage = r - values[i]
            loss = loss - advantage.detach() * log_pis[i] - BETA * entropies[i] + 0.5 * advantage**2
        local.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(local.parameters(), MAX_NORM)
        with torch.no_grad():
            for theta, own, square in zip(shared.parameters(), local.parameters(), g, strict=True):
                square.mul_(DECAY).addcmul_(own.grad, own.grad, value=1 - DECAY)
                theta.addcdiv_(own.grad, (square + EPS).sqrt(), value=-LR)
        if done:
            state, _ = env.reset()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--game", default="Pong")
    parser.add_argument("--secs", type=float, default=20)
    arguments = parser.parse_args()
    net = Net(make_env(arguments.game).action_space.n).share_memory()
    squares = [torch.zeros_like(theta).share_memory_() for theta in net.parameters()]
    steps, stop = (
        torch.zeros(ACTORS, dtype=torch.int64).share_memory_(),
        torch.zeros((), dtype=torch.bool).share_memory_(),
    )
    context = multiprocessing.get_context("fork")
    torch.set_num_threads(1)
    actors = [
        context.Process(target=act, args=(arguments.game, actor, net, squares, steps, stop)) for actor in range(ACTORS)
    ]
    for actor in actors:
        actor.start()
    time.sleep(WARM_UP_SECS)
    before, since = steps.sum().item(), time.perf_counter()
    time.sleep(arguments.secs)
    print((steps.sum().item() - before) / (time.perf_counter() - since))
    stop.fill_(True)
    for actor in actors:
        actor.join()
