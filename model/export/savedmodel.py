"""Export format savedmodel: a folder for TensorFlow and TensorFlow Serving.

It has a signature `encoder`, and `step` for attention. Inputs and outputs have the names of those in an ONNX file. The
configuration is in `assets.extra`, which TensorFlow leaves to other programs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from numpy.typing import NDArray

from crnn_reader.config import CONFIG_ENTRY, ModelConfig
from crnn_reader.errors import UserError
from crnn_reader.runtime import Runtime
from model.runtimes import Part, merged

PROPERTIES = {"suffix": ""}

SIGNATURES = ("encoder", "step")


def write(path: Path, parts: Sequence[Part], config: ModelConfig) -> None:
    """Write the `parts` of a network and its `config` to the folder `path`. Raises UserError on another backend."""
    if keras.backend.backend() != "tensorflow":
        raise UserError(
            f"TensorFlow writes this format, and KERAS_BACKEND is {keras.backend.backend()}: "
            "set KERAS_BACKEND=tensorflow, or choose another format"
        )
    archive = keras.export.ExportArchive()
    for name, part in zip(SIGNATURES, merged(parts), strict=False):
        archive.track(part.network)
        specifications = [
            tf.TensorSpec(tensor.shape, tensor.dtype, name=given)
            for given, tensor in zip(part.inputs, part.network.inputs, strict=True)
        ]
        archive.add_endpoint(name, _by_name(part), input_signature=specifications)
    archive.write_out(str(path), verbose=False)
    (path / "assets.extra").mkdir()
    (path / "assets.extra" / CONFIG_ENTRY).write_text(config.to_json(), encoding="utf-8")


def _by_name(part: Part) -> Any:
    """The network of a part, with its outputs by name."""

    def call(*inputs: Any) -> dict[str, Any]:
        found = part.network(list(inputs) if len(inputs) > 1 else inputs[0], training=False)
        return dict(zip(part.outputs, keras.tree.flatten(found), strict=True))

    return call


def opened(path: Path) -> Runtime:
    """The runtime for the parts in such a folder."""
    loaded = tf.saved_model.load(str(path))
    signatures = [loaded.signatures[name] for name in SIGNATURES if name in loaded.signatures]

    def run(inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str]) -> list[NDArray[Any]]:
        signature = next(each for each in signatures if set(outputs) <= set(each.structured_outputs))
        found = signature(**{name: tf.constant(array) for name, array in inputs.items()})
        return [found[name].numpy() for name in outputs]

    # Signatures do not keep a reference to their weights.
    run.loaded = loaded  # type: ignore[attr-defined]
    return run
