"""What a picture file says of itself before it is decoded: kind, size, frames, and whether it is whole.

Decoders allocate whatever a file claims, and some fill what is missing without an error. The walks below read no pixels
and take time in proportion to the file, whatever it claims.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from typing import Literal, NamedTuple

from .errors import UnreadablePicture

#: Pixels on one side that a picture may have; OpenCV's own bound is near.
MOST_SIDE = 1_000_000
#: Scans that a progressive JPEG may have. libjpeg-turbo's developers know of no use for more ("Two Issues with the JPEG
#: Standard", 2015), and each costs a pass over all pixels.
MOST_SCANS = 100
#: Pixels of all scans together, above which a progressive JPEG may only have as many scans as programs usually make.
SCANNED_PIXELS, USUAL_SCANS = 500_000_000, 20
#: Bytes of a Netpbm picture whose samples are decimal numbers. Pillow takes a second for two million of them.
MOST_PLAIN_TEXT = 8 << 20
#: Chunks, segments or pages that are looked at, and tags of a TIFF page.
MOST_PARTS, MOST_TAGS = 100_000, 4_096


class Header(NamedTuple):
    """What a file claims. `width` and `height` are the largest of all frames, 0 where only the decoder can tell."""

    kind: str  #: Pillow's name of the format
    width: int = 0
    height: int = 0
    frames: int = 1
    plain: bool = False  #: OpenCV shows it right
    memory: int = 16  #: bytes per pixel that decoding takes at most
    #: What of a PNG file its first frame is made of; None of other kinds: the whole file.
    first_frame: bytes | None = None
    #: Of a TIFF's pages with 16 bits whose 0 is white: the place of the tag that says so, and the value for black.
    white_is_zero: dict[int, tuple[int, bytes]] = {}  # noqa: RUF012 (never changed)


def begins_a_picture(start: bytes) -> bool:
    """Whether a file with these first bytes may be a picture of a kind that is read."""
    return start.startswith((b"\x89PNG", b"\xff\xd8", b"GIF8", b"RIFF", b"II", b"MM", b"BM")) or bool(
        re.match(rb"P[1-6fF][\s#]", start)
    )


def header(data: bytes) -> Header | None:
    """The header of a file's content, None of what is no picture of a known kind. Raises UnreadablePicture."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return _png(data)
    if data.startswith(b"\xff\xd8"):
        return _jpeg(data)
    if data.startswith((b"GIF87a", b"GIF89a")) and len(data) >= 13:
        return _gif(data)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _webp(data)
    if data[:4] in _TIFF:
        return _tiff(data)
    if data.startswith(b"BM") and data[14:18] in _BMP and len(data) >= 26:
        sizes = struct.unpack_from("<HH" if data[14] == 12 else "<ii", data, 18)
        # Of one that is stored from its first row on, the height is negative.
        return Header("BMP", sizes[0], abs(sizes[1]))
    if netpbm := _NETPBM.match(data):
        if data[1:2] in (b"1", b"2", b"3") and len(data) > MOST_PLAIN_TEXT:
            raise UnreadablePicture("a Netpbm picture of many numbers in plain text: convert it to PNG")
        return Header("PPM", int(netpbm[1]), int(netpbm[2]))
    return None


#: Width and height follow the kind, with white space and comments between.
_NETPBM = re.compile(rb"P[1-6fF](?:\s+(?:#[^\n]*\n\s*)*|#[^\n]*\n\s*)+(\d{1,9})\s+(?:#[^\n]*\n\s*)*(\d{1,9})\s")
#: The byte order of a TIFF, and whether its places have 8 bytes.
_TIFF = {b"II*\0": ("<", False), b"MM\0*": (">", False), b"II+\0": ("<", True), b"MM\0+": (">", True)}
# Some programs exchange the bytes of the number, and Pillow reads what they write.
_TIFF |= {b"II\0*": ("<", False), b"MM*\0": (">", False)}
#: The sizes that the second header of a BMP may have.
_BMP = {struct.pack("<I", size) for size in (12, 16, 40, 52, 56, 64, 108, 124)}

#: Chunks of a PNG that its first frame is made of, beside the critical ones, whose names have a capital first letter.
#: All others are comments, further frames and colour profiles, which may unpack to gigabytes and about which libpng
#: complains.
_OF_FIRST_FRAME = (b"tRNS", b"eXIf")
_SAMPLES = {0: 1, 2: 3, 3: 4, 4: 2, 6: 4}


