"""A network by name: backbone -> sequence -> head."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

from console import UserError
from model.alphabet import Alphabet
from model.model_file import Card

#: What Keras computes with, the first one installed unless KERAS_BACKEND says otherwise.
BACKENDS = ("tensorflow", "jax", "torch")

#: The layer of a network that has what its head sees: (batch, columns, features).
COLUMNS = "columns"


def can_import_keras() -> bool:
    """Whether Keras and a backend for it are installed."""
    return bool(find_spec("keras") and any(map(find_spec, BACKENDS)))


def import_keras() -> Any:
    """Keras on the backend that KERAS_BACKEND names, else on the first one installed; TensorFlow before others.

    Raises UserError when that is not installed.
    """
    if "keras" not in sys.modules:
        if not find_spec("keras"):
            raise UserError("Keras is not installed: install it with pip install -r requirements.txt")
        present = [name for name in BACKENDS if find_spec(name)]
        if not present:
            raise UserError(f"Keras has no backend: install one of {', '.join(BACKENDS)}")
        chosen = os.environ.setdefault("KERAS_BACKEND", present[0])
        if chosen not in present:
            raise UserError(
                f"KERAS_BACKEND is {chosen}, which is not installed: unset it, or use {' or '.join(present)}"
            )
    with _quiet("keras"):
        import keras
    return keras


def set_random_seed(seed: int) -> None:
    """Seed Python, NumPy and Keras. Keras imports TensorFlow for it where that is installed, on any backend."""
    keras = import_keras()
    with _quiet("tensorflow"):
        keras.utils.set_random_seed(seed)


@contextlib.contextmanager
def _quiet(package: str) -> Iterator[None]:
    """Without what TensorFlow's C++ code writes to stderr while `package` is loaded; users look for warnings there.

    Its own switch for that comes too late for the first lines. Errors are exceptions and stay.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Among its Python warnings are hints to programmers about every new shape of batch.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    if package in sys.modules:
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
    """An untrained Keras model, rectifier -> backbone (-> rows) -> sequence -> head.

    Its inputs are `images`, uint8 (batch, height, width, channels); for a card of any width `widths`, int32
    (batch,), how much of each picture's width counts, a multiple of 4; and what the head needs in training. Raises
    UserError for a size that its backbone cannot shrink any more.
    """
    keras = import_keras()
    from model.backbones import backbone_of
    from model.features import Features
    from model.heads import HEADS
    from model.rectifiers import RECTIFIERS
    from model.sequences import sequence_of

    backbone = backbone_of(card.network)
    inputs = [keras.Input((card.height, card.width, card.channels), dtype="uint8", name="images")]
    if card.width is None:
        inputs.append(keras.Input((), dtype="int32", name="widths"))
    if card.preset not in backbone.presets:
        raise UserError(
            f"--preset {card.preset}: {card.network} has {' and '.join(backbone.presets)} only; give one of them"
        )
    try:
        features = RECTIFIERS[card.rectify](Features.of_images(*inputs))
        seen = backbone.build(features, card.preset)
    except ValueError as error:
        size = f"{card.width}x{card.height}" if card.width else f"autox{card.height}"
        raise UserError(f"{size} is too small for {card.network} {card.preset}: take a larger --size") from error
    if card.rows > 1:
        if card.width is None:
            raise UserError("--rows 2 needs pictures of one width: give a --size such as 192x64, or leave it out")
        seen = seen.of_rows(card.rows)
    if card.coordinates:
        if card.width is None:
            raise UserError("--coordinates needs pictures of one width: give a --size such as 128x64, or leave it out")
        seen = seen.numbered()
    seen = sequence_of(card.network)(seen, card.preset, backbone.recurrent)
    seen = replace(seen, maps=keras.layers.Identity(name=COLUMNS)(seen.maps))
    further, outputs = HEADS[card.head].outputs(seen, Alphabet(card.alphabet).classes, card)
    inputs += further
    return keras.Model(inputs if len(inputs) > 1 else inputs[0], outputs, name=card.network)


def column_width(name: str) -> int:
    """Pixels across a column of the network that `--network` calls `name`."""
    import_keras()
    from model.backbones import backbone_of

    return backbone_of(name).column


def columns(network: Any) -> int | None:
    """How many columns the head of `network` sees, None where that depends on the picture."""
    steps: int | None = network.get_layer(COLUMNS).output.shape[1]
    return steps


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
