"""A folder with a list under any name that names its pictures: metadata.csv, gt.txt, Label.txt, labels.json …

Which list was taken is said. Lists that contradict one another, or name different pictures as train.txt and test.txt
do, are not mixed.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import os
import zlib
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from cli.messages import warn
from crnn_reader.errors import UserError
from crnn_reader.image import PICTURE_SUFFIXES
from dataset.forms import checked, delimited, files, icdar, json_file, json_lines, placed, plain, sidecar
from dataset.forms.left_out import counted
from dataset.forms.named import label_of_name
from dataset.forms.normal import short
from dataset.forms.text import NotText, TwoLabels, silent

#: Asked in this order.
_FORMS = (delimited, json_lines, json_file, icdar, plain)
_SUFFIXES = frozenset(".csv .tsv .tab .jsonl .ndjson .jsonlines .json .txt".split())

#: What other files of tools are called, which name pictures and say something else of them.
_OTHERS = frozenset({"filestate.txt", "imlist.txt", "thumbs.db"})

#: Files with tables that are not text. In some of them the names of pictures are compressed.
_TABLES = frozenset(".xlsx .xlsm .xlsb .xls .ods .fods .numbers .gsheet .mat .parquet .feather .h5 .hdf5".split())
#: Files that name pictures because they contain them.
_ARCHIVES = frozenset(".zip .tar .tgz .7z .rar".split())
#: Suffixes of compressed lists, which must be unpacked first.
_PACKED = frozenset({".gz", ".bz2", ".xz"})
_WRITTEN = "docs/forms.md shows those that are"
_ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
_READINGS = "holds what was read"
#: Folders beside pictures in which labels lie.
_LABEL_FOLDERS = frozenset(
    "label labels annotation annotations ann gt gts ground_truth txt texts text json xml page alto".split()
)
#: Pictures whose names are looked for in lists elsewhere, and names in a folder that are looked at.
_COMPARED, _ENTRIES = 20, 10_000

#: Number of bytes at the start of a file that are searched for names of pictures.
_START = 1 << 16

Row = tuple[str, str]

#: Rows of a list that are looked at, files that may be lists, and how many bytes they may have.
_LOOKED_AT, _FILES = 50, 50


class Found(NamedTuple):
    """A list that names pictures of its folder."""

    name: str
    form: ModuleType
    fault: str | None  #: why it says no labels


def form_of(file: Path) -> ModuleType:
    """The module that reads a list."""
    return next(form for form in _FORMS if form.matches(file))


def matches(path: Path) -> bool:
    return any(each.fault is None for each in found(path))


def found(path: Path) -> list[Found]:
    """The lists in a folder that name its pictures, those first whose names stand first."""
    if not path.is_dir():
        return []
    # Where there are many more they are texts of pictures that lie elsewhere.
    lists = [_looked_at(path, name) for name in _like_lists(path)[:_FILES] if (path / name).is_file()]
    return [each for each in lists if each]


def _tell_many(path: Path) -> None:
    if (count := len(_like_lists(path))) > _FILES:
        warn(
            f"{path}: of {count:,} files that may be lists of labels, only the first {_FILES} were looked at: give the "
            "list with the labels instead of the folder, if there is one"
        )


def _like_lists(path: Path) -> list[str]:
    """The names of a folder's files that may be lists, in the order in which they are looked at."""
    with os.scandir(path) as entries:
        names = [entry.name for entry in entries if os.path.splitext(entry.name)[1].lower() in _SUFFIXES]
    # What has the name of a picture goes with that picture.
    beside = {stem for name in names if name.lower().endswith((".txt", ".json")) for stem in _stems(name)}
    if beside:
        with os.scandir(path) as entries:
            pictures = (entry.name for entry in entries if os.path.splitext(entry.name)[1].lower() in PICTURE_SUFFIXES)
            beside = {stem for name in pictures for stem in _stems(name) if stem in beside}
    names = [
        name
        for name in sorted(names, key=lambda name: (name.lower().endswith(".txt"), name))
        if not name.startswith(".") and not (name.lower().endswith((".txt", ".json")) and beside & _stems(name))
    ]
    return [name for name in names if name.lower() not in _OTHERS]


