"""LMDB as deep-text-recognition-benchmark keeps pictures: a folder with `data.mdb`, in which `num-samples` counts
them, and `image-%09d` (a file's bytes) and `label-%09d` (UTF-8) hold them, from 1.
"""

from __future__ import annotations

import contextlib
import errno
import os
import weakref
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from console import UserError
from dataset.forms.writing import Picture, Plan
from picture import UnreadablePicture

FILE = "data.mdb"

#: Pictures in one transaction.
_CHUNK = 1000

formats = ()


def matches(path: Path) -> bool:
    return (path / FILE).is_file()


class Database:
    """An open one; picture `image-000000017` is the value of that key."""

    def __init__(self, path: Path) -> None:
        import lmdb

        self.path = path
        if not (path / FILE).stat().st_size:
            raise UserError(f"{path / FILE} is empty (0 bytes): copy or make it again")
        try:
            # No lock file: the folder may be read-only, and nobody writes where others read.
            self._environment = lmdb.open(str(path), readonly=True, lock=False, readahead=False)
        except lmdb.Error as error:
            raise UserError(f"{path / FILE} cannot be opened as LMDB ({error}): copy or make it again") from None
        pages, size = self._environment.info()["last_pgno"] + 1, (path / FILE).stat().st_size
        # A page beyond the end of the file would end the process.
        if pages * self._environment.stat()["psize"] > size:
            raise UserError(f"{path / FILE} is cut short at {size:,} bytes: copy or make it again")
        self.count = self._number_of_pictures()

    def _number_of_pictures(self) -> int:
        with self._environment.begin() as transaction:
            found = transaction.get(b"num-samples")
        entries = self._environment.stat()["entries"]
        if found is None or not found.isdigit():
            told = "no num-samples" if found is None else f"{found[:20]!r} for num-samples"
            raise UserError(f"{self.path} has {told} among its {entries:,} keys: see docs/forms.md for the form")
        if int(found) > entries:
            raise UserError(f"{self.path} says num-samples {int(found):,} and has {entries:,} keys: make it again")
        return int(found)

    def rows(self) -> Iterator[tuple[str, str]]:
        """Each picture's key and label, empty where there is none. Raises UserError for a label that is no text."""
        for start in range(1, self.count + 1, _CHUNK):
            # Labels lie side by side, so that a cursor finds them faster than one by one. A transaction of its own for
            # each chunk lets the reader take its time.
            labels = {}
            with self._environment.begin() as transaction:
                cursor = transaction.cursor()
                if cursor.set_range(b"label-%09d" % start):
                    end = b"label-%09d" % min(start + _CHUNK, self.count + 1)
                    for key, label in cursor.iternext():
                        if key >= end:
                            break
                        labels[key] = label
            for number in range(start, min(start + _CHUNK, self.count + 1)):
                try:
                    yield f"image-{number:09}", labels.get(b"label-%09d" % number, b"").decode()
                except UnicodeDecodeError:
                    raise UserError(f"{self.path}: label-{number:09} is not UTF-8: mend the label") from None

    def fetch(self, name: str) -> bytes:
        """The bytes of a picture. Raises UnreadablePicture."""
        with self._environment.begin() as transaction:
            data: bytes | None = transaction.get(name.encode())
        if data is None:
            raise UnreadablePicture("no such key")
        return data

    def container(self, name: str) -> str:
        """The file that holds the picture."""
        return os.path.join(self.path, FILE)


#: LMDB lets a process open a database once.
_OPEN = weakref.WeakValueDictionary[str, Database]()


def open(path: Path) -> Database:
    key = os.path.realpath(path)
    database = _OPEN.get(key)
    if database is None:
        database = _OPEN[key] = Database(path)
    return database


def cannot_hold(label: str) -> str | None:
    return None


def write(folder: Path, pictures: Iterable[Picture], plan: Plan) -> Path:
    import lmdb

    try:
        with contextlib.closing(lmdb.open(str(folder), map_size=1 << 24, lock=False, sync=False)) as environment:
            numbered = enumerate(pictures, start=1)
            while chunk := list(islice(numbered, _CHUNK)):
                images = [(b"image-%09d" % number, picture.data) for number, picture in chunk]
                _put(
                    environment,
                    images + [(b"label-%09d" % number, picture.label.encode()) for number, picture in chunk],
                )
            _put(environment, [(b"num-samples", str(plan.count).encode())])
            environment.sync(True)
    except lmdb.DiskError as error:
        raise OSError(errno.ENOSPC, str(error), str(folder)) from None
    return folder


def _put(environment: Any, entries: list[tuple[bytes, bytes]]) -> None:
    """Store the entries in one transaction; the database grows as it has to."""
    import lmdb

    while True:
        try:
            with environment.begin(write=True) as transaction:
                for key, data in entries:
                    transaction.put(key, data)
            return
        except lmdb.MapFullError:
            # Not larger from the start: on some systems the file takes all of it at once.
            environment.set_mapsize(2 * environment.info()["map_size"])
