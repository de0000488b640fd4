"""Worker processes, for work that holds the GIL: drawing and augmenting pictures."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from crnn_reader.errors import UserError

Result = TypeVar("Result")

#: ProcessPoolExecutor allows no more workers on Windows.
_MAX_ON_WINDOWS = 61


@contextlib.contextmanager
def interrupts_held() -> Iterator[None]:
    """Context that delays Ctrl-C until its end. Processes started in it never receive Ctrl-C, even while starting.

    A terminal sends Ctrl-C to the whole process group. Only the process that the user started handles it, and ends its
    workers.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield  # Windows
        return
    # Unlike a handler, a blocked signal stays blocked in a spawned process, and is delivered here later.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Workers:
    """A pool of processes. They start when calls are submitted, and end with this process, even if it is killed.

    The processes are spawned, not forked: after a fork, a process that has run a network may deadlock.
    """

    def __init__(self, count: int, begin: Callable[..., None], *arguments: Any) -> None:
        """Create a pool of `count` processes. Each one first calls `begin(*arguments)`; the arguments are pickled."""
        self.count = min(count, _MAX_ON_WINDOWS) if sys.platform == "win32" else count
        self._pool = ProcessPoolExecutor(
            self.count, multiprocessing.get_context("spawn"), initializer=_begin, initargs=(begin, arguments)
        )

    def submit(self, function: Callable[..., Result], *arguments: Any) -> Future[Result]:
        """Call a function in one of the processes. Raises UserError if a process was killed."""
        try:
            # submit() starts processes, which must never receive Ctrl-C.
            with interrupts_held():
                return self._pool.submit(function, *arguments)
        except BrokenProcessPool:
            raise _killed() from None

    def close(self) -> None:
        """End the processes.

        Call this before the interpreter exits: there, two threads would shut the pool down at once, and one may fail.
        """
        self._pool.shutdown(cancel_futures=True)


def result(future: Future[Result]) -> Result:
    """Wait for the result of a submitted call. Raises its exception, and UserError if a process was killed."""
    try:
        return future.result()
    except BrokenProcessPool:
        raise _killed() from None


def _killed() -> UserError:
    return UserError(
        "a worker process was killed from outside, perhaps because memory ran out: continue with --resume, and with "
        "fewer --workers if it happens again"
    )


def _begin(begin: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    """Initialise a worker process."""
    # Needed on platforms without pthread_sigmask.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    begin(*arguments)


def _end_with_the_parent() -> None:
    """Exit when the parent ends. Otherwise a worker would wait forever for calls of a killed parent."""
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os._exit(1)
