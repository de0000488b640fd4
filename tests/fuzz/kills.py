"""Kill commands while they work, run them again, and look for lost data and leftovers.

    python -m tests.fuzz.kills --kills 60
    python -m tests.fuzz.kills --kills 60 --only predict-csv convert-lmdb

Each command runs once undisturbed. Then it is killed (SIGKILL; every other time its helpers as well) at a random time
after it has begun to write, and runs again to its end. In between, every file must be the earlier one or the later one,
whole. In the end all must be as after the undisturbed run, with nothing beside it, and no process may be left.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import io
import json
import math
import os
import random
import runpy
import shutil
import signal
import sys
import tempfile
import time
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import cv2
import numpy as np

from cli.progress import progress

ROOT = Path(__file__).resolve().parents[2]

#: Seconds in which child processes have to end after their parent.
PATIENCE = 15.0

#: Entries of a state that hold times, or a hash of a file that does.
_TIMES = ("history.npy", "model.npy")
#: Files that libraries leave in the temporary folder (onnxruntime).
_OF_LIBRARIES = (".ses",)

#: The files of a folder by their paths, with their contents.
Files = dict[str, bytes]


@dataclass(frozen=True)
class Job:
    """A command, its input, and how its files are compared."""

    command: list[str]
    #: The entry of the folder that the command writes; the others are its input.
    output: str
    begin: Callable[[Path], None]
    #: The command to run after a kill, from the state that it left.
    again: Callable[[Path, list[str]], list[str]] = lambda folder, command: command
    #: Files that contain times.
    vary: tuple[str, ...] = ()
    #: Whether files appear one by one: in between there may be some of them.
    one_by_one: bool = False
    #: Whether it works with Keras.
    keras: bool = False


def pictures(folder: Path, count: int = 64) -> None:
    """Write labelled pictures, all different."""
    (folder / "data").mkdir()
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 256, (32, 48), np.uint8)
        cv2.imwrite(str(folder / "data" / f"{'ABCD'[number % 4]}{number % 7}_{number}.png"), pixels)


def with_earlier(name: str, content: str = "earlier\n") -> Callable[[Path], None]:
    """Write pictures, and a file that the command replaces."""

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

    command = ["dataset", "convert", "data"]
    return Job([*command, "out", "--form", form], "out", begin, vary=("lock.mdb",))


def resumed(folder: Path, command: list[str]) -> list[str]:
    return ["training.py", "--resume", "--run", "out"] if (folder / "out" / "parameters.json").exists() else command


_TRAINING = "training.py --data data --run out --preset lite --size 48x32 --batch-size 32 --epochs 2 --from random"
_GENERATE = "generate_captcha --out out --count 400 --workers 2 --seed 5"
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
        keras=True,
    ),
    "export": Job("export.py captcha_lite --out out.onnx".split(), "out.onnx", with_earlier("out.onnx"), keras=True),
}  # fmt: skip


class Process:
    """A command in a forked process: what it imports is there already, so that most of its time it works.

    It has a group of its own, and `tmp` beside its folder for temporary files.
    """

    def __init__(self, folder: Path, command: list[str]) -> None:
        self._command, self._log = command, folder.with_name("log.txt")
        folder.with_name("tmp").mkdir(exist_ok=True)
        self.pid = os.fork()
        if not self.pid:
            self._run(folder)

    def _run(self, folder: Path) -> NoReturn:
        try:
            os.setsid()
            os.chdir(folder)
            tempfile.tempdir = os.environ["TMPDIR"] = str(folder.with_name("tmp"))
            out = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            for descriptor in (1, 2):
                os.dup2(out, descriptor)
            module, *argv = self._command
            sys.argv = [module, *argv]
            if module.endswith(".py"):
                runpy.run_path(str(ROOT / module), run_name="__main__")
            else:
                runpy.run_module(module, run_name="__main__", alter_sys=True)
        except SystemExit as stop:
            sys.stdout.flush()
            os._exit(stop.code if isinstance(stop.code, int) else 1)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(1)

    def wait(self, seconds: float = math.inf) -> bool:
        """Returns whether the process ends within some seconds. Raises RuntimeError if it fails."""
        due = time.monotonic() + seconds
        while time.monotonic() < due:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                if status:
                    code = os.waitstatus_to_exitcode(status)
                    raise RuntimeError(f"{' '.join(self._command)}: exit code {code}: {self._log.read_text()[-800:]}")
                return True
            time.sleep(0.005)
        return False

    def kill(self, whole_group: bool) -> None:
        """Kill it, and its helpers as well or not; they have to end by themselves."""
        (os.killpg if whole_group else os.kill)(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        due = time.monotonic() + PATIENCE
        while time.monotonic() < due:
            try:
                os.killpg(self.pid, 0)
            except ProcessLookupError:
                return
            time.sleep(0.05)
        os.killpg(self.pid, signal.SIGKILL)
        raise RuntimeError(f"helpers are still at work {PATIENCE:.0f} s after their parent was killed")


def run(folder: Path, command: list[str]) -> None:
    """Run a command to its end. Raises RuntimeError if it fails."""
    Process(folder, command).wait()


def files(folder: Path, job: Job) -> Files:
    """The files of a folder without those that vary."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not any(each in path.relative_to(folder).as_posix() for each in job.vary)
    }


