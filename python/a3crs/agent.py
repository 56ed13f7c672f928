"""An agent as users of Stable-Baselines3 know it: `learn`, `predict`, `save`, `load`, `evaluate`."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from a3crs import _core, checkpoint, rundir
from a3crs.config import RunConfig, TrainConfig
from a3crs.envs import EnvSpec, ImageObs, Mode, resolve
from a3crs.errors import ConfigError
from a3crs.evaluation import Evaluation, play
from a3crs.files import append_row
from a3crs.parse import parse_count
from a3crs.preparation import prepare
from a3crs.rundir import RunDir
from a3crs.rundir.names import is_run, run_of
from a3crs.training import Callback, StoppedError, chosen, resume_run, start_run

if TYPE_CHECKING:
    from a3crs.envs.gym_env import MakeEnv
    from a3crs.envs.play import PlayEnv

State = NDArray[np.float32]


class Agent:
    """A method, a network and what it has learned of one environment: `Agent("Pong", algo="a3c").learn(frames=1e6)`.

    `env` is a name as on the command line, or a callable that makes a `gymnasium.Env`; `settings` are those of
    `TrainConfig`, and `config` has them all. What is learned lies in a run's directory, `run`, with its logs, so
    `a3crs eval`, `a3crs video` and the others work on it too.

    Observations are what `make_env()` shows. Of Atari games that is the last four screens, uint8 of shape (4, 84, 84),
    the newest last; of others uint8 images of shape (channels, height, width) or float32 vectors. The agent itself
    normalises vectors as in training. Actions are the environment's own.
    """

    def __init__(self, env: "str | MakeEnv", algo: str = "a3c", **settings: Any) -> None:
        config, make = chosen(env, {"algo": algo} | settings)
        self._set_up(config, make)

    def _set_up(self, config: TrainConfig | RunConfig, make: "MakeEnv | None") -> None:
        self._make = make
        prepared = prepare(config, env=make)
        self.config, self._family = prepared.config, prepared.family
        self._run: RunDir | None = None
        self._use(None)

    def _use(self, path: Path | None) -> None:
        """Acts as that checkpoint from now on; None is one that has learned nothing."""
        self._checkpoint = path
        spec = self._family.spec.to_json()
        self._policy = _core.Policy(self.config.core_json(), spec, None if path is None else str(path))
        what = self.describe()
        self._state_len: int = what["state_len"]
        self._outputs = sum(
            column["outputs"] for layer in what["layers"] if layer["is_top"] for column in layer["columns"]
        )

    @classmethod
    def load(cls, path: Path | str, env: "MakeEnv | None" = None) -> Self:
        """The agent in a file of `save`, in a checkpoint of a run, or the newest one of a run's directory.

        `env` makes the environment where a callable did in training. CheckpointError for a file that is none of these.
        """
        path = Path(path)
        of_run = run_of(path)
        agent = cls.__new__(cls)
        if is_run(of_run) or path.is_dir():
            run = RunDir(of_run)
            agent._set_up(run.read_config(), env)
            agent._run = run
            agent._use(run.checkpoint(None if path == of_run else path))
        else:
            agent._set_up(checkpoint.saved_config(path), env)
            agent._use(path)
        return agent

    def save(self, path: Path | str) -> None:
        """Writes one safetensors file with all that `load` needs: parameters, statistics and settings."""
        checkpoint.save_agent(self.learned(), self.config, Path(path))

    def learned(self) -> Path:
        """The file with what it has learned; ConfigError where that is nothing."""
        if self._checkpoint is None:
            raise ConfigError("The agent has learned nothing yet: call learn() first.")
        return self._checkpoint

    @property
    def run(self) -> RunDir | None:
        """Where its run lies; None where it has learned nothing yet or came from a file."""
        return self._run

    @property
    def checkpoint(self) -> Path | None:
        """The file with what it has learned; None where that is nothing."""
        return self._checkpoint

    @property
    def env_spec(self) -> EnvSpec:
        """What its environment shows and takes."""
        return self._family.spec

    def describe(self) -> dict[str, Any]:
        """What its network computes; see `Policy.describe` in `_core.pyi`."""
        return self._policy.describe()

    @property
    def steps(self) -> int:
        """T, the steps that it has learned from."""
        return 0 if self._checkpoint is None else int(_core.read_checkpoint(str(self._checkpoint))["steps"])

    def learn(
        self,
        frames: float | str | None = None,
        *,
        steps: float | str | None = None,
        callback: Callback | None = None,
        out: Path | str | None = None,
        quiet: bool = False,
    ) -> Self:
        """Trains for so many frames, or agent steps, more: 1e6, "1M"; without either until `config.total_steps`.

        The learning rate falls to 0 over all that has been learned by then. The run is a new one in `out`, or in
        `runs/`, the first time; after that the same goes on, unless `out` names a new one. `callback` is called about
        four times a second with a row as in progress.jsonl: where it returns False the run stops, and what it raises
        comes back from here. In either case, and after Ctrl-C, the agent has what was learned.
        """
        if callback is not None and not callable(callback):
            raise ConfigError(f"callback is {callback!r}, but it must be a function that takes a row of progress.")
        total = self._total(frames, steps)
        again = self._run is not None and out is None
        run = self._run if again and self._run else RunDir(Path(out) if out else self._new_path())
        started = False

        def hear(row: dict[str, Any]) -> object:
            nonlocal started
            started = True
            return None if callback is None else callback(row)

        try:
            if again:
                frames_per_step = self._family.spec.frames_per_step
                resume_run(run.path, frames=total * frames_per_step, quiet=quiet, env=self._make, callback=hear)
            else:
                config, begin_with = self.config.changed(total_steps=total), self._checkpoint
                start_run(config, out=run.path, quiet=quiet, env=self._make, callback=hear, begin_with=begin_with)
        except BaseException as e:
            if started or not isinstance(e, ConfigError):  # whose run was refused: there may be another's in its place
                self._take(run)
            if not isinstance(e, StoppedError):
                raise
        else:
            self._take(run)
        return self

    def _take(self, run: RunDir) -> None:
        """Has what the run has learned from now on, if it has got so far."""
        if run.latest_checkpoint.exists():
            self._run, self.config = run, run.read_config()
            self._use(run.latest_checkpoint)

    def _new_path(self) -> Path:
        return rundir.new_path(self.config, self._family.spec.name)

    def _total(self, frames: float | str | None, steps: float | str | None) -> int:
        if frames is not None and steps is not None:
            raise ConfigError("frames and steps say the same thing: give one of them.")
        if frames is None and steps is None:
            return self.config.total_steps
        name, given = ("frames", frames) if steps is None else ("steps", steps)
        unit = self._family.spec.frames_per_step if steps is None else 1
        more = parse_count(str(given), what=name)
        if more < unit:
            raise ConfigError(f"{name} is {more}, but it must be at least {unit}.")
        return self.steps + more // unit

    def predict(
        self, obs: ArrayLike, state: State | None = None, deterministic: bool = False
    ) -> tuple[Any, State | None]:
        """An action for an observation, or an array of them for as many; and the recurrent state to call it with next.

        `state` is (state_len,), or (n, state_len) for n observations; None is the state at the start of an episode, and
        stays None for a network without. An A3C agent's action is drawn from its policy, a Q agent's is the best but
        for one in twenty at random; `deterministic` takes the likeliest or best always, as `a3crs eval --greedy` does.
        """
        y, next_state, single = self._forward(obs, state)
        actions = [self._family.own_action(action) for action in self._policy.act(y, deterministic)]
        return (actions[0] if single else np.stack(actions)), next_state

    def value(self, obs: ArrayLike, state: State | None = None) -> Any:
        """V(s) as the agent estimates it, for a Q agent max_a Q(s, a): a float, or (n,) for n observations."""
        y, _, single = self._forward(obs, state)
        values = y[:, -1] if self.config.algo == "a3c" else y.max(axis=1)
        return float(values[0]) if single else values

    def outputs(self, obs: ArrayLike, state: State | None = None) -> dict[str, NDArray[np.float32]]:
        """What the network says of n observations, each (n, ...).

        `policy` (logits) and `value`, or `q`, or of continuous actions `mu`, `sigma` and `value`; with an LSTM
        `state_out` besides.
        """
        y, after, _ = self._forward(obs, state)
        about = self.describe()
        columns = [column for layer in about["layers"] if layer["is_top"] for column in layer["columns"]]
        ends = np.cumsum([column["outputs"] for column in columns])
        named = dict(zip([column["name"] for column in columns], np.split(y, ends[:-1], axis=1), strict=True))
        if "policy.mu" in named:
            mu, value = named.pop("policy.mu"), named.pop("value.v")
            ((kind, spread),) = named.items()
            variance = np.exp(2 * spread) if kind == "policy.log_sigma" else np.logaddexp(0, spread)
            sigma = np.broadcast_to(np.sqrt(variance + about["min_variance"]), mu.shape)
            named = {"mu": mu, "sigma": sigma, "value": value}
        return named if after is None else named | {"state_out": after}

    def _forward(self, obs: ArrayLike, state: State | None) -> tuple[NDArray[np.float32], State | None, bool]:
        batch, single = self._batch(obs)
        n = len(batch)
        shape = (self._state_len,) if single else (n, self._state_len)
        after = np.zeros(shape, np.float32) if state is None else np.array(state, np.float32)
        if after.shape != shape:
            raise ConfigError(
                f"state has the shape {after.shape}, but it must be {shape}, or None as an episode starts."
            )
        y = np.empty((n, self._outputs), np.float32)
        self._policy.forward(batch, after, y)
        return y, after if self._state_len else None, single

    def _batch(self, obs: ArrayLike) -> tuple[NDArray[Any], bool]:
        """(n, ...) as the core takes it, and whether it was a single observation."""
        spec = self._family.spec.obs
        array = np.asarray(obs)
        if isinstance(spec, ImageObs):
            shape: tuple[int, ...] = (spec.channels, spec.height, spec.width)
            dtype, fits = "uint8", array.dtype == np.uint8
        else:
            shape, dtype, fits = (spec.len,), "float32", np.can_cast(array.dtype, np.float32, "same_kind")
        if not fits or array.shape[-len(shape) :] != shape or array.ndim > len(shape) + 1:
            raise ConfigError(
                f"obs is {array.dtype} of shape {array.shape}, but the agent observes {dtype} of shape {shape}, or "
                "several of these in one array, as its make_env() shows them."
            )
        single = array.ndim == len(shape)
        return np.ascontiguousarray(array.reshape(-1, *shape), dtype), single

    def set_random_seed(self, seed: int) -> None:
        """Starts what `predict` draws from anew; after `env.reset(seed=seed)` too, it plays as an evaluation does."""
        self._policy.seed(seed)

    def evaluate(
        self,
        episodes: int = 30,
        *,
        deterministic: bool = False,
        seed: int = 0,
        on_episode: Callable[[dict[str, Any]], None] = lambda row: None,
    ) -> dict[str, Any]:
        """Plays whole games, the i-th from seed + i, and returns a row as in `runlog.schema.EVALS`, logged in its run.

        `on_episode` hears of each game as it ends: `{"episode", "seed", "return", "length_steps"}`.
        """
        how = Evaluation(episodes=episodes, greedy=deterministic, seed=seed)
        family = resolve(self.config, Mode.EVALUATION, self._make)
        row = play(self.config, family, self.learned(), how, on_episode)
        if self._run is not None:
            append_row(self._run.evals, row)
        return row

    def make_env(self, *, rendered: bool = False) -> "PlayEnv":
        """An environment as the agent sees it, with Gymnasium's interface; its episodes are whole games.

        `rendered` lets its `render()` return the frames since the last call, (height, width, 3) each. ConfigError where
        they cannot be drawn.
        """
        return self._family.play(rendered)
