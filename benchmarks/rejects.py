"""Pictures that a reader should give up: without any text, or with another kind of text than its weights know.

    python benchmarks/rejects.py MODEL PATH [--count 500] [--others FOLDER...]

Finds with the labelled pictures of PATH the least probability at which 99.5 % of the accepted readings are right,
then reads `--count` pictures of every kind below, as large as those of PATH, and the pictures of each FOLDER. Prints
how many of each are rejected with that `--min-probability`, with their Wilson interval; of the style that MODEL has
learnt, none should be.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import dataset
from benchmarks.feeding import processor
from crnn_reader.image import read_image
from crnn_reader.reader import Reader
from generate_captcha.drawing import paint as grounds
from generate_captcha.style import Image, Source
from generate_captcha.styles import style_of
from model.comparison import accepts
from model.scores import score, wilson
from parameter import GenerateParameters

Kind = Callable[[int, int, Source], Image]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("path", metavar="PATH")
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--others", nargs="+", default=[], metavar="FOLDER")
    flags = parser.parse_args()
    print(f"{processor()}, {os.cpu_count()} cores", flush=True)

    reader = Reader(flags.model)
    samples = [sample for sample in dataset.collect(flags.path) if sample.label]
    read = list(reader.read(sample.path for sample in samples))
    truths = [sample.label for sample in samples]
    scores = score(truths, [r.text for r in read], [r.probability for r in read], [sample.path for sample in samples])
    if scores.sure is None:
        raise SystemExit(f"{flags.model} reads {flags.path} too badly: {scores}")
    least = scores.sure.probability
    print(f"{flags.path}: {scores}; accepted from {least:.4f} on: {scores.sure}")

    height, width = np.median([read_image(sample.path, 3).shape[:2] for sample in samples[:100]], axis=0)
    pictures = {
        name: [draw(int(height), int(width), Source(f"{name} {i}")) for i in range(flags.count)]
        for name, draw in KINDS.items()
    }
    for style in ("captcha", "line", "plate"):
        pictures[f"style {style}"] = list(other_texts(style, flags.count))
    for kind, images in pictures.items():
        tell(kind, reader, images, least)
    for folder in flags.others:
        tell(folder, reader, [sample.path for sample in dataset.collect(folder)], least)


def tell(kind: str, reader: Reader, sources: list[Image] | list[str], least: float) -> None:
    """Print how many are rejected, and the surest readings of the others."""
    read = list(reader.read(sources))
    accepted = sorted((r.probability, r.text) for r in read if accepts(r.text, r.probability, least))
    rejected = len(read) - len(accepted)
    low, high = wilson(rejected, len(read))
    surest = ", ".join(f"{text} {probability:.3f}" for probability, text in accepted[:-4:-1])
    print(
        f"{kind}: {rejected} of {len(read)} rejected = {rejected / len(read):.2%} [{low:.2%}, {high:.2%}]"
        + (f"; not {surest}" if surest else ""),
        flush=True,
    )


def other_texts(style: str, count: int) -> Iterator[Image]:
    """Pictures as the generator makes them by default, in RGB."""
    drawn = style_of(GenerateParameters(style=style, seed=77))
    for index in range(count):
        yield drawn.picture(index)[0]


def ground(height: int, width: int, source: Source) -> Image:
    """A wall, a road, a gradient: a texture in two colours, out of focus."""
    tones = [grounds.colour(source.between(20, 235), 60, source) for _ in range(2)]
    field = grounds.texture(height, width, source) if source.random() < 0.6 else grounds.gradient(height, width, source)
    return grainy(grounds.painted(field, *tones), source)


def bars(height: int, width: int, source: Source) -> Image:
    """A radiator grille, a fence, a kerb: parallel bars of one width."""
    dark, light = (grounds.colour(source.between(*tones), 30, source) for tones in ((0, 90), (120, 250)))
    angle, period = source.between(0, np.pi), source.between(0.1, 0.6) * height
    rows, columns = np.mgrid[:height, :width]
    wave = np.cos(2 * np.pi * (columns * np.cos(angle) + rows * np.sin(angle)) / period)
    field = (255 / (1 + np.exp(-8 * (wave - source.between(-0.7, 0.7))))).astype(np.uint8)
    return grainy(grounds.painted(field, dark, light), source)


def shapes(height: int, width: int, source: Source) -> Image:
    """Lamps, screws, edges: discs, boxes and strokes in no order."""
    image = ground(height, width, source)
    for _ in range(1 + source.randbelow(8)):
        tone = grounds.colour(source.between(0, 255), 60, source)
        mask = np.zeros((height, width), np.uint8)
        one, other = ((source.randbelow(width), source.randbelow(height)) for _ in range(2))
        form = source.randbelow(3)
        if form == 0:
            cv2.circle(mask, one, 1 + source.randbelow(height // 2), 255, -1, cv2.LINE_AA)
        elif form == 1:
            cv2.rectangle(mask, one, other, 255, -1)
        else:
            cv2.line(mask, one, other, 255, 1 + source.randbelow(max(1, height // 8)), cv2.LINE_AA)
        grounds.lay(image, tone, mask)
    return grainy(image, source)


def noise(height: int, width: int, source: Source) -> Image:
    """Every pixel by itself."""
    return np.random.default_rng(source.getrandbits(32)).integers(0, 256, (height, width, 3), np.uint8)


def grainy(image: Image, source: Source) -> Image:
    """As a camera sees it: a little out of focus, with grain."""
    chance = np.random.default_rng(source.getrandbits(32))
    blurred = cv2.GaussianBlur(image, (0, 0), source.between(0.3, 2))
    grain = chance.normal(0, source.between(0, 12), image.shape)
    return (blurred + grain).clip(0, 255).astype(np.uint8)


KINDS: dict[str, Kind] = {"grounds": ground, "bars": bars, "shapes": shapes, "noise": noise}


if __name__ == "__main__":
    main()
