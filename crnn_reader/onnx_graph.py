"""Check the graph of an ONNX file before onnxruntime loads it.

A graph may only have operators that this kit's export writes, and finite weights. It must not refer to other files, or
contain loops, functions or operators of other domains. The results of computations on constants must not be much larger
than the constants, because onnxruntime computes them while loading. Fields are parsed as defined in onnx.proto; fields
that an export never writes are refused.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .onnx_metadata import BYTES, FIXED32, VARINT, fields, varint

#: Operators whose output has at most as many elements as their first input.
_NO_LARGER = frozenset(
    "Cast DequantizeLinear Flatten Floor Identity Log LogSoftmax QuantizeLinear ReduceSum Relu Reshape Shape Sigmoid "
    "Size Slice Softmax Split Squeeze Tanh Transpose Unsqueeze".split()
)
#: Operators whose output may be larger than all their inputs together.
_GROWING = frozenset("AveragePool Conv Expand GRU GridSample LSTM MaxPool Pad Range".split())
#: All operators that model.export writes, including those of 8-bit quantisation.
OPERATORS = (
    _NO_LARGER
    | _GROWING
    | frozenset(
        "Add BatchNormalization Concat Constant Div Einsum Gather Greater If Less MatMul Max Min Mul Sub Where".split()
    )
)
#: All attributes of nodes that model.export writes.
ATTRIBUTES = frozenset(
    "align_corners auto_pad axis dilations direction else_branch end epsilon equation group hidden_size keepdims "
    "kernel_shape linear_before_reset mode padding_mode perm start strides then_branch to value".split()
)

#: Maximum number of nodes, constants and protobuf fields of a graph and its subgraphs. The largest network of this kit
#: has about 400 nodes and 400 constants.
MAX_NODES, MAX_CONSTANTS, MAX_FIELDS = 5_000, 10_000, 500_000
#: Maximum number of elements in a result computed from constants, and in a tensor whose shape is given by a constant.
MAX_COMPUTED, MAX_SHAPED = 1 << 24, 1 << 28
#: Maximum of integer constants and of the axes of inputs, and of integer attributes such as kernel sizes.
MAX_AXIS, MAX_ATTRIBUTE = 1 << 24, 10_000

#: Data types of TensorProto: their name, and the field with the elements if there is no raw_data.
_TYPES = {
    1: ("float32", "float_data"),
    2: ("uint8", "int32_data"),
    3: ("int8", "int32_data"),
    6: ("int32", "int32_data"),
    7: ("int64", "int64_data"),
    9: ("bool", "int32_data"),
    10: ("float16", "int32_data"),
}
_FLOAT, _INT, _STRING, _TENSOR, _GRAPH, _INTS = 1, 2, 3, 4, 5, 7

#: The fields of a message by field number: name, wire type, and whether the field is repeated.
_Schema = Mapping[int, tuple[str, int, bool]]
_MODEL: _Schema = {
    1: ("ir_version", VARINT, False),
    2: ("producer_name", BYTES, False),
    3: ("producer_version", BYTES, False),
    4: ("domain", BYTES, False),
    5: ("model_version", VARINT, False),
    6: ("doc_string", BYTES, False),
    7: ("graph", BYTES, False),
    8: ("opset_import", BYTES, True),
    14: ("metadata_props", BYTES, True),
}
_OPERATOR_SET: _Schema = {1: ("domain", BYTES, False), 2: ("version", VARINT, False)}
_GRAPH_FIELDS: _Schema = {
    1: ("node", BYTES, True),
    2: ("name", BYTES, False),
    5: ("initializer", BYTES, True),
    10: ("doc_string", BYTES, False),
    11: ("input", BYTES, True),
    12: ("output", BYTES, True),
    13: ("value_info", BYTES, True),
    14: ("quantization_annotation", BYTES, True),
    16: ("metadata_props", BYTES, True),
}
_NODE: _Schema = {
    1: ("input", BYTES, True),
    2: ("output", BYTES, True),
    3: ("name", BYTES, False),
    4: ("op_type", BYTES, False),
    5: ("attribute", BYTES, True),
    6: ("doc_string", BYTES, False),
    7: ("domain", BYTES, False),
    9: ("metadata_props", BYTES, True),
}
_ATTRIBUTE: _Schema = {
    1: ("name", BYTES, False),
    2: ("f", FIXED32, False),
    3: ("i", VARINT, False),
    4: ("s", BYTES, False),
    5: ("t", BYTES, False),
    6: ("g", BYTES, False),
    8: ("ints", VARINT, True),
    13: ("doc_string", BYTES, False),
    20: ("type", VARINT, False),
}
_ARRAY: _Schema = {
    1: ("dims", VARINT, True),
    2: ("data_type", VARINT, False),
    4: ("float_data", FIXED32, True),
    5: ("int32_data", VARINT, True),
    7: ("int64_data", VARINT, True),
    8: ("name", BYTES, False),
    9: ("raw_data", BYTES, False),
    12: ("doc_string", BYTES, False),
    13: ("external_data", BYTES, True),
    14: ("data_location", VARINT, False),
    16: ("metadata_props", BYTES, True),
}
_VALUE: _Schema = {
    1: ("name", BYTES, False),
    2: ("type", BYTES, False),
    3: ("doc_string", BYTES, False),
    4: ("metadata_props", BYTES, True),
}
_TYPE: _Schema = {1: ("tensor_type", BYTES, False), 6: ("denotation", BYTES, False)}
_TENSOR_TYPE: _Schema = {1: ("elem_type", VARINT, False), 2: ("shape", BYTES, False)}
_SHAPE: _Schema = {1: ("dim", BYTES, True)}
_AXIS: _Schema = {1: ("dim_value", VARINT, False), 2: ("dim_param", BYTES, False), 3: ("denotation", BYTES, False)}


class Value(NamedTuple):
    """An input or output of a network: its data type and its shape, with None for axes of variable length."""

    dtype: str
    shape: tuple[int | None, ...]


class Interface(NamedTuple):
    """The inputs and outputs of a network by name."""

    inputs: dict[str, Value]
    outputs: dict[str, Value]


def check(content: bytes) -> Interface:
    """Check the graph in the content of an ONNX file. Returns the inputs and outputs of the network.

    Raises ValueError with the reason for a graph that this kit's export never writes: one with other operators,
    functions, data types or fields, with weights in another file, with NaN or infinity, or beyond the limits of this
    module.
    """
    return _Check().model(memoryview(content))


class _Check:
    """Checks one file, and counts its fields, nodes and constants."""

    def __init__(self) -> None:
        self._fields, self._nodes, self._constants = MAX_FIELDS, 0, 0

    def model(self, content: memoryview) -> Interface:
        found = self._message(content, _MODEL, "file")
        for each in found.get("opset_import", []):
            self._ordinary(self._message(each, _OPERATOR_SET, "operator set"))
        network = self._message(_only(found, "graph"), _GRAPH_FIELDS, "network")
        interface = Interface(dict(self._values(network, "input")), dict(self._values(network, "output")))
        self._network(network, {}, inner=False)
        return interface

    def _message(self, message: memoryview, schema: _Schema, what: str) -> dict[str, list[Any]]:
        """Parse a message. Returns the values of each field by its name. `what` names the message in errors."""
        found = dict[str, list[Any]]()
        for number, kind, value in fields(message, self._fields + 1):
            self._fields -= 1
            name, usual, several = schema.get(number, ("", VARINT, False))
            if not name or (kind != usual and not (several and kind == BYTES)):
                raise ValueError(f"its {what} has a field of number {number}, which an export of this kit never has")
            values = found.setdefault(name, [])
            if kind == usual:
                values.append(value)
            else:
                # A packed repeated field: one length, then all numbers.
                values += self._packed(value, usual)  # type: ignore[arg-type]
            if len(values) > 1 and not several:
                raise ValueError(f"its {what} has the field {name} twice")
        if self._fields <= 0:
            raise ValueError(f"it has more than {MAX_FIELDS:,} fields")
        return found

    def _packed(self, message: memoryview, kind: int) -> Iterator[int | memoryview]:
        if kind == FIXED32:
            if len(message) % 4:
                raise ValueError("it ends too early")
            yield message
            return
        place = 0
        while place < len(message):
            value, place = varint(message, place)
            self._fields -= 1
            if self._fields <= 0:
                raise ValueError(f"it has more than {MAX_FIELDS:,} fields")
            yield value

    def _ordinary(self, found: Mapping[str, list[Any]]) -> None:
        if domain := _text(found, "domain"):
            raise ValueError(f"it asks for operators of {domain[:40]!r}")

    def _network(self, network: Mapping[str, list[Any]], outer: Mapping[str, int], inner: bool) -> None:
        """Check the constants and nodes of a graph.

        Arguments:
            network: the fields of the graph.
            outer: number of elements of each constant of the enclosing graph, by name.
            inner: whether the graph is a branch of an If node.
        """
        given = {_text(self._message(each, _VALUE, "input"), "name") for each in network.get("input", [])}
        sizes = {name: size for name, size in outer.items() if name not in given}
        for each in network.get("initializer", []):
            name, size = self._array(each)
            # An initializer with the name of an input is only its default value, so it is not constant.
            if name not in given:
                sizes[name] = size
        for each in network.get("node", []):
            self._node(self._message(each, _NODE, "node"), sizes, inner)

    def _node(self, node: Mapping[str, list[Any]], sizes: dict[str, int], inner: bool) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise ValueError(f"it has more than {MAX_NODES:,} nodes")
        operator = _text(node, "op_type")
        self._ordinary(node)
        if operator not in OPERATORS or (operator == "If" and inner):
            raise ValueError(f"it has the operator {operator[:40]!r}, which export never writes there")
        made = {size for each in node.get("attribute", []) for size in self._attribute(each, operator, sizes)}
        inputs = [str(name, "utf-8") for name in node.get("input", [])]
        if operator == "Constant":
            size = max(made, default=0)
        elif operator == "If" or not inputs or any(name and name not in sizes for name in inputs):
            # The output depends on the pictures, so it is not constant.
            return
        else:
            size = _size(operator, [sizes[name] for name in inputs if name])
        for name in node.get("output", []):
            sizes[str(name, "utf-8")] = size

    def _attribute(self, message: memoryview, operator: str, sizes: Mapping[str, int]) -> Iterator[int]:
        """Check an attribute of a node. Yields the number of elements if the attribute is a tensor."""
        found = self._message(message, _ATTRIBUTE, "attribute")
        name, kind = _text(found, "name"), found.get("type", [0])[0]
        numbers = [_signed(number) for number in (*found.get("i", []), *found.get("ints", []))]
        if any(abs(number) > MAX_ATTRIBUTE for number in numbers):
            raise ValueError(f"a node {operator} has the {name[:40]!r} {max(numbers, key=abs)}")
        if "f" in found and not np.isfinite(np.frombuffer(found["f"][0], "<f4")).all():
            raise ValueError(f"a node {operator} has a {name[:40]!r} that is no number")
        kinds = {_FLOAT, _INT, _STRING, _INTS}
        kinds |= {"value": {_TENSOR}, "then_branch": {_GRAPH}, "else_branch": {_GRAPH}}.get(name, set())
        if (
            name not in ATTRIBUTES
            or kind not in kinds
            or ("t" in found and kind != _TENSOR)
            or ("g" in found and kind != _GRAPH)
        ):
            raise ValueError(f"a node {operator} has an attribute {name[:40]!r} that export never writes")
        if "t" in found:
            yield self._array(found["t"][0])[1]
        if "g" in found:
            self._network(self._message(found["g"][0], _GRAPH_FIELDS, "branch"), sizes, inner=True)

    def _array(self, message: memoryview) -> tuple[str, int]:
        """Check a constant. Returns its name and its number of elements."""
        self._constants += 1
        if self._constants > MAX_CONSTANTS:
            raise ValueError(f"it has more than {MAX_CONSTANTS:,} constants")
        found = self._message(message, _ARRAY, "constant")
        name = _text(found, "name")
        subject = f"the constant {name[:80]!r}"
        if found.get("external_data") or found.get("data_location", [0])[0]:
            raise ValueError(f"{subject} lies in another file")
        dtype, typed = _TYPES.get(found.get("data_type", [0])[0], ("", ""))
        if not dtype:
            raise ValueError(f"{subject} has numbers of a type that export never writes")
        dims = [_signed(length) for length in found.get("dims", [])]
        size = math.prod(dims)
        if any(length < 0 for length in dims) or len(dims) > 8:
            raise ValueError(f"{subject} has the shape {dims[:9]}")
        values = _values(found, dtype, typed)
        if values.size != size:
            raise ValueError(f"{subject} has {values.size:,} numbers and says {size:,}")
        if dtype in ("float32", "float16") and not np.isfinite(values).all():
            raise ValueError(f"{subject} holds NaN or infinity")
        if dtype == "int64" and size:
            stated = math.prod(number for number in values.ravel()[:8].tolist() if number > 0)
            if np.abs(values).max() > MAX_AXIS or values.min() < -MAX_AXIS or stated > MAX_SHAPED:
                raise ValueError(f"{subject} states the gigantic length {max(values.ravel().tolist(), key=abs)}")
        return name, size

    def _values(self, network: Mapping[str, list[Any]], field: str) -> Iterator[tuple[str, Value]]:
        """Yield the names and types of the inputs or outputs of a network."""
        for each in network.get(field, []):
            found = self._message(each, _VALUE, field)
            name = _text(found, "name")
            kind = self._message(_only(found, "type"), _TYPE, "type")
            tensor = self._message(_only(kind, "tensor_type"), _TENSOR_TYPE, "type")
            shape = self._message(_only(tensor, "shape"), _SHAPE, "shape")
            axes = [self._message(axis, _AXIS, "axis").get("dim_value", [None])[0] for axis in shape.get("dim", [])]
            if any(length is not None and not 0 < length <= MAX_AXIS for length in axes):
                raise ValueError(f"its {field} {name[:40]!r} has the shape {axes[:9]}")
            yield name, Value(_TYPES.get(tensor.get("elem_type", [0])[0], ("", ""))[0], tuple(axes))


def _values(found: Mapping[str, list[Any]], dtype: str, typed: str) -> NDArray[Any]:
    """The elements of a constant. Raises ValueError if they are in a field of another data type."""
    present = [field for field in ("raw_data", "float_data", "int32_data", "int64_data") if found.get(field)]
    if present == ["raw_data"]:
        raw = found["raw_data"][0]
        kind = np.dtype(dtype).newbyteorder("<")
        if len(raw) % kind.itemsize:
            raise ValueError("a constant ends too early")
        return np.frombuffer(raw, kind)
    if not present:
        return np.zeros(0, dtype)
    if present != [typed]:
        raise ValueError(f"a constant has its numbers in {' and '.join(present)}")
    if typed == "float_data":
        return np.frombuffer(b"".join(found[typed]), "<f4")
    return np.array([_signed(number) for number in found[typed]], "int64")


def _size(operator: str, sizes: list[int]) -> int:
    """Upper bound on the number of elements that a node computes from constants with these numbers of elements.

    Raises ValueError if there is no bound, or if it exceeds MAX_COMPUTED.
    """
    if operator in _GROWING:
        raise ValueError(f"it has a node {operator} with only constants, whose result could be of any size")
    if operator in ("Shape", "Size"):
        return 8
    if operator in _NO_LARGER:
        return sizes[0]
    size = sum(sizes) if operator == "Concat" else math.prod(sizes)
    if size > MAX_COMPUTED:
        raise ValueError(
            f"it has a node {operator} with only constants, which could make more than {MAX_COMPUTED:,} numbers"
        )
    return size


def _text(found: Mapping[str, Iterable[Any]], field: str) -> str:
    return "".join(str(value, "utf-8") for value in found.get(field, ()))


def _only(found: Mapping[str, list[Any]], field: str) -> memoryview:
    if field not in found:
        raise ValueError(f"it has no {field} where one belongs")
    value: memoryview = found[field][0]
    return value


def _signed(number: int) -> int:
    """Convert a 64-bit integer from unsigned to two's complement, which protobuf uses for signed integers."""
    return number - (1 << 64) if number >= 1 << 63 else number
