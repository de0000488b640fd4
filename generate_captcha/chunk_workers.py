"""Processes that work on the chunks of a corpus."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from multiprocessing import connection
from typing import Any, cast

import cv2

from cli import interrupts
from cli.workers import interrupts_held
from crnn_reader.errors import UserError


@contextlib.contextmanager
def for_each(function: Callable[[int], int], chunks: range, workers: int) -> Iterator[Iterator[int]]:
    """Yield an iterator of `function(chunk)` for all chunks, as they become ready.

    Arguments:
        function: called in the worker processes, or in this one if `workers` is at most 1. It is pickled unless the
            processes are forked.

    Raises UserError if a process was killed, and the exceptions of `function`. The processes end with the block.
    """
    if workers <= 1:
        yield map(function, chunks)
        return
    # Forking takes 10 ms, a new interpreter half a second. But a forked process may hang if this one has threads. In a
    # command, the only threads that Python does not count are OpenCV's, which start with the first picture; they end
    # here. Other programs may have threads of TensorFlow or onnxruntime.
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    fork = sys.platform == "linux" and interrupts.is_command and threading.active_count() == 1
    context: Any = multiprocessing.get_context("fork" if fork else "spawn")
    position, stop = context.Value("q", 0), context.Value("b", 0, lock=False)
    processes: dict[connection.Connection, multiprocessing.process.BaseProcess] = {}
    try:
        for _ in range(workers):
            receiver, sender = context.Pipe(duplex=False)
            process = context.Process(
                target=_work, args=(function, chunks, position, stop, sender, os.getpid()), daemon=True
            )
            with interrupts_held():
                process.start()
            # Only the worker keeps the sending end, so that the pipe ends when it dies.
            sender.close()
            processes[receiver] = process
        cv2.setNumThreads(threads)
        yield _results(processes)
    finally:
        stop.value = 1
        for process in processes.values():
            process.join(timeout=10)
            process.terminate()


def _results(processes: dict[connection.Connection, multiprocessing.process.BaseProcess]) -> Iterator[int]:
    """Yield the workers' results as they arrive. Raises their exceptions."""
    open_ = set(processes)
    while open_:
        for receiver in cast(list[connection.Connection], connection.wait(open_)):
            try:
                result = receiver.recv()
            except EOFError:
                open_.remove(receiver)
                processes[receiver].join()
                if processes[receiver].exitcode:
                    raise UserError(
                        "a drawing process was killed, perhaps because memory ran out: run the same command with "
                        "fewer workers to continue",
                        parameter="workers",
                    ) from None
                continue
            if isinstance(result, BaseException):
                raise result
            yield result


def _work(
    function: Callable[[int], int], chunks: range, position: Any, stop: Any, sender: connection.Connection, parent: int
) -> None:
    """Run in a worker process: take chunks and send each result. An exception is the last result."""
    # Needed on platforms where the signal cannot be blocked. The parent handles it and ends the workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    # The parent handles SIGTERM as Ctrl-C and ends the workers, which print nothing.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    cv2.setNumThreads(1)
    try:
        while True:
            # Each chunk goes to one worker.
            with position.get_lock():
                number = position.value
                position.value += 1
            if number >= len(chunks):
                return
            result = function(chunks[number])
            # A killed parent does not set `stop`, and nobody receives results.
            if stop.value or os.getppid() != parent:
                return
            sender.send(result)
    except Exception as error:
        error.add_note(traceback.format_exc())
        sender.send(error)
