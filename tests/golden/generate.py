"""Golden numbers: outputs, losses and gradients of networks, the paper's and others, computed by PyTorch in float64.

PyTorch is no dependency of a3crs, not even of its tests; to write golden.json anew, give it an environment of its own:

    python3 -m venv .venv-golden && .venv-golden/bin/pip install numpy torch
    .venv-golden/bin/python tests/golden/generate.py

Parameters, observations, actions and returns are not stored: both sides compute them from a hash of a name and index.
rust/core/tests/golden.rs compares.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

STEPS = 5
ACTIONS = 6
DIMS = 3  # of continuous actions
MIN_VARIANCE = 1e-4
ENTROPY_BETA = 0.01
VALUE_COEF = 0.5
CLIP_RANGE = 0.2
VALUE_CLIP_RANGE = 0.3
SAMPLES = 16  # elements of a tensor that are kept

IMAGE = [4, 84, 84]
VECTOR = [7]
CONVOLUTIONS = {
    "ff": [(16, 8, 4), (32, 4, 2)],
    "nature": [(32, 8, 4), (64, 4, 2), (64, 3, 1)],
}
ACTIVATIONS = {"relu": functional.relu, "tanh": torch.tanh}


@dataclass(frozen=True)
class Case:
    """Network under one method, with the network's settings where they are not the paper's."""

    net: str
    obs: list
    method: str
    hidden: tuple = ()
    activation: str = "relu"
    cells: int = 0

    @property
    def base(self):
        """Name of the network without its LSTM."""
        return self.net.removesuffix("-lstm").replace("lstm", "ff")

    @property
    def is_section_9(self):
        """True for two trunks from images: no units of their own, and nothing behind the convolutions."""
        return self.net == "lstm" and self.obs == IMAGE and self.method.endswith(("-spherical", "-diagonal"))

    @property
    def convolutions(self):
        return CONVOLUTIONS[self.base] if self.obs == IMAGE else []

    @property
    def layers(self):
        """Names and units of the hidden layers."""
        own = 200 if self.obs == VECTOR else {"ff": 256, "nature": 512}[self.base]
        units = self.hidden or (() if self.is_section_9 else (own,))
        return [(f"fc{i}" if len(units) > 1 else "fc", count) for i, count in enumerate(units, 1)]

    @property
    def lstm_cells(self):
        """Number of cells; 0 for a network without."""
        own = 128 if self.obs == VECTOR or self.is_section_9 else 256
        return (self.cells or own) if "lstm" in self.net else 0

    def to_json(self):
        """Returns what tells a case from others; settings of the paper's are left out."""
        settings = {"hidden": list(self.hidden), "activation": self.activation, "cells": self.cells}
        own = {"hidden": [], "activation": "relu", "cells": 0}
        chosen = {name: value for name, value in settings.items() if value != own[name]}
        return {"net": self.net, "obs": self.obs, "method": self.method} | chosen


CASES = [
    *(Case(net, IMAGE, "a3c") for net in ("ff", "lstm", "nature", "nature-lstm")),
    *(Case(net, VECTOR, "a3c") for net in ("ff", "lstm")),
    *(Case(net, IMAGE, "q") for net in ("ff", "lstm")),
    *(Case(net, VECTOR, f"a3c-{gaussian}") for net in ("ff", "lstm") for gaussian in ("spherical", "diagonal")),
    Case("lstm", IMAGE, "a3c-spherical"),
    Case("ff", VECTOR, "a3c", hidden=(64, 64), activation="tanh"),
    Case("ff", VECTOR, "a3c-diagonal", hidden=(64, 64), activation="tanh"),
    Case("ff", VECTOR, "q", hidden=(100, 50, 30)),
    Case("ff", IMAGE, "a3c", activation="tanh"),
    Case("lstm", VECTOR, "a3c", hidden=(64, 64), activation="tanh", cells=64),
    Case("lstm", IMAGE, "a3c", hidden=(100, 50), cells=96),
    Case("lstm", IMAGE, "a3c-spherical", hidden=(50,), activation="tanh", cells=32),
    *(Case(net, VECTOR, method) for net in ("ff", "lstm") for method in ("ppo", "ppo-diagonal")),
    Case("ff", IMAGE, "ppo"),
]
# A trunk's name before that of its tensors, and its heads; section 9 has two trunks.
TRUNKS = {
    "q": {"": {"q": ACTIONS}},
    "a3c": {"": {"policy": ACTIONS, "value": 1}},
    "a3c-spherical": {"policy.": {"mu": DIMS, "variance": 1}, "value.": {"v": 1}},
    "a3c-diagonal": {"policy.": {"mu": DIMS}, "value.": {"v": 1}},
}
TRUNKS |= {"ppo": TRUNKS["a3c"], "ppo-diagonal": TRUNKS["a3c-diagonal"]}


