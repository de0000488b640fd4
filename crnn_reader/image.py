"""Decode and resize pictures. Training and reading share every step.

:func:`read_image` decodes a file to a `uint8` array, and :func:`fit_image` resizes it to the input of the network.
OpenCV decodes common PNG and JPEG files, and Pillow decodes all other formats and variants.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import stat
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import cv2
import numpy as np
import numpy.typing as npt

from .errors import UnreadablePicture, UserError
from .image_headers import MOST_SIDE, Header, begins_a_picture, header
from .native_messages import messages_of
from .parsing import MAX_PIXELS, parse_frame

Image = npt.NDArray[np.uint8]
#: Takes a label and the width and height of its picture. Returns the reason why a network cannot write the label, or
#: None if it can.
TooLong = Callable[[str, int, int], str | None]

#: Suffixes of the pictures in a folder. Only the content decides the format. The last line has formats that cannot be
#: read, so that their files are reported rather than ignored.
PICTURE_SUFFIXES = frozenset(
    ".png .jpg .jpeg .jpe .jfif .bmp .dib .webp .gif .tif .tiff .ppm .pgm .pbm .pnm "
    ".heic .heif .avif .jp2 .j2k .jxl .svg".split()
)
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
#: Maximum size of a file: FILE_BYTES per allowed pixel, as in uncompressed 16-bit RGB, but at least LEAST_FILE bytes.
#: The first START bytes are checked before the rest is read.
FILE_BYTES, LEAST_FILE, START = 6, 16 << 20, 1 << 16
#: Bytes to read at a time, and maximum number of characters quoted from the message of an exception of other code.
READ, MAX_QUOTED = 1 << 20, 200
#: Maximum number of pixels, over all earlier frames, to decode before a frame.
FRAME_PIXELS = 500_000_000
#: Pixels to convert at a time.
BAND = 1 << 20

#: Reason for a missing file.
MISSING = "no such file"
#: Reason for a picture that does not fit into memory.
NO_MEMORY = "it takes more memory than is free: make it smaller"

#: Number of unusual pictures that a remark names.
NAMED = 3

#: Ink with a luminance above this has more than twice as much contrast on black as on white.
LIGHT = 170
#: A picture with at least this fraction of opaque pixels has its own background. Only its margin is transparent.
OWN_BACKGROUND = 0.75

#: Widths of pictures for networks of any width, in pixels: a multiple of WIDTH_STEP, the downsampling factor of the
#: network, from MIN_WIDTH to MAX_WIDTH.
WIDTH_STEP, MIN_WIDTH, MAX_WIDTH = 4, 16, 16_000

#: Maximum width of pictures in a full batch, in pixels. Batches of wider pictures are smaller, to bound memory.
FULL_BATCH_WIDTH = 512

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
        if isinstance(max_pixels, bool) or not isinstance(max_pixels, int) or max_pixels < 1:
            raise UserError(f"max_pixels is {max_pixels!r}: give a number of pixels from 1, such as {MAX_PIXELS:_}")
        try:
            return cls(max_pixels, parse_frame(str(frame)))
        except ValueError as error:
            raise UserError(f"frame is {frame!r}: {error}") from None

    @property
    def max_bytes(self) -> int:
        """Maximum size of a file in bytes."""
        return max(LEAST_FILE, FILE_BYTES * self.max_pixels)


DEFAULT_OPTIONS = ImageOptions()


class DecodedImage(NamedTuple):
    """A picture, uint8 (height, width, channels), and the number of frames or pages of its file."""

    image: Image
    frames: int = 1


class StoredImage(str):
    """The path of a picture inside a file with many pictures, such as `train.tfrecord/17`.

    It can be used wherever a path is expected. :func:`read_bytes` reads it by calling `fetch`, which returns the bytes
    of the picture or raises UnreadablePicture. `container` is the path of the file, whose modification time counts for
    the picture.
    """

    __slots__ = ("container", "fetch")

    container: str
    fetch: Callable[[], bytes]

    def __new__(cls, path: str, container: str, fetch: Callable[[], bytes]) -> Self:
        stored = super().__new__(cls, path)
        stored.container, stored.fetch = container, fetch
        return stored

    def __deepcopy__(self, _: object) -> Self:
        # Immutable, like any str. A deep copy would copy the open file that `fetch` reads from.
        return self


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
            return _decode_file(read_bytes(path, options), channels, options)
        if isinstance(source, (bytes, bytearray, memoryview)):
            return _decode_file(_bounded(bytes(source), options), channels, options)
        if isinstance(source, np.ndarray):
            return DecodedImage(_of_array(_checked(source, options), channels, options.bgr))
        # If the source is a Pillow image, Pillow has been imported already.
        pillow = sys.modules.get("PIL.Image")
        if pillow is not None and isinstance(source, pillow.Image):
            return _decode_pillow(source, channels, options)
        if hasattr(source, "read"):
            return _decode_file(_content(source, options), channels, options)
    except MemoryError:
        raise UnreadablePicture(NO_MEMORY) from None
    raise UnreadablePicture(
        f"a {type(source).__name__} is not a picture: give a path, the bytes of a file, an open file or an array of "
        "uint8"
    )


def is_single_colour(image: Image) -> bool:
    """Whether all pixels of a picture, uint8 (height, width, channels), have the same colour."""
    # The middle row is cheap to check, and differs in most pictures.
    row = image[len(image) // 2].tobytes()
    channels = image.shape[2]
    return row[channels:] == row[:-channels] and bool((image == image[0, 0]).all())


class ImageRemarks:
    """Collects remarks on unusual but readable pictures: those of a single colour, and those with several frames."""

    def __init__(self, options: ImageOptions = DEFAULT_OPTIONS) -> None:
        self._frame = options.frame
        self._plain: list[str] = []
        self._animated: list[str] = []
        self._counts = [0, 0]

    def see(self, name: str, plain: bool, frames: int) -> None:
        """Record a picture: its name, whether it has a single colour, and its number of frames."""
        for place, names, odd, text in (
            (0, self._plain, plain, name),
            (1, self._animated, frames > 1, f"{name} has {frames:,}"),
        ):
            if odd:
                self._counts[place] += 1
                if len(names) < NAMED:
                    names.append(text)

    def sentences(self) -> list[str]:
        """A sentence for each kind of unusual pictures, with their number and the first names."""
        found = []
        plain, animated = self._counts
        if plain:
            found.append(
                f"{plain:,} picture{'s have' if plain > 1 else ' has'} a single colour, so there is nothing to read "
                f"({_first_names(self._plain, plain)})"
            )
        if animated:
            which = f"the {self._frame}" if self._frame in ("first", "last") else f"number {self._frame}"
            # A user who has chosen a frame needs no advice.
            hint = ": choose another with --frame last or --frame N" if self._frame == "first" else ""
            found.append(
                f"{animated:,} picture{'s have' if animated > 1 else ' has'} several frames or pages, of which "
                f"{which} is read ({_first_names(self._animated, animated)}){hint}"
            )
        return found


def _first_names(names: list[str], count: int) -> str:
    return ", ".join(names) + (", …" if count > len(names) else "")


def read_bytes(path: Path | str, options: ImageOptions = DEFAULT_OPTIONS) -> bytes:
    """Read the bytes of a file or of a :class:`StoredImage`.

    A large file that does not begin like a picture is not read completely. Raises UnreadablePicture for a file that
    cannot be read or is too large.
    """
    try:
        if isinstance(path, StoredImage):
            return _bounded(path.fetch(), options)
        # Without O_NONBLOCK, opening a pipe without a writer would block forever.
        file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
        try:
            found = os.fstat(file)
            if not stat.S_ISREG(found.st_mode):
                raise UnreadablePicture("a folder" if stat.S_ISDIR(found.st_mode) else "a pipe or device, no file")
            return _read(file, found.st_size, options)
        finally:
            os.close(file)
    except FileNotFoundError:
        raise UnreadablePicture(_missing(str(path))) from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UnreadablePicture(_describe_text(str(path)) or reason) from None
    except ValueError:  # a NUL in the name
        raise UnreadablePicture(MISSING) from None
    except MemoryError:
        raise UnreadablePicture(NO_MEMORY) from None


def _read(file: int, size: int, options: ImageOptions) -> bytes:
    _refuse_large(size, options)
    # Read one byte more to detect the end: files in /proc report a size of 0, and some never end.
    data = os.read(file, min(size or START, START) + 1)
    if len(data) == size <= START:
        return data
    parts, total = [data], len(data)
    while data and total <= options.max_bytes and begins_a_picture(parts[0]):
        data = os.read(file, READ)
        parts.append(data)
        total += len(data)
    _refuse_large(total, options)
    return b"".join(parts)


def _bounded(data: bytes, options: ImageOptions) -> bytes:
    _refuse_large(len(data), options)
    return data


def _refuse_large(size: int, options: ImageOptions) -> None:
    if size > options.max_bytes:
        raise UnreadablePicture(
            f"{size / 1e6:,.0f} MB, more than {options.max_bytes / 1e6:,.0f} MB, which is enough for any picture of "
            f"{options.max_pixels / 1e6:g} million pixels"
        )


def _content(file: Any, options: ImageOptions) -> bytes:
    """Read an open binary file from its current position.

    A large file that does not begin like a picture is not read completely. Objects of any class may have a `read`
    method, so UnreadablePicture is raised for any of its exceptions, except MemoryError.
    """
    data = bytearray()
    while len(data) <= options.max_bytes and (len(data) < START or begins_a_picture(bytes(data[:8]))):
        try:
            # An unbuffered stream, such as a socket, may return fewer bytes than asked for.
            part = file.read(min(READ, options.max_bytes + 1 - len(data)))
        except MemoryError:
            raise
        except (ValueError, TypeError) as error:  # closed, or opened for writing
            raise UnreadablePicture(
                f"a file that cannot be read ({describe_error(error)}): open it again with open(path, 'rb')"
            ) from None
        except Exception as error:  # for example a truncated or damaged member of an archive
            raise UnreadablePicture(
                f"a {type(file).__name__} that cannot be read ({describe_error(error)}): check that its file is whole"
            ) from None
        if isinstance(part, str):
            raise UnreadablePicture("a file opened in text mode: open it with open(path, 'rb')")
        if part is None:
            raise UnreadablePicture(
                f"a {type(file).__name__} that has no bytes yet: read it to its end first, and give the bytes"
            )
        if not isinstance(part, (bytes, bytearray, memoryview)):
            raise UnreadablePicture(
                f"a {type(file).__name__} that does not return bytes: give a path or the bytes of a file"
            )
        if not part:
            break
        data += part
    if not data:
        raise UnreadablePicture("zero bytes: the file is at its end; go back with seek(0)")
    return _bounded(bytes(data), options)


def describe_error(error: Exception) -> str:
    """Describe an exception of other code in one short line: its class and message."""
    try:
        line = " ".join(str(error).split())[:MAX_QUOTED]
    except Exception:  # __str__ is other code, too
        line = ""
    return f"{type(error).__name__}: {line}" if line else type(error).__name__


def fit_image(image: Image, width: int | None, height: int, how: Literal["stretch", "pad"] = "stretch") -> Image:
    """Resize a picture.

    Arguments:
        image: uint8 (h, w, channels).
        width: target width in pixels. None keeps the aspect ratio, except for rounding to a multiple of WIDTH_STEP.
        height: target height in pixels.
        how: `stretch` scales both sides independently. `pad` keeps the aspect ratio and pads with the median colour of
            the picture's border: equally above and below, but only on the right, so that every text starts in the same
            column. Ignored if `width` is None.

    Returns uint8 (height, width, channels).

    Raises UnreadablePicture if `width` is None and the result would be wider than MAX_WIDTH.
    """
    if width is None:
        width = scaled_width(height, image.shape[1], image.shape[0])
        if width > MAX_WIDTH:
            raise UnreadablePicture(f"{width:,} pixels wide at a height of {height}, more than {MAX_WIDTH:,}: cut it")
        return _resize(image, width, height)
    if how == "stretch":
        return _resize(image, width, height)
    scale = _scale(image.shape[1], image.shape[0], width, height)
    inner_width = visible_width(image.shape[1], image.shape[0], width, height, how)
    inner_height = min(height, max(1, round(image.shape[0] * scale)))
    border = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    fitted = np.empty((height, width, image.shape[2]), np.uint8)
    fitted[:] = np.median(border, axis=0).astype(np.uint8)
    top = (height - inner_height) // 2
    fitted[top : top + inner_height, :inner_width] = _resize(image, inner_width, inner_height)
    return fitted


def visible_width(
    own_width: int, own_height: int, width: int | None, height: int, how: Literal["stretch", "pad"]
) -> int:
    """The width, without padding, of a picture of `own_width` x `own_height` pixels after :func:`fit_image`."""
    if width is None:
        return scaled_width(height, own_width, own_height)
    if how == "stretch":
        return width
    return min(width, max(1, round(own_width * _scale(own_width, own_height, width, height))))


def _scale(own_width: int, own_height: int, width: int, height: int) -> float:
    return min(width / own_width, height / own_height)


def scaled_width(height: int, width: int, own_height: int) -> int:
    """The width that :func:`fit_image` gives a picture of `width` x `own_height` pixels for a network of any width."""
    return max(MIN_WIDTH, WIDTH_STEP * round(width * height / own_height / WIDTH_STEP))


def padded_width(widest: int) -> int:
    """The width to which :func:`pad_batch` pads a batch whose widest picture has `widest` pixels."""
    step = max(32, 1 << (widest.bit_length() - 4))
    return -(-widest // step) * step


def pad_batch(images: Sequence[Image] | Image) -> tuple[Image, npt.NDArray[np.int32]]:
    """Pad pictures of the same height with zeros on the right, to form a batch.

    Only few padded widths occur, because a network is compiled again for each one. A padded width exceeds the widest
    picture by less than an eighth or by at most 31 pixels.

    Arguments:
        images: uint8 (height, width, channels) each.

    Returns the batch, uint8 (n, height, padded width, channels), and the widths of the pictures, int32 (n,).
    """
    widths = np.array([image.shape[1] for image in images], np.int32)
    height, _, channels = images[0].shape
    batch = np.zeros((len(images), height, padded_width(int(widths.max())), channels), np.uint8)
    for row, image in zip(batch, images, strict=True):
        row[:, : image.shape[1]] = image
    return batch, widths


def _resize(image: Image, width: int, height: int) -> Image:
    # Average areas to shrink, interpolate to enlarge. A picture may need one horizontally and the other vertically.
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


def _check_size(width: int, height: int, options: ImageOptions) -> None:
    if width * height > options.max_pixels:
        most = f"{options.max_pixels / 1e6:g} million" if options.max_pixels >= 10_000 else f"{options.max_pixels:,}"
        raise UnreadablePicture(
            f"claims {width}x{height} pixels, more than {most}: make it smaller, or raise --max-pixels"
        )
    if width < 1 or height < 1:
        raise UnreadablePicture(f"claims {width}x{height} pixels")
    if max(width, height) > MOST_SIDE:
        raise UnreadablePicture(f"claims {width}x{height} pixels, more than {MOST_SIDE:,} on a side: cut it")


class _MemoryBudget:
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


_decoding_memory = _MemoryBudget(DECODING_MEMORY)


def _decode_file(data: bytes, channels: int, options: ImageOptions) -> DecodedImage:
    if not data:
        raise UnreadablePicture("zero bytes")
    found = header(data)
    if found is None:
        name = next((name for place, start, name in _NOT_READ if data.startswith(start, place)), None)
        known = (
            f"{name} is not read: convert it to PNG or JPEG" if name else _describe_text(data[:64].decode("latin-1"))
        )
        raise UnreadablePicture(known or "not a picture")
    if found.width:
        _check_size(found.width, found.height, options)
    # Small pictures never wait.
    if (needed := (found.width * found.height or options.max_pixels) * found.memory) > SMALL:
        with _decoding_memory.taken(needed):
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
        if found.plain and image is not None:
            return DecodedImage(_of_array(image, channels, bgr=True), found.frames)
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
            _check_size(*opened.size, options)
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
    _check_size(width, height, options)

    def decoded() -> Image:
        try:
            # If 0 means white in a TIFF, Pillow inverts 8-bit samples but not 16-bit samples.
            inverted = image.mode.startswith("I;16") and getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == 0
            image.load()
            return _of_pillow(image, channels, inverted)
        except (UnreadablePicture, MemoryError):
            raise
        except Exception as error:  # its file is closed or damaged
            raise UnreadablePicture(f"an image that Pillow cannot load ({error})") from None

    with _decoding_memory.taken(width * height * Header("").memory):
        decoded_image, messages = messages_of(decoded)
    _refuse_filled(messages)
    return DecodedImage(decoded_image)


#: How the bytes of a picture begin in base64.
_BASE64 = ("iVBORw0KGgo", "/9j/", "R0lGOD", "UklGR", "Qk0", "Qk1", "SUkqA", "TU0AK")


def _describe_text(text: str) -> str | None:
    """Describe a text that was given instead of a picture or path, such as a URL, and what to do. None if unknown."""
    if text.startswith("data:"):
        return "a data: URL, not a path: give base64.b64decode(url.partition(',')[2])"
    if scheme := re.match(r"([a-z][a-z0-9+]{1,9})://", text, re.IGNORECASE):
        if scheme[1].lower() == "file":
            return "a file: URL: give the path without file://"
        return f"an {scheme[1].lower()} address, which is not fetched: download it, then give the file or its bytes"
    if text.startswith("version https://git-lfs."):
        return "a pointer of Git LFS in place of the picture: run git lfs pull"
    if re.match(r"\s*<(!doctype html|html)\b", text, re.IGNORECASE):
        return "a web page, as servers send it in place of a picture: download the picture itself"
    if text.startswith(_BASE64) and re.fullmatch(r"[A-Za-z0-9+/=\s]{32,}", text):
        return "base64, not a path or picture: give base64.b64decode(text)"
    return None


def _missing(path: str) -> str:
    return _describe_text(path) or MISSING


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

    return _convert(rows, image.width, image.height, channels, bgr=False)


def _of_array(image: npt.NDArray[Any], channels: int, bgr: bool) -> Image:
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[..., 0]
    if image.dtype == np.uint8 and (image.ndim == 2 or image.shape[2] == 3):
        return _convert_rows(image, channels, bgr, None)
    return _convert(lambda top, bottom: image[top:bottom], image.shape[1], image.shape[0], channels, bgr)


def _convert(rows: Callable[[int, int], npt.NDArray[Any]], width: int, height: int, channels: int, bgr: bool) -> Image:
    """Convert grey, RGB or RGBA samples, uint8 or uint16, to uint8 (height, width, channels).

    `rows(top, bottom)` returns these rows as (h, width), (h, width, 3) or (h, width, 4), in the order RGB or, with
    `bgr`, BGR. Large pictures are converted in bands, because every step makes a copy.
    """
    step = max(1, BAND // width)
    bands = [(top, min(top + step, height)) for top in range(0, height, step)]
    first = rows(*bands[0])
    transparent = first.ndim == 3 and first.shape[2] == 4
    parts = (first if band is bands[0] else rows(*band) for band in bands)
    background = _background(parts, bgr) if transparent else None
    if len(bands) == 1:
        return _convert_rows(first, channels, bgr, background)
    shown = np.empty((height, width, channels), np.uint8)
    for top, bottom in bands:
        shown[top:bottom] = _convert_rows(rows(top, bottom), channels, bgr, background)
    return shown


def _convert_rows(image: npt.NDArray[Any], channels: int, bgr: bool, background: int | None) -> Image:
    """Convert some rows, see :func:`_convert`. Composites alpha on `background`, or ignores it if None."""
    if image.dtype == np.uint16:
        image = _eight_bits(image)
    if image.ndim == 3 and image.shape[2] == 4:
        image = np.ascontiguousarray(image[..., :3]) if background is None else _composite(image, background)
    if image.ndim == 2:
        return image[..., None] if channels == 1 else np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2RGB), np.uint8)
    if channels == 1:
        return _channels_last(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY if bgr else cv2.COLOR_RGB2GRAY))
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8) if bgr else image


def _eight_bits(image: npt.NDArray[np.uint16]) -> Image:
    return np.asarray(cv2.convertScaleAbs(image, alpha=1 / 257), np.uint8).reshape(image.shape)


def _background(bands: Iterable[npt.NDArray[Any]], bgr: bool) -> int | None:
    """Choose the background of a picture with straight alpha, given in bands (h, width, 4).

    Returns 255, or 0 if most of its ink is light. Returns None if the alpha channel is constant, fully opaque or fully
    transparent.
    """
    code = cv2.COLOR_BGR2GRAY if bgr else cv2.COLOR_RGB2GRAY
    pixels = opaque = ink = light = 0
    for band in bands:
        eight = _eight_bits(band) if band.dtype == np.uint16 else band
        opacity = eight[..., 3]
        pixels += opacity.size
        opaque += int(np.count_nonzero(opacity == 255))
        ink += int(opacity.sum(dtype=np.int64))
        # Most pictures are opaque, and then the luminance is not needed.
        if opaque < pixels:
            luminance = cv2.cvtColor(np.ascontiguousarray(eight[..., :3]), code)
            light += int(opacity[luminance > LIGHT].sum(dtype=np.int64))
    if ink == 0 or opaque == pixels:
        return None
    # A picture that is mostly opaque has its own background.
    return 0 if 2 * light > ink and ink < OWN_BACKGROUND * 255 * pixels else 255


def _composite(image: Image, background: int) -> Image:
    """Composite uint8 (h, w, 4) with straight alpha on a grey background. Returns uint8 (h, w, 3)."""
    alpha = image[..., 3:].astype(np.uint16)
    return ((image[..., :3] * alpha + background * (255 - alpha) + 127) // 255).astype(np.uint8)


def _checked(image: npt.NDArray[Any], options: ImageOptions) -> npt.NDArray[Any]:
    """Check an array given as a picture. Returns it as uint8 or uint16 in native byte order.

    Raises UnreadablePicture if its shape or dtype is not that of a picture, or if it exceeds the limits of `options`.
    """
    found = f"an array of {image.dtype} {image.shape}"
    if image.ndim == 3 and image.shape[0] in (1, 3, 4) and image.shape[2] not in (1, 3, 4):
        raise UnreadablePicture(f"{found} has its channels first: give array.transpose(1, 2, 0)")
    if not image.size or image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3, 4)):
        raise UnreadablePicture(
            f"{found} is not a picture: give uint8 (height, width), or (height, width, channels) with 1, 3 or 4 of them"
        )
    _check_size(image.shape[1], image.shape[0], options)
    if image.dtype.kind == "u" and image.dtype.itemsize <= 2:
        return image.astype(image.dtype.newbyteorder("="), copy=False)
    if image.dtype == bool or (image.dtype.kind in "fiu" and image.min() >= 0 and image.max() <= 1):
        how = "(array * 255).astype(np.uint8)"
    elif image.dtype.kind in "fiu" and image.min() >= 0 and image.max() <= 255:
        how = "array.astype(np.uint8)"
    else:
        how = "it scaled to 0 to 255, as uint8"
    raise UnreadablePicture(f"{found} is not a picture: give {how}")


def convert_channels(image: npt.NDArray[np.uint8], channels: int) -> Image:
    """Convert a picture between grey and RGB.

    Arguments:
        image: uint8 (height, width), or (height, width, channels) with 1 or 3 channels, RGB.
        channels: 1 or 3.

    Returns uint8 (height, width, channels).
    """
    if image.ndim == 2 or image.shape[2] == 1:
        return np.repeat(image.reshape(*image.shape[:2], 1), channels, axis=2)
    if channels == 1:
        return _channels_last(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
    return image
