"""Output for the user: messages on stderr, results on stdout."""

from __future__ import annotations

import contextlib
import errno
import itertools
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from crnn_reader.errors import UserError, did_you_mean, printable

if TYPE_CHECKING:
    from rich.table import Table

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


class _Printer(logging.Handler):
    """Logging handler that prints records on stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        warn(record.getMessage())


_printer = _Printer()


def print_log() -> None:
    """Print on stderr what the packages log from now on, information and warnings."""
    for name in ("crnn_reader", "dataset", "generate_captcha", "model", "parameter"):
        logger = logging.getLogger(name)
        logger.addHandler(_printer)
        # Other libraries change the level of the root logger, and add handlers that would print messages again.
        logger.setLevel(logging.INFO)
        logger.propagate = False


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
