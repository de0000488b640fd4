"""VGG-like stacks of 3×3 convolutions (Simonyan and Zisserman 2014), three sizes of them."""

from __future__ import annotations

from model.backbones import Backbone
from model.features import Features


def vgg(images: Features, preset: str) -> Features:
    """Columns every fourth pixel: `base` as CRNN-Keras published it, `small` and `lite` made for a CPU."""
    return {"base": _base, "small": _small, "lite": _lite}[preset](images)


def _base(images: Features) -> Features:
    """CRNN-Keras' seven convolutions; height 64 and width 128 become 32 columns of 2048, then of 64."""
    return (
        images.convolution(64)
        .pool(2)
        .convolution(128)
        .pool(2)
        .convolution(256)
        .convolution(256)
        .pool((2, 1))
        .convolution(512)
        .convolution(512)
        .pool((2, 1))
        .convolution(512, kernel=2)
        .columns()
        .dense(64, activation="relu")
    )


def _small(images: Features) -> Features:
    """Four convolutions at an eighth of the arithmetic of `base`.

    The first one strides: at full size it would cost more time than all others, for edges that the
    next one sees as well. Pooling comes before normalisation, which then has a quarter of the work.
    """
    return (
        images.convolution(32, kernel=5, strides=2)
        .convolution(64, pool=(2, 2))
        .convolution(128, pool=(2, 1))
        .convolution(256, pool=(2, 1))
        .columns()
        .dense(128, normalised=True, activation="relu")
    )


def _lite(images: Features) -> Features:
    """A quarter of the arithmetic of `small`: every convolution strides, where `small` pools what it has computed.

    To normalise what the first one says, of which there is most, would cost a seventh of a training and bring nothing.
    """
    return (
        images.convolution(32, kernel=5, strides=2, normalised=False)
        .convolution(48, strides=2)
        .convolution(96, strides=(2, 1))
        .convolution(160, strides=(2, 1))
        .columns()
        .dense(128, normalised=True, activation="relu")
    )


BACKBONE = Backbone(vgg, "summed", ("lite", "small", "base"))
