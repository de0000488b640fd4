"""Count the pictures of a folder that its list does not name."""

from __future__ import annotations

import logging
import os
import unicodedata
from array import array
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from urllib.parse import unquote

import numpy as np

from crnn_reader.errors import UserError
from crnn_reader.image_headers import PICTURE_SUFFIXES
from dataset.formats.files import find_files
from dataset.formats.normalize import short
from dataset.formats.paths import Row, relative_to

logger = logging.getLogger(__name__)


def with_unlisted_warning(path: Path, name: str, rows: Iterable[Row]) -> Iterator[Row]:
    """Yield the rows of the list `name` in the folder `path`, then warn of the pictures that are not among them.

    Raises UserError if the folder has pictures and the list is empty.
    """
    # Hashes take a tenth of the memory of names.
    listed, folded = array("q"), array("q")
    for row in rows:
        normal = _normal(row[0] if not os.path.isabs(row[0]) else relative_to(path, row[0]))
        listed.append(hash(normal))
        folded.append(hash((unquote(normal) if "%" in normal else normal).casefold()))
        yield row
    known, first_rows = np.unique(np.frombuffer(listed, np.int64), return_index=True)
    missing, example, met = _missing(path, known)
    if missing and not met.all():
        # Rows without a picture of that name may spell it with other capitals.
        missing, example, _ = _missing(path, known, np.unique(np.frombuffer(folded, np.int64)[first_rows[~met]]))
    if missing and not len(known):
        raise UserError(f"{path / name} names no pictures: name them there with their labels, or remove the list")
    if missing:
        those = "1 picture is" if missing == 1 else f"{missing:,} pictures are"
        logger.warning(f"{path}: {those} not in {name} and left out, such as {short(example)}")


def _missing(path: Path, known: np.ndarray, folded: np.ndarray | None = None) -> tuple[int, str, np.ndarray]:
    """Compare the pictures of a folder with a list.

    Arguments:
        path: the folder.
        known: sorted hashes of the names in the list.
        folded: sorted hashes of lower-case names in the list. A picture with one of them is in the list, too.

    Returns the number of pictures that are not in the list, the first of them, and which hashes have a picture.
    """
    missing, example, met = 0, "", np.zeros(len(known), bool)
    pictures = (name for name in find_files(path, PICTURE_SUFFIXES) if not name.endswith("/"))
    while names := list(islice(pictures, 4096)):
        is_new = np.ones(len(names), bool)
        # Lists may name pictures without their suffixes.
        for spellings in (names, [os.path.splitext(name)[0] for name in names]):
            normal = list(map(_normal, spellings))
            is_known, places = _search(np.fromiter(map(hash, normal), np.int64, len(names)), known)
            met[places[is_known]] = True
            is_new &= ~is_known
            if folded is not None:
                hashes = np.fromiter((hash(each.casefold()) for each in normal), np.int64, len(names))
                is_new &= ~_search(hashes, folded)[0]
        if is_new.any():
            example = example or names[int(is_new.argmax())]
            missing += int(is_new.sum())
    return missing, example, met


def _search(hashes: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whether each hash is in the sorted array `known`, and at which index."""
    if not len(known):
        return np.zeros(len(hashes), bool), np.zeros(len(hashes), np.intp)
    places = np.searchsorted(known, hashes).clip(max=len(known) - 1)
    return known[places] == hashes, places


def _normal(name: str) -> str:
    """The same for all spellings of a name that :func:`paths.find_picture` finds, except for capitals."""
    stem, suffix = os.path.splitext(unicodedata.normalize("NFC", name.replace("\\", "/")))
    return os.path.normpath(stem + suffix.lower())
