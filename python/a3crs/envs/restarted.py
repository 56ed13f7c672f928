"""An environment in the actor's thread that has a process of its own, which may be lost."""

from typing import Any

import numpy as np

from a3crs.envs.gym_env import GymEnv
from a3crs.envs.spec import Observation, Restarts
from a3crs.errors import EnvLostError


class RestartedEnv:
    """Speaks the `Env` protocol for an environment that raises EnvLostError, and starts its process again when it is
    reset.

    When the process is lost, the episode ends as if a time limit had cut it: the last observation counts, the episode
    has no score. EnvError when it is lost more than `most_restarts` times.
    """

    def __init__(self, actor: int, env: GymEnv, most_restarts: int, restarts: Restarts) -> None:
        self._actor, self._env = actor, env
        self._most_restarts, self._restarts = most_restarts, restarts
        self._obs: Observation = np.empty(0, np.uint8)

    def reset(self, *, seed: int | None = None) -> tuple[Observation, dict[str, Any]]:
        """Starts a new episode, in a new process where the last one was lost."""
        while True:
            try:
                self._obs, info = self._env.reset(seed=seed)
            except EnvLostError as e:
                self._restarts.add(self._actor, str(e), self._most_restarts)
            else:
                return self._obs, info

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """One step of the environment."""
        try:
            step = self._env.step(action)
        except EnvLostError as e:
            self._restarts.add(self._actor, str(e), self._most_restarts)
            return self._obs, 0.0, False, True, {}
        self._obs = step[0]
        return step

    def close(self) -> None:
        """Lets go of what the environment holds."""
        self._env.close()
