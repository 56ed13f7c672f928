"""The Rust core: the asynchronous framework, the network, the shared parameters. Written by hand, checked by a test.

`config` is `RunConfig.core_json()`, `env_spec` is `EnvSpec.to_json()`; both are complete, the core has no defaults.
`make_env(actor)` is called on each actor's own thread and returns an environment speaking `a3crs.envs.spec.Env`.
All functions raise the exceptions of `a3crs.errors`; an environment's own exception passes through unchanged, with a
note naming the actor and the step.
"""

from collections.abc import Callable
from typing import Any

__version__: str
build_profile: str
"""`release` or `debug`."""
ATARI_SHAPE: tuple[int, int, int]
"""Frames of an Atari game's observation, the height and the width of each."""

def catalogue() -> dict[str, list[dict[str, str]]]:
    """What there is to choose from: `algos`, `nets` and `optimizers`, each a list of `{"name", "what", "paper"}`."""

def isa() -> str:
    """The instruction set in use: `avx512`, `avx2`, `neon` or `scalar`. ConfigError where A3CRS_ISA is wrong."""

def available_isas() -> list[str]:
    """The instruction sets this CPU can run, best first; `A3CRS_ISA` accepts any of them."""

def tear_test(secs: float) -> dict[str, int]:
    """Writes and reads the shared parameters from several threads: `{"reads", "torn"}`; `torn` must be 0."""

def check(config: str, env_spec: str, checkpoint: str | None = None) -> None:
    """ConfigError where such settings could not be trained on such an environment; nothing is started.

    CheckpointError where the checkpoint is of another method, network, policy or environment.
    """

def train(
    config: str,
    env_spec: str,
    make_env: Callable[[int], Any],
    run_dir: str,
    on_progress: Callable[[dict[str, Any]], None],
    on_notice: Callable[[str], None],
    resume_from: str | None,
) -> dict[str, Any]:
    """Runs the configured method until `total_steps`, or until `on_progress` or a signal raises.

    Either way it saves a last checkpoint.

    `on_progress(row)` is called about 4 times a second on the calling thread with a row of progress.jsonl, and
    `on_notice(sentence)` when something is amiss and the run goes on. The core writes `run_dir`/episodes.jsonl,
    progress.jsonl, incidents.jsonl where there were such, and checkpoints/. Returns `{"steps", "frames", "secs",
    "episodes", "updates", "refused_updates", "return_mean_100", "return_best_100", "checkpoint"}`.
    """

def evaluate(
    config: str,
    env_spec: str,
    make_env: Callable[[int], Any],
    checkpoint: str,
    episodes: int,
    actors: int,
    seed: int,
    greedy: bool,
    on_episode: Callable[[dict[str, Any]], None],
) -> list[dict[str, Any]]:
    """Plays whole episodes with fixed parameters: rows `{"episode", "seed", "return", "length_steps"}`, raw returns."""

def bench(config: str, env_spec: str, make_env: Callable[[int], Any], secs: float) -> dict[str, Any]:
    """Measures the environments alone and training, alternating, for `secs` in all.

    Returns `{"actors", "emulator_steps_per_sec", "train_steps_per_sec", "ratio", "share_env", "share_forward",
    "share_backward", "share_update", "share_waiting"}`; the shares are of the machine's core-time while
    training, and add up to 1: `share_waiting` is what this process left idle.
    """

def bench_network(config: str, env_spec: str) -> dict[str, float]:
    """Medians on one thread: `forward_us` at batch 1, `update_us` of one whole update."""

class Game:
    """Atari game by the core's rules; an environment with one in its attribute `core` is played without Python's part.

    `ale` is a vector environment of ale-py's for one game. It is stepped through the C interface `native`, its handle
    and the capsules for step and reset, without the interpreter's lock; through Python where `native` is None. `noops`
    hears of each `new_game(seed)` and, after a lost life, is to `draw()` the number of no-ops.
    """

    def __init__(
        self, ale: Any, native: tuple[bytes, Any, Any] | None, noops: Any, num_actions: int, cuts_at_life_loss: bool
    ) -> None: ...
    def reset(self, seed: int | None, obs: Any) -> None:
        """Starts a new game or, without a seed, goes on after a lost life; fills `obs`, a uint8 array."""

    def step(self, action: int, obs: Any) -> tuple[float, bool, bool, tuple[float, int] | None]:
        """Fills `obs`; returns the reward, terminated, truncated, and a finished game's return and length in steps.

        EnvError where the game has no such action.
        """

    def differs(self, other: Game, steps: int) -> str | None:
        """Plays `steps` on the emulators of both games, which are to be reset after; says where they differ, if so."""

class Policy:
    """A network with fixed parameters: those of a checkpoint, or those that a run starts from.

    CheckpointError where the checkpoint is damaged, or of another method, network, policy or environment.
    """

    def __init__(self, config: str, env_spec: str, checkpoint: str | None = None) -> None: ...
    def describe(self) -> dict[str, Any]:
        """What it computes: `{"layers", "state_len", "scale", "min_variance"}`.

        Each of the layers is `{"kind": "conv2d" | "linear" | "lstm" | "constant", "columns": [{"name", "outputs"}],
        "relu", "below": its number or None for the observation, "is_top"}`, a conv2d with its `stride`; y is the
        outputs of all top layers side by side. `scale`, None where observations are taken as they are, is `{"mean",
        "inverse_deviation", "limit"}`. No variance of a Gaussian is below `min_variance`.
        """

    def forward(self, obs: Any, state: Any, y: Any) -> None:
        """Fills `y` (n, outputs) for `obs` (n, ...), and replaces `state` (n, state_len) by the recurrent state after.

        C-contiguous arrays: uint8 images or float32 vectors, the others float32.
        """

    def act(self, y: Any, greedy: bool) -> list[Any]:
        """An agent's action for each row of `y`, as an evaluation chooses it."""

    def seed(self, seed: int) -> None:
        """Starts the random stream of `act` anew; an evaluation's episode with that seed has the same."""

def read_checkpoint(path: str) -> dict[str, Any]:
    """What a checkpoint says of itself, among it `{"steps", "secs", "algo", "net", "env", "env_spec", "updates"}`, and
    for each of its `"actors"` the `"ticket"`: T at the end of what the checkpoint has of that actor.

    Every byte is looked at: DamagedError where one is not as it was written.
    """
