"""How fast batches are made, and how memory grows with the corpus: `python benchmarks/feeding.py`.

Rates are those of dataset.Batches without a consumer, in pictures/s at 128x64 grey: medians with their 95 % interval.
Memory is the peak of a fresh process that packs a corpus from PNG files and feeds an epoch of it, augmented, by a
thread; its own memory is listed apart from the pages of the packed cache, which the system takes back when it needs
them.
"""

from __future__ import annotations

import itertools
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import cv2
import numpy as np

# Run as a script, the folder of this file is on the path, not the clone.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import dataset

WIDTH, HEIGHT, BATCH = 128, 64, 64
#: Strength of the augmentation, and number of processes; 0 is a thread.
KINDS = ((0.0, 0), (1.0, 0), *((1.0, 2**power) for power in range((os.cpu_count() or 1).bit_length())))
FILES, REPETITIONS, BATCHES = 2_000, 15, 40
CORPORA = (20_000, 100_000)


def main() -> None:
    """Print the figures; with `--feed LIST` be the fresh process whose memory is measured."""
    if sys.argv[1:2] == ["--feed"]:
        print(*feed(Path(sys.argv[2])))
        return
    print(f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}, OpenCV {cv2.__version__}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for i in range(FILES):
            cv2.imwrite(str(folder / f"{i}.png"), drawn(i))
        rates(folder)
        for rows in CORPORA:
            command = [sys.executable, __file__, "--feed", str(listed(folder, rows))]
            answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            own, peak, pictures = map(float, answer.split())
            print(
                f"{rows:,} rows: peak {own:,.0f} MB of its own ({peak:,.0f} MB with pages; {pictures:,.0f} MB packed)"
            )


def rates(folder: Path) -> None:
    """Print pictures/s with and without augmentation, of a thread and of worker processes, by turns."""
    pictures = dataset.collect(listed(folder, 10_000))
    corpus = dataset.pack(pictures, WIDTH, HEIGHT, 1, cache=folder / "cache")
    feeds = {(strength, workers): batches(corpus, strength, workers) for strength, workers in KINDS}
    speeds: dict[tuple[float, int], list[float]] = {kind: [] for kind in feeds}
    for epoch in range(REPETITIONS + 1):
        for kind, made in feeds.items():
            stream = made.stream(epoch)
            # Until the first batch, stocks of noise are filled and processes are started.
            next(stream)
            started = time.perf_counter()
            count = sum(len(images) for images, _ in itertools.islice(stream, BATCHES))
            speeds[kind].append(count / (time.perf_counter() - started))
    for (strength, workers), made in feeds.items():
        made.close()
        low, middle, high = interval(speeds[strength, workers][1:])
        makers = f"processes: {workers}" if workers else "a thread"
        print(
            f"augmentation {strength:.0f}, {makers}: {middle:,.0f} pictures/s "
            f"(95 % interval {low:,.0f} to {high:,.0f}, n = {REPETITIONS * BATCHES * BATCH:,})",
            flush=True,
        )


def feed(path: Path) -> tuple[float, float, float]:
    """Pack a list and feed an epoch; peak of own memory, peak of all memory, and size of the packed pictures, in MB."""
    peaks = {"RssAnon": 0, "VmRSS": 0}
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            for line in Path("/proc/self/status").read_text().splitlines():
                name, _, value = line.partition(":")
                if name in peaks:
                    peaks[name] = max(peaks[name], int(value.split()[0]))

    watcher = threading.Thread(target=watch)
    watcher.start()
    corpus = dataset.pack(dataset.collect(path), WIDTH, HEIGHT, 1, cache=path.with_suffix(".cache"))
    for _ in batches(corpus, augmentation=1.0).stream(0):
        pass
    done.set()
    watcher.join()
    return peaks["RssAnon"] / 1024, peaks["VmRSS"] / 1024, corpus.images.nbytes / 2**20


def batches(corpus: dataset.Corpus, augmentation: float, workers: int = 0) -> dataset.Batches:
    rows = np.arange(len(corpus))
    return dataset.Batches(corpus, rows, encode, BATCH, shuffle=True, augmentation=augmentation, workers=workers)


def encode(label: str) -> list[int]:
    return [ord(character) - ord("0") + 1 for character in label]


def listed(folder: Path, rows: int) -> Path:
    """A list of so many rows, which name the files of `folder` in turn."""
    path = folder / f"{rows}.txt"
    path.write_text("".join(f"{i % FILES}.png {i % FILES:04}\n" for i in range(rows)))
    return path


def drawn(seed: int) -> np.ndarray:
    """Text of four digits on a noisy ground: `uint8 (HEIGHT, WIDTH, 3)`."""
    rng = np.random.default_rng(seed)
    image = rng.integers(200, 250, (HEIGHT, WIDTH, 3), np.uint8)
    colour = rng.integers(0, 120, 3).tolist()
    return cv2.putText(image, f"{seed:04}", (8, 46), cv2.FONT_HERSHEY_SIMPLEX, 1.4, colour, 3, cv2.LINE_AA)


def interval(values: list[float]) -> tuple[float, float, float]:
    """Median and the order statistics that enclose it with 95 % (binomial)."""
    ordered = sorted(values)
    count = len(ordered)
    low = max(0, int(count / 2 - 0.98 * count**0.5) - 1)
    return ordered[low], statistics.median(ordered), ordered[count - 1 - low]


def processor() -> str:
    """The processor's name, as Linux tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


if __name__ == "__main__":
    main()
