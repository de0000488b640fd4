"""List the files of a folder."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterator
from pathlib import Path

from crnn_reader.image_headers import PICTURE_SUFFIXES

logger = logging.getLogger(__name__)


def find_files(path: Path, suffixes: Collection[str]) -> Iterator[str]:
    """Yield the files below `path` with one of the suffixes, sorted, relative, with `/`. Skips hidden files.

    A sub-folder that cannot be opened is yielded with a `/` at its end, and counts as an unreadable picture.
    """
    return _find(str(path), "", (), suffixes)


def _find(folder: str, prefix: str, above: tuple[str, ...], suffixes: Collection[str]) -> Iterator[str]:
    # A link to a folder above would lead to an endless search.
    here = os.path.realpath(folder)
    if here in above:
        return
    try:
        with os.scandir(folder) as entries:
            found = sorted((entry.name, _is_folder(entry)) for entry in entries if not entry.name.startswith("."))
    except PermissionError:
        if not above:
            raise
        logger.warning(f"{folder} cannot be opened (no permission): what it holds is left out")
        yield prefix
        return
    for name, is_folder in found:
        if is_folder:
            yield from _find(os.path.join(folder, name), f"{prefix}{name}/", (*above, here), suffixes)
        elif suffix_of(name) in suffixes:
            yield prefix + name


def suffix_of(name: str) -> str:
    """The suffix in lower case. Faster than os.path.splitext, and the same except for hidden files."""
    dot = name.rfind(".")
    return name[dot:].lower() if dot > 0 else ""


def pictures_in(folder: Path) -> Iterator[str]:
    """Yield the names of the pictures directly in a folder, in no order."""
    with os.scandir(folder) as entries:
        yield from (entry.name for entry in entries if suffix_of(entry.name) in PICTURE_SUFFIXES)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False
