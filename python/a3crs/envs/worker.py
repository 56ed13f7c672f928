"""Environments in worker processes: they run in parallel, and the crash of one does not end the run.

Gymnasium's `AsyncVectorEnv` does this for a batch of environments. For an actor's single environment it is slower
(15,000 steps of CartPole a second, against 20,000 here, on a busy machine), and a worker that dies or hangs ends it.
Here a step is one small message each way on a socket, for which the actor waits without the interpreter's lock.
Observations are in shared memory.

The process is started anew, not forked, because the core's threads would not survive a fork. `multiprocessing` would
run a program that calls `a3crs.train` at its top level a second time.
"""

import mmap
import os
import pickle
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from typing import IO, Any

import cloudpickle  # type: ignore[import-untyped]
import gymnasium
import numpy as np

from a3crs.config import RunConfig
from a3crs.envs.family import Restarts
from a3crs.envs.gym_env import GymEnv, MakeEnv
from a3crs.envs.spec import EnvSpec, ImageObs, Observation
from a3crs.errors import ConfigError, EnvError, EnvLostError

# A terminal sends Ctrl-C to all its processes, and a batch job SIGTERM: the run decides when its workers end.
PROGRAM = """
import signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
from a3crs.envs.worker import serve
serve()
"""
CLOSING_SECS = 2.0
PARENT_LOOK_SECS = 2.0

_LENGTH = struct.Struct("<I")  # bytes of the message that follows


class WorkerLostError(Exception):
    """Error of a process that died or does not answer; the message says which, and fits after `because it`."""


class WorkerEnv:
    """Implementation of the `Env` protocol for an environment in a worker process.

    A returned observation is valid until the next call. When the worker is lost, the episode is truncated: the last
    observation counts, the episode has no score, and the next `reset` starts another worker. Raises EnvError when the
    worker is lost more than `env_restarts` times. An exception of the environment is raised unchanged.
    """

    def __init__(self, actor: int, job: bytes, spec: EnvSpec, config: RunConfig, restarts: Restarts) -> None:
        self.spec = spec
        self._actor, self._job, self._restarts = actor, job, restarts
        self._timeout_secs, self._most_restarts = config.env_timeout_secs, config.env_restarts
        self._memory = _memory(_bytes(spec))
        self._obs = _observation_in(mmap.mmap(self._memory.fileno(), 0), spec)
        self._worker: Worker | None = None
        try:
            self._start()
        except BaseException:
            self._memory.close()
            raise

    def reset(self, *, seed: int | None = None) -> tuple[Observation, dict[str, Any]]:
        """Starts a new episode, in a new process where the last one was lost."""
        while True:
            worker = self._worker or self._start()
            try:
                worker.ask(("reset", seed))
                return self._obs, {}
            except WorkerLostError as e:
                self._lose(worker, e)

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Steps the environment, by one frame."""
        worker = self._worker
        if worker is None:
            raise EnvError("The environment was stepped after its episode had ended: call reset() first.")
        try:
            reward, terminated, truncated, info = worker.ask(("step", action))
        except WorkerLostError as e:
            self._lose(worker, e)
            return self._obs, 0.0, False, True, {}
        return self._obs, reward, terminated, truncated, info

    def close(self) -> None:
        """Ends the process, by force if it does not end by itself."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None
        self._memory.close()

    def _start(self) -> "Worker":
        while True:
            worker = Worker(self._memory.fileno(), self._timeout_secs)
            try:
                worker.ask(self._job)
            except WorkerLostError as e:
                self._lose(worker, e)
            except BaseException:
                worker.kill()
                raise
            else:
                self._worker = worker
                return worker

    def _lose(self, worker: "Worker", lost: WorkerLostError) -> None:
        self._worker = None
        self._restarts.add(self._actor, f"{lost}{worker.kill()}", self._most_restarts)


class Worker:
    """Worker process of one environment, and the socket to it."""

    def __init__(self, memory: int, timeout_secs: float) -> None:
        self._line, far_end = socket.socketpair()
        self._line.settimeout(timeout_secs)
        self._timeout_secs = timeout_secs
        with far_end:
            self._process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, str(far_end.fileno()), str(memory)],
                pass_fds=(far_end.fileno(), memory),
                stdin=subprocess.DEVNULL,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)},
            )

    def ask(self, question: Any) -> Any:
        """Returns the worker's answer, or raises the environment's exception; waits without the interpreter's lock."""
        try:
            _send(self._line, question)
            answer = _receive(self._line)
        except TimeoutError:
            raise WorkerLostError(f"did not answer for {self._timeout_secs:g} s") from None
        except OSError as e:
            raise WorkerLostError(f"broke off ({e.strerror})") from e
        except EOFError:
            raise WorkerLostError("died") from None
        if isinstance(answer, _Raised):
            exception = answer.exception()
            if isinstance(exception, EnvLostError):
                raise WorkerLostError(str(exception)) from exception
            raise exception
        return answer

    def close(self) -> None:
        """Lets the environment close itself; kills the process if that takes too long."""
        self._line.close()  # the worker reads the end of the stream
        try:
            self._process.wait(CLOSING_SECS)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> str:
        """Kills the process; returns the signal or exit code with which it had already ended, or an empty text."""
        self._line.close()
        try:
            code = self._process.wait(0.1)  # a dead process may need a moment until its exit code is there
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return ""
        return f" (signal {signal.Signals(-code).name})" if code < 0 else f" (exit code {code})"


