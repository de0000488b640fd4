"""The shape and colours of a corpus' pictures, from a look at a few: what the network sees is chosen by them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from crnn_reader.errors import UnreadablePicture
from crnn_reader.image import DEFAULT_OPTIONS, ImageOptions, read_image
from crnn_reader.pixels import convert_channels
from dataset.forms import Samples

#: The median of so many is within a few per cent of that of all.
LOOKED_AT = 256


class ImageStatistics(NamedTuple):
    """What a corpus looks like, for a start."""

    #: Width / height, the median.
    aspect: float = 1.0
    #: How many times as much contrast as in grey there is in one of red, green and blue; a quarter has more than this.
    hues: float = 1.0


def image_statistics(samples: Samples, options: ImageOptions = DEFAULT_OPTIONS) -> ImageStatistics:
    """Look at some pictures, evenly spread; unreadable ones are passed over."""
    aspects, hues = [], []
    for index in np.linspace(0, len(samples) - 1, min(len(samples), LOOKED_AT)).round().astype(int):
        try:
            image = read_image(samples[index].path, 3, options)
        except UnreadablePicture:
            continue
        aspects.append(image.shape[1] / image.shape[0])
        hues.append(image.std((0, 1)).max() / max(convert_channels(image, 1).std(), 1.0))
    return ImageStatistics(float(np.median(aspects)), float(np.percentile(hues, 75))) if aspects else ImageStatistics()
