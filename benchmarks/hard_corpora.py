"""Small corpora that are hard to read, to choose the defaults of training.py by: 1,000 to train on, 1,000 to read.

    python benchmarks/hard_corpora.py FOLDER
    python benchmarks/small_corpora.py FOLDER/*

touching5: 5 of 23 letters that overlap, one ink, warped, drawn below by code that the generator does not share.
faint5: the same, hardly darker or lighter than the ground. hues5: the same, as light as the ground, in another hue.
dots6, crowded7, long23: styles of the generator at settings that no shipped weights were trained with.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.trials import corpus

#: Blue, green and red, 0 … 255.
Colour: TypeAlias = NDArray[np.floating] | NDArray[np.integer]

TRAIN, TEST = 1000, 1000
STYLES = {
    "dots6": "--style dots --size 150x40 --length 6 --alphabet abcdefghkmnpqrstuvwxyz23 --distortion 2.2 --seed 5",
    "long23": "--style dots --size 230x40 --length 23 --alphabet 23456789abdefghkmnprstwxyz --distortion 1.3 --seed 6",
    "crowded7": "--style captcha --size 120x40 --length 6-8 --alphabet 0-9A-Za-z --noise 2 --distortion 1.3 --seed 7",
}
LETTERS, WIDTH, HEIGHT = "abcdefghkmnprstuvwxyz23", 120, 40
FACES = "DejaVuSerif-BoldItalic.ttf", "DejaVuSansMono-BoldOblique.ttf"
#: What blue, green and red, as OpenCV orders them, weigh in a grey picture.
LUMA = np.array([0.114, 0.587, 0.299])
#: Letters are drawn at three times the size.
FINE = 3


def main() -> None:
    """Draw them all, and give each a labels.csv."""
    folder = Path(sys.argv[1])
    for name, flags in STYLES.items():
        pictures = corpus((folder / name / "images").resolve(), f"{flags} --count {TRAIN + TEST}")
        listed(folder / name, sorted(pictures.glob("*.png"), key=lambda path: path.stem.rpartition("_")[2]))
    for name, colours in COLOURS.items():
        listed(folder / name, touching(folder / name / "images", colours))


def listed(folder: Path, pictures: list[Path]) -> None:
    """Write labels.csv: the first to train on, the others to read."""
    with (folder / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(("file", "label", "split"))
        for row, path in enumerate(pictures):
            label = path.stem.rpartition("_")[0]
            table.writerow((path.relative_to(folder).as_posix(), label, "train" if row < TRAIN else "test"))


def touching(folder: Path, colours: Callable[[np.random.Generator], tuple[Colour, Colour]]) -> list[Path]:
    """Letters that overlap by 10 to 28 per cent, turned by up to 25 degrees, warped, under a thin broken line."""
    import matplotlib

    fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    folder.mkdir(parents=True, exist_ok=True)
    rng, paths = np.random.default_rng(3), []
    for number in range(TRAIN + TEST):
        text = "".join(rng.choice(list(LETTERS), 5))
        font = ImageFont.truetype(str(fonts / rng.choice(FACES)), int(HEIGHT * FINE * rng.uniform(0.62, 0.78)))
        ink = cv2.resize(warped(line_of(text, font, rng), rng), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
        points = [(x, HEIGHT / 2 + rng.uniform(-0.3, 0.3) * HEIGHT) for x in range(0, WIDTH + 12, 12)]
        scratch = cv2.polylines(np.zeros_like(ink), [np.array(points, np.int32)], False, 1.0, 1, cv2.LINE_AA)
        cover = np.maximum(ink, scratch)[..., None]
        ink_colour, ground = colours(rng)
        picture = ground * (1 - cover) + ink_colour * cover + rng.normal(0, 6, (HEIGHT, WIDTH, 3))
        paths.append(folder / f"{text}_{number:06}.jpg")
        cv2.imwrite(str(paths[-1]), picture.clip(0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 80])
    return paths


def dark(rng: np.random.Generator) -> tuple[Colour, Colour]:
    return rng.integers(0, 110, 3), rng.integers(215, 256, 3)


def faint(rng: np.random.Generator) -> tuple[Colour, Colour]:
    ground = rng.uniform(60, 200, 3)
    return ground + rng.choice([-1, 1]) * rng.uniform(14, 30), ground


def another_hue(rng: np.random.Generator) -> tuple[Colour, Colour]:
    """Both near a grey value of 128, at least 60 from one another in red, green or blue."""
    while True:
        ink, ground = (colour + 128 - colour @ LUMA for colour in rng.uniform(0, 255, (2, 3)))
        if np.abs(ink - ground).max() > 60 and min(ink.min(), ground.min()) > 0 and max(ink.max(), ground.max()) < 255:
            return ink, ground


COLOURS = {"touching5": dark, "faint5": faint, "hues5": another_hue}


def line_of(text: str, font: ImageFont.FreeTypeFont, rng: np.random.Generator) -> NDArray[np.float32]:
    """The ink of the letters, 0 … 1, at three times the picture's size."""
    side = int(2 * font.size)
    letters = []
    for character in text:
        drawn = Image.new("L", (side, side))
        ImageDraw.Draw(drawn).text((side / 2, side / 2), character, font=font, fill=255, anchor="mm")
        mask = np.asarray(drawn.rotate(rng.uniform(-25, 25), resample=Image.Resampling.BICUBIC), np.float32) / 255
        columns = np.flatnonzero(mask.max(axis=0) > 0.1)
        letters.append(mask[:, columns[0] : columns[-1] + 1])
    kept = 1 - rng.uniform(0.10, 0.28)
    room = (WIDTH - 4) * FINE
    narrow = min(1.0, room / (sum(letter.shape[1] for letter in letters) * kept + 0.3 * side))
    line = np.zeros((HEIGHT * FINE, WIDTH * FINE), np.float32)
    left = rng.uniform(0, 1) * max(0.0, room - narrow * kept * sum(letter.shape[1] for letter in letters)) / 2 + FINE
    for letter in letters:
        letter = cv2.resize(letter, None, fx=narrow, fy=1, interpolation=cv2.INTER_AREA)
        shift = rng.uniform(-0.1, 0.1) * HEIGHT * FINE
        matrix = np.array([[1, 0, left], [0, 1, (HEIGHT * FINE - side) / 2 + shift]])
        line = np.maximum(line, cv2.warpAffine(letter, matrix, line.shape[::-1]))
        left += letter.shape[1] * kept
    return line


def warped(line: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """`line` with columns moved up and down, and rows left and right, by a sine."""
    y, x = np.mgrid[: line.shape[0], : line.shape[1]].astype(np.float32)
    right, down = (
        rng.uniform(1, 3) * FINE * np.sin(2 * np.pi * at / (rng.uniform(0.8, 1.6) * HEIGHT * FINE) + rng.uniform(0, 7))
        for at in (y, x)
    )
    return cv2.remap(line, (x + right).astype(np.float32), (y + down).astype(np.float32), cv2.INTER_LINEAR)


if __name__ == "__main__":
    main()
