"""Where the pictures of a list are: beside it, or somewhere else from where its paths are meant."""

from __future__ import annotations

import os
import posixpath
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from cli.messages import warn
from crnn_reader.errors import UserError
from crnn_reader.image import PICTURE_SUFFIXES
from dataset.forms.normal import short

Row = tuple[str, str]

#: Rows by which it is decided where the pictures are.
LOOKED_AT = 20
#: In the place of the suffix: a picture, whatever its suffix.
ANY_SUFFIX = "*"
#: Sub-folders of the list's folder that are tried.
_SUB_FOLDERS = 50
#: Folders in paths of another computer.
_DEEPEST = 20


def placed(path: Path, rows: Iterable[Row], root: str | None) -> Iterator[Row]:
    """The rows of the list `path` with names relative to the list's folder, wherever the pictures were found.

    With `root` the names are relative to that folder. Without it they are relative to the list's folder, to the
    working folder, to the folder above the list's or to one below it: the first one in which the most of the first
    rows are. If none is found, names may be paths of another computer: as few of their first folders as possible are
    dropped. Raises UserError if `root` is not a folder.
    """
    rows = iter(rows)
    if root is None and path.is_fifo():
        # Whoever writes to a pipe starts where the command does, and need not be waited for.
        yield from rows
        return
    first = list(islice(rows, LOOKED_AT))
    here = folder_of(path)
    names = [name for name, _ in first]
    if root is not None:
        if not os.path.isdir(root):
            raise UserError(f"--root {root} is not a folder: give the folder that the paths in {path} start from")
        start = _without_lead(names, [root]) or Start(root)
    else:
        start = find(names, here)
    # A suffix may be missing, and so may the picture, but hardly both in all rows.
    if names and not any(map(_like_picture, names)) and not start.count(names):
        raise UserError(
            f"{path} is not a list of pictures: none of the first names in it, such as {short(names[0])}, is that of a "
            "picture or file; give a list with the path of a picture on each line, or say with --root where they start"
        )
    if start.lead:
        warn(f"{path}: its paths start with {short(start.lead)}, where no pictures are: {start.place} has them")
    elif root is None and start.place != here:
        warn(f"{path}: its pictures are in {start.place}, not beside it")
    if not start.lead and os.path.realpath(start.place) == os.path.realpath(here):
        yield from chain(first, rows)
        return
    for name, label in chain(first, rows):
        yield _relative(start.located(name), here), label


def _like_picture(name: str) -> bool:
    return any(suffix in name.lower() for suffix in PICTURE_SUFFIXES)


def folder_of(path: Path) -> str:
    """The folder that the names of a list are relative to; those that a pipe brings, to the working folder."""
    return os.curdir if path.is_fifo() else str(path.parent)


class Start(NamedTuple):
    """Where the names of a list start."""

    place: str
    lead: str = ""  #: the first folders of the names, which `place` replaces

    def located(self, name: str) -> str:
        """The path of a picture, as the function of this name has it."""
        if self.lead and _posix(name).startswith(f"{self.lead}/"):
            name = _posix(name)[len(self.lead) + 1 :]
        return located(self.place, name)

    def count(self, names: Iterable[str]) -> int:
        """How many of the names are found."""
        return sum(os.path.exists(self.located(name)) for name in names)


def find(names: list[str], here: str) -> Start:
    """Where the names start; at `here` if none of them is found."""
    best = Start(here)
    if (most := best.count(names)) == len(names):
        return best
    others = list(_others(here))
    for start in map(Start, others):
        if (count := start.count(names)) > most:
            best, most = start, count
    return best if most else _without_lead(names, [here, *others]) or best


def _without_lead(names: list[str], places: list[str]) -> Start | None:
    """The start at which at least half of the names are found after their first folders are dropped, or None.

    None as well if one of the names is found as it is.
    """
    if not names or any(Start(place).count(names) for place in places):
        return None
    try:
        common = posixpath.commonpath([posixpath.dirname(_posix(name)) for name in names])
    except ValueError:  # some are absolute, some not
        return None
    folders = common.split("/")
    if not common or len(folders) > _DEEPEST:
        return None
    for end in range(1, len(folders) + 1):
        # Another folder may have other pictures of the same names.
        for place in places if end < len(folders) else places[:1]:
            start = Start(place, "/".join(folders[:end]))
            if 2 * start.count(names) >= len(names):
                return start
    return None


def _posix(name: str) -> str:
    """A name with `/`; a list may come from Windows."""
    return name.replace("\\", "/") if "/" not in name else name


