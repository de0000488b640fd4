"""Damage files: bytes, their structure, or special files in their place."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import random
import re
import shutil
import socket
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crnn_reader import onnx_metadata
from dataset import tfrecord_file as tfrecord

Mutator = Callable[[bytes, random.Random, bytes], bytes]

#: Maximum size of a mutant in bytes.
LARGEST = 8_000_000
#: Maximum number of lines added by repetition.
LINES = 4_000

NUMBERS = (0, 1, 2, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63)
#: Replacements for numbers in texts.
TEXT_NUMBERS = (
    "0", "-1", "1e400", "1e-400", "NaN", "-Infinity", "0.1", "007", "99999999999", str(2**63), str(2**64), "9" * 5000,
    "1e5", "0x10", "١٢", "",
)  # fmt: skip
#: Pieces of text that have broken programs before.
TEXTS = (
    "", " ", "\t", "\u00a0", "\u3000", "\ufeff", "\0", "\x1b[2J\x1b]0;title\x07", "\x07", "\x85", "\u2028", "\u202e",
    "\ud800", "e\u0301", "ﷺ", "Å", "𝔘", "👩‍👩‍👧", "..", "../..", "/", "/dev/zero", "/dev/stdin", "/proc/kmsg", ".", "~",
    "https://example.org/a.png", "C:\\a.png", "-", "--json", "a" * 300, "a/" * 3000, "%s%n", "=1+1", "$(id)", '"', "'",
    "\\", "\\u0000", ",", ";", "{", "[", "null", "true", "__proto__", "fifo", "folder", "loop", "zero",
)  # fmt: skip


@dataclass(frozen=True)
class Mutation:
    """A change of a file."""

    path: str
    how: str
    #: Whether a checksum of the file can detect it: bytes were changed and the checksum was not corrected.
    raw: bool = False

    def __str__(self) -> str:
        return f"{self.path}: {self.how}"


# Bytes


def flip(data: bytes, rng: random.Random, other: bytes) -> bytes:
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 8))):
        out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
    return bytes(out)


def overwrite(data: bytes, rng: random.Random, other: bytes) -> bytes:
    start, length = _range(data, rng)
    filler = rng.choice((b"\0", b"\xff", b"A", b"9", None))
    return data[:start] + (filler * length if filler else rng.randbytes(length)) + data[start + length :]


def truncate(data: bytes, rng: random.Random, other: bytes) -> bytes:
    return data[: rng.choice((rng.randrange(len(data)), rng.randrange(min(len(data), 64)), len(data) - 1))]


def insert(data: bytes, rng: random.Random, other: bytes) -> bytes:
    start = rng.randrange(len(data))
    return data[:start] + rng.choice((rng.randbytes(rng.randint(1, 64)), b"\0" * 4096)) + data[start:]


def remove(data: bytes, rng: random.Random, other: bytes) -> bytes:
    start, length = _range(data, rng)
    return data[:start] + data[start + length :]


def repeat(data: bytes, rng: random.Random, other: bytes) -> bytes:
    start, length = _range(data, rng)
    times = min(rng.choice((2, 10, 1000, 40_000)), LARGEST // (length + 1))
    # A list with many more pictures rightly takes more time.
    if lines := data.count(b"\n", start, start + length):
        times = min(times, LINES // lines)
    return data[:start] + data[start : start + length] * times + data[start + length :]


def splice(data: bytes, rng: random.Random, other: bytes) -> bytes:
    if not other:
        return data
    return data[: rng.randrange(len(data))] + other[rng.randrange(len(other)) :]


def number(data: bytes, rng: random.Random, other: bytes) -> bytes:
    """Replace an integer in the header, at the start of a page, or anywhere."""
    size = rng.choice((1, 2, 4, 8))
    if len(data) < size:
        return flip(data, rng, other)
    page = 4096 * rng.randrange(1 + len(data) // 4096)
    start = rng.choice((rng.randrange(64), page + rng.randrange(64), rng.randrange(len(data)), len(data) - 64))
    start = min(max(0, start), len(data) - size)
    order = rng.choice(("<", ">"))
    kind = order + {1: "B", 2: "H", 4: "I", 8: "Q"}[size]
    (old,) = struct.unpack_from(kind, data, start)
    new = rng.choice((*NUMBERS, old + 1, old - 1, 2 * old, old // 2, old ^ 0x80, -old)) % (1 << 8 * size)
    return data[:start] + struct.pack(kind, new) + data[start + size :]


def digits(data: bytes, rng: random.Random, other: bytes) -> bytes:
    """Replace a number that is written in digits."""
    found = list(re.finditer(rb"-?\d+(?:\.\d+)?", data[:200_000]))
    if not found:
        return number(data, rng, other)
    match = rng.choice(found)
    return data[: match.start()] + rng.choice(TEXT_NUMBERS).encode() + data[match.end() :]


def nothing(data: bytes, rng: random.Random, other: bytes) -> bytes:
    return rng.choice((b"", b"\0" * 4096, b"\n", rng.randbytes(100)))


def replaced(data: bytes, rng: random.Random, other: bytes) -> bytes:
    """Replace the file by another intact one, which no checksum detects."""
    return rng.choice((data + data, data + b"\0", other))


def _range(data: bytes, rng: random.Random) -> tuple[int, int]:
    return rng.randrange(len(data)), rng.choice((1, 2, 4, 16, 256, 4096, max(1, len(data) // 4)))


BYTES: tuple[Mutator, ...] = (
    flip, flip, overwrite, truncate, insert, remove, repeat, splice, number, number, number, digits, nothing, replaced
)  # fmt: skip


# Texts


def text(data: bytes, rng: random.Random, other: bytes) -> bytes:
    """Change lines, cells, the encoding or the line ends of a text."""
    lines = data.decode("utf-8", "replace").splitlines(keepends=True) or [""]
    at = rng.randrange(len(lines))
    line = lines[at]
    parts = re.split(r"([\t,;: \"]+)", line)
    what = rng.randrange(12)
    if what == 0:
        lines.pop(at)
    elif what == 1:
        lines.insert(at, line)
    elif what == 2:
        rng.shuffle(lines)
    elif what <= 5:
        parts[rng.randrange(len(parts))] = rng.choice(TEXTS)
        lines[at] = "".join(parts)
    elif what == 6:
        place = rng.randrange(len(line) + 1)
        lines[at] = line[:place] + rng.choice(TEXTS) + line[place:]
    elif what == 7:
        old, new = rng.choice((("\t", ","), (",", ";"), (",", "\t"), ("\n", "\r"), ("\n", ""), (".", "")))
        lines[at] = line.replace(old, new)
    elif what == 8:
        lines[at] = rng.choice((line.upper(), line.strip() * 20_000 + "\n", line.replace('"', "", 1), '"' + line))
    elif what == 9:
        lines.insert(0, rng.choice(("sep=;\n", "\ufeff", "#\n", "file\tlabel\n", "a,b,c\n", "\n\n", "<?xml?>\n")))
    else:
        joined = "".join(lines)
        return joined.encode(rng.choice(("utf-16", "utf-16-le", "utf-8-sig", "latin-1", "cp1252", "utf-32")), "replace")
    return "".join(lines).encode("utf-8", "surrogatepass")


def json_value(data: bytes, rng: random.Random, other: bytes) -> bytes:
    """Change one value or key of a JSON text, or of one of its lines."""
    with contextlib.suppress(ValueError):
        return _changed(json.loads(data), rng).encode("utf-8", "surrogatepass")
    lines = data.splitlines() or [b""]
    at = rng.randrange(len(lines))
    try:
        lines[at] = _changed(json.loads(lines[at]), rng).encode("utf-8", "surrogatepass")
    except (ValueError, RecursionError):
        return text(data, rng, other)
    return b"\n".join(lines) + b"\n"


def _changed(value: Any, rng: random.Random) -> str:
    """`value` as JSON with one value replaced."""
    mark = "@@@mutant@@@"
    holder = [value]
    places: list[tuple[Any, Any]] = [(holder, 0)]
    waiting = [value]
    while waiting:
        each = waiting.pop()
        keys = list(each) if isinstance(each, dict) else range(len(each)) if isinstance(each, list) else ()
        places += [(each, key) for key in keys]
        waiting += [each[key] for key in keys]
    within, key = rng.choice(places)
    old = within[key]
    if isinstance(within, dict) and rng.random() < 0.25:
        del within[key]
        if rng.random() < 0.7:
            within[rng.choice(TEXTS)] = old
        return json.dumps(holder[0], ensure_ascii=rng.random() < 0.5)
    within[key] = mark
    depth = rng.choice((50, 2000, 100_000))
    new = rng.choice(
        (
            "null", "true", "[]", "{}", '""', "NaN", "-Infinity", "1e999", "[" * depth + "]" * depth,
            '{"a":' * depth + "1" + "}" * depth, '"\\ud800"', '"' + "x" * 100_000 + '"', json.dumps([old]),
            json.dumps({"a": old}), json.dumps(str(old)), json.dumps(str(old) * 2), *map(json.dumps, TEXTS),
            *(each for each in TEXT_NUMBERS if each), *map(str, NUMBERS),
        )
    )  # fmt: skip
    return json.dumps(holder[0], ensure_ascii=False).replace(json.dumps(mark), new)


# Containers: their contents are damaged, and their checksums corrected


@functools.cache
def _bomb(size: int) -> bytes:
    """Compressed zeros."""
    return zlib.compress(b"\0" * size, 1)


def png(data: bytes, rng: random.Random, other: bytes) -> bytes:
    chunks, place = list[tuple[bytes, bytes]](), 8
    while place + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, place)
        chunks.append((data[place + 4 : place + 8], data[place + 8 : place + 8 + length]))
        place += 12 + length
    at = rng.randrange(len(chunks))
    kind, content = chunks[at]
    what = rng.randrange(8)
    if what <= 1:
        header = bytearray(chunks[0][1])
        if rng.random() < 0.5:
            struct.pack_into(">I", header, rng.choice((0, 4)), rng.choice(NUMBERS) & 0xFFFFFFFF)
        else:
            header[rng.randrange(8, 13)] = rng.choice((0, 1, 2, 3, 4, 6, 8, 16, 255))
        chunks[0] = chunks[0][0], bytes(header)
    elif what == 2 and content:
        chunks[at] = kind, rng.choice(BYTES)(content, rng, other)[:LARGEST]
    elif what == 3:
        chunks.pop(at)
    elif what == 4:
        chunks[at:at] = [chunks[at]] * rng.choice((1, 10, 5000))
    elif what == 5:
        pixels = _bomb(rng.choice((0, 1, 100, 50_000_000)))
        chunks = [each for each in chunks if each[0] != b"IDAT"]
        chunks.insert(-1, (b"IDAT", pixels))
    elif what == 6:
        new = rng.choice(b"tRNS PLTE gAMA eXIf acTL fcTL fdAT iCCP zTXt CgBI IEND".split())
        filler = rng.choice((b"", b"\0" * 6, rng.randbytes(26), b"a\0\0" + _bomb(60_000_000)))
        chunks.insert(rng.randint(1, len(chunks)), (new, filler))
    else:
        rng.shuffle(chunks)
    return data[:8] + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )


def jpeg(data: bytes, rng: random.Random, other: bytes) -> bytes:
    segments, place = list[bytes](), 2
    while place + 4 <= len(data) and data[place] == 0xFF and data[place + 1] != 0xDA:
        length = 2 + int.from_bytes(data[place + 2 : place + 4])
        segments.append(data[place : place + length])
        place += length
    scans = data[place:]
    at = rng.randrange(len(segments))
    what = rng.randrange(6)
    if what <= 1:
        frame = next((i for i, each in enumerate(segments) if each[1] in (0xC0, 0xC1, 0xC2)), at)
        changed = bytearray(segments[frame])
        changed[rng.randrange(4, min(len(changed), 19))] = rng.choice((0, 1, 2, 3, 4, 8, 12, 127, 255))
        segments[frame] = bytes(changed)
    elif what == 2:
        segments.pop(at)
    elif what == 3:
        segments[at : at + 1] = [segments[at]] * rng.choice((2, 500))
    elif what == 4:
        scans = scans[: scans.rfind(b"\xff\xd9")] * rng.choice((2, 50, 2000)) + b"\xff\xd9"
        scans = scans[:LARGEST]
    else:
        # Cut, with the end of an intact file.
        scans = scans[: rng.randrange(2, len(scans))] + b"\xff\xd9"
    return data[:2] + b"".join(segments) + scans


def tiff(data: bytes, rng: random.Random, other: bytes) -> bytes:
    """Change an entry of the first directory."""
    order = "<" if data[:2] == b"II" else ">"
    (directory,) = struct.unpack_from(f"{order}I", data, 4)
    (entries,) = struct.unpack_from(f"{order}H", data, directory)
    at = directory + 2 + 12 * rng.randrange(entries)
    tag, kind, count, value = struct.unpack_from(f"{order}HHII", data, at)
    what = rng.randrange(4)
    if what == 0:
        tag = rng.choice((254, 256, 257, 258, 259, 262, 273, 274, 277, 278, 279, 284, 317, 320, 322, 338, 339, 347))
    elif what == 1:
        kind = rng.randrange(20)
    elif what == 2:
        count = rng.choice(NUMBERS) & 0xFFFFFFFF
    else:
        value = rng.choice((*NUMBERS, 3, 4, 5, 6, 7, 8, 32773, 50000, directory)) & 0xFFFFFFFF
    return data[:at] + struct.pack(f"{order}HHII", tag, kind, count, value) + data[at + 12 :]


def zipped(data: bytes, rng: random.Random, other: bytes) -> bytes:
    """Change an entry of a zip archive, or its description; `.keras` and `.npz` files are such archives."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = [(info, archive.read(info)) for info in archive.infolist()]
    at = rng.randrange(len(entries))
    # Texts are more interesting than arrays.
    texts = [i for i, (info, _) in enumerate(entries) if info.filename.endswith((".json", ".npy"))]
    if texts and rng.random() < 0.6:
        at = rng.choice(texts)
    info, _ = entries[at]
    what = rng.randrange(10)
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", compresslevel=1) as archive:
        for number_, (each, inner) in enumerate(entries):
            if number_ == at:
                if what <= 4 and len(inner) <= LARGEST:
                    inner = mutated(inner, rng, other)[0]
                elif what == 5:
                    each.filename = rng.choice(TEXTS).encode(errors="replace").decode() or "x"
                elif what == 6:
                    inner = b"\0" * 200_000_000
                    each.compress_type = zipfile.ZIP_DEFLATED
                elif what == 7:
                    each.compress_type = rng.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
                elif what == 8:
                    continue
                else:
                    each.external_attr = rng.choice((0, stat.S_IFLNK | 0o777, stat.S_IFCHR | 0o666)) << 16
            archive.writestr(each, inner, compresslevel=1)
        if rng.random() < 0.2:
            archive.writestr(rng.choice(("../out.txt", "/out.txt", info.filename, "a/../b", "x" * 300, "C:/x")), b"x")
    result = bytearray(written.getvalue())
    if rng.random() < 0.1:
        # In the directory at the end: marked as encrypted, or as compressed by an unknown method.
        directory = result.find(b"PK\x01\x02")
        result[directory + rng.choice((8, 10))] = rng.choice((1, 9, 99))
    return bytes(result)


