"""How long a million rows take to open, and in how much memory: `python benchmarks/opening.py [FORM…]`.

Per form, a set of tiny pictures is made and removed again. Then fresh processes open it, as training and evaluation do
(dataset.collect: all names and labels), fetch the first pictures, as reading does (dataset.samples), and fetch some
pictures anywhere. Medians with their 95 % interval; memory is the peak of the whole process, interpreter, libraries and
mapped pages included.
"""

from __future__ import annotations

import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

# Run as a script, the folder of this file is on the path, not the clone.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import dataset
from benchmarks.feeding import processor
from crnn_reader.alphabet import character_numbers
from crnn_reader.sources import StoredImage, read_bytes
from dataset.formats import WRITERS
from dataset.formats.writing import Picture, Plan

ROWS, FETCHED, REPETITIONS = 1_000_000, 1_000, 6
FORMS = ("tsv", "lmdb", "tfrecord", "fsns")


def main() -> None:
    """Print the figures; with `--open PATH` be the fresh process that is measured."""
    if sys.argv[1:2] == ["--open"]:
        print(*opened(Path(sys.argv[2])))
        return
    print(f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}; {ROWS:,} rows")
    for form in sys.argv[1:] or FORMS:
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            path = made(form, Path(folder))
            writing = time.perf_counter() - started
            size = sum(file.stat().st_size for file in Path(folder).iterdir()) / 1e6
            command = [sys.executable, __file__, "--open", str(path)]
            runs = [
                list(map(float, subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()))
                for _ in range(REPETITIONS)
            ]
        whole, first, fetch, memory = (
            # Six values enclose the median with 96.9 %.
            f"{statistics.median(column):,.2f} ({min(column):,.2f} to {max(column):,.2f})"
            for column in zip(*runs, strict=True)
        )
        print(
            f"{form}, {size:,.0f} MB, written in {writing:.0f} s: opened in {whole} s, first {FETCHED:,} in {first} s, "
            f"{FETCHED:,} anywhere in {fetch} s, peak {memory} MB",
            flush=True,
        )


def opened(path: Path) -> tuple[float, float, float, float]:
    """Seconds to open, to the first pictures, for pictures anywhere; peak memory in MB."""
    started = time.perf_counter()
    for sample in islice(dataset.samples(path), FETCHED):
        fetch(sample)
    first = time.perf_counter() - started
    started = time.perf_counter()
    samples = dataset.collect(path)
    whole = time.perf_counter() - started
    status = Path("/proc/self/status").read_text().splitlines()
    peak = int(next(line.split()[1] for line in status if line.startswith("VmHWM"))) * 1024 / 1e6
    rows = random.Random(0).sample(range(len(samples)), FETCHED)
    started = time.perf_counter()
    for row in rows:
        assert samples[row].label == f"{row:06}"
        fetch(samples[row])
    return whole, first, time.perf_counter() - started, peak


def fetch(sample: dataset.Sample) -> None:
    # The files of the list do not exist: a list is opened without looking at them.
    if isinstance(sample.path, StoredImage):
        read_bytes(sample.path)


def made(form: str, folder: Path) -> Path:
    """A million pictures of 12x8 pixels in one of the forms, of the list the list alone."""
    if form == "tsv":
        path = folder / "labels.tsv"
        path.write_text("".join(f"pictures/{row // 10_000:04}/{row:06}.jpg\t{row:06}\n" for row in range(ROWS)))
        return path
    data = cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 256, (8, 12), np.uint8))[1].tobytes()

    def pictures() -> Iterator[Picture]:
        for row in range(ROWS):
            yield Picture(f"pictures/{row // 10_000:04}/{row:06}.jpg", f"{row:06}", data, ".jpg", 12)

    plan = Plan("train", ROWS, 6, character_numbers("0-9", []), shards=10)
    return WRITERS[form].write(folder, pictures(), plan)


if __name__ == "__main__":
    main()
