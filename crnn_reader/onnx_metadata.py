"""The fields of an ONNX file, read without a package for it; and its metadata, without loading what else is in it.

An ONNX file is a protobuf message, ModelProto: fields one after the other, each with a key (number and kind) and a
value. The network, the bulk of the file, is one field, which reading the metadata skips. What is in it is the business
of crnn_reader.onnx_graph.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from . import bounded

#: The entry with the checksum of the network: nothing else in a file tells of a bit that has flipped.
CHECKSUM_ENTRY = "crnn_kit.crc32"
#: The entry with the checksum of the config: a bit that flips in its alphabet would change every text.
CONFIG_CHECKSUM_ENTRY = "crnn_kit.json.crc32"
#: Fields of ModelProto, and of the entries of its metadata (onnx.proto, StringStringEntryProto).
GRAPH, METADATA, KEY, VALUE = 7, 14, 1, 2
#: Kinds of fields: a number; 8 bytes; a length and so many bytes; 4 bytes.
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
#: Bytes of a file, bytes of a field beside the network, and number of those fields. The largest network of this kit
#: has some 200 MB, its fields are a dozen, and the longest one is the config.
LARGEST, LARGEST_FIELD, MOST_FIELDS = 1 << 30, 2 << 20, 1_000


def read(path: Path) -> dict[str, str]:
    """The metadata of a file.

    Raises ValueError for a file that is not an ONNX file, is cut short, or has more in it than an export writes.
    """
    with bounded.open_regular(path) as file:
        return _entries(list(_top_fields(file, os.fstat(file.fileno()).st_size)))


def whole(path: Path) -> bytes:
    """The content of a file. Raises ValueError where it is larger than any that this kit writes."""
    with bounded.open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        _check_size(size)
        return file.read(size)


def graph(content: bytes) -> memoryview:
    """The network in the content of a file, a GraphProto. Raises ValueError where there is none, or several."""
    view = memoryview(content)
    found = [value for number, kind, value in fields(view) if number == GRAPH and kind == BYTES]
    if len(found) != 1 or not isinstance(found[0], memoryview):
        raise ValueError("it has no network, or several")
    return found[0]


def checksum(content: bytes) -> str:
    """The CRC-32 of the network in the content of a file, eight hexadecimal digits."""
    return f"{zlib.crc32(graph(content)):08x}"


def config_checksum(config: str) -> str:
    """The CRC-32 of a config's JSON in UTF-8, eight hexadecimal digits."""
    return f"{zlib.crc32(config.encode()):08x}"


def fields(message: memoryview, most: int = MOST_FIELDS) -> Iterator[tuple[int, int, int | memoryview]]:
    """Number, kind and value of each field of a message: an int of a VARINT, else its bytes.

    Raises ValueError for more than `most` fields, and for what is no message.
    """
    place, size = 0, len(message)
    for _ in range(most):
        if place == size:
            return
        key, place = varint(message, place)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, place = varint(message, place)
            yield number, kind, value
            continue
        length = {FIXED64: 8, FIXED32: 4}.get(kind)
        if kind == BYTES:
            length, place = varint(message, place)
        if length is None or number == 0:
            raise ValueError("not an ONNX file")
        if place + length > size:
            raise ValueError("it ends too early")
        yield number, kind, message[place : place + length]
        place += length
    if place < size:
        raise ValueError("it has more fields than any export of this kit")


def varint(message: memoryview, place: int) -> tuple[int, int]:
    """A number of 7 bits a byte, the lowest first, the last byte without an eighth bit; and the place behind it."""
    # Most numbers have one byte.
    if place < len(message) and message[place] < 0x80:
        return message[place], place + 1
    found = 0
    for shift in range(0, 70, 7):
        if place >= len(message):
            raise ValueError("it ends too early")
        byte = message[place]
        place += 1
        found |= (byte & 0x7F) << shift
        if byte < 0x80:
            return found, place
    raise ValueError("not an ONNX file")


def _check_size(size: int) -> None:
    if size > LARGEST:
        raise ValueError(f"it has {size:,} bytes, and no network of this kit has more than {LARGEST:,}")


def _top_fields(file: BinaryIO, size: int) -> Iterator[tuple[int, bytes]]:
    """The number and content of each field of a file, without the content of those that are numbers, or the network."""
    _check_size(size)
    for _ in range(MOST_FIELDS):
        if file.tell() >= size:
            return
        number, kind, length = _key(file)
        if file.tell() + length > size:
            raise ValueError("it ends too early")
        if number == GRAPH or kind == VARINT:
            file.seek(length, os.SEEK_CUR)
            yield number, b""
        elif length > LARGEST_FIELD:
            raise ValueError(f"beside its network it has a field of {length:,} bytes")
        else:
            yield number, file.read(length)
    raise ValueError("it has more fields than any export of this kit")


def _key(file: BinaryIO) -> tuple[int, int, int]:
    """Number and kind of the field that begins here, and the length of its content, before which the file stands."""
    start = file.tell()
    # A key and a length have ten bytes each at the most.
    ahead = memoryview(file.read(20))
    key, place = varint(ahead, 0)
    number, kind = key >> 3, key & 7
    if kind not in (VARINT, FIXED64, BYTES, FIXED32) or number == 0:
        raise ValueError("not an ONNX file")
    length = {FIXED64: 8, FIXED32: 4}.get(kind, 0)
    if kind == BYTES:
        length, place = varint(ahead, place)
    elif kind == VARINT:
        _, place = varint(ahead, place)
    file.seek(start + place)
    return number, kind, length


def _entries(found: list[tuple[int, bytes]]) -> dict[str, str]:
    if sum(number == GRAPH for number, _ in found) != 1:
        raise ValueError("it has no network, or several")
    entries = dict[str, str]()
    for number, value in found:
        if number != METADATA:
            continue
        key, text = _entry(memoryview(value))
        if key in entries:
            raise ValueError("an entry of its metadata is there twice")
        entries[key] = text
    return entries


def _entry(message: memoryview) -> tuple[str, str]:
    texts = {KEY: "", VALUE: ""}
    for number, kind, value in fields(message):
        if kind == BYTES and number in texts and isinstance(value, memoryview):
            texts[number] = str(value, "utf-8")
    return texts[KEY], texts[VALUE]