def _stems(name: str) -> set[str]:
    """A name without its suffix, and without both of `a.gt.txt` and `a.bin.png`."""
    return {os.path.splitext(name)[0], name.partition(".")[0]}


def _looked_at(path: Path, name: str) -> Found | None:
    file = path / name
    try:
        form = form_of(file)
    except OSError:
        return None
    rows: list[tuple[str, str]] = []
    fault = None
    try:
        unchecked = getattr(form, "unchecked_readings", None)
        if unchecked and unchecked(file):
            fault = f"{_READINGS}, not labels"
        for row in islice(checked.rows(file, form.entries(file, silent), tell=False), _LOOKED_AT):
            rows.append(row)
    except UserError as error:
        why = f"cannot be read as a list ({error})"
        is_table = form in (delimited, json_lines)
        # A file that names none of the pictures does not concern them.
        if not rows:
            # The table may be in another encoding: reading it reports the error.
            unused = None if isinstance(error, TwoLabels) or (is_table and isinstance(error, NotText)) else why
            return Found(name, form, unused) if _mentions(file, path) else None
        # A damaged table is still the list of this folder: reading it reports the error.
        fault = fault if is_table or isinstance(error, TwoLabels) else why
    except OSError:
        return None
    names = list(dict.fromkeys(row_name for row_name, _ in rows if row_name))
    start = placed.find(names[: placed.LOOKED_AT], str(path))
    inside = os.path.realpath(path)
    paths = [start.located(row_name) for row_name in names]
    # The pictures may be links to elsewhere.
    named = sum(
        Path(os.path.realpath(os.path.dirname(each))).is_relative_to(inside) for each in filter(os.path.isfile, paths)
    )
    if not names or 2 * named < len(names):
        return _not_understood(file, path)
    if fault is None and not any(label for _, label in rows):
        # Some lists name pictures without labels.
        fault = "names the pictures, but no labels of theirs" if form in (delimited, json_lines, json_file) else ""
    return Found(name, form, fault)


def _not_understood(file: Path, path: Path) -> Found | None:
    """A file that names the folder's pictures in some way, or may have a label on each line; None for any other."""
    if _mentions(file, path):
        return Found(file.name, plain, f"names pictures, but in an unknown form ({_WRITTEN})")
    # The first line of a table may name its columns.
    lines = _lines(file) - (form_of(file) is delimited) if file.suffix.lower() != ".json" else 0
    if lines == len(_pictures(path)) > 1:
        return Found(file.name, plain, f"has as many lines as there are pictures, but names none ({_WRITTEN})")
    return None


def _lines(file: Path) -> int:
    """The lines of a small text."""
    try:
        with file.open("rb") as opened:
            return len(opened.read(1 << 20).splitlines())
    except OSError:
        return 0


def _pictures(path: Path) -> list[str]:
    """The pictures in the folder itself."""
    with os.scandir(path) as entries:
        return [entry.name for entry in entries if os.path.splitext(entry.name)[1].lower() in PICTURE_SUFFIXES]


def _mentions(file: Path, path: Path) -> bool:
    """Whether the start of a file has the name of a picture of the folder."""
    try:
        start = _start(file)
        with os.scandir(path) as entries:
            pictures = (entry.name for entry in entries if os.path.splitext(entry.name)[1].lower() in PICTURE_SUFFIXES)
            return any(_stands_in(name, start) for name in islice(pictures, 20))
    except (OSError, EOFError, lzma.LZMAError, zlib.error):
        return False


def _start(file: Path) -> bytes:
    """The first bytes of a file, unpacked."""
    suffix = _suffix(file.name)
    if suffix == ".gz":
        with gzip.open(file) as packed:
            return packed.read(_START)
    if suffix in _PACKED:
        with bz2.open(file) if suffix == ".bz2" else lzma.open(file) as packed:
            return packed.read(_START)
    with file.open("rb") as opened:
        return opened.read(_START)