def tarred(data: bytes, rng: random.Random, other: bytes) -> bytes:
    """Change the header of one member of a tar archive."""
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        members = [(info, file.read() if (file := archive.extractfile(info)) else b"") for info in archive.getmembers()]
    at = rng.randrange(len(members))
    info, content = members[at]
    what = rng.randrange(6)
    if what <= 1:
        info.name = rng.choice(TEXTS).replace("\0", "") or "x"
    elif what == 2:
        info.type = rng.choice((b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"S", b"x", b"L", b"Z"))
        info.linkname = rng.choice(("/etc/passwd", "../..", info.name, members[0][0].name, "x" * 300))
    elif what == 3:
        members.append((info, content + b"x"))
    elif what == 4:
        content = b"\0" * rng.choice((0, 1, 100_000_000))
    else:
        info.mode = rng.choice((0, 0o4777, 0o777))
    members[at] = info, content
    written = io.BytesIO()
    form = rng.choice((tarfile.PAX_FORMAT, tarfile.GNU_FORMAT))
    with tarfile.open(fileobj=written, mode="w:gz", format=form, compresslevel=1) as archive:
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return written.getvalue()


def fields(data: bytes) -> list[tuple[int, int, Any]]:
    """The fields of a protobuf message: number, kind, and value. Raises ValueError for other bytes."""
    found, place = list[tuple[int, int, Any]](), 0

    def varint() -> int:
        nonlocal place
        value = shift = 0
        while True:
            if place >= len(data) or shift > 63:
                raise ValueError
            byte = data[place]
            value, place, shift = value | (byte & 0x7F) << shift, place + 1, shift + 7
            if byte < 0x80:
                return value

    while place < len(data):
        key = varint()
        length = {1: 8, 5: 4}.get(key & 7, 0)
        if key & 7 == 0:
            found.append((key >> 3, 0, varint()))
            continue
        if key & 7 == 2:
            length = varint()
        elif not length:
            raise ValueError
        if not key >> 3 or place + length > len(data):
            raise ValueError
        found.append((key >> 3, key & 7, data[place : place + length]))
        place += length
    return found


