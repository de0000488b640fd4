"""Start from the weights of another model file, with the same or another alphabet; average those of several."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from crnn_reader.config import ModelConfig
from crnn_reader.errors import UserError
from crnn_reader.model_files import locate_model, read_config
from model import model_file
from model.backend import import_keras
from model.network import COLUMNS

Array: TypeAlias = NDArray[np.floating]

#: Weights of red, green and blue in a grey picture (ITU-R BT.601), as in `crnn_reader.image.convert_channels`.
LUMA = np.array([0.299, 0.587, 0.114], "float32")

#: Layers with a class for each character, and the axis of the classes in their weights.
CLASS_AXES = {"classes": -1, "characters": 0}
#: Paths of the weights that classify columns in CTC, and columns with the decoder's state in attention.
ALIGNED, WRITTEN = "classes/kernel", "attention/classes/kernel"


def transfer(model: str, network: Any, config: ModelConfig) -> str:
    """Copy the weights of a model to `network`. Returns a description of what was kept.

    Characters in both alphabets keep their class weights, whatever their order; new characters keep their initial
    ones. The networks may differ in

        width       the weights do not depend on it
        height      only with backbone `vgg`; the weights of its dense layer are interpolated
        channels    a network for grey pictures sees coloured ones as grey at first, and the other way round
        head        layers of both heads are kept; attention starts from the character weights of CTC
        rectifier   a new one starts as the identity
        preset      one that extends the other (`plate` extends `small`): its additional layers start as the identity

    Arguments:
        model: model file, run folder or shipped name.
        network: a network of :func:`model.network.build`.
        config: the configuration of `network`.

    Raises UserError if other stages differ.
    """
    path = locate_model(model, to_train=True)
    old_config = read_config(path)
    if reason := misfit(old_config, config):
        raise UserError(f"{path} has {reason}: use the same, or other weights", "from")
    if not _copy(*model_file.load(path), network, config):
        return f"starting from {path}, with a new head"
    known = sum(character in old_config.alphabet for character in config.alphabet)
    return f"starting from {path}: {known} of {len(config.alphabet)} characters known to it"


def _copy(old_network: Any, old_config: ModelConfig, network: Any, config: ModelConfig) -> bool:
    """Copy the weights that two networks share. Returns whether those of the characters are among them."""
    old_head, new_head = _head(old_network), _head(network)
    old_stages = _stages(old_network)
    new_stages = _common_stages(network, config, old_stages, old_config)
    features = 0
    for old_layer, new_layer in zip(old_stages, new_stages, strict=True):
        for old, new in zip(old_layer.weights, new_layer.weights, strict=True):
            convert = _of_channels if len(new.shape) == 4 else partial(_of_rows, features=features)
            new.assign(convert(np.array(old), new.shape))
        features = new.shape[-1]
    kept_head = [weight for weight in new_head if weight in old_head]
    for name in kept_head:
        old, new = old_head[name], new_head[name]
        axis = next((axis for layer, axis in CLASS_AXES.items() if f"/{layer}/" in f"/{name}"), None)
        if axis is None:
            new.assign(old)
        else:
            new.assign(_known_classes(np.array(old), np.array(new), axis, old_config.alphabet, config.alphabet))
    if named := WRITTEN in new_head and WRITTEN not in old_head and ALIGNED in old_head:
        old, new = np.array(old_head[ALIGNED]), np.array(new_head[WRITTEN])
        new_head[WRITTEN].assign(_named_by_ctc(old, new, old_config.alphabet, config.alphabet))
    return bool(kept_head) or named


def misfit(old_config: ModelConfig, new_config: ModelConfig) -> str | None:
    """Why a network of one configuration cannot start from weights of another; None if it can."""
    import_keras()
    from model.backbones import backbone_of

    backbone = backbone_of(new_config.network)
    extended = backbone.extends.get(new_config.preset) == old_config.preset
    fields = ["network", "coordinates", "rows"]
    fields += ["preset"] * (not extended) + ["height"] * (not backbone.dense_rows)
    fields += ["rectify"] * (extended or old_config.rectify != "none") + ["width"] * new_config.coordinates
    fields += ["cell"] * ("ctc" not in (old_config.head, new_config.head))
    for field in fields:
        old, new = getattr(old_config, field), getattr(new_config, field)
        if old != new:
            return f"{field} {old} instead of {new}"
    return None


def average(model: str, others: Sequence[str]) -> tuple[Any, ModelConfig]:
    """The mean of the weights of several models, which started from the same weights.

    Such a mean often reads more than each of them (Wortsman et al. 2022, arXiv 2203.05482), and keeps what a training
    on other pictures forgets (arXiv 2109.01903).

    Arguments:
        model: model file, run folder or shipped name, with the network, alphabet and configuration of the result.
        others: the same. Their networks may differ as in :func:`transfer`, except for head, rectifier, channels and
            height. Layers that another lacks count as the identity in it. Characters that it lacks count as equal to
            those of `model`.

    Returns the network and its configuration. Raises UserError if the networks differ otherwise.
    """
    keras = import_keras()
    network, config = model_file.load(locate_model(model, to_train=True))
    own = network.get_weights()
    total = [np.array(weight, "float64") for weight in own]
    for other in others:
        path = locate_model(other, to_train=True)
        old_network, old_config = model_file.load(path)
        if reason := _difference(old_config, config):
            remedy = "average models of the same network"
            if not _difference(config, old_config):
                remedy = f"give it first, and average it with {model}"
            raise UserError(f"{path} has {reason}: {remedy}", "average")
        network.set_weights(own)
        common = _common_stages(network, config, _stages(old_network), old_config)
        for layer in _stages(network):
            # If the scale begins at zero, this is the last normalisation of a residual block.
            residual = isinstance(getattr(layer, "gamma_initializer", None), keras.initializers.Zeros)
            if residual and layer not in common:
                layer.gamma.assign(np.zeros(layer.gamma.shape))
                layer.beta.assign(np.zeros(layer.beta.shape))
        _copy(old_network, old_config, network, config)
        for mean, weight in zip(total, network.get_weights(), strict=True):
            mean += weight
    network.set_weights([(mean / (1 + len(others))).astype("float32") for mean in total])
    return network, config


def _difference(old_config: ModelConfig, config: ModelConfig) -> str | None:
    """Why networks of two configurations have no mean; None if they have."""
    for field in ("head", "rectify", "channels", "height"):
        old, new = getattr(old_config, field), getattr(config, field)
        if old != new:
            return f"{field} {old} instead of {new}"
    return misfit(old_config, config)


def _stages(network: Any) -> list[Any]:
    """The layers with weights up to the columns, in order."""
    layers = network.layers[: network.layers.index(network.get_layer(COLUMNS))]
    return [layer for layer in layers if layer.weights]


def _common_stages(network: Any, config: ModelConfig, old_stages: Sequence[Any], old_config: ModelConfig) -> list[Any]:
    """The layers of `network` that take the weights of `old_stages`, the layers of another network."""
    if old_config.preset == config.preset:
        # A rectifier comes first, so the layers of the common stages are the last ones.
        return _stages(network)[-len(old_stages) :]
    return _common(_stages(network), old_stages)


def _common(layers: Sequence[Any], fewer: Sequence[Any]) -> list[Any]:
    """The layers that are also in `fewer`, which lacks some: of equal ones in a row, additional ones come last."""
    found: list[Any] = []
    for layer in layers:
        if len(found) < len(fewer) and _shapes(layer) == _shapes(fewer[len(found)]):
            found.append(layer)
    return found


def _shapes(layer: Any) -> tuple[Any, ...]:
    # Without the number of inputs of a kernel: in a dense layer, it depends on the height of the pictures.
    return type(layer), *(tuple(weight.shape)[:-2] + tuple(weight.shape)[-1:] for weight in layer.weights)


def _head(network: Any) -> dict[str, Any]:
    """The weights of the layers after the columns, by path."""
    layers = network.layers[network.layers.index(network.get_layer(COLUMNS)) + 1 :]
    return {weight.path: weight for layer in layers for weight in layer.weights}


def _of_channels(weights: Array, shape: Sequence[int]) -> Array:
    """Convert the kernel of a convolution between grey and coloured images, if `shape` differs from its own."""
    if weights.shape == tuple(shape):
        return weights
    if weights.shape[-2] == 1:
        return weights * LUMA[:, np.newaxis]
    return weights.sum(-2, keepdims=True)


def _of_rows(weights: Array, shape: Sequence[int], features: int) -> Array:
    """Interpolate the kernel of a dense layer along the rows of its maps, if their number differs.

    `features` is the number of features of the maps. With more rows, weights are smaller, so that the layer's output
    for rows that are all equal does not change.
    """
    if weights.shape == tuple(shape):
        return weights
    rows, new_rows = len(weights) // features, shape[0] // features
    places = (np.arange(new_rows) + 0.5) * rows / new_rows - 0.5
    share = np.stack([np.interp(places, np.arange(rows), row) for row in np.eye(rows)], axis=1) * rows / new_rows
    converted = np.einsum("nr,rfu->nfu", share, weights.reshape(rows, features, -1))
    return converted.reshape(shape).astype(weights.dtype)


def _known_classes(old: Array, new: Array, axis: int, old_alphabet: str, alphabet: str) -> Array:
    """`new` with class 0 and the characters of both alphabets from `old`. Classes are along `axis`."""
    known = [character for character in alphabet if character in old_alphabet]
    sources = [0, *(old_alphabet.index(character) + 1 for character in known)]
    targets = [0, *(alphabet.index(character) + 1 for character in known)]
    merged = np.moveaxis(new.copy(), axis, 0)
    merged[targets] = np.moveaxis(old, axis, 0)[sources]
    return np.moveaxis(merged, 0, axis)


def _named_by_ctc(old: Array, new: Array, old_alphabet: str, alphabet: str) -> Array:
    """Initialise the class weights of an attention decoder from those of CTC.

    `new` classifies the state of the decoder and a column of features, concatenated; `old` classifies a column. Class 0
    is the end in the decoder and the blank in CTC, so it is not copied. The decoder then has to learn only where to
    look. From random weights, with 6,763 characters, it learned neither in 60,000 pictures.
    """
    state, columns = new[: -len(old)], new[-len(old) :]
    named = _known_classes(old, columns, -1, old_alphabet, alphabet)
    named[:, 0] = columns[:, 0]
    return np.concatenate([state, named])
