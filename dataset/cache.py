"""Decode and fit pictures once, and keep them in a memory-mapped file.

For each (data path, size, channels, fit), a cache folder has a pair of files: an index (`KEY.npz`, followed by its
CRC-32C) and the pictures (`KEY-TOKEN.pictures`, plain `uint8` rows). The index has a CRC-32C of each block of the
pictures. All of them are verified when the pair is opened, and a damaged pair is written again. The index names its
pictures and is renamed into place last, so that a reader finds either the old pair or the new one. Rows of unchanged
files are copied from the old pair. Processes that have the old pair open keep it. Writing a new pair removes those that
were not opened for a month.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
import struct
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import numpy.typing as npt

from cli.files import atomic, file_name_in_errors
from cli.progress import progress
from crnn_reader import bounded
from crnn_reader.errors import UnreadablePicture
from crnn_reader.fit import fit_image, scaled_width
from crnn_reader.image import DEFAULT_OPTIONS, ImageOptions
from crnn_reader.sources import StoredImage
from dataset.collecting import Samples
from dataset.contents import FACTS, TASK, Contents, Fact, contents, decode, in_order

logger = logging.getLogger(__name__)

#: Height, width (None: by aspect) and channels.
Shape = tuple[int, int | None, int]

#: Version of the files and of decoding and fitting. Caches of other versions are not used.
_FORMAT = 3

#: Number of bytes per checksum.
_BLOCK = 1 << 16
#: The end of an index: its checksum, and a mark.
_SEAL, _MARK = struct.Struct("<I8s"), b"crnn-kit"

#: Seconds since the last write after which pictures without an index count as left by a killed process.
_ABANDONED = 3600.0
#: Seconds since a pair was last opened after which it is removed. Packing again costs minutes, and disks are finite.
_UNUSED = 30 * 86_400.0
_HEX = "[0-9a-f]"
_PICTURES = re.compile(rf"{_HEX}{{16}}-{_HEX}{{12}}\.pictures")


@dataclass(frozen=True)
class Corpus(Contents):
    """Facts about pictures, and the pictures themselves."""

    images: Any  #: uint8 (n, height, width, channels), memory-mapped, read-only. A Ragged if the widths differ.


class Ragged:
    """Pictures of one height and different widths in one memory-mapped array. `ragged[row]` is a picture."""

    def __init__(
        self, pixels: npt.NDArray[np.uint8], height: int, widths: npt.NDArray[np.int64], channels: int
    ) -> None:
        self.pixels, self.shape, self.widths = pixels, (height, channels), widths
        self._ends = np.cumsum(widths) * height * channels

    def __len__(self) -> int:
        return len(self.widths)

    def __getitem__(self, row: int) -> npt.NDArray[np.uint8]:
        """uint8 (height, width, channels)."""
        (height, channels), width, end = self.shape, int(self.widths[row]), int(self._ends[row])
        return self.pixels[end - height * width * channels : end].reshape(height, width, channels)


class Joined:
    """The pictures of several corpora, one after the other. `joined[row]` is a picture."""

    def __init__(self, parts: Sequence[Any]) -> None:
        """`parts` are arrays with pictures of one shape, or Raggeds of one height and number of channels."""
        self.parts = parts
        self._ends = np.cumsum([len(part) for part in parts])
        ragged = isinstance(parts[0], Ragged)
        self.shape = parts[0].shape if ragged else (len(self), *parts[0].shape[1:])
        self.widths = np.concatenate([part.widths for part in parts]) if ragged else None

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, row: int) -> npt.NDArray[np.uint8]:
        """uint8 (height, width, channels)."""
        part = int(np.searchsorted(self._ends, row, "right"))
        return self.parts[part][row - (int(self._ends[part - 1]) if part else 0)]


def widths_of(images: Any) -> npt.NDArray[np.int64] | None:
    """The widths of the pictures of a corpus in pixels; None if all pictures have the same size."""
    return getattr(images, "widths", None)


def joined(corpora: Sequence[Corpus]) -> Corpus:
    """The pictures of `corpora`, one corpus after the other. They must be packed for the same input."""
    facts = ("names", "labels", "digests", "sizes", "frames", "single_colour")
    return Corpus(
        **{name: np.concatenate([getattr(corpus, name) for corpus in corpora]) for name in facts},
        unreadable=[fault for corpus in corpora for fault in corpus.unreadable],
        images=Joined([corpus.images for corpus in corpora]),
    )


def pack(
    samples: Samples,
    width: int | None,
    height: int,
    channels: int,
    fit: Literal["stretch", "pad"] = "stretch",
    cache: Path | str = ".cache",
    fallbacks: Sequence[Path | str] = (),
    options: ImageOptions = DEFAULT_OPTIONS,
) -> Corpus:
    """Decode and fit pictures in parallel, or take them from the cache.

    Unreadable pictures are left out and listed in `unreadable`. The memory does not depend on the number of pictures.

    Arguments:
        samples: the pictures.
        width: in pixels, or None to keep the aspect of each picture.
        height: in pixels.
        channels: 1 or 3.
        fit: see :func:`crnn_reader.fit.fit_image`.
        cache: the folder of the cache.
        fallbacks: folders to use instead if the cache cannot be written (no permission, disk full). If these cannot be
            written either, the pictures go to a temporary file. A warning says where they go.
        options: how to decode.

    Raises OSError if nothing can be written. The caches are unchanged then.
    """
    shape = (height, width, channels)
    source = os.path.abspath(samples.source).encode(errors="replace").decode()
    key = f"{_FORMAT} {source} {width or 'auto'}x{height}x{channels} {fit}"
    if options != DEFAULT_OPTIONS:
        key += f" {options.max_pixels} {options.frame}"
    name = f"{hashlib.sha1(key.encode()).hexdigest()[:16]}.npz"
    indexes = [Path(folder) / name for folder in (cache, *fallbacks)]

    stamps = _stamps(samples)
    packed, same = None, np.full(len(samples), -1)
    for index in indexes:
        if found := _Packed.open(index, key, shape):
            unchanged = _unchanged(found, samples, stamps)
            if len(found.facts) == len(samples) and np.array_equal(unchanged, np.arange(len(samples))):
                with contextlib.suppress(OSError):  # a cache that may only be read
                    os.utime(index)
                return Corpus(**contents(samples, found.facts, found.reasons), images=found.images)
            if packed is None or (unchanged >= 0).sum() > (same >= 0).sum():
                packed, same = found, unchanged
    packed = _write(indexes, _Job(samples, key, stamps, packed, same, shape, fit, options))
    return Corpus(**contents(samples, packed.facts, packed.reasons), images=packed.images)


class _Damage(Exception):
    """A pair that cannot be used. The message is the reason."""


@dataclass(frozen=True)
class _Packed:
    """An index with a row for each file, and the readable pictures."""

    names: npt.NDArray[np.uint8]  #: see _joined
    stamps: npt.NDArray[np.int64]
    facts: np.ndarray
    reasons: dict[int, str]
    pictures: Path | None  #: None for a file without a name
    images: Any

    @classmethod
    def open(cls, index: Path, key: str, shape: Shape) -> _Packed | None:
        """Open a pair. Returns None if there is none, or, with a warning, if it is damaged."""
        try:
            file = bounded.open_regular(index)
        except OSError:  # reported when the cache is written
            return None
        except ValueError as error:
            logger.warning(f"{index} cannot be used ({error}): its pictures are decoded again")
            return None
        try:
            with file:
                return cls._read(file, index.parent, key, shape)
        except Exception as error:  # NumPy and zipfile raise many kinds of errors for damaged files
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            logger.warning(f"{index} is damaged ({reason}): its pictures are decoded again")
            return None

    @classmethod
    def _read(cls, file: BinaryIO, folder: Path, key: str, shape: Shape) -> _Packed:
        _check_index(file)
        with np.load(file, allow_pickle=False) as stored:
            own_key, pictures = _texts(stored["key"])[0], folder / _texts(stored["pictures"])[0]
            names, stamps, facts, sums = (stored[name] for name in ("names", "stamps", "facts", "sums"))
            reasons = dict(zip(stored["broken"].tolist(), _texts(stored["reasons"]), strict=True))
        if own_key != key:
            raise _Damage("it belongs to other pictures")
        if facts.dtype != FACTS or stamps.shape != (len(facts), 3) or not _PICTURES.fullmatch(pictures.name):
            raise _Damage("it is not an index")
        with bounded.open_regular(pictures) as file:
            _check_pictures(file, int(_sizes(facts, shape).sum()), sums.tolist())
        return cls(names, stamps, facts, reasons, pictures, _mapped(pictures, facts, shape))


def _check_index(file: BinaryIO) -> None:
    """Raise _Damage unless the file ends with its checksum. Rewinds the file."""
    size = os.fstat(file.fileno()).st_size - _SEAL.size
    file.seek(max(0, size))
    # Check the mark first: a sparse file may be larger than any disk.
    end = file.read(_SEAL.size)
    if len(end) < _SEAL.size or not end.endswith(_MARK):
        raise _Damage("it is cut short, or no index")
    file.seek(0)
    if _SEAL.pack(_checksum(file, size), _MARK) != end:
        raise _Damage("a checksum does not match")
    file.seek(0)


def _checksum(file: BinaryIO, size: int) -> int:
    """The CRC-32C of the next `size` bytes."""
    import google_crc32c

    checksum = 0
    for data in _blocks(file, size):
        checksum = google_crc32c.extend(checksum, data)
    return checksum


def _check_pictures(file: BinaryIO, size: int, sums: list[int]) -> None:
    """Raise _Damage unless the file has these checksums and at least `size` bytes.

    After an interruption, it may contain a part of another picture.
    """
    import google_crc32c

    found = os.fstat(file.fileno()).st_size
    if found < size or len(sums) != -(-found // _BLOCK):
        raise _Damage(f"its pictures have {found:,} bytes, where {size:,} are expected")
    # Not mapped: if a mapped file is truncated meanwhile, the process is killed.
    with progress("checking the cache", len(sums), "blocks") as advance:
        for data, expected in zip(_blocks(file, found), sums, strict=True):
            if google_crc32c.value(data) != expected:
                raise _Damage("a checksum of its pictures does not match")
            advance(1)


def _blocks(file: BinaryIO, size: int) -> Iterator[bytes]:
    """Yield the next `size` bytes, or fewer at the end of the file."""
    while size > 0 and (data := file.read(min(size, _BLOCK))):
        yield data
        size -= len(data)


class _ChecksummedFile:
    """Writes a file in blocks and computes the checksum of each."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._waiting, self.sums = file, bytearray(), list[int]()

    def write(self, data: bytes) -> None:
        self._waiting += data
        while len(self._waiting) >= _BLOCK:
            self._write(bytes(self._waiting[:_BLOCK]))
            del self._waiting[:_BLOCK]

    def end(self) -> None:
        """Write the remaining bytes."""
        if self._waiting:
            self._write(bytes(self._waiting))
        self._file.flush()

    def cut(self) -> int:
        """Truncate the file to complete blocks after an interruption. Returns its size."""
        self._file.seek(size := len(self.sums) * _BLOCK)
        self._file.truncate()
        return size

    def _write(self, block: bytes) -> None:
        import google_crc32c

        self._file.write(block)
        self.sums.append(google_crc32c.value(block))


