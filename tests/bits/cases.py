"""The cases of the hashes: every method x network x optimizer of the catalogue, and settings that meet other code."""

from dataclasses import dataclass, field
from itertools import product
from typing import Any

from environments import Memory, Pushed, Seen, SeenPushed, Walk, interrupted_once

from a3crs import _core

INTERRUPTED_AT = 1500
METHODS = ("a3c", "one-step-q", "one-step-sarsa", "n-step-q")


@dataclass(frozen=True)
class Case:
    """One run: its environment, its settings, and how it is gone on with."""

    env: Any
    settings: dict[str, Any]
    resumed_to: int | None = None  # frames in all after a first end
    interrupted: bool = False  # stopped in the middle by Ctrl-C, and resumed
    short: bool = field(default=False, kw_only=True)


# The hashes are of a commit before the presets; `paper` leaves the other settings as they were then.
SMALL = {"preset": "paper", "actors": 3, "total_steps": 600, "target_interval_steps": 100, "explore_anneal_steps": 300}
VALUES_ONLY = ("target_interval_steps", "explore_anneal_steps")
A3C = {name: value for name, value in SMALL.items() if name not in VALUES_ONLY}
LONG = A3C | {"total_steps": 12_000, "lr": 3e-3}
LONG_Q = SMALL | {"total_steps": 12_000, "lr": 3e-3}


def cases() -> dict[str, Case]:
    """All cases by name; a new row of the catalogue brings its own."""
    return _combinations() | _discrete() | _continuous() | _resumed() | _game()


def combinations() -> set[str]:
    """Names of method x network x optimizer, for vectors and images; some are refused."""
    names = {kind: [row["name"] for row in rows] for kind, rows in _core.catalogue().items()}
    every = product(("vectors", "images"), names["algos"], names["nets"], names["optimizers"])
    return {"/".join(one) for one in every}


def _combinations() -> dict[str, Case]:
    found = {}
    for name in sorted(combinations()):
        family, algo, net, optimizer = name.split("/")
        steps = {"vectors": 1500, "images": 150 if "nature" in net else 300}[family]
        settings = (SMALL if algo in METHODS[1:] else A3C) | {"total_steps": steps}
        settings |= {"algo": algo, "net": net, "optimizer": optimizer}
        short = family == "vectors" or (net, optimizer) in {("ff", "rmsprop"), ("nature-lstm", "shared-rmsprop")}
        found[name] = Case(Walk if family == "vectors" else Seen, settings, short=short)
    return found


def _discrete() -> dict[str, Case]:
    def memory(net: str, **more: Any) -> Case:
        return Case(Memory, LONG | {"net": net, "t_max": 4, "normalize_obs": False} | more, short=True)

    found = {
        "memory/lstm": memory("lstm"),
        "memory/lstm/across segments": memory("lstm", t_max=3, actors=5),
        "memory/ff/normalised": memory("ff", normalize_obs=True),
        "CartPole/21,000 steps": Case("CartPole-v1", LONG | {"total_steps": 21_000, "actors": 4}, short=True),
        "CartPole/whole episodes": Case("CartPole-v1", LONG | {"t_max": "episode"}),
        "walk/one actor": Case(Walk, LONG | {"actors": 1}),
        "walk/seven actors, two at once": Case(Walk, LONG | {"actors": 7, "segments_at_once": 2}, short=True),
        "walk/seven actors, all at once": Case(Walk, LONG | {"actors": 7, "segments_at_once": 7}),
        "walk/lambda": Case(Walk, LONG | {"lambda": 0.8, "gamma": 0.95, "t_max": 20}),
        "walk/running rewards": Case(Walk, LONG | {"reward_scale": "running", "reward_clip": 10.0}, short=True),
        "walk/raw rewards": Case(Walk, LONG | {"reward_scale": 0.3, "reward_clip": 0.0}),
        "walk/no clipping": Case(Walk, LONG | {"max_grad_norm": 0.0, "entropy_beta": 0.1, "value_coef": 1.0}),
        "walk/clipping": Case(Walk, LONG | {"max_grad_norm": 0.1}),
        "walk/momentum": Case(Walk, LONG | {"optimizer": "momentum-sgd", "momentum": 0.5}),
        "walk/rmsprop": Case(Walk, LONG | {"optimizer": "rmsprop", "rms_decay": 0.9, "rms_eps": 0.01}),
        "walk/frame stack": Case(Walk, LONG | {"frame_stack": 3}),
        "images/frame stack, lstm": Case(Seen, A3C | {"frame_stack": 2, "net": "lstm"}),
    }
    for algo in METHODS[1:]:
        found[f"walk/{algo}/lstm, running rewards"] = Case(
            Walk, LONG_Q | {"algo": algo, "net": "lstm", "t_max": 8, "reward_scale": "running", "normalize_obs": True}
        )
    return found


