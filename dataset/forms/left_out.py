"""The pictures of a folder that its list does not name."""

from __future__ import annotations

import os
import unicodedata
from array import array
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from console import UserError, warn
from dataset.forms import placed
from dataset.forms.files import names as files
from dataset.forms.normal import short
from picture import PICTURE_SUFFIXES


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
