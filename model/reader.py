"""Files or arrays -> texts: batches, decoding of pictures beside the network, bounded memory."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import picture
from model import model_file
from model.alphabet import Alphabet
from model.heads import HEADS

Source = Path | str | bytes | NDArray[np.uint8]

#: Batches that are prepared ahead of the network: enough to hide a slow file, few enough to hold.
BATCHES_AHEAD = 4


@dataclass(frozen=True)
class Reading:
    """What was read from one source; `error` says why nothing was."""

    source: Source
    text: str = ""
    probability: float = 0.0
    #: (text, probability) of the most probable texts, the first of which is the reading.
    alternatives: list[tuple[str, float]] = field(default_factory=list)
    error: str | None = None


class Reader:
    """Reads pictures with a model file: `Reader("captcha").read(["a.png", "b.png"])`.

    `model` is a file, a run folder or a shipped name; `decoder` is `greedy` or `beam` (None: as the
    model file says); with `top` > 1 readings list that many texts. Raises UserError for a file that
    is no model file of this kit.
    """

    def __init__(
        self,
        model: str = "captcha",
        decoder: str | None = None,
        beam_width: int = 10,
        top: int = 1,
        batch_size: int = 64,
    ) -> None:
        self.path = model_file.locate(model)
        self.network, self.card = model_file.load(self.path)
        from model.network import jit_compile

        self.network.compile(jit_compile=jit_compile())
        self._alphabet = Alphabet(self.card.alphabet)
        self._decoding = (decoder or self.card.decoder, beam_width, top)
        self._batch_size = batch_size

    def read(self, sources: Iterable[Source]) -> Iterator[Reading]:
        """Read any number of sources, in their order; an unreadable one gives a reading with an error.

        Arrays are uint8 (height, width) or (height, width, channels), of any size.
        """
        remaining = iter(sources)
        chunks = iter(lambda: list(islice(remaining, self._batch_size)), [])
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            # Each batch is a list of futures, so that all threads work on the batch that is needed next.
            waiting: deque[list[tuple[Source, Future[Any]]]] = deque()

            def prepare(chunk: list[Source]) -> None:
                waiting.append([(source, pool.submit(self._prepare, source)) for source in chunk])

            for chunk in islice(chunks, BATCHES_AHEAD):
                prepare(chunk)
            while waiting:
                batch = waiting.popleft()
                prepared = [(source, future.result()) for source, future in batch]
                for chunk in islice(chunks, 1):
                    prepare(chunk)
                yield from self._read_batch(prepared)

    def _prepare(self, source: Source) -> NDArray[np.uint8] | str:
        """The picture as the network sees it, or the reason why it cannot be read."""
        try:
            if isinstance(source, np.ndarray):
                image = picture.convert(source, self.card.channels)
            else:
                image = picture.read(source, self.card.channels)
        except picture.UnreadablePicture as error:
            return str(error)
        return picture.fit(image, self.card.width, self.card.height, self.card.fit)

    def _read_batch(self, prepared: list[tuple[Source, NDArray[np.uint8] | str]]) -> Iterator[Reading]:
        images = [image for _, image in prepared if not isinstance(image, str)]
        decoded = iter(self.decode(self.outputs(np.stack(images))) if images else [])
        for source, image in prepared:
            if isinstance(image, str):
                yield Reading(source, error=image)
            else:
                texts = next(decoded)
                yield Reading(source, *texts[0], alternatives=texts)

    def outputs(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The head's outputs for fitted images, uint8 (n, height, width, channels), n up to the batch size."""
        count = len(images)
        # A shape not met before has the network compiled again, at the cost of many batches; with powers
        # of two there are few shapes, and a single picture does not pay for a full batch.
        padded = min(1 << (count - 1).bit_length(), self._batch_size)
        images = np.pad(images, ((0, padded - count), (0, 0), (0, 0), (0, 0)), mode="edge")
        outputs: NDArray[np.float32] = self.network.predict_on_batch(images)[:count]
        return outputs

    def decode(self, outputs: NDArray[np.float32]) -> list[list[tuple[str, float]]]:
        """For each picture the texts and their probabilities, the most probable first."""
        return [
            [(self._alphabet.decode(text.numbers), text.probability) for text in texts]
            for texts in HEADS[self.card.head].decode(outputs, *self._decoding)
        ]