def _sizes(facts: np.ndarray, shape: Shape) -> npt.NDArray[np.int64]:
    """The number of bytes of each picture, 0 if it is unreadable."""
    height, width, channels = shape
    readable = facts["width"] > 0
    sizes = np.zeros(len(facts), np.int64)
    sizes[readable] = (width or _widths(facts[readable], height)) * height * channels
    return sizes


def _widths(readable: np.ndarray, height: int) -> npt.NDArray[np.int64]:
    sizes = zip(readable["width"].tolist(), readable["height"].tolist(), strict=True)
    return np.array([scaled_width(height, *size) for size in sizes], np.int64)


def _mapped(pictures: Path | BinaryIO, facts: np.ndarray, shape: Shape) -> npt.NDArray[np.uint8] | Ragged:
    height, width, channels = shape
    readable = facts[facts["width"] > 0]
    if width is not None:
        # An empty file cannot be mapped.
        whole = (len(readable), height, width, channels)
        return np.memmap(pictures, np.uint8, "r", shape=whole) if len(readable) else np.empty(whole, np.uint8)
    pixels = np.memmap(pictures, np.uint8, "r") if len(readable) else np.empty(0, np.uint8)
    return Ragged(pixels, height, _widths(readable, height), channels)


def _stamps(samples: Samples) -> npt.NDArray[np.int64]:
    """Sizes, modification times and change times in nanoseconds, (n, 3). They show whether a file has changed."""
    stamps = np.full((len(samples), 3), -1, np.int64)
    for row, sample in enumerate(samples):
        with contextlib.suppress(OSError, ValueError):
            path = sample.path
            stat = os.stat(path.container if isinstance(path, StoredImage) else path)
            # The change time reveals new permissions, and new content with an old modification time.
            stamps[row] = stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns
    return stamps


