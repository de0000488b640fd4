"""How fast a corpus is written: `python benchmarks/generator.py`, and the same with `line [FONTS]` or `plate` after it.

Without a word after it, beside the bare `captcha` package. Three jobs take turns, so that whatever else the machine
does strikes them alike: `generate_image` of the package in a loop that keeps nothing; our corpus by one worker; and by
one worker per core. Ours draw the same kind of picture (style captcha, 128x64, 4 of 0-9A-Z), encode it and write it
to a file.

With `line`, style line at its default difficulty: 5 to 22 letters, digits and spaces at 200x32 and 280x32 by one
worker, and at 280x32 by one worker per core; with a folder of Chinese FONTS also 10 of the 6,763 characters of
GB 2312 at 280x32 by one worker.

With `plate`, style plate with all layouts, by one worker: at 160x48 and 192x64, and as wide as each plate at a height
of 64, at the default difficulty and at the highest.

The times hold everything from an empty folder on. Rates and their ratios are medians over the turns with their 95 %
interval.
"""

from __future__ import annotations

import functools
import os
import platform
import random
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from captcha.image import ImageCaptcha

# Run as a script, the folder of this file is on the path, not the clone.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import parameter
from benchmarks.feeding import interval, processor
from crnn_reader.alphabet import GB2312, parse_alphabet
from generate_captcha import write_corpus
from parameter import GenerateParameters

PICTURES, TURNS = 1_000, 13


Job = Callable[[], float]


def main() -> None:
    """Print the figures."""
    print(
        f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"captcha {version('captcha')}, Pillow {version('pillow')}, OpenCV {version('opencv-python-headless')}; "
        f"{TURNS} turns of {PICTURES:,} pictures each"
    )
    # The corpora stay until the end: ext4 makes files five times slower where many were removed just before.
    with tempfile.TemporaryDirectory() as folder:
        match sys.argv[1:]:
            case ["line", *fonts]:
                jobs = line_jobs(folder, fonts)
            case ["plate"]:
                jobs = plate_jobs(folder)
            case _:
                jobs = captcha_jobs(folder)
        for job in jobs.values():
            job()
        speeds: dict[str, list[float]] = {name: [] for name in jobs}
        for _ in range(TURNS):
            for name, job in jobs.items():
                speeds[name].append(PICTURES / job())
    for name, values in speeds.items():
        print(f"{name}: {'{1:,.0f} pictures/s (95 % interval {0:,.0f} to {2:,.0f})'.format(*interval(values))}")
    if "captcha package, bare loop" in speeds:
        package, one, all_ = speeds.values()
        ratio("one worker to the bare loop", one, package)
        ratio("all workers to one", all_, one)


def captcha_jobs(folder: str) -> dict[str, Job]:
    """Style captcha, and the package that it is."""
    return {
        "captcha package, bare loop": bare,
        "one worker": lambda: write(folder, workers=1),
        f"{os.cpu_count()} workers": lambda: write(folder, workers=os.cpu_count()),
    }


def line_jobs(folder: str, fonts: list[str]) -> dict[str, Job]:
    """Style line; `fonts` is empty or names a folder."""
    latin = {"style": "line", "length": "5-22", "alphabet": "0-9A-Za-z "}
    jobs = {
        "200x32, one worker": lambda: write(folder, **latin, size="200x32", workers=1),
        "280x32, one worker": lambda: write(folder, **latin, size="280x32", workers=1),
        f"280x32, {os.cpu_count()} workers": lambda: write(folder, **latin, size="280x32", workers=os.cpu_count()),
    }
    if fonts:
        chinese = {"style": "line", "length": "10", "alphabet": GB2312, "fonts": fonts[0]}
        jobs["Chinese, 280x32, one worker"] = lambda: write(folder, **chinese, size="280x32", workers=1)
    return jobs


def plate_jobs(folder: str) -> dict[str, Job]:
    """Style plate."""
    flags: list[dict[str, Any]] = [
        {"size": "160x48"}, {"size": "192x64"}, {"size": "autox64"}, {"size": "autox64", "difficulty": 1.0},
    ]  # fmt: skip
    return {
        f"{each['size']} at difficulty {each.get('difficulty', 0.5)}, one worker": functools.partial(
            write, folder, style="plate", workers=1, **each
        )
        for each in flags
    }


def ratio(name: str, values: list[float], base: list[float]) -> None:
    """Print the ratio of two jobs, turn by turn."""
    low, middle, high = interval([value / other for value, other in zip(values, base, strict=True)])
    print(f"{name}: {middle:.2f} (95 % interval {low:.2f} to {high:.2f})")


def bare() -> float:
    """What the package's users do; returns seconds."""
    started = time.perf_counter()
    painter = ImageCaptcha(128, 64)
    characters = parse_alphabet(parameter.DEFAULT_ALPHABET)
    for _ in range(PICTURES):
        painter.generate_image("".join(random.choices(characters, k=4)))
    return time.perf_counter() - started


def write(folder: str, **flags: Any) -> float:
    """Our corpus, in an empty folder within `folder`; returns seconds."""
    started = time.perf_counter()
    write_corpus(GenerateParameters(out=tempfile.mkdtemp(dir=folder), count=PICTURES, **flags))
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
