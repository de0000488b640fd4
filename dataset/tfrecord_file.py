"""TFRecord files and the `tf.train.Example` messages in them, read and written without TensorFlow.

A record is the length of its data (uint64, little endian), a masked CRC-32C of the length (uint32), the data, and a
masked CRC-32C of the data. The data is an Example: names with lists of bytes, floats or int64. Both are described in
TensorFlow's `tfrecord_writer`, `example.proto` and `feature.proto`.
"""

from __future__ import annotations

import functools
import logging
import os
import re
import struct
from array import array
from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatch
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Literal

from crnn_reader import bounded
from crnn_reader.errors import UnreadablePicture, UserError

logger = logging.getLogger(__name__)

#: The names of record files, and the last number of a name such as `train-00000-of-00010`.
_NAME = re.compile(r"\.tfrecords?$|-of-(\d{5})(?:\.|$)")

_GZIP = b"\x1f\x8b"

#: Maximum size of a record in bytes. It holds one picture. protobuf takes up to 30 times that memory to parse it.
MAX_RECORD_BYTES = 16 << 20
#: Maximum number of features of a record, and of numbers in a feature.
_MAX_FEATURES, _MAX_NUMBERS = 1000, 10_000

_KINDS = {"bytes_list": "bytes", "float_list": "floats", "int64_list": "int64"}


class Fault(Exception):
    """A damaged record. The message continues `FILE, record N`, as in `is truncated`."""


class Example:
    """The features of a record."""

    def __init__(self, data: bytes) -> None:
        """Parse a record. Raises Fault if it is not an Example."""
        from google.protobuf.message import DecodeError

        try:
            entries = _example_class().FromString(data).features.feature
        except DecodeError:
            raise Fault("holds no tf.train.Example") from None
        if len(entries) > _MAX_FEATURES:
            raise Fault(f"has {len(entries):,} features, more than {_MAX_FEATURES:,}")
        self._features = {entry.key: entry.value for entry in entries}

    def __contains__(self, name: str) -> bool:
        return name in self._features

    def names(self) -> list[str]:
        """The names of the features, sorted."""
        return sorted(self._features)

    def integers(self, name: str) -> list[int]:
        """The values of an int64 feature. Raises Fault if it is missing or has another type."""
        values = self._values(name, "int64_list")
        if len(values) > _MAX_NUMBERS:
            raise Fault(f"has {len(values):,} numbers in the feature {name}, more than {_MAX_NUMBERS:,}")
        return list(values)

    def bytes(self, name: str) -> bytes:
        """The value of a bytes feature. Raises Fault if it is missing, has another type, or several values."""
        values = self._values(name, "bytes_list")
        if len(values) != 1:
            raise Fault(f"has {len(values)} values in the feature {name}, where one is expected")
        return values[0]

    def _values(self, name: str, kind: Literal["bytes_list", "int64_list"]) -> Any:
        feature = self._features.get(name)
        if feature is None:
            names = [each[:50] for each in self.names()]
            listed = ", ".join(names[:10]) + (", …" if len(names) > 10 else "")
            raise Fault(f"has no feature {name} (it has {listed or 'none'})")
        found = feature.WhichOneof("kind")
        # Some programs write an empty list as no list.
        if found not in (kind, None):
            raise Fault(f"has {_KINDS[found]} in the feature {name}, where {_KINDS[kind]} are expected")
        return getattr(feature, kind).value


def example(texts: dict[str, bytes], integers: dict[str, list[int]]) -> bytes:
    """Serialise an Example with these features."""
    message = _example_class()()
    for name, data in texts.items():
        message.features.feature.add(key=name).value.bytes_list.value.append(data)
    for name, numbers in integers.items():
        feature = message.features.feature.add(key=name).value
        feature.int64_list.SetInParent()
        feature.int64_list.value.extend(numbers)
    return bytes(message.SerializeToString())


#: TensorFlow's example.proto and feature.proto. On the wire, the map of features is a list of entries.
_PROTO = """
name: "example.proto" syntax: "proto3"
message_type { name: "BytesList" field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_BYTES } }
message_type { name: "FloatList" field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_FLOAT } }
message_type { name: "Int64List" field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_INT64 } }
message_type {
  name: "Feature" oneof_decl { name: "kind" }
  field { name: "bytes_list" number: 1 label: LABEL_OPTIONAL type_name: ".BytesList" oneof_index: 0 }
  field { name: "float_list" number: 2 label: LABEL_OPTIONAL type_name: ".FloatList" oneof_index: 0 }
  field { name: "int64_list" number: 3 label: LABEL_OPTIONAL type_name: ".Int64List" oneof_index: 0 }
}
message_type {
  name: "Entry"
  field { name: "key" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING }
  field { name: "value" number: 2 label: LABEL_OPTIONAL type_name: ".Feature" }
}
message_type { name: "Features" field { name: "feature" number: 1 label: LABEL_REPEATED type_name: ".Entry" } }
message_type { name: "Example" field { name: "features" number: 1 label: LABEL_OPTIONAL type_name: ".Features" } }
"""


