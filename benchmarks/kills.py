"""Kill commands while they work, run them again, and look for what was lost or left behind.

    python benchmarks/kills.py --kills 60
    python benchmarks/kills.py --kills 60 --only predict-csv convert-lmdb

Each command runs once undisturbed. Then it is killed (SIGKILL; every other time its helpers as well) at a random time
after it has begun to write, and runs again to its end. In between, every file must be the earlier one or the later one,
whole. In the end all must be as after the undisturbed run, with nothing beside it, and no process may be left.
"""

from __future__ import annotations

import argparse
import csv
import io
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parent.parent

#: Seconds that processes have to end in, once the one that started them is gone.
PATIENCE = 15.0

#: Entries of model files and states that hold times.
_TIMES = ("metadata.json", "history.npy")
#: What libraries leave in the temporary folder whenever they are used (onnxruntime).
_OF_LIBRARIES = (".ses",)

#: The files of a folder by their paths, with their contents.
Files = dict[str, bytes]


@dataclass(frozen=True)
class Job:
    """A command, what is there before it runs, and what of its files is compared."""

    command: list[str]
    #: What writes its files; other entries are its inputs.
    output: str
    begin: Callable[[Path], None]
    #: The command to run after a kill, from the state that it left.
    again: Callable[[Path, list[str]], list[str]] = lambda folder, command: command
    #: Files that say when they were written, or how long it took.
    vary: tuple[str, ...] = ()
    #: Whether files appear one by one: in between there may be some of them.
    one_by_one: bool = False


def pictures(folder: Path, count: int = 64) -> None:
    """Labelled pictures, all different."""
    (folder / "data").mkdir()
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 256, (32, 48), np.uint8)
        cv2.imwrite(str(folder / "data" / f"{'ABCD'[number % 4]}{number % 7}_{number}.png"), pixels)


def with_earlier(name: str, content: str = "earlier\n") -> Callable[[Path], None]:
    """Pictures, and a file that the command replaces."""

    def begin(folder: Path) -> None:
        pictures(folder)
        (folder / name).write_text(content)

    return begin


def converted(form: str) -> Job:
    """A conversion that replaces an earlier one, of fewer pictures."""

    def begin(folder: Path) -> None:
        pictures(folder, 8)
        run(folder, [*command, "out", "--form", form])
        shutil.rmtree(folder / "data")
        pictures(folder)

    command = ["-m", "dataset", "convert", "data"]
    return Job([*command, "out", "--form", form], "out", begin, vary=("lock.mdb",))


def resumed(folder: Path, command: list[str]) -> list[str]:
    return ["training.py", "--resume", "--run", "out"] if (folder / "out" / "parameters.json").exists() else command


_TRAINING = "training.py --data data --run out --preset lite --size 48x32 --batch-size 16 --epochs 3 --from random"
_GENERATE = "-m generate_captcha --out out --count 400 --workers 2 --seed 5"
JOBS: dict[str, Job] = {
    "generate": Job(_GENERATE.split(), "out", lambda folder: None, one_by_one=True),
    "generate-line": Job(
        f"{_GENERATE} --style line --size 160x32 --length 5-8".split(), "out", lambda folder: None, one_by_one=True
    ),
    "predict-csv": Job(
        "prediction.py data --model captcha_lite --csv out.csv".split(), "out.csv", with_earlier("out.csv")
    ),
    "predict-json": Job(
        "prediction.py data --model captcha_lite --json out.json".split(), "out.json", with_earlier("out.json", "[]\n")
    ),
    "convert-folder": converted("folder"),
    "convert-tfrecord": converted("tfrecord"),
    "convert-lmdb": converted("lmdb"),
    "train": Job(
        [*_TRAINING.split(), "--augmentation", "0"], "out", pictures, resumed,
        ("log.txt", "events.out", "curves.png", "training.lock", ".cache"),
    ),
    "export": Job("export.py captcha_lite --out out.onnx".split(), "out.onnx", with_earlier("out.onnx")),
}  # fmt: skip


def arguments(folder: Path, command: list[str]) -> list[str]:
    script = [] if command[0] == "-m" else [str(ROOT / command[0])]
    return [sys.executable, *script, *(command[1:] if script else command)]