def job(spec: EnvSpec, make: MakeEnv, config: RunConfig) -> bytes:
    """Returns the message from which a worker makes its environment; raises ConfigError where it cannot be pickled."""
    if os.name != "posix":
        raise ConfigError("Worker processes need Linux or macOS: choose --env-workers thread.")
    try:
        # cloudpickle sends functions and classes that no module holds, such as those of a notebook, by value.
        return bytes(cloudpickle.dumps((spec, make, config, _registered_by_the_program())))
    except Exception as e:  # whatever the objects' own pickling raises
        raise ConfigError(
            f"{spec.name} cannot be sent to a worker process ({type(e).__name__}: {e}): choose --env-workers thread."
        ) from e


def _registered_by_the_program() -> dict[str, Any]:
    """Returns the ids that `make` may name and a new process does not know: neither Gymnasium's own nor ALE's."""
    known = ("gymnasium.", "ale_py")
    own = {i: spec for i, spec in gymnasium.registry.items() if not str(spec.entry_point).startswith(known)}
    return {env_id: spec for env_id, spec in own.items() if _can_be_sent(spec)}


def _can_be_sent(thing: Any) -> bool:
    try:
        cloudpickle.dumps(thing)
    except Exception:  # whatever its own pickling raises
        return False
    return True


def serve() -> None:
    """Runs a worker: makes the environment of the first message, then answers until the stream ends."""
    threading.Thread(target=_follow_parent, args=(os.getppid(),), daemon=True).start()
    line, memory = socket.socket(fileno=int(sys.argv[1])), mmap.mmap(int(sys.argv[2]), 0)
    served: _Served | None = None
    while True:
        try:
            question = _receive(line)
        except (EOFError, OSError):
            break
        try:
            if served is None:
                served = _Served(question, memory)
                answer: Any = None
            else:
                answer = served.answer(*question)
        except Exception as e:
            answer = _Raised(e)
        _send(line, answer)
    if served is not None:
        served.env.close()


def _follow_parent(parent: int) -> None:
    """Ends the process soon after its parent was killed, even if the environment hangs and nothing reads the socket."""
    while os.getppid() == parent:
        time.sleep(PARENT_LOOK_SECS)
    os._exit(1)


class _Served:
    """Environment of the worker, and the shared memory of its observations."""

    def __init__(self, job: bytes, memory: mmap.mmap) -> None:
        try:
            spec, make, config, registered = pickle.loads(job)
        except Exception as e:  # mostly an import
            raise EnvError(
                f"The environment cannot be made in a worker process ({type(e).__name__}: {e}): make its module "
                "importable there, or choose --env-workers thread."
            ) from e
        try:
            env = make()
        except gymnasium.error.UnregisteredEnv:
            gymnasium.registry.update(registered)
            env = make()
        self.env = GymEnv(spec.name, env, config)
        self._shown = _observation_in(memory, spec)

    def answer(self, method: str, argument: Any) -> tuple[float, bool, bool, dict[str, Any]] | None:
        """Returns the result of a call without the observation; None after a reset."""
        if method == "reset":
            self._show(self.env.reset(seed=argument)[0])
            return None
        obs, reward, terminated, truncated, info = self.env.step(argument)
        self._show(obs)
        episode = info.get("episode")  # the parent reads nothing else of info
        if episode is None:
            return reward, terminated, truncated, {}
        return reward, terminated, truncated, {"episode": {"r": float(episode["r"]), "l": int(episode["l"])}}

    def _show(self, obs: Observation) -> None:
        if obs.shape != self._shown.shape:
            raise EnvError(
                f"The environment's observation has the shape {obs.shape}, but its observation_space has "
                f"{self._shown.shape}."
            )
        self._shown[...] = obs


class _Raised:
    """Exception on its way to the other process, with its traceback as text."""

    def __init__(self, e: Exception) -> None:
        self._text = "".join(traceback.format_exception(e)).rstrip()
        self._sentence = f"The environment raised {type(e).__name__}: {e}."
        try:
            self._pickled = bytes(cloudpickle.dumps(e))
        except Exception:  # whatever its own pickling raises
            self._pickled = b""

    def exception(self) -> Exception:
        """Returns the exception itself; an EnvError with its message where it could not be pickled."""
        try:
            e = pickle.loads(self._pickled)
        except Exception:  # likewise
            e = EnvError(self._sentence)
        e.add_note(f"In its worker process:\n{self._text}")
        return e  # type: ignore[no-any-return]


def _send(line: socket.socket, message: Any) -> None:
    data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    line.sendall(_LENGTH.pack(len(data)) + data)


def _receive(line: socket.socket) -> Any:
    """Returns one message; raises EOFError where the stream ended."""
    data = _chunk(line)
    while len(data) < _LENGTH.size or len(data) < _LENGTH.size + _LENGTH.unpack_from(data)[0]:
        data += _chunk(line)
    return pickle.loads(memoryview(data)[_LENGTH.size :])


def _chunk(line: socket.socket) -> bytes:
    chunk = line.recv(1 << 16)
    if not chunk:
        raise EOFError
    return chunk


def _memory(size: int) -> IO[bytes]:
    """Returns memory that another process can map, as a file in memory where the system has such files."""
    anonymous = hasattr(os, "memfd_create")
    file = os.fdopen(os.memfd_create("a3crs"), "r+b") if anonymous else tempfile.TemporaryFile()  # noqa: SIM115
    file.truncate(size)
    return file


def _observation_in(memory: mmap.mmap, spec: EnvSpec) -> Any:
    obs = spec.obs
    if isinstance(obs, ImageObs):
        return np.frombuffer(memory, np.uint8).reshape(obs.channels, obs.height, obs.width)
    return np.frombuffer(memory, np.float32)


def _bytes(spec: EnvSpec) -> int:
    obs = spec.obs
    return obs.channels * obs.height * obs.width if isinstance(obs, ImageObs) else 4 * obs.len
