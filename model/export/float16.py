"""Store the weights of an ONNX network as 16-bit floats, in half the space. The network computes in float32."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

#: Minimum number of elements of the arrays that are stored as 16-bit floats: kernels, but not biases and constants.
MIN_SIZE = 1024


def float16(graph: Any) -> None:
    """Store the large arrays of an ONNX graph and its subgraphs as float16, in place.

    A Cast node converts each of them. onnxruntime runs these nodes once, when it opens the file. Larger numbers than
    float16 can represent keep their array in float32.
    """
    inputs = {each.name for each in graph.input}
    casts = []
    for initializer in graph.initializer:
        if initializer.data_type != TensorProto.FLOAT or initializer.name in inputs:
            continue
        array = numpy_helper.to_array(initializer)
        if array.size < MIN_SIZE or np.abs(array).max() > np.finfo(np.float16).max:
            continue
        name = initializer.name
        initializer.CopyFrom(numpy_helper.from_array(array.astype(np.float16), f"{name}/float16"))
        casts.append(helper.make_node("Cast", [initializer.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                float16(attribute.g)
