"""Environments whose observations are their rendered images, as for some MuJoCo tasks of the paper (section 9)."""

from typing import Any

import gymnasium
from gymnasium.envs.registration import EnvSpec
from gymnasium.wrappers import AddRenderObservation

from a3crs.config import RunConfig
from a3crs.envs import mujoco
from a3crs.envs.domains.dm_control import PREFIX
from a3crs.errors import ConfigError

AnyEnv = gymnasium.Env[Any, Any]

RENDERED = "rgb_array"


def arguments(spec: EnvSpec, config: RunConfig) -> dict[str, Any]:
    """Returns the arguments with which an id renders images; MuJoCo renders them in the configured size."""
    size = dict(zip(("height", "width"), map(int, config.resize.split("x")), strict=True)) if config.resize else {}
    if spec.id.startswith(PREFIX):
        return {"render_mode": RENDERED, "render_kwargs": {"camera_id": 0} | size}
    return {"render_mode": RENDERED} | (size if mujoco.has(spec) else {})


def rendered(name: str, env: AnyEnv) -> AnyEnv:
    """Returns the environment with its rendered images as observations; raises ConfigError where it renders none."""
    if env.render_mode != RENDERED:
        raise ConfigError(
            f"pixels is true, but {name} has the render_mode {env.render_mode!r}: make it with "
            f"render_mode={RENDERED!r}."
        )
    mujoco.draw_fast(env)
    return AddRenderObservation(env, render_only=True)
