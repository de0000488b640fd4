"""Run one case in a process of its own, and judge its behaviour.

The process is forked, so that modules are imported once. It has bounds on processor time and memory, and must not wait
for anything. What the commands write through Python and what C libraries write to the same terminal are
kept apart: the latter is a failure.
"""

from __future__ import annotations

import csv
import faulthandler
import hashlib
import io
import json
import os
import re
import resource
import shutil
import signal
import stat
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import parameter
from cli.command import ALL_DONE, SOME_UNREADABLE, WRONG_USE, run_command

#: Bytes of memory that a case may use beyond those of the process that forks.
MEMORY = 1 << 30
#: Address space beyond that of the process that forks, so that a mistake does not exhaust the machine.
_ADDRESSES = 4 << 30
#: No file may grow beyond this.
_FILE = 400 << 20
#: Seconds without progress after which a process counts as hanging.
_WAITING = 10
#: Maximum number of characters of a line on stderr.
_LONGEST_LINE = 4000

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_NEVER = ("Traceback (most recent", "Exception ignored", "Exception in thread", "Warning: ", "object at 0x")


class Wrong(Exception):
    """Raised for behaviour that is a failure."""


class Done(NamedTuple):
    """The exit code and the output of a command."""

    code: int
    out: str
    errors: str


@dataclass
class Verdict:
    """The result of a case; `wrong` is empty if nothing is wrong."""

    wrong: str = ""
    #: Failures with the same signature count as one cause.
    signature: str = ""
    output: str = ""
    facts: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    megabytes: float = 0.0
    #: Exit codes of the commands.
    codes: list[int] = field(default_factory=list)


class Case:
    """Runs the commands of a case in the current folder and keeps their output."""

    def __init__(self) -> None:
        self.codes: list[int] = []

    def library(self, function: Callable[[], object]) -> int:
        """Call a function of the library as a command would; returns the exit code."""

        def main(_: Any) -> int:
            function()
            return ALL_DONE

        return self.command(main, parameter.Parameters).code

    def command(self, main: Callable[[Any], int], parameters: type[Any], *argv: str) -> Done:
        """Run a command as its script does. Raises Wrong if its exit code or its output is not as documented."""
        out, errors = (io.TextIOWrapper(io.BytesIO(), "utf-8", "backslashreplace", "\n") for _ in range(2))
        kept = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = out, errors
        try:
            run_command(main, parameters, list(argv))
        except SystemExit as stop:
            code = stop.code
        finally:
            sys.stdout, sys.stderr = kept
            texts = []
            for stream in (out, errors):
                stream.flush()
                texts.append(stream.buffer.getvalue().decode("utf-8", "backslashreplace"))
            print(texts[0], texts[1], sep="", end="")
        if not isinstance(code, int) or code not in (ALL_DONE, SOME_UNREADABLE, WRONG_USE):
            raise Wrong(f"exit code {code}")
        self.codes.append(code)
        done = Done(code, *texts)
        sentences = [line for line in done.errors.splitlines() if line.startswith("error: ")]
        if code == WRONG_USE and len(sentences) != 1:
            raise Wrong(f"exit code 2 with {len(sentences)} sentences")
        if code == SOME_UNREADABLE and not (done.errors.strip() or done.out.strip()):
            raise Wrong("exit code 1 without a word")
        if found := _CONTROLS.search(done.out + done.errors):
            raise Wrong(f"control character {found[0]!r} in the output")
        if any(len(line) > _LONGEST_LINE for line in done.errors.splitlines()):
            raise Wrong(f"a line of more than {_LONGEST_LINE:,} characters on stderr")
        return done


def strict_json(path: Path) -> Any:
    """The content of a JSON file that a command has written. Raises Wrong if it is not JSON."""

    def refuse(word: str) -> NoReturn:
        raise Wrong(f"{path.name} holds {word}, which is no JSON")

    try:
        return json.loads(path.read_text("utf-8"), parse_constant=refuse)
    except ValueError as error:
        raise Wrong(f"{path.name} is no JSON: {error}") from None


