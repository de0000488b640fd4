"""Train one network with several processes, on one or more machines, with JAX.

All processes run the same program. Each one computes its part of every batch, and XLA adds up the gradients, so that
all have the same weights. The first process decides for all, such as when the training ends.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from cli.command import report_error
from crnn_reader.errors import UserError
from model.backend import import_keras
from parameter import notation

logger = logging.getLogger(__name__)

#: Seconds to wait for the other processes at the start, and for the answer of one that trains.
JOIN_TIMEOUT, HEARTBEAT_TIMEOUT = 300, 60
#: Seconds of waiting at the start after which a message says so.
NOTICE_AFTER = 10


class Rank(NamedTuple):
    """The number of this process, from 0, and the number of processes."""

    process: int
    processes: int


#: A process that trains on its own.
ALONE = Rank(0, 1)


class ProcessLost(UserError):
    """Another process has ended, so this one must stop, too."""


def run_joined(how: str | None, command: Callable[[Rank], int]) -> int:
    """Join the other processes as in :func:`join`, and run `command`. If `how` is None, there are no others.

    Returns the exit code of the command. If this process is interrupted or loses another one, it prints the reason and
    exits at once: JAX would wait for the others at the end of the interpreter, and abort after a minute.
    """
    if how is None:
        return command(ALONE)
    try:
        return command(join(how))
    except (KeyboardInterrupt, ProcessLost) as error:
        code = report_error(error)
    except Exception as error:
        if not is_lost(error):
            raise
        sentence = "another process ended before the training began: its own output has the reason; start all again"
        code = report_error(ProcessLost(sentence))
    sys.stdout.flush()
    os._exit(code)


def join(how: str) -> Rank:
    """Connect to the other processes and return the rank of this one.

    `how` is the value of --join: `HOST:PORT,I/N` for process I of N, of which process 0 listens at HOST:PORT, or
    `auto` under SLURM, Open MPI and Kubernetes.

    Raises UserError if the backend is not JAX, if the processes do not find each other, and if some have more devices.
    """
    if import_keras().backend.backend() != "jax":
        raise UserError("only JAX trains in several processes: set KERAS_BACKEND=jax", "join")
    import jax

    # JAX aborts the process after its own time limit, without a message of ours.
    given: dict[str, Any] = {"initialization_timeout": 2 * JOIN_TIMEOUT, "heartbeat_timeout_seconds": HEARTBEAT_TIMEOUT}
    given |= {"shutdown_timeout_seconds": HEARTBEAT_TIMEOUT}
    if how != "auto":
        address, rank = notation.member(how)
        given |= {"coordinator_address": address, "process_id": rank[0], "num_processes": rank[1]}
    if error := _initialized(given):
        reason = str(error).partition("\n")[0]
        if how == "auto" and isinstance(error, ValueError):
            raise UserError(
                f"JAX finds no SLURM, Open MPI or Kubernetes ({reason.rstrip('.')}): start the processes with one of "
                "them, or give each an address and its number",
                "join",
                "HOST:PORT,I/N",
            ) from error
        if "RPC server" in reason:
            raise UserError("the port is in use on this machine: give all processes another", "join") from error
        raise UserError(f"the processes do not find each other ({reason}): start all of them", "join") from error
    found = Counter(device.process_index for device in jax.devices())
    counts = [found[process] for process in range(jax.process_count())]
    if len(set(counts)) > 1:
        raise UserError(
            f"the processes have {', '.join(map(str, counts))} devices: give all of them the same number", "join"
        )
    return Rank(jax.process_index(), jax.process_count())


def _initialized(given: dict[str, Any]) -> Exception | None:
    """Connect JAX to the other processes. Returns the exception of JAX; raises ProcessLost if they do not come in time.

    JAX waits in C++, where Ctrl-C has no effect, so a thread calls it.
    """
    import jax

    raised: list[Exception] = []

    def initialize() -> None:
        try:
            jax.distributed.initialize(**given)
        except Exception as error:  # JAX raises ValueError, RuntimeError or an exception of XLA.
            raised.append(error)

    thread = threading.Thread(target=initialize, daemon=True)
    thread.start()
    thread.join(min(NOTICE_AFTER, JOIN_TIMEOUT))
    if thread.is_alive():
        logger.info(f"waiting for the other processes, {JOIN_TIMEOUT} seconds at most")
        thread.join(max(0, JOIN_TIMEOUT - NOTICE_AFTER))
    if thread.is_alive():
        raise ProcessLost(
            f"the processes did not find each other within {JOIN_TIMEOUT} seconds: start all of them, with the "
            "address of the first one",
            "join",
        )
    # JAX has replaced Python's handler by its own, which does not end the process.
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))
    return raised[0] if raised else None


def broadcast(value: Any, rank: Rank) -> Any:
    """The `value` of the first process, which must be valid JSON. All processes must call it."""
    if rank.processes == 1:
        return value
    from jax.experimental.multihost_utils import broadcast_one_to_all

    text = np.frombuffer(json.dumps(value).encode(), np.uint8)
    length = int(broadcast_one_to_all(np.int32(len(text))))
    room = np.zeros(length, np.uint8)
    if not rank.process:
        room[:] = text
    return json.loads(np.asarray(broadcast_one_to_all(room)).tobytes())


def all_agree(value: Any, rank: Rank) -> bool:
    """Whether all processes have the same `value`, which must be valid JSON. All must call it."""
    return _failed(broadcast(value, rank) != value, rank) is None


def broadcast_arrays(arrays: dict[str, Any], rank: Rank) -> dict[str, Any]:
    """The arrays of the first process, by name. Names and shapes must be the same in all processes."""
    if rank.processes == 1:
        return arrays
    from jax.experimental.multihost_utils import broadcast_one_to_all

    found: dict[str, Any] = broadcast_one_to_all(arrays)
    return found


@contextlib.contextmanager
def all_or_none(rank: Rank) -> Iterator[None]:
    """Context that raises in all processes if its block raises in one of them.

    The block must not wait for other processes. Raises UserError if the block failed only in another process.
    """
    try:
        yield
    except Exception:
        _failed(True, rank)
        raise
    if (failed := _failed(False, rank)) is not None:
        raise UserError(f"process {failed} of {rank.processes} could not begin: its own output has the reason")


def _failed(here: bool, rank: Rank) -> int | None:
    """The number of the first process that failed, None if none did. All processes must call it."""
    if rank.processes == 1:
        return None
    from jax.experimental.multihost_utils import process_allgather

    failed = np.flatnonzero(process_allgather(np.int32(here)))
    return int(failed[0]) if len(failed) else None


def is_lost(error: BaseException) -> bool:
    """Whether `error` comes from the communication of JAX, which fails if one of several processes has ended."""
    import jax

    # Where JAX waits for the result at once, it raises ValueError, with the name of its library for communication.
    return isinstance(error, jax.errors.JaxRuntimeError) or "Gloo" in str(error)
