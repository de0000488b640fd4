"""How fast a corpus is written, beside the bare `captcha` package: `python benchmarks/generator.py`.

Three jobs take turns, so that whatever else the machine does strikes them alike: `generate_image` of the package in
a loop that keeps nothing; our corpus by one worker; and by one worker per core. Ours draw the same kind of picture
(style captcha, 128x64, 4 of 0-9A-Z), encode it and write it to a file; their time holds everything from an empty
folder on. Rates and their ratios are medians over the turns with their 95 % interval.
"""

from __future__ import annotations

import os
import platform
import random
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from captcha.image import ImageCaptcha

# Run as a script, the folder of this file is on the path, not the clone.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import parameter
from benchmarks.feeding import interval, processor
from generate_captcha import write_corpus
from parameter import GenerateParameters

PICTURES, TURNS = 1_000, 13


def main() -> None:
    """Print the figures."""
    print(
        f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"captcha {version('captcha')}, Pillow {version('pillow')}; {TURNS} turns of {PICTURES:,} pictures each"
    )
    # The corpora stay until the end: ext4 makes files five times slower where many were removed just before.
    with tempfile.TemporaryDirectory() as folder:
        jobs: dict[str, Callable[[], float]] = {
            "captcha package, bare loop": bare,
            "one worker": lambda: write(1, tempfile.mkdtemp(dir=folder)),
            f"{os.cpu_count()} workers": lambda: write(os.cpu_count(), tempfile.mkdtemp(dir=folder)),
        }
        for job in jobs.values():
            job()
        speeds: dict[str, list[float]] = {name: [] for name in jobs}
        for _ in range(TURNS):
            for name, job in jobs.items():
                speeds[name].append(PICTURES / job())
    for name, values in speeds.items():
        print(f"{name}: {'{1:,.0f} pictures/s (95 % interval {0:,.0f} to {2:,.0f})'.format(*interval(values))}")
    package, one, all_ = speeds.values()
    ratio("one worker to the bare loop", one, package)
    ratio("all workers to one", all_, one)


def ratio(name: str, values: list[float], base: list[float]) -> None:
    """Print the ratio of two jobs, turn by turn."""
    low, middle, high = interval([value / other for value, other in zip(values, base, strict=True)])
    print(f"{name}: {middle:.2f} (95 % interval {low:.2f} to {high:.2f})")


def bare() -> float:
    """What the package's users do; returns seconds."""
    started = time.perf_counter()
    painter = ImageCaptcha(128, 64)
    characters = parameter.alphabet(parameter.DEFAULT_ALPHABET)
    for _ in range(PICTURES):
        painter.generate_image("".join(random.choices(characters, k=4)))
    return time.perf_counter() - started


def write(workers: int | None, folder: str) -> float:
    """Our corpus, in an empty folder; returns seconds."""
    started = time.perf_counter()
    write_corpus(GenerateParameters(out=folder, count=PICTURES, workers=workers))
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