def hashed(name, count):
    """Returns the first `count` hashes of a name: splitmix64, starting at the name's FNV-1a hash."""
    start = np.uint64(0xCBF29CE484222325)
    with np.errstate(over="ignore"):
        for byte in name.encode():
            start = (start ^ np.uint64(byte)) * np.uint64(0x100000001B3)
        z = start + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def uniform(name, shape, bound):
    """Returns float32 numbers in [-bound, bound), as float64."""
    units = (hashed(name, int(np.prod(shape))) >> np.uint64(40)).astype(np.float64) / 2**23 - 1
    return torch.tensor((units * bound).astype(np.float32).astype(np.float64).reshape(shape))


def parameters(case, prefix, heads):
    """Returns the tensors of one trunk by name, in the canonical shapes, bounded by 1/sqrt(fan_in)."""
    shapes = {}

    def add(name, out, fan_in, weight_shape):
        shapes[f"{prefix}{name}.weight"] = (weight_shape, fan_in)
        shapes[f"{prefix}{name}.bias"] = ([out], fan_in)

    top = int(np.prod(case.obs))
    if case.convolutions:
        channels, side = case.obs[0], case.obs[1]
        for i, (out, kernel, stride) in enumerate(case.convolutions, 1):
            add(f"conv{i}", out, channels * kernel * kernel, [out, channels, kernel, kernel])
            channels, side = out, (side - kernel) // stride + 1
        top = channels * side * side
    for name, units in case.layers:
        add(name, units, top, [units, top])
        top = units
    if cells := case.lstm_cells:
        shapes[f"{prefix}lstm.weight_ih"] = ([4 * cells, top], cells)
        shapes[f"{prefix}lstm.weight_hh"] = ([4 * cells, cells], cells)
        shapes[f"{prefix}lstm.bias"] = ([4 * cells], cells)
        top = cells
    for name, out in heads.items():
        add(name, out, top, [out, top])
    return {
        name: uniform(name, shape, 1 / math.sqrt(fan_in)).requires_grad_() for name, (shape, fan_in) in shapes.items()
    }


def observation(obs, step):
    if obs == VECTOR:
        return uniform(f"obs{step}", obs, 1.0)
    pixels = (hashed(f"obs{step}", int(np.prod(obs))) >> np.uint64(56)).astype(np.float64)
    return torch.tensor(pixels.reshape(obs)) / 255


def forward(case, prefix, theta, heads):
    """Returns a trunk's outputs in each step and its last recurrent state."""
    activation = ACTIVATIONS[case.activation]
    theta = {name.removeprefix(prefix): tensor for name, tensor in theta.items()}
    behind = (lambda x: x) if case.is_section_9 else activation
    state, cell = None, None
    if cells := case.lstm_cells:
        state = tuple(uniform(f"{prefix}{name}", [1, cells], 1.0) for name in ("h", "c"))
        cell = torch.nn.LSTMCell(theta["lstm.weight_ih"].shape[1], cells).double()
    ys = []
    for step in range(STEPS):
        x = observation(case.obs, step)[None]
        for i, (_, _, stride) in enumerate(case.convolutions, 1):
            x = behind(functional.conv2d(x, theta[f"conv{i}.weight"], theta[f"conv{i}.bias"], stride=stride))
        x = x.flatten(1)
        for name, _ in case.layers:
            x = activation(functional.linear(x, theta[f"{name}.weight"], theta[f"{name}.bias"]))
        if cell is not None:
            own = {"weight_ih": theta["lstm.weight_ih"], "weight_hh": theta["lstm.weight_hh"]}
            own |= {"bias_ih": theta["lstm.bias"], "bias_hh": torch.zeros_like(theta["lstm.bias"])}
            state = torch.func.functional_call(cell, own, (x, state))
            x = state[0]
        ys.append(
            torch.cat([functional.linear(x, theta[f"{head}.weight"], theta[f"{head}.bias"]) for head in heads], 1)[0]
        )
    return ys, [] if state is None else [part[0] for part in state]


