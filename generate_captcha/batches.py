"""Pictures that are drawn during training: every epoch has new ones, and none is written to disk."""

from __future__ import annotations

import contextlib
import copy
import itertools
import logging
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from cli.flags import with_flags
from cli.workers import Workers, result
from crnn_reader.batching import available_cores
from crnn_reader.errors import UserError
from crnn_reader.fit import fit_image, pad_batch
from crnn_reader.image import TooLong
from crnn_reader.pixels import convert_channels
from generate_captcha.seeded_random import SeededRandom
from generate_captcha.style import Style
from generate_captcha.styles import style_of
from parameter import GenerateParameters

logger = logging.getLogger(__name__)

#: Number of labels in a preview.
PREVIEWED = 1000
#: Added to a seed or index, so that the pictures are in no other corpus, such as that for testing.
UNUSED = 1 << 40
#: Number of other pictures to try in place of one that has no room for its text.
ATTEMPTS = 10

#: Number of batches whose pictures are sorted by width together.
SORTED_TOGETHER = 16

#: Resized pictures, uint8 (height, width, channels), and their texts.
Pairs = list[tuple[npt.NDArray[np.uint8], str]]


@dataclass(frozen=True)
class Fit:
    """How pictures are resized for the network; see `crnn_reader.fit.fit_image`."""

    width: int | None
    height: int
    channels: Literal[1, 3]
    how: Literal["stretch", "pad"]