def _continuous() -> dict[str, Case]:
    found = {}
    longer = A3C | {"total_steps": 5_000, "t_max": 16}
    for net, gaussian in product(("ff", "lstm"), ("diagonal", "spherical")):
        chosen = {"net": net, "gaussian": gaussian}
        found[f"pendulum/{net}/{gaussian}"] = Case("Pendulum-v1", longer | chosen, short=True)
        found[f"pushed/{net}/{gaussian}"] = Case(Pushed, longer | chosen)
        found[f"images, pushed/{net}/{gaussian}"] = Case(SeenPushed, A3C | {"t_max": 10} | chosen, short=net == "lstm")
    for net, optimizer in product(("ff", "lstm"), ("momentum-sgd", "rmsprop")):
        found[f"pushed/{net}/{optimizer}"] = Case(Pushed, longer | {"net": net, "optimizer": optimizer})
    plain = {"normalize_obs": False, "reward_scale": 0.1, "lambda": 1.0, "bound_coef": 0.0}
    found["pendulum/whole episodes"] = Case("Pendulum-v1", longer | {"t_max": "episode"})
    found["pushed/nothing normalised"] = Case(Pushed, LONG | plain)
    return found


def _resumed() -> dict[str, Case]:
    half = {"total_steps": 3_000}
    return {
        "resumed/walk": Case(Walk, LONG | half, 6_000, short=True),
        "resumed/walk/rmsprop": Case(Walk, LONG | half | {"optimizer": "rmsprop", "reward_scale": "running"}, 6_000),
        "resumed/memory/lstm": Case(Memory, LONG | half | {"net": "lstm", "t_max": 3}, 6_000),
        "resumed/walk/n-step-q": Case(Walk, LONG_Q | half | {"algo": "n-step-q"}, 6_000),
        "resumed/walk/one-step-sarsa": Case(Walk, LONG_Q | half | {"algo": "one-step-sarsa"}, 6_000),
        "resumed/pushed/lstm": Case(Pushed, LONG | half | {"net": "lstm"}, 6_000),
        "interrupted/walk": Case(Walk, LONG | half, interrupted=True, short=True),
        "interrupted/memory/lstm": Case(Memory, LONG | half | {"net": "lstm", "t_max": 3}, interrupted=True),
        "interrupted/pushed": Case(Pushed, LONG | half, interrupted=True),
        "interrupted/walk/one-step-q": Case(Walk, LONG_Q | half | {"algo": "one-step-q"}, interrupted=True),
    }


def _game() -> dict[str, Case]:
    pong = {"actors": 2, "total_steps": 1_500}
    return {
        "Pong/a3c/ff": Case("Pong", pong, short=True),
        "Pong/a3c/lstm": Case("Pong", pong | {"net": "lstm"}, short=True),
        "Pong/n-step-q/ff/rmsprop": Case("Pong", SMALL | pong | {"algo": "n-step-q", "optimizer": "rmsprop"}),
        "Pong/a3c/nature": Case("Pong", pong | {"total_steps": 400, "net": "nature"}),
        "Pong/resumed": Case("Pong", pong | {"total_steps": 500}, 4_000),
    }


def environment(case: Case) -> Any:
    """A name or a class for `a3crs.train`."""
    return interrupted_once(case.env, INTERRUPTED_AT) if case.interrupted else case.env
