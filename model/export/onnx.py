"""Form onnx: one file that onnxruntime reads with, without Keras; our own reader does (crnn_reader.onnx).

A network with the head `ctc` is one graph, from `images` to `log_probabilities`. Attention has two, the encoder and a
step of the decoder, which beams and constraints ask for step by step. Both are in the one file, under an If: whoever
gives `images` gets what the encoder says of them; whoever leaves them out gives `characters`, the state and what the
encoder said, and gets what comes next.
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

PROPERTIES = {"suffix": ".onnx", "int8": True}

#: Of 2022 and 2021: old enough for every onnxruntime in use, and GridSample is there.
OPERATIONS, FILE_VERSION = 17, 8


def write(path: Path, parts: Sequence[Part], config: ModelConfig, encoded: Callable[[Any], Any] | None = None) -> None:
    """Write the `parts` of a network and its `config` to `path`; `encoded` may replace the encoder by another model.

    Raises UserError for a layer that the form has no operation for.
    """
    encoder, *steps = merged(parts)
    first = _model(encoder, "encoder/" if steps else "", ("batch", "columns"))
    whole = encoded(first) if encoded else first
    if steps:
        whole = _either(whole, _model(steps[0], "step/", ("texts", "looked_at")))
    whole.producer_name, whole.producer_version = "crnn-kit", config.kit_version
    written = config.to_json()
    sums = {CHECKSUM_ENTRY: checksum(whole.SerializeToString()), CONFIG_CHECKSUM_ENTRY: config_checksum(written)}
    helper.set_model_props(whole, {CONFIG_ENTRY: written, **sums})
    onnx.checker.check_model(whole)
    path.write_bytes(whole.SerializeToString())


def opened(path: Path) -> Runtime:
    """What runs the parts in a written file, checked as any model file is."""
    return open_model(path, read_config(path))


def _model(part: Part, prefix: str, axes: tuple[str, str]) -> Any:
    """A part as a model of its own, all names but those of inputs with a prefix; `axes` are what batch and columns."""
    graph, tensors = Graph(prefix), part.network.inputs
    given = [
        Value(name, shape=tuple(tensor.shape), dtype=tensor.dtype)
        for name, tensor in zip(part.inputs, tensors, strict=True)
    ]
    # Pictures are turned as bytes: sums along their single channel are slow.
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
    """The type of an input or output, and the lengths of its axes, or what they are called."""
    unknown = iter((axes[0], "width") if name == IMAGES else axes)
    shape = [next(unknown) if length is None else length for length in tensor.shape]
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(tensor.dtype)), shape)


def _either(encoder: Any, step: Any) -> Any:
    """Two models as one: the first where pictures are given, the second where not. What is not given is empty."""
    branches = []
    for model, other in ((encoder, step), (step, encoder)):
        branch = onnx.GraphProto()
        branch.CopyFrom(model.graph)
        del branch.input[:]
        for output in other.graph.output:
            nothing = numpy_helper.from_array(_nothing(output))
            # Its own name in each branch.
            name = f"{model.graph.name}/no/{output.name}"
            branch.node.append(helper.make_node("Constant", [], [name], value=nothing))
            empty = branch.output.add()
            empty.CopyFrom(output)
            empty.name = name
        branches.append(branch)
    # Of both branches in one order, the encoder's outputs first.
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
    """An array of that type without an element: axes without a length of their own have none."""
    kind = described.type.tensor_type
    shape = [axis.dim_value for axis in kind.shape.dim]
    return np.zeros(shape, helper.tensor_dtype_to_np_dtype(kind.elem_type))
