"""Runs the short form of hashes.py, and holds that the hashes cover the catalogue."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from a3crs import _core

HERE = Path(__file__).parent
KEPT = json.loads((HERE / "hashes.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def cases():
    """The module `cases`, which finds `environments` beside it."""
    sys.path.insert(0, str(HERE))
    try:
        spec = importlib.util.spec_from_file_location("bits_cases", HERE / "cases.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(str(HERE))
        sys.modules.pop("bits_cases", None)
        sys.modules.pop("environments", None)


@pytest.mark.skipif("avx2" not in _core.available_isas(), reason="the hashes are of AVX2, which this CPU lacks")
def test_deterministic_runs_compute_the_bits_that_were_committed():
    command = [sys.executable, str(HERE / "hashes.py"), "--short"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert " cases in " in done.stdout


def test_every_method_network_and_optimizer_is_a_case(cases):
    catalogue = _core.catalogue()
    names = set(cases.cases())
    for family in ("vectors", "images"):
        rows = [[row["name"] for row in catalogue[kind]] for kind in ("algos", "nets", "optimizers")]
        wanted = {f"{family}/{algo}/{net}/{opt}" for algo in rows[0] for net in rows[1] for opt in rows[2]}
        assert wanted <= names
    print(*(f"no hash yet: {name}" for name in sorted(names - KEPT.keys())), sep="\n")


def test_no_hash_is_without_its_case(cases):
    assert KEPT.keys() <= set(cases.cases())


def test_only_vectors_to_convolutions_are_refused():
    refused = {name for name, value in KEPT.items() if value is None}
    assert refused == {name for name in KEPT if name.startswith("vectors/") and "/nature" in name}
