"""What reading runs of a network, and who computes it: Keras, or onnxruntime where the model is an ONNX file.

A network is read in parts, each from arrays by name to arrays by name: from pictures to log-probabilities, say. What
follows, texts, is NumPy's work and the same for all (the heads' decoders).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from console import UserError

#: Inputs of a network: pictures, uint8 (batch, height, width, channels); where they differ in width, int32 (batch,).
IMAGES, WIDTHS = "images", "widths"
#: Outputs whose names end so have log-probabilities of all classes along their last axis.
LOG_PROBABILITIES = "log_probabilities"
#: Rounding may leave a log-probability that far above 0.
ROUNDING = 1e-3
#: From so many pictures on, one core is enough for a call of onnxruntime.
MANY = 8
#: onnxruntime's word for as many threads as there are cores.
ALL_CORES = 0

#: The process in which Keras was first used.
_keras_process: int | None = None

#: Computes the outputs named from the inputs of the part that has them; first axis of all is the batch.
Runtime: TypeAlias = Callable[[Mapping[str, NDArray[Any]], Sequence[str]], list[NDArray[Any]]]


@dataclass(frozen=True)
class Part:
    """A Keras model, and the names of its inputs and outputs in their order."""

    network: Any
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def pictures(inputs: Any) -> dict[str, NDArray[Any]]:
    """Pictures, or pictures and widths, as the inputs of a part."""
    return dict(zip((IMAGES, WIDTHS), inputs if isinstance(inputs, tuple) else (inputs,), strict=False))


def merged(parts: Sequence[Part]) -> list[Part]:
    """Parts cut from one network, with those as one that have the same inputs."""
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
        )
        for inputs, same in found.items()
    ]


def not_forked() -> None:
    """Raise UserError where Keras was used before this process was forked.

    The threads of its backend are not there, and it would wait for them for ever.
    """
    global _keras_process
    if _keras_process is None:
        _keras_process = os.getpid()
    if _keras_process != os.getpid():
        raise UserError(
            "a .keras file was opened before this child process was forked, and Keras hangs after a fork: open it "
            "only in the processes that read, start those by spawn, or export it to .onnx"
        )


def of_keras(parts: Sequence[Part]) -> Runtime:
    """Keras, on any of its backends. What is returned raises UserError in a process that was forked from this one."""
    from model.network import jit_compile

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


def reason(error: Exception) -> str:
    """What a library says of a file, in a line that is no longer than it need be."""
    return str(error).strip().partition("\n")[0][:300] or type(error).__name__


def checked(run: Runtime, classes: int, path: Path) -> Runtime:
    """Wrap `run` so that its log-probabilities are checked: `classes` of them, none above 0 and none NaN.

    What is returned raises UserError where they are not, as with weights so large that sums overflow.
    """

    def checked_run(inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str]) -> list[NDArray[Any]]:
        found = run(inputs, outputs)
        for name, values in zip(outputs, found, strict=True):
            if not name.endswith(LOG_PROBABILITIES):
                continue
            batch = len(next(iter(inputs.values())))
            if values.ndim < 2 or (len(values), values.shape[-1]) != (batch, classes):
                raise UserError(
                    f"the network in {path} is not as its description says ({name} of {batch} pictures have the shape "
                    f"{values.shape}, and there are {classes:,} classes): use another copy"
                )
            # The maximum is NaN where any number is.
            if values.size and not np.max(values) <= ROUNDING:
                raise UserError(
                    f"the network in {path} gives {name} that are not valid (the greatest is {np.max(values)}): "
                    "train again or use another copy"
                )
        return found

    return checked_run


def of_onnx(path: Path, content: bytes) -> Runtime:
    """onnxruntime, on the processor, for the `content` of the file `path`.

    Raises UserError for a network that it cannot run, and where it is not installed.

    What is returned may be called by several threads at a time. Few pictures are computed by all cores, many by the
    core of the thread that calls: then as many threads as there are cores get more done than one with all of them.
    A process that was forked from this one opens the file anew.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise UserError(f"{path} is read by onnxruntime, which is not installed: pip install onnxruntime") from error

    def session(threads: int) -> Any:
        options = onnxruntime.SessionOptions()
        # Errors are exceptions; of all else users need not hear.
        options.log_severity_level = 4
        options.intra_op_num_threads = threads
        try:
            return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's exceptions have no base of their own.
            raise UserError(f"the network in {path} cannot be opened ({reason(error)}): export it again") from error

    # By their process: in one that was forked, the threads of those that were copied are not there.
    sessions = {(os.getpid(), ALL_CORES): session(ALL_CORES)}
    opening = {os.getpid(): threading.Lock()}

    def run(inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str]) -> list[NDArray[Any]]:
        process, threads = os.getpid(), ALL_CORES if len(next(iter(inputs.values()))) < MANY else 1
        with opening.setdefault(process, threading.Lock()):
            if (process, threads) not in sessions:
                sessions[process, threads] = session(threads)
        try:
            found: list[NDArray[Any]] = sessions[process, threads].run(list(outputs), dict(inputs))
        except Exception as error:
            raise UserError(
                f"the network in {path} is not as its description says ({reason(error)}): export it again"
            ) from error
        return found

    return run
