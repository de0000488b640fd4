"""Backgrounds from the user's own pictures."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

import cv2
from PIL import Image as pillow

from crnn_reader import bounded
from crnn_reader.errors import UnreadablePicture, UserError
from crnn_reader.image import read_image
from crnn_reader.image_headers import PICTURE_SUFFIXES
from generate_captcha.arrays import Image
from generate_captcha.seeded_random import SeededRandom

#: Length in pixels to which the longer side of a background is reduced.
MAX_BACKGROUND_SIDE = 1000


class Backgrounds:
    """The pictures in a folder and its subfolders. Raises UserError if there are none."""

    def __init__(self, folder: str) -> None:
        if not Path(folder).is_dir():
            raise UserError(f"there is no folder {folder}: give a folder of pictures", parameter="backgrounds")
        self.paths = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in PICTURE_SUFFIXES)
        if not self.paths:
            raise UserError(
                f"the folder {folder} has no pictures: add some or choose another one", parameter="backgrounds"
            )

    def digest(self) -> str:
        """Return the number of pictures and a hash of their names and sizes. Raises UserError for a damaged picture."""
        for path in self.paths:
            try:
                # Only the header is checked. Damage further on is found when the picture is used.
                with bounded.open_regular(path) as file:
                    pillow.open(file).close()
            except pillow.DecompressionBombError as error:
                raise UserError(
                    f"the background {path} is too large ({error}): make it smaller or remove it"
                ) from error
            except Exception as error:  # Pillow raises all kinds of exceptions for damaged files.
                raise UserError(f"the background {path} is not a picture: remove it") from error
        files = "\n".join(f"{path.name} {path.stat().st_size}" for path in self.paths)
        return f"{len(self.paths)} pictures sha256:{hashlib.sha256(files.encode()).hexdigest()}"

    def cut(self, height: int, width: int, rng: SeededRandom) -> Image:
        """Cut a random part of a random picture and resize it: uint8 (height, width, 3) in RGB order."""
        image = _read(rng.choice(self.paths))
        # From the largest part with this aspect ratio down to one of this size.
        largest = min(image.shape[1] / width, image.shape[0] / height)
        zoom = rng.between(min(1.0, largest), largest)
        part_height, part_width = max(1, int(height * zoom)), max(1, int(width * zoom))
        top = rng.randbelow(image.shape[0] - part_height + 1)
        left = rng.randbelow(image.shape[1] - part_width + 1)
        part = image[top : top + part_height, left : left + part_width]
        return cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA if zoom > 1 else cv2.INTER_LINEAR)


# 64 pictures of 1,000 x 750 pixels take 144 MB.
@functools.lru_cache(maxsize=64)
def _read(path: Path) -> Image:
    try:
        image = read_image(path, channels=3)
    except UnreadablePicture as error:
        raise UserError(f"the background {path} cannot be read ({error}): remove it") from error
    factor = MAX_BACKGROUND_SIDE / max(image.shape[:2])
    return cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA) if factor < 1 else image
