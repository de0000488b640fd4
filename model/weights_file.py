"""Read the arrays of a `.keras` file into the network of its configuration.

Keras stores weights in HDF5: groups named after the classes of layers, and in them the arrays `vars/0`, `vars/1` … So a
layer whose class is renamed no longer finds its weights in old files. Only arrays are read from the file, and only if
their names and shapes are those of the network that the configuration describes.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

import h5py
import keras
import numpy as np
from numpy.typing import NDArray

from crnn_reader.config import ModelConfig
from model.backend import precision
from model.network import build

Shapes: TypeAlias = dict[str, tuple[int, ...]]

#: Maximum number of groups and arrays, and maximum depth of groups. The largest network of this kit has some 400.
MAX_OBJECTS, MAX_DEPTH = 10_000, 20


def network(content: bytes, config: ModelConfig) -> Any:
    """Build the network of `config` in float32, with the weights in the `content` of a file.

    Raises ValueError for other arrays than those of the network, before memory of their size is allocated, and for NaN
    and infinity. HDF5 raises many exceptions for damaged files.
    """
    with h5py.File(io.BytesIO(content), "r") as file:
        arrays = dict(_arrays(file, len(content)))
        # In a thread: Keras' records of variables without values are thread-local, and end with it.
        with ThreadPoolExecutor(1) as thread:
            expected = thread.submit(_shapes, config).result()
        if misfit := _misfit({name: array.shape for name, array in arrays.items()}, expected):
            raise ValueError(f"its arrays are not those of the network that it describes: {misfit}")
        with precision("float32"):
            built = build(config)
        for path, layer in _holders(built):
            own = _own(layer)
            layer.load_own_variables({number: _numbers(arrays[f"{path}vars/{number}"]) for number in own})
    return built


def _arrays(group: Any, largest: int, path: str = "", seen: set[int] | None = None) -> Iterator[tuple[str, Any]]:
    """Yield the arrays in a group and the groups below it, with their paths.

    Raises ValueError for everything that Keras does not write: links, arrays that are in other files, compressed, not
    float32 or larger than `largest` bytes, and too many objects.
    """
    seen = set() if seen is None else seen
    for name in group:
        subject = f"{path}{name}"[:80]
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise ValueError(f"{subject!r} is a link")
        member = group[name]
        address = h5py.h5o.get_info(member.id).addr
        if address in seen or len(seen) >= MAX_OBJECTS or path.count("/") >= MAX_DEPTH:
            raise ValueError(f"{subject!r} is there twice, or too many are there")
        seen.add(address)
        if isinstance(member, h5py.Group):
            yield from _arrays(member, largest, f"{path}{name}/", seen)
        elif not isinstance(member, h5py.Dataset):
            raise ValueError(f"{subject!r} is not an array")
        elif member.dtype != np.float32:
            raise ValueError(f"{subject!r} holds {str(member.dtype)[:40]}, not float32")
        elif member.is_virtual or member.external or member.id.get_create_plist().get_nfilters() or member.chunks:
            raise ValueError(f"{subject!r} is packed, or lies in another file")
        elif member.shape is None or member.nbytes > largest:
            raise ValueError(f"{subject!r} is of the shape {member.shape}, larger than the file")
        else:
            yield f"{path}{name}", member


def _numbers(array: Any) -> NDArray[np.float32]:
    numbers: NDArray[np.float32] = array[()]
    if not np.isfinite(numbers).all():
        raise ValueError(f"{array.name} holds NaN or infinity")
    return numbers


def _shapes(config: ModelConfig) -> Shapes:
    """The shapes of the weights of a network by name, without memory for the weights."""
    with precision("float32"), keras.StatelessScope(initialize_variables=False):
        return {
            f"{path}vars/{number}": tuple(variable.shape)
            for path, layer in _holders(build(config))
            for number, variable in _own(layer).items()
        }


def _own(layer: Any) -> dict[str, Any]:
    """The weights of a layer without those of the layers in it, by Keras' numbers."""
    own = dict[str, Any]()
    layer.save_own_variables(own)
    return own


def _holders(layer: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield a layer and all layers in it, each once, with their paths in Keras' files, such as `layers/dense_1/`."""
    yield path, layer
    if isinstance(layer, keras.Model):
        counts = dict[str, int]()
        for inner in layer.layers:
            name = _snake_case(type(inner).__name__)
            counts[name] = counts.get(name, -1) + 1
            yield from _holders(
                inner, f"{path}layers/{name}_{counts[name]}/" if counts[name] else f"{path}layers/{name}/"
            )
    else:
        # With PyTorch, the layers in a layer are not among its attributes, but in `_modules`.
        for name, inner in sorted({**vars(layer), **vars(layer).get("_modules", {})}.items()):
            if isinstance(inner, keras.Layer) and not name.startswith("_"):
                yield from _holders(inner, f"{path}{name}/")


def _snake_case(name: str) -> str:
    """The name of a class in Keras' paths: BatchNormalization -> batch_normalization, Conv2D -> conv2d."""
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def _misfit(found: Shapes, expected: Shapes) -> str | None:
    """The first difference between the arrays of a file and of a network, in words; None if there is none."""
    for name in sorted(found.keys() | expected.keys()):
        one, other = found.get(name), expected.get(name)
        if one != other:
            return f"{name[:80]} is {one or 'not there'}, and should be {other or 'not there'}"
    return None
