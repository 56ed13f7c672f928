"""Factories of environments: one environment for each actor, and the restarts of lost ones."""

import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from a3crs.envs.spec import Env, EnvSpec
from a3crs.errors import EnvError

if TYPE_CHECKING:  # Gymnasium is imported when a name is resolved
    from a3crs.envs.play import PlayEnv


class Restarts:
    """Counter of environment restarts, which are reported on standard error and in the run's log if there is one."""

    def __init__(self) -> None:
        self._of_actor: Counter[int] = Counter()
        self.log: Path | None = None
        self._lock = threading.Lock()

    @property
    def count(self) -> int:
        """Number of restarts of all actors' environments."""
        return self._of_actor.total()

    def add(self, actor: int, reason: str, most: int) -> None:
        """Counts a restart of this actor's environment; raises EnvError where it would be more than `most`."""
        with self._lock:
            if self._of_actor[actor] >= most:
                raise EnvError(
                    f"The environment of actor {actor} has no restarts left, and it {reason}: mend the environment, or "
                    "allow more with --set env_restarts=N."
                )
            self._of_actor[actor] += 1
            row = {"time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "actor": actor, "reason": reason}
            if self.log is not None:
                with self.log.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
        print(f"a3crs: the environment of actor {actor} is restarted because it {reason}.", file=sys.stderr)


@dataclass(frozen=True)
class EnvFamily:
    """Environment factory with its spec; `make(actor)` runs on the actor's own thread.

    `own_action` turns an agent's action into the environment's own. `play(rendered)` makes an environment to be stepped
    by hand in the calling thread; it raises ConfigError where the environment is to be rendered and cannot be.
    """

    spec: EnvSpec
    make: Callable[[int], Env]
    own_action: Callable[[Any], Any]
    play: "Callable[[bool], PlayEnv]"
    restarts: Restarts = field(default_factory=Restarts)
