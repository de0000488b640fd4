"""VGG-like stacks of 3×3 convolutions (Simonyan and Zisserman 2014), two sizes of them."""

from __future__ import annotations

from typing import Any

from keras import layers, ops


def vgg(images: Any, preset: str) -> Any:
    """Columns every fourth pixel: `base` as CRNN-Keras published it, `small` made for a CPU."""
    return (_base if preset == "base" else _small)(images)


def _base(images: Any) -> Any:
    """CRNN-Keras' seven convolutions; height 64 and width 128 become 32 columns of 2048, then of 64."""
    x = _scaled(images)
    x = _convolution(x, 64)
    x = layers.MaxPooling2D(2)(x)
    x = _convolution(x, 128)
    x = layers.MaxPooling2D(2)(x)
    x = _convolution(x, 256)
    x = _convolution(x, 256)
    x = layers.MaxPooling2D((2, 1))(x)
    x = _convolution(x, 512)
    x = _convolution(x, 512)
    x = layers.MaxPooling2D((2, 1))(x)
    x = _convolution(x, 512, kernel=2)
    return layers.Dense(64, activation="relu")(_columns(x))


def _small(images: Any) -> Any:
    """Four convolutions at an eighth of the arithmetic of `base`.

    The first one strides: at full size it would cost more time than all others, for edges that the
    next one sees as well. Pooling comes before normalisation, which then has a quarter of the work.
    """
    x = _scaled(images)
    x = _convolution(x, 32, kernel=5, strides=2)
    x = _convolution(x, 64, pool=(2, 2))
    x = _convolution(x, 128, pool=(2, 1))
    x = _convolution(x, 256, pool=(2, 1))
    x = layers.Dense(128, use_bias=False)(_columns(x))
    x = layers.BatchNormalization()(x)
    return layers.ReLU()(x)


def _scaled(images: Any) -> Any:
    """Grey values 0…255 to -1…1."""
    return ops.cast(images, "float32") / 127.5 - 1


def _convolution(x: Any, filters: int, kernel: int = 3, strides: int = 1, pool: tuple[int, int] | None = None) -> Any:
    x = layers.Conv2D(filters, kernel, strides=strides, padding="same", use_bias=False)(x)
    if pool:
        x = layers.MaxPooling2D(pool)(x)
    x = layers.BatchNormalization()(x)
    return layers.ReLU()(x)


def _columns(x: Any) -> Any:
    """(batch, height, width, channels) -> (batch, width, height * channels): width becomes time."""
    _, height, width, channels = x.shape
    x = layers.Permute((2, 1, 3))(x)
    return layers.Reshape((width, height * channels))(x)
