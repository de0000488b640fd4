"""Start from the weights of another model file, also with another alphabet."""

from __future__ import annotations

from typing import Any

import numpy as np

from console import UserError
from model import model_file
from model.model_file import Card


def transfer(model: str, network: Any, card: Card) -> str:
    """Give `network` the weights of `model`, a file, run folder or shipped name; returns what was kept, in words.

    The characters that both alphabets have keep their weights, whatever their order; the class layer
    of new characters stays as initialised. Width may differ. Raises UserError when the stages differ.
    """
    path = model_file.locate(model)
    old_card = model_file.read_card(path)
    if reason := misfit(old_card, card):
        raise UserError(f"{path} has {reason}: use the same, or another --from")
    old_network, _ = model_file.load(path)
    for old_layer, layer in zip(_weighted(old_network), _weighted(network), strict=True):
        if layer.name != "classes":
            layer.set_weights(old_layer.get_weights())
    _transfer_classes(old_network.get_layer("classes"), network.get_layer("classes"), old_card.alphabet, card.alphabet)
    kept = sum(character in old_card.alphabet for character in card.alphabet)
    return f"starting from {path}: {kept} of {len(card.alphabet)} characters known to it"


def misfit(old_card: Card, card: Card) -> str | None:
    """Why weights of one card cannot start a network of another, None when they can."""
    for field in ("network", "preset", "head", "height", "channels"):
        old, new = getattr(old_card, field), getattr(card, field)
        if old != new:
            return f"{field} {old}, this training asks for {new}"
    return None


def _weighted(network: Any) -> list[Any]:
    return [layer for layer in network.layers if layer.weights]


def _transfer_classes(old_layer: Any, layer: Any, old_alphabet: str, alphabet: str) -> None:
    known = [character for character in alphabet if character in old_alphabet]
    # Class 0 is the blank in both.
    sources = [0, *(old_alphabet.index(character) + 1 for character in known)]
    targets = [0, *(alphabet.index(character) + 1 for character in known)]
    merged = []
    for old, new in zip(old_layer.get_weights(), layer.get_weights(), strict=True):
        values = np.array(new)
        values[..., targets] = old[..., sources]
        merged.append(values)
    layer.set_weights(merged)
