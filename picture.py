"""One picture from a file to what the network sees; training and reading share every step of it.

:func:`read` turns a file of any usual kind into a `uint8` array, and :func:`fit` brings that to the size of the
network. OpenCV decodes the plain PNG and JPEG files that corpora are made of, Pillow everything odd.
"""

from __future__ import annotations

import io
import os
import stat
import struct
import warnings
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
#: Says of a label and its picture's width and height why a network cannot write it, None of one that it can.
TooLong = Callable[[str, int, int], str | None]

#: Suffixes by which pictures are found in a folder; what a file holds is decided by its content alone. The last ones
#: are of formats that are not read: whoever has such pictures is told so.
PICTURE_SUFFIXES = frozenset(
    ".png .jpg .jpeg .jpe .jfif .bmp .dib .webp .gif .tif .tiff .ppm .pgm .pbm .pnm "
    ".heic .heif .avif .jp2 .j2k .jxl .svg".split()
)
#: What the bytes of those begin with, from a place on.
_NOT_READ = (
    (4, b"ftypavi", "AVIF"),
    (4, b"ftyphe", "HEIC"),
    (4, b"ftypmif1", "HEIC"),
    (4, b"ftypmsf1", "HEIC"),
    (4, b"ftyp", "an MP4 video"),
    (8, b"AVI ", "an AVI video"),
    (4, b"jP  ", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (4, b"JXL ", "JPEG XL"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"\0\0\1\0", "ICO"),
    (0, b"%PDF", "PDF"),
    (0, b"<svg", "SVG"),
    (0, b"<?xml", "SVG"),
)

#: A file that claims more is not decoded: its pixels alone would fill the memory.
MOST_PIXELS = 100_000_000

#: Pictures for networks of any width have a multiple of so many columns, the pixels that become one column of
#: their output, and at least and at most so many.
WIDTH_STEP, LEAST_WIDTH, MOST_WIDTH = 4, 16, 16_000

#: Up to so many pixels wide they come in full batches, wider ones fewer at a time: memory is bounded by that.
FULL_BATCH_WIDTH = 512

_FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "GIF", "TIFF", "PPM")

# Pictures are small and read by several threads of ours; OpenCV's own threads would only get in each other's way.
cv2.setNumThreads(1)
# What is wrong with a file is said once, by us.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
warnings.filterwarnings("ignore", module=r"PIL\.")


class UnreadablePicture(Exception):
    """Why a file cannot be read as a picture, in a few words: `zero bytes`, `truncated`, `not a picture`."""


class Stored(str):
    """The path of a picture that is no file but lies in one with many others, such as `train.tfrecord/17`.

    It goes wherever paths go. :func:`load` opens it by calling `fetch`, which gives the picture's bytes or raises
    UnreadablePicture; it has changed when the file `container` has.
    """

    __slots__ = ("container", "fetch")

    container: str
    fetch: Callable[[], bytes]

    def __new__(cls, path: str, container: str, fetch: Callable[[], bytes]) -> Self:
        stored = super().__new__(cls, path)
        stored.container, stored.fetch = container, fetch
        return stored

    def __deepcopy__(self, _: object) -> Self:
        # A text like others: reports copy what they list, but never the open records that `fetch` reads from.
        return self


def read(source: Path | str | bytes, channels: int) -> Image:
    """Decode a picture: a path, or the bytes of a file.

    Returns `uint8 (height, width, channels)`; channels 1 is grey (ITU-R 601), 3 is red, green, blue. Alpha and
    transparent palette colours are laid on white, 16 bits are scaled to 8, EXIF rotation is applied, CMYK is
    converted, and of an animation the first frame is taken.

    Raises UnreadablePicture for anything that cannot be shown whole.
    """
    data = source if isinstance(source, bytes) else load(source)
    if not data:
        raise UnreadablePicture("zero bytes")
    image = None
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        if _png_is_plain(data):
            image = _decode_plain(data, cv2.IMREAD_UNCHANGED)
    elif data.startswith(b"\xff\xd8\xff") and _jpeg_is_plain(data):
        # The luminance that a JPEG stores is the grey picture; decoding colour first would take twice as long.
        image = _decode_plain(data, cv2.IMREAD_GRAYSCALE if channels == 1 else cv2.IMREAD_COLOR)
    # What OpenCV refuses, Pillow may still read; if not, it says why.
    return convert(_decode_odd(data) if image is None else _rgb(image), channels)


