"""Several processes, on one machine or more, that train one network together. Only JAX can.

All of them run the same program: each computes its part of every batch, XLA adds up the gradients, and so the weights
are equal everywhere. What is decided on the host, such as the end of the training, the first process decides for all.
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

#: Seconds in which the other processes must be there, and after which one that no longer answers ends the others.
JOINING, LOST = 300, 60


class Place(NamedTuple):
    """The place of this process: its number, from 0, and how many there are."""

    process: int
    processes: int


#: A process that trains on its own.
ALONE = Place(0, 1)


def join(how: str | None) -> Place:
    """Wait for the other processes: `HOST:PORT,I/N`, where process I of N finds process 0, or `auto` under SLURM,
    Open MPI and Kubernetes; nobody is waited for without `how`.

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
    """What the first process has for `value`, which JSON can hold. All processes must call it."""
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
    """Whether all processes have the same `value`, which JSON can hold. All must call it."""
    return _failed(agreed(value, place) != value, place) is None


def agreed_arrays(arrays: dict[str, Any], place: Place) -> dict[str, Any]:
    """The arrays of the first process, which have the same names and shapes in all."""
    if place.processes == 1:
        return arrays
    from jax.experimental.multihost_utils import broadcast_one_to_all

    found: dict[str, Any] = broadcast_one_to_all(arrays)
    return found


@contextlib.contextmanager
def all_or_none(place: Place) -> Iterator[None]:
    """A block that all processes leave without an exception, or none. They must not wait for each other inside.

    Raises UserError if it failed in another process only.
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
