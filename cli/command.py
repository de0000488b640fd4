"""One way for every command to begin, to fail and to end.

A command is a function from its parameters to an exit code, handed to :func:`run_command`:

    0  all done
    1  done, but some inputs could not be read (each named on stderr, with the reason)
    2  wrong use or nothing to do, also if no input could be read; one sentence says what to do instead
    130  interrupted, by Ctrl-C or SIGTERM
"""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Callable
from typing import NoReturn, Protocol, Self, TypeVar

from cli import interrupts
from cli.messages import DISK_FULL, print_log, warn
from crnn_reader.errors import UserError

ALL_DONE, SOME_UNREADABLE, WRONG_USE, INTERRUPTED = 0, 1, 2, interrupts.INTERRUPTED


class CommandLine(Protocol):
    """Parameters that can be read from flags."""

    @classmethod
    def parse(cls, argv: list[str] | None = None, prog: str | None = None) -> Self:
        """The parameters that the flags ask for. Raises UserError; `--help` exits with 0."""


Parameters = TypeVar("Parameters", bound=CommandLine)


def run_command(
    command: Callable[[Parameters], int],
    parameters: type[Parameters],
    argv: list[str] | None = None,
    prog: str | None = None,
) -> NoReturn:
    """Read `parameters` from the command line, run `command` with them, exit with its code.

    A :class:`UserError`, a full disk, a missing permission or Ctrl-C ends in one sentence on stderr
    and never in a traceback; anything else is a defect of the kit and keeps its traceback.
    """
    interrupts.begin()
    print_log()
    # The parent process may have closed these. Reopening in this order restores file descriptors 0, 1 and 2.
    sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: SIM115 (closed with the process)
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (closed with the process)
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdin, sys.stdout):
        if isinstance(stream, io.TextIOWrapper):
            # File names need not be Unicode, and whoever reads our lines gets each one as soon as it is known.
            stream.reconfigure(encoding="utf-8", errors="surrogateescape", line_buffering=True)
    try:
        code = command(parameters.parse(argv, prog))
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
    if isinstance(error, MemoryError):
        warn("error: there is not enough memory: end other programs, or work on fewer or smaller pictures at a time")
        return WRONG_USE
    if isinstance(error, OSError) and (sentence := _sentence(error)):
        warn(f"error: {sentence}")
        return WRONG_USE
    raise error


def _sentence(error: OSError) -> str | None:
    # Of two names, as in copying, the second is the one that is written.
    where = error.filename2 or error.filename or "the output"
    if error.errno in DISK_FULL:
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
