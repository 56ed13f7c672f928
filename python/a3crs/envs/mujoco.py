"""MuJoCo behind Gymnasium's own tasks and those of dm_control: how it draws without a screen, and what it says."""

import math
import os
import subprocess
import sys
import warnings
from importlib import import_module
from operator import attrgetter
from typing import Any

import gymnasium
from gymnasium.envs.registration import EnvSpec

from a3crs.envs.domains.dm_control import DM_CONTROL, PREFIX
from a3crs.errors import ConfigError

GYMNASIUMS = "gymnasium.envs.mujoco."  # the modules of its tasks

_said: set[str] = set()


def has(spec: EnvSpec) -> bool:
    """Whether such an environment is MuJoCo's."""
    return spec.id.startswith(PREFIX) or str(spec.entry_point).startswith(GYMNASIUMS)


def step_limit(env: gymnasium.Env[Any, Any]) -> int | None:
    """The steps after which dm_control cuts an episode, which no wrapper of Gymnasium's does; None for other tasks."""
    if type(env).__module__ != "shimmy.dm_control_compatibility":
        return None
    limit = getattr(env, "_step_limit", math.inf)
    return math.ceil(limit) if math.isfinite(limit) else None


def register_dm_control() -> None:
    """Lets Gymnasium know the tasks of dm_control; ConfigError where they are not installed.

    When it is imported it chooses how to draw, here and in the workers; left to itself it would look for a screen.
    """
    os.environ.setdefault("MUJOCO_GL", _opengl_that_works() or "off")
    try:
        with warnings.catch_warnings(action="ignore"):  # theirs
            import_module("dm_control")
            import_module("shimmy")
    except ImportError as e:
        raise ConfigError(
            f"The tasks of dm_control are an extra, and {e.name} is not installed: {DM_CONTROL.install}."
        ) from e


def say_warnings_once() -> None:
    """MuJoCo's warnings on standard error, each once; by itself it repeats them and writes MUJOCO_LOG.TXT."""
    from mujoco import set_mju_user_warning

    set_mju_user_warning(_say)


def _say(warning: str) -> None:
    if "deprecated" not in warning and warning not in _said:  # which only the author of a model can mend
        _said.add(warning)
        print(f"a3crs: MuJoCo warns: {warning}", file=sys.stderr)


def draw_fast(env: gymnasium.Env[Any, Any]) -> None:
    """Readies MuJoCo's environments, before they draw for the first time; leaves others as they are.

    The usual quality is made for the eye and takes a processor without a graphics card 60 ms an image. Without shadows,
    reflections and smoothed edges it takes one. ConfigError where MuJoCo cannot draw.
    """
    model = _model(env)
    if model is None:
        return
    choose_opengl()
    model.vis.quality.shadowsize = 0
    model.vis.quality.offsamples = 0
    model.mat_reflectance[:] = 0


def choose_opengl() -> None:
    """Says to MuJoCo, in this process and the workers, how to draw without a screen; ConfigError where it cannot.

    The user's choice of MUJOCO_GL stays, and elsewhere than on Linux MuJoCo knows best.
    """
    os.environ.setdefault("LP_NUM_THREADS", "0")  # Mesa draws in the thread that asks: the cores are the actors'
    if sys.platform != "linux" or os.environ.get("MUJOCO_GL", "off") != "off":
        return
    opengl = _opengl_that_works()
    if opengl is None:
        raise ConfigError(
            "MuJoCo cannot draw images here, neither with EGL nor with OSMesa: install the system packages of one of "
            "them, libegl1 and libgl1-mesa-dri or libosmesa6 on Debian and Ubuntu."
        )
    os.environ["MUJOCO_GL"] = opengl


def _opengl_that_works() -> str | None:
    return next(filter(_works, ("egl", "osmesa")), None)


def _works(opengl: str) -> bool:
    """Tried in a process of its own, because a program can load only one."""
    program = f"from mujoco.{opengl} import GLContext; GLContext(8, 8).make_current()"
    return subprocess.run([sys.executable, "-c", program], capture_output=True).returncode == 0


def _model(env: gymnasium.Env[Any, Any]) -> Any:
    if "mujoco" not in sys.modules:
        return None
    from mujoco import MjModel

    for path in ("model", "physics.model.ptr"):  # Gymnasium's, dm_control's
        try:
            model = attrgetter(path)(env.unwrapped)
        except AttributeError:
            continue
        if isinstance(model, MjModel):
            return model
    return None
