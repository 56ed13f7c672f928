"""MuJoCo in Gymnasium's tasks and those of dm_control: rendering without a screen, step limits and warnings."""

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

GYMNASIUMS = "gymnasium.envs.mujoco."  # prefix of the modules of Gymnasium's tasks

_said: set[str] = set()


def has(spec: EnvSpec) -> bool:
    """Returns True for an environment on MuJoCo."""
    return spec.id.startswith(PREFIX) or str(spec.entry_point).startswith(GYMNASIUMS)


def step_limit(env: gymnasium.Env[Any, Any]) -> int | None:
    """Returns the step limit of a dm_control task, which none of Gymnasium's wrappers has; None for other tasks."""
    if type(env).__module__ != "shimmy.dm_control_compatibility":
        return None
    limit = getattr(env, "_step_limit", math.inf)
    return math.ceil(limit) if math.isfinite(limit) else None


def register_dm_control() -> None:
    """Registers the tasks of dm_control with Gymnasium; raises ConfigError where they are not installed.

    dm_control chooses its renderer at import, here and in the workers. Without MUJOCO_GL it would look for a screen.
    """
    os.environ.setdefault("MUJOCO_GL", _opengl_that_works() or "off")
    try:
        with warnings.catch_warnings(action="ignore"):  # of dm_control and shimmy
            import_module("dm_control")
            import_module("shimmy")
    except ImportError as e:
        raise ConfigError(
            f"The tasks of dm_control are an extra, and {e.name} is not installed: {DM_CONTROL.install}."
        ) from e


def say_warnings_once() -> None:
    """Prints each of MuJoCo's warnings once on standard error; MuJoCo itself repeats them and writes MUJOCO_LOG.TXT."""
    from mujoco import set_mju_user_warning

    set_mju_user_warning(_say)


def _say(warning: str) -> None:
    if "deprecated" not in warning and warning not in _said:  # only a model's author can mend it
        _said.add(warning)
        print(f"a3crs: MuJoCo warns: {warning}", file=sys.stderr)


def draw_fast(env: gymnasium.Env[Any, Any]) -> None:
    """Lowers the rendering quality of MuJoCo's environments, before their first image; leaves others unchanged.

    MuJoCo's usual quality takes a processor without a graphics card 60 ms an image. Without shadows, reflections and
    antialiasing it takes 1 ms. Raises ConfigError where MuJoCo cannot draw.
    """
    model = _model(env)
    if model is None:
        return
    choose_opengl()
    model.vis.quality.shadowsize = 0
    model.vis.quality.offsamples = 0
    model.mat_reflectance[:] = 0


def choose_opengl() -> None:
    """Sets MUJOCO_GL, for this process and the workers, to a renderer without a screen; ConfigError where none works.

    The user's MUJOCO_GL has priority, and outside Linux MuJoCo's own choice is kept.
    """
    os.environ.setdefault("LP_NUM_THREADS", "0")  # Mesa then draws in the calling thread: the actors need the cores
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
    """Tries a renderer in a subprocess, because a program can load only one."""
    program = f"from mujoco.{opengl} import GLContext; GLContext(8, 8).make_current()"
    return subprocess.run([sys.executable, "-c", program], capture_output=True).returncode == 0


def _model(env: gymnasium.Env[Any, Any]) -> Any:
    if "mujoco" not in sys.modules:
        return None
    from mujoco import MjModel

    for path in ("model", "physics.model.ptr"):  # of Gymnasium, of dm_control
        try:
            model = attrgetter(path)(env.unwrapped)
        except AttributeError:
            continue
        if isinstance(model, MjModel):
            return model
    return None
