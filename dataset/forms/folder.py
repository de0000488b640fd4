"""A folder, searched recursively; the label is the file name up to its first `_`: `aB3x_000017.png` reads `aB3x`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from picture import PICTURE_SUFFIXES


def matches(path: Path) -> bool:
    return path.is_dir()


def rows(path: Path) -> Iterator[tuple[str, str]]:
    for name in _names(str(path), "", ()):
        yield name, os.path.splitext(name.rpartition("/")[2])[0].partition("_")[0]


def _names(folder: str, prefix: str, above: tuple[str, ...]) -> Iterator[str]:
    # A link to a folder above would be searched for ever.
    here = os.path.realpath(folder)
    if here in above:
        return
    with os.scandir(folder) as entries:
        found = sorted((entry.name, entry.is_dir()) for entry in entries if not entry.name.startswith("."))
    for name, is_folder in found:
        if is_folder:
            yield from _names(os.path.join(folder, name), f"{prefix}{name}/", (*above, here))
        elif os.path.splitext(name)[1].lower() in PICTURE_SUFFIXES:
            yield prefix + name