def _png(data: bytes) -> Header:
    if data[8:16] != b"\0\0\0\rIHDR" or len(data) < 33:
        raise UnreadablePicture("truncated" if len(data) < 33 else "damaged")
    width, height, depth, colour = struct.unpack_from(">IIBB", data, 16)
    kept, begin = list[bytes](), 0
    plain, frames, own_frame, started = True, 0, False, False
    place, end = 8, len(data)
    for _ in range(MOST_PARTS):
        if place + 12 > end:
            raise UnreadablePicture("truncated")
        (length,) = struct.unpack_from(">I", data, place)
        kind = data[place + 4 : place + 8]
        after = place + 12 + length
        if after > end:
            raise UnreadablePicture("truncated")
        # Broken comments do not spoil a picture.
        if critical := kind[:1].isupper():
            (stored,) = struct.unpack_from(">I", data, after - 4)
            if zlib.crc32(data[place + 4 : after - 4]) != stored:
                raise UnreadablePicture("damaged: a checksum does not match")
        if kind == b"eXIf" or (kind == b"tRNS" and colour != 3):
            plain = False
        elif kind == b"fcTL":
            frames, own_frame = frames + 1, own_frame or not started
        started = started or kind == b"IDAT"
        if not critical and kind not in _OF_FIRST_FRAME:
            kept.append(data[begin:place])
            begin = after
        if kind == b"IEND":
            memory = 3 * _SAMPLES.get(colour, 4) * (2 if depth == 16 else 1)
            # A picture before the animation, for programs that show none, is a frame of its own.
            frames += bool(frames) and not own_frame
            first = data if begin == 0 else b"".join([*kept, data[begin:after]])
            return Header("PNG", width, height, max(1, frames), plain, max(6, memory), first)
        place = after
    raise UnreadablePicture(f"damaged: more than {MOST_PARTS:,} chunks")


def _jpeg(data: bytes) -> Header:
    place, size = 2, len(data)
    width = height = 0
    plain, memory = False, 16
    for _ in range(MOST_PARTS):
        if place + 4 > size:
            raise UnreadablePicture("truncated")
        if data[place] != 0xFF:
            # Pillow reads some files that violate the standard.
            return Header("JPEG", width, height)
        marker = data[place + 1]
        if marker == 0xFF:  # fill byte
            place += 1
            continue
        (length,) = struct.unpack_from(">H", data, place + 2)
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            if place + 10 > size:
                raise UnreadablePicture("truncated")
            depth, height, width, components = struct.unpack_from(">BHHB", data, place + 4)
            if height < 1 or width < 1:
                raise UnreadablePicture(f"claims {width}x{height} pixels")
            # Between the scans of a progressive one, all coefficients are held.
            memory = 6 if marker in (0xC0, 0xC1) else 12
            plain = depth == 8 and components in (1, 3)
        elif marker == 0xDA:
            # A file that was cut lacks its end mark.
            if data.rfind(b"\xff\xd9", place) < 0:
                raise UnreadablePicture("truncated")
            # What follows the end may hold anything, a film even; only where there is much of it a closer look pays.
            most = max(USUAL_SCANS, min(MOST_SCANS, SCANNED_PIXELS // max(1, width * height)))
            # One byte is counted much faster than two.
            if (
                data.count(b"\xda", place) > most
                and data.count(b"\xff\xda", place) > most
                and _scans(data, place, most) > most
            ):
                raise UnreadablePicture(f"a JPEG of more than {most} scans, which take too long: save it again")
            return Header("JPEG", width, height, 1, plain, memory)
        place += 2 + length
    raise UnreadablePicture(f"damaged: more than {MOST_PARTS:,} segments")


#: In the data of a scan: a marker that is no stuffed zero, restart or fill byte.
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")


def _scans(data: bytes, place: int, most: int) -> int:
    """The scans of a JPEG from the first one's place on, no more than one beyond the limit."""
    scans = 0
    for _ in range(MOST_PARTS):
        marker = _MARKER.search(data, place)
        if marker is None or marker[0] == b"\xff\xd9" or marker.end() + 2 > len(data):
            return scans
        scans += marker[0] == b"\xff\xda"
        if scans > most:
            return scans
        place = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2])
    raise UnreadablePicture(f"damaged: more than {MOST_PARTS:,} segments")