def start(folder: Path, command: list[str]) -> subprocess.Popen[str]:
    """The command in a group of its own, with a temporary folder of its own."""
    temporary = folder.with_name("tmp")
    temporary.mkdir(exist_ok=True)
    environment = os.environ | {"TMPDIR": str(temporary), "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        arguments(folder, command), cwd=folder, env=environment, start_new_session=True, text=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip


def run(folder: Path, command: list[str]) -> None:
    """Run a command to its end. Raises RuntimeError where it fails."""
    with start(folder, command) as process:
        _, errors = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit code {process.returncode}: {errors[-800:]}")


def files(folder: Path, job: Job) -> Files:
    """The files of a folder, but for what varies."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not any(each in path.relative_to(folder).as_posix() for each in job.vary)
    }


def comparable(name: str, content: bytes) -> object:
    """The content of a file without what differs from run to run: when it was written, and how fast."""
    if name.endswith((".keras", ".npz")):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return {each: archive.read(each) for each in archive.namelist() if each not in _TIMES}
    if name.endswith("history.csv"):
        rows = list(csv.DictReader(content.decode().splitlines()))
        return [{head: cell for head, cell in row.items() if head != "pictures_per_second"} for row in rows]
    return content


def fresh(folder: Path, job: Job) -> None:
    for each in (folder, folder.with_name("tmp")):
        shutil.rmtree(each, ignore_errors=True)
    folder.mkdir()
    job.begin(folder)


def undisturbed(folder: Path, job: Job) -> tuple[Files, Files, float, float]:
    """The files before and after, when the command began to write, and when it ended, in seconds."""
    fresh(folder, job)
    before = files(folder, job)
    entries = set(folder.rglob("*"))
    started = time.monotonic()
    first = None
    with start(folder, job.command) as process:
        while process.poll() is None:
            time.sleep(0.01)
            if first is None and set(folder.rglob("*")) != entries:
                first = time.monotonic() - started
        took = time.monotonic() - started
        if process.returncode:
            assert process.stderr
            raise RuntimeError(
                f"{' '.join(job.command)}: exit code {process.returncode}: {process.stderr.read()[-800:]}"
            )
    return before, files(folder, job), first or 0.0, took


def killed(folder: Path, job: Job, delay: float, whole_group: bool) -> bool:
    """Start the command and kill it after `delay` seconds; whether it was still at work."""
    process = start(folder, job.command)
    with process:
        try:
            process.wait(delay)
        except subprocess.TimeoutExpired:
            (os.killpg if whole_group else os.kill)(process.pid, signal.SIGKILL)
            process.wait()
            return True
        finally:
            _no_process_left(process.pid)
    return False


def _no_process_left(group: int) -> None:
    due = time.monotonic() + PATIENCE
    while time.monotonic() < due:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    os.killpg(group, signal.SIGKILL)
    raise RuntimeError(f"helpers are still at work {PATIENCE:.0f} s after their parent was killed")


def one_kill(folder: Path, job: Job, before: Files, after: Files, delay: float, whole_group: bool) -> tuple[bool, str]:
    """Kill once and run again; whether it was killed at work, and what is wrong, the empty text where nothing is."""
    fresh(folder, job)
    at_work = killed(folder, job, delay, whole_group)
    between = files(folder, job)
    for name, content in before.items():
        if name.partition("/")[0] != job.output and between.get(name) != content:
            return at_work, f"the input {name} has changed"
    written = {name for name in (*before, *after) if name.partition("/")[0] == job.output}
    for name in sorted(written & between.keys()):
        allowed = [comparable(name, each[name]) for each in (before, after) if name in each]
        # What a training has written so far is not what it writes in the end.
        if job.again is not resumed and comparable(name, between[name]) not in allowed:
            return at_work, f"{name} is neither the earlier nor the later file after the kill"
    if not job.one_by_one and job.again is not resumed:
        ours = {name for name in between if name.partition("/")[0] == job.output}
        sets = [{name for name in each if name.partition("/")[0] == job.output} for each in (before, after)]
        if ours and ours not in sets:
            return at_work, "the folder is neither the earlier nor the later one after the kill"
    run(folder, job.again(folder, job.command))
    found = files(folder, job)
    if lost := sorted(after.keys() - found.keys()):
        return at_work, f"{lost[0]} is missing after the next run"
    if left := sorted(found.keys() - after.keys()):
        return at_work, f"left behind after the next run: {', '.join(left[:3])}"
    for name, content in after.items():
        if comparable(name, found[name]) != comparable(name, content):
            return at_work, f"{name} differs from that of an undisturbed run"
    if left := sorted(str(path.relative_to(folder)) for path in folder.rglob("*.partial*")):
        return at_work, f"left behind after the next run: {left[0]}"
    if left := sorted(path.name for path in folder.with_name("tmp").iterdir() if path.name not in _OF_LIBRARIES):
        return at_work, f"left in the temporary folder: {left[0]}"
    return at_work, ""


def campaign(name: str, kills: int, seed: int, work: Path) -> Counter[str]:
    """Kill one command so many times; what was wrong, and how often."""
    job, folder = JOBS[name], work / name / "folder"
    folder.parent.mkdir()
    before, after, first, took = undisturbed(folder, job)
    wrong, at_work, tries = Counter[str](), 0, 0
    rng = random.Random(f"{name} {seed}")
    while at_work < kills and tries < 3 * kills:
        tries += 1
        delay = rng.uniform(0.8 * first, took)
        try:
            hit, why = one_kill(folder, job, before, after, delay, whole_group=bool(tries % 2))
        except RuntimeError as error:
            hit, why = True, str(error)
        at_work += hit
        if why:
            wrong[why] += 1
            print(f"  {name}, killed after {delay:.2f} of {took:.2f} s: {why}", flush=True)
    print(
        f"{name}: {at_work} kills between {first:.1f} and {took:.1f} s, {wrong.total()} with something wrong",
        flush=True,
    )
    return wrong


def main() -> int:
    """The whole story; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=60, help="of each command (default: 60)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=JOBS, default=list(JOBS))
    given = parser.parse_args()
    wrong = Counter[str]()
    with tempfile.TemporaryDirectory(prefix="crnn-kit-kills-") as work:
        for name in given.only:
            wrong += campaign(name, given.kills, given.seed, Path(work).resolve())
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
