"""Start from the weights of another model file, also with another alphabet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from crnn_reader.config import ModelConfig
from crnn_reader.errors import UserError
from crnn_reader.model_files import locate_model, read_config
from model import model_file
from model.network import COLUMNS

Array: TypeAlias = NDArray[np.floating]

#: What red, green and blue weigh in a grey picture (ITU-R BT.601), as in `picture.convert`.
LUMA = np.array([0.299, 0.587, 0.114], "float32")

#: Layers that have a class for each character, and the axis of their weights along which classes lie.
CLASS_AXES = {"classes": -1, "characters": 0}
#: Of columns of features, the classes of CTC, and those of an attention decoder.
ALIGNED, WRITTEN = "classes/kernel", "attention/classes/kernel"


def transfer(model: str, network: Any, config: ModelConfig) -> str:
    """Give `network` the weights of `model`, a file, run folder or shipped name; returns what was kept, in words.

    The characters that both alphabets have keep their weights, whatever their order; the class layer
    of new characters stays as initialised. Width and colour may differ: what saw grey pictures sees coloured ones as
    grey at first, what saw coloured ones reads grey ones as before. So may the head, of which the layers that both have
    are kept; an attention decoder after CTC names what it looks at as CTC named the columns. A rectifier may come in,
    which begins as the identity. Raises UserError when other stages differ.
    """
    path = locate_model(model, to_train=True)
    old_config = read_config(path)
    if reason := misfit(old_config, config):
        raise UserError(f"{path} has {reason}: use the same, or another --from")
    old_network, _ = model_file.load(path)
    old_head, new_head = _head(old_network), _head(network)
    # A rectifier stands before everything else: what both have ends alike.
    old_stages = old_network.weights[: len(old_network.weights) - len(old_head)]
    new_stages = network.weights[: len(network.weights) - len(new_head)][-len(old_stages) :]
    for old, new in zip(old_stages, new_stages, strict=True):
        new.assign(_of_channels(np.array(old), new.shape))
    kept_head = [weight for weight in new_head if weight in old_head]
    for name in kept_head:
        old, new = old_head[name], new_head[name]
        axis = next((axis for layer, axis in CLASS_AXES.items() if f"/{layer}/" in f"/{name}"), None)
        if axis is None:
            new.assign(old)
        else:
            new.assign(_known_classes(np.array(old), np.array(new), axis, old_config.alphabet, config.alphabet))
    if taught := WRITTEN in new_head and WRITTEN not in old_head and ALIGNED in old_head:
        old, new = np.array(old_head[ALIGNED]), np.array(new_head[WRITTEN])
        new_head[WRITTEN].assign(_named_by_ctc(old, new, old_config.alphabet, config.alphabet))
    if not kept_head and not taught:
        return f"starting from {path}, with a new head"
    known = sum(character in old_config.alphabet for character in config.alphabet)
    return f"starting from {path}: {known} of {len(config.alphabet)} characters known to it"


def misfit(old_config: ModelConfig, new_config: ModelConfig) -> str | None:
    """Why weights of one config cannot start a network of another, None when they can."""
    fields = ["network", "preset", "coordinates", "rows", "height"]
    fields += ["rectify"] * (old_config.rectify != "none") + ["width"] * new_config.coordinates
    fields += ["cell"] * ("ctc" not in (old_config.head, new_config.head))
    for field in fields:
        old, new = getattr(old_config, field), getattr(new_config, field)
        if old != new:
            return f"{field} {old}, this training asks for {new}"
    return None


def _head(network: Any) -> dict[str, Any]:
    """The weights behind the columns, by their paths."""
    layers = network.layers[network.layers.index(network.get_layer(COLUMNS)) + 1 :]
    return {weight.path: weight for layer in layers for weight in layer.weights}


def _of_channels(weights: Array, shape: Sequence[int]) -> Array:
    """`weights`, those of a convolution over grey or coloured images made to fit the other, if `shape` asks for it."""
    if weights.shape == tuple(shape):
        return weights
    if weights.shape[-2] == 1:
        return weights * LUMA[:, np.newaxis]
    return weights.sum(-2, keepdims=True)


def _known_classes(old: Array, new: Array, axis: int, old_alphabet: str, alphabet: str) -> Array:
    """`new` with the classes of both alphabets as in `old`; classes lie along `axis`, class 0 is the same in both."""
    known = [character for character in alphabet if character in old_alphabet]
    sources = [0, *(old_alphabet.index(character) + 1 for character in known)]
    targets = [0, *(alphabet.index(character) + 1 for character in known)]
    merged = np.moveaxis(new.copy(), axis, 0)
    merged[targets] = np.moveaxis(old, axis, 0)[sources]
    return np.moveaxis(merged, 0, axis)


def _named_by_ctc(old: Array, new: Array, old_alphabet: str, alphabet: str) -> Array:
    """`new`, the classes of state and columns in an attention decoder, with those of columns as CTC has them in `old`.

    But for class 0, which is the blank there and the end here. What the decoder then still has to learn is where to
    look; both at a time, of 6,763 characters, it did not learn in 60,000 pictures.
    """
    state, columns = new[: -len(old)], new[-len(old) :]
    named = _known_classes(old, columns, -1, old_alphabet, alphabet)
    named[:, 0] = columns[:, 0]
    return np.concatenate([state, named])
