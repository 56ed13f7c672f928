import os
import subprocess
import sys

from a3crs import doctor
from a3crs.doctor import examine


def test_a_sound_installation_has_no_cures(a3crs):
    code, out, _ = a3crs("doctor")
    assert code == 0, out
    for text in ("core module", "kernels for", "57 of 57", "0 torn", "Pong plays", "ale-py"):
        assert text in out


def test_each_failure_comes_with_its_cure():
    environment = os.environ | {"A3CRS_ISA": "mmx"}
    process = subprocess.run([sys.executable, "-m", "a3crs", "doctor"], env=environment, capture_output=True, text=True)
    assert process.returncode == 1
    assert "FAIL  processor" in process.stdout
    assert process.stdout.count("mmx") == 1
    assert "ok    games" in process.stdout  # the other checks go on


def test_what_a_domain_needs_can_be_asked_for(a3crs):
    assert a3crs("doctor", "--fix-hint", "TORCS")[:2] == (0, "sudo apt-get install torcs torcs-data xvfb xdotool\n")
    code, _, err = a3crs("doctor", "--fix-hint", "torc")
    assert code != 0
    assert "did you mean torcs?" in err


def test_an_unexpected_exception_is_a_finding(monkeypatch):
    def emulator():
        raise OSError("no emulator")

    monkeypatch.setattr(doctor, "_emulator", emulator)
    assert any("no emulator" in finding.detail and finding.cure for finding in examine())
