"""Build a network layer by layer, for pictures that may differ in width within a batch.

In a network of any width, pictures of different widths are padded on the right. The padding is set to zero before every
layer with a horizontal extent, as such a layer pads the edges itself, and batch statistics leave it out. The
features of a picture therefore do not depend on the other pictures in its batch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import keras
from keras import layers, ops


class ExplicitMasks(layers.Layer):
    """A layer whose masks are arguments. Masks that Keras attaches to tensors are ignored and not passed on."""

    supports_masking = True

    def compute_mask(self, *inputs: Any, **masks: Any) -> None:
        return None


@keras.saving.register_keras_serializable(package="crnn_kit")
class ColumnMask(ExplicitMasks):
    """Maps (batch, …, columns, channels), widths, int32 (batch,) -> bool (batch, …, columns), False for padding."""

    def call(self, maps: Any, widths: Any) -> Any:
        mask = ops.arange(ops.shape(maps)[-2], dtype="int32") < ops.expand_dims(widths, -1)
        if len(maps.shape) == 4:
            # Batch normalisation needs a mask with rows.
            mask = ops.repeat(ops.expand_dims(mask, 1), maps.shape[1], axis=1)
        return mask

    def compute_output_spec(self, maps: Any, widths: Any) -> Any:
        return keras.KerasTensor(maps.shape[:-1], "bool")


@keras.saving.register_keras_serializable(package="crnn_kit")
class HideColumns(ExplicitMasks):
    """Set padding to zero."""

    def call(self, maps: Any, mask: Any) -> Any:
        return maps * ops.cast(ops.expand_dims(mask, -1), maps.dtype)

    def compute_output_spec(self, maps: Any, mask: Any) -> Any:
        return keras.KerasTensor(maps.shape, maps.dtype)


@keras.saving.register_keras_serializable(package="crnn_kit")
class ColumnNumbers(layers.Layer):
    """Append the one-hot number of each column to columns (batch, steps, features)."""

    def call(self, columns: Any) -> Any:
        steps = columns.shape[1]
        numbers = ops.broadcast_to(ops.eye(steps, dtype=columns.dtype), (ops.shape(columns)[0], steps, steps))
        return ops.concatenate([columns, numbers], -1)


#: The dtype of recurrent layers with any policy. cuDNN's recurrent kernels, several times as fast as a loop over steps,
#: take float32 on every backend: JAX supports nothing else, TensorFlow casts bfloat16 to float32 and back
#: (tensorflow/tensorflow#60108), and PyTorch has no bfloat16 for shapes that cuDNN declines (pytorch/pytorch#116925).
#: The next layer casts to the dtype of the policy again.
RECURRENT_DTYPE = "float32"


@dataclass(frozen=True)
class Features:
    """Feature maps (batch, height, width, channels), or columns (batch, width, channels). Each method adds a layer.

    `widths`, int32 (batch,), is the number of columns of each picture without padding; None in a network of one width.
    """

    maps: Any
    widths: Any = None

    @classmethod
    def of_images(cls, images: Any, widths: Any = None) -> Features:
        """Scale images, uint8, to -1…1."""
        return cls(ops.cast(images, "float32") / 127.5 - 1, widths)._hidden()

    def convolution(
        self,
        filters: int,
        kernel: int | tuple[int, int] = 3,
        strides: int | tuple[int, int] = 1,
        *,
        padding: str = "same",
        pool: int | tuple[int, int] | None = None,
        normalised: bool = True,
        activation: str | None = "relu",
    ) -> Features:
        """A convolution, then max-pooling with `pool`, batch normalisation if `normalised`, and an `activation`."""
        kernel, strides = _pair(kernel), _pair(strides)
        layer = layers.Conv2D(filters, kernel, strides=strides, padding=padding, use_bias=not normalised)
        widths = self.widths
        if widths is not None:
            # Without padding, the number of whole windows; with it, the number of strides.
            widths = (widths - (kernel[1] if padding == "valid" else 1)) // strides[1] + 1
        features = Features(layer(self.maps), widths)
        if pool:
            features = features.pool(pool)
        if normalised:
            features = features.normalised()
        if activation:
            features = features.activated(activation)
        return features._hidden()

    def pool(self, size: int | tuple[int, int], strides: int | tuple[int, int] | None = None) -> Features:
        """Max-pooling without padding; `size` and `strides` are (rows, columns)."""
        size = _pair(size)
        strides = _pair(strides or size)
        widths = self.widths
        if widths is not None:
            widths = (widths - size[1]) // strides[1] + 1
        return Features(layers.MaxPooling2D(size, strides)(self.maps), widths)

    def padded(self, rows: int, columns: int) -> Features:
        """Zeros on all four sides."""
        widths = None if self.widths is None else self.widths + 2 * columns
        return Features(layers.ZeroPadding2D((rows, columns))(self.maps), widths)

    def separable_residual(self, kernel: int | tuple[int, int]) -> Features:
        """Add a depthwise and a pointwise convolution of the maps to them. ReLU follows the first one, and the sum.

        Sources: MobileNets, arXiv 1704.04861; He et al. 2015 for the sum.

        The scale of its last normalisation begins at zero (Goyal et al. 2017, arXiv 1706.02677, section 5.1), so that
        the layers begin as the identity on maps that are not negative.
        """
        depthwise = layers.DepthwiseConv2D(_pair(kernel), padding="same", use_bias=False)
        pointwise = layers.Conv2D(self.maps.shape[-1], 1, use_bias=False)
        filtered = replace(self, maps=depthwise(self.maps)).normalised().activated("relu")._hidden()
        branch = replace(filtered, maps=pointwise(filtered.maps)).normalised("zeros")
        return branch.plus(self).activated("relu")._hidden()

    def normalised(self, scale: str = "ones") -> Features:
        """Batch normalisation. `scale` is the initializer of its scale."""
        layer = layers.BatchNormalization(gamma_initializer=scale)
        return replace(self, maps=layer(self.maps) if self.widths is None else layer(self.maps, mask=self.mask()))

    def activated(self, activation: str) -> Features:
        """An activation by its Keras name."""
        return replace(self, maps=layers.Activation(activation)(self.maps))

    def plus(self, other: Features) -> Features:
        """The sum of two maps of the same shape: a residual connection."""
        return replace(self, maps=layers.Add()([self.maps, other.maps]))

    def columns(self) -> Features:
        """(batch, height, width, channels) -> (batch, width, height * channels): columns become time steps."""
        _, height, _, channels = self.maps.shape
        maps = layers.Permute((2, 1, 3))(self.maps)
        return replace(self, maps=layers.Reshape((-1, height * channels))(maps))

    def one_row(self) -> Features:
        """(batch, width, channels) -> (batch, 1, width, channels)."""
        return replace(self, maps=ops.expand_dims(self.maps, 1))._hidden()

    def dense(self, units: int, *, normalised: bool = False, activation: str | None = None) -> Features:
        """The same dense layer for every column."""
        features = replace(self, maps=layers.Dense(units, use_bias=not normalised)(self.maps))
        if normalised:
            features = features.normalised()
        return features.activated(activation) if activation else features

    def of_rows(self, rows: int) -> Features:
        """Split every column into `rows` columns, one for each row of text, the upper row first; for one width only."""
        _, columns, features = self.maps.shape
        wider = self.dense(rows * features, normalised=True, activation="relu")
        maps = layers.Reshape((columns, rows, features))(wider.maps)
        maps = layers.Permute((2, 1, 3))(maps)
        return replace(self, maps=layers.Reshape((rows * columns, features))(maps))

    def numbered(self) -> Features:
        """Append the one-hot number of each column, in a network of one width."""
        return replace(self, maps=ColumnNumbers()(self.maps))

    def recurrent(self, layer: type[layers.Layer], units: int, merge_mode: str = "concat") -> Features:
        """A bidirectional recurrent layer over the columns, without padding."""
        one_way = layer(units, return_sequences=True, dtype=RECURRENT_DTYPE)
        both = layers.Bidirectional(one_way, merge_mode=merge_mode, dtype=RECURRENT_DTYPE)
        return replace(self, maps=both(self.maps) if self.widths is None else both(self.maps, mask=self.mask()))

    def dropout(self, rate: float) -> Features:
        """Dropout."""
        return replace(self, maps=layers.Dropout(rate)(self.maps))

    def mask(self) -> Any:
        """The mask, bool with the shape of the maps without channels, False for padding; None in one width."""
        return None if self.widths is None else ColumnMask()(self.maps, self.widths)

    def _hidden(self) -> Features:
        return self if self.widths is None else replace(self, maps=HideColumns()(self.maps, self.mask()))


def _pair(size: int | tuple[int, int]) -> tuple[int, int]:
    return size if isinstance(size, tuple) else (size, size)
