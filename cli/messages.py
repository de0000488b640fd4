"""Lines for the user: messages on stderr, results on stdout."""

from __future__ import annotations

import contextlib
import errno
import itertools
import logging
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from crnn_reader.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from rich.table import Table

#: How many messages to print before summarising the rest.
MAX_MESSAGES = 100
#: Characters of a line on stderr. Paths have up to 4,096 bytes, but a list may name pictures by more.
LONGEST_MESSAGE = 2_000
#: Errors of a full disk, which only occur when writing.
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

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
        if error.errno not in (*DISK_FULL, errno.EIO):
            raise


def print_line(message: str) -> None:
    """Print a line of results on stdout."""
    print(printable(message))


def warn_of_each(messages: Sequence[str], nothing_left: bool) -> None:
    """Tell of each thing that is left out; where nothing is left, of the first hundred, and how many more there are.

    Whoever goes on without some must know which; a wrong folder is seen from a few.
    """
    for message in messages[: MAX_MESSAGES if nothing_left else None]:
        warn(message)
    if nothing_left and len(messages) > MAX_MESSAGES:
        warn(f"… and {len(messages) - MAX_MESSAGES:,} more like these")


class _Warnings(logging.Handler):
    """Prints what packages log."""

    def emit(self, record: logging.LogRecord) -> None:
        warn(record.getMessage())


_warnings = _Warnings()


def print_log() -> None:
    """Print the warnings that the packages of the kit log from now on."""
    logger = logging.getLogger("crnn_reader")
    logger.addHandler(_warnings)
    # Other libraries change the level of all loggers that have none.
    logger.setLevel(logging.WARNING)


def missing_path(path: Path | str, remedy: str) -> UserError:
    """The error that `path` does not exist, with a name beside it that is like it, or else what to do."""
    path = Path(path)
    beside = list[str]()
    with contextlib.suppress(OSError), os.scandir(path.parent) as entries:
        # In a folder of a million files a suggestion would take too long.
        beside = [entry.name for entry in itertools.islice(entries, 10_000)]
    names = {str(path.parent / name) for name in beside if not name.startswith(".")}
    return UserError(f"{path} does not exist: {did_you_mean(str(path), names) or remedy}")


def print_table(table: Table) -> None:
    """Print a table on stdout; what stands in it is shown as it is."""
    from rich.console import Console

    console = Console(markup=False, emoji=False, highlight=False)
    with console.capture() as drawn:
        console.print(table)
    # rich fills the last column with spaces.
    for line in drawn.get().removesuffix("\n").split("\n"):
        print(line.rstrip(" "))
