import subprocess
import sys
from pathlib import Path

import pytest

from a3crs import _core

SCRIPT = Path(__file__).parent / "hashes.py"


@pytest.mark.skipif("avx2" not in _core.available_isas(), reason="the hashes are those of the AVX2 kernels")
def test_repeatable_runs_compute_what_they_did():
    done = subprocess.run([sys.executable, SCRIPT, "--short"], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 of which differ" in done.stdout
    assert done.stdout.count("same") > 10, done.stdout
