"""A folder with a list that names its pictures: metadata.csv, gt.txt, Label.txt, labels.json …

A message says which list is used. Lists that contradict each other, or name different pictures, such as train.txt and
test.txt, are not mixed.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import logging
import lzma
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from crnn_reader.errors import UserError
from crnn_reader.image_headers import PICTURE_SUFFIXES
from dataset.formats import sidecar
from dataset.formats.base import Format, ListFormat, list_format
from dataset.formats.file_names import label_of_name
from dataset.formats.files import find_files, pictures_in, suffix_of
from dataset.formats.normalize import short
from dataset.formats.paths import LOOKED_AT, Row, find_picture, find_start
from dataset.formats.text import NotText, TwoLabels
from dataset.formats.unlisted import with_unlisted_warning

logger = logging.getLogger(__name__)

_SUFFIXES = frozenset(".csv .tsv .tab .jsonl .ndjson .jsonlines .json .txt".split())

#: Files of other tools that name pictures and have no labels.
_NOT_LISTS = frozenset({"filestate.txt", "imlist.txt", "thumbs.db"})

#: Files with tables that are not text. In some of them, the names of pictures are compressed.
_TABLES = frozenset(".xlsx .xlsm .xlsb .xls .ods .fods .numbers .gsheet .mat .parquet .feather .h5 .hdf5".split())
#: Files that name pictures because they contain them.
_ARCHIVES = frozenset(".zip .tar .tgz .7z .rar".split())
#: Suffixes of compressed lists, and how to open them to look for names of pictures.
_COMPRESSED: dict[str, Callable[[Path], Any]] = {".gz": gzip.GzipFile, ".bz2": bz2.BZ2File, ".xz": lzma.LZMAFile}
_SEE_DOCS = "docs/formats.md shows those that are"
_ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
#: Sub-folders that may hold the labels of pictures.
_LABEL_FOLDERS = frozenset(
    "label labels annotation annotations ann gt gts ground_truth txt texts text json xml page alto".split()
)
#: Number of pictures whose names are searched for, and of entries of a folder to look at.
_COMPARED, _ENTRIES = 20, 10_000

#: Bytes at the start of a file in which names of pictures are searched.
_START = 1 << 16

#: Number of rows of a list, and of files in a folder, to look at.
_ROWS, _FILES = 50, 50


class FoundList(NamedTuple):
    """A list that names pictures of its folder."""

    name: str
    fault: str | None = None  #: why its labels cannot be used, as words after its name; may be empty
    has_predictions: bool = False

    @property
    def usable(self) -> bool:
        return self.fault is None


class AnyList(Format):
    adds_labels = True

    def matches(self, path: Path) -> bool:
        return any(each.usable for each in found_lists(path))

    def rows(self, path: Path, root: str | None = None, labels: bool = True) -> Iterator[Row]:
        lists = [each.name for each in found_lists(path) if each.usable]
        chosen = lists[0] if len(lists) == 1 else _largest(path, lists, root)
        logger.info(f"{path}: labels are taken from {chosen}")
        _warn_of_many(path)
        rows = list_format(path / chosen).rows(path / chosen, root)
        if labels:
            rows = _refuse_other_sidecars(path, chosen, rows)
        yield from with_unlisted_warning(path, chosen, rows)


FORMAT = AnyList()


def found_lists(path: Path) -> list[FoundList]:
    """The lists in a folder that name its pictures."""
    if not path.is_dir():
        return []
    # If there are many more, they are texts of pictures in another folder.
    lists = [_inspect(path, path / name) for name in _candidates(path)[:_FILES] if (path / name).is_file()]
    return [each for each in lists if each]


def _warn_of_many(path: Path) -> None:
    if (count := len(_candidates(path))) > _FILES:
        logger.warning(
            f"{path}: of {count:,} files that may be lists of labels, only the first {_FILES} were looked at: give the "
            "list with the labels instead of the folder, if there is one"
        )


def _candidates(path: Path) -> list[str]:
    """The files in a folder that may be lists, .txt last."""
    with os.scandir(path) as entries:
        names = [entry.name for entry in entries if suffix_of(entry.name) in _SUFFIXES]
    # A .txt or .json with the name of a picture belongs to that picture.
    sidecars = {name for name in names if suffix_of(name) in (".txt", ".json")}
    stems = {stem for name in sidecars for stem in _stems(name)}
    beside = {stem for name in pictures_in(path) for stem in _stems(name) if stem in stems} if stems else set()
    names = [name for name in names if name[0] != "." and not (name in sidecars and beside & _stems(name))]
    names.sort(key=lambda name: (name.lower().endswith(".txt"), name))
    return [name for name in names if name.lower() not in _NOT_LISTS]


def _stems(name: str) -> set[str]:
    """A name without its suffix, and without both suffixes of `a.gt.txt` and `a.bin.png`."""
    return {os.path.splitext(name)[0], name.partition(".")[0]}


def _inspect(path: Path, file: Path) -> FoundList | None:
    """Whether a file is a list of the folder's pictures, and why its labels cannot be used. None for other files."""
    try:
        kind = list_format(file)
    except OSError:
        return None
    rows: list[Row] = []
    fault, has_predictions = None, False
    try:
        if has_predictions := kind.has_unchecked_predictions(file):
            fault = "holds what was read, not labels"
        rows.extend(islice(kind.listed_rows(file, warnings=False), _ROWS))
    except UserError as error:
        reason = f"cannot be read as a list ({error})"
        # A file that names none of the pictures has nothing to do with them.
        if not rows:
            # The table may be in another encoding. Reading it reports the error.
            unused = None if isinstance(error, TwoLabels) or (kind.is_table and isinstance(error, NotText)) else reason
            return FoundList(file.name, unused) if _mentions(file, path) else None
        # A damaged table is still the list of this folder. Reading it reports the error.
        fault = fault if kind.is_table or isinstance(error, TwoLabels) else reason
    except OSError:
        return None
    names = list(dict.fromkeys(name for name, _ in rows if name))
    start = find_start(names[:LOOKED_AT], str(path))
    inside = os.path.realpath(path)
    # The pictures themselves may be links to another folder.
    named = sum(
        Path(os.path.realpath(os.path.dirname(each))).is_relative_to(inside)
        for each in filter(os.path.isfile, map(start.find, names))
    )
    if not names or 2 * named < len(names):
        return _not_understood(file, path, kind)
    if fault is None and not any(label for _, label in rows):
        # Some lists name pictures without labels.
        fault = "names the pictures, but no labels of theirs" if kind.has_keys else ""
    return FoundList(file.name, fault, has_predictions)


