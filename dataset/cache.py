"""Every picture decoded once, fitted, and kept packed in one memory-mapped file.

A cache folder holds, per (data path, size, channels, fit), an index (`KEY.npz`, its CRC-32C behind it) and the
pictures (`KEY-TOKEN.pictures`, plain `uint8` rows). The index has a CRC-32C of each block of the pictures file; all of
them are verified when the pair is opened, and a damaged pair is made again. The index is renamed into place last and
names its pictures file, so that a reader finds the old pair or the new one. Rows of files that have not changed since
are copied from the old pair, which stays alive for processes that have it open. Whoever packs something new removes
the pairs that nobody has opened for a month.
"""

from __future__ import annotations

import contextlib
import hashlib
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

from cli.files import atomic, naming
from cli.messages import warn
from cli.progress import progress
from crnn_reader import bounded
from crnn_reader.errors import UnreadablePicture
from crnn_reader.fit import fit_image, scaled_width
from crnn_reader.image import DEFAULT_OPTIONS, ImageOptions
from crnn_reader.sources import StoredImage
from dataset.collecting import Samples
from dataset.contents import FACTS, TASK, Contents, Fact, contents, decode, in_order

#: Height, width (None: by aspect) and channels.
Shape = tuple[int, int | None, int]

#: Raised when the work on pictures or the files change: caches made before are then not used.
_FORMAT = 3

#: Bytes under one checksum.
_BLOCK = 1 << 16
#: What stands behind an index: its checksum, and a mark.
_SEAL, _MARK = struct.Struct("<I8s"), b"crnn-kit"

#: Seconds without a write after which a pictures file without an index is taken as left by a killed process.
_ABANDONED = 3600.0
#: Seconds after which a pair that nobody has opened makes room: packing again costs minutes, disks fill for good.
_UNUSED = 30 * 86_400.0
_HEX = "[0-9a-f]"
_PICTURES = re.compile(rf"{_HEX}{{16}}-{_HEX}{{12}}\.pictures")


@dataclass(frozen=True)
class Corpus(Contents):
    """What :class:`~dataset.contents.Contents` says, and the pictures themselves."""

    images: Any  #: uint8 (n, height, width, channels), memory-mapped, read-only; of any width a Ragged


class Ragged:
    """Pictures of one height and different widths, side by side in one memory-mapped array: `ragged[row]`."""

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


def pack(
    samples: Samples,
    width: int | None,
    height: int,
    channels: int,
    fit: Literal["stretch", "pad"] = "stretch",
    cache: Path | str = ".cache",
    others: Sequence[Path | str] = (),
    options: ImageOptions = DEFAULT_OPTIONS,
) -> Corpus:
    """Decode and fit every picture, in parallel, or find that done in `cache`; see `crnn_reader.image.fit_image`.

    Pictures that cannot be read are left out and listed in `unreadable`. Memory stays bounded whatever the number
    of pictures. Where `cache` cannot be written (no permission, disk full), the pictures go to the first of the
    folders `others` that can, else to a temporary file; a warning says where. Raises OSError where that fails, too;
    the caches are then as they were before.
    """
    shape = (height, width, channels)
    source = os.path.abspath(samples.source).encode(errors="replace").decode()
    key = f"{_FORMAT} {source} {width or 'auto'}x{height}x{channels} {fit}"
    if options != DEFAULT_OPTIONS:
        key += f" {options.max_pixels} {options.frame}"
    name = f"{hashlib.sha1(key.encode()).hexdigest()[:16]}.npz"
    indexes = [Path(folder) / name for folder in (cache, *others)]

    stamps = _stamps(samples)
    packed, same = None, np.full(len(samples), -1)
    for index in indexes:
        if found := _Packed.open(index, key, shape):
            unchanged = _unchanged(found, samples, stamps)
            if len(found.facts) == len(samples) and np.array_equal(unchanged, np.arange(len(samples))):
                with contextlib.suppress(OSError):  # a cache that may only be read
                    os.utime(index)
                return Corpus(*contents(samples, found.facts, found.reasons), images=found.images)
            if packed is None or (unchanged >= 0).sum() > (same >= 0).sum():
                packed, same = found, unchanged
    packed = _write(indexes, _Job(samples, key, stamps, packed, same, shape, fit, options))
    return Corpus(*contents(samples, packed.facts, packed.reasons), images=packed.images)


