"""Decode pictures to `uint8` arrays. Training and reading share every step, also those of fit.py.

OpenCV decodes common PNG and JPEG files, and Pillow decodes all other formats and variants.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from .errors import UnreadablePicture, UserError
from .image_headers import PICTURE_SUFFIXES, Header, check_size, header
from .limits import MAX_PIXELS, parse_frame
from .native_messages import messages_of
from .pixels import Image, array_to_image, check_array, convert
from .sources import NO_MEMORY, bounded_bytes, describe_error, describe_text, read_bytes, read_file

#: Takes a label and the width and height of its picture. Returns an error that says why a network cannot write the
#: label, or None if it can.
TooLong = Callable[[str, int, int], UserError | None]

#: Formats that cannot be read: offset and bytes of their signatures, and their names.
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

#: Memory budget for decoding in all threads together, in bytes. Pictures that need at most SMALL bytes do not count.
DECODING_MEMORY, SMALL = 512 << 20, 8 << 20
#: Maximum number of pixels, over all earlier frames, to decode before a frame.
FRAME_PIXELS = 500_000_000

#: The EXIF tag for orientation, and the TIFF tag for PhotometricInterpretation, which is 0 if 0 means white.
_ORIENTATION, _PHOTOMETRIC = 0x0112, 262

# Pictures are small and several of our threads decode them, so OpenCV's own threads would only compete with these.
cv2.setNumThreads(1)
# Errors in files are reported by this module, once.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
warnings.filterwarnings("ignore", module=r"PIL\.")


class ImageOptions(NamedTuple):
    """Options for decoding pictures."""

    max_pixels: int = MAX_PIXELS  #: maximum number of pixels of a picture
    frame: str = "first"  #: frame or page to read: `first`, `last`, or a number from 1
    bgr: bool = False  #: whether the channels of arrays are in the order BGR

    @classmethod
    def of(cls, max_pixels: int, frame: str | int) -> ImageOptions:
        """Options from user input. Raises UserError for invalid values."""
        if isinstance(max_pixels, bool) or not isinstance(max_pixels, (int, np.integer)) or max_pixels < 1:
            raise UserError(f"max_pixels is {max_pixels!r}: give a number of pixels from 1, such as {MAX_PIXELS:_}")
        try:
            return cls(int(max_pixels), parse_frame(str(frame)))
        except ValueError as error:
            raise UserError(f"frame is {frame!r}: {error}") from None


DEFAULT_OPTIONS = ImageOptions()


class DecodedImage(NamedTuple):
    """A picture, uint8 (height, width, channels), and the number of frames or pages of its file."""

    image: Image
    frames: int = 1


def read_image(source: Path | str | bytes, channels: int, options: ImageOptions = DEFAULT_OPTIONS) -> Image:
    """Decode a picture to uint8 (height, width, channels). See :func:`decode_image`."""
    return decode_image(source, channels, options).image


def decode_image(source: Any, channels: int, options: ImageOptions = DEFAULT_OPTIONS) -> DecodedImage:
    """Decode a picture.

    16-bit samples are scaled to 8 bits, EXIF rotation is applied, and CMYK is converted. Transparent pictures are
    composited on white, or on black if most of their ink is light. An alpha channel that is 0 everywhere is ignored.

    Arguments:
        source: a path (str or os.PathLike), the bytes of a file, an open binary file, a Pillow image, or an array.
            Arrays are uint8 or uint16 of shape (height, width), or (height, width, channels) with 1, 3 or 4 channels,
            in the order RGB or, with `options.bgr`, BGR.
        channels: 1 for grey (luminance of ITU-R BT.601), 3 for RGB.
        options: limits and the frame to read.

    Returns the picture, uint8 (height, width, channels), and the number of frames.

    Raises UnreadablePicture if the source cannot be decoded completely, or exceeds the limits of `options`.
    """
    try:
        if isinstance(source, (str, os.PathLike)):
            # str() would drop the attributes of a StoredImage.
            path = source if isinstance(source, str) else os.fsdecode(source)
            return _decode_file(read_bytes(path, options.max_pixels), channels, options)
        if isinstance(source, (bytes, bytearray, memoryview)):
            return _decode_file(bounded_bytes(bytes(source), options.max_pixels), channels, options)
        if isinstance(source, np.ndarray):
            return DecodedImage(array_to_image(check_array(source, options.max_pixels), channels, options.bgr))
        # If the source is a Pillow image, Pillow has been imported already.
        pillow = sys.modules.get("PIL.Image")
        if pillow is not None and isinstance(source, pillow.Image):
            return _decode_pillow(source, channels, options)
        if hasattr(source, "read"):
            return _decode_file(read_file(source, options.max_pixels), channels, options)
    except MemoryError:
        raise UnreadablePicture(NO_MEMORY) from None
    raise UnreadablePicture(
        f"a {type(source).__name__} is not a picture: give a path, the bytes of a file, an open file or an array of "
        "uint8"
    )


class MemoryBudget:
    """A memory budget shared by all threads. A thread that needs more than is free waits for the others."""

    def __init__(self, whole: int) -> None:
        self._whole = whole
        self._reset()
        if hasattr(os, "register_at_fork"):
            # Threads that were decoding during a fork do not exist in the child.
            os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        self._taken, self._freed = 0, threading.Condition()

    @contextlib.contextmanager
    def taken(self, needed: int) -> Iterator[None]:
        # A picture that exceeds the budget is decoded while no other is.
        needed = min(needed, self._whole)
        with self._freed:
            while self._taken + needed > self._whole:
                self._freed.wait()
            self._taken += needed
        try:
            yield
        finally:
            with self._freed:
                self._taken -= needed
                self._freed.notify_all()


decoding_memory = MemoryBudget(DECODING_MEMORY)


def _decode_file(data: bytes, channels: int, options: ImageOptions) -> DecodedImage:
    if not data:
        raise UnreadablePicture("zero bytes")
    found = header(data)
    if found is None:
        name = next((name for place, start, name in _NOT_READ if data.startswith(start, place)), None)
        known = f"{name} is not read: convert it to PNG or JPEG" if name else describe_text(data[:64].decode("latin-1"))
        if not known and os.path.splitext(data)[1].decode("latin-1").lower() in PICTURE_SUFFIXES:
            known = "a path as bytes: give os.fsdecode(path)"
        raise UnreadablePicture(known or "not a picture")
    if found.width:
        check_size(found.width, found.height, options.max_pixels)
    # Small pictures never wait.
    if (needed := (found.width * found.height or options.max_pixels) * found.memory) > SMALL:
        with decoding_memory.taken(needed):
            return _decode(data, found, channels, options)
    return _decode(data, found, channels, options)


def _decode(data: bytes, found: Header, channels: int, options: ImageOptions) -> DecodedImage:
    frame = _frame(options.frame, found.frames)
    if frame == 0 and found.kind in ("PNG", "JPEG"):
        if found.kind == "PNG":
            data, flag = found.first_frame or data, cv2.IMREAD_UNCHANGED
        else:
            # A JPEG stores luminance separately. Decoding colour and converting it to grey would take twice as long.
            flag = cv2.IMREAD_GRAYSCALE if channels == 1 else cv2.IMREAD_COLOR
        image, messages = messages_of(lambda: _by_opencv(data, flag))
        _refuse_filled(messages)
        if found.opencv_safe and image is not None:
            return DecodedImage(array_to_image(image, channels, bgr=True), found.frames)
        if found.kind == "PNG" and image is None:
            # Pillow would return the part before the damage, and black below it.
            raise UnreadablePicture("damaged")
    decoded_image, messages = messages_of(lambda: _by_pillow(data, found, frame, channels, options))
    _refuse_filled(messages)
    return DecodedImage(decoded_image, found.frames)


#: Messages that decoders print if they fill a part of the picture, and the reason for the user.
_FILLED = (
    (r"premature end|Not enough|not enough|Read error", "truncated: it ends before all of its pixels have come"),
    (r"bad Huffman|bad arithmetic|found marker|incorrect data|bad adaptive|Decoding error|not defined", "damaged"),
)


def _refuse_filled(messages: str) -> None:
    """Raise UnreadablePicture if the messages of a decoder mean that it filled a part of the picture."""
    for pattern, reason in _FILLED if messages else ():
        if re.search(pattern, messages):
            raise UnreadablePicture(reason)


def _frame(wanted: str, frames: int) -> int:
    """The index of the frame given by `first`, `last` or a number from 1. Raises UnreadablePicture if there is none."""
    if wanted == "first" or frames == 1:
        return 0
    place = frames if wanted == "last" else int(wanted)
    if place > frames:
        raise UnreadablePicture(f"it has {frames:,} frames, and number {place:,} was asked for")
    return place - 1


def _by_opencv(data: bytes, flag: int) -> npt.NDArray[Any] | None:
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    except cv2.error:
        return None


def _by_pillow(data: bytes, found: Header, frame: int, channels: int, options: ImageOptions) -> Image:
    try:
        from PIL import Image as pillow
        from PIL import UnidentifiedImageError
    except ImportError:
        raise UnreadablePicture(
            f"{found.kind} is read by Pillow, which is not installed: install pillow, or convert it to PNG or JPEG"
        ) from None

    inverted = found.white_is_zero.get(frame)
    if inverted:
        # Pillow does not invert 16-bit samples, and refuses such files in one of the two byte orders. Change the tag so
        # that 0 means black; _of_pillow inverts the samples.
        place, black_is_zero = inverted
        data = data[:place] + black_is_zero + data[place + len(black_is_zero) :]
    try:
        with pillow.open(io.BytesIO(data), formats=(found.kind,)) as opened:
            if frame:
                if found.kind != "TIFF" and frame * opened.width * opened.height > FRAME_PIXELS:
                    raise UnreadablePicture(f"frame {frame + 1:,} comes after too many others")
                opened.seek(frame)
            check_size(*opened.size, options.max_pixels)
            opened.load()
            return _of_pillow(opened, channels, inverted is not None)
    except (UnreadablePicture, MemoryError):
        raise
    except (UnidentifiedImageError, EOFError):
        raise UnreadablePicture("damaged") from None
    except pillow.DecompressionBombError:
        raise UnreadablePicture("claims more pixels than Pillow decodes: make it smaller") from None
    except Exception as error:  # decoders may raise anything for damaged files
        raise UnreadablePicture("truncated" if "truncated" in str(error).lower() else "damaged") from None


def _decode_pillow(image: Any, channels: int, options: ImageOptions) -> DecodedImage:
    """Convert the current frame of a Pillow image, without changing the image."""
    width, height = image.size
    check_size(width, height, options.max_pixels)

    def decoded() -> Image:
        try:
            # If 0 means white in a TIFF, Pillow inverts 8-bit samples but not 16-bit samples.
            inverted = image.mode.startswith("I;16") and getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == 0
            image.load()
            # Image.convert("I") keeps values of 8 bits.
            eight = image.mode == "I" and image.getextrema()[1] <= 255
            return _of_pillow(image.convert("L") if eight else image, channels, inverted)
        except (UnreadablePicture, MemoryError):
            raise
        except Exception as error:  # its file is closed or damaged
            raise UnreadablePicture(
                f"an image that Pillow cannot load ({describe_error(error)}): open it again, or convert it to RGB"
            ) from None

    with decoding_memory.taken(width * height * Header("").memory):
        decoded_image, messages = messages_of(decoded)
    _refuse_filled(messages)
    return DecodedImage(decoded_image)


def _of_pillow(image: Any, channels: int, inverted: bool) -> Image:
    """Convert a loaded Pillow image and apply its EXIF rotation. With `inverted`, 0 means white in 16-bit samples."""
    if image.getexif().get(_ORIENTATION, 1) != 1:
        from PIL import ImageOps

        image = ImageOps.exif_transpose(image)
    if image.mode == "F":
        # The value of white is unknown.
        raise UnreadablePicture("it has floating-point samples: save it with 8 or 16 bits")

    mode = "RGBA" if image.has_transparency_data else "L" if image.mode in ("1", "L") else "RGB"

    def rows(top: int, bottom: int) -> npt.NDArray[Any]:
        part = image if (top, bottom) == (0, image.height) else image.crop((0, top, image.width, bottom))
        if image.mode.startswith("I"):
            samples = np.asarray(part).clip(0, 65535).astype(np.uint16)
            return 65535 - samples if inverted else samples
        return np.asarray(part if image.mode == mode else part.convert(mode))

    return convert(rows, image.width, image.height, channels, bgr=False)
