"""What computes a network: a function from named input arrays to named output arrays.

Reading takes a network in parts, for example from pictures to log-probabilities. Decoding the outputs is NumPy's work,
and the same for all runtimes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .errors import UserError

#: Inputs: pictures, uint8 (batch, height, width, channels), and for networks of any width their widths, int32 (batch,).
IMAGES, WIDTHS = "images", "widths"
#: Outputs whose names end in this have log-probabilities of all classes along their last axis.
LOG_PROBABILITIES = "log_probabilities"
#: Rounding may leave a log-probability this far above 0.
ROUNDING = 1e-3

#: Computes the named outputs from the inputs of the part that has them. The first axis of every array is the batch.
Runtime: TypeAlias = Callable[[Mapping[str, NDArray[Any]], Sequence[str]], list[NDArray[Any]]]


def named_inputs(inputs: Any) -> dict[str, NDArray[Any]]:
    """Pictures, or a pair of pictures and widths, by the names of a network's inputs."""
    return dict(zip((IMAGES, WIDTHS), inputs if isinstance(inputs, tuple) else (inputs,), strict=False))


def first_line(error: Exception) -> str:
    """The first line of a library's error message, at most 300 characters, or the name of its class."""
    return str(error).strip().partition("\n")[0][:300] or type(error).__name__


def checked_runtime(run: Runtime, classes: int, path: Path) -> Runtime:
    """Wrap `run` so that it checks its log-probabilities: `classes` of them, none above 0 and none NaN.

    The result raises UserError if they are not, as with weights so large that sums overflow.
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
            # The maximum is NaN if any number is.
            if values.size and not np.max(values) <= ROUNDING:
                raise UserError(
                    f"the network in {path} gives {name} that are not valid (the greatest is {np.max(values)}): "
                    "train again or use another copy"
                )
        return found

    return checked_run
