"""Resize pictures to the input of a network, and pad batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from .errors import UnreadablePicture
from .pixels import Image, channels_last

#: Widths of pictures for networks of any width, in pixels: a multiple of WIDTH_STEP, the downsampling factor of the
#: network, from MIN_WIDTH to MAX_WIDTH.
WIDTH_STEP, MIN_WIDTH, MAX_WIDTH = 4, 16, 16_000

#: Maximum width of pictures in a full batch, in pixels. Batches of wider pictures are smaller, to bound memory.
FULL_BATCH_WIDTH = 512


def fit_image(image: Image, width: int | None, height: int, how: Literal["stretch", "pad"] = "stretch") -> Image:
    """Resize a picture.

    Arguments:
        image: uint8 (h, w, channels).
        width: target width in pixels. None keeps the aspect ratio, except for rounding to a multiple of WIDTH_STEP.
        height: target height in pixels.
        how: `stretch` scales both sides independently. `pad` keeps the aspect ratio and pads with the median colour of
            the picture's border: equally above and below, but only on the right, so that every text starts in the same
            column. Ignored if `width` is None.

    Returns uint8 (height, width, channels).

    Raises UnreadablePicture if `width` is None and the result would be wider than MAX_WIDTH.
    """
    if width is None:
        width = scaled_width(height, image.shape[1], image.shape[0])
        if width > MAX_WIDTH:
            raise UnreadablePicture(f"{width:,} pixels wide at a height of {height}, more than {MAX_WIDTH:,}: cut it")
        return _resize(image, width, height)
    if how == "stretch":
        return _resize(image, width, height)
    scale = _scale(image.shape[1], image.shape[0], width, height)
    inner_width = visible_width(image.shape[1], image.shape[0], width, height, how)
    inner_height = min(height, max(1, round(image.shape[0] * scale)))
    border = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    fitted = np.empty((height, width, image.shape[2]), np.uint8)
    fitted[:] = np.median(border, axis=0).astype(np.uint8)
    top = (height - inner_height) // 2
    fitted[top : top + inner_height, :inner_width] = _resize(image, inner_width, inner_height)
    return fitted


def visible_width(
    own_width: int, own_height: int, width: int | None, height: int, how: Literal["stretch", "pad"]
) -> int:
    """The width, without padding, of a picture of `own_width` x `own_height` pixels after :func:`fit_image`."""
    if width is None:
        return scaled_width(height, own_width, own_height)
    if how == "stretch":
        return width
    return min(width, max(1, round(own_width * _scale(own_width, own_height, width, height))))


def _scale(own_width: int, own_height: int, width: int, height: int) -> float:
    return min(width / own_width, height / own_height)


def scaled_width(target_height: int, width: int, height: int) -> int:
    """The width that :func:`fit_image` gives a picture of `width` x `height` pixels for a network of any width."""
    return max(MIN_WIDTH, WIDTH_STEP * round(width * target_height / height / WIDTH_STEP))


def padded_width(widest: int) -> int:
    """The width to which :func:`pad_batch` pads a batch whose widest picture has `widest` pixels."""
    step = max(32, 1 << (widest.bit_length() - 4))
    return -(-widest // step) * step


def pad_batch(images: Sequence[Image] | Image) -> tuple[Image, npt.NDArray[np.int32]]:
    """Pad pictures of the same height with zeros on the right, to form a batch.

    Only few padded widths occur, because a network is compiled again for each one. A padded width exceeds the widest
    picture by less than an eighth or by at most 31 pixels.

    Arguments:
        images: uint8 (height, width, channels) each.

    Returns the batch, uint8 (n, height, padded width, channels), and the widths of the pictures, int32 (n,).
    """
    widths = np.array([image.shape[1] for image in images], np.int32)
    height, _, channels = images[0].shape
    batch = np.zeros((len(images), height, padded_width(int(widths.max())), channels), np.uint8)
    for row, image in zip(batch, images, strict=True):
        row[:, : image.shape[1]] = image
    return batch, widths


def _resize(image: Image, width: int, height: int) -> Image:
    # Average areas to shrink, interpolate to enlarge. A picture may need one horizontally and the other vertically.
    small = (min(width, image.shape[1]), min(height, image.shape[0]))
    if small != (image.shape[1], image.shape[0]):
        image = channels_last(cv2.resize(image, small, interpolation=cv2.INTER_AREA))
    if small != (width, height):
        image = channels_last(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR))
    return image