def _unchanged(old: _Packed, samples: Samples, stamps: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """For each sample its row in the old index, -1 if it is new or changed."""
    if np.array_equal(old.names, _joined(samples.names)):
        rows = np.arange(len(samples))
    else:
        places = {name: row for row, name in enumerate(_texts(old.names))}
        rows = np.fromiter((places.get(str(name), -1) for name in samples.names), np.int64, len(samples))
    known = rows >= 0
    known[known] = (old.stamps[rows[known]] == stamps[known]).all(axis=1)
    return np.where(known, rows, -1)


@dataclass(frozen=True)
class _Job:
    """Pictures to pack, and those that are already packed."""

    samples: Samples
    key: str
    stamps: npt.NDArray[np.int64]
    old: _Packed | None
    same: npt.NDArray[np.int64]  #: see _unchanged
    shape: Shape
    fit: Literal["stretch", "pad"]
    options: ImageOptions


def _write(indexes: Sequence[Path], job: _Job) -> _Packed:
    """Write a pair into the first folder that can be written, or else into a file without a name."""
    for index, after in zip(indexes, (*indexes[1:], None), strict=True):
        try:
            index.parent.mkdir(parents=True, exist_ok=True)
            return _write_pair(index, job)
        except OSError as error:
            instead = after.parent if after else "a temporary file, which is deleted at exit"
            logger.warning(
                f"{index.parent} cannot be written ({error.strerror or error}): decoded pictures go to {instead}"
            )
    with file_name_in_errors(tempfile.gettempdir()), tempfile.TemporaryFile() as unnamed:
        finished = _Progress(job)
        finished.write(unnamed)
        return finished.packed(None, _mapped(unnamed, finished.facts, job.shape))


def _write_pair(index: Path, job: _Job) -> _Packed:
    """Write a pair. If the user interrupts it, the pictures so far are kept for the next time."""
    if what := bounded.irregular(index):
        raise OSError(f"{index.name} is {what}")
    pictures = index.with_name(f"{index.stem}-{uuid.uuid4().hex[:12]}.pictures")
    finished = _Progress(job)
    try:
        # Not mapped: on a full disk, writing raises an error, and writing to mapped memory kills the process.
        with file_name_in_errors(pictures), pictures.open("wb") as file:
            finished.write(file)
        finished.save(index, pictures)
    except KeyboardInterrupt:
        if job.old and finished.rows < len(job.old.facts):
            pictures.unlink(missing_ok=True)
        else:
            finished.save(index, pictures)
        raise
    except BaseException:
        pictures.unlink(missing_ok=True)
        raise
    _sweep(index, pictures, job.old)
    return finished.packed(pictures, _mapped(pictures, finished.facts, job.shape))


class _Progress:
    """The finished part of a job."""

    def __init__(self, job: _Job) -> None:
        self._job = job
        self.rows = 0
        self.facts = np.zeros(len(job.samples), FACTS)
        self._reasons: dict[int, str] = {}
        self._sums: list[int] = []
        self._places = np.cumsum(job.old.facts["width"] > 0) - 1 if job.old else None

    def write(self, file: BinaryIO) -> None:
        """Write the pictures. After an interruption, `rows` of them are complete."""
        count = len(self._job.samples)
        tasks = [range(start, min(start + TASK, count)) for start in range(0, count, TASK)]
        checked = _ChecksummedFile(file)
        self._sums = checked.sums
        try:
            with progress("reading pictures", count) as advance:
                for rows, results in zip(tasks, in_order(lambda rows: [*map(self._fitted, rows)], tasks), strict=True):
                    for row, (image, fact, reason) in zip(rows, results, strict=True):
                        self.facts[row] = fact
                        if image is None:
                            self._reasons[row] = reason
                        else:
                            checked.write(image.tobytes())
                    self.rows = rows.stop
                    advance(len(rows))
            checked.end()
        except KeyboardInterrupt:
            ends = np.cumsum(_sizes(self.facts[: self.rows], self._job.shape))
            self.rows = int(np.searchsorted(ends, checked.cut(), "right"))
            raise

    def save(self, index: Path, pictures: Path) -> None:
        """Write the index of the complete rows."""
        reasons = {row: reason for row, reason in sorted(self._reasons.items()) if row < self.rows}
        with atomic(index) as temporary:
            np.savez(
                temporary,
                names=_joined(self._job.samples.names[: self.rows]),
                stamps=self._job.stamps[: self.rows],
                facts=self.facts[: self.rows],
                broken=np.array(list(reasons), np.int64),
                reasons=_joined(reasons.values()),
                key=_joined([self._job.key]),
                pictures=_joined([pictures.name]),
                sums=np.array(self._sums, np.uint32),
            )
            with file_name_in_errors(index), temporary.open("r+b") as file:
                file.write(_SEAL.pack(_checksum(file, temporary.stat().st_size), _MARK))

    def packed(self, pictures: Path | None, images: Any) -> _Packed:
        job = self._job
        return _Packed(_joined(job.samples.names), job.stamps, self.facts, self._reasons, pictures, images)

    def _fitted(self, row: int) -> tuple[npt.NDArray[np.uint8] | None, Fact, str]:
        job, (height, width, channels) = self._job, self._job.shape
        if job.old and self._places is not None and (known := job.same[row]) >= 0:
            image = job.old.images[self._places[known]] if job.old.facts["width"][known] else None
            return image, job.old.facts[known].item(), job.old.reasons.get(int(known), "")
        image, fact, reason = decode(job.samples[row].path, channels, job.options)
        try:
            return (None if image is None else fit_image(image, width, height, job.fit)), fact, reason
        except UnreadablePicture as error:
            return None, (fact[0], 0, 0, 0, False), str(error)


def _sweep(index: Path, pictures: Path, old: _Packed | None) -> None:
    """Remove the old pictures of this index, pictures that a killed process left, and unused pairs."""
    # The folder may contain files of other programs, so match the complete names.
    for path in index.parent.glob(f"{_HEX * 16}.npz"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _UNUSED:
                path.unlink()
    for path in index.parent.glob(f"{_HEX * 16}-{_HEX * 12}.pictures"):
        with contextlib.suppress(OSError):  # Windows cannot remove mapped files: the next call does
            stem = path.name.partition("-")[0]
            orphan = path != pictures if stem == index.stem else not index.with_name(f"{stem}.npz").exists()
            if (old and path == old.pictures) or (orphan and time.time() - path.stat().st_mtime > _ABANDONED):
                path.unlink()


def _joined(texts: Iterable[str]) -> npt.NDArray[np.uint8]:
    return np.frombuffer("".join(text + "\0" for text in texts).encode(), np.uint8)


def _texts(joined: npt.NDArray[np.uint8]) -> list[str]:
    return joined.tobytes().decode().split("\0")[:-1]