def message(entries: Sequence[tuple[int, int, Any]]) -> bytes:
    """Serialise the fields that :func:`fields` returned."""

    def varint(value: int) -> bytes:
        value &= (1 << 64) - 1
        out = bytearray()
        while value > 0x7F:
            out.append(value & 0x7F | 0x80)
            value >>= 7
        return bytes(out + bytes([value]))

    parts = list[bytes]()
    for field, kind, value in entries:
        content = varint(value) if kind == 0 else varint(len(value)) + value if kind == 2 else value
        parts.append(varint(field << 3 | kind) + content)
    return b"".join(parts)


def protobuf(data: bytes, rng: random.Random, other: bytes) -> bytes:
    """Change one field of a message, or of a message in it, and correct the lengths around it."""
    entries = fields(data)
    at = rng.randrange(len(entries))
    field, kind, value = entries[at]
    what = rng.random()
    if kind == 2 and value and what < 0.75:
        try:
            entries[at] = field, kind, protobuf(value, rng, other)
        except (ValueError, IndexError):
            entries[at] = field, kind, (json_value if value[:1] in b"{[" else rng.choice(BYTES))(value, rng, other)
    elif kind == 0 and what < 0.8:
        entries[at] = field, kind, rng.choice((*NUMBERS, value + 1, value - 1, -1))
    elif what < 0.85:
        entries.pop(at)
    elif what < 0.9:
        entries[at:at] = [entries[at]] * rng.choice((1, 20))
    elif what < 0.95:
        entries[at] = rng.choice((field + 1, 1, 2**28)), kind, value
    else:
        entries[at] = field, rng.choice((0, 2)), value if kind == 2 else 1
        if entries[at][1] == 0 and not isinstance(entries[at][2], int):
            entries[at] = field, 0, 5
        elif entries[at][1] == 2 and isinstance(value, int):
            entries[at] = field, 2, b"\x08\x01"
    return message(entries)


