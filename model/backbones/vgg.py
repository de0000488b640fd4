"""VGG-like stacks of 3×3 convolutions (Simonyan and Zisserman 2014) in four sizes."""

from __future__ import annotations

from model.backbones import Backbone
from model.features import Features


def vgg(images: Features, preset: str) -> Features:
    """A column every fourth pixel: `base` is that of CRNN-Keras, the others are made for a CPU."""
    return {"base": _base, "plate": _plate, "small": _small, "lite": _lite}[preset](images)


def _base(images: Features) -> Features:
    """The seven convolutions of CRNN-Keras. 128x64 pixels become 32 columns of 2048 features, then of 64."""
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
    """Four convolutions with an eighth of the computation of `base`.

    The first one strides: at full size it would take more time than all others, for edges that the next one detects as
    well. Pooling comes before normalisation, which then has a quarter of the work.
    """
    return (
        images.convolution(32, kernel=5, strides=2)
        .convolution(64, pool=(2, 2))
        .convolution(128, pool=(2, 1))
        .convolution(256, pool=(2, 1))
        .columns()
        .dense(128, normalised=True, activation="relu")
    )


def _plate(images: Features) -> Features:
    """`small` with six residual blocks more, for small letters and hundreds of characters.

    Each is a depthwise and a pointwise convolution. After a short training, these read as much as full convolutions,
    and took a sixth of their time (docs/networks.md). They begin as the identity, so that the network starts from
    weights of `small` without a loss.
    """
    return (
        images.convolution(32, kernel=5, strides=2)
        .convolution(64, pool=(2, 2))
        .separable_residual(5)
        .separable_residual(5)
        .convolution(128, pool=(2, 1))
        .separable_residual(5)
        .separable_residual(5)
        .convolution(256, pool=(2, 1))
        .columns()
        .dense(128, normalised=True, activation="relu")
        .one_row()
        .separable_residual((1, 5))
        .separable_residual((1, 5))
        .columns()
    )


def _lite(images: Features) -> Features:
    """A quarter of the computation of `small`: every convolution strides, where `small` pools.

    Normalising the first convolution, whose output is the largest, would take a seventh of a training without effect.
    """
    return (
        images.convolution(32, kernel=5, strides=2, normalised=False)
        .convolution(48, strides=2)
        .convolution(96, strides=(2, 1))
        .convolution(160, strides=(2, 1))
        .columns()
        .dense(128, normalised=True, activation="relu")
    )


BACKBONE = Backbone(vgg, "summed", ("lite", "small", "plate", "base"), extends={"plate": "small"}, dense_rows=True)
