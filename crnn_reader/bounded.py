"""Read files of the kit safely: regular files only, with bounds on size and nesting depth.

The kit writes JSON files and reads them again (parameters.json, split.json, corpus.json …). In between they may be cut
short, edited, or replaced by a pipe. The functions return a value or raise one error with the reason.
"""

from __future__ import annotations

import codecs
import json
import os
import stat
from collections import Counter
from io import BufferedReader
from pathlib import Path
from typing import Any

#: Bytes of a JSON file, unless the caller knows how large it may be.
LARGEST = 16 * 1024**2
#: Bytes that are read at a time.
PART = 1024**2
#: Lists and objects within one another. The kit writes three levels at most.
DEEPEST = 20

_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}


def open_regular(path: Path | str) -> BufferedReader:
    """Open a regular file to read from, or a link to one.

    Raises OSError when it cannot be opened, ValueError with the reason when it is a pipe, a device or a folder. Does
    not block on a pipe that has no writer.
    """
    if what := irregular(path):
        raise ValueError(f"it is {what}, not a file")
    file = open(path, "rb", opener=_without_waiting)  # noqa: SIM115 (the caller closes it)
    # The pipe may have come in between.
    if what := _KINDS.get(stat.S_IFMT(os.fstat(file.fileno()).st_mode)):
        file.close()
        raise ValueError(f"it is {what}, not a file")
    return file


def irregular(path: Path | str) -> str | None:
    """Describe the object at `path` if it is not a regular file, such as `a named pipe`; None if it is one.

    Nothing is wrong where nothing stands. A link that leads nowhere, or in a circle, is wrong.
    """
    try:
        return _KINDS.get(stat.S_IFMT(os.stat(path).st_mode))
    except OSError:
        return "a link that leads nowhere" if os.path.islink(path) else None


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def read_json(path: Path | str, largest: int = LARGEST) -> Any:
    """The value in a JSON file of at most `largest` bytes.

    Raises OSError when the file cannot be opened, ValueError with the reason when it holds nothing that this kit
    could have written.
    """
    return json_value(read_text(path, largest))


def read_text(path: Path | str, largest: int) -> str:
    """The text of a file of at most `largest` bytes, without a byte order mark, line ends as they are.

    It is UTF-8, or UTF-16 with a byte order mark.

    Raises OSError when the file cannot be opened, ValueError with the reason when it is no such file.
    """
    with open_regular(path) as file:
        # Most files say how large they are before they are read.
        if os.fstat(file.fileno()).st_size > largest:
            raise ValueError(f"it is larger than {largest:,} bytes")
        # Not at once: Python takes the memory for as many bytes as it is asked for.
        data = bytearray()
        try:
            while len(data) <= largest and (part := file.read(min(PART, largest + 1 - len(data)))):
                data += part
        except OSError as error:
            # Files of the system, such as /proc/self/mem, open and cannot be read.
            raise ValueError(f"it cannot be read: {error.strerror}") from None
    if len(data) > largest:
        raise ValueError(f"it is larger than {largest:,} bytes")
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None


def json_value(text: str) -> Any:
    """`json.loads` with one kind of error, ValueError; NaN, infinity, names given twice and deep nesting are errors."""
    try:
        value = json.loads(text, parse_constant=_refuse, object_pairs_hook=_object)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    level = [value]
    for _ in range(DEEPEST):
        level = [
            inner
            for outer in level
            if isinstance(outer, (dict, list))
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, (dict, list))
        ]
        if not level:
            return value
    raise ValueError("it is nested too deeply")


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) < len(members):
        double = Counter(name for name, _ in members).most_common(1)[0][0]
        raise ValueError(f"it has {double[:40]!r} twice")
    return found


def _refuse(constant: str) -> None:
    raise ValueError(f"it holds {constant}, which is no number of JSON")