def _stands_in(name: str, start: bytes) -> bool:
    return any(name.encode(encoding, "replace") in start for encoding in _ENCODINGS)


def rows(path: Path, root: str | None = None, labels: bool = True) -> Iterator[tuple[str, str]]:
    lists = [each for each in found(path) if each.fault is None]
    chosen = lists[0] if len(lists) == 1 else _agreed(path, lists, root)
    warn(f"{path}: labels are taken from {chosen.name}")
    _tell_many(path)
    list_rows = _rows(path, chosen, root)
    if labels:
        list_rows = _as_beside(path, chosen.name, list_rows)
    yield from counted(path, chosen.name, list_rows)


def uncontradicted(path: Path, name: str, list_rows: Iterable[Row], root: str | None) -> Iterator[Row]:
    """The rows of the folder's list `name`. Raises UserError where another list, or a text beside a picture, differs.

    Another list that cannot be read is reported.
    """
    others: list[tuple[str, dict[str, str]]] = []
    for each in found(path):
        if each.name == name:
            continue
        if each.fault and not each.fault.startswith(_READINGS):
            warn(f"{path}: labels are taken from {name}, and not from {each.name}, which {each.fault}")
        elif each.fault is None:
            try:
                others.append((each.name, _labels(path, each, root)))
            except UserError as error:
                warn(f"{path}: labels are taken from {name}, and not from {each.name}, which cannot be read ({error})")
    for row_name, label in _as_beside(path, name, list_rows):
        for other, labels in others:
            if label and (also := labels.get(os.path.normpath(row_name), label)) != label:
                raise _contradiction(path, (name, other), row_name, (label, also))
        yield row_name, label


def _as_beside(path: Path, name: str, list_rows: Iterable[Row]) -> Iterator[Row]:
    """The rows. Raises UserError if the text beside a picture is another label."""
    if not sidecar.some(path):
        yield from list_rows
        return
    for row_name, label in list_rows:
        beside = sidecar.beside(placed.located(str(path), row_name)) if label else None
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


def tell_unused(path: Path) -> None:
    """Warn of lists that name the folder's pictures, where the labels do not come from any."""
    for each in found(path):
        if each.fault:
            warn(f"{path}: {each.name} {each.fault}: labels are not taken from it")
    with os.scandir(path) as entries:
        read = PICTURE_SUFFIXES | _SUFFIXES | _ARCHIVES
        others = sorted(entry.name for entry in entries if _suffix(entry.name) not in read and entry.is_file())
    _tell_many(path)
    for name in others[:_FILES]:
        if name.startswith(".") or name.lower() in _OTHERS or _is_beside(path / name):
            continue
        if _suffix(name) in _TABLES:
            warn(f"{path}: {name} is not read: if it has the labels, save them as CSV")
        elif _suffix(name) in _PACKED:
            if _mentions(path / name, path):
                warn(f"{path}: {name} names pictures, but is packed and not read: if it has the labels, unpack it")
        elif _mentions(path / name, path):
            warn(f"{path}: {name} names pictures, but is not a list that the kit reads ({_WRITTEN})")
    _tell_elsewhere(path)


def _is_beside(file: Path) -> bool:
    """Whether a file has the name of a picture beside it."""
    return any(file.with_suffix(suffix).exists() for suffix in PICTURE_SUFFIXES)


def _tell_elsewhere(path: Path) -> None:
    """Warn of lists, and of texts named like the pictures, in the folder above and in those beside the pictures."""
    pictures = list(islice(files.names(path, PICTURE_SUFFIXES), _COMPARED))
    full = {os.path.dirname(name).partition("/")[0] for name in pictures}
    names = {os.path.basename(name) for name in pictures} - {""}
    if len(names) < 2:
        return
    for folder in (*_folders(path, full), path.parent, *_folders(path.parent, {path.name})):
        with contextlib.suppress(OSError):
            _tell_of(path, folder, names)