@functools.cache
def _example_class() -> Any:
    """The message class of an Example. It is in a separate pool, because TensorFlow may register the same class."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

    pool = descriptor_pool.DescriptorPool()
    pool.Add(text_format.Parse(_PROTO, descriptor_pb2.FileDescriptorProto()))
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("Example"))


def records(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the offset and data of each record. Verifies the checksums. Raises UserError for a damaged file."""
    with path.open("rb") as file:
        offset, number, size = 0, 1, path.stat().st_size
        try:
            if file.peek(2)[:2] == _GZIP:
                raise UserError(f"{path} is compressed: unpack it first (gzip -dc FILE > OTHER.tfrecord)")
            while (data := _record(file, size - offset)) is not None:
                yield offset, data
                offset, number = offset + len(data) + 16, number + 1
        except Fault as fault:
            raise UserError(f"{path}, record {number} {fault}: copy or write the file again") from None
        except OSError as error:
            raise UserError(f"{path}, record {number} cannot be read ({error.strerror}): copy the file again") from None


def record_at(path: str, offset: int) -> bytes:
    """The data of the record at `offset`. Raises UnreadablePicture."""
    try:
        opened = bounded.open_regular(path)
    except ValueError as error:
        raise UnreadablePicture(str(error)) from None
    with opened as file:
        file.seek(offset)
        try:
            data = _record(file, os.path.getsize(path) - offset)
        except Fault as fault:
            raise UnreadablePicture(f"the record {fault}") from None
    if data is None:
        raise UnreadablePicture("the record is gone")
    return data


def _record(file: BinaryIO, left: int) -> bytes | None:
    """Read the next record of a file with `left` more bytes. None at the end. Raises Fault."""
    head = file.read(12)
    if not head:
        return None
    if len(head) < 12:
        raise Fault("is truncated")
    length, checksum = struct.unpack("<QI", head)
    if masked_crc(head[:8]) != checksum:
        raise Fault("has a wrong checksum of its length: the file is damaged, or not a TFRecord file")
    if length + 16 > left:
        raise Fault("is truncated")
    if length > MAX_RECORD_BYTES:
        raise Fault(f"has {length:,} bytes, more than {MAX_RECORD_BYTES:,}")
    data = file.read(length)
    if masked_crc(data) != int.from_bytes(file.read(4), "little"):
        raise Fault("is damaged, its checksum is wrong")
    return data


def write(path: Path, data: Iterable[bytes]) -> None:
    """Write records into a file. Raises UserError for a record that is too large."""
    with path.open("wb") as file:
        for number, record in enumerate(data, start=1):
            if len(record) > MAX_RECORD_BYTES:
                raise UserError(
                    f"{path.name}, record {number} would have {len(record):,} bytes, more than {MAX_RECORD_BYTES:,}: "
                    "leave its picture out, or use another format"
                )
            head = struct.pack("<Q", len(record))
            file.write(head + struct.pack("<I", masked_crc(head)))
            file.write(record)
            file.write(struct.pack("<I", masked_crc(record)))


def masked_crc(data: bytes) -> int:
    import google_crc32c

    crc: int = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def is_records(path: Path) -> bool:
    """Whether `path` is a file of records, a folder with such files, or a pattern such as `data/train-*`."""
    if path.is_file():
        return bool(_NAME.search(path.name)) or _begins_with_a_record(path)
    if not path.is_dir():
        return bool(_listed(path))
    # A folder of records holds little else. Searching a folder of a million pictures would take too long.
    with os.scandir(path) as entries:
        return any(_NAME.search(entry.name) for entry in islice(entries, 1000))


