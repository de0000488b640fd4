"""Pictures drawn while a network learns from them: no two epochs see the same ones, and no disk is touched."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from cli.messages import warn
from cli.workers import Workers, result
from crnn_reader.batching import available_cores
from crnn_reader.errors import UserError
from crnn_reader.fit import fit_image, pad_batch
from crnn_reader.image import TooLong
from crnn_reader.pixels import convert_channels
from generate_captcha.style import Style
from generate_captcha.styles import style_of
from parameter import GenerateParameters

#: Labels by which the longest one is guessed.
PREVIEWED = 1000
#: Added to a seed, it gives one that nobody gives to another corpus, such as that which the network is tested by.
UNUSED = 1 << 40
#: So many other pictures are tried in place of one that has no room for its text.
ATTEMPTS = 10

#: Pictures as a network sees them, and their texts.
Pairs = list[tuple[npt.NDArray[np.uint8], str]]


@dataclass(frozen=True)
class Fit:
    """What a network sees of a picture; see `crnn_reader.image.fit_image`."""

    width: int | None
    height: int
    channels: Literal[1, 3]
    how: Literal["stretch", "pad"]


class SyntheticBatches:
    """`parameters.count` pictures an epoch as `(images, labels)`, batch by batch, as `dataset.Batches` has them.

    Epoch e has the pictures e·count … (e + 1)·count - 1 of the corpus that `parameters` describe, others in place of
    those that are `too_long`. A batch depends only on the parameters, epoch, index and `difficulty`.
    """

    def __init__(
        self,
        parameters: GenerateParameters,
        fit: Fit,
        encode: Callable[[str], Sequence[int]],
        batch_size: int,
        too_long: TooLong = lambda label, width, height: None,
    ) -> None:
        """`encode` turns a label into numbers from 1. Raises UserError for fonts and texts that will not do."""
        style = style_of(parameters)
        self.rows = range(parameters.count)
        self._longest, self._any_width = style.longest, fit.width is None
        self._encode, self._batch_size = encode, batch_size
        self._too_long, self._told = too_long, False
        self._seed, self._fresh = parameters.seed, True
        #: 0 … 1; may be changed between epochs, in a style that has difficulties.
        self.difficulty = parameters.difficulty
        self._workers = Workers(parameters.workers or available_cores(), _begin, parameters, fit)

    def unchanging(self, count: int) -> SyntheticBatches:
        """`count` pictures with a seed that no other corpus has, the same in every epoch; the same processes draw them.

        Each process has fonts and letters of its own in memory; those of another group would double it.
        """
        others = copy.copy(self)
        others.rows, others._seed, others._fresh = range(count), self._seed + UNUSED, False
        return others

    @property
    def parts(self) -> int:
        """Every process of a training draws whole batches."""
        return 1

    @property
    def labelled(self) -> dict[str, str]:
        """No picture has a name."""
        return {}

    @property
    def contents(self) -> str:
        """What is drawn follows from the parameters."""
        return ""

    def __len__(self) -> int:
        """Batches per epoch."""
        return -(-len(self.rows) // self._batch_size)

    def stream(self, epoch: int) -> Iterator[tuple[Any, npt.NDArray[np.int32]]]:
        """Batches of an epoch in order, drawn ahead by worker processes.

        Raises UserError for a text that cannot be drawn so that it can be read, when pictures have no room for their
        texts time and again, and when a process was killed.
        """
        first = epoch * len(self.rows) if self._fresh else 0
        waiting: deque[tuple[range, Future[Pairs]]] = deque()
        try:
            for start in range(0, len(self.rows), self._batch_size):
                indices = range(first + start, first + min(start + self._batch_size, len(self.rows)))
                waiting.append((indices, self._drawing(indices)))
                if len(waiting) > 2 * self._workers.count:
                    yield self._batch(*waiting.popleft())
            while waiting:
                yield self._batch(*waiting.popleft())
        finally:
            for _, future in waiting:
                future.cancel()

    def close(self) -> None:
        """End the processes that draw, those of :meth:`unchanging` pictures, too."""
        self._workers.close()

    def _drawing(self, indices: Sequence[int]) -> Future[Pairs]:
        return self._workers.submit(_draw, self._seed, indices, self.difficulty)

    def _with_room(self, indices: range, drawn: Pairs) -> Pairs:
        """What was `drawn`, but another picture wherever one has no room for its text: CTC has no loss for it."""
        attempt = 0
        while reasons := self._reasons(drawn):
            first = next(iter(reasons.values()))
            if not self._told:
                warn(f"left out, and another text drawn, as for all texts that do not fit: {first}")
                self._told = True
            if attempt == ATTEMPTS:
                raise UserError(first)
            attempt += 1
            others = result(self._drawing([indices[row] + attempt * UNUSED for row in reasons]))
            for row, other in zip(reasons, others, strict=True):
                drawn[row] = other
        return drawn

    def _reasons(self, drawn: Pairs) -> dict[int, str]:
        """Why pictures have no room for their texts, by their places in the batch."""
        reasons = (self._too_long(label, image.shape[1], image.shape[0]) for image, label in drawn)
        return {row: reason for row, reason in enumerate(reasons) if reason}

    def _batch(self, indices: range, future: Future[Pairs]) -> tuple[Any, npt.NDArray[np.int32]]:
        drawn = self._with_room(indices, result(future))
        labels = np.zeros((len(drawn), self._longest), np.int32)
        for row, (_, label) in zip(labels, drawn, strict=True):
            numbers = self._encode(label)
            row[: len(numbers)] = numbers
        images = [image for image, _ in drawn]
        return pad_batch(images) if self._any_width else np.stack(images), labels


def preview(parameters: GenerateParameters) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Labels that hold every character, and the sizes (n, 2) of a few pictures, width and height in pixels."""
    style = style_of(parameters)
    labels = [style.label(index) for index in range(min(parameters.count, PREVIEWED))]
    sizes = [style.picture(index)[0].shape[1::-1] for index in range(1 if style.width else 16)]
    return [*labels, *style.alphabet], np.array(sizes)


_drawing: tuple[Style, Fit]


def _begin(parameters: GenerateParameters, fit: Fit) -> None:
    """What a worker process does first."""
    global _drawing
    _drawing = style_of(parameters), fit


def _draw(seed: int, indices: Sequence[int], difficulty: float) -> Pairs:
    style, fit = _drawing
    style.seed, style.difficulty = seed, difficulty
    pictures = []
    for index in indices:
        image, label = style.picture(index)
        image = convert_channels(image, fit.channels)
        pictures.append((fit_image(image, fit.width, fit.height, fit.how), label))
    return pictures
