"""Manners at the command line: one way to fail, to show progress, and to write files.

Every command of the kit is a function from its parameters to an exit code, handed to :func:`run`:

    0  all done
    1  done, but some inputs could not be read (each named on stderr, with the reason)
    2  wrong use or nothing to do, also where no input could be read; one sentence says what to do instead
    130  interrupted, by Ctrl-C or SIGTERM
"""

from __future__ import annotations

import contextlib
import difflib
import errno
import functools
import hashlib
import io
import itertools
import os
import platform
import re
import secrets
import shutil
import signal
import stat
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Protocol, TypeVar

import interrupts

if TYPE_CHECKING:
    from rich.table import Table

    import parameter

Parameters = TypeVar("Parameters", bound="parameter.Parameters")

ALL_DONE, SOME_UNREADABLE, WRONG_USE, INTERRUPTED = 0, 1, 2, interrupts.INTERRUPTED

#: Seconds between two progress lines when stderr is a log file rather than a terminal.
LOG_INTERVAL = 15.0

#: Seconds to wait for a program that reads a named pipe.
_PATIENCE = 5

#: How many messages to print before summarising the rest.
TOLD = 100

#: Characters of a line on stderr. Paths have up to 4,096 bytes, but a list may name pictures by more.
LONGEST_MESSAGE = 2_000


class UserError(Exception):
    """A mistake that the user can correct, in one sentence: the thing, what was found, what to do."""


#: Control characters, separators of lines, marks that turn the direction of writing, and what is no text.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """`text` with its control characters as escapes, `\\n` or `\\x1b`.

    File names, labels and what a model reads may hold anything, and a terminal obeys what it is sent.
    """
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def warn(message: str) -> None:
    """Tell the user something on stderr, in one line; stdout belongs to results."""
    message = printable(message)
    if len(message) > LONGEST_MESSAGE:
        # What was found and what to do stand at the ends, a name or text of any length in between.
        half = LONGEST_MESSAGE // 2 - 1
        message = f"{message[:half]}…{message[-half:]}"
    try:
        print(message, file=sys.stderr, flush=True)
    except OSError as error:
        # A log on a full disk, or a closed terminal, is no reason to stop: the results may well go elsewhere.
        if error.errno not in (*_FULL, errno.EIO):
            raise


def say(message: str) -> None:
    """Print a line of results on stdout."""
    print(printable(message))


def warn_of_each(messages: Sequence[str], nothing_left: bool) -> None:
    """Tell of each thing that is left out; where nothing is left, of the first hundred, and how many more there are.

    Whoever goes on without some must know which; a wrong folder is seen from a few.
    """
    for message in messages[: TOLD if nothing_left else None]:
        warn(message)
    if nothing_left and len(messages) > TOLD:
        warn(f"… and {len(messages) - TOLD:,} more like these")


def cores() -> int:
    """The processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run(
    command: Callable[[Parameters], int],
    parameters: type[Parameters],
    argv: list[str] | None = None,
    prog: str | None = None,
) -> NoReturn:
    """Read `parameters` from the command line, run `command` with them, exit with its code.

    A :class:`UserError`, a full disk, a missing permission or Ctrl-C ends in one sentence on stderr
    and never in a traceback; anything else is a defect of the kit and keeps its traceback.
    """
    import parameter

    interrupts.begin()
    # The parent process may have closed these. Reopening in this order restores file descriptors 0, 1 and 2.
    sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: SIM115 (closed with the process)
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (closed with the process)
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdin, sys.stdout):
        if isinstance(stream, io.TextIOWrapper):
            # File names need not be Unicode, and whoever reads our lines gets each one as soon as it is known.
            stream.reconfigure(encoding="utf-8", errors="surrogateescape", line_buffering=True)
    try:
        code = command(parameter.from_command_line(parameters, argv, prog))
        sys.stdout.flush()
    except BaseException as error:
        code = reported(error)
    finally:
        interrupts.end()
    try:
        sys.stderr.flush()
    except OSError:
        # What cannot be written would be tried again at exit, and change the code.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    sys.exit(code)


