"""Import Keras and its backend when they are first needed, without the output of TensorFlow's C++ code."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

from crnn_reader.errors import UserError

#: Backends of Keras. Unless KERAS_BACKEND is set, the first one that is installed is used.
BACKENDS = ("tensorflow", "jax", "torch")


def can_import_keras() -> bool:
    """Whether Keras and a backend for it are installed."""
    return bool(find_spec("keras") and any(map(find_spec, BACKENDS)))


def import_keras() -> Any:
    """Import Keras with the backend that KERAS_BACKEND names, else with the first of BACKENDS that is installed.

    Raises UserError if Keras or the backend is not installed.
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
    """Seed Python, NumPy and Keras. If TensorFlow is installed, Keras imports it here with any backend."""
    keras = import_keras()
    with _quiet("tensorflow"):
        keras.utils.set_random_seed(seed)


@contextlib.contextmanager
def _quiet(package: str) -> Iterator[None]:
    """Context that hides the output of TensorFlow's C++ code on stderr while `package` is imported.

    TensorFlow's own setting does not hide the first lines. Errors are exceptions and are not hidden.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Its Python warnings are hints to programmers, such as one for every new shape of a batch.
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
    """Context in which layers are built with a Keras dtype policy, such as `float32` or `mixed_bfloat16`."""
    keras = import_keras()
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def jit_compile() -> bool | str:
    """The argument of Keras' compile(). XLA makes TensorFlow slower on a CPU; other backends decide themselves."""
    return False if import_keras().backend.backend() == "tensorflow" else "auto"
