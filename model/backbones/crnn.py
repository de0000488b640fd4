"""The convolutions of CRNN (Shi, Bai and Yao, arXiv 1507.05717): 32 rows become one, 100 columns become 26."""

from __future__ import annotations

from model.backbones import Backbone
from model.features import Features


def crnn(images: Features, preset: str) -> Features:
    """A column about every fourth pixel; `small` has half the channels.

    As in foamliu/CRNN and other PyTorch versions, every other convolution from the third on has batch normalisation.
    Heights above 32 leave more rows, which become channels.
    """
    part = {"base": 1, "small": 2}[preset]
    features = images.convolution(64 // part, normalised=False).pool(2)
    features = features.convolution(128 // part, normalised=False).pool(2)
    features = features.convolution(256 // part).convolution(256 // part, normalised=False)
    # Windows overlap in width, so that narrow letters keep columns of their own.
    features = features.padded(0, 1).pool(2, strides=(2, 1))
    features = features.convolution(512 // part).convolution(512 // part, normalised=False)
    features = features.padded(0, 1).pool(2, strides=(2, 1))
    return features.convolution(512 // part, kernel=2, padding="valid").columns()


BACKBONE = Backbone(crnn, "projected")
