"""A folder that says in a list of its own, `labels.tsv`, `labels.csv` or `labels.jsonl`, what its pictures read.

`python -m dataset convert` leaves such folders, and `python -m generate_captcha` where labels cannot stand in file
names. Pictures that are not in the list are no part of it. A table of readings under such a name is no such list,
unless it has the truth, too, or says which readings were checked.
"""

from __future__ import annotations

import os
import unicodedata
from array import array
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from types import ModuleType

import numpy as np

from bounded import irregular
from console import UserError, warn
from dataset.forms import checked, delimited, json_file, json_lines, placed
from dataset.forms.files import names as files
from dataset.forms.normal import short
from dataset.forms.text import silent
from picture import PICTURE_SUFFIXES

LISTS = {"labels.tsv": delimited, "labels.csv": delimited, "labels.jsonl": json_lines}


def found(path: Path) -> list[str]:
    """The lists of a folder."""
    names = [name for name in LISTS if (path / name).is_file()]
    return [name for name in names if not _form(path / name).unchecked_readings(path / name)]


def _form(file: Path) -> ModuleType:
    return json_file if json_file.matches(file) else LISTS[file.name]


def matches(path: Path) -> bool:
    return bool(found(path))


def rows(path: Path, root: str | None = None, labels: bool = True) -> Iterator[tuple[str, str]]:
    name, *others = found(path)
    if others:
        raise UserError(f"{path} has {name} and {others[0]}: give the right one, or remove the other")
    entries = _form(path / name).entries(path / name, warn if labels else silent)
    list_rows = checked.rows(path / name, entries, labels)
    yield from counted(path, name, placed.placed(path / name, list_rows, root))


def counted(path: Path, name: str, list_rows: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """The rows; afterwards it says how many of the folder's pictures are not among them."""
    # Names take ten times the memory.
    listed = array("q")
    for row in list_rows:
        listed.append(_number(row[0] if not os.path.isabs(row[0]) else placed.relative_to(path, row[0])))
        yield row
    known, missing, first = np.unique(np.frombuffer(listed, np.int64)), 0, ""
    pictures = files(path, PICTURE_SUFFIXES)
    while names := list(islice(pictures, 4096)):
        is_new = np.ones(len(names), bool)
        # Lists may name pictures without their suffixes.
        for forms in (names, [os.path.splitext(name)[0] for name in names]):
            is_new &= ~np.isin(np.fromiter(map(_number, forms), np.int64, len(names)), known)
        if is_new.any():
            first = first or names[int(is_new.argmax())]
            missing += int(is_new.sum())
    if missing and not len(known):
        raise UserError(f"{path / name} names no pictures: name them there with their labels, or remove the list")
    if missing:
        those = "1 picture is" if missing == 1 else f"{missing:,} pictures are"
        warn(f"{path}: {those} not in {name} and left out, such as {short(first)}")


def _number(name: str) -> int:
    """The same for all ways of writing a name by which :func:`placed.located` finds the same picture."""
    stem, suffix = os.path.splitext(unicodedata.normalize("NFC", name.replace("\\", "/")))
    return hash(os.path.normpath(stem + suffix.lower()))


def tell_irregular(path: Path) -> None:
    """Warn of what has the name of a list and is none, such as a pipe."""
    for name in LISTS:
        if what := irregular(path / name):
            warn(f"{path / name} is {what}, not a file, and not read")
