"""How large the pictures of a corpus are, from a look at a few: the size of the network is chosen by it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import picture
from dataset.forms import Samples

#: The median of so many is within a few per cent of that of all.
LOOKED_AT = 256


@dataclass(frozen=True)
class Survey:
    """Medians over the pictures looked at; width and height in pixels."""

    width: int
    height: int
    aspect: float  #: width / height
    aspects: tuple[float, float]  #: its 5th and 95th percentile


def survey(samples: Samples) -> Survey | None:
    """Look at some pictures, evenly spread. None when none of them can be read."""
    sizes = []
    for index in np.linspace(0, len(samples) - 1, min(len(samples), LOOKED_AT)).round().astype(int):
        try:
            sizes.append(picture.read(samples[index].path, channels=1).shape[1::-1])
        except picture.UnreadablePicture:
            continue
    if not sizes:
        return None
    widths, heights = np.array(sizes).T
    low, middle, high = np.percentile(widths / heights, (5, 50, 95))
    return Survey(int(np.median(widths)), int(np.median(heights)), float(middle), (float(low), float(high)))
