"""A folder, searched recursively; the label is the file name up to its first `_`: `aB3x_000017.png` reads `aB3x`.

A folder in it that has a list of its own, or that of MJSynth, is read by that.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from dataset.forms import listed, mjsynth
from dataset.forms.writing import Picture, Plan, place, write_file
from picture import PICTURE_SUFFIXES

#: Bytes that a label may take in a file name, so that number and suffix fit too.
_LONGEST = 200

formats = ()


def matches(path: Path) -> bool:
    return path.is_dir()


def rows(path: Path) -> Iterator[tuple[str, str]]:
    #: Of each folder in it: the one, itself or above, that has a list, and the rows of that; none is the empty text.
    lists: dict[str, tuple[str, Iterator[tuple[str, str]]]] = {"": ("", iter(()))}

    def list_of(folder: str) -> tuple[str, Iterator[tuple[str, str]]]:
        if folder not in lists:
            own, own_rows = list_of(folder.rpartition("/")[0])
            form = None if own else next((form for form in (listed, mjsynth) if form.matches(path / folder)), None)
            lists[folder] = (folder, form.rows(path / folder)) if form else (own, own_rows)
        return lists[folder]

    for name in names(path, PICTURE_SUFFIXES):
        folder, _, file = name.rpartition("/")
        own, own_rows = list_of(folder)
        if not own:
            yield name, os.path.splitext(file)[0].partition("_")[0]
        # Once, at the first of its pictures: afterwards there are no rows left.
        yield from ((f"{own}/{other}", label) for other, label in own_rows)


def names(path: Path, suffixes: Collection[str]) -> Iterator[str]:
    """The files below `path` with one of the suffixes, sorted, relative, with `/`; hidden ones are left out."""
    return _names(str(path), "", (), suffixes)


def _names(folder: str, prefix: str, above: tuple[str, ...], suffixes: Collection[str]) -> Iterator[str]:
    # A link to a folder above would be searched for ever.
    here = os.path.realpath(folder)
    if here in above:
        return
    with os.scandir(folder) as entries:
        found = sorted((entry.name, entry.is_dir()) for entry in entries if not entry.name.startswith("."))
    for name, is_folder in found:
        if is_folder:
            yield from _names(os.path.join(folder, name), f"{prefix}{name}/", (*above, here), suffixes)
        elif os.path.splitext(name)[1].lower() in suffixes:
            yield prefix + name


def cannot_hold(label: str) -> str | None:
    if label.startswith("."):
        return "begins with a dot, which hides a file"
    if len(label.encode()) > _LONGEST:
        return f"is longer than {_LONGEST} bytes, too long for a file name"
    bad = next((each for each in label if each in '_/\\:*?"<>|' or unicodedata.category(each) == "Cc"), None)
    return None if bad is None else f"holds {bad!r}, which cannot stand in the label of a file name"


def write(folder: Path, pictures: Iterable[Picture], plan: Plan) -> Path:
    for index, picture in enumerate(pictures):
        above, slash, number = place(index).rpartition("/")
        write_file(folder, f"{above}{slash}{picture.label}_{number}{picture.suffix}", picture.data)
    return folder
