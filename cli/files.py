"""Atomic file writes: a file is either complete or not there."""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import os
import platform
import re
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from cli.messages import DISK_FULL
from crnn_reader.errors import UserError

#: Seconds to wait until a program opens a named pipe for reading.
PIPE_PATIENCE = 5


@contextlib.contextmanager
def atomic(path: Path | str, sync: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside `path`, and rename it to `path` when the block succeeds.

    A program that reads `path` sees either the complete old file or the complete new one. If the block fails, the old
    file remains. The new file gets the mode, owner and group of the old one. The temporary name is random and keeps
    the suffix, because libraries choose the format by it. The block may create a folder instead of a file.

    A symbolic link remains, and its target is replaced. A device or pipe cannot be replaced: the block gets `path`
    itself.

    Arguments:
        path: the file to write.
        sync: flush the file to disk before it is renamed. Pass False when writing many pictures: each flush takes
            time, and a picture lost in a power cut can be made again.

    Raises UserError if no program reads a pipe, IsADirectoryError if `path` is an existing folder, and other OSErrors
    with the name of `path`.
    """
    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        with _read_by_others(path):
            yield Path(path)
        return
    path = Path(os.path.realpath(path))
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    if str(path.parent) not in _swept:
        sweep(path.parent)
    temporary = path.with_name(_temporary_name(path.suffix))
    _temporaries.add(str(temporary))
    try:
        if path.exists():
            # The old file may be private, so the new one is private until it gets the old mode.
            os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        yield temporary
        with file_name_in_errors(temporary):
            if sync and temporary.is_file():
                _sync(temporary)
            _copy_ownership(temporary, path)
            os.replace(temporary, path)
            if sync:
                _sync(path.parent)
    except OSError as error:
        # Report the name that the user knows, not the temporary one. An error without a file name may come from
        # another file that the block reads, unless it is one that only writing causes.
        full = error.filename is None and error.errno in DISK_FULL
        name = str(temporary) if full else str(error.filename)
        if error.errno and name.startswith(str(temporary)):
            raise OSError(error.errno, error.strerror, str(path) + name[len(str(temporary)) :]) from error
        raise
    finally:
        _remove(temporary)
        _temporaries.discard(str(temporary))


def write_new(path: Path | str, content: bytes) -> None:
    """Write a new file atomically, in a third of the time of :func:`atomic`. For writing many files.

    Processes that change the same folder wait for one another, so this makes only two changes: it creates a temporary
    file and renames it. The file is not flushed to disk. An existing file is replaced. Raises OSError with the name of
    `path`.
    """
    folder = os.path.dirname(path)
    temporary = os.path.join(folder, _temporary_name(""))
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0)
    try:
        try:
            opened = os.open(temporary, flags, 0o666)
        except FileNotFoundError:
            os.makedirs(folder, exist_ok=True)
            opened = os.open(temporary, flags, 0o666)
        with open(opened, "wb", buffering=0) as file:
            while content:
                content = content[file.write(content) :]
        os.replace(temporary, path)
    except BaseException as error:
        _remove(temporary)
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


@contextlib.contextmanager
def _read_by_others(path: Path | str) -> Iterator[None]:
    """Context in which a device or pipe can be opened for writing. Raises UserError if no program reads the pipe."""
    if not stat.S_ISFIFO(os.stat(path).st_mode):
        yield
        return
    # Opening a pipe that no program reads would block forever, so try without blocking.
    for left in range(PIPE_PATIENCE * 20, -1, -1):
        try:
            opened = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
            break
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            if not left:
                raise UserError(f"{path} is a pipe that no program reads: start that first, or give a file") from None
            time.sleep(0.05)
    try:
        # Keep the pipe open: its reader would see the end of the data before the block opens it again.
        yield
    finally:
        os.close(opened)


def _remove(path: Path | str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            os.unlink(path)


def _sync(path: Path) -> None:
    """Flush a file or folder to disk, if the file system supports it."""
    if path.is_dir() and os.name == "nt":
        return
    try:
        # Windows can only flush files that are open for writing.
        opened = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
    except OSError as error:
        # EACCES: a folder may be writable but not readable.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EACCES):
            raise


def _copy_ownership(temporary: Path, path: Path) -> None:
    """Copy the mode, owner and group of `path` to `temporary`, as far as permissions allow."""
    try:
        old = path.stat()
    except FileNotFoundError:
        return
    new = temporary.stat()
    if hasattr(os, "chown") and (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
        # Often this user may set the group but not the owner.
        for owner in (old.st_uid, -1):
            with contextlib.suppress(OSError):
                os.chown(temporary, owner, old.st_gid)
                break
    with contextlib.suppress(OSError):  # some file systems have no modes
        temporary.chmod(stat.S_IMODE(old.st_mode))


# A temporary name contains the machine and process that made it, so that the next command can remove the files of
# killed processes.

_TEMPORARY = re.compile(r"\.crnn-kit-([0-9a-f]{8})-(\d+)-[0-9a-f]{16}\.partial(\..*)?", re.DOTALL)
#: The temporary files of this process, and the folders in which it has removed abandoned ones.
_temporaries, _swept = set[str](), set[str]()
#: Seconds after which a temporary file of another machine counts as abandoned. Whether its process still runs cannot be
#: checked from here.
_ABANDONED = 7 * 86_400.0


def _temporary_name(suffix: str) -> str:
    # Drop long suffixes: they name no format, and the result might exceed the longest name of the file system.
    ending = suffix if len(os.fsencode(suffix)) <= 32 else ""
    return f".crnn-kit-{_machine()}-{os.getpid()}-{secrets.token_hex(8)}.partial{ending}"


@functools.cache
def _machine() -> str:
    """A hash that identifies the scope of process ids: the machine and, on Linux, the container's PID namespace."""
    space = ""
    with contextlib.suppress(OSError):
        space = os.readlink("/proc/self/ns/pid")
    return hashlib.blake2b(f"{platform.node()} {space}".encode(), digest_size=4).hexdigest()


def sweep(folder: Path) -> None:
    """Remove temporary files that killed processes left in `folder`. Files of running processes stay."""
    _swept.add(str(folder))
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            found = _TEMPORARY.fullmatch(entry.name)
            if (
                found
                and entry.path not in _temporaries
                and _is_abandoned(found[1], int(found[2]), entry.stat(follow_symlinks=False))
            ):
                _remove(entry.path)


def _is_abandoned(machine: str, process: int, found: os.stat_result) -> bool:
    if hasattr(os, "geteuid") and found.st_uid != os.geteuid():
        return False
    # On Windows, os.kill(process, 0) ends the process.
    if machine != _machine() or os.name == "nt":
        return time.time() - found.st_mtime > _ABANDONED
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    # The caller has excluded files of this process. Another file with its id comes from an earlier process with the
    # same id, as in a restarted container.
    return process == os.getpid()


@contextlib.contextmanager
def file_name_in_errors(path: Path | str) -> Iterator[None]:
    """Context that adds `path` to OSErrors without a file name, such as those of writing to an open file."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, error.filename or str(path)) from error
