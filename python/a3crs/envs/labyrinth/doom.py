"""Files of a maze for the engine: a map in UDMF, which is text, and the behaviour of apples and portal, in DECORATE.

Neither a compiler of scripts nor a builder of maps is needed. A file has room for one map, which is rewritten for every
episode: the engine reads the file when the episode starts.
"""

import struct
from pathlib import Path
from random import Random
from typing import Literal, get_args

from a3crs.envs.labyrinth.maze import Block, Maze
from a3crs.errors import ConfigError

MAP = "MAZE"
BLOCK = 128  # map units; the player is 32 wide
HEIGHT = 112

Textures = Literal["varied", "plain"]

WALLS = ["STARTAN2", "BROWN1", "STONE2", "BRICK7", "GRAY1", "METAL", "COMPBLUE", "MARBLE1", "WOOD5", "TEKGREN1"]
WALLS += ["BIGBRIK1", "SILVER1"]
FLOORS = ["FLOOR0_1", "FLOOR4_8", "FLAT1", "FLAT5_4", "FLOOR7_1", "MFLR8_1", "RROCK09", "GRASS1"]
CEILINGS = ["CEIL1_1", "CEIL3_5", "FLAT20", "CEIL5_1", "FLAT19"]
WALLS_A_MAZE = 3

PLAYER, LANDING = 1, 14  # numbers of the engine's predefined things
APPLE, PORTAL = 12000, 12001
LANDING_TAG, APPLE_TAG = 1, 7

# The engine counts an apple as an item (+1) and a passage through the portal as armour (+10). The portal gives the
# passage to any player nearby: a teleport during a pickup would be undone by the rest of the player's move. A syntax
# error here does not raise an exception, it crashes the engine.
ACTORS = f"""
actor MazeToken : Inventory {{ inventory.maxamount 30000 }}
actor MazeScore : BasicArmorBonus {{ Armor.SavePercent 1 Armor.SaveAmount 1 Armor.MaxSaveAmount 30000 }}
actor MazeApple : CustomInventory
{{ radius 24
  height 32
  scale 2.5
  +COUNTITEM
  +INVENTORY.ALWAYSPICKUP
  inventory.pickupmessage ""
  states
  {{ Spawn:
      BON2 ABCDCB 6 bright
      loop
    Pickup:
      TNT1 A 0 A_GiveInventory("MazeToken",1)
      stop
  }} }}
actor MazePassage : CustomInventory
{{ +INVENTORY.ALWAYSPICKUP
  inventory.pickupmessage ""
  states
  {{ Spawn:
      TNT1 A -1
      stop
    Pickup:
      TNT1 A 0 A_GiveInventory("MazeScore",1)
      TNT1 A 0 Thing_Activate({APPLE_TAG})
      TNT1 A 0 Teleport_NoFog({LANDING_TAG})
      stop
  }} }}
actor MazePortal {PORTAL}
{{ scale 2
  +NOGRAVITY
  +NOBLOCKMAP
  states
  {{ Spawn:
      SOUL A 1 bright A_RadiusGive("MazePassage", 44, RGF_PLAYERS, 1)
      loop
  }} }}
actor MazeAppleSpot : SwitchableDecoration {APPLE}
{{ +NOBLOCKMAP
  +NOGRAVITY
  states
  {{ Spawn:
      TNT1 A 1
    Active:
      TNT1 A 0 A_RemoveChildren(1, RMVF_EVERYTHING)
      TNT1 A 1 A_SpawnItemEx("MazeApple",0,0,0,0,0,0,0,SXF_SETMASTER)
      TNT1 A -1
      stop
    Inactive:
      TNT1 A -1
      stop
  }} }}
"""


