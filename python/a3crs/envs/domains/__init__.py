"""Table of the domains that a3crs knows, one row and one file each; a name belongs to the first that matches it."""

from a3crs.envs.domain import Domain, fill
from a3crs.envs.domains.atari import ATARI
from a3crs.envs.domains.dm_control import DM_CONTROL
from a3crs.envs.domains.gymnasium import GYMNASIUM
from a3crs.envs.domains.labyrinth import LABYRINTH
from a3crs.envs.domains.racing import RACING
from a3crs.envs.domains.torcs import TORCS

TABLE: tuple[Domain, ...] = (
    LABYRINTH,
    TORCS,
    RACING,
    ATARI,
    DM_CONTROL,
    GYMNASIUM,  # last, because any name may be an id of Gymnasium's
)
fill(TABLE)
