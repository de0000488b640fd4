"""Run a command: parse its parameters, report its errors, and exit with a code.

A command is a function that takes its parameters and returns an exit code. :func:`run_command` runs it:

    0    everything was done
    1    done, but some inputs could not be read; stderr names each one with the reason
    2    wrong use, nothing to do, or no readable input; stderr says in one sentence what to do instead
    130  interrupted by Ctrl-C or SIGTERM
"""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Callable
from typing import NoReturn, Protocol, Self, TypeVar

from cli import interrupts
from cli.flags import with_flags
from cli.messages import DISK_FULL, print_log, warn
from crnn_reader.errors import UserError

ALL_DONE, SOME_UNREADABLE, WRONG_USE, INTERRUPTED = 0, 1, 2, interrupts.INTERRUPTED


class CommandLine(Protocol):
    """Parameters that can be parsed from command-line flags."""

    @classmethod
    def parse(cls, argv: list[str] | None = None, prog: str | None = None) -> Self:
        """Parse `argv`, by default the flags of this process.

        Raises UserError for invalid flags, and SystemExit with code 0 for `--help`.
        """


Parameters = TypeVar("Parameters", bound=CommandLine)


def run_command(
    command: Callable[[Parameters], int],
    parameters: type[Parameters],
    argv: list[str] | None = None,
    prog: str | None = None,
) -> NoReturn:
    """Parse `parameters` from the command line, run `command` with them, and exit with its code.

    A :class:`UserError`, a full disk, a missing permission or Ctrl-C prints one sentence on stderr. Any other
    exception is a bug in the kit and prints its traceback.
    """
    interrupts.begin()
    print_log()
    # The parent process may have closed these. Reopening in this order restores file descriptors 0, 1 and 2.
    sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: SIM115 (closed with the process)
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (closed with the process)
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdin, sys.stdout):
        if isinstance(stream, io.TextIOWrapper):
            # File names may contain bytes that are not valid UTF-8. Line buffering lets programs that read our output
            # see each line at once.
            stream.reconfigure(encoding="utf-8", errors="surrogateescape", line_buffering=True)
    try:
        code = command(parameters.parse(argv, prog))
        sys.stdout.flush()
    except BaseException as error:
        code = report_error(error)
    finally:
        interrupts.end()
    try:
        sys.stderr.flush()
    except OSError:
        # Python would flush stderr again at exit, fail, and change the exit code.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    sys.exit(code)


def report_error(error: BaseException) -> int:
    """Print a message for an error that the kit did not cause, and return the exit code. Re-raises all other errors."""
    if isinstance(error, KeyboardInterrupt) or (interrupts.was_interrupted() and isinstance(error, Exception)):
        # A library that is interrupted during its import may raise any exception.
        warn(interrupts.sentence())
        return INTERRUPTED
    if isinstance(error, UserError):
        warn(f"error: {with_flags(str(error), **error.parameters)}")
        return WRONG_USE
    if isinstance(error, BrokenPipeError):
        # The program that reads our stdout, such as head, has closed it. This is not an error.
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
    # An operation on two files, such as a copy, writes to the second one.
    where = error.filename2 or error.filename or "the output"
    if error.errno in DISK_FULL:
        return (
            f"no space left to write {where}: free some space or choose another place; "
            "files finished earlier are untouched"
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"no permission for {where}: change its permissions or choose another place"
    if error.errno in (errno.ENOTDIR, errno.EEXIST, errno.EISDIR) and error.filename:
        what = "is a folder, not a file" if error.errno == errno.EISDIR else "is not a folder"
        return f"{where} {what}: choose another path"
    if error.errno == errno.ENOENT and error.filename:
        return f"{where} does not exist, or cannot be created: check the path"
    if error.errno == errno.ENAMETOOLONG:
        return f"the name {where} is too long for this file system: choose a shorter one"
    if error.errno and error.filename:
        return f"{where}: {os.strerror(error.errno)}; correct that, or choose another path"
    return None
