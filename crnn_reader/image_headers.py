"""Parse the headers of picture files before decoding: format, size, number of frames, and whether the file is complete.

Decoders allocate as much memory as a file claims to need, and some fill missing parts without an error. The parsers in
this module do not decode pixels. Their time is linear in the size of the file, whatever it claims.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from typing import Literal, NamedTuple

from .errors import UnreadablePicture

#: Suffixes of the pictures in a folder. Only the content decides the format. The last line has formats that cannot be
#: read, so that their files are reported rather than ignored.
PICTURE_SUFFIXES = frozenset(
    ".png .jpg .jpeg .jpe .jfif .bmp .dib .webp .gif .tif .tiff .ppm .pgm .pbm .pnm "
    ".heic .heif .avif .jp2 .j2k .jxl .svg".split()
)
#: Maximum width and height of a picture in pixels. OpenCV has a similar limit.
MAX_PICTURE_SIDE = 1_000_000
#: Maximum number of scans of a progressive JPEG. Each scan takes a pass over all pixels, and the developers of
#: libjpeg-turbo know of no use for more ("Two Issues with the JPEG Standard", 2015).
MAX_SCANS = 100
#: A progressive JPEG with more than SCANNED_PIXELS in all scans together may have at most USUAL_SCANS scans, as many as
#: common programs write.
SCANNED_PIXELS, USUAL_SCANS = 500_000_000, 20
#: Maximum size of a Netpbm file with samples as decimal text, in bytes. Pillow takes a second for two million samples.
MAX_DECIMAL_BYTES = 8 << 20
#: Maximum number of chunks, segments or pages to parse, and of tags of a TIFF page.
MAX_PARTS, MAX_TAGS = 100_000, 4_096


class Header(NamedTuple):
    """The header of a picture file."""

    kind: str  #: Pillow's name of the format
    #: Maximum over all frames, in pixels. 0 if only the decoder can determine it.
    width: int = 0
    height: int = 0
    frames: int = 1
    opencv_safe: bool = False  #: whether OpenCV decodes the file correctly
    memory: int = 16  #: maximum memory for decoding, in bytes per pixel
    #: PNG: a file with only the chunks of the first frame. None for other formats.
    first_frame: bytes | None = None
    #: TIFF: for each 16-bit page in which 0 means white, by its index, the offset of the value of the tag that says so,
    #: and the bytes of the value with which 0 means black.
    white_is_zero: dict[int, tuple[int, bytes]] = {}  # noqa: RUF012 (never changed)


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Raise UnreadablePicture for no pixels, more than `max_pixels`, or a side of more than MAX_PICTURE_SIDE pixels."""
    if width * height > max_pixels:
        most = f"{max_pixels / 1e6:g} million" if max_pixels >= 10_000 else f"{max_pixels:,}"
        raise UnreadablePicture(
            f"claims {width}x{height} pixels, more than {most}: make it smaller, or allow more with max_pixels"
        )
    if width < 1 or height < 1:
        raise UnreadablePicture(f"claims {width}x{height} pixels")
    if max(width, height) > MAX_PICTURE_SIDE:
        raise UnreadablePicture(f"claims {width}x{height} pixels, more than {MAX_PICTURE_SIDE:,} on a side: cut it")


def begins_a_picture(start: bytes) -> bool:
    """Whether a file with these first bytes may be a picture in a supported format."""
    return start.startswith((b"\x89PNG", b"\xff\xd8", b"GIF8", b"RIFF", b"II", b"MM", b"BM")) or bool(
        re.match(rb"P[1-6fF][\s#]", start)
    )


def header(data: bytes) -> Header | None:
    """Parse the header of a file from its content. Returns None for an unknown format.

    Raises UnreadablePicture for a file that is truncated or damaged, or that would take too long to decode.
    """
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
        # The height is negative if the rows are stored from top to bottom.
        return Header("BMP", sizes[0], abs(sizes[1]))
    if netpbm := _NETPBM.match(data):
        if data[1:2] in (b"1", b"2", b"3") and len(data) > MAX_DECIMAL_BYTES:
            raise UnreadablePicture("a Netpbm picture of many numbers in plain text: convert it to PNG")
        return Header("PPM", int(netpbm[1]), int(netpbm[2]))
    return None


