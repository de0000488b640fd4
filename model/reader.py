"""Files or arrays -> texts: batches, decoding of pictures beside the network, bounded memory."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO, Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

import console
import notation
import picture
from console import UserError
from model import model_file
from model.alphabet import Alphabet
from model.arrivals import arrivals, overlapping
from model.calibration import EMPTY_PROBABILITY, calibrated
from model.constraints import Constraint
from model.decoding import Decoded
from model.heads import HEADS
from model.trained_sizes import is_far

#: A path, the bytes of a file, an open binary file, an image of Pillow, or an array.
Source = (
    str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | NDArray[np.uint8] | NDArray[np.uint16] | Any
)

#: Pictures that are read together; by onnxruntime, which gains nothing from more, on each core.
BATCH_SIZE, BATCH_SIZE_ONNX = 64, 32
#: Seconds for which a batch waits to be filled, once there is something in it, where a small one costs much per
#: picture: longer than any list takes, and short for a user who waits for one picture.
PATIENCE = 0.1
#: Batches that are prepared ahead of the network: enough to hide a slow file, few enough to hold.
BATCHES_AHEAD = 4
ANY_TEXT = Constraint()
#: Stands for the columns of an output that is no number.
NO_NUMBER = -1
#: Batches among which a network of any width looks for pictures of similar width.
WINDOW = 8


@dataclass(frozen=True)
class Character:
    """One character of a reading: its probability, and the columns of pixels `left` to `right` where it was read.

    They are those of the picture as it is shown, `right` itself no longer among them. CTC reads a character in the
    columns of the most probable alignment, often just one near its middle; attention looks around a centre.
    """

    character: str
    probability: float
    left: int
    right: int


@dataclass(frozen=True)
class Reading:
    """What was read from one source; `error` says why nothing was."""

    source: Source
    text: str = ""
    probability: float = 0.0
    #: (text, probability) of the most probable texts, the first of which is the reading.
    alternatives: list[tuple[str, float]] = field(default_factory=list)
    error: str | None = None
    characters: list[Character] = field(default_factory=list)
    #: Under a constraint: whether no allowed text is more probable, as far as it was proven. None where nobody looked:
    #: without a constraint, and with attention, whose beam proves nothing.
    proven: bool | None = None
    #: Whether the picture's size or shape is far from those of the training pictures; see model.trained_sizes.
    far: bool = False
    #: Whether the picture has a single colour, and how many frames or pages its file has.
    plain: bool = False
    frames: int = 1


class _Fitted(NamedTuple):
    """A picture as the network sees it, and how many pixels of its own each column of that shows."""

    image: NDArray[np.uint8]
    scale: float
    own_width: int
    own_height: int
    plain: bool
    frames: int


def _check_number(name: str, given: object, most: int) -> None:
    if isinstance(given, bool) or not isinstance(given, (int, np.integer)) or not 1 <= given <= most:
        raise UserError(f"{name} is {given!r}: give a whole number from 1 to {most:,}")


class Reader:
    """Reads pictures with a model file: `Reader("captcha").read(["a.png", "b.png"])`.

    `model` is a file (`.keras`, or `.onnx`, which needs no Keras), a run folder or a shipped name; `decoder` is
    `greedy` or `beam` (None: as the model file says); with `top` > 1 readings list that many texts. With a
    `constraint`, such as `Constraint(length="7", pattern="[A-Z]+[0-9]+")`, texts satisfy it; CTC then finds the most
    probable of them, whatever the decoder, and attention looks for it by beam search. Raises UserError for a file that
    is no model file of this kit, and for a constraint that no text of the model satisfies; TypeError for a constraint
    that is none. A pickled Reader opens its file anew; so does one of an ONNX file in a forked process, where one of a
    `.keras` file raises UserError. Batches have `batch_size`
    pictures, by default 64, and 32 of an ONNX file, of which every core reads one. Pictures of more than `max_pixels`
    are not decoded. Of an animation, or a TIFF of several pages, `frame` is read: `first`, `last` or a number from 1;
    None: the frame that was read in training.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] = "captcha",
        decoder: str | None = None,
        beam_width: int = 10,
        top: int = 1,
        batch_size: int | None = None,
        head: Literal["ctc", "attention"] | None = None,
        constraint: Constraint = ANY_TEXT,
        max_pixels: int = picture.MOST_PIXELS,
        frame: str | int | None = None,
    ) -> None:
        if not isinstance(constraint, Constraint):
            raise TypeError(
                f"constraint is a {type(constraint).__name__}: give a Constraint, such as "
                "Constraint(pattern='[A-Z]{4}')"
            )
        for name, given, allowed in (("decoder", decoder, ("greedy", "beam")), ("head", head, ("ctc", "attention"))):
            if given not in (None, *allowed):
                raise UserError(f"{name} is {given!r}: give one of {', '.join(allowed)}")
        if not isinstance(model, (str, os.PathLike)):
            raise TypeError(
                f"model is a {type(model).__name__}: give the path of a model file or run folder, or a shipped name"
            )
        _check_number("beam_width", beam_width, notation.WIDEST_BEAM)
        _check_number("top", top, notation.MOST_TEXTS)
        if batch_size is not None:
            _check_number("batch_size", batch_size, notation.LARGEST_BATCH)
        self.path = model_file.locate(os.fspath(model))
        self._opened_with = (decoder, beam_width, top, batch_size, head, constraint, max_pixels, frame)
        # First of all, being soon done: what is wrong with it is told before the network is opened.
        self._allowed = constraint.automaton(model_file.read_card(self.path).alphabet)
        run, self.card = model_file.opened(self.path)
        if head not in (None, self.card.head) and self.card.head != "joint":
            raise UserError(f"--head {head}: {self.path} has only the head {self.card.head}; leave --head out")
        if self.card.head == "joint" and head not in (None, self.card.reads):
            # The temperature is that of the part which read in training.
            self.card = replace(self.card, reads=head, temperature=1.0)
        self.options = picture.Options.of(max_pixels, self.card.frame if frame is None else frame)
        self._decoder = HEADS[self.card.head].decoder(run, self.card)
        self._alphabet = Alphabet(self.card.alphabet)
        attention = self.card.head == "attention" or (self.card.head == "joint" and self.card.reads == "attention")
        if attention and self._allowed and (fewest := self._allowed.fewest[0]) > self.card.longest:
            raise UserError(
                f"{self.path} writes at most {self.card.longest} characters, and the constraint needs at least "
                f"{fewest}: loosen it, or train with --longest {fewest}"
            )
        self._decoding = (decoder or ("beam" if self._allowed else self.card.decoder), beam_width, top)
        #: Keras compiles the network for every shape of a batch that it has not met before; onnxruntime does not, and
        #: computes several batches at a time.
        self._compiles = self.path.suffix != ".onnx"
        self._workers = 1 if self._compiles else console.cores()
        self._batch_size = batch_size or (BATCH_SIZE if self._compiles else BATCH_SIZE_ONNX)

    def __reduce__(self) -> tuple[Any, ...]:
        # Another process opens the file anew, wherever it runs.
        return type(self), (str(self.path.absolute()), *self._opened_with)

    def read(self, sources: Iterable[Source]) -> Iterator[Reading]:
        """Read any number of sources, in their order; an unreadable one gives a reading with an error.

        They are taken by the batch where they come fast, and read as they come where they come slowly. The iterator
        is run in another thread, and is ahead of the readings by a few batches.
        A source is a path (a str or any os.PathLike), the bytes of a file, a binary file that is open, an image of
        Pillow, or an array. Arrays are uint8 or uint16, of at most `max_pixels`: (height, width), or (height, width,
        channels) in the order RGB or RGBA; what cv2.imread gives is BGR, and becomes RGB by `[..., ::-1]`. Raises
        TypeError for one source in place of several.
        """
        one = isinstance(sources, np.ndarray) and (
            sources.ndim == 2 or (sources.ndim == 3 and sources.shape[2] in (1, 3, 4))
        )
        if isinstance(sources, (str, bytes, bytearray, memoryview, os.PathLike)) or one or hasattr(sources, "read"):
            raise TypeError(f"sources is a {type(sources).__name__}: give a list, such as [source]")
        if isinstance(sources, Sequence) and len(sources) == 1:
            # A picture alone is read sooner than a thread is started.
            yield from self._read_chunk([(sources[0], self._prepare(sources[0]))])
            return
        # Pictures of similar width are read together: a network of any width looks through several batches for them.
        size, ahead = (self._batch_size, BATCHES_AHEAD) if self.card.width else (self._batch_size * WINDOW, 2)
        prepared = arrivals(sources, self._prepare, size, ahead, PATIENCE if self._compiles else 0.0)
        for readings in overlapping(prepared, self._read_chunk, self._workers):
            yield from readings

    def _prepare(self, source: Source) -> _Fitted | str:
        """The picture as the network sees it, or the reason why it cannot be read."""
        card = self.card
        try:
            image, frames = picture.decode(source, card.channels, self.options)
            height, width, _ = image.shape
            fitted = picture.fit(image, card.width, card.height, card.fit)
            scale = width / picture.shown_width(width, height, card.width, card.height, card.fit)
            return _Fitted(fitted, scale, width, height, picture.is_plain(image), frames)
        except picture.UnreadablePicture as error:
            return str(error)
        except (MemoryError, cv2.error):
            return picture.NO_MEMORY
        except Exception as error:  # a source may be of any class, whose methods raise anything
            return (
                f"a {type(source).__name__} that cannot be read ({picture.said(error)}): give a path, the bytes of a "
                "file, an open file or an array of uint8"
            )

    def _read_chunk(self, prepared: list[tuple[Source, _Fitted | str]]) -> list[Reading]:
        images = [fitted.image for _, fitted in prepared if not isinstance(fitted, str)]
        decoded: list[tuple[list[Decoded], int]] = [([], 0)] * len(images)
        for places in self._batches(images):
            outputs = self.outputs([images[place] for place in places])
            parts = outputs if isinstance(outputs, list) else [outputs]
            wrong = np.any([np.isnan(part).reshape(len(places), -1).any(axis=1) for part in parts], axis=0)
            for place, texts, is_wrong in zip(places, self.decode(outputs), wrong, strict=True):
                decoded[place] = texts, NO_NUMBER if is_wrong else parts[0].shape[1]
        remaining, readings = iter(decoded), []
        for source, fitted in prepared:
            if isinstance(fitted, str):
                readings.append(Reading(source, error=fitted))
                continue
            texts, steps = next(remaining)
            if steps == NO_NUMBER:
                reason = "the network gives no number for this picture: its model file is damaged"
                readings.append(Reading(source, error=reason))
            elif texts:
                found = [(self._alphabet.decode(text.numbers), text.probability) for text in texts]
                characters = self._characters(texts[0], fitted, steps)
                far = is_far(self.card, fitted.own_width, fitted.own_height)
                proven, plain, frames = texts[0].proven, fitted.plain, fitted.frames
                readings.append(Reading(source, *found[0], found, None, characters, proven, far, plain, frames))
            else:
                reason = "no text that satisfies the constraint fits into this picture"
                readings.append(Reading(source, error=reason))
        return readings

    def _characters(self, text: Decoded, fitted: _Fitted, steps: int) -> list[Character]:
        """The characters of a text with their places in the picture itself; `steps` are the columns of the network."""
        # Rows of text lie one after the other.
        columns = steps // self.card.rows
        pixels = fitted.scale * (self.card.width / columns if self.card.width else picture.WIDTH_STEP)
        characters = []
        for number, place in zip(text.numbers, text.places, strict=True):
            start, end = place.start % columns, place.start % columns + place.end - place.start
            left = min(math.floor(start * pixels), fitted.own_width - 1)
            right = min(max(math.ceil(end * pixels), left + 1), fitted.own_width)
            characters.append(Character(self._alphabet.decode([number]), place.probability, left, right))
        return characters

    def _batches(self, images: list[NDArray[np.uint8]]) -> Iterator[list[int]]:
        """The places of images that are read together: narrow ones by the batch, wide ones fewer at a time."""
        order = sorted(range(len(images)), key=lambda place: images[place].shape[1])
        start = 0
        for end in range(1, len(order) + 1):
            wider = images[order[end]].shape[1] * (end + 1 - start) if end < len(order) else math.inf
            if end - start == self._batch_size or wider > self._batch_size * picture.FULL_BATCH_WIDTH:
                yield order[start:end]
                start = end

    def allows(self, text: str) -> bool:
        """Whether the constraint allows `text`."""
        if self._allowed is None:
            return True
        return set(text) <= set(self.card.alphabet) and self._allowed.accepts(tuple(self._alphabet.encode(text)))

    def outputs(self, images: Sequence[NDArray[np.uint8]] | NDArray[np.uint8]) -> Any:
        """What the network says of fitted images, uint8 (height, width, channels), no more than the batch size."""
        batch, widths = picture.side_by_side(images) if self.card.width is None else (np.asarray(images), None)
        count = len(batch)
        if self._compiles:
            # A shape not met before costs as much as many batches; with powers of two there are few shapes, and a
            # single picture does not pay for a full batch.
            padded = np.minimum(np.arange(min(1 << (count - 1).bit_length(), self._batch_size)), count - 1)
            batch, widths = batch[padded], None if widths is None else widths[padded]
        outputs = self._decoder.outputs(batch if widths is None else (batch, widths))
        return [part[:count] for part in outputs] if isinstance(outputs, list) else outputs[:count]

    def decode(self, outputs: Any) -> list[list[Decoded]]:
        """For each picture the texts, the most probable first, calibrated; none where none is allowed.

        Probabilities of single characters are mended alike: what is their product before is their product after. The
        empty text has EMPTY_PROBABILITY.
        """

        def mended(text: Decoded) -> Decoded:
            if not text.numbers:
                return text._replace(probability=EMPTY_PROBABILITY)
            places = tuple(place._replace(probability=self._calibrated(place.probability)) for place in text.places)
            return text._replace(probability=self._calibrated(text.probability), places=places)

        texts_of_pictures = self._decoder.decode(outputs, *self._decoding, self._allowed)
        return [[mended(text) for text in texts] for texts in texts_of_pictures]

    def _calibrated(self, probability: float) -> float:
        return calibrated(probability, self.card.temperature)
