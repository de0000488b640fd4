"""Keras as the runtime of a network, on any of its backends."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from crnn_reader.errors import UserError
from crnn_reader.runtime import Runtime

#: The process in which Keras was first used.
_keras_process: int | None = None


@dataclass(frozen=True)
class Part:
    """A Keras model with the names of its inputs and outputs, in order, and the whole network that it is part of."""

    network: Any
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    whole: Any


def merged(parts: Sequence[Part]) -> list[Part]:
    """Merge the parts of a network that have the same inputs."""
    import keras

    found: dict[tuple[str, ...], list[Part]] = {}
    for part in parts:
        found.setdefault(part.inputs, []).append(part)
    return [
        same[0]
        if len(same) == 1
        else Part(
            keras.Model(same[0].network.input, [output for part in same for output in part.network.outputs]),
            inputs,
            tuple(name for part in same for name in part.outputs),
            same[0].whole,
        )
        for inputs, same in found.items()
    ]


def not_forked() -> None:
    """Raise UserError if Keras was used before this process was forked: it would wait for threads that do not exist."""
    global _keras_process
    if _keras_process is None:
        _keras_process = os.getpid()
    if _keras_process != os.getpid():
        raise UserError(
            "a .keras file was opened before this child process was forked, and Keras hangs after a fork: open it "
            "only in the processes that read, start those by spawn, or export it to .onnx"
        )


def of_keras(parts: Sequence[Part]) -> Runtime:
    """The runtime for the parts of a Keras network. It raises UserError in a process that was forked from this one."""
    from model.backend import jit_compile

    not_forked()
    for part in parts:
        if not part.network.compiled:
            part.network.compile(jit_compile=jit_compile())

    def run(inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str]) -> list[NDArray[Any]]:
        not_forked()
        part = next(part for part in parts if set(outputs) <= set(part.outputs))
        given = [inputs[name] for name in part.inputs]
        found = part.network.predict_on_batch(given if len(given) > 1 else given[0])
        by_name = dict(zip(part.outputs, found if isinstance(found, (list, tuple)) else [found], strict=True))
        return [by_name[name] for name in outputs]

    return run
