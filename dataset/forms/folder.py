"""A folder, searched recursively; the label is the file name up to its first `_`: `aB3x_000017.png` reads `aB3x`.

A folder in it that has a list of its own, one that names its pictures, or that of MJSynth, is read by that.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path

from cli.messages import warn
from crnn_reader.image import PICTURE_SUFFIXES
from dataset.forms import found_list, listed, mjsynth, named, sidecar
from dataset.forms.files import names
from dataset.forms.normal import padded
from dataset.forms.writing import Picture, Plan, place, write_file

#: Names by which a folder is judged.
_LOOKED_AT = 100

#: Bytes that a label may take in a file name, so that number and suffix fit too.
_LONGEST = 200

formats = ()


def matches(path: Path) -> bool:
    return path.is_dir()


def rows(path: Path, root: str | None = None, labels: bool = True) -> Iterator[tuple[str, str]]:
    if labels:
        found_list.tell_unused(path)
        sidecar.tell_of_others(path)
        listed.tell_irregular(path)
    forms = (listed, mjsynth, found_list) if labels else (mjsynth,)
    #: Of each folder in it: the one, itself or above, that has a list, and the rows of that; none is the empty text.
    lists: dict[str, tuple[str, Iterator[tuple[str, str]]]] = {"": ("", iter(()))}

    def list_of(folder: str) -> tuple[str, Iterator[tuple[str, str]]]:
        if folder not in lists:
            own, own_rows = list_of(folder.rpartition("/")[0])
            form = None if own else next((form for form in forms if form.matches(path / folder)), None)
            lists[folder] = (folder, form.rows(path / folder, root)) if form else (own, own_rows)
        return lists[folder]

    rest = names(path, PICTURE_SUFFIXES)
    looked_at = list(islice(rest, _LOOKED_AT if labels else 1))
    if not looked_at and listed.matches(path):
        # The pictures that its list names are elsewhere.
        yield from listed.rows(path, root, labels)
        return
    stems = [os.path.splitext(name.rpartition("/")[2])[0] for name in looked_at if labels]
    tight = 2 * sum(bool(re.search(named.TIGHT, stem)) for stem in stems) <= len(stems)
    if any(map(named.ccpd, stems)):
        warn(f"{path}: names of CCPD are decoded to plates; its pictures are whole cars, so crop the plates first")
    copies: list[str] = []
    for name in chain(looked_at, rest):
        folder, _, file = name.rpartition("/")
        if not file:
            yield name, ""
            continue
        own, own_rows = list_of(folder)
        if not own:
            label = ""
            if labels:
                stem = os.path.splitext(file)[0]
                label = named.label_of_name(stem, tight)
                if label != stem and "_" not in stem and not stem.startswith(label + "_"):
                    copies.append(file)
            yield name, label
        # Once, at the first of its pictures: afterwards there are no rows left.
        yield from ((f"{own}/{other}", label) for other, label in own_rows)
    if copies:
        warn(
            f"{path}: {len(copies):,} names such as {copies[0]} have a file manager's mark of a copy, which is not "
            "part of the label"
        )


def cannot_hold(label: str) -> str | None:
    if label.startswith("."):
        return "begins with a dot, which hides a file"
    if len(label.encode()) > _LONGEST:
        return f"is longer than {_LONGEST} bytes, too long for a file name"
    if named.label_of_name(f"{label}_0") != label or padded(label):
        return "is not what its file name would be read as"
    bad = next((each for each in label if each in '_/\\:*?"<>|' or unicodedata.category(each) == "Cc"), None)
    return None if bad is None else f"holds {bad!r}, which cannot be in a file name's label"


def write(folder: Path, pictures: Iterable[Picture], plan: Plan) -> Path:
    for index, picture in enumerate(pictures):
        above, slash, number = place(index).rpartition("/")
        write_file(folder, f"{above}{slash}{picture.label}_{number}{picture.suffix}", picture.data)
    return folder
