"""start.py in a small clone, with packages that are made here: no test uses the network."""

from __future__ import annotations

import os
import shutil
import sys
import zipfile
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.processes import finished

START = Path(__file__).parents[1] / "start.py"

READER = "import sys, greeting\nprint('read', *sys.argv[1:])\nsys.exit(int(greeting.CODE))\n"


def make_wheel(folder: Path, version: str, code: int = 0) -> None:
    """Write the smallest package that pip installs; the prediction.py of the clone exits with its CODE."""
    folder.mkdir(exist_ok=True)
    info = f"greeting-{version}.dist-info"
    with zipfile.ZipFile(folder / f"greeting-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr("greeting.py", f"CODE = {code}\n")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: greeting\nVersion: {version}\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    clone = tmp_path / "a clone"
    clone.mkdir()
    shutil.copy(START, clone)
    (clone / "prediction.py").write_text(READER)
    (clone / "requirements.txt").write_text("greeting==1.0\n")
    make_wheel(clone / "wheels", "1.0")
    return clone


def start(clone: Path, *flags: str, **variables: str) -> CompletedProcess[str]:
    environment = {
        **os.environ,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": (clone / "wheels").as_uri(),
        "PIP_CONFIG_FILE": os.devnull,
        **variables,
    }
    command = [sys.executable, str(clone / "start.py"), *flags]
    return finished(command, env=environment, cwd=clone.parent)


def test_installs_what_is_missing_and_returns_the_exit_code_of_the_reading(clone: Path) -> None:
    first = start(clone)
    assert (first.returncode, first.stdout) == (0, "read DB/samples --labels\n"), first.stderr
    assert "installing requirements.txt into .venv" in first.stderr
    assert "python training.py --quick" in first.stderr.splitlines()[-1]

    again = start(clone, PIP_FIND_LINKS="file:///nowhere")
    assert (again.returncode, again.stdout) == (0, "read DB/samples --labels\n")
    assert "installing" not in again.stderr

    # After a change of the lock file, and after an interrupted installation, which leaves no record.
    make_wheel(clone / "wheels", "2.0", code=3)
    (clone / "requirements.txt").write_text("greeting==2.0\n")
    assert start(clone).returncode == 3
    (clone / ".venv" / "installed-requirements.txt").unlink()
    assert "installing" in start(clone).stderr

    # An environment whose Python was removed.
    for python in (clone / ".venv").glob("[bS]*/python*"):
        python.unlink()
    repaired = start(clone)
    assert repaired.returncode == 3
    assert "creating it again" in repaired.stderr

    # Requirements that pip cannot find.
    (clone / "requirements.txt").write_text("greeting==9.9\n")
    refused = start(clone)
    assert refused.returncode == 2
    sentence = "error: pip could not install the requirements (No matching distribution found for greeting==9.9)"
    assert sentence in refused.stderr and "Traceback" not in refused.stderr
    assert not (clone / ".venv" / "installed-requirements.txt").exists()


def test_an_environment_that_start_did_not_make_is_kept(clone: Path) -> None:
    kept = clone / ".venv" / "notes.txt"
    kept.parent.mkdir()
    kept.write_text("mine")
    result = start(clone)
    assert result.returncode == 2
    assert ".venv holds no Python that runs and was not made by this script: move it away" in result.stderr
    assert kept.read_text() == "mine"


def test_python_without_venv_ends_in_one_sentence(clone: Path) -> None:
    broken = clone / "broken"
    broken.mkdir()
    for module in ("venv", "virtualenv"):
        (broken / f"{module}.py").write_text("raise SystemExit(1)\n")
    result = start(clone, PYTHONPATH=str(broken), PATH="")
    assert result.returncode == 2
    assert "apt install python3-venv" in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr


def test_another_python_ends_in_one_sentence(clone: Path) -> None:
    source = (clone / "start.py").read_text(encoding="utf-8")
    (clone / "start.py").write_text(
        source.replace("OLDEST, NEWEST = (3, 11), (3, 13)", "OLDEST, NEWEST = (3, 5), (3, 6)")
    )
    result = start(clone, PATH="")
    assert result.returncode == 2
    assert "the kit needs Python 3.5 to 3.6: install one of those" in result.stderr
    assert not (clone / ".venv").exists()


def test_locks_hold_only_versions() -> None:
    locks = {
        name: (START.parent / name).read_text().split("\n") for name in ("requirements.txt", "requirements-test.txt")
    }
    for lines in locks.values():
        assert all("==" in line and "/" not in line and "@" not in line for line in lines if line)
    assert set(locks["requirements.txt"]) <= set(locks["requirements-test.txt"])
