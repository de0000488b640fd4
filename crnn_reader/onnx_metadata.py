"""Read the metadata of an ONNX file without the `onnx` package, before onnxruntime loads the network.

An ONNX file is a protobuf message, ModelProto: a sequence of fields, each with a key (field number and wire type) and a
value. The network is one field, which holds most of the file. crnn_reader.onnx_graph checks it.

onnxruntime returns the metadata only of a network that it has loaded, which takes hundreds of times as long and is not
safe before the check.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from pathlib import Path

from . import bounded

#: Metadata key of the checksum of the network. Without it, a flipped bit in the weights would go unnoticed.
CHECKSUM_ENTRY = "crnn_kit.crc32"
#: Metadata key of the checksum of the configuration. A flipped bit in its alphabet would change texts.
CONFIG_CHECKSUM_ENTRY = "crnn_kit.json.crc32"
#: Field numbers of ModelProto (graph, metadata_props) and StringStringEntryProto (key, value), see onnx.proto.
GRAPH, METADATA, KEY, VALUE = 7, 14, 1, 2
#: Wire types of protobuf: an integer of variable length; 8 bytes; a length and that many bytes; 4 bytes.
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
#: Maximum size of a file and of a field other than the network, in bytes, and maximum number of fields. The largest
#: network of this kit has 200 MB, its file has a dozen fields, and the longest of them is the configuration.
MAX_FILE_BYTES, MAX_FIELD_BYTES, MAX_FIELDS = 1 << 30, 2 << 20, 1_000


def read_content(path: Path) -> bytes:
    """Read a file. Raises ValueError if it is larger than MAX_FILE_BYTES bytes."""
    with bounded.open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > MAX_FILE_BYTES:
            raise ValueError(f"it has {size:,} bytes, and no network of this kit has more than {MAX_FILE_BYTES:,}")
        return file.read(size)


def metadata(content: bytes) -> dict[str, str]:
    """The metadata in the content of a file.

    Raises ValueError if it is not an ONNX file, is truncated, or exceeds the limits of this module.
    """
    graph(content)
    entries = dict[str, str]()
    for number, kind, value in fields(memoryview(content)):
        if number == GRAPH or kind == VARINT or not isinstance(value, memoryview):
            continue
        if len(value) > MAX_FIELD_BYTES:
            raise ValueError(f"beside its network it has a field of {len(value):,} bytes")
        if number == METADATA:
            key, text = _entry(value)
            if key in entries:
                raise ValueError("an entry of its metadata is there twice")
            entries[key] = text
    return entries


def graph(content: bytes) -> memoryview:
    """The network in the content of a file, as the bytes of a GraphProto. Raises ValueError unless there is one."""
    view = memoryview(content)
    found = [value for number, kind, value in fields(view) if number == GRAPH and kind == BYTES]
    if len(found) != 1 or not isinstance(found[0], memoryview):
        raise ValueError("it has no network, or several")
    return found[0]


def checksum(content: bytes) -> str:
    """The CRC-32 of the network in the content of a file, as eight hexadecimal digits."""
    return f"{zlib.crc32(graph(content)):08x}"


def config_checksum(config: str) -> str:
    """The CRC-32 of a configuration's JSON text in UTF-8, as eight hexadecimal digits."""
    return f"{zlib.crc32(config.encode()):08x}"


def fields(message: memoryview, max_fields: int = MAX_FIELDS) -> Iterator[tuple[int, int, int | memoryview]]:
    """Yield field number, wire type and value of each field of a message. The value of a VARINT is an int.

    Raises ValueError if there are more than `max_fields` fields, or if the bytes are not a protobuf message.
    """
    place, size = 0, len(message)
    for _ in range(max_fields):
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
    """Decode the integer of variable length at `place`. Returns it and the place after it.

    Each byte has 7 bits, the lowest first; the high bit is set in all bytes but the last. Raises ValueError if the
    message ends within it, or if it has more than 10 bytes.
    """
    # Fast path: most integers have one byte.
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


def _entry(message: memoryview) -> tuple[str, str]:
    texts = {KEY: "", VALUE: ""}
    for number, kind, value in fields(message):
        if kind == BYTES and number in texts and isinstance(value, memoryview):
            texts[number] = str(value, "utf-8")
    return texts[KEY], texts[VALUE]