class _Damage(Exception):
    """Why a pair cannot be used, in a few words."""


@dataclass(frozen=True)
class _Packed:
    """An index, one row per file, and the pictures of those files that are readable."""

    names: npt.NDArray[np.uint8]  #: as _joined makes them
    stamps: npt.NDArray[np.int64]
    facts: np.ndarray
    reasons: dict[int, str]
    pictures: Path | None  #: None of a file without a name
    images: Any

    @classmethod
    def open(cls, index: Path, key: str, shape: Shape) -> _Packed | None:
        """The pair of an index, or None if there is none or, with a warning, if it is damaged."""
        try:
            file = bounded.open_regular(index)
        except OSError:  # writing the cache reports the error
            return None
        except ValueError as error:
            warn(f"{index} cannot be used ({error}): its pictures are decoded again")
            return None
        try:
            with file:
                return cls._read(file, index.parent, key, shape)
        except Exception as error:  # NumPy and zipfile raise many kinds of errors for damaged files
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            warn(f"{index} is damaged ({reason}): its pictures are decoded again")
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
    """Raise _Damage unless the file ends in its own checksum; then it is at its start again."""
    size = os.fstat(file.fileno()).st_size - _SEAL.size
    file.seek(max(0, size))
    # First the end: a file may claim to be larger than any disk.
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
    """Raise _Damage unless the file has these checksums, and room for pictures of this size.

    After an interruption it may hold a part of one more.
    """
    import google_crc32c

    found = os.fstat(file.fileno()).st_size
    if found < size or len(sums) != -(-found // _BLOCK):
        raise _Damage(f"its pictures have {found:,} bytes, where {size:,} are expected")
    # Read, not mapped, so that a file that is cut short meanwhile is an error and not the end of the process.
    with progress("checking the cache", len(sums), "blocks") as advance:
        for data, expected in zip(_blocks(file, found), sums, strict=True):
            if google_crc32c.value(data) != expected:
                raise _Damage("a checksum of its pictures does not match")
            advance(1)


def _blocks(file: BinaryIO, size: int) -> Iterator[bytes]:
    """The next `size` bytes; fewer where there are none left."""
    while size > 0 and (data := file.read(min(size, _BLOCK))):
        yield data
        size -= len(data)


class _Checked:
    """Writes a file in blocks, and keeps the checksum of each."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._waiting, self.sums = file, bytearray(), list[int]()

    def write(self, data: bytes) -> None:
        self._waiting += data
        while len(self._waiting) >= _BLOCK:
            self._write(bytes(self._waiting[:_BLOCK]))
            del self._waiting[:_BLOCK]

    def end(self) -> None:
        """Write what is left."""
        if self._waiting:
            self._write(bytes(self._waiting))
        self._file.flush()

    def cut(self) -> int:
        """Leave only whole blocks after an interruption, which may have come anywhere; returns their bytes."""
        self._file.seek(size := len(self.sums) * _BLOCK)
        self._file.truncate()
        return size

    def _write(self, block: bytes) -> None:
        import google_crc32c

        self._file.write(block)
        self.sums.append(google_crc32c.value(block))


def _sizes(facts: np.ndarray, shape: Shape) -> npt.NDArray[np.int64]:
    """Bytes of each picture, 0 where it cannot be read."""
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
        # Nothing cannot be mapped.
        whole = (len(readable), height, width, channels)
        return np.memmap(pictures, np.uint8, "r", shape=whole) if len(readable) else np.empty(whole, np.uint8)
    pixels = np.memmap(pictures, np.uint8, "r") if len(readable) else np.empty(0, np.uint8)
    return Ragged(pixels, height, _widths(readable, height), channels)


def _stamps(samples: Samples) -> npt.NDArray[np.int64]:
    """What tells that a file has changed, (n, 3): its size, and the times of its last changes in nanoseconds."""
    stamps = np.full((len(samples), 3), -1, np.int64)
    for row, sample in enumerate(samples):
        with contextlib.suppress(OSError, ValueError):
            path = sample.path
            stat = os.stat(path.container if isinstance(path, StoredImage) else path)
            # The second time also notices new permissions, and new content with the old time.
            stamps[row] = stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns
    return stamps


def _unchanged(old: _Packed, samples: Samples, stamps: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """For each sample its row in the old index, or -1 when it is new or has changed."""
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
    """What is to be packed, and what of it is known."""

    samples: Samples
    key: str  #: what the pair is of
    stamps: npt.NDArray[np.int64]
    old: _Packed | None
    same: npt.NDArray[np.int64]  #: see _unchanged
    shape: Shape
    fit: Literal["stretch", "pad"]
    options: ImageOptions


def _write(indexes: Sequence[Path], job: _Job) -> _Packed:
    """Make the pair anew in the first place that can be written, or else without a name."""
    for index, after in zip(indexes, (*indexes[1:], None), strict=True):
        try:
            index.parent.mkdir(parents=True, exist_ok=True)
            return _write_pair(index, job)
        except OSError as error:
            instead = after.parent if after else "a temporary file, which goes when this ends"
            warn(f"{index.parent} cannot be written ({error.strerror or error}): decoded pictures go to {instead}")
    with naming(tempfile.gettempdir()), tempfile.TemporaryFile() as unnamed:
        done = _Done(job)
        done.write(unnamed)
        return done.packed(None, _mapped(unnamed, done.facts, job.shape))


def _write_pair(index: Path, job: _Job) -> _Packed:
    """Make the pair anew. Interrupted by the user, it keeps what was done for the next time."""
    if what := bounded.irregular(index):
        raise OSError(f"{index.name} is {what}")
    pictures = index.with_name(f"{index.stem}-{uuid.uuid4().hex[:12]}.pictures")
    done = _Done(job)
    try:
        # Written, not mapped: a full disk is then an error that can be told, where a mapped page kills the process.
        with naming(pictures), pictures.open("wb") as file:
            done.write(file)
        done.save(index, pictures)
    except KeyboardInterrupt:
        if job.old and done.rows < len(job.old.facts):
            pictures.unlink(missing_ok=True)
        else:
            done.save(index, pictures)
        raise
    except BaseException:
        pictures.unlink(missing_ok=True)
        raise
    _sweep(index, pictures, job.old)
    return done.packed(pictures, _mapped(pictures, done.facts, job.shape))


class _Done:
    """How far a job is."""

    def __init__(self, job: _Job) -> None:
        self._job = job
        self.rows = 0
        self.facts = np.zeros(len(job.samples), FACTS)
        self._reasons: dict[int, str] = {}
        self._sums: list[int] = []
        self._places = np.cumsum(job.old.facts["width"] > 0) - 1 if job.old else None

    def write(self, file: BinaryIO) -> None:
        """Write the pictures; interrupted, `rows` of them."""
        count = len(self._job.samples)
        tasks = (range(start, min(start + TASK, count)) for start in range(0, count, TASK))
        checked = _Checked(file)
        self._sums = checked.sums
        try:
            with progress("reading pictures", count) as advance:
                for rows, results in in_order(self._task, tasks):
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
        """Write the index of the rows so far."""
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
            with naming(index), temporary.open("r+b") as file:
                file.write(_SEAL.pack(_checksum(file, temporary.stat().st_size), _MARK))

    def packed(self, pictures: Path | None, images: Any) -> _Packed:
        job = self._job
        return _Packed(_joined(job.samples.names), job.stamps, self.facts, self._reasons, pictures, images)

    def _task(self, rows: range) -> tuple[range, list[tuple[npt.NDArray[np.uint8] | None, Fact, str]]]:
        return rows, [self._fitted(row) for row in rows]

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
    """Remove the earlier pictures of this index, those that a killed process left without one, and unused pairs."""
    # By names that are ours alone: a folder of this name may hold the files of others.
    for path in index.parent.glob(f"{_HEX * 16}.npz"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _UNUSED:
                path.unlink()
    for path in index.parent.glob(f"{_HEX * 16}-{_HEX * 12}.pictures"):
        with contextlib.suppress(OSError):  # Windows keeps what is mapped; it goes the next time
            stem = path.name.partition("-")[0]
            orphan = path != pictures if stem == index.stem else not index.with_name(f"{stem}.npz").exists()
            if (old and path == old.pictures) or (orphan and time.time() - path.stat().st_mtime > _ABANDONED):
                path.unlink()


def _joined(texts: Iterable[str]) -> npt.NDArray[np.uint8]:
    return np.frombuffer("".join(text + "\0" for text in texts).encode(), np.uint8)


def _texts(joined: npt.NDArray[np.uint8]) -> list[str]:
    return joined.tobytes().decode().split("\0")[:-1]
