"""Whether a picture's size or shape is far from those of the pictures that a network was trained on.

A network reads crops: pictures that hold one text and little else. In the photo of a whole car, shrunk to the network's
input, no text is legible any more, and what the network reads there means nothing. Size and shape give such pictures
away.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from .config import ModelConfig

#: A picture is far when its height, or its width / height, is this many times above or below the trained range.
HEIGHT_FACTOR, ASPECT_FACTOR = 5.0, 2.0
#: Percentiles of a corpus that bound the range: one odd picture must not widen it.
PERCENTILES = (1, 99)
#: For model files without a range: the lowest training picture as a part of the network's height.
LOWEST_PART = 1 / 3


def with_sizes(config: ModelConfig, sizes: ArrayLike) -> ModelConfig:
    """`config` with the range of the sizes of the training pictures: (n, 2), width and height in pixels."""
    widths, heights = np.asarray(sizes, np.float64).T

    def bounds(values: NDArray[np.float64]) -> list[float]:
        return [round(float(value), 3) for value in np.percentile(values, PERCENTILES)]

    return replace(config, trained_heights=bounds(heights), trained_aspects=bounds(widths / heights))


def is_far(config: ModelConfig, width: int, height: int) -> bool:
    """Whether a picture of `width` x `height` pixels is far from the training pictures of the config's network."""
    lowest, highest = config.trained_heights or (LOWEST_PART * config.height, config.height)
    if lowest > HEIGHT_FACTOR * height or height >= HEIGHT_FACTOR * highest:
        return True
    if config.trained_aspects:
        narrowest, widest = config.trained_aspects
    elif config.width:
        # The same text on fewer rows is wider for its height.
        narrowest, widest = config.width / config.height / config.rows, config.width / config.height
    else:
        return False
    aspect = width / height
    return narrowest >= ASPECT_FACTOR * aspect or aspect >= ASPECT_FACTOR * widest


def crops_expected(config: ModelConfig, model: str, count: int, first: str) -> str:
    """The message about `count` pictures that are far; `first` is the path of one of them, `model` what read them."""
    lowest, highest = config.trained_heights or (config.height, config.height)
    heights = f"{lowest:.0f} to {highest:.0f} pixels" if round(lowest) < round(highest) else f"{highest:.0f} pixels"
    return (
        f"{count:,} picture{'s differ' if count > 1 else ' differs'} much in size or shape from those that {model} was "
        f"trained on, about {heights} high (first: {first}): give crops of one text and little else"
    )