def gaussian(method, y):
    """Returns the policy of continuous actions: its components are independent."""
    mu, spread = y[:DIMS], y[DIMS:-1]
    variance = functional.softplus(spread) if method == "a3c-spherical" else (2 * spread).exp()
    return torch.distributions.Normal(mu, (variance + MIN_VARIANCE).sqrt().expand(DIMS))


def policy_of(method, y):
    """Returns the policy's distribution over actions, in an output of any method that has one."""
    if method in ("a3c", "ppo"):
        return torch.distributions.Categorical(logits=y[:ACTIONS])
    return torch.distributions.Independent(gaussian(method, y), 1)


def losses(ys, method):
    """Returns the sums over the steps of policy loss, value loss and entropy."""
    policy = value = entropy = torch.zeros((), dtype=torch.float64)
    actions = hashed("actions", STEPS) % np.uint64(ACTIONS)
    returns = uniform("returns", [STEPS], 2.0)
    for step, (y, action, g) in enumerate(zip(ys, actions.tolist(), returns, strict=True)):
        if method == "q":
            value = value + (g - y[action]) ** 2
            continue
        v, pi = y[-1], policy_of(method, y)
        a = torch.tensor(action) if method in ("a3c", "ppo") else uniform(f"action{step}", [DIMS], 1.0)
        log_pi, h = pi.log_prob(a), pi.entropy()
        if method.startswith("ppo"):
            surrogate, squares = clipped(method, step, (y, a, g), log_pi)
            policy = policy - surrogate - ENTROPY_BETA * h
            value = value + VALUE_COEF * squares
        else:
            policy = policy - (g - v).detach() * log_pi - ENTROPY_BETA * h
            value = value + VALUE_COEF * (g - v) ** 2
        entropy = entropy + h
    return policy, value, entropy


def clipped(method, step, sample, log_pi):
    """Returns PPO's clipped surrogate and clipped squared error of one step, played under another output."""
    y, a, g = sample
    acted = uniform(f"acted{step}", [len(y)], 0.5)
    advantage = uniform("advantages", [STEPS], 2.0)[step]
    ratio = (log_pi - policy_of(method, acted).log_prob(a)).exp()
    surrogate = torch.min(ratio * advantage, ratio.clamp(1 - CLIP_RANGE, 1 + CLIP_RANGE) * advantage)
    near = acted[-1] + (y[-1] - acted[-1]).clamp(-VALUE_CLIP_RANGE, VALUE_CLIP_RANGE)
    return surrogate, torch.max((g - y[-1]) ** 2, (g - near) ** 2)


def summary(name, tensor):
    """Returns sum, norm and some elements of a tensor, at hashed positions."""
    flat = tensor.detach().flatten()
    at = sorted({int(i) for i in hashed(f"sample {name}", SAMPLES) % np.uint64(len(flat))})
    return {"sum": flat.sum().item(), "norm": flat.norm().item(), "elements": [[i, flat[i].item()] for i in at]}


def computed(case):
    """Returns a case with its numbers, as golden.json holds it."""
    theta, parts, state = {}, [], []
    for prefix, heads in TRUNKS[case.method].items():
        own = parameters(case, prefix, heads)
        ys, last = forward(case, prefix, own, heads)
        theta |= own
        parts.append(ys)
        state += last
    if case.method.endswith("-diagonal"):
        log_sigma = uniform("policy.log_sigma", [DIMS], 1.0).requires_grad_()
        theta["policy.log_sigma"] = log_sigma
        parts.insert(1, [log_sigma] * STEPS)
    ys = [torch.cat(outputs) for outputs in zip(*parts, strict=True)]
    policy, value, entropy = losses(ys, case.method)
    (policy + value).backward()
    return case.to_json() | {
        "y": [y.tolist() for y in ys],
        "state": [summary(name, part) for name, part in zip("hchc", state, strict=False)],
        "losses": [loss.item() for loss in (policy, value, entropy)],
        "gradients": {name: summary(name, tensor.grad) for name, tensor in theta.items()},
    }


if __name__ == "__main__":
    version = json.dumps(torch.__version__.partition("+")[0])
    lines = ",\n".join(json.dumps(computed(case), separators=(",", ":")) for case in CASES)
    path = Path(__file__).parent / "golden.json"
    path.write_text(f'{{"torch": {version}, "cases": [\n{lines}\n]}}\n', encoding="utf-8")
