"""Small environments for the hashes: whole numbers and the four basic operations, the same on every machine."""

import os
import signal
import time

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete

STEPS = 24  # after which the walks truncate an episode


class Walk(gymnasium.Env):
    """Walk on a line with a shove now and then: ends terminate an episode, 24 steps truncate it."""

    observation_space = Box(-8, 8, (3,), np.float32)
    action_space = Discrete(3)
    _half = 7

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._at, self._steps = int(self.np_random.integers(-2, 3)), 0
        return self._shown(), {}

    def step(self, action):
        self._steps += 1
        self._at += self._moved(action) + int(self.np_random.integers(-1, 2))
        terminated = abs(self._at) >= self._half
        reward = 5.0 if self._at >= self._half else -3.0 if terminated else 0.25 * self._at
        return self._shown(), reward, terminated, self._steps == STEPS, {}

    def _moved(self, action):
        return int(action) - 1

    def _shown(self):
        return np.array([self._at, self._at % 3, self._steps / 8], np.float32)


class Pushed(Walk):
    """The walk with two continuous actions that pull against each other."""

    action_space = Box(-1, 1, (2,), np.float32)

    def _moved(self, action):
        return round(float(action[0]) - 0.5 * float(action[1]))


class Seen(Walk):
    """The walk as a picture of 36 x 36 pixels, the smallest that every network takes."""

    observation_space = Box(0, 255, (36, 36, 2), np.uint8)

    def _shown(self):
        picture = np.zeros((36, 36, 2), np.uint8)
        left = 16 + 2 * self._at
        picture[12:24, left : left + 5, 0] = 255
        picture[: self._steps, :, 1] = 90
        return picture


class SeenPushed(Seen, Pushed):
    """The picture and the continuous actions."""


class Memory(gymnasium.Env):
    """A sign that is shown at the start of an episode and asked for four steps later."""

    observation_space = Box(0, 1, (4,), np.float32)
    action_space = Discrete(3)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._sign, self._steps = int(self.np_random.integers(3)), 0
        return np.eye(4, dtype=np.float32)[self._sign], {}

    def step(self, action):
        self._steps += 1
        asked = self._steps == 4
        return np.eye(4, dtype=np.float32)[3], float(asked and action == self._sign), asked, False, {}


def interrupted_once(env_class, at_step):
    """Makes environments of which one, once, presses Ctrl-C in the middle of a run and waits for that to be noticed."""
    left = [at_step]

    class Interrupted(env_class):
        def step(self, action):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(1.5)
            return super().step(action)

    return Interrupted
