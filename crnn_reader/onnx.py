"""Model files in ONNX format: read and check them, and run them with onnxruntime."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from . import onnx_graph, onnx_metadata
from .alphabet import Alphabet
from .config import CONFIG_ENTRY, MAX_CONFIG_BYTES, ModelConfig
from .errors import UserError
from .runtime import IMAGES, LOG_PROBABILITIES, WIDTHS, Runtime, first_line

#: From this batch size on, a call of onnxruntime uses one core.
SINGLE_CORE_BATCH = 8
#: Value of onnxruntime's intra_op_num_threads for all cores.
ALL_CORES = 0


def read_description(path: Path) -> str:
    """Read the JSON text of a file's configuration. Raises KeyError if there is none, ValueError for a damaged file."""
    text = onnx_metadata.metadata(onnx_metadata.read_content(path))[CONFIG_ENTRY]
    if len(text) > MAX_CONFIG_BYTES:
        raise ValueError(f"its {CONFIG_ENTRY} has {len(text):,} characters")
    return text


def open_onnx(path: Path, config: ModelConfig) -> Runtime:
    """Open the network in a file. Raises UserError for a damaged file or one that this kit's export never writes."""
    return onnx_runtime(path, _checked_content(path, config))


def onnx_runtime(path: Path, content: bytes) -> Runtime:
    """Create a runtime that computes a network with onnxruntime on the CPU.

    The runtime is thread-safe. A batch of fewer than SINGLE_CORE_BATCH pictures uses all cores. A larger batch uses one
    core, because several threads that each compute a batch on one core are faster than one thread on all cores. A
    forked process creates sessions of its own.

    Arguments:
        path: the model file, for messages.
        content: the content of that file.

    Raises UserError if onnxruntime is not installed or cannot open the network.
    """
    # onnxruntime 1.31 can send figures about its use to its maker, unless this is set when it is imported.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        import onnxruntime
    except ImportError as error:
        raise UserError(f"{path} is read by onnxruntime, which is not installed: pip install onnxruntime") from error

    def session(threads: int) -> Any:
        options = onnxruntime.SessionOptions()
        # Print nothing: errors are raised as exceptions, and other messages do not help users.
        options.log_severity_level = 4
        options.intra_op_num_threads = threads
        try:
            return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's exceptions have no common base class
            raise UserError(f"the network in {path} cannot be opened ({first_line(error)}): export it again") from error

    # Keyed by process: in a forked process, the threads of the copied sessions do not exist.
    sessions = {(os.getpid(), ALL_CORES): session(ALL_CORES)}
    opening = {os.getpid(): threading.Lock()}

    def run(inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str]) -> list[NDArray[Any]]:
        process, threads = os.getpid(), ALL_CORES if len(next(iter(inputs.values()))) < SINGLE_CORE_BATCH else 1
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
    """Read a file and check its checksums, its graph, and that its inputs and outputs match the configuration.

    Raises UserError if a check fails.
    """
    try:
        content = onnx_metadata.read_content(path)
        entries = onnx_metadata.metadata(content)
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
