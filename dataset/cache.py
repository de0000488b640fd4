"""Every picture decoded once, fitted, and kept packed in one memory-mapped file.

A cache folder holds, per (data path, size, channels, fit), an index (`KEY.npz`) and the pictures
(`KEY-TOKEN.pictures`, plain `uint8` rows). The index is renamed into place last and names its pictures file, so
that a reader finds the old pair or the new one. Rows of files that have not changed since are copied from the old
pair, which stays alive for processes that have it open. Whoever packs something new removes the pairs that nobody has
opened for a month.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
import uuid
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

import console
import picture
from dataset.contents import FACTS, TASK, Contents, contents, decode, in_order
from dataset.forms import Samples

#: Height, width (None: by aspect) and channels.
Shape = tuple[int, int | None, int]

#: Raised when the work on pictures changes: caches made before are then not used.
_FORMAT = 1

#: A pictures file without an index that nobody has written to for so many seconds was left by a killed process.
_ABANDONED = 3600.0
#: Seconds after which a pair that nobody has opened makes room: packing again costs minutes, disks fill for good.
_UNUSED = 30 * 86_400.0
_HEX = "[0-9a-f]"


@dataclass(frozen=True)
class Corpus(Contents):
    """What :class:`~dataset.contents.Contents` says, and the pictures themselves."""

    images: Any  #: uint8 (n, height, width, channels), memory-mapped, read-only; of any width a Ragged


class Ragged:
    """Pictures of one height and different widths, side by side in one memory-mapped array: `ragged[row]`."""

    def __init__(
        self, pixels: npt.NDArray[np.uint8], height: int, widths: npt.NDArray[np.int64], channels: int
    ) -> None:
        self._pixels, self._shape, self.widths = pixels, (height, channels), widths
        self._ends = np.cumsum(widths) * height * channels

    def __len__(self) -> int:
        return len(self.widths)

    def __getitem__(self, row: int) -> npt.NDArray[np.uint8]:
        """uint8 (height, width, channels)."""
        (height, channels), width, end = self._shape, int(self.widths[row]), int(self._ends[row])
        return self._pixels[end - height * width * channels : end].reshape(height, width, channels)


def pack(
    samples: Samples,
    width: int | None,
    height: int,
    channels: int,
    fit: Literal["stretch", "pad"] = "stretch",
    cache: Path | str = ".cache",
) -> Corpus:
    """Decode and fit every picture, in parallel, or find that done in the folder `cache`; see `picture.fit`.

    Pictures that cannot be read are left out and listed in `unreadable`. Memory stays bounded whatever the number
    of pictures. Raises OSError with the file's name when the disk is full; the cache is then as it was before.
    """
    cache = Path(cache)
    cache.mkdir(parents=True, exist_ok=True)
    shape = (height, width, channels)
    key = f"{_FORMAT} {os.path.abspath(samples.source)} {width or 'auto'}x{height}x{channels} {fit}"
    index = cache / f"{hashlib.sha1(key.encode(errors='replace')).hexdigest()[:16]}.npz"

    packed = _Packed.open(index, shape)
    stamps = _stamps(samples)
    same = _unchanged(packed, samples, stamps) if packed else np.full(len(samples), -1)
    if packed is None or len(packed.facts) != len(samples) or not np.array_equal(same, np.arange(len(samples))):
        packed = _write(index, samples, stamps, packed, same, shape, fit)
    else:
        with contextlib.suppress(OSError):  # a cache that may only be read
            os.utime(index)
    return Corpus(*contents(samples, packed.facts, packed.reasons), images=packed.images)


@dataclass(frozen=True)
class _Packed:
    """An index, one row per file, and the pictures of those files that are readable."""

    names: npt.NDArray[np.uint8]  #: as _joined makes them
    stamps: npt.NDArray[np.int64]
    facts: np.ndarray
    reasons: dict[int, str]
    pictures: Path
    images: Any

    @classmethod
    def open(cls, index: Path, shape: Shape) -> _Packed | None:
        try:
            with np.load(index, allow_pickle=False) as stored:
                names, stamps, facts = stored["names"], stored["stamps"], stored["facts"]
                reasons = dict(zip(stored["broken"].tolist(), _texts(stored["reasons"]), strict=True))
                pictures = index.parent / _texts(stored["pictures"])[0]
            return cls(names, stamps, facts, reasons, pictures, _mapped(pictures, facts, shape))
        except (OSError, ValueError, KeyError, IndexError, EOFError, zipfile.BadZipFile):
            # Missing or spoilt: a cache is made again without a word.
            return None


def _mapped(pictures: Path, facts: np.ndarray, shape: Shape) -> npt.NDArray[np.uint8] | Ragged:
    height, width, channels = shape
    readable = facts[facts["width"] > 0]
    if width is not None:
        # Nothing cannot be mapped.
        whole = (len(readable), height, width, channels)
        return np.memmap(pictures, np.uint8, "r", shape=whole) if len(readable) else np.empty(whole, np.uint8)
    widths = [picture.width_at(height, int(row["width"]), int(row["height"])) for row in readable]
    pixels = np.memmap(pictures, np.uint8, "r") if widths else np.empty(0, np.uint8)
    return Ragged(pixels, height, np.array(widths, np.int64), channels)


def _stamps(samples: Samples) -> npt.NDArray[np.int64]:
    """What tells that a file has changed, (n, 3): its size, and the times of its last changes in nanoseconds."""
    stamps = np.full((len(samples), 3), -1, np.int64)
    for row, sample in enumerate(samples):
        with contextlib.suppress(OSError, ValueError):
            path = sample.path
            stat = os.stat(path.container if isinstance(path, picture.Stored) else path)
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


def _write(
    index: Path,
    samples: Samples,
    stamps: npt.NDArray[np.int64],
    old: _Packed | None,
    same: npt.NDArray[np.int64],
    shape: Shape,
    fit: Literal["stretch", "pad"],
) -> _Packed:
    """Make the pair anew. Interrupted by the user, it keeps what was done for the next time."""
    height, width, channels = shape
    facts = np.zeros(len(samples), FACTS)
    reasons: dict[int, str] = {}
    places = np.cumsum(old.facts["width"] > 0) - 1 if old else None

    def fitted(row: int) -> tuple[npt.NDArray[np.uint8] | None, tuple[int, int, int], str]:
        if old and places is not None and (known := same[row]) >= 0:
            image = old.images[places[known]] if old.facts["width"][known] else None
            return image, old.facts[known].item(), old.reasons.get(int(known), "")
        image, fact, reason = decode(samples[row].path, channels)
        try:
            return (None if image is None else picture.fit(image, width, height, fit)), fact, reason
        except picture.UnreadablePicture as error:
            return None, (fact[0], 0, 0), str(error)

    def task(rows: range) -> tuple[range, list[tuple[npt.NDArray[np.uint8] | None, tuple[int, int, int], str]]]:
        return rows, [fitted(row) for row in rows]

    tasks = (range(start, min(start + TASK, len(samples))) for start in range(0, len(samples), TASK))
    pictures = index.with_name(f"{index.stem}-{uuid.uuid4().hex[:12]}.pictures")
    done = 0

    def save() -> None:
        broken = sorted(reasons)
        with console.atomic(index) as temporary:
            np.savez(
                temporary,
                names=_joined(samples.names[:done]),
                stamps=stamps[:done],
                facts=facts[:done],
                broken=np.array(broken, np.int64),
                reasons=_joined([reasons[row] for row in broken]),
                pictures=_joined([pictures.name]),
            )

    try:
        # Written, not mapped: a full disk is then an error that can be told, where a mapped page kills the process.
        with console.naming(pictures), pictures.open("wb") as file:
            with console.progress("reading pictures", len(samples)) as advance:
                for rows, results in in_order(task, tasks):
                    for row, (image, fact, reason) in zip(rows, results, strict=True):
                        facts[row] = fact
                        if image is None:
                            reasons[row] = reason
                        else:
                            file.write(np.ascontiguousarray(image).data)
                    done = rows.stop
                    advance(len(rows))
        save()
    except KeyboardInterrupt:
        if old and done < len(old.facts):
            pictures.unlink(missing_ok=True)
        else:
            reasons = {row: reason for row, reason in reasons.items() if row < done}
            save()
        raise
    except BaseException:
        pictures.unlink(missing_ok=True)
        raise
    _sweep(index, pictures, old)
    return _Packed(_joined(samples.names), stamps, facts, reasons, pictures, _mapped(pictures, facts, shape))


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
