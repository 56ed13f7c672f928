"""Environments: `resolve` turns a name into a spec and a factory of one environment for each actor.

`a3crs.envs.domains` is the table of the domains, one row and one file each; `register` adds a user's own row.
Importing this package is cheap; NumPy, Gymnasium and ale-py are imported when a name is resolved.
"""

from a3crs.envs.domain import Default, Domain, named, register, unregister
from a3crs.envs.domains import TABLE
from a3crs.envs.family import EnvFamily
from a3crs.envs.resolve import resolve
from a3crs.envs.spec import Continuous, Discrete, Env, EnvSpec, ImageObs, Mode, VectorObs

__all__ = [
    "TABLE",
    "Continuous",
    "Default",
    "Discrete",
    "Domain",
    "Env",
    "EnvFamily",
    "EnvSpec",
    "ImageObs",
    "Mode",
    "VectorObs",
    "named",
    "register",
    "resolve",
    "unregister",
]
