"""Catch what image libraries print on the C library's `stderr`, such as libjpeg's "premature end of data segment".

These messages are the only sign that a decoder has filled missing parts with grey. They are caught by pointing
`stderr` of the C library at a file in memory for the time of a call, which glibc allows. File descriptor 2 and Python's
`sys.stderr` stay as they are, so nothing that other threads write through them is lost.

With other C libraries nothing is caught: messages go to stderr, and calls are made as they are.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")

#: setvbuf's number for "unbuffered" in glibc.
_UNBUFFERED = 2


class _Catcher:
    """Shares one redirection of the C library's `stderr` between threads."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library, self._pointer = library, ctypes.c_void_p.in_dll(library, "stderr")
        self._usual = self._pointer.value
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        # A forked child has no threads that could give the lock back, and would share the file with its parent.
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._inside, self._alone = 0, False
        self._pointer.value = self._usual
        self._file = os.memfd_create("messages of image libraries")
        self._stream = self._library.fdopen(self._file, b"a")
        self._library.setvbuf(ctypes.c_void_p(self._stream), None, _UNBUFFERED, 0)

    def messages_of(self, call: Callable[[], Result]) -> tuple[Result, str]:
        with self._lock:
            while self._alone:
                self._changed.wait()
            if not self._inside:
                self._pointer.value = self._stream
            self._inside += 1
        try:
            result = call()
        finally:
            with self._lock:
                printed = os.lseek(self._file, 0, os.SEEK_END)
                self._inside -= 1
                self._leave()
        if not printed:
            return result, ""
        # Any of the threads may have printed that: call again while no other is inside.
        with self._lock:
            while self._alone:
                self._changed.wait()
            self._alone = True
        try:
            with self._lock:
                while self._inside:
                    self._changed.wait()
                os.ftruncate(self._file, 0)
                self._pointer.value = self._stream
            result = call()
            return result, os.pread(self._file, 1 << 16, 0).decode(errors="replace")
        finally:
            with self._lock:
                os.ftruncate(self._file, 0)
                self._alone = False
                self._leave()

    def _leave(self) -> None:
        if not self._inside:
            self._pointer.value = self._usual
            self._changed.notify_all()


def _catcher() -> _Catcher | None:
    with contextlib.suppress(AttributeError, ValueError, OSError):
        # Elsewhere the pointer is a constant, or there is no such file.
        os.confstr("CS_GNU_LIBC_VERSION")
        library = ctypes.CDLL(None)
        library.fdopen.restype = ctypes.c_void_p
        return _Catcher(library)
    return None


_catching = _catcher()


def messages_of(call: Callable[[], Result]) -> tuple[Result, str]:
    """The result of `call`, and what it printed on the C library's `stderr`; empty where that cannot be caught.

    `call` must give the same result when it is made twice, which happens when it or another thread prints. Exceptions
    of `call` are raised.
    """
    return (call(), "") if _catching is None else _catching.messages_of(call)