def _tell_of(path: Path, folder: Path, names: set[str]) -> None:
    with os.scandir(folder) as entries:
        there = [entry.name for entry in islice(entries, _ENTRIES) if not entry.name.startswith(".")]
    if folder != path.parent:
        stems = [os.path.splitext(name)[0] for name in names]
        beside = [f"{stem}{suffix}" for stem in (*names, *stems) for suffix in (".txt", ".json", ".xml")]
        if 2 * len(like := sorted(set(there) & set(beside))) >= len(names):
            warn(
                f"{path}: labels are not taken from {folder / like[0]} and others there, which are named like the "
                "pictures: put them beside the pictures if they are their labels"
            )
            return
    lists = sorted(name for name in there if _suffix(name) in _SUFFIXES and (folder / name).is_file())
    for name in lists[:_FILES]:
        with (folder / name).open("rb") as opened:
            start = opened.read(_START)
        if not _holds_readings(folder / name, start, names) and 2 * sum(
            _stands_in(each, start) for each in names
        ) >= len(names):
            warn(f"{path}: {folder / name} names pictures: if it has their labels, give it instead of the folder")


def _holds_readings(file: Path, start: bytes, names: set[str]) -> bool:
    """Whether a list contains predictions for the pictures rather than their labels."""
    form = form_of(file)
    if b"probability" in start:
        return True
    if form is icdar:
        # A submission has the form of ground truth. It is one if most of its texts are the labels in the file names.
        with contextlib.suppress(UserError):
            rows = islice(checked.rows(file, icdar.entries(file, silent), tell=False), _ENTRIES)
            labels = {os.path.basename(name): label for name, label in rows if os.path.basename(name) in names}
            named = sum(label_of_name(os.path.splitext(name)[0]) == label for name, label in labels.items())
            return 0 < len(labels) <= 2 * named
    return hasattr(form, "unchecked_readings") and form.unchecked_readings(file)


def _folders(path: Path, but: set[str]) -> list[Path]:
    """Folders in `path` that may hold labels and nothing else."""
    with contextlib.suppress(OSError), os.scandir(path) as entries:
        names = sorted(entry.name for entry in islice(entries, _ENTRIES) if entry.name.lower() in _LABEL_FOLDERS)
        return [path / name for name in names if name not in but and (path / name).is_dir()]
    return []


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _rows(path: Path, each: Found, root: str | None, tell: bool = True) -> Iterator[tuple[str, str]]:
    file = path / each.name
    entries = each.form.entries(file) if tell else each.form.entries(file, silent)
    return placed.placed(file, checked.rows(file, entries, tell), root)


def _labels(path: Path, each: Found, root: str | None) -> dict[str, str]:
    """The labels of a list by the names of their pictures."""
    return {os.path.normpath(name): label for name, label in _rows(path, each, root, tell=False) if label}


def _agreed(path: Path, lists: list[Found], root: str | None) -> Found:
    """The list that contains all labels of the others. Raises UserError if there is no such list."""
    labels = [_labels(path, each, root) for each in lists]
    largest = max(range(len(lists)), key=lambda place: len(labels[place]))
    chosen = labels[largest]
    names = " and ".join([", ".join(each.name for each in lists[:-1]), lists[-1].name])
    for each, others in zip(lists, labels, strict=True):
        for name, label in others.items():
            if chosen.get(name, label) != label:
                raise UserError(
                    f"{path} has several lists, {names}, and they contradict each other: for {short(name)}, "
                    f"{lists[largest].name} says {short(chosen[name])} and {each.name} says {short(label)}; give the "
                    f"list that is meant, such as {path / lists[largest].name}"
                )
        if not others.keys() <= chosen.keys():
            raise UserError(
                f"{path} has several lists, {names}, which name different pictures: give the right list, such "
                f"as {path / lists[largest].name}"
            )
    return lists[largest]
