"""The pictures of a folder that its list does not name."""

from __future__ import annotations

import os
import unicodedata
from array import array
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from urllib.parse import unquote

import numpy as np

from cli.messages import warn
from crnn_reader.errors import UserError
from crnn_reader.image import PICTURE_SUFFIXES
from dataset.forms import placed
from dataset.forms.files import names as files
from dataset.forms.normal import short


def counted(path: Path, name: str, list_rows: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield the rows, then warn of the pictures in the folder that are not among them."""
    # Names take ten times the memory.
    listed, loosely = array("q"), array("q")
    for row in list_rows:
        normal = _normal(row[0] if not os.path.isabs(row[0]) else placed.relative_to(path, row[0]))
        listed.append(hash(normal))
        loosely.append(hash((unquote(normal) if "%" in normal else normal).casefold()))
        yield row
    known, rows = np.unique(np.frombuffer(listed, np.int64), return_index=True)
    missing, first, met = _missing(path, known)
    if missing and not met.all():
        # A row without a picture of its name may spell that in other capitals.
        missing, first, _ = _missing(path, known, np.unique(np.frombuffer(loosely, np.int64)[rows[~met]]))
    if missing and not len(known):
        raise UserError(f"{path / name} names no pictures: name them there with their labels, or remove the list")
    if missing:
        those = "1 picture is" if missing == 1 else f"{missing:,} pictures are"
        warn(f"{path}: {those} not in {name} and left out, such as {short(first)}")


def _missing(path: Path, known: np.ndarray, loose: np.ndarray | None = None) -> tuple[int, str, np.ndarray]:
    """How many pictures of a folder are not among the `known` numbers, the first one, and which numbers are met.

    `known` is sorted, and so is `loose`: numbers of names without capitals, which pictures may have instead.
    """
    missing, first, met = 0, "", np.zeros(len(known), bool)
    pictures = (name for name in files(path, PICTURE_SUFFIXES) if not name.endswith("/"))
    while names := list(islice(pictures, 4096)):
        is_new = np.ones(len(names), bool)
        # Lists may name pictures without their suffixes.
        for forms in (names, [os.path.splitext(name)[0] for name in names]):
            normal = list(map(_normal, forms))
            numbers = np.fromiter(map(hash, normal), np.int64, len(names))
            is_known, places = _among(numbers, known)
            met[places[is_known]] = True
            is_new &= ~is_known
            if loose is not None:
                folded = np.fromiter((hash(each.casefold()) for each in normal), np.int64, len(names))
                is_new &= ~_among(folded, loose)[0]
        if is_new.any():
            first = first or names[int(is_new.argmax())]
            missing += int(is_new.sum())
    return missing, first, met


def _among(numbers: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whether each number is known, and the place of each known one."""
    if not len(known):
        return np.zeros(len(numbers), bool), np.zeros(len(numbers), np.intp)
    places = np.searchsorted(known, numbers).clip(max=len(known) - 1)
    return known[places] == numbers, places


def _normal(name: str) -> str:
    """The same for all ways of writing a name by which :func:`placed.located` finds it, but for its capitals."""
    stem, suffix = os.path.splitext(unicodedata.normalize("NFC", name.replace("\\", "/")))
    return os.path.normpath(stem + suffix.lower())
