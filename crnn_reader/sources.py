"""Read the bytes of a picture from a path, an open file, or a place in another file, with a limit on their number."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from .errors import UnreadablePicture
from .image_headers import begins_a_picture
from .limits import MAX_PIXELS

#: The maximum size of a file is FILE_BYTES per allowed pixel, as in uncompressed 16-bit RGB, but at least
#: MIN_FILE_LIMIT bytes. The first START bytes are checked before the rest is read.
FILE_BYTES, MIN_FILE_LIMIT, START = 6, 16 << 20, 1 << 16
#: Bytes to read at a time, and maximum number of characters quoted from the message of an exception of other code.
READ, MAX_QUOTED = 1 << 20, 200

#: Reason for a missing file.
MISSING = "no such file"
#: Reason for a picture that does not fit into memory.
NO_MEMORY = "it takes more memory than is free: make it smaller"
#: How the bytes of a picture begin in base64.
_BASE64 = ("iVBORw0KGgo", "/9j/", "R0lGOD", "UklGR", "Qk0", "Qk1", "SUkqA", "TU0AK")


class StoredImage(str):
    """The path of a picture inside a file with many pictures, such as `train.tfrecord/17`.

    It can be used wherever a path is expected. :func:`read_bytes` reads it by calling `fetch`, which returns the bytes
    of the picture or raises UnreadablePicture. `container` is the path of the file, whose modification time counts for
    the picture.
    """

    __slots__ = ("container", "fetch")

    container: str
    fetch: Callable[[], bytes]

    def __new__(cls, path: str, container: str, fetch: Callable[[], bytes]) -> Self:
        stored = super().__new__(cls, path)
        stored.container, stored.fetch = container, fetch
        return stored

    def __deepcopy__(self, _: object) -> Self:
        # Immutable, like any str. A deep copy would copy the open file that `fetch` reads from.
        return self


def max_bytes(max_pixels: int) -> int:
    """Maximum size of the file of a picture with `max_pixels` pixels, in bytes."""
    return max(MIN_FILE_LIMIT, FILE_BYTES * max_pixels)


def read_bytes(path: Path | str, max_pixels: int = MAX_PIXELS) -> bytes:
    """Read the bytes of a file or of a :class:`StoredImage`.

    A large file that does not begin like a picture is not read completely. Raises UnreadablePicture for a file that
    cannot be read or is too large.
    """
    try:
        if isinstance(path, StoredImage):
            return bounded_bytes(path.fetch(), max_pixels)
        # Without O_NONBLOCK, opening a pipe without a writer would block forever.
        file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
        try:
            found = os.fstat(file)
            if not stat.S_ISREG(found.st_mode):
                raise UnreadablePicture(
                    "a folder: give the paths of its pictures"
                    if stat.S_ISDIR(found.st_mode)
                    else "a pipe or device, no file"
                )
            return _read(file, found.st_size, max_pixels)
        finally:
            os.close(file)
    except FileNotFoundError:
        raise UnreadablePicture(describe_text(str(path)) or MISSING) from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UnreadablePicture(describe_text(str(path)) or reason) from None
    except ValueError:  # a NUL in the name
        raise UnreadablePicture(MISSING) from None
    except MemoryError:
        raise UnreadablePicture(NO_MEMORY) from None


def _read(file: int, size: int, max_pixels: int) -> bytes:
    _refuse_large(size, max_pixels)
    # Read one byte more to detect the end: files in /proc report a size of 0, and some never end.
    data = os.read(file, min(size or START, START) + 1)
    if len(data) == size <= START:
        return data
    parts, total = [data], len(data)
    while data and total <= max_bytes(max_pixels) and begins_a_picture(parts[0]):
        data = os.read(file, READ)
        parts.append(data)
        total += len(data)
    _refuse_large(total, max_pixels)
    return b"".join(parts)


def bounded_bytes(data: bytes, max_pixels: int) -> bytes:
    _refuse_large(len(data), max_pixels)
    return data


def _refuse_large(size: int, max_pixels: int) -> None:
    if size > (most := max_bytes(max_pixels)):
        raise UnreadablePicture(
            f"{size / 1e6:,.0f} MB, more than {most / 1e6:,.0f} MB, which is enough for any picture of "
            f"{max_pixels / 1e6:g} million pixels"
        )


def read_file(file: Any, max_pixels: int) -> bytes:
    """Read an open binary file from its current position.

    A large file that does not begin like a picture is not read completely. Objects of any class may have a `read`
    method, so UnreadablePicture is raised for any of its exceptions, except MemoryError.
    """
    data = bytearray()
    while len(data) <= max_bytes(max_pixels) and (len(data) < START or begins_a_picture(bytes(data[:8]))):
        try:
            # An unbuffered stream, such as a socket, may return fewer bytes than asked for.
            part = file.read(min(READ, max_bytes(max_pixels) + 1 - len(data)))
        except MemoryError:
            raise
        except (ValueError, TypeError) as error:  # closed, or opened for writing
            raise UnreadablePicture(
                f"a file that cannot be read ({describe_error(error)}): open it again with open(path, 'rb')"
            ) from None
        except Exception as error:  # for example a truncated or damaged member of an archive
            raise UnreadablePicture(
                f"a {type(file).__name__} that cannot be read ({describe_error(error)}): check that its file is whole"
            ) from None
        if isinstance(part, str):
            raise UnreadablePicture("a file opened in text mode: open it with open(path, 'rb')")
        if part is None:
            raise UnreadablePicture(
                f"a {type(file).__name__} that has no bytes yet: read it to its end first, and give the bytes"
            )
        if not isinstance(part, (bytes, bytearray, memoryview)):
            raise UnreadablePicture(
                f"a {type(file).__name__} that does not return bytes: give a path or the bytes of a file"
            )
        if not part:
            break
        data += part
    if not data:
        raise UnreadablePicture("zero bytes: the file is at its end; go back with seek(0)")
    return bounded_bytes(bytes(data), max_pixels)


def describe_error(error: Exception) -> str:
    """Describe an exception of other code in one short line: its class and message."""
    try:
        line = " ".join(str(error).split())[:MAX_QUOTED]
    except Exception:  # __str__ is other code, too
        line = ""
    return f"{type(error).__name__}: {line}" if line else type(error).__name__


def describe_text(text: str) -> str | None:
    """Describe a text that was given instead of a picture or path, such as a URL, and what to do. None if unknown."""
    if text.startswith("data:"):
        return "a data: URL, not a path: give base64.b64decode(url.partition(',')[2])"
    if scheme := re.match(r"([a-z][a-z0-9+]{1,9}):/", text, re.IGNORECASE):
        if scheme[1].lower() == "file":
            return "a file: URL: give the path without file://"
        return f"an {scheme[1].lower()} address, which is not fetched: download it, then give the file or its bytes"
    if text.startswith("version https://git-lfs."):
        return "a pointer of Git LFS in place of the picture: run git lfs pull"
    if re.match(r"\s*<(!doctype html|html)\b", text, re.IGNORECASE):
        return "a web page, as servers send it in place of a picture: download the picture itself"
    if text.startswith(_BASE64) and re.fullmatch(r"[A-Za-z0-9+/=\s]{32,}", text):
        return "base64, not a path or picture: give base64.b64decode(text)"
    return None