def onnx(data: bytes, rng: random.Random, other: bytes) -> bytes:
    """Change a field of a model, its metadata as often as its network, and correct its checksum."""
    entries = fields(data)
    written = next((value for _, kind, value in entries if kind == 2 and _is_checksum(value)), b"")
    places = [i for i, (field, _, _) in enumerate(entries) if field == onnx_metadata.METADATA]
    if places and rng.random() < 0.6:
        at = rng.choice(places)
        entries[at] = *entries[at][:2], protobuf(entries[at][2], rng, other)
        changed = message(entries)
    else:
        changed = protobuf(data, rng, other)
    with contextlib.suppress(ValueError, KeyError):
        if written:
            changed = changed.replace(written[-8:], onnx_metadata.checksum(changed).encode())
    # Without the checksum of the config, as in files of earlier versions.
    return changed.replace(onnx_metadata.CONFIG_CHECKSUM_ENTRY.encode(), b"crnn_kit.json.other")


def _is_checksum(value: bytes) -> bool:
    return onnx_metadata.CHECKSUM_ENTRY.encode() in value[:64]


def records(data: bytes, rng: random.Random, other: bytes) -> bytes:
    """Change one record of a TFRecord file, with right checksums."""
    contents, place = list[bytes](), 0
    while place + 16 <= len(data):
        (length,) = struct.unpack_from("<Q", data, place)
        contents.append(data[place + 12 : place + 12 + length])
        place += 16 + length
    at = rng.randrange(len(contents))
    what = rng.randrange(6)
    if what <= 3:
        contents[at] = protobuf(contents[at], rng, other)
    elif what == 4:
        contents[at : at + 1] = rng.choice(([], [contents[at]] * 2, [b""], [rng.randbytes(20)]))
    out = bytearray()
    for number_, content in enumerate(contents):
        claimed = rng.choice(NUMBERS) if what == 5 and number_ == at else len(content)
        head = struct.pack("<Q", claimed)
        out += head + struct.pack("<I", tfrecord.masked_crc(head)) + content
        out += struct.pack("<I", tfrecord.masked_crc(content))
    return bytes(out)