def _gif(data: bytes) -> Header:
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    place, end, frames = 13 + _colours(flags), len(data), 0
    while place + 10 < end and frames < MOST_PARTS:
        block = data[place]
        if block == 0x2C:
            frames += 1
            place += 11 + _colours(data[place + 9])
        elif block == 0x21:
            place += 2
        else:
            break
        while place < end and (length := data[place]):
            place += 1 + length
        place += 1
    return Header("GIF", width, height, max(1, frames))


def _colours(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _webp(data: bytes) -> Header:
    kind, start = data[12:16], data[20:30]
    # The animation decoder, which Pillow uses for all, holds two canvases beside the frame and its copy.
    memory, frames = 20, 1
    if len(start) < 10:
        raise UnreadablePicture("truncated")
    if kind == b"VP8X":
        width, height = (1 + int.from_bytes(start[place : place + 3], "little") for place in (4, 7))
        if start[0] & 2:
            frames = max(1, sum(kind == b"ANMF" for kind in _riff(data)))
    elif kind == b"VP8L":
        bits = int.from_bytes(start[1:5], "little")
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    elif kind == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", start, 6))
    else:
        raise UnreadablePicture("damaged")
    return Header("WEBP", width, height, frames, memory=memory)


def _riff(data: bytes) -> Iterator[bytes]:
    place = 12
    for _ in range(MOST_PARTS):
        if place + 8 > len(data):
            return
        yield data[place : place + 4]
        length = int.from_bytes(data[place + 4 : place + 8], "little")
        place += 8 + length + length % 2


def _tiff(data: bytes) -> Header:
    """Walk the pages of a TIFF, whose tags may point anywhere, and all at the same megabytes."""
    order, big = _TIFF[data[:4]]
    place_kind, count_kind, entry_kind = (
        (f"{order}Q", f"{order}Q", f"{order}HHQ8s") if big else (f"{order}I", f"{order}H", f"{order}HHI4s")
    )
    entry = struct.calcsize(entry_kind)
    byte_order: Literal["little", "big"] = "little" if order == "<" else "big"
    pages, sides = dict[int, None](), {_TIFF_WIDTH: 0, _TIFF_HEIGHT: 0}
    white_is_zero = dict[int, tuple[int, bytes]]()
    try:
        (place,) = struct.unpack_from(place_kind, data, 8 if big else 4)
        while place and place not in pages and len(pages) < MOST_PARTS:
            (count,) = struct.unpack_from(count_kind, data, place)
            start = place + struct.calcsize(count_kind)
            if count > MOST_TAGS:
                raise UnreadablePicture(f"damaged: a page with {count:,} tags")
            stored, bits, white = 0, 0, None
            entries = struct.iter_unpack(entry_kind, data[start : start + count * entry])
            for index, (tag, kind, values, value) in enumerate(entries, 1):
                stored += values * _TAG_SIZES.get(kind, 1)
                if tag not in _TIFF_TAGS:
                    continue
                size = min(_TAG_SIZES.get(kind, 4), len(value))
                number = int.from_bytes(value[:size], byte_order)
                if tag in sides:
                    sides[tag] = max(sides[tag], number)
                elif tag == _TIFF_BITS and values == 1:
                    bits = number
                elif tag == _TIFF_PHOTOMETRIC and number == 0:
                    white = start + index * entry - len(value), (1).to_bytes(size, byte_order)
            if stored > len(data):
                raise UnreadablePicture("damaged: its tags claim more bytes than the file has")
            if bits == 16 and white:
                white_is_zero[len(pages)] = white
            pages[place] = None
            (place,) = struct.unpack_from(place_kind, data, start + count * entry)
    except struct.error:
        if not pages:
            raise UnreadablePicture("truncated") from None
    except UnreadablePicture:
        # Some programs leave anything behind the last page.
        if not pages:
            raise
    if not pages:
        raise UnreadablePicture("damaged: it has no page")
    return Header("TIFF", sides[_TIFF_WIDTH], sides[_TIFF_HEIGHT], len(pages), white_is_zero=white_is_zero)


_TIFF_TAGS = _TIFF_WIDTH, _TIFF_HEIGHT, _TIFF_BITS, _TIFF_PHOTOMETRIC = 256, 257, 258, 262
#: Bytes of a value by the type of a TIFF's tag.
_TAG_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