#: Netpbm: width and height follow the magic number, separated by white space and comments.
_NETPBM = re.compile(rb"P[1-6fF](?:\s+(?:#[^\n]*\n\s*)*|#[^\n]*\n\s*)+(\d{1,9})\s+(?:#[^\n]*\n\s*)*(\d{1,9})\s")
#: TIFF: byte order, and whether offsets have 8 bytes (BigTIFF).
_TIFF = {b"II*\0": ("<", False), b"MM\0*": (">", False), b"II+\0": ("<", True), b"MM\0+": (">", True)}
# Some programs swap the bytes of the magic number, and Pillow reads their files.
_TIFF |= {b"II\0*": ("<", False), b"MM*\0": (">", False)}
#: BMP: valid sizes of the DIB header.
_BMP = {struct.pack("<I", size) for size in (12, 16, 40, 52, 56, 64, 108, 124)}

#: PNG: ancillary chunks of the first frame. It also has all critical chunks, whose names have a capital first letter.
#: The other chunks are comments, further frames and colour profiles. Profiles may decompress to gigabytes, and libpng
#: prints warnings about them.
_FIRST_FRAME_CHUNKS = (b"tRNS", b"eXIf")
_SAMPLES = {0: 1, 2: 3, 3: 4, 4: 2, 6: 4}


def _png(data: bytes) -> Header:
    if data[8:16] != b"\0\0\0\rIHDR" or len(data) < 33:
        raise UnreadablePicture("truncated" if len(data) < 33 else "damaged")
    width, height, depth, colour = struct.unpack_from(">IIBB", data, 16)
    kept, begin = list[bytes](), 0
    opencv_safe, frames, default_image_is_frame, started = True, 0, False, False
    offset, end = 8, len(data)
    for _ in range(MAX_PARTS):
        if offset + 12 > end:
            raise UnreadablePicture("truncated")
        (length,) = struct.unpack_from(">I", data, offset)
        kind = data[offset + 4 : offset + 8]
        after = offset + 12 + length
        if after > end:
            raise UnreadablePicture("truncated")
        # Only check the checksums of critical chunks: a damaged comment does not affect the pixels.
        if critical := kind[:1].isupper():
            (stored,) = struct.unpack_from(">I", data, after - 4)
            if zlib.crc32(data[offset + 4 : after - 4]) != stored:
                raise UnreadablePicture("damaged: a checksum does not match")
        if kind == b"eXIf" or (kind == b"tRNS" and colour != 3):
            opencv_safe = False
        elif kind == b"fcTL":
            frames, default_image_is_frame = frames + 1, default_image_is_frame or not started
        started = started or kind == b"IDAT"
        if not critical and kind not in _FIRST_FRAME_CHUNKS:
            kept.append(data[begin:offset])
            begin = after
        if kind == b"IEND":
            memory = 3 * _SAMPLES.get(colour, 4) * (2 if depth == 16 else 1)
            # An animation may have a separate default image for programs that cannot show it. Count it as a frame.
            frames += bool(frames) and not default_image_is_frame
            first = data if begin == 0 else b"".join([*kept, data[begin:after]])
            return Header("PNG", width, height, max(1, frames), opencv_safe, max(6, memory), first)
        offset = after
    raise UnreadablePicture(f"damaged: more than {MAX_PARTS:,} chunks")


