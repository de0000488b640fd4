"""Output for the user: messages on stderr, results on stdout."""

from __future__ import annotations

import contextlib
import errno
import itertools
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from crnn_reader.errors import UserError, did_you_mean, printable

if TYPE_CHECKING:
    from rich.table import Table

#: How many messages to print before summarising the rest.
MAX_MESSAGES = 100
#: Longest line on stderr, in characters. A picture's name in a list of labels may be of any length.
MAX_MESSAGE_LENGTH = 2_000
#: Error numbers of a full disk. Only writing causes them.
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def warn(message: str) -> None:
    """Print a message on stderr, in one line of at most MAX_MESSAGE_LENGTH characters."""
    message = printable(message)
    if len(message) > MAX_MESSAGE_LENGTH:
        # Shorten the middle, which usually is a long name or text: the start and the end say what is wrong and what to
        # do.
        half = MAX_MESSAGE_LENGTH // 2 - 1
        message = f"{message[:half]}…{message[-half:]}"
    try:
        print(message, file=sys.stderr, flush=True)
    except OSError as error:
        # Do not stop for a log on a full disk, a closed terminal or a closed pipe: the results may go elsewhere.
        if error.errno not in (*DISK_FULL, errno.EIO, errno.EPIPE):
            raise


def print_line(message: str) -> None:
    """Print a line of results on stdout."""
    print(printable(message))


def print_while_read(line: str) -> bool:
    """Print a line on stdout. Returns False once the program that reads stdout, such as head, has closed it."""
    try:
        print(line)
    except BrokenPipeError:
        # Python would write the rest of the buffer at exit, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return True


def warn_of_each(messages: Sequence[str], nothing_left: bool) -> None:
    """Print one message for each skipped input.

    A user who continues without some inputs must know all of them. With `nothing_left`, no input is usable and the
    command stops: then the first MAX_MESSAGES show what is wrong, and only the number of the others is printed.
    """
    for message in messages[: MAX_MESSAGES if nothing_left else None]:
        warn(message)
    if nothing_left and len(messages) > MAX_MESSAGES:
        warn(f"… and {len(messages) - MAX_MESSAGES:,} more like these")


class _Warnings(logging.Handler):
    """Logging handler that prints records on stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        warn(record.getMessage())


_warnings = _Warnings()


def print_log() -> None:
    """Print warnings logged by `crnn_reader` on stderr from now on."""
    logger = logging.getLogger("crnn_reader")
    logger.addHandler(_warnings)
    # Without a level of its own, the logger would follow the root logger, whose level other libraries change.
    logger.setLevel(logging.WARNING)


def missing_path(path: Path | str, remedy: str) -> UserError:
    """The error for a `path` that does not exist. Suggests a similar name in its folder, or else gives `remedy`."""
    path = Path(path)
    beside = list[str]()
    with contextlib.suppress(OSError), os.scandir(path.parent) as entries:
        # Finding similar names among a million files would take too long.
        beside = [entry.name for entry in itertools.islice(entries, 10_000)]
    names = {str(path.parent / name) for name in beside if not name.startswith(".")}
    return UserError(f"{path} does not exist: {did_you_mean(str(path), names) or remedy}")


def print_table(table: Table) -> None:
    """Print a table on stdout, without interpreting markup in its cells."""
    from rich.console import Console

    console = Console(markup=False, emoji=False, highlight=False)
    with console.capture() as drawn:
        console.print(table)
    # rich pads the last column with spaces.
    for line in drawn.get().removesuffix("\n").split("\n"):
        print(line.rstrip(" "))
