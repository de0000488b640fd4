"""The lines of lists, and the names of their columns."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import re
import select
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from crnn_reader import bounded
from crnn_reader.errors import UserError
from crnn_reader.image_headers import PICTURE_SUFFIXES
from dataset.formats.normalize import padded, short

#: Names of the column with the picture, and of the column with its label. If a list has several of them, the first one
#: here counts. docs/formats.md lists all.
FILE_KEYS = (
    *("file", "path", "image", "filename", "file_name", "image_path", "image_name", "img"),
    *("img_path", "img_name", "filepath", "file_path", "id", "image_id"),
)
LABEL_KEYS = (
    *("label", "text", "plate_text", "captcha", "code", "plate", "words", "transcription"),
    *("transcript", "ground_truth", "gt", "plate_number", "license_plate"),
)

#: Names of the column with a program's confidence.
SCORE_KEYS = ("probability", "confidence", "score", "scores", "conf", "prob", "certainty", "accuracy", "rec_score")

#: The suffixes of pictures, without their dots, as alternatives of a regular expression.
SUFFIXES = "|".join(suffix[1:] for suffix in sorted(PICTURE_SUFFIXES))

#: Maximum number of characters on a line of a list. A file without line breaks would fill the memory.
MAX_LINE_LENGTH = 1 << 20
#: Maximum size in bytes of a text beside a picture.
MAX_TEXT_BYTES = 1 << 16

#: Bytes that are searched for the column names of prediction.py.
_HEADER = 1024

#: Seconds to wait for a program that writes to a named pipe.
PIPE_PATIENCE = 5

# Regular expressions in this package are strings, which `re` compiles when they are first used: compiling all of them
# takes longer than reading ten pictures.

#: `# …`, and `#…` unless it is the name of a picture.
_COMMENT = rf"(?i)#(?![^#\s]\S*\.(?:{SUFFIXES})\b)"
_NUMBER_SEPARATORS = r"[\s,;]+"


class Entry(NamedTuple):
    """A row of a list as it is in the file."""

    line: int  #: line number from 1; in JSON the number of the entry
    name: str
    label: str
    quoted: bool = False  #: the label is in quotes, and white space at its ends belongs to it


def ignore(message: str) -> None:
    """Replaces `logger.warning` if labels are not needed, or if a file may not be a list."""


class NotText(UserError):
    """A list in an unknown encoding."""


class TwoLabels(UserError):
    """A list with two columns that may both hold the labels, and differ."""


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the numbers, from 1, and the text of the lines that are not blank, with their line ends.

    Reads UTF-8, and UTF-16 with a byte order mark. The byte order mark is left out, and Windows line ends become `\\n`.
    Raises UserError if the file is not text.
    """
    with _open(path) as binary:
        try:
            start = binary.peek(2)[:2]
        except OSError as error:
            raise UserError(f"{path} cannot be read ({error.strerror}): give another list, or a folder") from None
        encoding = "utf-16" if start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"
        # prediction.py writes file names unchanged, which may not be UTF-8.
        is_prediction_table = b"probability" in binary.peek(_HEADER).partition(b"\n")[0][:_HEADER]
        errors = "surrogateescape" if is_prediction_table and encoding == "utf-8-sig" else "strict"
        with io.TextIOWrapper(binary, encoding=encoding, errors=errors) as file:
            try:
                number = 0
                while line := file.readline(MAX_LINE_LENGTH):
                    number += 1
                    if "\0" in line:
                        raise UserError(f"{path} is not a text file: give a list of pictures, or a folder")
                    if len(line) == MAX_LINE_LENGTH:
                        raise UserError(
                            f"{path}, line {number} is longer than {MAX_LINE_LENGTH:,} characters, too long for a list "
                            "of pictures: give another file"
                        )
                    if line.strip():
                        yield number, line
            except UnicodeDecodeError:
                raise NotText(f"{path} is not UTF-8 text: save the list as UTF-8, or give a folder") from None
            except OSError as error:
                raise UserError(f"{path} cannot be read ({error.strerror}): give another list, or a folder") from None


def is_score(found: Any) -> bool:
    """Whether a cell or JSON value is a confidence: numbers from 0 to 1 or from 0 to 100."""
    if isinstance(found, str):
        found = re.split(_NUMBER_SEPARATORS, found.strip("[]% "))
    numbers = found if isinstance(found, list) else [found]
    try:
        return bool(numbers) and all(not isinstance(each, bool) and 0 <= float(each) <= 100 for each in numbers)
    except (TypeError, ValueError):
        return False


def is_comment(line: str) -> bool:
    return bool(re.match(_COMMENT, line))


def two_labels(where: str, keys: tuple[str, str], labels: tuple[str, str]) -> TwoLabels:
    """The error for a row with different labels in two columns or keys that may hold labels."""
    (one, other), (label, other_label) = keys, labels
    both = f"two columns {one}" if one == other else f"the columns {one} and {other}"
    return TwoLabels(
        f"{where} has {both}, and either may hold the labels: one says {short(label) or 'nothing'} and the other "
        f"{short(other_label) or 'nothing'}; rename or remove the one that does not"
    )


def is_header(file: str, label: str) -> bool:
    """Whether a row has the names of the columns, which concatenated lists repeat."""
    return file.strip().lower() in FILE_KEYS and label.strip().lower() in LABEL_KEYS


def read_text(path: Path, largest: int, what: str) -> str:
    """Read a UTF-8 text, or UTF-16 with a byte order mark, of at most `largest` bytes.

    `what` describes the expected content in the error, such as "a label". Raises UserError.
    """
    try:
        text = bounded.read_text(path, largest)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UserError(f"{path} cannot be read ({reason}): remove it, or put {what} there, in UTF-8") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


@contextlib.contextmanager
def _open(path: Path) -> Iterator[io.BufferedReader]:
    """Open a file, or a pipe such as that of `<(find …)`. Raises UserError for a socket or a disk."""
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISSOCK(mode) or stat.S_ISBLK(mode):
            raise UserError(f"{path} is {'a socket' if stat.S_ISSOCK(mode) else 'a disk'}: give a list of pictures")
        file: BinaryIO = os.fdopen(_open_pipe(path), "rb") if stat.S_ISFIFO(mode) else path.open("rb")
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise
    with file:
        assert isinstance(file, io.BufferedReader)
        yield file


def _open_pipe(path: Path) -> int:
    """Open a named pipe as soon as a program writes to it. Raises UserError if none does."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    # A program such as `find` may have opened the pipe and not written yet. Then reading raises BlockingIOError.
    if not poll.poll(PIPE_PATIENCE * 1000):
        with contextlib.suppress(BlockingIOError):
            os.read(descriptor, 1)
            os.close(descriptor)
            raise UserError(f"{path} is a pipe, and no program writes to it: give a list of pictures")
    os.set_blocking(descriptor, True)
    return descriptor


def line_fault(label: str) -> str | None:
    """The reason why a label cannot be on a line of its own, None if it can."""
    return "holds a line break" if "\n" in label or "\r" in label else None


def unquoted_fault(label: str) -> str | None:
    """The reason why a label cannot be on a line without quotes, None if it can."""
    return line_fault(label) or ("begins or ends with white space" if padded(label) else None)
