"""How fast the kit trains and reads on a machine with a GPU, and what limits it.

    KERAS_BACKEND=jax python benchmarks/gpu.py
    python benchmarks/gpu.py --only network source --seconds 1

It takes at most 8 minutes, needs no internet, and runs with any backend of Keras, also without a GPU. Each part runs in
its own process, one after the other. The pictures are generated captchas, 128x64 grey, four of 36 characters.

    card        a matrix product and a copy to the device: the limits of the machine
    ctc         the implementations of the CTC loss, with the gradient
    network     training steps on a batch in memory, for each preset and several batch sizes
    source      batches of augmented pictures, made by a thread and by worker processes, without a network
    training    training.py on a folder: the median epoch in its log, and how busy the card is
    learning    training.py from random weights until 99 % of the validation pictures are read, in seconds
    reading     prediction.py on a folder, with the .keras and the .onnx file
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import itertools
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import harness, training_speed
from benchmarks.harness import ROOT, Results

PARTS = ("card", "ctc", "network", "source", "training", "learning", "reading")
#: Maximum seconds of all parts together, and of each part. Later parts get what earlier ones did not use.
LIMIT, SHARES = 480.0, {
    "card": 20, "ctc": 20, "network": 110, "source": 30, "training": 80, "learning": 180, "reading": 40,
}  # fmt: skip
PRESETS, BATCHES = ("lite", "small", "base"), (64, 1024, 4096)
#: The exact match in per cent at which `learning` stops.
GOAL = 99.0
#: The prefix of messages for the user on a part's stderr, where libraries write, too.
NOTE = "note: "
#: The line of training.py after an epoch. history.csv has these figures later.
EPOCH = re.compile(r"epoch \d+/\d+ .*exact match ([\d.]+)%.* ([\d,]+) pictures/s")


class Row(NamedTuple):
    """A figure."""

    part: str
    what: str
    value: float
    unit: str


def main() -> None:
    """Run the parts, each in its own process. With --part, run that one in this process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=harness.Help)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help="run only these parts")
    parser.add_argument("--pictures", type=int, default=60_000, help="number of captchas (%(default)s)")
    parser.add_argument("--seconds", type=float, default=2.0, help="seconds to measure each figure for (%(default)s)")
    parser.add_argument("--results", type=Path, default=harness.RESULTS, metavar="DIR", help="folder of gpu.csv")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--due", type=float, default=0.0, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part:
        for row in globals()[given.part](given):
            print(json.dumps(row), flush=True)
        return
    started, results = time.monotonic(), Results("gpu", given.results)
    results.shared_columns["options"] = os.environ.get("KERAS_BACKEND", "the first backend installed")
    with tempfile.TemporaryDirectory(prefix="crnn-kit-gpu-") as name:
        folder = Path(name)
        if {"source", "training", "learning", "reading"} & set(given.only):
            for row in drawn(folder, given.pictures):
                add(results, row)
        for part in given.only:
            later = sum(SHARES[other] for other in given.only[given.only.index(part) + 1 :])
            seconds = LIMIT - (time.monotonic() - started) - 0.6 * later
            for row in run_part(part, folder, seconds, given):
                add(results, row)
    print(f"{time.monotonic() - started:.0f} s")


def add(results: Results, row: Row) -> None:
    results.add(row.part, row.what, "", "speed" if "/s" in row.unit else "", row.value, row.unit, n=1)


def run_part(part: str, folder: Path, seconds: float, given: argparse.Namespace) -> Iterator[Row]:
    """Yield the rows of a part as its process prints them. The process is killed when its time is up."""
    command = [sys.executable, __file__, "--part", part, "--folder", str(folder), "--pictures", str(given.pictures)]
    command += ["--seconds", str(given.seconds), "--due", str(time.time() + max(5.0, seconds - 10))]
    with (
        busy() as share,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process,
    ):
        assert process.stdout and process.stderr
        timer = threading.Timer(max(10.0, seconds), process.kill)
        timer.start()
        errors: list[str] = []
        reader = threading.Thread(target=lambda: errors.extend(process.stderr or []), daemon=True)
        reader.start()
        for line in process.stdout:
            yield Row(*json.loads(line))
        process.wait()
        timer.cancel()
        reader.join(5)
        for line in errors:
            if line.startswith(NOTE):
                print(line.removeprefix(NOTE), end="", file=sys.stderr, flush=True)
        if process.returncode:
            why = "its time was up" if process.returncode < 0 else (errors or ["no message"])[-1].strip()
            print(f"{part} ended early: {why}", file=sys.stderr, flush=True)
    if part in ("training", "learning") and share:
        yield Row(part, "the card is busy", statistics.mean(share), "% of the time")


