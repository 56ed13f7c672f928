"""Directory of a run: its files (`RunDir`), their names (`names`), and the software and machine it was made with.

Importing the package loads nothing, so that `names` serves readers of logs without the settings and the core.
"""

from typing import TYPE_CHECKING, Any

from a3crs.lazy import attribute

if TYPE_CHECKING:
    from a3crs.rundir.names import LOCK
    from a3crs.rundir.run import RunDir, created, new_path
    from a3crs.rundir.session import cpu_name, versions

__all__ = ["LOCK", "RunDir", "cpu_name", "created", "new_path", "versions"]

_MODULES = {"LOCK": "names", "RunDir": "run", "created": "run", "new_path": "run"}
_MODULES |= {"cpu_name": "session", "versions": "session"}


def __getattr__(name: str) -> Any:
    return attribute("a3crs.rundir", _MODULES, name)
