"""Keras and its backend: imported when first needed, and quietly."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

from crnn_reader.errors import UserError

#: What Keras computes with, the first one installed unless KERAS_BACKEND says otherwise.
BACKENDS = ("tensorflow", "jax", "torch")


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
