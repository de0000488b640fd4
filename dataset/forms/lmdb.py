"""LMDB as deep-text-recognition-benchmark keeps pictures: a folder with `data.mdb`, in which `num-samples` counts
them, and `image-%09d` (a file's bytes) and `label-%09d` (UTF-8) hold them, from 1.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from crnn_reader.errors import UnreadablePicture, UserError
from dataset.forms.writing import LARGEST_LABEL, LARGEST_PICTURE, Picture, Plan
from dataset.lmdb_file import Damaged, DataFile, TooLarge

FILE = "data.mdb"

#: Pictures in one transaction, or looked up at a time.
_CHUNK = 1000

#: Numbers in the keys have nine digits.
_MOST = 999_999_999

formats = ()


def matches(path: Path) -> bool:
    return (path / FILE).is_file()


class Database:
    """An open one; picture `image-000000017` is the value of that key."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._sound():
            self._file = DataFile(path / FILE)
            self.count = self._number_of_pictures()

    def _number_of_pictures(self) -> int:
        entries = self._file.entries
        try:
            found = self._file.get(b"num-samples", largest=100)
        except TooLarge as error:
            raise UserError(f"{self.path} has {error} for num-samples: see docs/forms.md for the form") from None
        if found is None or not found.isdigit():
            value = "no num-samples" if found is None else f"{found[:20]!r} for num-samples"
            raise UserError(f"{self.path} has {value} among its {entries:,} keys: see docs/forms.md for the form")
        count = int(found)
        if count > min(entries, _MOST):
            number = (
                f"{count:,}" if count <= _MOST else f"{found[:20].decode()}…" if len(found) > 20 else found.decode()
            )
            raise UserError(
                f"{self.path}: num-samples is {number}, but the database has {entries:,} keys: write it again"
            )
        return count

    def rows(self) -> Iterator[tuple[str, str]]:
        """Each picture's key and label, empty where there is none. Raises UserError for a label that is not text."""
        for start in range(1, self.count + 1, _CHUNK):
            end = min(start + _CHUNK, self.count + 1)
            # Labels lie side by side, so that they are found faster together than one by one.
            with self._sound():
                try:
                    labels = dict(self._file.items(b"label-%09d" % start, b"label-%09d" % end, LARGEST_LABEL))
                except TooLarge as error:
                    raise UserError(
                        f"{self.path} has a label of {error} among {start:,} to {end - 1:,}: mend the labels"
                    ) from None
                # The count of keys may lie, too: a small file would have billions of pictures without a label.
                if not labels and not self._any(b"image-%09d" % start, b"image-%09d" % end):
                    raise UserError(
                        f"{self.path} says num-samples {self.count:,} and has no pictures {start:,} to {end - 1:,}: "
                        "write it again"
                    )
            for number in range(start, end):
                try:
                    yield f"image-{number:09}", labels.get(b"label-%09d" % number, b"").decode()
                except UnicodeDecodeError:
                    raise UserError(f"{self.path}: label-{number:09} is not UTF-8: mend the label") from None

    def _any(self, first: bytes, end: bytes) -> bool:
        try:
            return any(True for _ in self._file.items(first, end, largest=0))
        except TooLarge:
            return True

    def fetch(self, name: str) -> bytes:
        """The bytes of a picture. Raises UnreadablePicture."""
        try:
            data = self._file.get(name.encode(), LARGEST_PICTURE)
        except Damaged as error:
            raise UnreadablePicture(f"the database {error}") from None
        except TooLarge as error:
            raise UnreadablePicture(f"{error}, more than {LARGEST_PICTURE:,}") from None
        if data is None:
            raise UnreadablePicture("no such key")
        return data

    def container(self, name: str) -> str:
        """The file that holds the picture."""
        return os.path.join(self.path, FILE)

    @contextlib.contextmanager
    def _sound(self) -> Iterator[None]:
        """Put the name of the file into what is wrong with it."""
        try:
            yield
        except Damaged as error:
            raise UserError(f"{self.path / FILE} {error}: copy or write it again") from None
        except OSError as error:
            raise UserError(f"{self.path / FILE} cannot be read ({error.strerror}): copy or write it again") from None


def open(path: Path) -> Database:
    return Database(path)


def cannot_hold(label: str) -> str | None:
    return f"is longer than {LARGEST_LABEL:,} bytes" if len(label.encode()) > LARGEST_LABEL else None


def write(folder: Path, pictures: Iterable[Picture], plan: Plan) -> Path:
    import lmdb

    try:
        with contextlib.closing(lmdb.open(str(folder), map_size=1 << 24, lock=False, sync=False)) as environment:
            numbered = enumerate(pictures, start=1)
            while chunk := list(islice(numbered, _CHUNK)):
                for _, picture in chunk:
                    if (size := len(picture.data)) > LARGEST_PICTURE:
                        raise UserError(
                            f"{picture.name} has {size:,} bytes, more than {LARGEST_PICTURE:,}: leave it out"
                        )
                images = [(b"image-%09d" % number, picture.data) for number, picture in chunk]
                _put(
                    environment,
                    images + [(b"label-%09d" % number, picture.label.encode()) for number, picture in chunk],
                )
            _put(environment, [(b"num-samples", str(plan.count).encode())])
            environment.sync(True)
    except lmdb.Error as error:
        code = getattr(error, "code", 0)
        if code <= 0:  # none of the system's
            raise
        # What the library makes of a write that ends early is an input/output error, on a full disk most of all.
        raise OSError(errno.ENOSPC if code == errno.EIO else code, str(error), str(folder)) from None
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
