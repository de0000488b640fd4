"""After a kill, finished files are complete, and the next run removes temporary files."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.processes import finished

ROOT = Path(__file__).parent.parent.parent

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are forked")


def test_killed_commands() -> None:
    command = [sys.executable, "-m", "tests.fuzz.kills", "--kills", "2", "--only", "predict-json", "convert-folder"]
    done = finished(command, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
