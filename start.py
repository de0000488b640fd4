"""Set everything up, then show that it works. Needs Python 3.11 to 3.13 with its module venv, virtualenv or uv.

python3 start.py          virtual environment and requirements, then read the pictures of DB/samples
python3 start.py --test   virtual environment and the tests' requirements, then lint, types and tests

A second run finds the set-up finished and installs nothing; an interrupted one goes on where it stopped.
"""

# Only the standard library, and no syntax newer than Python 3.7: an old Python must get as far as the sentence below.
from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

OLDEST, NEWEST = (3, 11), (3, 13)

ROOT = Path(__file__).resolve().parent
ENVIRONMENT = ROOT / ".venv"
PYTHON = ENVIRONMENT / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
#: The requirements that the environment holds whole; absent while it is being filled.
INSTALLED = ENVIRONMENT / "installed-requirements.txt"
LOG = ENVIRONMENT / "install.log"

READ_SAMPLES = ["prediction.py DB/samples --labels"]
TEST = [
    "-m ruff check .",
    "-m ruff format --check .",
    "-m mypy .",
    "-m pytest -n auto --maxprocesses 4 --dist worksteal",
]


class SetUpError(Exception):
    """Something is missing on this machine. The message names it and the remedy in one sentence."""


def main() -> int:
    """Set up, run the commands, return the exit code: 0 when all of them passed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--test", action="store_true", help="lint, types and tests instead of reading DB/samples")
    test = parser.parse_args().test
    try:
        set_up(ROOT / ("requirements-test.txt" if test else "requirements.txt"))
        codes = {command: run(command) for command in (TEST if test else READ_SAMPLES)}
    except SetUpError as error:
        say(f"error: {error}")
        return 2
    except KeyboardInterrupt:
        say("interrupted: run the same command again to continue")
        return 130
    except OSError as error:
        say(f"error: {error.filename or ENVIRONMENT}: {error.strerror or error}; correct that and run it again")
        return 2
    failed = [command for command, code in codes.items() if code]
    if test:
        say("failed: " + "; ".join(f"python {command}" for command in failed) if failed else "all checks passed")
    elif not failed:
        activate = r".venv\Scripts\activate" if sys.platform == "win32" else "source .venv/bin/activate"
        say(f"next: {activate}, then: python training.py --quick")
    return codes[failed[0]] if failed else 0


def set_up(lock: Path) -> None:
    """Make `.venv` hold every requirement of `lock`. Raises SetUpError."""
    version = python_version(PYTHON)
    if version is None or not OLDEST <= version <= NEWEST:
        if ENVIRONMENT.exists():
            found = "Python %d.%d" % version if version else "no Python that runs"  # noqa: UP031 (old Pythons read this)
            ours = LOG.exists() or (version is None and (ENVIRONMENT / "pyvenv.cfg").exists())
            if not ours and any(ENVIRONMENT.iterdir()):
                raise SetUpError(
                    f"{ENVIRONMENT} holds {found} and was not made by this script: move it away, then run it again"
                )
            say(f"{ENVIRONMENT.name} holds {found}: creating it again")
        make_environment()
    wanted = requirements(lock)
    if wanted <= requirements(INSTALLED):
        return
    if INSTALLED.exists():
        INSTALLED.unlink()
    say(f"installing {lock.name} into {ENVIRONMENT.name} ({len(wanted)} packages, once; some minutes on a slow line)")
    install(lock, len(wanted))
    INSTALLED.write_text("".join(f"{line}\n" for line in sorted(wanted)), encoding="utf-8")


def requirements(file: Path) -> set[str]:
    """The lines of a requirements file; none when it is missing."""
    return set(file.read_text(encoding="utf-8").split("\n")) - {""} if file.exists() else set()


def python_version(python: Path) -> tuple[int, int] | None:
    """(major, minor) of an interpreter with pip, None when there is none that runs."""
    code = "import pip, sys; print(*sys.version_info[:2])"
    try:
        answer = subprocess.run(
            [str(python), "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=clean()
        )
        major, minor = answer.stdout.split()
    except (OSError, ValueError):
        return None
    return int(major), int(minor)


def make_environment() -> None:
    """An empty virtual environment with pip in it, by whatever this machine has. Raises SetUpError."""
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        names = [f"python3.{minor}" for minor in range(NEWEST[1], OLDEST[1] - 1, -1)]
        other = next((name for name in names if shutil.which(name)), None)
        raise SetUpError(
            f"this is Python {sys.version.split()[0]}, and the kit needs Python 3.{OLDEST[1]} to 3.{NEWEST[1]}: "
            + (f"run {other} start.py instead" if other else "install one of those and run start.py with it")
        )
    makers = [
        [sys.executable, "-m", "venv", str(ENVIRONMENT)],
        # Debian and Ubuntu leave ensurepip, which venv needs, to a package of its own.
        [sys.executable, "-m", "virtualenv", "--quiet", str(ENVIRONMENT)],
        ["uv", "venv", "--quiet", "--seed", "--python", sys.executable, str(ENVIRONMENT)],
    ]
    for maker in makers:
        if ENVIRONMENT.exists():
            shutil.rmtree(ENVIRONMENT)
        if shutil.which(maker[0]):
            subprocess.run(maker, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=clean())
        if python_version(PYTHON):
            return
    raise SetUpError(
        "this Python cannot make virtual environments: install its venv module "
        "(Debian, Ubuntu: sudo apt install python3-venv), then run the same command again"
    )


def install(lock: Path, total: int) -> None:
    """Install the locked versions, showing how far it is. Raises SetUpError with pip's own last words."""
    # Only wheels: nobody wants to compile OpenCV or TensorFlow from source here.
    command = [str(PYTHON), "-m", "pip", "install", "--only-binary", ":all:", "--no-input", "-r", str(lock)]
    pip = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=clean(), encoding="utf-8", errors="replace"
    )
    assert pip.stdout is not None
    done, complaint = 0, "it said nothing"
    with LOG.open("w", encoding="utf-8") as log:
        for line in pip.stdout:
            log.write(line)
            step = re.match(r"Collecting (\S+)|Requirement already satisfied: (\S+)", line)
            if step:
                done += 1
                show_step(f"{min(done, total)} of {total}: {step[1] or step[2]}")
            elif line.startswith("Installing collected packages"):
                show_step("unpacking")
            elif line.startswith("ERROR: "):
                complaint = line[len("ERROR: ") :].strip().rstrip(".")
    show_step("")
    if pip.wait():
        raise SetUpError(
            f"pip could not install the requirements ({complaint}): see {LOG}, mend that, "
            "and the same command goes on where this one stopped"
        )


def run(command: str) -> int:
    """Run `python COMMAND` in the environment, at the top of the clone; its exit code."""
    say(f"$ python {command}")
    return subprocess.run([str(PYTHON), *command.split()], cwd=str(ROOT), env=clean()).returncode


def clean() -> dict[str, str]:
    """The variables of this process without those that lead Python or pip out of the virtual environment."""
    strays = ("PYTHONHOME", "PIP_TARGET", "PIP_PREFIX", "__PYVENV_LAUNCHER__")
    variables = {name: value for name, value in os.environ.items() if name not in strays}
    return {**variables, "PIP_USER": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def show_step(text: str) -> None:
    """One line that overwrites itself, on a terminal only."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{text}")
        sys.stderr.flush()


def say(message: str) -> None:
    """Tell the user something; stdout belongs to the commands."""
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