class SyntheticBatches:
    """Batches `(images, labels)` like those of `dataset.Batches`, with `parameters.count` new pictures per epoch.

    Epoch e has the pictures e·count to (e + 1)·count - 1 of the corpus of `parameters`, with others in place of those
    that are `too_long`. A batch depends only on the parameters, epoch, index and `difficulty`.
    """

    def __init__(
        self,
        parameters: GenerateParameters,
        fit: Fit,
        encode: Callable[[str], Sequence[int]],
        batch_size: int,
        too_long: TooLong = lambda label, width, height: None,
    ) -> None:
        """Create the batches and their worker processes.

        Arguments:
            fit: size and channels of the images.
            encode: converts a label to class numbers from 1.
            too_long: returns the reason if a picture of this width and height has no room for its label.

        Raises UserError for unusable fonts and texts.
        """
        style = style_of(parameters)
        self.rows = range(parameters.count)
        self._longest, self._any_width = style.longest, fit.width is None
        self._encode, self._batch_size = encode, batch_size
        self._too_long, self._warned = too_long, False
        self._seed, self._fresh = parameters.seed, True
        #: From 0 to 1, for styles that have it. May be changed between epochs.
        self.difficulty = parameters.difficulty
        #: As in `dataset.Batches`: each process of a training draws whole batches, and the pictures have no names or
        #: digest, because the parameters determine them.
        self.processes, self.labelled, self.contents = 1, dict[str, str](), ""
        self._workers = Workers(parameters.workers or available_cores(), _begin, parameters, fit)

    def unchanging(self, count: int) -> SyntheticBatches:
        """Return batches of `count` pictures that are in no other corpus, the same in every epoch.

        They share the worker processes: others would need as much memory again for fonts and cached letters.
        """
        others = copy.copy(self)
        others.rows, others._seed, others._fresh = range(count), self._seed + UNUSED, False
        return others

    def __len__(self) -> int:
        """Batches per epoch."""
        return -(-len(self.rows) // self._batch_size)

    def stream(self, epoch: int) -> Iterator[tuple[Any, npt.NDArray[np.int32]]]:
        """Yield the batches of an epoch in order, drawn ahead by worker processes.

        With any width, pictures of similar width are in a batch, so that little of it is padding.

        Yields:
            Images, uint8 (n, height, width, channels), for any width a tuple of padded images and widths; and labels,
            int32 (n, longest), class numbers padded with 0.

        Raises:
            UserError: a text cannot be drawn legibly, repeatedly there is no room for texts, or a process was killed.
        """
        first = epoch * len(self.rows) if self._fresh else 0
        with contextlib.closing(self._chunks(first)) as chunks:
            while group := list(itertools.islice(chunks, SORTED_TOGETHER if self._any_width else 1)):
                pictures = list(itertools.chain.from_iterable(group))
                if self._any_width:
                    pictures.sort(key=lambda pair: pair[0].shape[1])
                starts = list(range(0, len(pictures), self._batch_size))
                # Batches of narrow and wide pictures alternate at random.
                rng = SeededRandom(f"{self._seed}:{first}")
                starts.sort(key=lambda _: rng.random())
                for start in starts:
                    yield self._batch(pictures[start : start + self._batch_size])
                first += len(pictures)

    def _chunks(self, first: int) -> Generator[Pairs, None, None]:
        """Yield the pictures of an epoch from index `first`, in order, as many at once as a batch has."""
        waiting: deque[tuple[range, Future[Pairs]]] = deque()
        try:
            for start in range(0, len(self.rows), self._batch_size):
                indices = range(first + start, first + min(start + self._batch_size, len(self.rows)))
                waiting.append((indices, self._submit(indices)))
                if len(waiting) > 2 * self._workers.count:
                    yield self._with_room(*waiting.popleft())
            while waiting:
                yield self._with_room(*waiting.popleft())
        finally:
            for _, future in waiting:
                future.cancel()

    def close(self) -> None:
        """End the worker processes, which :meth:`unchanging` batches share."""
        self._workers.close()

    def _submit(self, indices: Sequence[int]) -> Future[Pairs]:
        return self._workers.submit(_draw, self._seed, indices, self.difficulty)

    def _with_room(self, indices: range, future: Future[Pairs]) -> Pairs:
        """Replace pictures that have no room for their text, for which CTC has no loss."""
        drawn, attempt = result(future), 0
        while reasons := self._reasons(drawn):
            first = next(iter(reasons.values()))
            if not self._warned:
                logger.warning(
                    with_flags(f"replaced a text that does not fit, as all such texts: {first}", **first.parameters)
                )
                self._warned = True
            if attempt == ATTEMPTS:
                raise first
            attempt += 1
            others = result(self._submit([indices[row] + attempt * UNUSED for row in reasons]))
            for row, other in zip(reasons, others, strict=True):
                drawn[row] = other
        return drawn

    def _reasons(self, drawn: Pairs) -> dict[int, UserError]:
        """Return the reasons why pictures have no room for their texts, by their index in the batch."""
        reasons = (self._too_long(label, image.shape[1], image.shape[0]) for image, label in drawn)
        return {row: reason for row, reason in enumerate(reasons) if reason}

    def _batch(self, drawn: Pairs) -> tuple[Any, npt.NDArray[np.int32]]:
        labels = np.zeros((len(drawn), self._longest), np.int32)
        for row, (_, label) in zip(labels, drawn, strict=True):
            numbers = self._encode(label)
            row[: len(numbers)] = numbers
        images = [image for image, _ in drawn]
        return pad_batch(images) if self._any_width else np.stack(images), labels


def preview(parameters: GenerateParameters) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Return labels that contain all characters, and width and height of some pictures in pixels, (n, 2)."""
    style = style_of(parameters)
    labels = [style.label(index) for index in range(min(parameters.count, PREVIEWED))]
    sizes = [style.picture(index)[0].shape[1::-1] for index in range(1 if style.width else 16)]
    return [*labels, *style.alphabet], np.array(sizes)


#: State of a worker process.
_style_and_fit: tuple[Style, Fit]


def _begin(parameters: GenerateParameters, fit: Fit) -> None:
    """Initialise a worker process."""
    global _style_and_fit
    _style_and_fit = style_of(parameters), fit


def _draw(seed: int, indices: Sequence[int], difficulty: float) -> Pairs:
    style, fit = _style_and_fit
    style.seed, style.difficulty = seed, difficulty
    pictures = []
    for index in indices:
        image, label = style.picture(index)
        image = convert_channels(image, fit.channels)
        pictures.append((fit_image(image, fit.width, fit.height, fit.how), label))
    return pictures
