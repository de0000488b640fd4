"""Capture messages that image libraries print on the `stderr` of C, such as libjpeg's "premature end of data segment".

These messages are the only sign that a decoder has filled missing parts with grey. With glibc, the C variable `stderr`
can point to a file in memory during a call. File descriptor 2 and Python's `sys.stderr` do not change, so messages of
other threads are not lost.

With other C libraries nothing is captured, and messages go to stderr.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")

#: _IONBF of setvbuf in glibc: unbuffered.
_UNBUFFERED = 2


class _Catcher:
    """Redirects the C variable `stderr`, with one redirection shared by all threads."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library, self._pointer = library, ctypes.c_void_p.in_dll(library, "stderr")
        self._original = self._pointer.value
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        # Also called in a forked child: the threads that held the lock do not exist there, and the file would be shared
        # with the parent.
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._inside, self._exclusive = 0, False
        self._pointer.value = self._original
        self._file = os.memfd_create("messages of image libraries")
        self._stream = self._library.fdopen(self._file, b"a")
        self._library.setvbuf(ctypes.c_void_p(self._stream), None, _UNBUFFERED, 0)

    def messages_of(self, call: Callable[[], Result]) -> tuple[Result, str]:
        with self._lock:
            while self._exclusive:
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
        # Any of the threads inside may have printed it. Call again with no other thread inside.
        with self._lock:
            while self._exclusive:
                self._changed.wait()
            self._exclusive = True
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
                self._exclusive = False
                self._leave()

    def _leave(self) -> None:
        if not self._inside:
            self._pointer.value = self._original
            self._changed.notify_all()


def _catcher() -> _Catcher | None:
    with contextlib.suppress(AttributeError, ValueError, OSError):
        # Any of these fails with another C library, where the pointer may be a constant, or without memfd_create.
        os.confstr("CS_GNU_LIBC_VERSION")
        library = ctypes.CDLL(None)
        library.fdopen.restype = ctypes.c_void_p
        return _Catcher(library)
    return None


_catching = _catcher()


def messages_of(call: Callable[[], Result]) -> tuple[Result, str]:
    """Call a function. Returns its result and what it printed on the C library's `stderr`.

    The message is empty if it cannot be captured. The function is called a second time if it or another thread printed
    something, so it must return the same result again. Its exceptions are raised.
    """
    return (call(), "") if _catching is None else _catching.messages_of(call)
