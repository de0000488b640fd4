"""The metadata of an ONNX file, read without loading what else is in it, and without a package for it.

An ONNX file is a protobuf message, ModelProto: fields one after the other, each with a key (number and kind) and a
value. The network, the bulk of the file, is one field, which is skipped.
"""

from __future__ import annotations

import io
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

#: The entry with the checksum of the network: nothing else in a file tells of a bit that has flipped.
CHECKSUM_ENTRY = "crnn_kit.crc32"
#: Fields of ModelProto, and of the entries of its metadata (onnx.proto, StringStringEntryProto).
GRAPH, METADATA, KEY, VALUE = 7, 14, 1, 2
#: Kinds of fields: a number; 8 bytes; a length and so many bytes; 4 bytes.
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


def read(path: Path) -> dict[str, str]:
    """The metadata of a file. Raises ValueError for one that is no ONNX file, or cut short."""
    with path.open("rb") as file:
        fields = dict[int, list[bytes]]()
        for number, value in _fields(file, os.fstat(file.fileno()).st_size, skipped=GRAPH):
            fields.setdefault(number, []).append(value)
    if GRAPH not in fields:
        raise ValueError("it has no network")
    return dict(_entry(value) for value in fields.get(METADATA, []))


def checksum(whole: bytes) -> str:
    """The CRC-32 of the network in the content of a file, eight hexadecimal digits."""
    network = dict(_fields(io.BytesIO(whole), len(whole)))[GRAPH]
    return f"{zlib.crc32(network):08x}"


def check(path: Path) -> None:
    """Raise ValueError for a file whose network is not the one that was written."""
    written = read(path).get(CHECKSUM_ENTRY)
    # Files of earlier kits have none.
    if written not in (None, checksum(path.read_bytes())):
        raise ValueError("its network has changed since it was written")


def _entry(value: bytes) -> tuple[str, str]:
    fields = dict(_fields(io.BytesIO(value), len(value)))
    return fields.get(KEY, b"").decode(), fields.get(VALUE, b"").decode()


def _fields(file: BinaryIO, size: int, skipped: int | None = None) -> Iterator[tuple[int, bytes]]:
    """The number and content of each field, without the content of those that are numbers or `skipped`."""
    while file.tell() < size:
        key = _varint(file)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            _varint(file)
            yield number, b""
            continue
        if kind not in (FIXED64, BYTES, FIXED32) or number == 0:
            raise ValueError("no ONNX file")
        length = {FIXED64: 8, FIXED32: 4}[kind] if kind != BYTES else _varint(file)
        if file.tell() + length > size:
            raise ValueError("it ends too early")
        if number == skipped:
            file.seek(length, os.SEEK_CUR)
            yield number, b""
        else:
            yield number, file.read(length)


def _varint(file: BinaryIO) -> int:
    """A number of 7 bits a byte, the lowest first; the last byte has no eighth bit."""
    found = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            raise ValueError("it ends too early")
        found |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return found
    raise ValueError("no ONNX file")
