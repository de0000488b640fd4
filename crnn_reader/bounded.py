"""Read text and JSON files safely: regular files only, with limits on size and nesting depth.

The kit reads JSON files that it wrote earlier, such as parameters.json and split.json. Meanwhile they may have been
truncated, edited, or replaced by a pipe.
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

#: Default of the maximum size of a JSON file, in bytes.
MAX_BYTES = 16 * 1024**2
#: Bytes to read at a time.
PART = 1024**2
#: Maximum nesting depth of lists and objects. The kit writes at most three levels.
MAX_DEPTH = 20

_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}


def open_regular(path: Path | str) -> BufferedReader:
    """Open a regular file, or a link to one, for reading bytes.

    Raises OSError if the file cannot be opened, and ValueError if it is a pipe, a device or a folder. Never blocks on a
    pipe without a writer.
    """
    if what := irregular(path):
        raise ValueError(f"it is {what}, not a file")
    file = open(path, "rb", opener=_without_waiting)  # noqa: SIM115 (the caller closes it)
    # The file may have been replaced since the check.
    if what := _KINDS.get(stat.S_IFMT(os.fstat(file.fileno()).st_mode)):
        file.close()
        raise ValueError(f"it is {what}, not a file")
    return file


def irregular(path: Path | str) -> str | None:
    """Describe the object at `path` if it is not a regular file, such as `a named pipe`.

    Returns None for a regular file, and if nothing exists at `path`. A broken or circular link is described, too.
    """
    try:
        return _KINDS.get(stat.S_IFMT(os.stat(path).st_mode))
    except OSError:
        return "a link that leads nowhere" if os.path.islink(path) else None


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def read_json(path: Path | str, max_bytes: int = MAX_BYTES) -> Any:
    """Read a JSON file of at most `max_bytes` bytes.

    Raises OSError if the file cannot be opened, and ValueError as :func:`read_text` and :func:`json_value` do.
    """
    return json_value(read_text(path, max_bytes))


def read_text(path: Path | str, max_bytes: int) -> str:
    """Read a text file of at most `max_bytes` bytes, in UTF-8, or in UTF-16 with a byte order mark.

    Returns the text without the byte order mark. Line ends are not converted.

    Raises OSError if the file cannot be opened, and ValueError with the reason if it is not a regular file, too large,
    or in another encoding.
    """
    with open_regular(path) as file:
        # This check is cheap, but files of /proc, for example, report a size of 0.
        if os.fstat(file.fileno()).st_size > max_bytes:
            raise ValueError(f"it is larger than {max_bytes:,} bytes")
        # Read in parts: file.read(n) allocates n bytes even for a small file.
        data = bytearray()
        try:
            while len(data) <= max_bytes and (part := file.read(min(PART, max_bytes + 1 - len(data)))):
                data += part
        except OSError as error:
            # Some files, such as /proc/self/mem, can be opened but not read.
            raise ValueError(f"it cannot be read: {error.strerror}") from None
    if len(data) > max_bytes:
        raise ValueError(f"it is larger than {max_bytes:,} bytes")
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None


def json_value(text: str) -> Any:
    """Decode JSON strictly.

    Raises ValueError for invalid JSON, NaN, infinity, duplicate names, and nesting deeper than MAX_DEPTH.
    """
    try:
        value = json.loads(text, parse_constant=_refuse, object_pairs_hook=_object)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    level = [value]
    for _ in range(MAX_DEPTH):
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
    raise ValueError(f"it holds {constant}, which is not valid in JSON")
