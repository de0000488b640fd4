"""What the text stands on: plain, a gradient, a texture, or a piece of one of the user's pictures."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as pillow

from crnn_reader import bounded
from crnn_reader.errors import UserError
from generate_captcha.drawing.effects import Bank
from generate_captcha.style import Image, Source

Colour = tuple[float, float, float]
Field = NDArray[np.uint8]

LUMA = 0.299, 0.587, 0.114


def colour(luma: float, saturation: float, source: Source) -> Colour:
    """A colour (RGB, 0 … 255) as light as a grey of `luma`, off grey by up to `saturation` levels a channel."""
    red, green, blue = (source.between(-1, 1) for _ in range(3))
    grey = LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue
    return tuple(min(255.0, max(0.0, luma + saturation * (part - grey))) for part in (red, green, blue))  # type: ignore[return-value]


def plain(height: int, width: int, tone: Colour) -> Image:
    """uint8 (height, width, 3) of one colour."""
    # Whole rows at a time are five times as fast as pixels.
    row = np.tile(np.rint(tone).astype(np.uint8), width)
    return np.broadcast_to(row, (height, 3 * width)).copy().reshape(height, width, 3)


def painted(field: Field, dark: Colour, light: Colour) -> Image:
    """`field` in colours: `dark` where it is 0, `light` where it is 255."""
    table = np.linspace(dark, light, 256).round().astype(np.uint8)[:, None]
    return cv2.applyColorMap(field, table)


def blended(under: Image, over: Image, mask: Field, opacity: float = 1.0) -> Image:
    """`over` upon `under` where `mask` is 255, the less the less it is; all of one height and width."""
    weight = mask.astype(np.float32)
    weight *= opacity / 255
    return cv2.blendLinear(over, under, weight, 1 - weight)


def lay(image: Image, tone: Colour, mask: Field, opacity: float = 1.0) -> None:
    """One colour upon `image` where `mask` is 255, in place."""
    image[:] = blended(image, plain(mask.shape[0], mask.shape[1], tone), mask, opacity)


def gradient(height: int, width: int, source: Source) -> Field:
    """Light from one side, at any angle: uint8 (height, width), 0 … 255."""
    along, down = source.between(-1, 1), source.between(-1, 1)
    field = np.linspace(0, along, width, dtype=np.float32) + np.linspace(0, down, height, dtype=np.float32)[:, None]
    low, high = min(0, along) + min(0, down), max(0, along) + max(0, down)
    return ((field - low) * (255 / max(1e-6, high - low))).astype(np.uint8)


def texture(height: int, width: int, source: Source) -> Field:
    """Noise of several scales: paper, cloth, clouds. uint8 (height, width), about 128."""
    return _texture(source.randbelow(TEXTURES)).piece(height, width, source)


#: Finer to coarser.
TEXTURES = 4


@functools.cache
def _texture(number: int) -> Bank:
    chance = np.random.default_rng(2 + number)
    height, width = 256, 640
    field = np.zeros((height, width), np.float32)
    for scale in (1, 2, 4, 8, 16, 32, 64):
        # Coarse noise weighs more, the more the higher the number. Doubled borders make it go on where it ends.
        noise = chance.standard_normal((height // scale, width // scale), np.float32)
        wrapped = cv2.copyMakeBorder(noise, 2, 2, 2, 2, cv2.BORDER_WRAP)
        large = cv2.resize(wrapped, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        field += scale ** (0.3 * number - 0.2) * large[2 * scale : 2 * scale + height, 2 * scale : 2 * scale + width]
    field *= 50 / field.std()
    return Bank((field + 128.5).clip(0, 255).astype(np.uint8))


class Pictures:
    """The user's own pictures as grounds."""

    def __init__(self, folder: str) -> None:
        from crnn_reader.image_headers import PICTURE_SUFFIXES

        if not Path(folder).is_dir():
            raise UserError(f"--backgrounds {folder}: no such folder; give a folder of pictures")
        self.paths = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in PICTURE_SUFFIXES)
        if not self.paths:
            raise UserError(f"--backgrounds {folder}: no pictures in this folder; add some or choose another folder")

    def digest(self) -> str:
        """Which pictures these are: their number, names and sizes in a word. Raises UserError for what is none."""
        for path in self.paths:
            try:
                # How it begins: of pictures that are damaged further on, drawing tells.
                with bounded.open_regular(path) as file:
                    pillow.open(file).close()
            except pillow.DecompressionBombError as error:
                raise UserError(
                    f"--backgrounds: {path} is too large ({error}): make it smaller or remove it"
                ) from error
            except Exception as error:  # Pillow raises whatever a damaged file makes it stumble over.
                raise UserError(f"--backgrounds: {path} is not a picture: remove it") from error
        files = "\n".join(f"{path.name} {path.stat().st_size}" for path in self.paths)
        return f"{len(self.paths)} pictures sha256:{hashlib.sha256(files.encode()).hexdigest()}"

    def piece(self, height: int, width: int, source: Source) -> Image:
        """A piece of one of them, enlarged or made smaller: uint8 (height, width, 3), RGB order."""
        image = _opened(source.choice(self.paths))
        # From the whole picture, as far as its aspect allows, down to a piece as large as ours.
        widest = min(image.shape[1] / width, image.shape[0] / height)
        zoom = source.between(min(1.0, widest), widest)
        part_height, part_width = max(1, int(height * zoom)), max(1, int(width * zoom))
        top = source.randbelow(image.shape[0] - part_height + 1)
        left = source.randbelow(image.shape[1] - part_width + 1)
        part = image[top : top + part_height, left : left + part_width]
        return cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA if zoom > 1 else cv2.INTER_LINEAR)


# 64 pictures of 1,000 × 750 are 144 MB.
@functools.lru_cache(maxsize=64)
def _opened(path: Path) -> Image:
    from crnn_reader.errors import UnreadablePicture
    from crnn_reader.image import read_image

    try:
        image = read_image(path, channels=3)
    except UnreadablePicture as error:
        raise UserError(f"--backgrounds: {path} cannot be read ({error}): remove it") from error
    scale = 1000 / max(image.shape[:2])
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else image