class MapFile:
    """WAD file with a single map."""

    def __init__(self, path: Path, size: int, text: str) -> None:
        self._room = _longest_map(size)
        lumps = [("DECORATE", len(ACTORS)), (MAP, 0), ("TEXTMAP", self._room), ("ENDMAP", 0)]
        start = struct.calcsize("<4sii")
        directory = start + sum(length for _, length in lumps)
        self._file = path.open("wb")
        self._file.write(struct.pack("<4sii", b"PWAD", len(lumps), directory) + ACTORS.encode())
        self._map_at = self._file.tell()
        self._file.seek(directory)
        for name, length in lumps:
            self._file.write(struct.pack("<ii8s", start, length, name.encode()))
            start += length
        self.write(text)

    def write(self, text: str) -> None:
        """Replaces the map."""
        self._file.seek(self._map_at)
        self._file.write(text.encode().ljust(self._room))
        self._file.flush()

    def close(self) -> None:
        """Closes the file; no map can be written afterwards."""
        self._file.close()


def _longest_map(size: int) -> int:
    """Returns an upper bound of the bytes of a map of this size."""
    blocks = (2 * size + 1) ** 2  # each has walls on two sides, of less than 150 bytes, and some contain things
    return 2 * blocks * 150 + (blocks + 2 * size**2) * 250 + 1000


def map_text(maze: Maze, rng: Random, textures: Textures) -> str:
    """Returns the map of a maze; `rng` draws the angles of things, and the textures where they vary."""
    if textures == "plain":
        walls, floor, ceiling = WALLS[:WALLS_A_MAZE], FLOORS[0], CEILINGS[0]
    else:
        walls, floor, ceiling = rng.sample(WALLS, WALLS_A_MAZE), rng.choice(FLOORS), rng.choice(CEILINGS)
    return "\n".join([*_rooms(maze.open, walls, floor, ceiling), *_things(maze, rng)])


def check_textures(textures: object) -> None:
    """Raises ConfigError for an unknown name of textures."""
    if textures not in get_args(Textures):
        raise ConfigError(f"textures is {textures!r}, but it must be {' or '.join(get_args(Textures))}.")


def _rooms(open_blocks: frozenset[Block], walls: list[str], floor: str, ceiling: str) -> list[str]:
    """Returns the lines of one sector that covers the open blocks; each line has the sector on its right."""
    corners: dict[Block, int] = {}
    lines: list[str] = []
    sides: list[str] = []
    for x, y in sorted(open_blocks):
        wall = walls[(x * 7 + y * 13) // 9 % len(walls)]
        for beside, one, other in (
            ((x, y + 1), (x, y + 1), (x + 1, y + 1)),
            ((x, y - 1), (x + 1, y), (x, y)),
            ((x + 1, y), (x + 1, y + 1), (x + 1, y)),
            ((x - 1, y), (x, y), (x, y + 1)),
        ):
            if beside not in open_blocks:
                v1, v2 = (corners.setdefault(corner, len(corners)) for corner in (one, other))
                lines.append(f"linedef{{v1={v1};v2={v2};sidefront={len(sides)};blocking=true;}}")
                sides.append(f'sidedef{{sector=0;texturemiddle="{wall}";}}')
    sector = f'heightfloor=0;heightceiling={HEIGHT};texturefloor="{floor}";textureceiling="{ceiling}";lightlevel=208;'
    vertices = [f"vertex{{x={x * BLOCK}.0;y={y * BLOCK}.0;}}" for x, y in corners]
    return ['namespace="zdoom";', *vertices, *lines, *sides, f"sector{{{sector}}}"]


def _things(maze: Maze, rng: Random) -> list[str]:
    def thing(kind: int, block: Block, tag: int = 0) -> str:
        x, y = (coordinate * BLOCK + BLOCK // 2 for coordinate in block)
        where = f"x={x}.0;y={y}.0;angle={rng.randrange(0, 360, 45)};type={kind};id={tag};"
        return f"thing{{{where}skill3=true;single=true;class1=true;}}"

    landings = [thing(LANDING, cell, LANDING_TAG) for cell in maze.cells if cell != maze.portal]
    apples = [thing(APPLE, cell, APPLE_TAG) for cell in maze.apples]
    return [thing(PLAYER, maze.start), thing(PORTAL, maze.portal), *apples, *landings]