def _others(here: str) -> Iterator[str]:
    yield os.curdir
    yield os.path.join(here, os.pardir) if here == os.curdir or os.pardir in here else os.path.dirname(here) or "."
    try:
        with os.scandir(here) as entries:
            folders = (entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir())
            names = sorted(islice(folders, _SUB_FOLDERS))
    except OSError:
        return
    yield from (os.path.join(here, name) for name in names)


def _relative(path: str, here: str) -> str:
    """The path as a name that `here` goes before."""
    # Through links, `..` leads from where a folder is, not from where the link to it is.
    full = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
    try:
        return os.path.relpath(full, os.path.realpath(here)).replace(os.sep, "/")
    except ValueError:  # another drive
        return full


def relative_to(folder: Path, name: str) -> str:
    """The picture that a list in `folder` calls `name`, as a name in that folder."""
    return _relative(located(str(folder), name), str(folder))


def located(root: str, name: str) -> str:
    """The path of a picture, by the name that a list has for it, which may have been written on another system.

    Where there is no such file, one is looked for whose name has its characters composed otherwise (NFC, NFD), its
    suffix in the other case, or `/` for a backslash; the picture with that name and a suffix; the file that a path of
    Label Studio stands for; and the only picture with that name in other capitals, or with `%20` for a space.
    """
    path = os.path.join(root, name)
    if os.path.exists(path):
        return path
    forms = [name]
    # A list may come from Windows.
    if os.sep == "/" and "\\" in name:
        forms.append(name.replace("\\", "/"))
    forms += _label_studio(name)
    for form in forms:
        path = os.path.join(root, form)
        if os.path.exists(path):
            return path
        folder, file = os.path.split(path)
        for there in dict.fromkeys((folder, *(unicodedata.normalize(kind, folder) for kind in ("NFC", "NFD")))):
            names = _names_in(there, _changed(there))
            if found := names.get(_key(file)) or names.get((unicodedata.normalize("NFC", file), ANY_SUFFIX)):
                return os.path.join(there, found)
    if found := _by_other_capitals(root, forms):
        return found
    return os.path.join(root, forms[1] if len(forms) > 1 and "\\" in name else name)


def _by_other_capitals(root: str, names: list[str]) -> str | None:
    """The path of the one file that has one of the names in other capitals, or as an address writes it."""
    for name in dict.fromkeys([*names, *map(unquote, names)]):
        folder, file = os.path.split(os.path.join(root, name))
        if found := _names_in_any_case(folder, _changed(folder)).get(_loose(file)):
            return os.path.join(folder, found)
    return None


def _loose(file: str) -> str:
    return unicodedata.normalize("NFC", file).casefold()


@lru_cache(maxsize=64)
def _names_in_any_case(folder: str, changed: int) -> dict[str, str]:
    """The names in a folder by what is left of them without capitals, but for those that then are the same."""
    try:
        found = os.listdir(folder or os.curdir)
    except (OSError, ValueError):
        return {}
    counts = Counter(map(_loose, found))
    return {loose: name for name in found if counts[loose := _loose(name)] == 1}


def _label_studio(name: str) -> list[str]:
    """What `/data/upload/1/8f3e21ab-a.png` and `/data/local-files/?d=pictures/a.png` may stand for."""
    if not name.startswith("/data/"):
        return []
    address = urlsplit(name)
    path = unquote(parse_qs(address.query).get("d", [address.path])[0])
    file = path.rpartition("/")[2]
    number, dash, original = file.partition("-")
    return [path, file, *([original] if dash and len(number) == 8 else [])]


def _key(file: str) -> tuple[str, str]:
    stem, suffix = os.path.splitext(unicodedata.normalize("NFC", file))
    return stem, suffix.lower()


def _changed(folder: str) -> int:
    try:
        return os.stat(folder or os.curdir).st_mtime_ns
    except (OSError, ValueError):
        return 0


@lru_cache(maxsize=64)
def _names_in(folder: str, changed: int) -> dict[tuple[str, str], str]:
    """The names in a folder by what is the same of them on every system, but for names of which that is not unique.

    `changed` only says when what was found is out of date.
    """
    names: dict[tuple[str, str], str] = {}
    twice = set()
    try:
        found = os.listdir(folder or os.curdir)
    except (OSError, ValueError):
        return names
    for name in found:
        stem, suffix = _key(name)
        # Lists may name pictures without their suffixes.
        for key in ((stem, suffix), *([(stem, ANY_SUFFIX)] if suffix in PICTURE_SUFFIXES else [])):
            if key in names:
                twice.add(key)
            names[key] = name
    return {key: name for key, name in names.items() if key not in twice}
