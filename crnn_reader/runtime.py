"""The interface between decoders and inference engines.

A runtime is a function that computes named output arrays from named input arrays. A network may have several parts with
inputs of their own, such as an encoder and a decoding step. Decoding itself uses NumPy and works with any runtime.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .errors import UserError

#: Names of inputs: pictures, uint8 (batch, height, width, channels), and, for networks of any width, the width of each
#: picture in pixels, int32 (batch,).
IMAGES, WIDTHS = "images", "widths"
#: Suffix of the names of outputs that are log-probabilities, with all classes on the last axis.
LOG_PROBABILITIES = "log_probabilities"
#: Rounding errors may raise a log-probability to this value.
ROUNDING = 1e-3

#: Computes the outputs with the given names from the inputs of their part. The first axis of every array is the batch.
Runtime: TypeAlias = Callable[[Mapping[str, NDArray[Any]], Sequence[str]], list[NDArray[Any]]]


def named_inputs(inputs: Any) -> dict[str, NDArray[Any]]:
    """Map pictures, or a pair (pictures, widths), to the names of a network's inputs."""
    return dict(zip((IMAGES, WIDTHS), inputs if isinstance(inputs, tuple) else (inputs,), strict=False))


def first_line(error: Exception) -> str:
    """The first line of a library's error message, at most 300 characters, or the name of its class."""
    return str(error).strip().partition("\n")[0][:300] or type(error).__name__


def checked_runtime(run: Runtime, classes: int, path: Path) -> Runtime:
    """Wrap a runtime so that it checks its log-probabilities.

    The wrapped runtime raises UserError if the last axis has not `classes` entries, or if a value is above 0 or NaN, as
    with weights so large that sums overflow. `path` is the model file that the message names.
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
            # np.max propagates NaN.
            if values.size and not np.max(values) <= ROUNDING:
                raise UserError(
                    f"the network in {path} gives {name} that are not valid (the greatest is {np.max(values)}): "
                    "train again or use another copy"
                )
        return found

    return checked_run