def _not_understood(file: Path, path: Path, kind: ListFormat) -> FoundList | None:
    """A file that names the folder's pictures somehow, or may have a label on each line. None for other files."""
    if _mentions(file, path):
        return FoundList(file.name, f"names pictures, but in an unknown format ({_SEE_DOCS})")
    lines = 0
    if file.suffix.lower() != ".json":
        with contextlib.suppress(OSError), file.open("rb") as opened:
            lines = len(opened.read(1 << 20).splitlines()) - kind.header_lines
    if lines > 1 and lines == sum(1 for _ in pictures_in(path)):
        return FoundList(file.name, f"has as many lines as there are pictures, but names none ({_SEE_DOCS})")
    return None


def _mentions(file: Path, path: Path) -> bool:
    """Whether the start of a file, which may be compressed, contains the name of a picture of the folder."""
    try:
        with _COMPRESSED.get(suffix_of(file.name), partial(open, mode="rb"))(file) as opened:
            start = opened.read(_START)
        return any(_contains(start, name) for name in islice(pictures_in(path), _COMPARED))
    except (OSError, EOFError, lzma.LZMAError, zlib.error):
        return False


def _contains(start: bytes, name: str) -> bool:
    return any(name.encode(encoding, "replace") in start for encoding in _ENCODINGS)


def refuse_contradictions(path: Path, name: str, rows: Iterable[Row], root: str | None) -> Iterator[Row]:
    """Yield the rows of the folder's list `name`, and warn of other lists that cannot be used.

    Raises UserError if another list, or a text beside a picture, has another label.
    """
    others: list[tuple[str, dict[str, str]]] = []
    for each in found_lists(path):
        if each.name == name:
            continue
        if each.fault and not each.has_predictions:
            logger.warning(f"{path}: labels are taken from {name}, and not from {each.name}, which {each.fault}")
        elif each.usable:
            try:
                others.append((each.name, _labels(path, each.name, root)))
            except UserError as error:
                logger.warning(
                    f"{path}: labels are taken from {name}, and not from {each.name}, which cannot be read ({error})"
                )
    for row_name, label in _refuse_other_sidecars(path, name, rows):
        for other, labels in others:
            if label and (also := labels.get(os.path.normpath(row_name), label)) != label:
                raise _contradiction(path, (name, other), row_name, (label, also))
        yield row_name, label


def _refuse_other_sidecars(path: Path, name: str, rows: Iterable[Row]) -> Iterator[Row]:
    """Yield the rows. Raises UserError if the text beside a picture has another label."""
    if not sidecar.has_some(path):
        yield from rows
        return
    for row_name, label in rows:
        beside = sidecar.read_beside(find_picture(str(path), row_name)) if label else None
        if beside and beside[1] != label:
            text = os.path.relpath(beside[0], path)
            raise _contradiction(path, (name, text), row_name, (label, beside[1]))
        yield row_name, label


def _contradiction(path: Path, lists: tuple[str, str], name: str, labels: tuple[str, str]) -> UserError:
    return UserError(
        f"{path}: {lists[0]} and {lists[1]} contradict each other: for {short(name)}, {lists[0]} says "
        f"{short(labels[0])} and {lists[1]} says {short(labels[1])}; give the list that is meant, such as "
        f"{path / lists[0]}, or remove the wrong one"
    )