STRUCTURES: tuple[tuple[Callable[[bytes], Any], Mutator], ...] = (
    (lambda data: data.startswith(b"\x89PNG"), png),
    (lambda data: data.startswith(b"\xff\xd8\xff"), jpeg),
    (lambda data: data[:4] in (b"II*\0", b"MM\0*"), tiff),
    (lambda data: data.startswith(b"PK"), zipped),
    (lambda data: data[257:262] == b"ustar" or data.startswith(b"\x1f\x8b"), tarred),
    (lambda data: data[4:12] == b"\0\0\0\0" + data[8:12] and _begins_with_record(data), records),
    (lambda data: onnx_metadata.CHECKSUM_ENTRY.encode() in data[-4096:], onnx),
    (lambda data: data[:1] in b"{[" and data.rstrip()[-1:] in (b"}", b"]"), json_value),
    (lambda data: b"\0" not in data[:1000] and _is_text(data[:1000]), text),
)


def _begins_with_record(data: bytes) -> bool:
    return len(data) > 16 and tfrecord.masked_crc(data[:8]) == int.from_bytes(data[8:12], "little")


def _is_text(data: bytes) -> bool:
    return sum(byte < 9 or 13 < byte < 32 for byte in data) < 0.02 * len(data)


def mutated(data: bytes, rng: random.Random, other: bytes = b"") -> tuple[bytes, str, bool]:
    """Returns a mutant of the content of a file, how it was made, and whether its checksums are unchanged."""
    structure = next((mutator for fits, mutator in STRUCTURES if data and fits(data)), None)
    names, raw = list[str](), True
    for _ in range(rng.choice((1, 1, 1, 1, 2, 4))):
        if not data:
            break
        mutator = structure if structure and rng.random() < 0.6 else rng.choice(BYTES)
        with contextlib.suppress(Exception):  # earlier damage may have destroyed the structure
            data = mutator(data, rng, other)[:LARGEST]
            names.append(mutator.__name__)
            raw = raw and mutator in BYTES and mutator is not replaced
    return data, " ".join(names), raw


