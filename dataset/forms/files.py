"""The files of a folder."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path

from cli.messages import warn


def names(path: Path, suffixes: Collection[str]) -> Iterator[str]:
    """The files below `path` with one of the suffixes, sorted, relative, with `/`; hidden ones are left out.

    A folder that cannot be opened stands for its pictures, as one that cannot be read; its name ends in `/`.
    """
    return _names(str(path), "", (), suffixes)


def _names(folder: str, prefix: str, above: tuple[str, ...], suffixes: Collection[str]) -> Iterator[str]:
    # A link to a folder above would be searched for ever.
    here = os.path.realpath(folder)
    if here in above:
        return
    try:
        with os.scandir(folder) as entries:
            found = sorted((entry.name, _is_folder(entry)) for entry in entries if not entry.name.startswith("."))
    except PermissionError:
        if not above:
            raise
        warn(f"{folder} cannot be opened (no permission): what it holds is left out")
        yield prefix
        return
    for name, is_folder in found:
        if is_folder:
            yield from _names(os.path.join(folder, name), f"{prefix}{name}/", (*above, here), suffixes)
        elif _suffix(name) in suffixes:
            yield prefix + name


def _suffix(name: str) -> str:
    """The suffix in lower case. Faster than os.path.splitext, from which it differs for hidden files only."""
    dot = name.rfind(".")
    return name[dot:].lower() if dot > 0 else ""


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False
