"""What the lists have in common."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from console import UserError
from picture import PICTURE_SUFFIXES

#: How lists call the column of the picture, and that of its label.
FILE_KEYS = ("file", "path", "image", "filename", "file_name", "image_path", "image_name", "img")
LABEL_KEYS = ("label", "text", "plate_text", "captcha", "code", "plate", "words", "transcription")

#: The suffixes of pictures, without their dots, as alternatives of a regular expression.
SUFFIXES = "|".join(suffix[1:] for suffix in sorted(PICTURE_SUFFIXES))


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a UTF-8 text that are not blank, with their numbers from 1 and their line ends.

    A byte order mark and Windows line ends are no part of them. Raises UserError for anything else than text.
    """
    with path.open(encoding="utf-8-sig") as file:
        try:
            for number, line in enumerate(file, 1):
                if "\0" in line:
                    raise UserError(f"{path} is no text file: give a list of pictures, or a folder")
                if line.strip():
                    yield number, line
        except UnicodeDecodeError:
            raise UserError(f"{path} is not UTF-8 text: save the list as UTF-8, or give a folder") from None


def one_line(label: str) -> str | None:
    """Why a label cannot stand on a line of its own, None when it can."""
    return "holds a line break" if "\n" in label or "\r" in label else None
