import xml.etree.ElementTree as ET

import pytest

from a3crs.config import TrainConfig
from a3crs.doctor import what_to_install
from a3crs.envs import Mode, resolve
from a3crs.envs.torcs import install, race
from a3crs.envs.torcs.race import DRIVERS_VIEW, Race
from a3crs.errors import ConfigError

TRACK = "g-track-1"


@pytest.fixture
def game(monkeypatch, tmp_path):
    """Creates the files of an installed game that the checks read."""
    data, libraries = tmp_path / "data", tmp_path / "lib"
    track = data / "tracks" / "road" / TRACK
    track.mkdir(parents=True)
    (track / f"{TRACK}.xml").touch()
    (data / "config" / "raceman").mkdir(parents=True)
    for name in ("screen", "graph", "sound", "raceman/quickrace"):
        old = "<params><section name='Drivers'><section name='1'/><section name='9'/></section></params>"
        (data / "config" / f"{name}.xml").write_text(old)
    libraries.mkdir()
    (libraries / "torcs-bin").touch()
    for module in (install, race):
        monkeypatch.setattr(module, "DATA", data)
        monkeypatch.setattr(module, "LIBRARIES", libraries)
    monkeypatch.setattr(install.shutil, "which", lambda program: f"/bin/{program}")
    monkeypatch.setattr(install, "_build", lambda: install.KNOWN_BUILD)
    return libraries


def test_where_the_game_is_missing_one_sentence_says_what_to_install(game):
    install.check_installed()
    (game / "torcs-bin").unlink()
    with pytest.raises(ConfigError, match="apt-get install torcs") as e:
        resolve(TrainConfig(env="TORCS"), Mode.TRAINING)
    assert what_to_install("torcs") in str(e.value)


@pytest.mark.parametrize("missing", ["Xvfb", "xdotool"])
def test_a_missing_program_is_named_in_the_same_sentence(game, missing, monkeypatch):
    monkeypatch.setattr(install.shutil, "which", lambda program: None if program == missing else program)
    with pytest.raises(ConfigError, match=missing.lower()):
        install.check_installed()


def test_another_build_of_the_game_is_refused(game, monkeypatch):
    monkeypatch.setattr(install, "_build", lambda: "1.3.8-1 arm64")
    with pytest.raises(ConfigError, match=r"is 1\.3\.8-1 arm64, but the robot knows the layout of 1\.3\.7"):
        install.check_installed()


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"car": "red"}, "car is 'red', but it must be fast or slow"),
        ({"opponents": 5}, "opponents is 5, but"),
        ({"opponents": True}, "opponents is True, but"),
        ({"track": "g-track-9"}, r"no track 'g-track-9' \(did you mean g-track-1\?\)"),
        ({"track": 7}, "no track 7"),
    ],
)
def test_wrong_arguments_are_refused_with_their_value(game, wrong, sentence):
    with pytest.raises(ConfigError, match=sentence):
        Race(**wrong)


def test_a_race_is_written_with_its_drivers_in_order(game, tmp_path):
    folder = tmp_path / "race"
    folder.mkdir()
    race.write(folder, Race(car="slow", opponents=2), tmp_path / "robot.so", (84, 84), DRIVERS_VIEW)
    root = ET.parse(folder / "settings/config/raceman/quickrace.xml").getroot()
    modules = [e.get("val") for e in root.iterfind("section[@name='Drivers']/section/attstr[@name='module']")]
    assert modules == ["a3crs", "olethros", "bt"]
    screen = ET.parse(folder / "settings/config/screen.xml").getroot()
    assert [e.get("val") for e in screen.iterfind("section[@name='Screen Properties']/attnum")] == ["84", "84"]
    assert race.CARS["slow"] in (folder / "settings/drivers/a3crs/a3crs.xml").read_text()


def test_a_missing_compiler_is_told_before_anything_is_started(game, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    found = install.shutil.which
    monkeypatch.setattr(install.shutil, "which", lambda program: None if program == "rustc" else found(program))
    with pytest.raises(ConfigError, match="rustc is not in PATH"):
        install.check_installed()
    install._plugin().parent.mkdir()
    install._plugin().touch()
    install.check_installed()


def test_the_robot_needs_a_compiler_once(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ConfigError, match="rustc is not in PATH"):
        install.robot()
    assert not list((tmp_path / "a3crs").iterdir())
    monkeypatch.setattr(install, "_compile", lambda plugin: plugin.write_bytes(b"robot"))
    assert install.robot().read_bytes() == b"robot"
    monkeypatch.setattr(install, "_compile", None)
    assert install.robot().read_bytes() == b"robot"
