"""Conversion of an environment's observation space to the network's input: uint8 images or float32 vectors.

Images are uint8 Boxes of shape (height, width), (height, width, channels) or (channels, height, width); the smaller of
the first and the last dimension is the channels. An image too small for the networks' filters is treated as a board,
unless it is to be resized. Boards and every other Box are flattened, and so are Discrete (one-hot), MultiBinary,
MultiDiscrete (one-hot each), and Tuple and Dict spaces of these, by `gymnasium.spaces.utils`.
"""

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Space, Tuple
from gymnasium.wrappers import (
    FlattenObservation,
    FrameStackObservation,
    GrayscaleObservation,
    ResizeObservation,
    TransformObservation,
)

from a3crs.config import RunConfig
from a3crs.envs.pixels import AnyEnv, rendered
from a3crs.envs.spec import ImageObs, Observation, VectorObs
from a3crs.errors import ConfigError

SMALLEST_IMAGE = (
    20  # pixels a side: filters of 8x8 with stride 4, then of 4x4 with stride 2, need as many ([P] section 8)
)

Converter = Callable[[Any], Observation]


def observed(name: str, env: AnyEnv, config: RunConfig) -> tuple[AnyEnv, ImageObs | VectorObs, Converter]:
    """Returns the environment in the configured wrappers, its observations, and their conversion for the network.

    Raises ConfigError, naming the space, where it is not supported.
    """
    if config.pixels:
        env = rendered(name, env)
    space = env.observation_space
    if _is_image(space, config):
        return _image(name, env, config)
    if not _is_flat(space):
        raise ConfigError(
            f"{name} has the observation space {space}; a3crs needs Box, Discrete, MultiBinary or MultiDiscrete, or a "
            "Tuple or Dict of these."
        )
    if not isinstance(space, Box):
        env = FlattenObservation(env)
    if config.frame_stack > 1:
        env = FrameStackObservation(env, config.frame_stack)
    length = int(np.prod(env.observation_space.shape or ()))
    if length == 0:
        raise ConfigError(f"{name} has the observation space {space}, which is empty: there is nothing to learn from.")
    return env, VectorObs(length), lambda obs: np.ascontiguousarray(obs, np.float32).reshape(-1)


def _is_image(space: Space[Any], config: RunConfig) -> bool:
    if not isinstance(space, Box) or space.dtype != np.uint8 or len(space.shape) not in (2, 3):
        return False
    return bool(config.resize) or min(_sides(space.shape)) >= SMALLEST_IMAGE


def _sides(shape: tuple[int, ...]) -> tuple[int, int]:
    """Returns height and width of an image."""
    return shape[1:] if _has_channels_first(shape) else shape[:2]  # type: ignore[return-value]


def _has_channels_first(shape: tuple[int, ...]) -> bool:
    return len(shape) == 3 and shape[0] < shape[2]


def _is_flat(space: Space[Any]) -> bool:
    if isinstance(space, Dict):
        return all(map(_is_flat, space.spaces.values()))
    if isinstance(space, Tuple):
        return all(map(_is_flat, space.spaces))
    return isinstance(space, Box | Discrete | MultiBinary | MultiDiscrete)


def _image(name: str, env: AnyEnv, config: RunConfig) -> tuple[AnyEnv, ImageObs, Converter]:
    env = _channels_last(env)
    if config.grayscale:
        channels = _shape(env)[2]
        if channels != 3:
            raise ConfigError(
                f"grayscale is true, but {name} shows images of {channels} channels, not 3: leave it out."
            )
        env = GrayscaleObservation(env, keep_dim=True)
    height, width = map(int, config.resize.split("x")) if config.resize else _shape(env)[:2]
    if (height, width) != _shape(env)[:2]:
        try:
            env = ResizeObservation(env, (height, width))
        except gymnasium.error.DependencyNotInstalled as e:
            raise ConfigError("resize needs OpenCV: install it with pip install 'a3crs[image]'.") from e
    if config.frame_stack > 1:
        env = FrameStackObservation(env, config.frame_stack)
        frames, height, width, channels = _shape(env)
        channels *= frames
    else:
        height, width, channels = _shape(env)
    return env, ImageObs(channels, height, width), _channels_first


def _channels_first(obs: Any) -> Observation:
    """Converts (height, width, channels), or a stack of such, the oldest first, to (all channels, height, width)."""
    first = np.moveaxis(obs, -1, -3)
    return np.ascontiguousarray(first, np.uint8).reshape(-1, *first.shape[-2:])


def _channels_last(env: AnyEnv) -> AnyEnv:
    shape = _shape(env)
    if len(shape) == 2:
        return _reshaped(env, (*shape, 1), lambda obs: obs[:, :, None])
    if _has_channels_first(shape):
        return _reshaped(env, (*shape[1:], shape[0]), lambda obs: np.ascontiguousarray(np.moveaxis(obs, 0, -1)))
    return env


def _reshaped(env: AnyEnv, shape: tuple[int, ...], convert: Callable[[Any], Any]) -> AnyEnv:
    return TransformObservation(env, convert, Box(0, 255, shape, np.uint8))


def _shape(env: AnyEnv) -> tuple[int, ...]:
    shape: tuple[int, ...] | None = env.observation_space.shape
    assert shape is not None  # the space is an image's Box
    return shape
