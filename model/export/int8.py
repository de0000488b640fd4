"""ONNX networks in integers of 8 bits: convolutions and dense layers; recurrent layers keep their floats."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static


class _Inputs(CalibrationDataReader):
    """What the network is shown, for the ranges of what it computes."""

    def __init__(self, batches: Iterator[dict[str, NDArray[Any]]]) -> None:
        self._batches = batches

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        return next(self._batches, None)


def int8(model: Any, batches: Iterator[dict[str, NDArray[Any]]]) -> Any:
    """An ONNX model with quantised weights and activations (static, per channel), ranges as seen in the `batches`.

    Weights have 7 bits, from -64 to 64. Processors without VNNI (x86 before about 2019) add pairs of products of an
    activation, 0 to 255, and a weight in 16 bits and cut off what does not fit: 2 * 255 * 127 does not, 2 * 255 * 64
    does. So the file reads the same everywhere.
    """
    # It tells of every node that it leaves as it is.
    logging.getLogger().setLevel(logging.ERROR)
    weights = {initializer.name for initializer in model.graph.initializer}
    # What has no weights, such as places in a rectified picture, needs its floats.
    without = [node.name for node in model.graph.node if node.op_type == "MatMul" and node.input[1] not in weights]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "int8.onnx"
        quantize_static(
            model,
            path,
            _Inputs(batches),
            op_types_to_quantize=["Conv", "MatMul", "MaxPool", "Relu"],
            nodes_to_exclude=without,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        return onnx.load(path)
