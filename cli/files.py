"""Files that are written whole or not at all."""

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

#: Seconds to wait for a program that reads a named pipe.
_PATIENCE = 5


@contextlib.contextmanager
def atomic(path: Path | str, sync: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside `path` and rename it to `path` when the block succeeds.

    Whoever reads `path` sees the old file or the new one, whole; a failing block leaves the old one. The new file has
    mode, owner and group of the one that it replaces. With `sync` it is on the disk before it is renamed: leave that
    out for one of many pictures, whose loss in a power cut is not worth the time. The temporary name cannot be guessed
    and keeps the suffix, which libraries read the format from. A link stays, and its target is replaced; a device or
    pipe cannot be replaced and is handed out itself. The block may make a folder instead of a file; a folder that is
    there already is never replaced. Raises UserError for a pipe that no program reads.
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
            # Until it is whole, nobody else may read what replaces a file that perhaps nobody else may read.
            os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        yield temporary
        with naming(temporary):
            if sync and temporary.is_file():
                _sync(temporary)
            _become_as(temporary, path)
            os.replace(temporary, path)
            if sync:
                _sync(path.parent)
    except OSError as error:
        # The user knows the file by its own name, not by the temporary one. What has no name may be of a file that is
        # read, unless only writing fails like that.
        full = error.filename is None and error.errno in DISK_FULL
        name = str(temporary) if full else str(error.filename)
        if error.errno and name.startswith(str(temporary)):
            raise OSError(error.errno, error.strerror, str(path) + name[len(str(temporary)) :]) from error
        raise
    finally:
        _remove(temporary)
        _temporaries.discard(str(temporary))


def write_new(path: Path | str, content: bytes) -> None:
    """Write one of many files that are not there yet, whole or not at all, in a third of the time of :func:`atomic`.

    In a folder that several processes fill, each change of it waits for those of the others, and so this makes two: it
    creates a temporary file and renames it. Files are not flushed to the disk, and an empty one is replaced.
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
    """A context for writing to a device or pipe. Raises UserError if no program reads the pipe."""
    if not stat.S_ISFIFO(os.stat(path).st_mode):
        yield
        return
    # To open a pipe that nobody reads would wait, without a word, for ever.
    for left in range(_PATIENCE * 20, -1, -1):
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
        # Its reader would end if it were closed before it is opened again.
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
    """Have a file or folder written to the disk, where the file system can."""
    if path.is_dir() and os.name == "nt":
        return
    try:
        # Windows wants it writable.
        opened = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
    except OSError as error:
        # A folder may be one that can be written to and not be read.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EACCES):
            raise


def _become_as(temporary: Path, path: Path) -> None:
    """Give `temporary` the mode, owner and group of `path`, as far as this user may."""
    try:
        old = path.stat()
    except FileNotFoundError:
        return
    new = temporary.stat()
    if hasattr(os, "chown") and (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
        # The group can often be kept where the owner cannot.
        for owner in (old.st_uid, -1):
            with contextlib.suppress(OSError):
                os.chown(temporary, owner, old.st_gid)
                break
    with contextlib.suppress(OSError):  # Some file systems have no modes.
        temporary.chmod(stat.S_IMODE(old.st_mode))


# Temporary names say whose they are, so that those of killed processes are removed by the next one.

_TEMPORARY = re.compile(r"\.crnn-kit-([0-9a-f]{8})-(\d+)-[0-9a-f]{16}\.partial(\..*)?", re.DOTALL)
#: Those of this process, and the folders in which it has looked for others.
_temporaries, _swept = set[str](), set[str]()
#: Seconds after which one of another machine, of which nobody knows whether it still works on it, is given up.
_ABANDONED = 7 * 86_400.0


def _temporary_name(suffix: str) -> str:
    # A name may be as long as the file system allows; what long ones have behind a dot is no format.
    ending = suffix if len(os.fsencode(suffix)) <= 32 else ""
    return f".crnn-kit-{_machine()}-{os.getpid()}-{secrets.token_hex(8)}.partial{ending}"


@functools.cache
def _machine() -> str:
    """Where process numbers mean the same: the machine, and on Linux the name space of a container."""
    space = ""
    with contextlib.suppress(OSError):
        space = os.readlink("/proc/self/ns/pid")
    return hashlib.blake2b(f"{platform.node()} {space}".encode(), digest_size=4).hexdigest()


def sweep(folder: Path) -> None:
    """Remove what killed processes left half-written in `folder`; never what one that lives is writing."""
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
    # On Windows, to ask whether a process is there is to end it.
    if machine != _machine() or os.name == "nt":
        return time.time() - found.st_mtime > _ABANDONED
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    # This process knows its own: others are of an earlier one with its number, as in a container that was restarted.
    return process == os.getpid()


@contextlib.contextmanager
def naming(path: Path | str) -> Iterator[None]:
    """Put the file's name into errors of writing an open file, which come without one."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, error.filename or str(path)) from error
