"""Environments: `resolve` is the one entrance, from a name to a spec and a way to make one environment per actor.

Importing this package is cheap; Gymnasium and ale-py are imported when a name is resolved.
"""

from a3crs.envs.resolve import resolve
from a3crs.envs.spec import Continuous, Discrete, Env, EnvFamily, EnvSpec, ImageObs, Mode, VectorObs

__all__ = ["Continuous", "Discrete", "Env", "EnvFamily", "EnvSpec", "ImageObs", "Mode", "VectorObs", "resolve"]
