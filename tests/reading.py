"""A stand-in for the network: it reads the grey level of a picture, `7.png` of level 7 as `7`; 200 and more with doubt.

Files are found, opened, refused, compared and written by the real code; what a real network makes of pictures is
tested with the real one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np

from crnn_reader.decoding.constraints import Constraint
from crnn_reader.errors import UnreadablePicture
from crnn_reader.image import ImageOptions, read_image
from crnn_reader.parsing import MAX_PIXELS
from crnn_reader.reader import Reading


def level(path: Path, value: int) -> Path:
    """Write a small picture of one grey level."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = cv2.imencode(".png", np.full((8, 16), value, np.uint8))[1].tobytes()
    path.write_bytes(data)
    return path


class LevelReader:
    """Has the face of crnn_reader.Reader."""

    def __init__(
        self,
        model: str = "captcha",
        decoder: str | None = None,
        beam_width: int = 10,
        top: int = 1,
        batch_size: int = 64,
        head: str | None = None,
        constraint: Constraint | None = None,
        max_pixels: int = MAX_PIXELS,
        frame: str | None = None,
    ) -> None:
        self.options = ImageOptions.of(max_pixels, frame or "first")
        self.path = Path(model)
        self.config = SimpleNamespace(alphabet="0123456789")
        self.top = top
        self.allowed = (constraint or Constraint()).automaton(self.config.alphabet)

    def allows(self, text: str) -> bool:
        return self.allowed is None or self.allowed.accepts(
            tuple(self.config.alphabet.index(each) + 1 for each in text)
        )

    def read(self, sources: Iterable[str]) -> Iterator[Reading]:
        for source in sources:
            try:
                value = int(read_image(source, 1, self.options)[0, 0, 0])
            except UnreadablePicture as error:
                yield Reading(source, error=str(error))
            else:
                texts = [(f"{value}", 0.75 if value < 200 else 0.25), (f"{value}?", 0.125)][: self.top]
                yield Reading(source, *texts[0], alternatives=texts)
