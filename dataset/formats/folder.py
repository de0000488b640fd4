"""A folder, searched recursively. The label of a picture is its file name up to the first `_`: `aB3x_000017.png`.

A sub-folder with a list of its pictures, or with MJSynth, is read as such.
"""

from __future__ import annotations

import logging
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path

from crnn_reader.image_headers import PICTURE_SUFFIXES
from dataset.formats import any_list, labels_file, mjsynth, sidecar
from dataset.formats.base import Format
from dataset.formats.file_names import TIGHT_NUMBER, ccpd_plate, label_of_name
from dataset.formats.files import find_files
from dataset.formats.normalize import padded
from dataset.formats.paths import Row
from dataset.formats.writing import CorpusFacts, Picture, Writer, numbered_name, write_file

logger = logging.getLogger(__name__)

#: Number of names by which a folder is judged.
_LOOKED_AT = 100

#: Maximum length of a label in bytes, which leaves room for a number and suffix in the file name.
_MAX_LABEL_BYTES = 200

#: The formats that a sub-folder may have, in the order in which they are tried.
_SUB_FOLDERS: tuple[Format, ...] = (labels_file.FORMAT, mjsynth.FORMAT, any_list.FORMAT)

WRITES = ("folder",)


class _Writer(Writer):
    def cannot_hold(self, label: str) -> str | None:
        if label.startswith("."):
            return "begins with a dot, which hides a file"
        if len(label.encode()) > _MAX_LABEL_BYTES:
            return f"is longer than {_MAX_LABEL_BYTES} bytes, too long for a file name"
        if label_of_name(f"{label}_0") != label or padded(label):
            return "is not what its file name would be read as"
        bad = next((each for each in label if each in '_/\\:*?"<>|' or unicodedata.category(each) == "Cc"), None)
        return None if bad is None else f"holds {bad!r}, which cannot be in a file name's label"

    def write(self, folder: Path, pictures: Iterable[Picture], facts: CorpusFacts) -> Path:
        for index, picture in enumerate(pictures):
            above, slash, number = numbered_name(index).rpartition("/")
            write_file(folder, f"{above}{slash}{picture.label}_{number}{picture.suffix}", picture.data)
        return folder


class Folder(Format):
    accepts_all = True
    writers = (_Writer(),)

    def matches(self, path: Path) -> bool:
        return path.is_dir()

    def rows(self, path: Path, root: str | None = None, labels: bool = True) -> Iterator[Row]:
        if labels:
            any_list.warn_of_unused(path)
            sidecar.warn_of_others(path)
            labels_file.warn_of_irregular(path)
        formats = [each for each in _SUB_FOLDERS if labels or not each.adds_labels]
        #: For each sub-folder: the folder, itself or above, that has a list, and the rows of the list. An empty name if
        #: there is none.
        lists: dict[str, tuple[str, Iterator[Row]]] = {"": ("", iter(()))}

        def list_of(folder: str) -> tuple[str, Iterator[Row]]:
            if folder not in lists:
                own, own_rows = list_of(folder.rpartition("/")[0])
                found = None if own else next((each for each in formats if each.matches(path / folder)), None)
                lists[folder] = (folder, found.rows(path / folder, root)) if found else (own, own_rows)
            return lists[folder]

        rest = find_files(path, PICTURE_SUFFIXES)
        first = list(islice(rest, _LOOKED_AT if labels else 1))
        if not first and labels_file.main_lists(path):
            # The list names pictures in another folder.
            yield from labels_file.FORMAT.rows(path, root, labels)
            return
        stems = [os.path.splitext(name.rpartition("/")[2])[0] for name in first if labels]
        # If most names end in a number in parentheses, the number belongs to the label.
        tight = 2 * sum(bool(re.search(TIGHT_NUMBER, stem)) for stem in stems) <= len(stems)
        if any(map(ccpd_plate, stems)):
            logger.warning(
                f"{path}: names of CCPD are decoded to plates; its pictures are whole cars, so crop the plates first"
            )
        copies, copy = 0, ""
        for name in chain(first, rest):
            folder, _, file = name.rpartition("/")
            if not file:
                yield name, ""
                continue
            own, own_rows = list_of(folder)
            if not own:
                label = ""
                if labels:
                    stem = os.path.splitext(file)[0]
                    label = label_of_name(stem, tight)
                    if label != stem and "_" not in stem and not stem.startswith(label + "_"):
                        copies, copy = copies + 1, copy or file
                yield name, label
            # All rows of the list follow its first picture. For the other pictures, the iterator is at its end.
            yield from ((f"{own}/{other}", label) for other, label in own_rows)
        if copies:
            logger.warning(
                f"{path}: {copies:,} names such as {copy} have a file manager's mark of a copy, which is not "
                "part of the label"
            )


FORMAT = Folder()
