"""Convert samples to pictures: uint8, grey or RGB, without an alpha channel."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from .errors import UnreadablePicture
from .image_headers import check_size

Image = npt.NDArray[np.uint8]

#: Pixels to convert at a time.
BAND = 1 << 20
#: Ink with a luminance above this has more than twice as much contrast on black as on white.
LIGHT = 170
#: A picture with at least this fraction of opaque pixels has its own background. Only its margin is transparent.
OWN_BACKGROUND = 0.75


def array_to_image(image: npt.NDArray[Any], channels: int, bgr: bool) -> Image:
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[..., 0]
    if image.dtype == np.uint8 and (image.ndim == 2 or image.shape[2] == 3):
        return _convert_rows(image, channels, bgr, None)
    return convert(lambda top, bottom: image[top:bottom], image.shape[1], image.shape[0], channels, bgr)


def convert(rows: Callable[[int, int], npt.NDArray[Any]], width: int, height: int, channels: int, bgr: bool) -> Image:
    """Convert grey, RGB or RGBA samples, uint8 or uint16, to uint8 (height, width, channels).

    `rows(top, bottom)` returns these rows as (h, width), (h, width, 3) or (h, width, 4), in the order RGB or, with
    `bgr`, BGR. Large pictures are converted in bands, because every step makes a copy.
    """
    step = max(1, BAND // width)
    bands = [(top, min(top + step, height)) for top in range(0, height, step)]
    first = rows(*bands[0])
    transparent = first.ndim == 3 and first.shape[2] == 4
    parts = (first if band is bands[0] else rows(*band) for band in bands)
    background = _background(parts, bgr) if transparent else None
    if len(bands) == 1:
        return _convert_rows(first, channels, bgr, background)
    shown = np.empty((height, width, channels), np.uint8)
    for top, bottom in bands:
        shown[top:bottom] = _convert_rows(rows(top, bottom), channels, bgr, background)
    return shown


def _convert_rows(image: npt.NDArray[Any], channels: int, bgr: bool, background: int | None) -> Image:
    """Convert some rows, see :func:`convert`. Composites alpha on `background`, or ignores it if None."""
    if image.dtype == np.uint16:
        image = _eight_bits(image)
    if image.ndim == 3 and image.shape[2] == 4:
        image = np.ascontiguousarray(image[..., :3]) if background is None else _composite(image, background)
    if image.ndim == 2:
        return image[..., None] if channels == 1 else np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2RGB), np.uint8)
    if channels == 1:
        return channels_last(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY if bgr else cv2.COLOR_RGB2GRAY))
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8) if bgr else image


def _eight_bits(image: npt.NDArray[np.uint16]) -> Image:
    return np.asarray(cv2.convertScaleAbs(image, alpha=1 / 257), np.uint8).reshape(image.shape)


def _background(bands: Iterable[npt.NDArray[Any]], bgr: bool) -> int | None:
    """Choose the background of a picture with straight alpha, given in bands (h, width, 4).

    Returns 255, or 0 if most of its ink is light. Returns None if the alpha channel is constant, fully opaque or fully
    transparent.
    """
    code = cv2.COLOR_BGR2GRAY if bgr else cv2.COLOR_RGB2GRAY
    pixels = opaque = ink = light = 0
    for band in bands:
        eight = _eight_bits(band) if band.dtype == np.uint16 else band
        opacity = eight[..., 3]
        pixels += opacity.size
        opaque += int(np.count_nonzero(opacity == 255))
        ink += int(opacity.sum(dtype=np.int64))
        # Most pictures are opaque, and then the luminance is not needed.
        if opaque < pixels:
            luminance = cv2.cvtColor(np.ascontiguousarray(eight[..., :3]), code)
            light += int(opacity[luminance > LIGHT].sum(dtype=np.int64))
    if ink == 0 or opaque == pixels:
        return None
    # A picture that is mostly opaque has its own background.
    return 0 if 2 * light > ink and ink < OWN_BACKGROUND * 255 * pixels else 255


def _composite(image: Image, background: int) -> Image:
    """Composite uint8 (h, w, 4) with straight alpha on a grey background. Returns uint8 (h, w, 3)."""
    alpha = image[..., 3:].astype(np.uint16)
    return ((image[..., :3] * alpha + background * (255 - alpha) + 127) // 255).astype(np.uint8)


def check_array(image: npt.NDArray[Any], max_pixels: int) -> npt.NDArray[Any]:
    """Check an array given as a picture. Returns it as uint8 or uint16 in native byte order.

    Raises UnreadablePicture if its shape or dtype is not that of a picture, or if it exceeds the limits.
    """
    found = f"an array of {image.dtype} {image.shape}"
    if image.ndim == 3 and image.shape[0] in (1, 3, 4) and image.shape[2] not in (1, 3, 4):
        raise UnreadablePicture(f"{found} has its channels first: give array.transpose(1, 2, 0)")
    if not image.size or image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3, 4)):
        raise UnreadablePicture(
            f"{found} is not a picture: give uint8 (height, width), or (height, width, channels) with 1, 3 or 4 of them"
        )
    check_size(image.shape[1], image.shape[0], max_pixels)
    if image.dtype.kind == "u" and image.dtype.itemsize == 2 and 0 < image.max() <= 255:
        raise UnreadablePicture(f"{found} has values up to {image.max()} of 65,535: give array.astype(np.uint8)")
    if image.dtype.kind == "u" and image.dtype.itemsize <= 2:
        return image.astype(image.dtype.newbyteorder("="), copy=False)
    if image.dtype == bool or (image.dtype.kind in "fiu" and image.min() >= 0 and image.max() <= 1):
        how = "(array * 255).astype(np.uint8)"
    elif image.dtype.kind in "fiu" and image.min() >= 0 and image.max() <= 255:
        how = "array.astype(np.uint8)"
    else:
        how = "it scaled to 0 to 255, as uint8"
    raise UnreadablePicture(f"{found} is not a picture: give {how}")


def convert_channels(image: npt.NDArray[np.uint8], channels: int) -> Image:
    """Convert a picture between grey and RGB.

    Arguments:
        image: uint8 (height, width), or (height, width, channels) with 1 or 3 channels, RGB.
        channels: 1 or 3.

    Returns uint8 (height, width, channels).
    """
    if image.ndim == 2 or image.shape[2] == 1:
        return np.repeat(image.reshape(*image.shape[:2], 1), channels, axis=2)
    if channels == 1:
        return channels_last(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
    return image


def is_single_colour(image: Image) -> bool:
    """Whether all pixels of a picture, uint8 (height, width, channels), have the same colour."""
    # The middle row is cheap to check, and differs in most pictures.
    row = image[len(image) // 2].tobytes()
    channels = image.shape[2]
    return row[channels:] == row[:-channels] and bool((image == image[0, 0]).all())


def channels_last(image: Any) -> Image:
    # OpenCV drops the axis of a single channel.
    array: Image = image
    return array[..., None] if array.ndim == 2 else array
