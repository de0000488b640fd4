"""No input makes a command crash, hang, exhaust memory, leave temporary files or print wrong results."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.fuzz.kinds import KINDS
from tests.processes import LIMIT, finished

ROOT = Path(__file__).parent.parent.parent

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux: processes are forked")


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_inputs(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    minutes, seed = request.config.getoption("--fuzz-minutes"), request.config.getoption("--fuzz-seed")
    if not KINDS[kind].cases and not minutes:
        pytest.skip("takes minutes: give --fuzz-minutes")
    command = [sys.executable, "-m", "tests.fuzz", kind, "--seed", str(seed), "--keep", str(tmp_path)]
    command += ["--minutes", str(minutes)] if minutes else []
    # JAX, which other tests import, sets this variable, and TensorFlow then reports that it finds no GPU.
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    done = finished(command, cwd=ROOT, seconds=LIMIT + 60 * (minutes or 0), env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
