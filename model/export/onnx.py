"""Form onnx: one file for onnxruntime, which `crnn_reader` reads without Keras.

A network with the head `ctc` is one graph, from `images` to `log_probabilities`. Attention has two graphs, the encoder
and a step of the decoder, because beams and constraints choose between steps. Both are branches of an If in one file:
with `images`, the encoder runs; without them, the step runs on `characters`, the state and the outputs of the encoder.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from crnn_reader.config import CONFIG_ENTRY, ModelConfig
from crnn_reader.model_files import open_model, read_config
from crnn_reader.onnx_metadata import CHECKSUM_ENTRY, CONFIG_CHECKSUM_ENTRY, checksum, config_checksum
from crnn_reader.runtime import IMAGES, Runtime
from model.export.onnx_layers import Graph, Value, convert
from model.runtimes import Part, merged

PROPERTIES = {"suffix": ".onnx", "int8": True, "float16": True}

#: Versions of the operator set (2022) and of the file format (2021): old enough for every onnxruntime in use, and with
#: GridSample.
OPERATIONS, FILE_VERSION = 17, 8


def write(
    path: Path,
    parts: Sequence[Part],
    config: ModelConfig,
    encoded: Callable[[Any], Any] | None = None,
    stored: Callable[[Any], None] | None = None,
) -> None:
    """Write an ONNX file.

    Arguments:
        path: the file.
        parts: the parts of the network.
        config: the configuration of the model.
        encoded: replaces the ONNX model of the encoder, for example by a quantised one.
        stored: changes in place how the graph of the whole network stores its arrays.

    Raises UserError for a layer that is not supported.
    """
    encoder, *steps = merged(parts)
    first = _model(encoder, "encoder/" if steps else "", ("batch", "columns"))
    whole = encoded(first) if encoded else first
    if steps:
        whole = _either(whole, _model(steps[0], "step/", ("texts", "looked_at")))
    if stored:
        stored(whole.graph)
    whole.producer_name, whole.producer_version = "crnn-kit", config.kit_version
    written = config.to_json()
    sums = {CHECKSUM_ENTRY: checksum(whole.SerializeToString()), CONFIG_CHECKSUM_ENTRY: config_checksum(written)}
    helper.set_model_props(whole, {CONFIG_ENTRY: written, **sums})
    onnx.checker.check_model(whole)
    path.write_bytes(whole.SerializeToString())


def opened(path: Path) -> Runtime:
    """Open a written file, with the checks of any model file. Returns a runtime for the parts in it."""
    return open_model(path, read_config(path))


def _model(part: Part, prefix: str, axes: tuple[str, str]) -> Any:
    """Convert a part to an ONNX model.

    Arguments:
        part: the part.
        prefix: prefix of all names except those of inputs.
        axes: names of the axes of variable length, the batch and the columns.
    """
    graph, tensors = Graph(prefix), part.network.inputs
    given = [
        Value(name, shape=tuple(tensor.shape), dtype=tensor.dtype)
        for name, tensor in zip(part.inputs, tensors, strict=True)
    ]
    # Pictures are transposed as bytes: sums along their single channel are slow.
    turned = [
        replace(value, name=graph.turned(value), channels_second=True) if len(value.shape) == 4 else value
        for value in given
    ]
    found = convert(part.network, graph, turned)
    outputs = [prefix + name for name in part.outputs]
    for value, name in zip(found, outputs, strict=True):
        graph.add_as(name, graph.plain(value))
    proto = graph.proto(
        prefix.strip("/") or "network",
        [_described(name, tensor, axes) for name, tensor in zip(part.inputs, tensors, strict=True)],
        [_described(name, tensor, axes) for name, tensor in zip(outputs, part.network.outputs, strict=True)],
    )
    return helper.make_model(proto, opset_imports=[helper.make_opsetid("", OPERATIONS)], ir_version=FILE_VERSION)


def _described(name: str, tensor: Any, axes: tuple[str, str]) -> Any:
    """The ValueInfoProto of an input or output: its dtype, and the length or name of each axis."""
    unknown = iter((axes[0], "width") if name == IMAGES else axes)
    shape = [next(unknown) if length is None else length for length in tensor.shape]
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(tensor.dtype)), shape)


def _either(encoder: Any, step: Any) -> Any:
    """Join two models: the first one runs if pictures are given, otherwise the second one.

    Inputs that are not given, and outputs of the other model, are empty.
    """
    branches = []
    for model, other in ((encoder, step), (step, encoder)):
        branch = onnx.GraphProto()
        branch.CopyFrom(model.graph)
        del branch.input[:]
        for output in other.graph.output:
            nothing = numpy_helper.from_array(_nothing(output))
            # The names of outputs must differ between the branches.
            name = f"{model.graph.name}/no/{output.name}"
            branch.node.append(helper.make_node("Constant", [], [name], value=nothing))
            empty = branch.output.add()
            empty.CopyFrom(output)
            empty.name = name
        branches.append(branch)
    # Both branches need their outputs in the same order: the encoder's first.
    second = list(branches[1].output)
    del branches[1].output[:]
    count = len(step.graph.output)
    branches[1].output.extend([*second[count:], *second[:count]])

    inputs = [*encoder.graph.input, *step.graph.input]
    outputs = []
    for described in (*encoder.graph.output, *step.graph.output):
        output = onnx.ValueInfoProto()
        output.CopyFrom(described)
        output.name = described.name.partition("/")[2]
        outputs.append(output)
    none = numpy_helper.from_array(np.array(0), "none")
    nodes = [
        helper.make_node("Size", [IMAGES], ["size"]),
        helper.make_node("Greater", ["size", "none"], ["given"]),
        helper.make_node(
            "If", ["given"], [output.name for output in outputs], then_branch=branches[0], else_branch=branches[1]
        ),
    ]
    empty_inputs = [numpy_helper.from_array(_nothing(each), each.name) for each in inputs]
    graph = helper.make_graph(nodes, "network", inputs, outputs, [none, *empty_inputs])
    return helper.make_model(graph, opset_imports=encoder.opset_import, ir_version=FILE_VERSION)


def _nothing(described: Any) -> Any:
    """An empty array of the type of an input or output. Axes of variable length have the length 0."""
    kind = described.type.tensor_type
    shape = [axis.dim_value for axis in kind.shape.dim]
    return np.zeros(shape, helper.tensor_dtype_to_np_dtype(kind.elem_type))
