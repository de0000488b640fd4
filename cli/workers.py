"""Worker processes, for work that Python's threads cannot share: drawing and augmenting pictures."""

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

#: Windows cannot wait for more processes at a time.
_MOST_ON_WINDOWS = 61


@contextlib.contextmanager
def interrupts_held() -> Iterator[None]:
    """A context in which Ctrl-C waits, and in which processes are started that never hear it, not even at their start.

    Ctrl-C goes to a whole group of processes; the one that the user started hears it and ends the others.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield  # Windows.
        return
    # Unlike a handler, what is blocked stays so in a new program, and what comes meanwhile is not lost.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Workers:
    """A pool of processes, spawned when the first calls are submitted; they end with this process, however it ends.

    They are spawned, not forked: a process with the threads of a network may hang after a fork.
    """

    def __init__(self, count: int, begin: Callable[..., None], *arguments: Any) -> None:
        """`begin(*arguments)` runs first in each process; the arguments are pickled while it is spawned."""
        self.count = min(count, _MOST_ON_WINDOWS) if sys.platform == "win32" else count
        self._pool = ProcessPoolExecutor(
            self.count, multiprocessing.get_context("spawn"), initializer=_begin, initargs=(begin, arguments)
        )

    def submit(self, function: Callable[..., Result], *arguments: Any) -> Future[Result]:
        """Call a function in one of the processes. Raises UserError if one was killed."""
        try:
            # The first calls start the processes, which must never receive Ctrl-C.
            with interrupts_held():
                return self._pool.submit(function, *arguments)
        except BrokenProcessPool:
            raise _killed() from None

    def close(self) -> None:
        """End the processes.

        If they are left to the end of the interpreter, two of its threads shut them down at a time, and one may fail.
        """
        self._pool.shutdown(cancel_futures=True)


def result(future: Future[Result]) -> Result:
    """The result of a submitted call, as soon as it is there. Raises UserError if a process was killed."""
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
    """What a worker process does first."""
    # On platforms without pthread_sigmask.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    begin(*arguments)


def _end_with_the_parent() -> None:
    """Exit when the parent is killed: otherwise a worker would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os._exit(1)
