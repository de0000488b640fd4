"""A folder in which each picture has its label in a text file of the same stem: `x.jpg` and `x.txt`.

The text is UTF-8, one line. Pictures and texts belong together by name, never by order.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from console import UserError, warn
from dataset.forms import folder as folders
from dataset.forms.text import one_line
from dataset.forms.writing import Picture, Plan, lines_of
from picture import PICTURE_SUFFIXES

SUFFIX = ".txt"

#: Pictures by which a folder is judged.
_LOOKED_AT = 100

#: Names that one sentence lists.
_LISTED = 3

formats = ()


def matches(path: Path) -> bool:
    if not path.is_dir():
        return False
    looked_at = list(islice(_some_pictures(path), _LOOKED_AT))
    return 2 * sum(os.path.exists(_text_of(file)) for file in looked_at) > len(looked_at)


def _some_pictures(path: Path) -> Iterator[str]:
    for folder, folders_in_it, files in os.walk(path):
        folders_in_it[:] = [name for name in folders_in_it if not name.startswith(".")]
        for name in files:
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in PICTURE_SUFFIXES:
                yield os.path.join(folder, name)


def _text_of(picture: str) -> str:
    return os.path.splitext(picture)[0] + SUFFIX


def rows(path: Path) -> Iterator[tuple[str, str]]:
    texts = set[str]()
    pictures = set[str]()
    for name in folders.names(path, PICTURE_SUFFIXES | {SUFFIX}):
        (texts if name.lower().endswith(SUFFIX) else pictures).add(name)
    paired = set[str]()
    for name in sorted(pictures):
        text = _text_of(name)
        if text in texts:
            paired.add(text)
            yield name, _read(path / text)
        else:
            yield name, ""
    if alone := sorted(texts - paired):
        listed = ", ".join(alone[:_LISTED]) + (", …" if len(alone) > _LISTED else "")
        warn(f"{path}: {len(alone):,} texts without a picture of the same name: {listed}")


def _read(file: Path) -> str:
    try:
        lines = file.read_text(encoding="utf-8-sig").rstrip("\n").split("\n")
    except UnicodeDecodeError:
        raise UserError(f"{file} is not UTF-8 text: save it as UTF-8") from None
    if len(lines) > 1:
        raise UserError(f"{file} has {len(lines)} lines: write the text of its picture on one line")
    return lines[0]


def cannot_hold(label: str) -> str | None:
    return "begins with a byte order mark" if label.startswith("\ufeff") else one_line(label)


def write(folder: Path, pictures: Iterable[Picture], plan: Plan) -> Path:
    for name, label, _ in lines_of(pictures, folder):
        (folder / _text_of(name)).write_text(label + "\n", encoding="utf-8", newline="\n")
    return folder