def warn_of_unused(path: Path) -> None:
    """Warn of lists of the folder's pictures, for a folder whose labels come from the file names."""
    for each in found_lists(path):
        if each.fault:
            logger.warning(f"{path}: {each.name} {each.fault}: labels are not taken from it")
    with os.scandir(path) as entries:
        checked = PICTURE_SUFFIXES | _SUFFIXES | _ARCHIVES
        others = sorted(entry.name for entry in entries if suffix_of(entry.name) not in checked and entry.is_file())
    _warn_of_many(path)
    for name in others[:_FILES]:
        is_sidecar = any((path / name).with_suffix(suffix).exists() for suffix in PICTURE_SUFFIXES)
        if name.startswith(".") or name.lower() in _NOT_LISTS or is_sidecar:
            continue
        if suffix_of(name) in _TABLES:
            logger.warning(f"{path}: {name} is not read: if it has the labels, save them as CSV")
        elif _mentions(path / name, path):
            if suffix_of(name) in _COMPRESSED:
                logger.warning(
                    f"{path}: {name} names pictures, but is packed and not read: if it has the labels, unpack it"
                )
            else:
                logger.warning(f"{path}: {name} names pictures, but is not a list that the kit reads ({_SEE_DOCS})")
    _warn_of_lists_elsewhere(path)


def _warn_of_lists_elsewhere(path: Path) -> None:
    """Warn of lists, and of texts named like the pictures, in the folder above and in folders such as labels/."""
    pictures = list(islice(find_files(path, PICTURE_SUFFIXES), _COMPARED))
    with_pictures = {os.path.dirname(name).partition("/")[0] for name in pictures}
    names = {os.path.basename(name) for name in pictures} - {""}
    if len(names) < 2:
        return
    for folder in (*_label_folders(path, with_pictures), path.parent, *_label_folders(path.parent, {path.name})):
        with contextlib.suppress(OSError):
            _warn_of_lists_in(path, folder, names)


def _warn_of_lists_in(path: Path, folder: Path, names: set[str]) -> None:
    with os.scandir(folder) as entries:
        files = [entry.name for entry in islice(entries, _ENTRIES) if not entry.name.startswith(".")]
    if folder != path.parent:
        stems = [os.path.splitext(name)[0] for name in names]
        texts = {f"{stem}{suffix}" for stem in (*names, *stems) for suffix in (".txt", ".json", ".xml")}
        if 2 * len(found := sorted(texts.intersection(files))) >= len(names):
            logger.warning(
                f"{path}: labels are not taken from {folder / found[0]} and others there, which are named like the "
                "pictures: put them beside the pictures if they are their labels"
            )
            return
    lists = sorted(name for name in files if suffix_of(name) in _SUFFIXES and (folder / name).is_file())
    for name in lists[:_FILES]:
        with (folder / name).open("rb") as opened:
            start = opened.read(_START)
        if not _holds_predictions(folder / name, start, names) and 2 * sum(
            _contains(start, each) for each in names
        ) >= len(names):
            logger.warning(
                f"{path}: {folder / name} names pictures: if it has their labels, give it instead of the folder"
            )


def _holds_predictions(file: Path, start: bytes, names: set[str]) -> bool:
    """Whether a list has predictions for the pictures, not labels."""
    if b"probability" in start:
        return True
    kind = list_format(file)
    if kind.may_be_unmarked_predictions:
        # A submission looks like ground truth. It is one if most of its texts are the labels in the file names.
        with contextlib.suppress(UserError):
            rows = islice(kind.listed_rows(file, warnings=False), _ENTRIES)
            labels = {os.path.basename(name): label for name, label in rows if os.path.basename(name) in names}
            same = sum(label_of_name(os.path.splitext(name)[0]) == label for name, label in labels.items())
            return 0 < len(labels) <= 2 * same
    return kind.has_unchecked_predictions(file)


def _label_folders(path: Path, excluded: set[str]) -> list[Path]:
    """Sub-folders that may hold labels and no pictures."""
    with contextlib.suppress(OSError), os.scandir(path) as entries:
        names = sorted(entry.name for entry in islice(entries, _ENTRIES) if entry.name.lower() in _LABEL_FOLDERS)
        return [path / name for name in names if name not in excluded and (path / name).is_dir()]
    return []


def _labels(path: Path, name: str, root: str | None) -> dict[str, str]:
    """The labels of a list by the names of their pictures."""
    rows = list_format(path / name).rows(path / name, root, labels=False)
    return {os.path.normpath(picture): label for picture, label in rows if label}


def _largest(path: Path, lists: list[str], root: str | None) -> str:
    """The list that contains all labels of the others. Raises UserError if there is none."""
    labels = {name: _labels(path, name, root) for name in lists}
    largest = max(lists, key=lambda name: len(labels[name]))
    names = " and ".join([", ".join(lists[:-1]), lists[-1]])
    for name, others in labels.items():
        for picture, label in others.items():
            if (chosen := labels[largest].get(picture, label)) != label:
                raise UserError(
                    f"{path} has several lists, {names}, and they contradict each other: for {short(picture)}, "
                    f"{largest} says {short(chosen)} and {name} says {short(label)}; give the list that is meant, "
                    f"such as {path / largest}"
                )
        if not others.keys() <= labels[largest].keys():
            raise UserError(
                f"{path} has several lists, {names}, which name different pictures: give the right list, such "
                f"as {path / largest}"
            )
    return largest
