"""Files of a race for the game: a private folder with its settings, the robot, and links to the opponents."""

import shutil
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from a3crs.envs.torcs.install import DATA, LIBRARIES
from a3crs.errors import ConfigError, did_you_mean, listed

ROBOT = "a3crs"
CARS = {"slow": "p406", "fast": "car1-trb1"}
# The game's own robots, which start behind the agent: module and number of the driver. Those that plan a path (berniw,
# inferno, lliaw, tita, damned) may search for ever when they are put back on the grid.
OPPONENTS = [("olethros", 5), ("bt", 4), ("olethros", 2), ("bt", 7)]

# (list, camera) of the game's: inside the car, which is not drawn; behind the car.
Camera = tuple[int, int]
DRIVERS_VIEW: Camera = (0, 4)
FROM_BEHIND: Camera = (0, 1)


@dataclass(frozen=True)
class Race:
    """Track, car and number of opponents; a wrong value raises ConfigError."""

    track: str = "g-track-1"
    car: str = "fast"
    opponents: int = 0

    def __post_init__(self) -> None:
        if self.car not in CARS:
            raise ConfigError(f"car is {self.car!r}, but it must be {' or '.join(sorted(CARS))}.")
        if type(self.opponents) is not int or not 0 <= self.opponents <= len(OPPONENTS):
            raise ConfigError(f"opponents is {self.opponents!r}, but it must be a number from 0 to {len(OPPONENTS)}.")
        if self.track not in tracks():
            near = did_you_mean(str(self.track), tracks())
            raise ConfigError(f"There is no track {self.track!r}{near}; TORCS has {listed(tracks())}.")


def tracks() -> dict[str, str]:
    """Returns the tracks of the installed game, each with its category."""
    return {path.stem: path.parts[-3] for path in DATA.glob("tracks/*/*/*.xml") if path.stem == path.parts[-2]}


def write(folder: Path, race: Race, robot: Path, size: tuple[int, int], camera: Camera) -> None:
    """Fills the folder: `settings` for the game's option -l, `libraries` for its option -L."""
    libraries, settings = folder / "libraries", folder / "settings"
    libraries.mkdir()
    for part in ("lib", "modules"):
        (libraries / part).symlink_to(LIBRARIES / part)
    opponents = OPPONENTS[: race.opponents]
    (libraries / "drivers" / ROBOT).mkdir(parents=True)
    (settings / "drivers" / ROBOT).mkdir(parents=True)
    (libraries / "drivers" / ROBOT / f"{ROBOT}.so").symlink_to(robot)
    for module in dict(opponents):
        (libraries / "drivers" / module).symlink_to(LIBRARIES / "drivers" / module)
        (settings / "drivers" / module).symlink_to(DATA / "drivers" / module)
    shutil.copytree(DATA / "config", settings / "config")
    (settings / "results").mkdir()
    config = settings / "config"
    files: dict[Path, dict[str, Values]] = {
        config / "screen.xml": _screen(size),
        config / "graph.xml": _graphics(camera),
        config / "sound.xml": {"Sound Settings": {"state": "disabled"}, "Menu Music": {"enable": "disabled"}},
        config / "raceman" / "quickrace.xml": _race(race, opponents),
    }
    for path, changes in files.items():
        tree = ET.parse(path)
        for section, values in changes.items():
            _set(tree.getroot(), section, values)
        tree.write(path)
    root = ET.Element("params", name=ROBOT, type="robotdef")
    about = {"name": ROBOT, "desc": "", "team": ROBOT, "author": ROBOT, "car name": CARS[race.car]}
    _set(root, "Robots/index/1", about | {"race number": 1, "red": 1.0, "green": 1.0, "blue": 0.0})
    ET.ElementTree(root).write(settings / "drivers" / ROBOT / f"{ROBOT}.xml")


Values = Mapping[str, str | float]


def _screen(size: tuple[int, int]) -> dict[str, Values]:
    return {"Screen Properties": {"x": size[0], "y": size[1]}}


def _graphics(camera: Camera) -> dict[str, Values]:
    texts = ("driver board", "driver counter", "leader board", "debug info", "G graph", "arcade", "enable mirror")
    display: Values = dict.fromkeys(texts, 0) | {"map mode": 1, "camera head list": camera[0], "camera": camera[1]}
    return {
        "Graphic": {"smoke value": 0, "skid value": 0},
        "Display Mode/0": {"current driver": ROBOT, **display},
        f"Display Mode/{ROBOT}": display,
    }


def _race(race: Race, opponents: list[tuple[str, int]]) -> dict[str, Values]:
    # The game stops asking a car that retires, for damage or for want of fuel: both are switched off.
    endless = {"laps": 1000, "maximum dammage": 0, "damage factor": 0, "fuel consumption factor": 0}
    changes: dict[str, Values] = {
        "Tracks/1": {"name": race.track, "category": tracks()[race.track]},
        "Quick Race": endless,
        "Drivers": {},  # empties the section
    }
    for number, (module, index) in enumerate([(ROBOT, 1), *opponents], 1):
        changes[f"Drivers/{number}"] = {"module": module, "idx": index}
    return changes


def _set(root: ET.Element, section: str, values: Values) -> None:
    """Sets attributes in a section such as `Races/1`, which is made where it does not exist."""
    element = root
    for name in section.split("/"):
        inner = next((s for s in element.iterfind("section") if s.get("name") == name), None)
        element = ET.SubElement(element, "section", name=name) if inner is None else inner
    if section == "Drivers":
        element.clear()
        element.set("name", section)
        values = {"maximum number": 40, "focused module": ROBOT, "focused idx": 1}
    for name, value in values.items():
        for old in [e for e in element if e.tag != "section" and e.get("name") == name]:
            element.remove(old)
        ET.SubElement(element, "attstr" if isinstance(value, str) else "attnum", name=name, val=str(value))
