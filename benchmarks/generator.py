"""How fast pictures are generated, encoded as PNG and written to an empty folder.

    python benchmarks/generator.py captcha
    python benchmarks/generator.py line --fonts FONTS
    python benchmarks/generator.py plate
    python benchmarks/generator.py wild
    python benchmarks/generator.py sheet docs/wild.jpg

One worker and one per core run alternately.
"""

from __future__ import annotations

import argparse
import functools
import os
import random
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from PIL import Image as pillow
from PIL import ImageDraw, ImageFont

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import parameter
from benchmarks import harness
from benchmarks.harness import Command, Results
from crnn_reader.alphabet import GB2312, parse_alphabet
from generate_captcha import style_of, write_corpus
from generate_captcha.text.fonts import packaged_font
from parameter import GenerateParameters


def captcha(results: Results, given: argparse.Namespace) -> None:
    """Style captcha, 128x64, 4 of 0-9A-Z, beside a loop that draws with the `captcha` package and stores nothing."""
    bare = {"captcha package, bare loop": functools.partial(package, given.pictures)}
    measure(results, "captcha", "128x64", given, {}, base=next(iter(bare)), others=bare)


def line(results: Results, given: argparse.Namespace) -> None:
    """Style line at its default difficulty: 5 to 22 letters, digits and spaces; with --fonts also Chinese lines.

    The Chinese lines have 10 of the 6,763 characters of GB 2312.
    """
    latin = {"style": "line", "length": "5-22", "alphabet": "0-9A-Za-z "}
    for size in ("200x32", "280x32"):
        measure(results, "line", f"5 to 22 Latin letters, {size}", given, latin | {"size": size})
    if given.fonts:
        chinese = {"style": "line", "length": "10", "alphabet": GB2312, "fonts": given.fonts, "size": "280x32"}
        measure(results, "line", "10 of 6,763 Chinese characters, 280x32", given, chinese)


def plate(results: Results, given: argparse.Namespace) -> None:
    """Style plate in all layouts, of a fixed size, and as wide as each plate at a height of 64."""
    for size, difficulty in (("160x48", 0.5), ("192x64", 0.5), ("autox64", 0.5), ("autox64", 1.0)):
        flags = {"style": "plate", "size": size, "difficulty": difficulty}
        measure(results, "plate", f"{size}, difficulty {difficulty:g}", given, flags)


def wild(results: Results, given: argparse.Namespace) -> None:
    """Style wild, beside style captcha at its usual size."""
    base = "captcha, one worker"
    with tempfile.TemporaryDirectory() as folder:
        draw = functools.partial(write, folder, count=given.pictures, workers=1)
        jobs = {base: functools.partial(draw, style="captcha"), "one worker": functools.partial(draw, style="wild")}
        seconds = harness.by_turns(jobs, given.rounds)
    results.rates("wild", "autox48", "speed", given.pictures, seconds, base, options=f"{given.pictures} pictures")


def sheet(results: Results, given: argparse.Namespace) -> None:
    """Draw 200 pictures of style wild as one picture, each with its label."""
    made = style_of(GenerateParameters(style="wild", fonts=given.fonts, seed=1))
    columns, cell = 10, (150, 58)
    whole = pillow.new("RGB", (columns * cell[0], 20 * cell[1]), "white")
    write_label = ImageDraw.Draw(whole)
    font = ImageFont.truetype(str(packaged_font("DejaVuSans.ttf")), 10)
    for index in range(200):
        image, label = made.picture(index)
        small = pillow.fromarray(image)
        small.thumbnail((cell[0] - 6, cell[1] - 16))
        left, top = index % columns * cell[0] + 3, index // columns * cell[1] + 2
        whole.paste(small, (left, top + (cell[1] - 16 - small.height) // 2))
        write_label.text((left, top + cell[1] - 15), label, "black", font)
    whole.save(given.out, quality=85)


def measure(
    results: Results, job: str, subject: str, given: argparse.Namespace, flags: Mapping[str, Any],
    base: str = "one worker", others: Mapping[str, Callable[[], None]] | None = None
) -> None:  # fmt: skip
    """Add the pictures/s of one worker, and of one per core, as multiples of `base`."""
    # Remove nothing before the end: ext4 creates files five times slower where many were just removed.
    with tempfile.TemporaryDirectory() as folder:
        jobs = dict(others or {})
        for workers, name in ((1, "one worker"), (os.cpu_count() or 1, f"{os.cpu_count()} workers")):
            jobs[name] = functools.partial(write, folder, count=given.pictures, workers=workers, **flags)
        seconds = harness.by_turns(jobs, given.rounds)
    results.rates(job, subject, "speed", given.pictures, seconds, base, options=f"{given.pictures} pictures")


def package(count: int) -> None:
    """Draw `count` captchas in a loop, as users of the package do."""
    from captcha.image import ImageCaptcha

    painter = ImageCaptcha(128, 64)
    characters = parse_alphabet(parameter.DEFAULT_ALPHABET)
    for _ in range(count):
        painter.generate_image("".join(random.choices(characters, k=4)))


def write(folder: str, **flags: Any) -> None:
    write_corpus(GenerateParameters(out=tempfile.mkdtemp(dir=folder), **flags))


def main() -> None:
    command = Command(__doc__, "generator")
    for style in (captcha, line, plate, wild):
        job = command.job(style, rounds=13)
        job.add_argument("--pictures", type=int, default=1_000, help="pictures per round (%(default)s)")
        if style is line:
            job.add_argument("--fonts", metavar="DIR", help="Chinese fonts (docs/lines.md)")
    job = command.job(sheet)
    job.add_argument("out", metavar="FILE", help="picture to write")
    job.add_argument("--fonts", metavar="DIR", help="fonts of docs/captchas.md")
    command.run()


if __name__ == "__main__":
    main()