# Folders


def damage(
    folder: Path, rng: random.Random, strays: Sequence[str] = (), within: str = "", others: Sequence[Path] = ()
) -> list[Mutation]:
    """Damage a few of the files below `folder`, replace them by special files, or add files named `strays`.

    With `within`, only files whose path in the folder begins with it. `others` are files that contents are taken from.
    """
    files = sorted(path for path in folder.rglob("*") if path.relative_to(folder).as_posix().startswith(within))
    files = [path for path in files if path.is_file() and not path.is_symlink() and path.stat().st_size <= LARGEST]
    if not files:
        return []
    done = list[Mutation]()
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        path = rng.choice(files)
        name = path.relative_to(folder).as_posix()
        other = rng.choice(list(others) or [file for file in files if file.is_file() and not file.is_symlink()])
        what = rng.random()
        if what < 0.85 or not strays:
            # A special file is not changed again.
            if not path.is_file() or path.is_symlink() or path.stat().st_size > LARGEST or not os.access(path, os.R_OK):
                continue
            if what < 0.1:
                path.unlink()
                done.append(Mutation(name, _special(path, rng)))
                continue
            content, how, raw = mutated(path.read_bytes(), rng, other.read_bytes())
            path.write_bytes(content)
            done.append(Mutation(name, how, raw))
        else:
            stray = path.with_name(rng.choice(strays))
            if os.path.lexists(stray):
                continue
            if rng.random() < 0.5:
                done.append(Mutation(stray.relative_to(folder).as_posix(), _special(stray, rng)))
            else:
                stray.write_bytes(mutated(other.read_bytes(), rng)[0])
                done.append(Mutation(stray.relative_to(folder).as_posix(), "a new file"))
    return done


