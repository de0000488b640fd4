"""Facts about the pictures of a corpus: readable or not, sizes, hashes, shape and colours."""

from __future__ import annotations

import hashlib
import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from cli.progress import progress
from cli.remarks import ImageRemarks
from crnn_reader.batching import available_cores
from crnn_reader.errors import UnreadablePicture
from crnn_reader.image import DEFAULT_OPTIONS, ImageOptions, decode_image, read_image
from crnn_reader.pixels import Image, convert_channels, is_single_colour
from crnn_reader.sources import read_bytes
from dataset.collecting import Samples

logger = logging.getLogger(__name__)

#: Facts about a file: hash of its bytes, size of the picture in pixels (0 if unreadable), number of frames or pages,
#: and whether the picture has a single colour.
FACTS = np.dtype(
    [("digest", np.uint64), ("width", np.uint32), ("height", np.uint32), ("frames", np.uint32), ("plain", np.bool_)]
)
#: One row of FACTS.
Fact = tuple[int, int, int, int, bool]

#: Number of pictures that a thread decodes in one task.
TASK = 32

#: Number of unreadable pictures to name if no picture can be read.
MAX_NAMED = 100

#: Number of pictures from which statistics are computed. Their median is within a few per cent of that of all.
_LOOKED_AT = 256

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Contents:
    """The n readable pictures of a folder or list, and those that cannot be read."""

    names: np.ndarray  #: (n,) strings: paths relative to the folder or list
    labels: np.ndarray  #: (n,) strings
    digests: npt.NDArray[np.uint64]  #: (n,) hashes of the files' bytes
    sizes: npt.NDArray[np.uint32]  #: (n, 2) width and height in pixels
    unreadable: list[tuple[str, str]]  #: name and reason
    frames: npt.NDArray[np.uint32]  #: (n,) number of frames or pages
    single_colour: npt.NDArray[np.bool_]  #: (n,) whether the picture has a single colour

    def remarks(self, options: ImageOptions = DEFAULT_OPTIONS) -> list[str]:
        """A sentence for each kind of odd picture."""
        found = ImageRemarks(options)
        for row in np.flatnonzero(self.single_colour | (self.frames > 1)):
            found.add(str(self.names[row]), bool(self.single_colour[row]), int(self.frames[row]))
        return found.sentences()

    def __len__(self) -> int:
        return len(self.names)


def examine(samples: Samples, options: ImageOptions = DEFAULT_OPTIONS) -> Contents:
    """Decode all pictures in parallel and return facts about them. The pixels are not kept."""
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
    return Contents(**contents(samples, facts, reasons))


def contents(samples: Samples, facts: np.ndarray, reasons: dict[int, str]) -> dict[str, Any]:
    """The fields of :class:`Contents`. `facts` has a row for each sample, `reasons` one for each unreadable sample."""
    readable = np.flatnonzero(facts["width"])
    kept = facts[readable]
    return {
        "names": samples.names[readable],
        "labels": samples.labels[readable],
        "digests": kept["digest"].copy(),
        "sizes": np.stack([kept["width"], kept["height"]], axis=1),
        "unreadable": [(str(samples.names[row]), reason) for row, reason in sorted(reasons.items())],
        "frames": kept["frames"].copy(),
        "single_colour": kept["plain"].copy(),
    }


def log_each(messages: Sequence[str], nothing_left: bool) -> None:
    """Log a warning for each picture that is left out.

    A user who continues without some pictures must know all of them. With `nothing_left`, no picture is usable and the
    command stops: then the first MAX_NAMED messages show what is wrong, and only the number of the others is logged.
    """
    for message in messages[: MAX_NAMED if nothing_left else None]:
        logger.warning(message)
    if nothing_left and len(messages) > MAX_NAMED:
        logger.warning(f"… and {len(messages) - MAX_NAMED:,} more like these")


def decode(path: str, channels: int, options: ImageOptions = DEFAULT_OPTIONS) -> tuple[Image | None, Fact, str]:
    """A picture and its facts. For an unreadable picture, None, facts with width 0, and the reason."""
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
    """`map` with threads. Yields the results in order and computes a limited number of them ahead."""
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


class ImageStatistics(NamedTuple):
    """The shape and colours of typical pictures of a corpus, from which the network's input is chosen."""

    aspect: float = 1.0  #: median of width / height
    #: Upper quartile of the standard deviation in the strongest of red, green and blue, relative to that in grey.
    colour_contrast: float = 1.0


def image_statistics(samples: Samples, options: ImageOptions = DEFAULT_OPTIONS) -> ImageStatistics:
    """Compute statistics from evenly spaced pictures. Unreadable ones are skipped."""
    aspects, contrasts = [], []
    for index in np.linspace(0, len(samples) - 1, min(len(samples), _LOOKED_AT)).round().astype(int):
        try:
            image = read_image(samples[index].path, 3, options)
        except UnreadablePicture:
            continue
        aspects.append(image.shape[1] / image.shape[0])
        contrasts.append(image.std((0, 1)).max() / max(convert_channels(image, 1).std(), 1.0))
    return (
        ImageStatistics(float(np.median(aspects)), float(np.percentile(contrasts, 75)))
        if aspects
        else ImageStatistics()
    )
