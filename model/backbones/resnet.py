"""The residual network of scene text recognition (Cheng et al. 2017, "Focusing Attention", arXiv 1709.02054, table 1).

The deep-text-recognition benchmark (Baek et al., arXiv 1904.01906) uses it, too.
"""

from __future__ import annotations

from model.backbones import Backbone
from model.features import Features

#: Number of residual blocks in the four stages: 29 convolutions in `base`, 17 in `small`.
BLOCKS = {"base": (1, 2, 5, 3), "small": (1, 1, 2, 1)}


def resnet(images: Features, preset: str) -> Features:
    """100x32 pixels become 26 columns; `small` has half the channels and fewer blocks."""
    part = {"base": 1, "small": 2}[preset]
    channels = [128 // part, 256 // part, 512 // part, 512 // part]
    features = images.convolution(32 // part).convolution(64 // part).pool(2)
    features = _stage(features, channels[0], BLOCKS[preset][0]).pool(2)
    features = _stage(features, channels[1], BLOCKS[preset][1]).padded(0, 1).pool(2, strides=(2, 1))
    features = _stage(features, channels[2], BLOCKS[preset][2])
    for _ in range(BLOCKS[preset][3]):
        features = _block(features, channels[3])
    features = features.padded(0, 1).convolution(channels[3], kernel=2, strides=(2, 1), padding="valid")
    return features.convolution(channels[3], kernel=2, padding="valid").columns()


def _stage(features: Features, channels: int, blocks: int) -> Features:
    for _ in range(blocks):
        features = _block(features, channels)
    return features.convolution(channels)


def _block(features: Features, channels: int) -> Features:
    """Two convolutions and a shortcut (He et al. 2015), which is projected if the number of channels differs."""
    shortcut = features
    if features.maps.shape[-1] != channels:
        shortcut = features.convolution(channels, kernel=1, activation=None)
    return features.convolution(channels).convolution(channels, activation=None).plus(shortcut).activated("relu")


BACKBONE = Backbone(resnet, "projected")
