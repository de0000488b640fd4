"""A network by name: backbone -> sequence -> head."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any

from console import UserError
from model.alphabet import Alphabet
from model.model_file import Card


def import_keras() -> Any:
    """Keras on the backend that KERAS_BACKEND names, else on the first one installed; TensorFlow before others."""
    if "KERAS_BACKEND" not in os.environ:
        from importlib.util import find_spec

        present = [name for name in ("tensorflow", "jax", "torch") if find_spec(name)]
        if present:
            os.environ["KERAS_BACKEND"] = present[0]
    with _quiet():
        import keras
    return keras


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what TensorFlow's C++ code writes to stderr while it is loaded; users look for warnings there.

    Its own switch for that comes too late for the first lines. Errors are exceptions and stay.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if "keras" in sys.modules:
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def build(card: Card) -> Any:
    """An untrained Keras model: uint8 images (batch, height, width, channels) -> the head's outputs.

    Raises UserError for a size that its backbone cannot shrink any more.
    """
    keras = import_keras()
    from model.backbones import BACKBONES
    from model.heads import HEADS
    from model.sequences import SEQUENCES

    backbone, sequence = card.network.split("_")
    images = keras.Input((card.height, card.width, card.channels), dtype="uint8", name="images")
    try:
        columns = BACKBONES[backbone](images, card.preset)
    except ValueError as error:
        raise UserError(
            f"{card.width}x{card.height} is too small for {card.network} {card.preset}: take a larger --size"
        ) from error
    columns = SEQUENCES[sequence](columns, card.preset)
    outputs = HEADS[card.head].outputs(columns, Alphabet(card.alphabet).classes)
    return keras.Model(images, outputs, name=card.network)


@contextlib.contextmanager
def precision(policy: str) -> Iterator[None]:
    """Build inside with a Keras dtype policy (`float32`, `mixed_bfloat16`, …)."""
    keras = import_keras()
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def jit_compile() -> bool | str:
    """Keras' compile option: XLA costs TensorFlow on a CPU more than it brings; the others decide themselves."""
    return False if import_keras().backend.backend() == "tensorflow" else "auto"