def comparable(name: str, content: bytes) -> object:
    """The content of a file without what differs from run to run: when it was written, how fast, by which flag."""
    if name.endswith(".keras"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return archive.read("crnn_kit.json"), _arrays(archive.read("model.weights.h5"))
    if name.endswith(".npz"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return {each: archive.read(each) for each in archive.namelist() if each not in _TIMES}
    if name.endswith("parameters.json"):
        return json.loads(content) | {"resume": None}
    if name.endswith("history.csv"):
        rows = list(csv.DictReader(content.decode().splitlines()))
        return [{head: cell for head, cell in row.items() if head != "pictures_per_second"} for row in rows]
    return content


def _arrays(content: bytes) -> dict[str, bytes]:
    """The arrays of an HDF5 file, which keeps them in another order each time."""
    import h5py

    found = dict[str, bytes]()
    with h5py.File(io.BytesIO(content)) as file:
        file.visititems(lambda name, item: found.update({name: item[()].tobytes()} if hasattr(item, "shape") else {}))
    return found


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
    process = Process(folder, job.command)
    while not process.wait(0.01):
        if first is None and set(folder.rglob("*")) != entries:
            first = time.monotonic() - started
    took = time.monotonic() - started
    return before, files(folder, job), first or 0.0, took


def killed(folder: Path, job: Job, delay: float, whole_group: bool) -> bool:
    """Start the command and kill it after `delay` seconds; returns whether it was still working."""
    process = Process(folder, job.command)
    if process.wait(delay):
        return False
    process.kill(whole_group)
    return True


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
        # The files of an unfinished training differ from those of a finished one.
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


def preload(job: Job) -> None:
    """Import the modules of the command."""
    names = ["dataset.__main__", "generate_captcha.__main__", "generate_captcha.styles.captcha", "onnxruntime"]
    for name in [*names, "generate_captcha.styles.line", "crnn_reader.reader", "prediction"]:
        importlib.import_module(name)
    if job.keras:
        from model.backend import import_keras

        import_keras()
        importlib.import_module("tensorflow")
        importlib.import_module("onnx")


def campaign(name: str, kills: int, seed: int, work: Path) -> Counter[str]:
    """Kill one command `kills` times; return how often each fault occurred."""
    job, folder = JOBS[name], work / name / "folder"
    preload(job)
    folder.parent.mkdir()
    before, after, first, took = undisturbed(folder, job)
    wrong, at_work, tries = Counter[str](), 0, 0
    rng = random.Random(f"{name} {seed}")
    with progress(name, kills, "kills") as advance:
        while at_work < kills and tries < 5 * kills:
            tries += 1
            delay = rng.uniform(0.6 * first, took)
            try:
                hit, why = one_kill(folder, job, before, after, delay, whole_group=bool(tries % 2))
            except RuntimeError as error:
                hit, why = True, str(error)
            at_work += hit
            advance(hit)
            if why:
                wrong[why] += 1
                print(f"  {name}, killed after {delay:.2f} of {took:.2f} s: {why}", flush=True)
    print(
        f"{name}: {at_work} kills between {first:.1f} and {took:.1f} s, {wrong.total()} with something wrong",
        flush=True,
    )
    return wrong


def main() -> int:
    """Run the campaigns; returns the exit code."""
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