def _special(path: Path, rng: random.Random) -> str:
    """Make a special or unusual file at `path`; returns its description."""
    what = rng.choice(
        ("a FIFO", "a folder", "a link to itself", "a dangling link", "a link to /dev/zero", "a link to /dev/null",
         "a link to its folder", "a socket", "4 TiB without content", "300 MB of zeros", "a file that may not be read",
         "a link to /proc/self/mem", "gone")
    )  # fmt: skip
    if what == "a FIFO":
        os.mkfifo(path)
    elif what == "a folder":
        path.mkdir()
    elif what == "a socket":
        here = os.getcwd()
        os.chdir(path.parent)  # addresses of sockets are short
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as listening:
            listening.bind(path.name)
        os.chdir(here)
    elif what in ("4 TiB without content", "300 MB of zeros"):
        with path.open("wb") as file:
            # The disk may not support such large files.
            with contextlib.suppress(OSError):
                file.truncate(4 << 40 if what[0] == "4" else 300_000_000)
    elif what == "a file that may not be read":
        path.write_bytes(b"secret")
        path.chmod(0)
    elif what != "gone":
        target = {
            "a link to itself": path.name, "a dangling link": "nowhere", "a link to its folder": "."
        }.get(what, what.rpartition(" ")[2])  # fmt: skip
        path.symlink_to(target)
    return what


def copied(seed: Path, folder: Path) -> None:
    """Copy a seed folder."""
    shutil.copytree(seed, folder, symlinks=True)
