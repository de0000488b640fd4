"""Manners at the command line: one way to fail, to show progress, and to write files.

Every command of the kit is a function from its parameters to an exit code, handed to :func:`run`:

    0  all done
    1  done, but some inputs could not be read (each named on stderr, with the reason)
    2  wrong use or nothing to do; one sentence says what to do instead
    130  interrupted by the user
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Protocol, TypeVar

if TYPE_CHECKING:
    from rich.console import Console

    import parameter

Parameters = TypeVar("Parameters", bound="parameter.Parameters")

ALL_DONE, SOME_UNREADABLE, WRONG_USE, INTERRUPTED = 0, 1, 2, 130

#: Seconds between two progress lines when stderr is a log file rather than a terminal.
LOG_INTERVAL = 15.0

#: Of a set that cannot be read at all, what is told of one by one.
TOLD = 100


class UserError(Exception):
    """A mistake that the user can mend, told in one sentence: the thing, what was found, what to do."""


def warn(message: str) -> None:
    """Tell the user something on stderr; stdout belongs to results."""
    print(message, file=sys.stderr, flush=True)


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

    # Whoever ends us politely (a time limit, a container that stops) may have what was done so far, as with Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # Closed by whoever started us.
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (closed with the process)
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdin, sys.stdout):
        if isinstance(stream, io.TextIOWrapper):
            # File names need not be Unicode, and whoever reads our lines gets each one as soon as it is known.
            stream.reconfigure(encoding="utf-8", errors="surrogateescape", line_buffering=True)
    try:
        code = command(parameter.from_command_line(parameters, argv, prog))
        sys.stdout.flush()
    except UserError as error:
        warn(f"error: {error}")
        code = WRONG_USE
    except KeyboardInterrupt:
        warn("interrupted: what was finished is kept; the same command goes on or starts again")
        code = INTERRUPTED
    except BrokenPipeError:
        # The reader of our stdout (head, less) has seen enough; that is no failure of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = ALL_DONE
    except OSError as error:
        sentence = _sentence(error)
        if sentence is None:
            raise
        warn(f"error: {sentence}")
        code = WRONG_USE
    sys.exit(code)


def _sentence(error: OSError) -> str | None:
    # Of two names, as in copying, the second is the one that is written.
    where = error.filename2 or error.filename or "the output"
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return (
            f"no space left to write {where}: free some space or choose another place; "
            "files finished earlier are untouched"
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"no permission for {where}: change its permissions or choose another place"
    if error.errno in (errno.ENOTDIR, errno.EEXIST, errno.EISDIR) and error.filename:
        return f"{where} is in the way ({os.strerror(error.errno)}): remove it or choose another path"
    if error.errno == errno.ENOENT and error.filename:
        return f"{where} does not exist, or cannot be made there: check the path"
    if error.errno == errno.ENAMETOOLONG:
        return f"the name {where} is too long for this file system: choose a shorter one"
    return None


@contextlib.contextmanager
def atomic(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside `path` and rename it to `path` when the block succeeds.

    Whoever reads `path` sees the old file or the new one, whole; a failing block leaves the old one.
    The temporary name keeps the suffix, which libraries read the format from. A link stays, and its
    target is replaced; a device or pipe cannot be replaced and is handed out itself. The block may make
    a folder instead of a file; a folder that is there already is never replaced.
    """
    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        yield Path(path)
        return
    path = Path(os.path.realpath(path))
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        # The user knows the file by its own name, not by the temporary one.
        if error.filename in (None, str(temporary), temporary) and error.errno:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
        temporary.unlink(missing_ok=True)


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


def tables() -> Console:
    """What prints rich's tables on stdout; what stands in them is shown as it is."""
    from rich.console import Console

    class Out(Console):
        def on_broken_pipe(self) -> None:
            # Left alone, rich would exit with 1; :func:`run` knows better.
            raise

    return Out(markup=False, emoji=False, highlight=False)


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
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    # Left alone, rich would take stdout for its terminal too, and results with it.
    with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False) as bar:
        task = bar.add_task(title, total=total, rate="")

        def advance(count: int, new_total: int | None = None) -> None:
            bar.update(task, advance=count, total=new_total or bar.tasks[0].total)
            speed = bar.tasks[0].speed
            bar.update(task, rate=f"{speed:,.0f} {unit}/s" if speed else "")

        yield advance


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
