"""Find the pictures of a list, which may be elsewhere than its paths say, or be spelled differently."""

from __future__ import annotations

import logging
import os
import posixpath
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from crnn_reader.errors import UserError
from crnn_reader.image_headers import PICTURE_SUFFIXES
from dataset.formats.normalize import short

logger = logging.getLogger(__name__)

#: The name and label of a picture.
Row = tuple[str, str]

#: Number of rows that decide where the pictures are.
LOOKED_AT = 20
#: Maximum number of sub-folders of the list's folder to try.
_SUB_FOLDERS = 50
#: Stands for the suffix of any picture. No file name contains it.
_ANY_SUFFIX = "/"
#: Maximum depth of paths from another computer.
_MAX_DEPTH = 20


def with_found_pictures(path: Path, rows: Iterable[Row], root: str | None) -> Iterator[Row]:
    """Yield the rows of the list `path` with names relative to the list's folder.

    With `root`, the names in the list are relative to that folder. Otherwise they are relative to the first of these
    that has most of the first pictures: the list's folder, the working folder, the folder above the list's, its
    sub-folders. If no picture is found, the names may be paths on another computer: then as few leading folders as
    possible are removed. Raises UserError if `root` is not a folder.
    """
    rows = iter(rows)
    if root is None and path.is_fifo():
        # The program that writes to the pipe has the same working folder, and may be slow.
        yield from rows
        return
    first = list(islice(rows, LOOKED_AT))
    here = folder_of(path)
    names = [name for name, _ in first]
    if root is not None:
        if not os.path.isdir(root):
            raise UserError(
                f"{root} is not a folder: give the folder that the paths in {path} start from", parameter="root"
            )
        start = _without_lead(names, [root]) or Start(root)
    else:
        start = find_start(names, here)
    # A list may leave out suffixes, and a picture may be missing, but hardly both in all rows.
    has_suffix = any(suffix in name.lower() for name in names for suffix in PICTURE_SUFFIXES)
    if names and not has_suffix and not start.count(names):
        raise UserError(
            f"{path} is not a list of pictures: none of the first names in it, such as {short(names[0])}, is that of a "
            "picture or file; give a list with the path of a picture on each line, or the folder where its paths start",
            parameter="root",
        )
    if start.lead:
        logger.warning(
            f"{path}: its paths start with {short(start.lead)}, where no pictures are: {start.folder} has them"
        )
    elif root is None and start.folder != here:
        logger.warning(f"{path}: its pictures are in {start.folder}, not beside it")
    if not start.lead and os.path.realpath(start.folder) == os.path.realpath(here):
        yield from chain(first, rows)
        return
    for name, label in chain(first, rows):
        yield _relative(start.find(name), here), label


def folder_of(path: Path) -> str:
    """The folder that the names in a list are relative to. For a pipe, the working folder."""
    return os.curdir if path.is_fifo() else str(path.parent)


class Start(NamedTuple):
    """The folder that the names in a list are relative to."""

    folder: str
    lead: str = ""  #: leading folders of the names, which `folder` replaces

    def find(self, name: str) -> str:
        """The path of a picture; see :func:`find_picture`."""
        if self.lead and _posix(name).startswith(f"{self.lead}/"):
            name = _posix(name)[len(self.lead) + 1 :]
        return find_picture(self.folder, name)

    def count(self, names: Iterable[str]) -> int:
        """The number of names that exist."""
        return sum(os.path.exists(self.find(name)) for name in names)


def find_start(names: list[str], here: str) -> Start:
    """The folder that the names are relative to, `here` if none of them is found."""
    best = Start(here)
    if (most := best.count(names)) == len(names):
        return best
    others = list(_other_folders(here))
    for start in map(Start, others):
        if (count := start.count(names)) > most:
            best, most = start, count
    return best if most else _without_lead(names, [here, *others]) or best


