"""Training one network with several processes, on one machine or more. Only JAX can do it.

All processes run the same program. Each one computes its part of every batch, and XLA adds up the gradients, so that
all have the same weights. The first process decides what is decided on the host, such as when the training ends.
"""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

import notation
from console import UserError
from model.network import import_keras

#: Seconds to wait for the other processes at the start, and until a process that no longer answers counts as lost.
JOINING, LOST = 300, 60


class Place(NamedTuple):
    """The place of this process: its number, from 0, and how many there are."""

    process: int
    processes: int


#: A process that trains on its own.
ALONE = Place(0, 1)


def join(how: str | None) -> Place:
    """Connect to the other processes and return the place of this one.

    `how` is `HOST:PORT,I/N` for process I of N, of which process 0 listens at HOST:PORT, or `auto` under SLURM, Open
    MPI and Kubernetes. With None, this process trains on its own.

    Raises UserError if the backend is not JAX, if the processes do not find each other, and if some have more devices.
    """
    if how is None:
        return ALONE
    if import_keras().backend.backend() != "jax":
        raise UserError(f"--join {how}: only JAX trains in several processes: set KERAS_BACKEND=jax")
    import jax

    given: dict[str, Any] = {"initialization_timeout": JOINING, "heartbeat_timeout_seconds": LOST}
    given |= {"shutdown_timeout_seconds": LOST}
    if how != "auto":
        address, place = notation.member(how)
        given |= {"coordinator_address": address, "process_id": place[0], "num_processes": place[1]}
    try:
        jax.distributed.initialize(**given)
    except Exception as error:  # JAX raises ValueError, RuntimeError or an exception of XLA.
        reason = str(error).partition("\n")[0]
        raise UserError(f"--join {how}: the processes do not find each other ({reason}): start all of them") from error
    found = Counter(device.process_index for device in jax.devices())
    counts = [found[process] for process in range(jax.process_count())]
    if len(set(counts)) > 1:
        raise UserError(
            f"--join {how}: the processes have {', '.join(map(str, counts))} devices: give all of them the same number"
        )
    return Place(jax.process_index(), jax.process_count())


def agreed(value: Any, place: Place) -> Any:
    """The `value` of the first process, which must be valid JSON. All processes must call it."""
    if place.processes == 1:
        return value
    from jax.experimental.multihost_utils import broadcast_one_to_all

    text = np.frombuffer(json.dumps(value).encode(), np.uint8)
    length = int(broadcast_one_to_all(np.int32(len(text))))
    room = np.zeros(length, np.uint8)
    if not place.process:
        room[:] = text
    return json.loads(np.asarray(broadcast_one_to_all(room)).tobytes())


def same(value: Any, place: Place) -> bool:
    """Whether all processes have the same `value`, which must be valid JSON. All must call it."""
    return _failed(agreed(value, place) != value, place) is None


def agreed_arrays(arrays: dict[str, Any], place: Place) -> dict[str, Any]:
    """The arrays of the first process. Names and shapes must be the same in all processes."""
    if place.processes == 1:
        return arrays
    from jax.experimental.multihost_utils import broadcast_one_to_all

    found: dict[str, Any] = broadcast_one_to_all(arrays)
    return found


@contextlib.contextmanager
def all_or_none(place: Place) -> Iterator[None]:
    """A context manager that raises in all processes if its block raises in one of them.

    The block must not wait for other processes. Raises UserError where only another process failed.
    """
    try:
        yield
    except Exception:
        _failed(True, place)
        raise
    if (failed := _failed(False, place)) is not None:
        raise UserError(f"process {failed} of {place.processes} could not begin: its own output has the reason")


def _failed(here: bool, place: Place) -> int | None:
    """The number of the first process that failed, None if none did. All processes must call it."""
    if place.processes == 1:
        return None
    from jax.experimental.multihost_utils import process_allgather

    failed = np.flatnonzero(process_allgather(np.int32(here)))
    return int(failed[0]) if len(failed) else None


def is_lost(error: BaseException) -> bool:
    """Whether `error` is one of JAX, which in a step with several processes means that one of them has ended."""
    import jax

    return isinstance(error, jax.errors.JaxRuntimeError)
