"""What is known of a corpus once every picture was decoded."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from cli.progress import progress
from cli.remarks import ImageRemarks
from crnn_reader.batching import available_cores
from crnn_reader.errors import UnreadablePicture
from crnn_reader.image import DEFAULT_OPTIONS, ImageOptions, decode_image
from crnn_reader.pixels import Image, is_single_colour
from crnn_reader.sources import read_bytes
from dataset.forms import Samples

#: One file: a hash of its bytes, its picture's size in pixels (0 when it cannot be read), how many frames or pages it
#: has, and whether the picture has a single colour.
FACTS = np.dtype(
    [("digest", np.uint64), ("width", np.uint32), ("height", np.uint32), ("frames", np.uint32), ("plain", np.bool_)]
)
#: One row of it.
Fact = tuple[int, int, int, int, bool]

#: Pictures that a thread decodes in one go.
TASK = 32

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Contents:
    """The readable pictures of a folder or list, row by row, and those that cannot be read."""

    names: np.ndarray  #: (n,) texts: paths relative to the folder or list
    labels: np.ndarray  #: (n,) texts
    digests: npt.NDArray[np.uint64]  #: (n,) hash of the file's bytes
    sizes: npt.NDArray[np.uint32]  #: (n, 2) width and height of the file's picture, in pixels
    unreadable: list[tuple[str, str]]  #: name and reason
    frames: npt.NDArray[np.uint32]  #: (n,) frames or pages of the file
    plain: npt.NDArray[np.bool_]  #: (n,) whether the picture has a single colour

    def remarks(self, options: ImageOptions = DEFAULT_OPTIONS) -> list[str]:
        """What is odd in the pictures, a sentence each."""
        found = ImageRemarks(options)
        for row in np.flatnonzero(self.plain | (self.frames > 1)):
            found.see(str(self.names[row]), bool(self.plain[row]), int(self.frames[row]))
        return found.sentences()

    def __len__(self) -> int:
        return len(self.names)


def examine(samples: Samples, options: ImageOptions = DEFAULT_OPTIONS) -> Contents:
    """Decode every picture, in parallel, and keep what is learnt of it but not its pixels."""
    facts = np.zeros(len(samples), FACTS)
    reasons: dict[int, str] = {}

    def decode_task(rows: range) -> list[tuple[Fact, str]]:
        return [decode(samples[row].path, 3, options)[1:] for row in rows]

    tasks = [range(start, min(start + TASK, len(samples))) for start in range(0, len(samples), TASK)]
    with progress("reading pictures", len(samples)) as advance:
        for rows, found in zip(tasks, in_order(decode_task, tasks), strict=True):
            for row, (fact, reason) in zip(rows, found, strict=True):
                facts[row] = fact
                if reason:
                    reasons[row] = reason
            advance(len(rows))
    return Contents(*contents(samples, facts, reasons))


def contents(
    samples: Samples, facts: np.ndarray, reasons: dict[int, str]
) -> tuple[
    np.ndarray,
    np.ndarray,
    npt.NDArray[np.uint64],
    npt.NDArray[np.uint32],
    list[tuple[str, str]],
    npt.NDArray[np.uint32],
    npt.NDArray[np.bool_],
]:
    """The fields of :class:`Contents` from one row of facts per sample."""
    readable = np.flatnonzero(facts["width"])
    kept = facts[readable]
    return (
        samples.names[readable],
        samples.labels[readable],
        kept["digest"].copy(),
        np.stack([kept["width"], kept["height"]], axis=1),
        [(str(samples.names[row]), reason) for row, reason in sorted(reasons.items())],
        kept["frames"].copy(),
        kept["plain"].copy(),
    )


def decode(path: str, channels: int, options: ImageOptions = DEFAULT_OPTIONS) -> tuple[Image | None, Fact, str]:
    """A picture, its facts, and the reason when it cannot be read."""
    digest = 0
    try:
        data = read_bytes(path, options.max_pixels)
        digest = int.from_bytes(hashlib.blake2b(data, digest_size=8).digest())
        image, frames = decode_image(data, channels, options)
    except UnreadablePicture as error:
        return None, (digest, 0, 0, 0, False), str(error)
    height, width, _ = image.shape
    return image, (digest, width, height, frames, is_single_colour(image)), ""


def in_order(function: Callable[[Item], Result], items: Iterable[Item], workers: int | None = None) -> Iterator[Result]:
    """`map` with threads: results in order, a bounded number of them under way."""
    workers = workers or available_cores()
    pool = ThreadPoolExecutor(workers)
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
