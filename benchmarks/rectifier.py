"""What a rectifier brings on curved and tilted lines: the same network without one, affine, and with splines.

    python benchmarks/rectifier.py [FOLDER]

Draws 30,000 straight lines to train on and 2,000 others to read into FOLDER (default runs/rectifier), bends each along
an arc of up to 100 degrees, up or down, and turns it by up to 25, with code that the generator does not share.
Trains the same network three times from the same weights, by the same number of pictures. Goes on where it was stopped.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.feeding import processor
from benchmarks.trials import corpus, trial

LINES = "--style line --length 5-8 --size 128x24 --distortion 0 --noise 0.5 --difficulty 0.3"
TRAINING = "--from general --size 128x64 --epochs 4 --batch-size 64 --augmentation 0 --precision mixed_bfloat16"
TRAIN, TEST = 30_000, 2_000
WIDTH, HEIGHT = 128, 64
#: In degrees: the arc that a line takes, and how far it is turned.
BENT, TURNED = 100, 25


def main() -> None:
    """Print the figures."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/rectifier").resolve()
    train, test = (
        bent(corpus(folder / "straight" / name, f"{LINES} --count {count} --seed {seed}"), folder / name, seed)
        for name, count, seed in (("train", TRAIN, 1), ("test", TEST, 2))
    )
    print(f"{processor()}, {os.cpu_count()} cores", flush=True)
    for rectifier in ("none", "affine", "tps"):
        flags = ["--data", str(train), "--validation", "0.02", *TRAINING.split(), "--rectify", rectifier]
        trial(rectifier, folder / rectifier, flags, test)


def bent(straight: Path, folder: Path, seed: int) -> Path:
    """`folder` with all pictures of `straight`, by their names, bent and turned."""
    folder.mkdir(parents=True, exist_ok=True)
    # Chance of its own for each, so that those which are there already change nothing.
    for number, path in enumerate(sorted(straight.rglob("*.png"))):
        if not (folder / path.name).is_file():
            line = np.asarray(cv2.imread(str(path)), np.uint8)
            cv2.imwrite(str(folder / path.name), bend(line, np.random.default_rng((seed, number))))
    return folder


def bend(line: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A straight line along an arc, turned, as large as fits in, on its corners' colour: uint8 (HEIGHT, WIDTH, 3).

    A place of the line, (u, v) from its middle, goes to ((r - v) sin(u / r), r - (r - v) cos(u / r)) on an arc of
    radius r, which is below zero where the arc opens upwards.
    """
    height, width, _ = line.shape
    angle = np.radians(rng.uniform(1, BENT)) * rng.choice((-1, 1))
    turn, radius = np.radians(rng.uniform(-TURNED, TURNED)), width / angle
    turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    u, v = np.meshgrid(np.linspace(-width / 2, width / 2, 33), (-height / 2, height / 2))
    edge = turned @ [((radius - v) * np.sin(u / radius)).ravel(), (radius - (radius - v) * np.cos(u / radius)).ravel()]
    room = np.array([WIDTH, HEIGHT]) / np.ptp(edge, axis=1)
    scale = room.min() * rng.uniform(0.8, 0.98)
    left = np.array([WIDTH, HEIGHT]) - scale * np.ptp(edge, axis=1)
    corner = rng.uniform(0, 1, 2) * left - scale * edge.min(axis=1)
    # And back: where each pixel of the new picture lies in the line.
    pixels = np.stack(np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))).reshape(2, -1)
    x, y = turned.T @ ((pixels - corner[:, None]) / scale)
    side = np.sign(radius)
    u = radius * np.arctan2(side * x, side * (radius - y)) + width / 2
    v = radius - side * np.hypot(x, radius - y) + height / 2
    along, across = (found.reshape(HEIGHT, WIDTH).astype(np.float32) for found in (u, v))
    ground = np.median(line[[0, 0, -1, -1], [0, -1, 0, -1]], axis=0).tolist()
    bent = cv2.remap(line, along, across, cv2.INTER_AREA, borderMode=cv2.BORDER_CONSTANT, borderValue=ground)
    return np.asarray(bent, np.uint8)


if __name__ == "__main__":
    main()
