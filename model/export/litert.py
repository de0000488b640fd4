"""Export format litert: a file for phones and small boards (TensorFlow Lite), with the signatures of savedmodel.

The configuration is appended as a zip archive, like the files of TensorFlow Lite's metadata.
"""

from __future__ import annotations

import tempfile
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from numpy.typing import NDArray

from crnn_reader.config import CONFIG_ENTRY, ModelConfig
from crnn_reader.errors import UserError
from crnn_reader.runtime import Runtime
from model.export import savedmodel
from model.runtimes import Part, merged

PROPERTIES = {"suffix": ".tflite"}


def write(path: Path, parts: Sequence[Part], config: ModelConfig) -> None:
    """Write the `parts` of a network and its `config` to `path`. Raises UserError if LiteRT cannot represent them."""
    if config.width is None:
        raise UserError("LiteRT needs a network of one width, and this one has any width: choose ONNX", "form", "onnx")
    for part in parts:
        _unroll(part.network)
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "saved"
        savedmodel.write(saved, parts, config)
        keys = list(savedmodel.SIGNATURES[: len(merged(parts))])
        converter = tf.lite.TFLiteConverter.from_saved_model(str(saved), signature_keys=keys)
        try:
            path.write_bytes(converter.convert())
        except Exception as error:  # The converter raises many exceptions of its C++ code.
            reason = str(error).strip().partition("\n")[0]
            raise UserError(f"LiteRT cannot represent this network ({reason}): choose ONNX", "form", "onnx") from error
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(CONFIG_ENTRY, config.to_json())


def _unroll(network: Any) -> None:
    """Unroll recurrent layers: the format has no loops over columns."""
    for layer in network.layers:
        if isinstance(layer, keras.layers.Bidirectional):
            layer.forward_layer.unroll = layer.backward_layer.unroll = True


def opened(path: Path) -> Runtime:
    """The runtime for the parts in such a file."""
    with warnings.catch_warnings():
        # A warning that the interpreter moves to another package, which does not concern users.
        warnings.simplefilter("ignore")
        # Without delegates, which compute differently on each machine.
        kinds = tf.lite.experimental.OpResolverType
        interpreter = tf.lite.Interpreter(
            str(path), experimental_op_resolver_type=kinds.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        )
    runners = {name: interpreter.get_signature_runner(name) for name in interpreter.get_signature_list()}

    def run(inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str]) -> list[NDArray[Any]]:
        signature = next(runner for runner in runners.values() if set(outputs) <= set(runner.get_output_details()))
        found = signature(**inputs)
        return [found[name] for name in outputs]

    return run