def load(path: Path | str) -> bytes:
    """The bytes of a file, or of a picture in one. Raises UnreadablePicture where there is none to be had."""
    try:
        if isinstance(path, Stored):
            return path.fetch()
        # A pipe that nobody writes to would be waited for, for ever.
        with open(path, "rb", opener=_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise UnreadablePicture("a pipe or device, no file")
            return file.read()
    except FileNotFoundError:
        raise UnreadablePicture("no such file") from None
    except OSError as error:
        raise UnreadablePicture((error.strerror or str(error)).lower()) from None
    except ValueError:  # a NUL in the name
        raise UnreadablePicture("no such file") from None


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def fit(image: Image, width: int | None, height: int, how: Literal["stretch", "pad"] = "stretch") -> Image:
    """Bring a picture to a size: `uint8 (h, w, channels)` -> `uint8 (height, width, channels)`.

    With `width` None only the height is given and the aspect is kept, but for the nearest multiple of WIDTH_STEP.
    Raises UnreadablePicture for one that would be wider than MOST_WIDTH.

    `stretch` scales both sides as needed. `pad` keeps the aspect and fills the rest with the colour of the
    picture's border: above and below alike, and on the right only, so that the text of every picture starts at
    the same column, whatever its length.
    """
    if width is None:
        width = width_at(height, image.shape[1], image.shape[0])
        if width > MOST_WIDTH:
            raise UnreadablePicture(f"{width:,} pixels wide at a height of {height}, more than {MOST_WIDTH:,}: cut it")
        return _resize(image, width, height)
    if how == "stretch":
        return _resize(image, width, height)
    scale = _scale(image.shape[1], image.shape[0], width, height)
    inner_width = shown_width(image.shape[1], image.shape[0], width, height, how)
    inner_height = min(height, max(1, round(image.shape[0] * scale)))
    border = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    fitted = np.empty((height, width, image.shape[2]), np.uint8)
    fitted[:] = np.median(border, axis=0).astype(np.uint8)
    top = (height - inner_height) // 2
    fitted[top : top + inner_height, :inner_width] = _resize(image, inner_width, inner_height)
    return fitted


def shown_width(own_width: int, own_height: int, width: int | None, height: int, how: Literal["stretch", "pad"]) -> int:
    """How many columns, from the left, a picture of such a size takes where :func:`fit` brings it to the other size."""
    if width is None:
        return width_at(height, own_width, own_height)
    if how == "stretch":
        return width
    return min(width, max(1, round(own_width * _scale(own_width, own_height, width, height))))


def _scale(own_width: int, own_height: int, width: int, height: int) -> float:
    return min(width / own_width, height / own_height)


def width_at(height: int, width: int, own_height: int) -> int:
    """How wide :func:`fit` makes a picture of `width` and `own_height` pixels whose height alone is given."""
    return max(LEAST_WIDTH, WIDTH_STEP * round(width * height / own_height / WIDTH_STEP))


def padded_width(widest: int) -> int:
    """The width of a batch whose widest picture is so wide, see :func:`side_by_side`."""
    step = max(32, 1 << (widest.bit_length() - 4))
    return -(-widest // step) * step


def side_by_side(images: Sequence[Image] | Image) -> tuple[Image, npt.NDArray[np.int32]]:
    """Pictures of one height as a batch of one width, and the width of each.

    `uint8 (height, width, channels)` each -> `uint8 (n, height, padded width, channels)`, filled up with zeros on the
    right, and `int32 (n,)`. There are few padded widths, at most an eighth or 31 pixels beyond the widest picture,
    since a network is compiled anew for each.
    """
    widths = np.array([image.shape[1] for image in images], np.int32)
    height, _, channels = images[0].shape
    batch = np.zeros((len(images), height, padded_width(int(widths.max())), channels), np.uint8)
    for row, image in zip(batch, images, strict=True):
        row[:, : image.shape[1]] = image
    return batch, widths


def _resize(image: Image, width: int, height: int) -> Image:
    # Shrinking needs the mean over an area, growing an interpolation; a picture may need one for each side.
    small = (min(width, image.shape[1]), min(height, image.shape[0]))
    if small != (image.shape[1], image.shape[0]):
        image = _channels_last(cv2.resize(image, small, interpolation=cv2.INTER_AREA))
    if small != (width, height):
        image = _channels_last(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR))
    return image


def _channels_last(image: Any) -> Image:
    # OpenCV drops the axis of a single channel.
    array: Image = image
    return array[..., None] if array.ndim == 2 else array


def _png_is_plain(data: bytes) -> bool:
    """Walk the chunks of a PNG. True when OpenCV shows it right. Raises UnreadablePicture."""
    if data[8:16] != b"\0\0\0\rIHDR" or len(data) < 33:
        raise UnreadablePicture("truncated" if len(data) < 33 else "damaged")
    width, height, _depth, colour = struct.unpack_from(">IIBB", data, 16)
    _check_size(width, height)
    plain, place, end = True, 8, len(data)
    while place + 12 <= end:
        (length,) = struct.unpack_from(">I", data, place)
        kind = data[place + 4 : place + 8]
        after = place + 12 + length
        if after > end:
            raise UnreadablePicture("truncated")
        # Critical chunks have a capital first letter; broken comments do not spoil a picture.
        if kind[:1].isupper():
            (stored,) = struct.unpack_from(">I", data, after - 4)
            if zlib.crc32(data[place + 4 : after - 4]) != stored:
                raise UnreadablePicture("damaged: a checksum does not match")
        if kind == b"eXIf" or (kind == b"tRNS" and colour != 3):
            plain = False
        elif kind == b"IEND":
            return plain
        place = after
    raise UnreadablePicture("truncated")


def _jpeg_is_plain(data: bytes) -> bool:
    """Walk the segments of a JPEG. True when OpenCV shows it right. Raises UnreadablePicture."""
    place, plain = 2, False
    while place + 4 <= len(data):
        if data[place] != 0xFF:
            return False
        marker = data[place + 1]
        if marker == 0xFF:  # fill byte
            place += 1
            continue
        (length,) = struct.unpack_from(">H", data, place + 2)
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            if place + 10 > len(data):
                raise UnreadablePicture("truncated")
            depth, height, width, components = struct.unpack_from(">BHHB", data, place + 4)
            _check_size(width, height)
            plain = depth == 8 and components in (1, 3)
        elif marker == 0xDA:
            # OpenCV fills what is missing with grey; a file that was cut lacks its end mark.
            if data.rfind(b"\xff\xd9", place) < 0:
                raise UnreadablePicture("truncated")
            return plain
        place += 2 + length
    raise UnreadablePicture("truncated")


def _check_size(width: int, height: int) -> None:
    if width * height > MOST_PIXELS:
        raise UnreadablePicture(f"claims {width}x{height} pixels, more than {MOST_PIXELS // 1_000_000} million")
    if width < 1 or height < 1:
        raise UnreadablePicture(f"claims {width}x{height} pixels")


def _decode_plain(data: bytes, flag: int) -> npt.NDArray[Any] | None:
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    except cv2.error:
        return None


def _decode_odd(data: bytes) -> Image:
    try:
        from PIL import Image as pillow
        from PIL import ImageOps, UnidentifiedImageError
    except ImportError:
        raise UnreadablePicture("no plain PNG or JPEG, and Pillow, which reads others, is not installed") from None

    try:
        with pillow.open(io.BytesIO(data), formats=_FORMATS) as opened:
            _check_size(*opened.size)
            opened.load()
            image = ImageOps.exif_transpose(opened)
        if image.mode == "F":
            # Nothing says what is white.
            raise UnreadablePicture("its samples are fractions: save it with 8 or 16 bits")
        if image.mode.startswith("I"):
            return _rgb(np.asarray(image).clip(0, 65535).astype(np.uint16))
        if image.has_transparency_data:
            return _on_white(np.asarray(image.convert("RGBA")))
        return np.asarray(image.convert("RGB"))
    except (UnreadablePicture, MemoryError):
        raise
    except UnidentifiedImageError:
        name = next((name for place, start, name in _NOT_READ if data.startswith(start, place)), None)
        raise UnreadablePicture(f"{name} is not read: convert it to PNG or JPEG" if name else "not a picture") from None
    except pillow.DecompressionBombError:
        raise UnreadablePicture(f"claims more than {MOST_PIXELS // 1_000_000} million pixels") from None
    except Exception as error:  # broken bytes make decoders raise whatever they like
        raise UnreadablePicture("truncated" if "truncated" in str(error).lower() else "damaged") from None


def _rgb(image: npt.NDArray[Any]) -> Image:
    """OpenCV's `uint8` or `uint16`, grey, BGR or BGRA -> `uint8`, grey or RGB."""
    if image.dtype == np.uint16:
        image = _eight_bits(image)
    if image.ndim == 2:
        return image
    if image.shape[2] == 4:
        return _on_white(cv2.cvtColor(image, cv2.COLOR_BGRA2RGBA))
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def _eight_bits(image: npt.NDArray[np.uint16]) -> Image:
    return np.asarray(cv2.convertScaleAbs(image, alpha=1 / 257), np.uint8).reshape(image.shape)


def _on_white(image: Image) -> Image:
    """`uint8 (h, w, 4)`, straight alpha -> `uint8 (h, w, 3)`."""
    alpha = image[..., 3:].astype(np.uint16)
    return ((image[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def checked(image: npt.NDArray[Any]) -> Image:
    """An array that somebody gives as a picture, as `uint8 (height, width)` or `(height, width, 1 or 3)`.

    It may be `uint16`, and have a fourth channel, opacity, which is laid on white. Raises UnreadablePicture for others.
    """
    shaped = image.ndim == 2 or (image.ndim == 3 and image.shape[2] in (1, 3, 4))
    if not shaped or not image.size or image.dtype not in (np.uint8, np.uint16):
        raise UnreadablePicture(
            f"an array of {image.dtype} {image.shape} is no picture: give uint8 (height, width), or (height, width, "
            "channels) with 1, 3 or 4 of them"
        )
    if image.dtype == np.uint16:
        image = _eight_bits(image)
    return _on_white(image) if image.ndim == 3 and image.shape[2] == 4 else image


def convert(image: npt.NDArray[np.uint8], channels: int) -> Image:
    """`uint8 (height, width)` or `(height, width, 1 or 3)`, RGB, as (height, width, channels)."""
    if image.ndim == 2 or image.shape[2] == 1:
        return np.repeat(image.reshape(*image.shape[:2], 1), channels, axis=2)
    if channels == 1:
        return _channels_last(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
    return image