def _begins_with_a_record(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(12)
    except OSError:
        # Another format will report why it cannot be read.
        return False
    return len(head) == 12 and masked_crc(head[:8]) == int.from_bytes(head[8:], "little")


def first_features(path: Path) -> list[str]:
    """The names of the features of the first record, empty if there is none."""
    if is_records(path):
        for shard in _listed(path):
            try:
                for _, data in records(shard):
                    return Example(data).names()
            except (UserError, Fault):
                return []
    return []


def _listed(path: Path) -> list[Path]:
    """The record files of a file, folder or pattern, sorted by name."""
    if path.is_file():
        return [path]
    folder, pattern = (path, None) if path.is_dir() else (path.parent, path.name)
    if not folder.is_dir() or (pattern and "*" not in pattern and "?" not in pattern):
        return []
    with os.scandir(folder) as entries:
        names = sorted(
            entry.name
            for entry in entries
            if (fnmatch(entry.name, pattern) if pattern else _NAME.search(entry.name)) and os.path.isfile(entry.path)
        )
    found = [folder / name for name in names if not name.startswith(".")]
    # A dictionary beside the records may match the pattern, too.
    return [file for file in found if _NAME.search(file.name) or _begins_with_a_record(file)] if pattern else found


def shards(path: Path) -> list[Path]:
    """The record files of a file, folder or pattern.

    Warns if numbered files are missing. Raises UserError for a folder with several sets, such as train and validation.
    """
    found = _listed(path)
    if path.is_dir():
        sets = sorted({re.sub(r"\d+", "*", file.name) for file in found})
        if len(sets) > 1:
            raise UserError(
                f"{path} holds the records of {len(sets)} sets, {' and '.join(sets)}: "
                f"name one of them, as '{path / sets[0]}', or all, as '{path / '*'}'"
            )
    totals = {int(match[1]) for file in found if (match := _NAME.search(file.name)) and match[1]}
    if not path.is_file() and len(totals) == 1 and (missing := totals.pop() - len(found)) > 0:
        logger.warning(f"{path}: {missing} of {missing + len(found)} files of records are missing")
    return found


class RecordSet:
    """The pictures in record files. Picture `train.tfrecord/17` is record 17 (from 1) of `train.tfrecord`."""

    def __init__(self, path: Path, label: Callable[[Example], str], image: str) -> None:
        """`label` returns the label of an example or raises Fault. `image` is the feature with the picture."""
        self._label, self._image = label, image
        self._shards = {shard.name: shard for shard in shards(path)}
        self._offsets: dict[str, array[int]] = {}

    def rows(self) -> Iterator[tuple[str, str]]:
        """Yield names and labels. Raises UserError for the first record that is damaged or lacks a feature."""
        for name, path in self._shards.items():
            offsets = self._offsets[name] = array("Q")
            for offset, data in records(path):
                offsets.append(offset)
                try:
                    found = Example(data)
                    found.bytes(self._image)
                    label = self._label(found)
                except Fault as fault:
                    raise UserError(
                        f"{path}, record {len(offsets)} {fault}: see docs/formats.md for the format"
                    ) from None
                yield f"{name}/{len(offsets)}", label

    def fetch(self, name: str) -> bytes:
        """The picture file with a name from :meth:`rows`. Raises UnreadablePicture."""
        shard, _, number = name.rpartition("/")
        try:
            return Example(record_at(self.container(name), self._offsets[shard][int(number) - 1])).bytes(self._image)
        except Fault as fault:
            raise UnreadablePicture(f"the record {fault}") from None

    def container(self, name: str) -> str:
        return str(self._shards[name.rpartition("/")[0]])


def cannot_hold(label: str) -> str | None:
    """The reason if a label is too long to be read back, None if it is not."""
    return f"has {len(label):,} characters, more than {_MAX_NUMBERS:,}" if len(label) > _MAX_NUMBERS else None


def decoder(characters: Callable[[], dict[int, str]], fault: str) -> Callable[[list[int]], str]:
    """A function that turns character numbers into text, or raises Fault with the message `fault.format(number)`.

    `characters` returns the character of each number. It is called once, for the first text.
    """
    characters = functools.cache(characters)

    def text_of(numbers: list[int]) -> str:
        known = characters()
        try:
            return "".join([known[number] for number in numbers])
        except KeyError as error:
            raise Fault(fault.format(error)) from None

    return text_of


def find_beside(path: Path, *patterns: str) -> Path | None:
    """Find a file that belongs to the records of `path`, in their folder or the one above. Raises UserError."""
    folder = path if path.is_dir() else path.parent
    for place in (folder, folder.absolute().parent):
        for pattern in patterns:
            for file in sorted(place.glob(pattern)):
                if what := bounded.irregular(file):
                    raise UserError(f"{file} is {what}: put a character map or dictionary there")
                if (size := file.stat().st_size) > bounded.MAX_BYTES:
                    raise UserError(f"{file} has {size:,} bytes: is it a character map or dictionary?")
                return file
    return None