@contextlib.contextmanager
def busy() -> Iterator[list[float]]:
    """Record the utilisation of the card in per cent every half second, if there is nvidia-smi."""
    found, over = list[float](), threading.Event()

    def watch() -> None:
        while shutil.which("nvidia-smi") and not over.wait(0.5):
            command = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
            if done.returncode:
                return
            found.append(statistics.mean(map(float, done.stdout.split())))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    yield found
    over.set()
    thread.join(5)


def drawn(folder: Path, pictures: int) -> Iterator[Row]:
    """Generate a few pictures with one worker, then the folder of pictures for the other parts."""
    from crnn_reader.batching import available_cores

    few, what = max(1, pictures // 30), "python -m generate_captcha"
    for out, count, workers in (("few", few, 1), ("train", pictures, available_cores())):
        flags = f"--count {count} --workers {workers}"
        seconds = harness.timed(functools.partial(harness.generated, folder / out, flags))
        yield Row("generate", f"{what}, {workers} worker{'s' * (workers > 1)}", count / seconds, "pictures/s")


def card(given: argparse.Namespace) -> Iterator[Row]:
    from model.backend import import_keras

    keras = import_keras()
    side = 4096 if accelerated() else 1024
    for dtype in ("float32", "bfloat16"):
        one = keras.ops.cast(keras.random.normal((side, side)), dtype)
        seconds = timed(lambda one=one: keras.ops.matmul(one, one), given.seconds)
        yield Row("card", f"matrix product, {side}x{side}, {dtype}", 2 * side**3 / seconds / 1e12, "TFLOP/s")
    batch = np.zeros((64, 1 << 20), np.uint8)
    seconds = timed(lambda: keras.ops.convert_to_tensor(batch), given.seconds)
    yield Row("card", "copy of 64 MB to the device", batch.nbytes / seconds / 1e9, "GB/s")


def ctc(given: argparse.Namespace) -> Iterator[Row]:
    training_speed.backend()
    for batch in BATCHES[: 2 if accelerated() else 1]:
        seconds = training_speed.losses(*training_speed.SHAPES["captchas"], batch, rounds=9)
        for name, times in seconds.items():
            yield Row("ctc", f"{name}, batches of {batch:,}", 1000 * statistics.median(times), "ms")


def network(given: argparse.Namespace) -> Iterator[Row]:
    policies = ("float32", "mixed_bfloat16") if accelerated() else ("float32",)
    rng = np.random.default_rng(0)
    for preset, batch, policy in itertools.product(PRESETS, BATCHES if accelerated() else BATCHES[:1], policies):
        if time.time() > given.due:
            return
        steps = training_speed.training_steps(training_speed.captchas(preset), policy)
        images = rng.integers(0, 255, (batch, training_speed.HEIGHT, training_speed.WIDTH, 1), np.uint8)
        labels = rng.integers(1, 37, (batch, 4)).astype(np.int32)
        one = images, labels, batch, 1e-3
        first = harness.timed(functools.partial(steps.epoch, iter([one] * 3), lambda _: None))
        started = time.monotonic()
        _, pictures = steps.epoch(repeated(one, started + given.seconds), lambda count: None)
        what = f"{preset}, {policy}, batches of {batch:,}"
        yield Row("network", what, pictures / (time.monotonic() - started), "pictures/s")
        yield Row("network", f"{what}: the first three steps", first, "s")


def repeated(batch: Any, due: float) -> Iterator[Any]:
    yield batch
    while time.monotonic() < due:
        yield batch


def source(given: argparse.Namespace) -> Iterator[Row]:
    import dataset
    from crnn_reader.batching import available_cores

    pictures = dataset.collect(given.folder / "train")
    started = time.monotonic()
    size = training_speed.WIDTH, training_speed.HEIGHT
    corpus = dataset.pack(pictures, *size, 1, cache=given.folder / "cache")
    yield Row("source", "decode and pack the folder", len(corpus) / (time.monotonic() - started), "pictures/s")
    for workers in dict.fromkeys((0, 1, available_cores() // 2, available_cores())):
        batches = training_speed.batches(corpus, 1024, workers=workers)
        stream, count = (batch for epoch in itertools.count() for batch in batches.stream(epoch)), 0
        # The first batch starts the processes and fills their stocks of noise.
        next(stream)
        started = time.monotonic()
        for images, _ in stream:
            count += len(images)
            if time.monotonic() - started > given.seconds:
                break
        stream.close()
        rate = count / (time.monotonic() - started)
        batches.close()
        who = f"{workers} process{'es' * (workers > 1)}" if workers else "a thread"
        yield Row("source", f"augmented by {who}", rate, "pictures/s")


def training(given: argparse.Namespace) -> Iterator[Row]:
    for preset in ("small", "base"):
        left = given.due - time.time()
        if left < 20:
            return
        run = given.folder / f"run-{preset}"
        flags = ["--preset", preset, "--epochs", "50"]
        seconds = min(left, 40.0)
        process = train(given.folder / "train", run, flags)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.terminate()
        errors = process.communicate()[1]
        rows = epochs(run)
        if not rows:
            note(f"training, {preset}: no epoch in {seconds:.0f} s ({last(errors)})")
            continue
        # The first epoch compiles.
        rate = statistics.median(rate for _, rate in rows[1:] or rows)
        yield Row("training", f"training.py, {preset}, epoch of {given.pictures:,}", rate, "pictures/s")
        yield Row("training", f"training.py, {preset}: epochs in {seconds:.0f} s", len(rows), "epochs")


def learning(given: argparse.Namespace) -> Iterator[Row]:
    run, started = given.folder / "run-learning", time.monotonic()
    process = train(given.folder / "train", run, ["--preset", "small", "--from", "random"])
    reached = 0.0
    while process.poll() is None and time.time() < given.due and not reached:
        time.sleep(0.5)
        if any(exact >= GOAL for exact, _ in epochs(run)):
            reached = time.monotonic() - started
    seconds = time.monotonic() - started
    process.terminate()
    errors, rows = process.communicate()[1], epochs(run)
    if not rows:
        note(f"learning: no epoch in {seconds:.0f} s ({last(errors)})")
        return
    if reached:
        yield Row("learning", f"{GOAL:g} % of validation pictures, small, random weights", reached, "s")
    best = max(exact for exact, _ in rows)
    yield Row("learning", f"best exact match in {len(rows)} epochs, {seconds:.0f} s", best, "%")


def reading(given: argparse.Namespace) -> Iterator[Row]:
    for model in ("model/weights/captcha_lite.keras", "crnn_reader/weights/captcha_lite.onnx"):
        if time.time() > given.due - 10:
            return
        command = ["prediction.py", given.folder / "train", "--model", model]
        seconds = harness.timed(functools.partial(harness.kit, *command))
        yield Row("reading", f"prediction.py, {Path(model).name}", given.pictures / seconds, "pictures/s")


def train(data: Path, run: Path, flags: list[str]) -> subprocess.Popen[str]:
    command = [sys.executable, "training.py", "--data", str(data), "--run", str(run), "--validation", "0.05", *flags]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def note(message: str) -> None:
    """Print a message for the user, in the process of a part."""
    print(f"{NOTE}{message}", file=sys.stderr, flush=True)


def last(errors: str) -> str:
    return (errors.splitlines() or ["no message"])[-1]


def epochs(run: Path) -> list[tuple[float, float]]:
    """The exact match in per cent and the pictures/s of each epoch so far."""
    log = run / "log.txt"
    found = EPOCH.findall(log.read_text(encoding="utf-8")) if log.exists() else []
    return [(float(exact), float(rate.replace(",", ""))) for exact, rate in found]


def accelerated() -> bool:
    from model.devices import accelerators

    return bool(accelerators())


def timed(call: Any, seconds: float) -> float:
    """Seconds from a call to its result."""
    from keras import ops

    def wait(made: Any) -> None:
        # Copy a single number back, not the whole result.
        np.asarray(ops.convert_to_numpy(ops.cast(ops.ravel(made)[0], "float32")))

    wait(call())
    started, count = time.monotonic(), 0
    while time.monotonic() - started < seconds:
        for _ in range(8):
            made = call()
        wait(made)
        count += 8
    return (time.monotonic() - started) / count


if __name__ == "__main__":
    main()