def reported(error: BaseException) -> int:
    """Report an error that is not the kit's fault and return the exit code. Raises all other errors again."""
    if isinstance(error, KeyboardInterrupt) or (interrupts.heard() and isinstance(error, Exception)):
        # Libraries that are interrupted while they are imported raise whatever they like.
        warn(interrupts.sentence())
        return INTERRUPTED
    if isinstance(error, UserError):
        warn(f"error: {error}")
        return WRONG_USE
    if isinstance(error, BrokenPipeError):
        # The program that reads our stdout, such as head, has closed it: this is not an error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ALL_DONE
    if isinstance(error, OSError) and (sentence := _sentence(error)):
        warn(f"error: {sentence}")
        return WRONG_USE
    raise error


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """`did you mean captcha?` where one of the `known` words is close to `word`."""
    close = difflib.get_close_matches(word, sorted(set(known) - {word}), 1, cutoff=0.7)
    return f"did you mean {close[0]}?" if close else None


def missing(path: Path | str, remedy: str) -> UserError:
    """The error that `path` does not exist, with a name beside it that is like it, or else what to do."""
    path = Path(path)
    beside = list[str]()
    with contextlib.suppress(OSError), os.scandir(path.parent) as entries:
        # In a folder of a million files a suggestion would take too long.
        beside = [entry.name for entry in itertools.islice(entries, 10_000)]
    names = {str(path.parent / name) for name in beside if not name.startswith(".")}
    return UserError(f"{path} does not exist: {did_you_mean(str(path), names) or remedy}")


#: Errors that only occur when writing.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def _sentence(error: OSError) -> str | None:
    # Of two names, as in copying, the second is the one that is written.
    where = error.filename2 or error.filename or "the output"
    if error.errno in _FULL:
        return (
            f"no space left to write {where}: free some space or choose another place; "
            "files finished earlier are untouched"
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"no permission for {where}: change its permissions or choose another place"
    if error.errno in (errno.ENOTDIR, errno.EEXIST, errno.EISDIR) and error.filename:
        what = "is a folder, where a file is to be" if error.errno == errno.EISDIR else "is not a folder"
        return f"{where} {what}: choose another path"
    if error.errno == errno.ENOENT and error.filename:
        return f"{where} does not exist, or cannot be created: check the path"
    if error.errno == errno.ENAMETOOLONG:
        return f"the name {where} is too long for this file system: choose a shorter one"
    if error.errno and error.filename:
        return f"{where}: {os.strerror(error.errno)}; correct that, or choose another path"
    return None


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
        full = error.filename is None and error.errno in _FULL
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


def print_table(table: Table) -> None:
    """Print a table on stdout; what stands in it is shown as it is."""
    from rich.console import Console

    console = Console(markup=False, emoji=False, highlight=False)
    with console.capture() as drawn:
        console.print(table)
    # rich fills the last column with spaces.
    for line in drawn.get().removesuffix("\n").split("\n"):
        print(line.rstrip(" "))


class Advance(Protocol):
    """Says that `count` more units are done, and how many there are when that has changed."""

    def __call__(self, count: int, new_total: int | None = None) -> None: ...


@contextlib.contextmanager
def progress(title: str, total: int | None, unit: str = "pictures") -> Iterator[Advance]:
    """Show how far a job of `total` units is, on stderr; yields `advance(count)`.

    On a terminal: a bar with rate and time left. In a log: a line every :data:`LOG_INTERVAL` seconds.
    """
    if sys.stderr.isatty():
        with _bar(title, total, unit) as advance_bar:
            yield advance_bar
        return
    started = last = time.monotonic()
    done = 0

    def advance(count: int, new_total: int | None = None) -> None:
        nonlocal done, last, total
        done, total = done + count, new_total or total
        now = time.monotonic()
        if now - last >= LOG_INTERVAL:
            last = now
            rate = done / (now - started)
            left = f" of {total:,}, {_clock((total - done) / rate)} left" if total and rate else ""
            warn(f"{title}: {done:,}{left}, {rate:,.0f} {unit}/s")

    yield advance


@contextlib.contextmanager
def _bar(title: str, total: int | None, unit: str) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        # Paths stand in it, and brackets in those are no markup.
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    # Left alone, rich would take stdout for its terminal too, and results with it.
    with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False) as bar:
        task = bar.add_task(printable(title), total=total, rate="")

        def advance(count: int, new_total: int | None = None) -> None:
            bar.update(task, advance=count, total=new_total or bar.tasks[0].total)
            speed = bar.tasks[0].speed
            bar.update(task, rate=f"{speed:,.0f} {unit}/s" if speed else "")

        yield advance


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
