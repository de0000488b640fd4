"""Test-time augmentation: the changed pictures in which unsure texts are read again.

A network makes other errors in a slightly changed picture, so the mean of the probabilities of a text is more often
right than the probability in one picture (Krizhevsky et al. 2012, "ImageNet Classification with Deep Convolutional
Neural Networks", section 4.1, average the outputs for ten crops). With CTC the outputs cannot be averaged, because the
characters move to other columns. So the texts that are found in any of the pictures are scored in all of them, see
:func:`crnn_reader.decoding.ctc.averaged`.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from .pixels import Image, channels_last


class View(NamedTuple):
    """An affine change of a picture around its middle."""

    width: float = 1.0
    height: float = 1.0
    #: Pixels by which a pixel is moved to the right for each pixel that it is below the middle.
    slant: float = 0.0


#: The changed pictures that are read.
VIEWS = (
    View(1.1, 1.1),
    View(0.88, 0.88),
    View(slant=-0.5),
    View(width=0.85),
    View(height=0.85),
)


def views(image: Image) -> list[Image]:
    """Return a changed picture for each of :data:`VIEWS`, uint8 of the same shape."""
    height, width = image.shape[:2]
    changed = []
    for view in VIEWS:
        matrix = np.array([[view.width, view.slant], [0.0, view.height]])
        middle = np.array([[(width - 1) / 2], [(height - 1) / 2]])
        affine = np.hstack([matrix, middle - matrix @ middle])
        changed.append(
            channels_last(
                cv2.warpAffine(image, affine, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            )
        )
    return changed
