"""A file lock that ends with the process that holds it, even if that is killed."""

from __future__ import annotations

import errno
import os
import sys
import time
from pathlib import Path
from typing import IO

#: Seconds for which :meth:`Lock.take` tries: :meth:`Lock.is_taken` of another process holds the lock for a moment.
TRYING = 1.0


class Lock:
    """A lock on the file `path`, which is created empty when the lock is taken, and remains."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None

    def take(self) -> bool:
        """Take the lock until :meth:`release`. Returns False if another process, or another :class:`Lock`, has it."""
        due = time.monotonic() + TRYING
        file = self._path.open("ab")
        while not _locked(file):
            if time.monotonic() > due:
                file.close()
                return False
            time.sleep(TRYING / 20)
        self._file = file
        return True

    def release(self) -> None:
        """Release the lock if it was taken."""
        if self._file:
            self._file.close()
            self._file = None

    def is_held(self) -> bool:
        """Whether this object has the lock, and the file at `path` is still the one that it locked."""
        try:
            return self._file is not None and os.path.samestat(os.stat(self._path), os.fstat(self._file.fileno()))
        except OSError:
            return False

    def is_taken(self) -> bool:
        """Whether a process holds the lock."""
        file: IO[bytes]
        try:
            file = self._path.open("r+b")
        except FileNotFoundError:
            return False
        except OSError:
            # Most file systems lock files in a read-only folder, too.
            file = self._path.open("rb")
        with file:
            return not _locked(file)


def _locked(file: IO[bytes]) -> bool:
    """Lock an open file until it is closed. Returns False if it is locked already."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        # Some network file systems have no locks: there, every lock counts as free.
        return error.errno not in (errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK)
    return True