def _jpeg(data: bytes) -> Header:
    offset, size = 2, len(data)
    width = height = 0
    opencv_safe, memory = False, 16
    for _ in range(MAX_PARTS):
        if offset + 4 > size:
            raise UnreadablePicture("truncated")
        if data[offset] != 0xFF:
            # The file violates the standard here, but Pillow may be able to read it.
            return Header("JPEG", width, height)
        marker = data[offset + 1]
        if marker == 0xFF:  # fill byte
            offset += 1
            continue
        (length,) = struct.unpack_from(">H", data, offset + 2)
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            if offset + 10 > size:
                raise UnreadablePicture("truncated")
            depth, height, width, components = struct.unpack_from(">BHHB", data, offset + 4)
            if height < 1 or width < 1:
                raise UnreadablePicture(f"claims {width}x{height} pixels")
            # Decoding a progressive JPEG keeps all coefficients in memory between scans.
            memory = 6 if marker in (0xC0, 0xC1) else 12
            opencv_safe = depth == 8 and components in (1, 3)
        elif marker == 0xDA:
            # A truncated file has no end marker.
            if data.rfind(b"\xff\xd9", offset) < 0:
                raise UnreadablePicture("truncated")
            # Other data, even a video, may follow the picture, so the simple counts may be too high. They only decide
            # whether to count exactly, which is slower.
            most = max(USUAL_SCANS, min(MAX_SCANS, SCANNED_PIXELS // max(1, width * height)))
            # Counting one byte is much faster than counting two.
            if (
                data.count(b"\xda", offset) > most
                and data.count(b"\xff\xda", offset) > most
                and _scans(data, offset, most) > most
            ):
                raise UnreadablePicture(f"a JPEG of more than {most} scans, which take too long: save it again")
            return Header("JPEG", width, height, 1, opencv_safe, memory)
        offset += 2 + length
    raise UnreadablePicture(f"damaged: more than {MAX_PARTS:,} segments")


#: JPEG: a marker in the data of a scan, except stuffed zeros, restart markers and fill bytes.
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")


def _scans(data: bytes, offset: int, most: int) -> int:
    """Count the scans of a JPEG, beginning at the first scan's offset. Stops at `most` + 1."""
    scans = 0
    for _ in range(MAX_PARTS):
        marker = _MARKER.search(data, offset)
        if marker is None or marker[0] == b"\xff\xd9" or marker.end() + 2 > len(data):
            return scans
        scans += marker[0] == b"\xff\xda"
        if scans > most:
            return scans
        offset = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2])
    raise UnreadablePicture(f"damaged: more than {MAX_PARTS:,} segments")


def _gif(data: bytes) -> Header:
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    offset, end, frames = 13 + _colours(flags), len(data), 0
    while offset + 10 < end and frames < MAX_PARTS:
        block = data[offset]
        if block == 0x2C:
            frames += 1
            offset += 11 + _colours(data[offset + 9])
        elif block == 0x21:
            offset += 2
        else:
            break
        while offset < end and (length := data[offset]):
            offset += 1 + length
        offset += 1
    return Header("GIF", width, height, max(1, frames))


def _colours(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _webp(data: bytes) -> Header:
    kind, start = data[12:16], data[20:30]
    # Pillow uses the animation decoder for all files, which holds two canvases in addition to the frame and its copy.
    memory, frames = 20, 1
    if len(start) < 10:
        raise UnreadablePicture("truncated")
    if kind == b"VP8X":
        width, height = (1 + int.from_bytes(start[offset : offset + 3], "little") for offset in (4, 7))
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
    offset = 12
    for _ in range(MAX_PARTS):
        if offset + 8 > len(data):
            return
        yield data[offset : offset + 4]
        length = int.from_bytes(data[offset + 4 : offset + 8], "little")
        offset += 8 + length + length % 2


def _tiff(data: bytes) -> Header:
    """Parse the pages of a TIFF.

    Tags may claim any amount of data, and several may point to the same bytes, so a page is refused if its tags claim
    more bytes than the file has.
    """
    order, big = _TIFF[data[:4]]
    offset_kind, count_kind, entry_kind = (
        (f"{order}Q", f"{order}Q", f"{order}HHQ8s") if big else (f"{order}I", f"{order}H", f"{order}HHI4s")
    )
    entry = struct.calcsize(entry_kind)
    byte_order: Literal["little", "big"] = "little" if order == "<" else "big"
    pages, sides = dict[int, None](), {_TIFF_WIDTH: 0, _TIFF_HEIGHT: 0}
    white_is_zero = dict[int, tuple[int, bytes]]()
    try:
        (offset,) = struct.unpack_from(offset_kind, data, 8 if big else 4)
        while offset and offset not in pages and len(pages) < MAX_PARTS:
            (count,) = struct.unpack_from(count_kind, data, offset)
            start = offset + struct.calcsize(count_kind)
            if count > MAX_TAGS:
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
            pages[offset] = None
            (offset,) = struct.unpack_from(offset_kind, data, start + count * entry)
    except struct.error:
        if not pages:
            raise UnreadablePicture("truncated") from None
    except UnreadablePicture:
        # Ignore an invalid page after a valid one: some programs write other data after the last page.
        if not pages:
            raise
    if not pages:
        raise UnreadablePicture("damaged: it has no page")
    return Header("TIFF", sides[_TIFF_WIDTH], sides[_TIFF_HEIGHT], len(pages), white_is_zero=white_is_zero)


_TIFF_TAGS = _TIFF_WIDTH, _TIFF_HEIGHT, _TIFF_BITS, _TIFF_PHOTOMETRIC = 256, 257, 258, 262
#: Size of a value in bytes, by TIFF field type.
_TAG_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
