"""Detect pictures whose size or aspect ratio differs much from the training pictures.

A network reads crops, pictures of one text and little else. If the photo of a whole car is resized to the network's
input, its text becomes illegible and the prediction is meaningless. Size and aspect ratio reveal such pictures, unless
the text is read with confidence: then the picture is a large crop.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from .config import ModelConfig

#: A picture is unlike the training pictures if its height or aspect ratio is outside their range by this factor.
HEIGHT_FACTOR, ASPECT_FACTOR = 5.0, 2.0
#: From this probability of its text on, a picture counts as a crop, whatever its size. Of 300 crops of generated
#: plates, enlarged ten times, 209 have the size of photos, and 26 of them a text below it. Of photos of cars, `plate`
#: reads one in thirty with more.
CONFIDENT = 0.5
#: Percentiles of the training pictures that bound the range, so that single outliers do not widen it.
PERCENTILES = (1, 99)
#: For model files without a range: assumed minimum height of the training pictures, as a fraction of the network's.
MIN_HEIGHT_FRACTION = 1 / 3


def with_sizes(config: ModelConfig, sizes: ArrayLike) -> ModelConfig:
    """Return `config` with the range of heights and aspect ratios of the training pictures.

    Arguments:
        sizes: width and height of each picture in pixels, (n, 2).
    """
    widths, heights = np.asarray(sizes, np.float64).T

    def bounds(values: NDArray[np.float64]) -> list[float]:
        return [round(float(value), 3) for value in np.percentile(values, PERCENTILES)]

    return replace(config, trained_heights=bounds(heights), trained_aspects=bounds(widths / heights))


def is_unlike_training(config: ModelConfig, width: int, height: int, probability: float) -> bool:
    """Whether a picture of `width` x `height` pixels differs much from the training pictures.

    Arguments:
        probability: probability of its text.
    """
    if probability >= CONFIDENT:
        return False
    lowest, highest = config.trained_heights or (MIN_HEIGHT_FRACTION * config.height, config.height)
    if lowest > HEIGHT_FACTOR * height or height >= HEIGHT_FACTOR * highest:
        return True
    if config.trained_aspects:
        narrowest, widest = config.trained_aspects
    elif config.width:
        # The same text has a larger aspect ratio on fewer lines.
        narrowest, widest = config.width / config.height / config.rows, config.width / config.height
    else:
        return False
    aspect = width / height
    return narrowest >= ASPECT_FACTOR * aspect or aspect >= ASPECT_FACTOR * widest


def crops_expected(config: ModelConfig, model: str, count: int, first: str) -> str:
    """The message about pictures unlike the training pictures.

    Arguments:
        config: configuration of the model.
        model: name or path of the model.
        count: number of such pictures.
        first: path of the first one.
    """
    lowest, highest = config.trained_heights or (config.height, config.height)
    heights = f"{lowest:.0f} to {highest:.0f} pixels" if round(lowest) < round(highest) else f"{highest:.0f} pixels"
    advice = "give crops of one text and little else"
    if config.formats:
        advice = "it reads crops of plates, and docs/plates.md shows how to cut them out"
    return (
        f"{count:,} picture{'s differ' if count > 1 else ' differs'} much in size or shape from those that {model} was "
        f"trained on, about {heights} high (first: {first}): {advice}"
    )
