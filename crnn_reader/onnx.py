"""ONNX files: their description, their checks, and onnxruntime as the runtime."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from . import onnx_graph, onnx_metadata
from .alphabet import Alphabet
from .config import CONFIG_ENTRY, LARGEST_CONFIG, ModelConfig
from .errors import UserError
from .runtime import IMAGES, LOG_PROBABILITIES, WIDTHS, Runtime, first_line

#: With at least this many pictures, a call of onnxruntime uses one core.
MANY = 8
#: onnxruntime's number of threads that means all cores.
ALL_CORES = 0


def read_description(path: Path) -> str:
    """The JSON text of a file's configuration. Raises KeyError if there is none, ValueError for a damaged file."""
    text = onnx_metadata.read(path)[CONFIG_ENTRY]
    if len(text) > LARGEST_CONFIG:
        raise ValueError(f"its {CONFIG_ENTRY} has {len(text):,} characters")
    return text


def open_onnx(path: Path, config: ModelConfig) -> Runtime:
    """The network of a file. Raises UserError for a file that this kit's export would not have written."""
    return onnx_runtime(path, _checked_content(path, config))


def onnx_runtime(path: Path, content: bytes) -> Runtime:
    """onnxruntime, on the processor, for the `content` of the file `path`.

    Raises UserError for a network that it cannot run, and if it is not installed.

    The result may be called by several threads at a time. All cores compute a few pictures together; many pictures are
    computed by the core of the thread that calls, because as many threads as cores are then faster than one thread with
    all of them. A process that was forked from this one opens the file anew.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise UserError(f"{path} is read by onnxruntime, which is not installed: pip install onnxruntime") from error

    def session(threads: int) -> Any:
        options = onnxruntime.SessionOptions()
        # Errors are exceptions; other messages are not for users.
        options.log_severity_level = 4
        options.intra_op_num_threads = threads
        try:
            return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's exceptions have no base class of their own.
            raise UserError(f"the network in {path} cannot be opened ({first_line(error)}): export it again") from error

    # By process: in a forked one, the threads of the copied sessions do not exist.
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
                f"the network in {path} is not as its description says ({first_line(error)}): export it again"
            ) from error
        return found

    return run


def _checked_content(path: Path, config: ModelConfig) -> bytes:
    """The content of a file. Raises UserError unless its network is one that export writes for this configuration."""
    try:
        content = onnx_metadata.whole(path)
        entries = onnx_metadata.read(path)
        # Files of earlier versions have no checksums.
        if entries.get(onnx_metadata.CHECKSUM_ENTRY) not in (None, onnx_metadata.checksum(content)):
            raise ValueError("its network has changed since it was written")
        checksum = onnx_metadata.config_checksum(entries[CONFIG_ENTRY])
        if entries.get(onnx_metadata.CONFIG_CHECKSUM_ENTRY) not in (None, checksum):
            raise ValueError(f"its {CONFIG_ENTRY} has changed since it was written")
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}): export it again or use another copy") from error
    try:
        inputs, outputs = onnx_graph.check(content)
    except ValueError as error:
        raise UserError(f"the network in {path} cannot be opened ({error}): export it again") from error
    pictures, classes = inputs.get(IMAGES), Alphabet(config.alphabet).classes
    expected = (None, config.height, config.width, config.channels)
    wrong = [f"{IMAGES} are {pictures}"] if pictures != onnx_graph.Value("uint8", expected) else []
    if (WIDTHS in inputs) == bool(config.width):
        wrong.append(f"it takes {' and '.join(inputs)}")
    wrong += [
        f"{name} are of {value.shape[-1]} classes, and the alphabet has {classes:,}"
        for name, value in outputs.items()
        if name.endswith(LOG_PROBABILITIES) and value.shape[-1:] != (classes,)
    ]
    if wrong:
        raise UserError(f"the network in {path} is not as its description says ({wrong[0]}): export it again")
    return content