def _without_lead(names: list[str], folders: list[str]) -> Start | None:
    """The start at which at least half of the names exist after their leading folders are removed.

    None if there is no such start, or if a name exists unchanged.
    """
    if not names or any(Start(folder).count(names) for folder in folders):
        return None
    try:
        common = posixpath.commonpath([posixpath.dirname(_posix(name)) for name in names])
    except ValueError:  # some are absolute, some not
        return None
    parts = common.split("/")
    if not common or len(parts) > _MAX_DEPTH:
        return None
    for end in range(1, len(parts) + 1):
        # Once all folders are removed, other folders may have other pictures with the same names.
        for folder in folders if end < len(parts) else folders[:1]:
            start = Start(folder, "/".join(parts[:end]))
            if 2 * start.count(names) >= len(names):
                return start
    return None


def _posix(name: str) -> str:
    """A name with `/`: a list may come from Windows."""
    return name.replace("\\", "/") if "/" not in name else name


def _other_folders(here: str) -> Iterator[str]:
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
    """The path relative to `here`."""
    # `..` after a link leads from the target of the link, not from the link.
    full = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
    try:
        return os.path.relpath(full, os.path.realpath(here)).replace(os.sep, "/")
    except ValueError:  # another drive
        return full


def relative_to(folder: Path, name: str) -> str:
    """The picture `name` of a list in `folder`, as a name relative to that folder."""
    return _relative(find_picture(str(folder), name), str(folder))


def find_picture(root: str, name: str) -> str:
    """The path of the picture that a list calls `name`, which may have been written on another system.

    If there is no such file, this looks for the same name in composed or decomposed characters (NFC, NFD), with the
    suffix in other capitals, without suffix, or with backslashes; for the file of a path of Label Studio; and for the
    only picture with that name in other capitals or with `%20` for a space.
    """
    path = os.path.join(root, name)
    if os.path.exists(path):
        return path
    spellings = [name]
    # A list may come from Windows.
    if os.sep == "/" and "\\" in name:
        spellings.append(name.replace("\\", "/"))
    spellings += _label_studio(name)
    for spelling in spellings:
        path = os.path.join(root, spelling)
        if os.path.exists(path):
            return path
        folder, file = os.path.split(path)
        for there in dict.fromkeys((folder, *(unicodedata.normalize(kind, folder) for kind in ("NFC", "NFD")))):
            names = _unique_names(there, _time_of(there), _lower_suffix)
            if found := names.get(_lower_suffix(file)[0]) or names.get(_nfc(file) + _ANY_SUFFIX):
                return os.path.join(there, found)
    for spelling in dict.fromkeys([*spellings, *map(unquote, spellings)]):
        folder, file = os.path.split(os.path.join(root, spelling))
        if found := _unique_names(folder, _time_of(folder), _any_case).get(_any_case(file)[0]):
            return os.path.join(folder, found)
    return os.path.join(root, spellings[1] if len(spellings) > 1 and "\\" in name else name)


def _label_studio(name: str) -> list[str]:
    """File names that `/data/upload/1/8f3e21ab-a.png` and `/data/local-files/?d=pictures/a.png` may stand for."""
    if not name.startswith("/data/"):
        return []
    address = urlsplit(name)
    path = unquote(parse_qs(address.query).get("d", [address.path])[0])
    file = path.rpartition("/")[2]
    number, dash, original = file.partition("-")
    return [path, file, *([original] if dash and len(number) == 8 else [])]


def _nfc(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _lower_suffix(name: str) -> list[str]:
    """A name with its suffix in lower case and, for a picture, with any suffix."""
    stem, suffix = os.path.splitext(_nfc(name))
    suffix = suffix.lower()
    return [stem + suffix, stem + _ANY_SUFFIX] if suffix in PICTURE_SUFFIXES else [stem + suffix]


def _any_case(name: str) -> list[str]:
    return [_nfc(name).casefold()]


def _time_of(folder: str) -> int:
    try:
        return os.stat(folder or os.curdir).st_mtime_ns
    except (OSError, ValueError):
        return 0


@lru_cache(maxsize=64)
def _unique_names(folder: str, modified: int, spellings: Callable[[str], list[str]]) -> dict[str, str]:
    """The names in a folder by their `spellings`, without spellings that several names share.

    `modified` makes the cache notice that the folder has changed.
    """
    try:
        pairs = [(spelling, name) for name in os.listdir(folder or os.curdir) for spelling in spellings(name)]
    except (OSError, ValueError):
        return {}
    counts = Counter(spelling for spelling, _ in pairs)
    return {spelling: name for spelling, name in pairs if counts[spelling] == 1}
