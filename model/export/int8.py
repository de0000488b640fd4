"""Quantise the convolutions and dense layers of an ONNX network to 8-bit integers. Recurrent layers stay floats."""

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
    """Batches for the calibration of activation ranges."""

    def __init__(self, batches: Iterator[dict[str, NDArray[Any]]]) -> None:
        self._batches = batches

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        return next(self._batches, None)


def int8(model: Any, batches: Iterator[dict[str, NDArray[Any]]]) -> Any:
    """Quantise weights and activations of an ONNX model (static, per channel), calibrated on `batches`.

    Weights have 7 bits, from -64 to 64. Processors without VNNI (x86 before about 2019) add pairs of products of an
    activation, 0 to 255, and a weight in 16 bits with saturation: 2 * 255 * 127 overflows, 2 * 255 * 64 does not. So
    the file reads the same everywhere.
    """
    # onnxruntime logs a warning for every node that it does not quantise.
    logging.getLogger().setLevel(logging.ERROR)
    weights = {initializer.name for initializer in model.graph.initializer}
    # Products without weights, such as positions in a rectified picture, need floats.
    products = [node for node in model.graph.node if node.op_type == "MatMul"]
    without_weights = [node.name for node in products if node.input[1] not in weights]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "int8.onnx"
        quantize_static(
            model,
            path,
            _Inputs(batches),
            op_types_to_quantize=["Conv", "MatMul", "MaxPool", "Relu"],
            nodes_to_exclude=without_weights,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        return onnx.load(path)
