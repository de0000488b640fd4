"""The time and memory that opening a million labelled pictures takes in each format.

    python benchmarks/formats.py opening

For each format, a set of tiny pictures is written and removed again. New processes open it like training and evaluation
(`dataset.collect`: all names and labels), read its first pictures like prediction (`dataset.samples`), and read random
pictures. Memory is the peak of the process, including the interpreter, libraries and mapped pages.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import dataset
from benchmarks.harness import Command, Results
from crnn_reader.alphabet import character_numbers
from crnn_reader.sources import StoredImage, read_bytes
from dataset.formats import WRITERS
from dataset.formats.writing import CorpusFacts, Picture

READ = 1_000
FORMS = ("tsv", "lmdb", "tfrecord", "fsns")
MEASURES = {
    "opening": "s", f"the first {READ:,}": "s", f"{READ:,} anywhere": "s", "peak memory": "MB",
}  # fmt: skip


def opening(results: Results, given: argparse.Namespace) -> None:
    """Open sets of pictures of 12x8 pixels with labels of six digits."""
    for form in given.forms:
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            path = made(form, Path(folder), given.rows)
            seconds = time.perf_counter() - started
            size = sum(file.stat().st_size for file in Path(folder).iterdir()) / 1e6
            command = [sys.executable, __file__, "--open", str(path)]
            runs = [
                list(map(float, subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()))
                for _ in range(given.rounds)
            ]
        subject = f"{given.rows:,} pictures"
        results.add("opening", subject, form, "size", size, "MB", n=1)
        results.add("opening", subject, form, "writing", seconds, "s", n=1)
        for (measure, unit), values in zip(MEASURES.items(), zip(*runs, strict=True), strict=True):
            results.values("opening", subject, form, measure, values, unit)


def opened(path: Path) -> tuple[float, float, float, float]:
    """The figures of MEASURES, measured in this process."""
    started = time.perf_counter()
    for sample in islice(dataset.samples(path), READ):
        fetch(sample)
    first = time.perf_counter() - started
    started = time.perf_counter()
    samples = dataset.collect(path)
    whole = time.perf_counter() - started
    status = Path("/proc/self/status").read_text().splitlines()
    peak = int(next(line.split()[1] for line in status if line.startswith("VmHWM"))) * 1024 / 1e6
    rows = random.Random(0).sample(range(len(samples)), min(READ, len(samples)))
    started = time.perf_counter()
    for row in rows:
        assert samples[row].label == f"{row:06}"
        fetch(samples[row])
    return whole, first, time.perf_counter() - started, peak


def fetch(sample: dataset.Sample) -> None:
    # The files of the list do not exist: a list is opened without looking at them.
    if isinstance(sample.path, StoredImage):
        read_bytes(sample.path)


def made(form: str, folder: Path, rows: int) -> Path:
    """Write pictures in a format; for `tsv`, only the list."""
    names = [(f"pictures/{row // 10_000:04}/{row:06}.jpg", f"{row:06}") for row in range(rows)]
    if form == "tsv":
        path = folder / "labels.tsv"
        path.write_text("".join(f"{name}\t{label}\n" for name, label in names))
        return path
    data = cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 256, (8, 12), np.uint8))[1].tobytes()

    def pictures() -> Iterator[Picture]:
        for name, label in names:
            yield Picture(name, label, data, ".jpg", 12)

    facts = CorpusFacts("train", rows, 6, character_numbers("0-9", []), shards=10)
    return WRITERS[form].write(folder, pictures(), facts)


def main() -> None:
    if sys.argv[1:2] == ["--open"]:
        print(*opened(Path(sys.argv[2])))
        return
    command = Command(__doc__, "formats")
    job = command.job(opening, rounds=6)
    job.add_argument("--forms", nargs="+", choices=FORMS, default=FORMS)
    job.add_argument("--rows", type=int, default=1_000_000, help="number of pictures (%(default)s)")
    command.run()


if __name__ == "__main__":
    main()
