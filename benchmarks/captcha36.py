"""Exact match of the shipped weights on fresh pictures of the `captcha` package.

    python benchmarks/captcha36.py [MODEL]

Draws 12,800 pictures, 128x64, 4 characters of 0-9A-Z, with the package itself, unseeded: no picture was ever
seen in training. Prints exact match with its 95 % Wilson interval, CER, and the most confused pairs.
"""

from __future__ import annotations

import os
import secrets
import string
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from captcha.image import ImageCaptcha
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.feeding import processor
from crnn_reader.reader import Reader
from model.scores import score

PICTURES, LENGTH = 12_800, 4
ALPHABET = string.digits + string.ascii_uppercase


def main() -> None:
    """Print the figures."""
    reader = Reader(sys.argv[1] if len(sys.argv) > 1 else "captcha")
    truths = ["".join(secrets.choice(ALPHABET) for _ in range(LENGTH)) for _ in range(PICTURES)]
    readings = list(reader.read(drawn(truths)))
    names = [str(i) for i in range(PICTURES)]
    scores = score(truths, [r.text for r in readings], [r.probability for r in readings], names)
    print(f"{processor()}, {os.cpu_count()} cores; {reader.path.name}; n = {PICTURES:,}")
    print(scores)


def drawn(texts: list[str]) -> Iterator[NDArray[np.uint8]]:
    """The pictures, uint8 (64, 128, 3), one at a time."""
    painter = ImageCaptcha(width=128, height=64)
    for text in texts:
        yield np.asarray(painter.generate_image(text))


if __name__ == "__main__":
    main()