def table(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV table that a command has written."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, strict=True))
    if any(None in row or None in row.values() for row in rows):
        raise Wrong(f"{path.name} has rows of different length")
    return rows


def judge(folder: Path, run: Callable[[Case], dict[str, str]], writes: tuple[str, ...], seconds: int) -> Verdict:
    """Run a case in `folder`, in a process of its own with a limit on its seconds of processor time.

    Entries that begin with one of `writes` may change there.
    """
    before = _content(folder, writes)
    with tempfile.TemporaryDirectory(prefix="crnn-kit-fuzz-") as place:
        work = Path(place)
        (work / "tmp").mkdir()
        # Mapped files are not counted.
        base = memory("RssAnon"), memory("VmSize")
        started = time.monotonic()
        child = os.fork()
        if not child:
            _run(folder, work, run, base[1], seconds)
        status, usage, stuck = _wait(child)
        verdict = _verdict(work, status, stuck)
        verdict.seconds = time.monotonic() - started
        verdict.megabytes = (usage.ru_maxrss * 1024 - base[0]) / 1e6
        if not verdict.wrong and usage.ru_maxrss * 1024 - base[0] > MEMORY:
            verdict.wrong = verdict.signature = f"more than {MEMORY >> 20} MB of memory"
            verdict.wrong += f" ({verdict.megabytes:,.0f})"
        left = sorted(str(path.relative_to(work / "tmp")) for path in (work / "tmp").rglob("*"))
        if not verdict.wrong and left:
            verdict.wrong = f"left in the temporary folder: {', '.join(left[:3])}"
            verdict.signature = "left in the temporary folder"
        if not verdict.wrong and (changed := _changed(before, _content(folder, writes))):
            verdict.wrong, verdict.signature = changed, changed.partition(":")[0]
    return verdict


def _run(folder: Path, work: Path, run: Callable[[Case], dict[str, str]], size: int, seconds: int) -> NoReturn:
    """Run the case in the forked process."""
    case, found = Case(), dict[str, Any]()
    try:
        os.setsid()
        os.chdir(folder)
        tempfile.tempdir = os.environ["TMPDIR"] = str(work / "tmp")
        stacks = (work / "stacks").open("w")
        faulthandler.enable(stacks)
        faulthandler.register(signal.SIGXCPU, stacks, chain=True)
        for descriptor, name in ((1, "c"), (2, "c"), (0, None)):
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND if name else os.O_RDONLY
            os.dup2(os.open(work / name if name else os.devnull, flags, 0o600), descriptor)
        sys.stdin = open(os.devnull)  # noqa: SIM115
        sys.stdout = sys.stderr = (work / "python").open("w", encoding="utf-8", errors="backslashreplace")
        for kind, limit in (
            (resource.RLIMIT_AS, size + _ADDRESSES), (resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, _FILE)
        ):  # fmt: skip
            resource.setrlimit(kind, (limit, resource.getrlimit(kind)[1]))
        used = sum(os.times()[:2])
        resource.setrlimit(resource.RLIMIT_CPU, (int(used) + seconds, int(used) + seconds + 5))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        try:
            found["facts"] = run(case)
        except Wrong as wrong:
            found["wrong"] = found["signature"] = str(wrong)
        except BaseException as error:
            traceback.print_exc()
            traced = [each for each in traceback.extract_tb(error.__traceback__) if _is_ours(each.filename)]
            place = f"{Path(traced[-1].filename).name}:{traced[-1].lineno}" if traced else "?"
            found["signature"] = f"{type(error).__name__} at {place}"
            found["wrong"] = f"{found['signature']}: {str(error)[:300]}"
        found["codes"] = case.codes
        # As the interpreter does at its end: this finds threads that never end.
        threading._shutdown()  # type: ignore[attr-defined]
        sys.stdout.flush()
        (work / "found").write_text(json.dumps(found))
    finally:
        os._exit(0)


def _is_ours(file: str) -> bool:
    return not any(each in file for each in ("/tests/fuzz/", "site-packages", "/lib/python", "<frozen"))


def _wait(child: int) -> tuple[int, resource.struct_rusage, bool]:
    """Wait for the process to end, and end it if it hangs. Returns its status, its usage, and whether it hung."""
    progress, seen, stuck = time.monotonic(), "", False
    pause = 0.001
    while True:
        pid, status, usage = os.wait4(child, os.WNOHANG)
        if pid:
            return status, usage, stuck
        time.sleep(pause)
        pause = min(2 * pause, 0.02)
        try:
            # The fields after the name: the state, and later the processor time in user and system mode.
            parts = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        now = f"{parts[11]} {parts[12]}"
        if now != seen or parts[0] == "R":
            progress, seen = time.monotonic(), now
        elif time.monotonic() - progress > _WAITING:
            if stuck:
                os.kill(child, signal.SIGKILL)
            # Print the stack.
            stuck, progress = True, time.monotonic()
            os.kill(child, signal.SIGABRT)


def _verdict(work: Path, status: int, stuck: bool) -> Verdict:
    def text(name: str) -> str:
        return (work / name).read_text("utf-8", "replace") if (work / name).exists() else ""

    output, stacks, of_c = text("python"), text("stacks"), text("c")
    verdict = Verdict(output=(output[-6000:] + stacks[-6000:] + of_c[-2000:]).strip())
    found = json.loads(text("found") or "{}")
    verdict.codes, verdict.facts = found.get("codes", []), found.get("facts") or {}
    verdict.wrong, verdict.signature = found.get("wrong", ""), found.get("signature", "")
    if stuck or os.WIFSIGNALED(status) or not found:
        frames = [match for match in re.finditer(r'File "(.+)", line (\d+)', stacks) if _is_ours(match[1])]
        place = f"{Path(frames[0][1]).name}:{frames[0][2]}" if frames else "?"
        end = signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else f"exit {status}"
        kind = "hangs" if stuck else "takes too long" if end == "SIGXCPU" else f"ends by {end}"
        verdict.wrong = verdict.signature = f"{kind} at {place}"
    if not verdict.wrong and (said := next((word for word in _NEVER if word in output), None)):
        line = next(line for line in output.splitlines() if said in line)
        verdict.wrong, verdict.signature = f"says {line[:300]!r}", f"says {said}{output.strip().splitlines()[-1][:60]}"
    if not verdict.wrong and of_c.strip():
        verdict.wrong = f"a C library says: {of_c.strip()[:300]}"
        verdict.signature = f"a C library says: {' '.join(of_c.split()[:2])}"
    return verdict


def memory(name: str) -> int:
    """A value of /proc/self/status in bytes."""
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) * 1024


def _content(folder: Path, writes: tuple[str, ...]) -> dict[str, str]:
    """A fingerprint of each entry of a folder, to find changes."""
    found = dict[str, str]()
    for root, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(root, name)
            relative = path.relative_to(folder).as_posix()
            info = path.lstat()
            if relative.split("/")[0].startswith(writes):
                # Output may change, but no temporary files may remain.
                if "partial" in name or name.endswith(".tmp"):
                    found[relative] = "written"
                continue
            found[relative] = f"{stat.S_IFMT(info.st_mode)} {info.st_size if not path.is_dir() else 0}"
            if stat.S_ISREG(info.st_mode) and info.st_size < 20_000_000 and info.st_mode & 0o400:
                found[relative] += hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def _changed(before: dict[str, str], after: dict[str, str]) -> str:
    if new := sorted(after.keys() - before.keys()):
        return f"left behind: {', '.join(new[:3])}"
    if gone := sorted(before.keys() - after.keys()):
        return f"removed: {', '.join(gone[:3])}"
    if other := sorted(name for name in before if before[name] != after[name]):
        return f"changed: {', '.join(other[:3])}"
    return ""


def fresh(folder: Path) -> Path:
    """Replace a folder by an empty one."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    return folder
