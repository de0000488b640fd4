"""Convert Keras models to ONNX operations, layer by layer, from their weights, on any backend.

Feature maps are (batch, height, width, channels) in Keras and (batch, channels, height, width) in ONNX. They are
transposed at the inputs and where they become columns. Masks of columns are bool (batch, columns) throughout, whereas
Keras has one for every row of a map. A new layer needs a function here, and a line in LAYERS.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import numpy as np
from keras import tree
from numpy.typing import ArrayLike, NDArray

from crnn_reader.errors import UserError
from model.rectifiers.spatial import LOOK, grid

#: The axes of a map with its channels second, in Keras' order.
CHANNELS_SECOND = (0, 2, 3, 1)


@dataclass(frozen=True)
class Value:
    """The value of a Keras tensor in the graph.

    Attributes:
        name: name of the value in the graph.
        channels_second: whether it is a feature map in ONNX's order of axes.
        maps: for columns that are made of feature maps, those maps. Layers of the columns then become layers of the
            maps, so that no transposition separates two convolutions.
        shape, dtype: as in Keras.
    """

    name: str
    channels_second: bool = False
    maps: Value | None = None
    shape: tuple[int | None, ...] = ()
    dtype: str = "float32"


@dataclass
class Graph:
    """The nodes and constants of a graph. All names begin with `prefix`."""

    prefix: str = ""
    nodes: list[Any] = field(default_factory=list)
    constants: dict[tuple[str, tuple[int, ...], bytes], tuple[str, NDArray[Any]]] = field(default_factory=dict)
    #: Operation, inputs and attributes of each node, by the name of its first output.
    made: dict[str, tuple[str, tuple[str, ...], dict[str, Any]]] = field(default_factory=dict)
    _done: dict[Any, list[str]] = field(default_factory=dict)

    def constant(self, value: ArrayLike, dtype: str = "float32") -> str:
        """Add a constant. Returns its name, the same one for equal arrays."""
        array = np.ascontiguousarray(np.asarray(value, dtype)).reshape(np.shape(value))
        key = dtype, array.shape, array.tobytes()
        if key not in self.constants:
            self.constants[key] = f"{self.prefix}constant_{len(self.constants)}", array
        return self.constants[key][0]

    def array(self, name: str) -> NDArray[Any]:
        """The constant with this name."""
        return next(array for known, array in self.constants.values() if known == name)

    def add(self, operation: str, *inputs: str, outputs: int = 1, **attributes: Any) -> str:
        """Add a node, unless there is an equal one. Returns the name of its first output."""
        return self.add_all(operation, *inputs, outputs=outputs, **attributes)[0]

    def add_all(self, operation: str, *inputs: str, outputs: int, **attributes: Any) -> list[str]:
        """Add a node, see :meth:`add`. Returns the names of all outputs."""
        from onnx import helper

        key = operation, inputs, repr(sorted(attributes.items()))
        if key not in self._done:
            first = f"{self.prefix}{operation.lower()}_{len(self.nodes)}"
            names = [first, *(f"{first}_{place}" for place in range(1, outputs))]
            self.nodes.append(helper.make_node(operation, inputs, names, first, **attributes))
            self._done[key] = names
            self.made[first] = operation, inputs, attributes
        return self._done[key]

    def add_as(self, name: str, value: str) -> None:
        """Give a value another name. Outputs need names of their own, even if they are also inputs or other outputs."""
        from onnx import helper

        self.nodes.append(helper.make_node("Identity", [value], [name], name))

    def proto(self, name: str, inputs: Sequence[Any], outputs: Sequence[Any]) -> Any:
        """Create the GraphProto, without unused nodes and constants. `inputs` and `outputs` are ValueInfoProtos."""
        from onnx import helper, numpy_helper

        needed, kept = {output.name for output in outputs}, []
        for node in reversed(self.nodes):
            if needed.intersection(node.output):
                needed.update(node.input)
                kept.append(node)
        constants = [numpy_helper.from_array(array, name) for name, array in self.constants.values() if name in needed]
        return helper.make_graph(kept[::-1], name, inputs, outputs, constants)

    # Operations that several layers need.

    def plain(self, value: Value) -> str:
        """A value with its axes in Keras' order."""
        return self.add("Transpose", value.name, perm=CHANNELS_SECOND) if value.channels_second else value.name

    def turned(self, value: Value) -> str:
        """Feature maps in ONNX's order of axes."""
        if value.channels_second:
            return value.name
        if value.shape[3:] == (1,) and value.shape[1]:
            # onnxruntime moves transpositions behind the next nodes, where one of a single channel is slow.
            return self.reshaped(value.name, 0, 1, value.shape[1], -1)
        return self.add("Transpose", value.name, perm=(0, 3, 1, 2))

    def row(self, value: Value) -> Value | None:
        """The maps of one row that columns are made of, or None."""
        return value.maps if value.maps and value.maps.shape[1] == 1 else None

    def columns(self, row: Value, shape: tuple[int | None, ...]) -> Value:
        """Convert maps of one row to columns. `shape` is that of the maps in Keras."""
        name = self.add("Transpose", self.add("Squeeze", row.name, self.integers(2)), perm=(0, 2, 1))
        return Value(name, maps=replace(row, shape=shape))

    def of(self, value: Any, like: Value) -> str:
        """The name of a tensor, or of a number or array as a constant with the dtype of `like`."""
        return self.plain(value) if isinstance(value, Value) else self.constant(np.asarray(value), like.dtype)

    def cast(self, name: str, dtype: str) -> str:
        from onnx import helper

        return self.add("Cast", name, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def size(self, name: str, axis: int) -> str:
        """The length of an axis, int64 (1,)."""
        return self.add("Shape", name, start=axis, end=axis + 1)

    def integers(self, *values: int) -> str:
        return self.constant(values, "int64")

    def reshaped(self, name: str, *shape: int) -> str:
        """Reshape a value: 0 keeps the length of an axis, -1 infers it."""
        return self.add("Reshape", name, self.integers(*shape))

    def with_axes(self, name: str, *axes: int) -> str:
        return self.add("Unsqueeze", name, self.integers(*axes))

    def activated(self, name: str, activation: Any) -> str:
        """Apply an activation function of Keras. Raises UserError for an unknown one."""
        operation = ACTIVATIONS.get(activation.__name__)
        if operation is None:
            raise UserError(f"ONNX export does not support the activation {activation.__name__}: choose another format")
        return self.add(operation, name) if operation else name


ACTIVATIONS = {"linear": "", "relu": "Relu", "tanh": "Tanh", "sigmoid": "Sigmoid"}


def convert(model: Any, graph: Graph, inputs: Sequence[Value]) -> list[Value]:
    """Add a functional Keras model to `graph`. Returns its outputs. Raises UserError for an unsupported layer."""
    known = {id(tensor): value for tensor, value in zip(model.inputs, inputs, strict=True)}

    def call(operation: Any, *args: Any, **kwargs: Any) -> Any:
        tensors = operation(*args, **kwargs)
        given, given_by_name = tree.map_structure(lambda x: known.get(id(x), x), (args, kwargs))
        found = _converter(operation)(graph, operation, *given, **given_by_name)
        values = found if isinstance(found, list) else [found]
        for tensor, value in zip(tree.flatten(tensors), values, strict=True):
            known[id(tensor)] = replace(value, shape=tuple(tensor.shape), dtype=tensor.dtype)
            # An id is only unique while the tensor exists.
            alive.append(tensor)
        return tensors

    alive: list[Any] = []
    same = keras.models.clone_model(
        model, input_tensors=model.input, clone_function=lambda layer: layer, call_function=call
    )
    return [known[id(tensor)] for tensor in same.outputs]


def _converter(operation: Any) -> Callable[..., Any]:
    for kind in type(operation).__mro__:
        if kind.__name__ in LAYERS:
            return LAYERS[kind.__name__]
    raise UserError(
        f"ONNX export does not support the layer {operation.name} ({type(operation).__name__}): choose another format"
    )


# Layers of feature maps.


def _convolution(graph: Graph, layer: Any, x: Value) -> Value:
    return _convolved(graph, layer, x, np.asarray(layer.kernel).transpose(3, 2, 0, 1), layer.groups)


def _depthwise_convolution(graph: Graph, layer: Any, x: Value) -> Value:
    rows, columns, channels, filters = layer.kernel.shape
    kernel = np.asarray(layer.kernel).reshape(rows, columns, channels * filters, 1)
    return _convolved(graph, layer, x, kernel.transpose(2, 3, 0, 1), channels)


def _convolved(graph: Graph, layer: Any, x: Value, kernel: NDArray[Any], groups: int) -> Value:
    inputs = [graph.turned(x), graph.constant(kernel)]
    if layer.use_bias:
        inputs.append(graph.constant(layer.bias))
    name = graph.add(
        "Conv",
        *inputs,
        kernel_shape=layer.kernel_size,
        strides=layer.strides,
        dilations=layer.dilation_rate,
        group=groups,
        auto_pad=PADDING[layer.padding],
    )
    return Value(graph.activated(name, layer.activation), True)


#: ONNX's names of Keras' padding. All backends pad as TensorFlow does.
PADDING = {"same": "SAME_UPPER", "valid": "VALID"}


def _pooling(operation: str) -> Callable[..., Value]:
    def pool(graph: Graph, layer: Any, x: Value) -> Value:
        name = graph.add(
            operation,
            graph.turned(x),
            kernel_shape=layer.pool_size,
            strides=layer.strides,
            auto_pad=PADDING[layer.padding],
        )
        return Value(name, True)

    return pool


def _zero_padding(graph: Graph, layer: Any, x: Value) -> Value:
    (top, bottom), (left, right) = layer.padding
    pads = graph.integers(0, 0, top, left, 0, 0, bottom, right)
    return Value(graph.add("Pad", graph.turned(x), pads), True)


def _batch_normalization(graph: Graph, layer: Any, x: Value, mask: Value | None = None) -> Value:
    variance, mean = np.asarray(layer.moving_variance), np.asarray(layer.moving_mean)
    scale = np.asarray(layer.gamma) if layer.scale else np.ones_like(mean)
    shift = np.asarray(layer.beta) if layer.center else np.zeros_like(mean)
    factor = scale / np.sqrt(variance + layer.epsilon)
    offset = shift - factor * mean
    if row := graph.row(x):
        return graph.columns(_batch_normalization(graph, layer, row), row.shape)
    if x.channels_second:
        if folded := _folded(graph, x.name, factor, offset):
            return Value(folded, True)
        statistics = [graph.constant(array) for array in (scale, shift, mean, variance)]
        return Value(graph.add("BatchNormalization", x.name, *statistics, epsilon=layer.epsilon), True)
    scaled = graph.add("Mul", x.name, graph.constant(factor))
    return Value(graph.add("Add", scaled, graph.constant(offset)))


def _folded(graph: Graph, name: str, factor: NDArray[Any], offset: NDArray[Any]) -> str | None:
    """Fold `factor` and `offset` of a batch normalisation into the convolution before it. None if there is none.

    With 8-bit integers this determines the speed of a network: a node between two convolutions would need floats.
    """
    operation, inputs, attributes = graph.made.get(name, ("", (), {}))
    if operation == "MaxPool" and (factor > 0).all():
        before = _folded(graph, inputs[0], factor, offset)
        return before and graph.add(operation, before, **attributes)
    if operation == "Conv":
        weights, *biases = (graph.array(constant) for constant in inputs[1:])
        weights = weights * factor[:, None, None, None]
        bias = offset + sum(factor * each for each in biases)
        return graph.add(operation, inputs[0], graph.constant(weights), graph.constant(bias), **attributes)
    return None


def _column_mask(graph: Graph, layer: Any, maps: Value, widths: Value) -> Value:
    axis = 3 if maps.channels_second else len(maps.shape) - 2
    count = graph.add("Squeeze", graph.size(maps.name, axis))
    numbers = graph.add("Range", graph.constant(0, "int64"), count, graph.constant(1, "int64"))
    return Value(graph.add("Less", numbers, graph.with_axes(graph.cast(widths.name, "int64"), 1)))


def _hide_columns(graph: Graph, layer: Any, maps: Value, mask: Value) -> Value:
    shown = graph.cast(mask.name, "float32")
    if len(maps.shape) == 3:
        return Value(graph.add("Mul", maps.name, graph.with_axes(shown, 2)))
    return Value(graph.add("Mul", graph.turned(maps), graph.with_axes(shown, 1, 2)), True)


# Rectifiers.


def _look(graph: Graph, layer: Any, maps: Value, widths: Value | None = None) -> Value:
    image = graph.turned(maps)
    shape = graph.add("Concat", graph.size(image, 0), graph.integers(*LOOK, 2), axis=0)
    places = graph.add("Expand", graph.constant(np.asarray(grid(*LOOK))), shape)
    return _sampled(graph, image, places, widths)


def _sampler(graph: Graph, layer: Any, maps: Value, moves: Value, widths: Value | None = None) -> Value:
    image, (_, rows, columns, _) = graph.turned(maps), maps.shape
    if widths is None:
        # The positions are the same for all pictures, so they are constants.
        filled = np.asarray(grid(rows, columns))
        terms = np.asarray(layer.basis(filled))
        places, basis = graph.constant(filled), graph.constant(terms.reshape(1, -1, terms.shape[-1]))
    else:
        places = _grid(graph, image, rows or 0, widths)
        given = keras.Input((rows, None, 2))
        network = keras.Model(given, layer.basis(given))
        (value,) = convert(network, graph, [Value(places, shape=(None, rows, None, 2))])
        basis = graph.reshaped(value.name, 0, -1, int(value.shape[-1] or 0))
    moved = graph.reshaped(graph.add("MatMul", basis, moves.name), 0, rows or 0, -1, 2)
    return _sampled(graph, image, graph.add("Add", places, moved), widths)


def _grid(graph: Graph, image: str, rows: int, widths: Value) -> str:
    """The positions of all pixels of each picture, as in model.rectifiers.spatial.grid with widths."""
    one, two = graph.constant(1), graph.constant(2)
    count = graph.add("Squeeze", graph.cast(graph.size(image, 3), "float32"))
    odd = graph.add("Add", graph.add("Mul", graph.add("Range", graph.constant(0), count, one), two), one)
    x = graph.add("Sub", graph.add("Div", odd, graph.with_axes(graph.cast(widths.name, "float32"), 1)), one)
    x = graph.with_axes(x, 1, 3)
    y = graph.constant(((2 * np.arange(rows) + 1) / rows - 1).reshape(1, rows, 1, 1))
    none = graph.constant(0)
    # Broadcast each along the axis of the other.
    both = [graph.add("Add", a, graph.add("Mul", b, none)) for a, b in ((x, y), (y, x))]
    return graph.add("Concat", *both, axis=-1)


def _sampled(graph: Graph, image: str, places: str, widths: Value | None) -> Value:
    """Sample pictures, as in model.rectifiers.spatial.sample.

    ONNX's positions are relative to all columns, including the padding.
    """
    if widths is not None:
        one, two = graph.constant(1), graph.constant(2)
        total = graph.cast(graph.size(image, 3), "float32")
        counts = graph.reshaped(graph.cast(widths.name, "float32"), -1, 1, 1, 1)
        x, y = graph.add_all("Split", places, graph.integers(1, 1), axis=-1, outputs=2)
        x = graph.add("Sub", graph.add("Div", graph.add("Mul", graph.add("Add", x, one), counts), total), one)
        # The last column before the padding is repeated.
        last = graph.add("Sub", graph.add("Div", graph.add("Sub", graph.add("Mul", counts, two), one), total), one)
        places = graph.add("Concat", graph.add("Min", x, last), y, axis=-1)
    sampled = graph.add("GridSample", image, places, mode="bilinear", padding_mode="border", align_corners=0)
    return Value(sampled, True)


# Columns.


def _permute(graph: Graph, layer: Any, x: Value) -> Value:
    axes = (0, *layer.dims)
    maps = x if x.channels_second and layer.dims == (2, 1, 3) else None
    if x.channels_second:
        axes = tuple(CHANNELS_SECOND[axis] for axis in axes)
    return Value(graph.add("Transpose", x.name, perm=axes), maps=maps)


def _reshape(graph: Graph, layer: Any, x: Value) -> Value:
    # Whether rows and channels of each column are merged.
    whole = len(layer.target_shape) == 2 and layer.target_shape[1] == math.prod(length or 0 for length in x.shape[2:])
    return Value(graph.reshaped(graph.plain(x), 0, *layer.target_shape), maps=x.maps if whole else None)


def _flatten(graph: Graph, layer: Any, x: Value) -> Value:
    return Value(graph.add("Flatten", graph.plain(x)))


def _dense(graph: Graph, layer: Any, x: Value) -> Value:
    if x.maps:
        return _dense_of_maps(graph, layer, x.maps)
    name = graph.add("MatMul", graph.plain(x), graph.constant(layer.kernel))
    if layer.use_bias:
        name = graph.add("Add", name, graph.constant(layer.bias))
    return Value(graph.activated(name, layer.activation))


def _dense_of_maps(graph: Graph, layer: Any, maps: Value) -> Value:
    """A dense layer of columns as a convolution over all rows. Merging rows and channels first takes far longer."""
    rows, channels = int(maps.shape[1] or 0), int(maps.shape[3] or 0)
    weights = np.asarray(layer.kernel).reshape(rows, channels, -1).transpose(2, 1, 0)[..., None]
    inputs = [maps.name, graph.constant(weights)]
    if layer.use_bias:
        inputs.append(graph.constant(layer.bias))
    name = graph.activated(graph.add("Conv", *inputs, kernel_shape=(rows, 1)), layer.activation)
    return graph.columns(Value(name, True), (None, 1, None, layer.units))


def _column_numbers(graph: Graph, layer: Any, columns: Value) -> Value:
    steps = int(columns.shape[1] or 0)
    shape = graph.add("Concat", graph.size(columns.name, 0), graph.integers(steps, steps), axis=0)
    return Value(graph.add("Concat", columns.name, graph.add("Expand", graph.constant(np.eye(steps)), shape), axis=-1))


def _bidirectional(graph: Graph, layer: Any, x: Value, mask: Value | None = None) -> Value:
    cells = [layer.forward_layer.cell, layer.backward_layer.cell]
    lengths = ""
    if mask is not None:
        lengths = graph.add("ReduceSum", graph.cast(mask.name, "int32"), graph.integers(1), keepdims=0)
    columns_first = graph.add("Transpose", x.name, perm=(1, 0, 2))
    outputs = _recurrent(graph, cells, columns_first, lengths)[0]
    if layer.merge_mode == "sum":
        summed = graph.add("ReduceSum", outputs, graph.integers(1), keepdims=0)
        return Value(graph.add("Transpose", summed, perm=(1, 0, 2)))
    side_by_side = graph.add("Transpose", outputs, perm=(2, 0, 1, 3))
    return Value(graph.reshaped(side_by_side, 0, 0, 2 * cells[0].units))


def _cell(graph: Graph, cell: Any, x: Value, state: Sequence[Value]) -> list[Value]:
    """One step of a recurrent cell. Returns the output and the parts of the state."""
    before = [graph.with_axes(part.name, 0) for part in state]
    after = _recurrent(graph, [cell], graph.with_axes(x.name, 0), "", *before)[1:]
    names = [graph.add("Squeeze", name, graph.integers(0)) for name in after]
    return [Value(name) for name in (names[0], *names)]


def _recurrent(graph: Graph, cells: Sequence[Any], x: str, lengths: str, *state: str) -> list[str]:
    """Add a recurrent layer in one or two directions.

    Returns the outputs, (columns, directions, batch, units), and the parts of the last state, (directions, batch,
    units).
    """
    kind = {"LSTMCell": "LSTM", "GRUCell": "GRU"}[type(cells[0]).__name__]
    for cell in cells:
        if (cell.activation.__name__, cell.recurrent_activation.__name__) != ("tanh", "sigmoid"):
            raise UserError(
                f"ONNX export supports the recurrent layer {cell.name} only with tanh and sigmoid: "
                "choose another format"
            )
    # LSTM gates in Keras: input, forget, cell, output; in ONNX: input, output, forget, cell. GRU gates have one order.
    order = (0, 3, 1, 2) if kind == "LSTM" else (0, 1, 2)

    def gates(weights: Any) -> NDArray[Any]:
        parts = np.split(np.asarray(weights), len(order), axis=-1)
        return np.concatenate([parts[place] for place in order], axis=-1)

    def biases(cell: Any) -> NDArray[Any]:
        # An LSTM of Keras has one bias, and one of ONNX has two, which are added.
        rows = np.asarray(cell.bias).reshape(-1, len(order) * cell.units)
        rows = np.concatenate([rows, np.zeros((2 - len(rows), rows.shape[1]))])
        return np.concatenate([gates(row) for row in rows])

    arrays = (
        np.stack([gates(cell.kernel).T for cell in cells]),
        np.stack([gates(cell.recurrent_kernel).T for cell in cells]),
        np.stack([biases(cell) for cell in cells]),
    )
    attributes = {"linear_before_reset": 1} if kind == "GRU" else {}
    return graph.add_all(
        kind,
        x,
        *map(graph.constant, arrays),
        lengths,
        *state,
        outputs=3 if kind == "LSTM" else 2,
        hidden_size=cells[0].units,
        direction="bidirectional" if len(cells) > 1 else "forward",
        **attributes,
    )


def _embedding(graph: Graph, layer: Any, x: Value) -> Value:
    return Value(graph.add("Gather", graph.constant(layer.embeddings), x.name))


# Elementwise and other small operations.


def _same(graph: Graph, layer: Any, x: Value, **_: Any) -> Value:
    return x


def _inner(graph: Graph, model: Any, *inputs: Value, mask: Any = None) -> list[Value]:
    """A model that is a layer of another model."""
    return convert(model, graph, inputs)


def _relu(graph: Graph, layer: Any, x: Value) -> Value:
    if row := graph.row(x):
        return graph.columns(_relu(graph, layer, row), row.shape)
    operation, inputs, attributes = graph.made.get(x.name, ("", (), {}))
    if operation == "MaxPool":
        # ReLU and maximum pooling commute, and after a convolution ReLU costs nothing.
        return Value(graph.add(operation, graph.add("Relu", inputs[0]), **attributes), True)
    return Value(graph.add("Relu", x.name), x.channels_second)


def _activation(graph: Graph, layer: Any, x: Value) -> Value:
    if layer.activation.__name__ == "relu":
        return _relu(graph, layer, x)
    return Value(graph.activated(x.name, layer.activation), x.channels_second)


def _each(operation: str) -> Callable[..., Value]:
    """An elementwise operation on one tensor."""
    return lambda graph, layer, x: Value(graph.add(operation, x.name), x.channels_second)


def _both(operation: str) -> Callable[..., Value]:
    """An operation on two tensors, or on a tensor and a number or array."""

    def combine(graph: Graph, layer: Any, *operands: Any) -> Value:
        first, second = operands[0] if len(operands) == 1 else operands
        like = first if isinstance(first, Value) else second
        if isinstance(first, Value) and isinstance(second, Value) and (first.channels_second or second.channels_second):
            return Value(graph.add(operation, graph.turned(first), graph.turned(second)), True)
        if like.channels_second and np.ndim(second if like is first else first) == 0:
            names = [x.name if isinstance(x, Value) else graph.constant(x, like.dtype) for x in (first, second)]
            return Value(graph.add(operation, *names), True)
        return Value(graph.add(operation, graph.of(first, like), graph.of(second, like)))

    return combine


def _floor_divide(graph: Graph, layer: Any, x: Value, by: int) -> Value:
    # ONNX's division of integers rounds towards zero.
    quotient = graph.add("Div", graph.cast(x.name, "float32"), graph.constant(by))
    return Value(graph.cast(graph.add("Floor", quotient), x.dtype))


def _concatenate(graph: Graph, layer: Any, parts: Sequence[Value]) -> Value:
    if any(part.channels_second for part in parts):
        axis = CHANNELS_SECOND[layer.axis % 4]
        return Value(graph.add("Concat", *map(graph.turned, parts), axis=axis), True)
    return Value(graph.add("Concat", *(part.name for part in parts), axis=layer.axis))


def _cast(graph: Graph, operation: Any, x: Value) -> Value:
    return x if x.dtype == operation.dtype else Value(graph.cast(x.name, operation.dtype), x.channels_second)


def _expand_dims(graph: Graph, operation: Any, x: Value) -> Value:
    if operation.axis == 1 and (row := graph.row(x)):
        return row
    return Value(graph.with_axes(graph.plain(x), operation.axis))


def _get_item(graph: Graph, operation: Any, x: Value, key: Any) -> Value:
    """Indexing, `x[..., a, b]`, with numbers, slices and new axes."""
    name, items = graph.plain(x), key[1:]
    left = sum(item is not None for item in items)
    for item in items:
        if item is None:
            name = graph.with_axes(name, -left - 1)
            continue
        if isinstance(item, slice):
            bounds = [graph.integers(value) for value in (item.start or 0, item.stop)]
            name = graph.add("Slice", name, *bounds, graph.integers(-left))
        else:
            name = graph.add("Gather", name, graph.constant(item, "int64"), axis=-left)
        left -= 1
    return Value(name)


def _where(graph: Graph, operation: Any, condition: Value, yes: Any, no: Any) -> Value:
    like = yes if isinstance(yes, Value) else no
    return Value(graph.add("Where", condition.name, graph.of(yes, like), graph.of(no, like)))


def _einsum(graph: Graph, operation: Any, *operands: Value) -> Value:
    return Value(graph.add("Einsum", *map(graph.plain, operands), equation=operation.subscripts))


def _along_last(name: str) -> Callable[..., Value]:
    return lambda graph, operation, x: Value(graph.add(name, graph.plain(x), axis=operation.axis))


def _ones_like(graph: Graph, operation: Any, x: Value) -> Value:
    zeros = graph.add("Mul", graph.plain(x), graph.constant(0))
    return Value(graph.add("Add", zeros, graph.constant(1)))


def _square(graph: Graph, operation: Any, x: Value) -> Value:
    return Value(graph.add("Mul", x.name, x.name), x.channels_second)


#: Converters by the name of the class of a layer or operation, or of one of its base classes.
LAYERS: dict[str, Callable[..., Any]] = {
    "Activation": _activation,
    "Add": _both("Add"),
    "AveragePooling2D": _pooling("AveragePool"),
    "BatchNormalization": _batch_normalization,
    "Bidirectional": _bidirectional,
    "Cast": _cast,
    "ColumnMask": _column_mask,
    "ColumnNumbers": _column_numbers,
    "Concatenate": _concatenate,
    "Conv2D": _convolution,
    "Dense": _dense,
    "DepthwiseConv2D": _depthwise_convolution,
    "Dropout": _same,
    "Einsum": _einsum,
    "Embedding": _embedding,
    "ExpandDims": _expand_dims,
    "Flatten": _flatten,
    "FloorDivide": _floor_divide,
    "Functional": _inner,
    "GRUCell": _cell,
    "GetItem": _get_item,
    "HideColumns": _hide_columns,
    "Identity": _same,
    "LSTMCell": _cell,
    "Log": _each("Log"),
    "LogSoftmax": _along_last("LogSoftmax"),
    "Look": _look,
    "Matmul": _both("MatMul"),
    "MaxPooling2D": _pooling("MaxPool"),
    "Maximum": _both("Max"),
    "Multiply": _both("Mul"),
    "OnesLike": _ones_like,
    "Permute": _permute,
    "Reshape": _reshape,
    "Sampler": _sampler,
    "Softmax": _along_last("Softmax"),
    "Square": _square,
    "Subtract": _both("Sub"),
    "Tanh": _each("Tanh"),
    "TrueDivide": _both("Div"),
    "Where": _where,
    "ZeroPadding2D": _zero_padding,
}
