"""Limits of augmentation: changes that it makes to a picture, and properties that it keeps."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

import dataset


def generator(number: int) -> np.random.Generator:
    return np.random.default_rng(number)


def text(channels: int, ink: int = 30, paper: int = 220, width: int = 128, height: int = 64) -> np.ndarray:
    image = np.full((height, width, channels), paper, np.uint8)
    colour = (ink,) * channels
    scale = height / 45
    for x, character in zip((0.03, 0.28, 0.53, 0.76), "A3K8", strict=True):
        place = (round(x * width), round(0.72 * height))
        cv2.putText(image, character, place, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, max(1, height // 20), cv2.LINE_AA)
    return image


@pytest.mark.parametrize("channels", [1, 3])
def test_strength_0_changes_nothing(channels: int) -> None:
    image = text(channels)
    assert (dataset.augment(image, generator(0), 0.0) == image).all()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(128, 64), (200, 32), (1, 1), (3, 50), (50, 3), (301, 47)])
@pytest.mark.parametrize("strength", [0.3, 1.0, 3.0])
def test_shape_dtype_and_source_are_kept(channels: int, size: tuple[int, int], strength: float) -> None:
    image = generator(1).integers(0, 256, (size[1], size[0], channels), np.uint8)
    image.flags.writeable = False  # as rows of the mapped cache are
    before = image.copy()
    for number in range(40):
        changed = dataset.augment(image, generator(number), strength)
        assert changed.shape == image.shape
        assert changed.dtype == np.uint8
    assert (image == before).all()


def test_the_result_depends_only_on_the_generator() -> None:
    image = text(3)
    for number in range(30):
        one, other = (dataset.augment(image, generator(number), 1.0) for _ in range(2))
        assert (one == other).all()
    assert len({dataset.augment(image, generator(number), 1.0).tobytes() for number in range(50)}) >= 49


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("ink", "paper"), [(30, 220), (230, 40), (110, 140)])
def test_text_stands_out_from_the_noise(channels: int, ink: int, paper: int) -> None:
    """The faintest ink still stands out from the noise: the two classes of Otsu's threshold are far apart."""
    image = text(channels, ink, paper)
    for number in range(150):
        grey = dataset.augment(image, generator(number), 1.0).mean(axis=2)
        levels = cv2.GaussianBlur(grey.astype(np.uint8), (0, 0), 1)
        _, dark = cv2.threshold(levels, 0, 1, cv2.THRESH_OTSU)
        assert 0.03 < dark.mean() < 0.97
        apart = grey[dark == 1].mean() - grey[dark == 0].mean()
        within = max(grey[dark == 1].std(), grey[dark == 0].std())
        assert apart > max(8, 1.2 * within), number


@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_text_stays_in_the_frame(strength: float) -> None:
    """Four dots near the corners are still visible, so text between them is not moved out of the frame."""
    image = np.full((64, 128, 1), 255, np.uint8)
    marks = [(10, 12), (117, 12), (117, 51), (10, 51)]
    for mark in marks:
        cv2.circle(image, mark, 5, (0,), -1)
    for number in range(150):
        changed = dataset.augment(image, generator(number), strength)
        # Each quarter has dark pixels relative to the median, even if a line covers a part of the dot.
        smooth = cv2.GaussianBlur(changed, (0, 0), 1).astype(float)
        depth = np.median(smooth) - smooth
        found = depth > 0.4 * depth.max()
        quarters = [
            found[rows, columns] for rows in (slice(32), slice(32, 64)) for columns in (slice(64), slice(64, 128))
        ]
        assert min(quarter.sum() for quarter in quarters) > 8, number


def test_letters_of_long_lines_stay_in_the_frame() -> None:
    """Nearly all ink of a line that fills its picture stays, and so do the letters at both ends."""
    line, ends = (np.full((32, 640, 1), 255, np.uint8) for _ in range(2))
    for x in range(4, 640, 12):
        line[4:28, x : x + 6] = 0
    ends[4:28, 4:16] = ends[4:28, -16:-4] = 0
    kept = []
    for number in range(150):
        shares = []
        for image, parts in ((line, [slice(None)]), (ends, [slice(320), slice(320, 640)])):
            changed = cv2.GaussianBlur(dataset.augment(image, generator(number), 1.0), (0, 0), 1)
            dark = cv2.threshold(changed, 0, 1, cv2.THRESH_BINARY_INV | cv2.THRESH_OTSU)[1]
            shares += [dark[:, part].sum() / (image[:, part] == 0).sum() for part in parts]
        kept.append(shares)
    worst = np.quantile(kept, 0.02, axis=0)
    assert (worst > (0.5, 0.35, 0.35)).all(), worst


def test_changes_grow_with_the_strength() -> None:
    image = text(1)
    means = [
        np.mean([np.abs(dataset.augment(image, generator(n), s).astype(int) - image).mean() for n in range(60)])
        for s in (0.25, 0.5, 1.0)
    ]
    assert 0 < means[0] < means[1] < means[2]
