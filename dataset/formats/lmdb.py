"""LMDB as deep-text-recognition-benchmark stores pictures: a folder with `data.mdb`.

The keys are `num-samples`, and from 1 on `image-%09d` (picture files) and `label-%09d` (UTF-8).
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
from dataset.formats.base import RecordFormat
from dataset.formats.writing import MAX_LABEL_BYTES, MAX_PICTURE_BYTES, CorpusFacts, Picture, Writer
from dataset.lmdb_file import Damaged, DataFile, RecordTooLarge

_FILE = "data.mdb"

#: Number of pictures to write in one transaction, or to look up at a time.
_CHUNK = 1000

#: Keys have nine digits.
_MAX_COUNT = 999_999_999


class Database:
    """An open database. The picture `image-000000017` is the value of that key."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._sound():
            self._file = DataFile(path / _FILE)
            self.count = self._number_of_pictures()

    def _number_of_pictures(self) -> int:
        entries = self._file.entries
        try:
            found = self._file.get(b"num-samples", limit=100)
        except RecordTooLarge as error:
            raise UserError(f"{self.path} has {error} for num-samples: see docs/formats.md for the format") from None
        if found is None or not found.isdigit():
            value = "no num-samples" if found is None else f"{found[:20]!r} for num-samples"
            raise UserError(f"{self.path} has {value} among its {entries:,} keys: see docs/formats.md for the format")
        count = int(found)
        if count > min(entries, _MAX_COUNT):
            number = f"{count:,}" if count <= _MAX_COUNT else f"{found[:20].decode()}{'…' if len(found) > 20 else ''}"
            raise UserError(
                f"{self.path}: num-samples is {number}, but the database has {entries:,} keys: write it again"
            )
        return count

    def rows(self) -> Iterator[tuple[str, str]]:
        """Yield keys and labels. A missing label is empty. Raises UserError for damage and undecodable labels."""
        for start in range(1, self.count + 1, _CHUNK):
            end = min(start + _CHUNK, self.count + 1)
            # Labels are neighbours in the file, so that reading a range is faster than looking them up one by one.
            with self._sound():
                try:
                    labels = dict(self._file.items(b"label-%09d" % start, b"label-%09d" % end, MAX_LABEL_BYTES))
                except RecordTooLarge as error:
                    raise UserError(
                        f"{self.path} has a label of {error} among {start:,} to {end - 1:,}: mend the labels"
                    ) from None
                # The number of keys may be wrong, too: a small file could claim billions of pictures without a label.
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
            return any(True for _ in self._file.items(first, end, limit=0))
        except RecordTooLarge:
            return True

    def fetch(self, name: str) -> bytes:
        """The picture file with this key. Raises UnreadablePicture."""
        try:
            data = self._file.get(name.encode(), MAX_PICTURE_BYTES)
        except Damaged as error:
            raise UnreadablePicture(f"the database {error}") from None
        except RecordTooLarge as error:
            raise UnreadablePicture(f"{error}, more than {MAX_PICTURE_BYTES:,}") from None
        if data is None:
            raise UnreadablePicture("no such key")
        return data

    def container(self, name: str) -> str:
        return os.path.join(self.path, _FILE)

    @contextlib.contextmanager
    def _sound(self) -> Iterator[None]:
        """Raise UserErrors with the name of the file."""
        try:
            yield
        except Damaged as error:
            raise UserError(f"{self.path / _FILE} {error}: copy or write it again") from None
        except OSError as error:
            raise UserError(f"{self.path / _FILE} cannot be read ({error.strerror}): copy or write it again") from None


WRITES = ("lmdb",)


class _Writer(Writer):
    def cannot_hold(self, label: str) -> str | None:
        return f"is longer than {MAX_LABEL_BYTES:,} bytes" if len(label.encode()) > MAX_LABEL_BYTES else None

    def write(self, folder: Path, pictures: Iterable[Picture], facts: CorpusFacts) -> Path:
        import lmdb

        try:
            with contextlib.closing(lmdb.open(str(folder), map_size=1 << 24, lock=False, sync=False)) as environment:
                numbered = enumerate(pictures, start=1)
                while chunk := list(islice(numbered, _CHUNK)):
                    for _, picture in chunk:
                        if (size := len(picture.data)) > MAX_PICTURE_BYTES:
                            raise UserError(
                                f"{picture.name} has {size:,} bytes, more than {MAX_PICTURE_BYTES:,}: leave it out"
                            )
                    images = [(b"image-%09d" % number, picture.data) for number, picture in chunk]
                    labels = [(b"label-%09d" % number, picture.label.encode()) for number, picture in chunk]
                    _put(environment, images + labels)
                _put(environment, [(b"num-samples", str(facts.count).encode())])
                environment.sync(True)
        except lmdb.Error as error:
            code = getattr(error, "code", 0)
            if code <= 0:  # not an error number of the system
                raise
            # The library reports a write to a full disk as an input/output error.
            raise OSError(errno.ENOSPC if code == errno.EIO else code, str(error), str(folder)) from None
        return folder


class Lmdb(RecordFormat):
    writers = (_Writer(),)

    def matches(self, path: Path) -> bool:
        return (path / _FILE).is_file()

    def open(self, path: Path) -> Database:
        return Database(path)


FORMAT = Lmdb()


def _put(environment: Any, entries: list[tuple[bytes, bytes]]) -> None:
    """Store the entries in one transaction. Enlarges the database if necessary."""
    import lmdb

    while True:
        try:
            with environment.begin(write=True) as transaction:
                for key, data in entries:
                    transaction.put(key, data)
            return
        except lmdb.MapFullError:
            # Not large from the start: on some systems the file takes up its maximum size at once.
            environment.set_mapsize(2 * environment.info()["map_size"])
