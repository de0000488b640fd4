"""The public interface of the library: read pictures in batches, with bounded memory."""

from __future__ import annotations

import math
import os
import reprlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from numbers import Real
from typing import Any, BinaryIO, Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from .alphabet import Alphabet
from .batching import available_cores, dynamic_batches, ordered_map
from .decoding import DECODERS, NAMES, decoder_of
from .decoding.calibration import EMPTY_PROBABILITY, calibrated
from .decoding.constraints import Constraint
from .decoding.ctc import CTCDecoder, Decoded, averaged
from .decoding.formats import FormatIndex
from .decoding.layouts import Country, Layout, layouts_of, with_separators
from .errors import UnreadablePicture, UserError
from .fit import FULL_BATCH_WIDTH, WIDTH_STEP, fit_image, pad_batch, visible_width
from .formats import choose_formats, layout_names
from .image import ImageOptions, decode_image
from .limits import MAX_BATCH_SIZE, MAX_BEAM_WIDTH, MAX_PIXELS, MAX_TEXTS, PLATES_TTA
from .model_files import MODEL_FILE_FORMATS, locate_model, open_model, read_config
from .pixels import is_single_colour
from .sources import NO_MEMORY, describe_error
from .trained_sizes import is_unlike_training
from .tta import VIEWS, views

#: A path, the bytes of a file, an open binary file, a Pillow image, or an array.
Source = (
    str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | NDArray[np.uint8] | NDArray[np.uint16] | Any
)

#: Default batch sizes. onnxruntime reads one batch per core and is not faster with larger ones.
BATCH_SIZE, BATCH_SIZE_ONNX = 64, 32
#: Seconds to wait for more pictures after the first one of a batch, if the runtime compiles for each batch size. A list
#: fills a batch sooner, and a user hardly notices the delay of a single picture.
PATIENCE = 0.1
#: Batches to prepare ahead of the network. Enough to hide a slow file, with little memory.
BATCHES_AHEAD = 4
ANY_TEXT = Constraint()
#: With layouts: a text of them that is less probable than this part of the text that is read without them contradicts
#: the picture.
CONTRADICTION = 1e-2
#: Texts with a lower probability are not read again. They mostly contradict a constraint or layouts, and the search for
#: such a text takes long in every changed picture.
HOPELESS = 1e-3
#: Networks of any width: number of batches whose pictures are sorted by width together.
SORTED_BATCHES = 8


@dataclass(frozen=True)
class Character:
    """One character of a reading, with its position.

    Attributes:
        character: the character.
        probability: its calibrated probability, 0 to 1.
        left: first column, in pixels of the picture after EXIF rotation.
        right: end of the columns, exclusive.

    With CTC, the columns are those of the most probable alignment: often a few near the middle of the character. With
    attention, they are around the centre of the attention weights.
    """

    character: str
    probability: float
    left: int
    right: int


@dataclass(frozen=True, repr=False, eq=False)
class Reading:
    """The text of one source, or the `error` with the reason why it could not be read.

    Readings are equal if their :meth:`to_dict` are: the pixels of arrays and the bytes of files are not compared.
    """

    source: Source
    text: str = ""
    #: The calibrated probability of the text, 0 to 1. With formats (docs/plates.md) this is a posterior: the
    #: network's probabilities of the text and its rivals are weighted with the prior before they are normalised.
    probability: float = 0.0
    #: The most probable texts as (text, probability). The first one equals `text` and `probability`.
    alternatives: list[tuple[str, float]] = field(default_factory=list)
    error: str | None = None
    characters: list[Character] = field(default_factory=list)
    #: With a constraint, layouts or formats: whether the text is proven to be the most probable allowed one. None
    #: without them, with attention, whose beam search is not exact, and with test-time augmentation, which chooses from
    #: the texts of several pictures.
    proven: bool | None = None
    #: Layouts of plates that the text fits, by their probability. The probabilities sum to at most 1; the rest is that
    #: of no known format. Empty for models without formats.
    layouts: list[Layout] = field(default_factory=list)
    #: Their countries, by probability.
    countries: list[Country] = field(default_factory=list)
    #: The text as its layout writes it, such as `AB-123 CD`: with separators, and a space where a lower row begins.
    #: Equal to the text if it fits no known layout.
    formatted: str = ""
    #: With `layouts` of the reader: the text that is read without them, if it contradicts them. None otherwise.
    without_layouts: str | None = None
    #: Whether the picture's size or aspect ratio differs much from the training pictures, and its text is unsure: it
    #: may be a photo of more than the text. See trained_sizes.py.
    unlike_training: bool = False
    #: Whether the picture has a single colour, and the number of frames or pages of its file.
    single_colour: bool = False
    frames: int = 1

    def __str__(self) -> str:
        return self.text if self.error is None else f"error: {self.error}"

    def __repr__(self) -> str:
        read = (
            f"text={self.text!r}, probability={self.probability:.4g}" if self.error is None else f"error={self.error!r}"
        )
        return f"Reading({read}, source={self._named_source()!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reading) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash((self._named_source(), self.text, self.error))

    def to_dict(self) -> dict[str, Any]:
        """Convert to a dict for JSON. `source` becomes the path, or `<class name>` for a source that is not a path."""
        entry = {each.name: getattr(self, each.name) for each in fields(self)}
        parts = {name: [asdict(part) for part in entry[name]] for name in ("characters", "layouts", "countries")}
        return entry | {"source": self._named_source()} | parts

    @property
    def country(self) -> str | None:
        """Code of the country of a plate, such as `de`. None if no country has more than half the probability."""
        return self.countries[0].code if self.countries and self.countries[0].probability > 0.5 else None

    def _named_source(self) -> str:
        if isinstance(self.source, (str, os.PathLike)):
            return str(os.fsdecode(self.source))
        return f"<{type(self.source).__name__}>"


class _Fitted(NamedTuple):
    """A picture resized to the input of the network."""

    #: uint8 (height, width, channels).
    image: NDArray[np.uint8]
    #: Columns of the original picture per column of `image`.
    scale: float
    #: Size of the original picture in pixels.
    own_width: int
    own_height: int
    single_colour: bool
    frames: int


def _check_number(name: str, given: object, maximum: int) -> None:
    if isinstance(given, bool) or not isinstance(given, (int, np.integer)) or not 1 <= given <= maximum:
        raise UserError(f"{name} is {given!r}: give a whole number from 1 to {maximum:,}")


class Reader:
    """Reads text in pictures with a model file.

    For example, `Reader("captcha").read_one("a.png").text`.

    A reader is thread-safe. It can be pickled; the copy opens the model file again. After a fork, a reader of an ONNX
    file works in the child process, and a reader of a `.keras` file raises UserError there.

    Arguments:
        model: a model file (`.onnx`; in a clone of crnn-kit also `.keras`), a run folder, or the name of a shipped
            model.
        decoder: `greedy` or `beam`. Default: the decoder in the model file.
        beam_width: number of hypotheses that beam search keeps, 1 to 1,000.
        top: number of alternatives in a reading, 1 to 100.
        batch_size: maximum number of pictures in a batch, 1 to 65,536. Default: 64, or 32 for an ONNX file, with which
            each core reads a batch of its own.
        head: `ctc` or `attention`, for a network with both heads. Default: the head in the model file.
        constraint: a pattern of the whole text such as `"[A-Z]{2}[0-9]{4}"`, or a :class:`Constraint`. With CTC, an
            exact search then finds the most probable allowed text, whatever the `decoder`. With attention, beam search
            looks for it.
        max_pixels: maximum number of pixels of a picture. Larger pictures are not decoded.
        frame: the frame of an animation, or page of a TIFF, to read: `first`, `last` or a number from 1. Default: the
            frame used in training.
        channel_order: order of the colour channels of arrays: `rgb`, or `bgr` for arrays from `cv2.imread`.
        layouts: layouts of plates, such as `["de", "pl_car"]` or `"de,pl_car"`. Every text that is read is then one of
            theirs. An empty list or `"none"` reads without formats. By default, the formats in the model file are a
            prior, which any text can overcome (docs/plates.md); with a constraint they are not used.
        tta: test-time augmentation: pictures whose text has a lower probability than this, 0 to 1, are also read
            slanted, narrowed and zoomed, and the probabilities of their texts are averaged (tta.py). 0 is off. Only for
            CTC. Default: 0.9 for models with formats of plates, else 0.

    Raises UserError for an invalid argument, a file that is not a model file of this kit, layouts that it does not
    have, or a constraint that no text of the model's alphabet satisfies. Raises TypeError for a `model`, `constraint`
    or `layouts` of another type.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] = "captcha",
        decoder: str | None = None,
        beam_width: int = 10,
        top: int = 1,
        batch_size: int | None = None,
        head: str | None = None,
        constraint: Constraint | str = ANY_TEXT,
        max_pixels: int = MAX_PIXELS,
        frame: str | int | None = None,
        channel_order: Literal["rgb", "bgr"] = "rgb",
        layouts: Sequence[str] | str | None = None,
        tta: float | None = None,
    ) -> None:
        if isinstance(constraint, str):
            constraint = Constraint(pattern=constraint)
        if not isinstance(constraint, Constraint):
            raise TypeError(
                f"constraint is a {type(constraint).__name__}: give a pattern such as '[A-Z]{{4}}', or a Constraint"
            )
        for name, given, allowed in (
            ("decoder", decoder, (None, "greedy", "beam")),
            ("head", head, (None, *NAMES)),
            ("channel_order", channel_order, ("rgb", "bgr")),
        ):
            if given not in allowed:
                raise UserError(f"{name} is {given!r}: give one of {', '.join(filter(None, allowed))}")
        if not isinstance(model, (str, os.PathLike)):
            raise TypeError(
                f"model is a {type(model).__name__}: give the path of a model file or run folder, or a shipped name"
            )
        _check_number("beam_width", beam_width, MAX_BEAM_WIDTH)
        _check_number("top", top, MAX_TEXTS)
        if batch_size is not None:
            _check_number("batch_size", batch_size, MAX_BATCH_SIZE)
        if tta is not None and (isinstance(tta, bool) or not isinstance(tta, Real) or not 0 <= tta <= 1):
            raise UserError(f"tta is {reprlib.repr(tta)}: give a probability from 0 to 1")
        self.path = locate_model(os.fspath(model))
        names = layout_names(layouts)
        reading = (decoder, beam_width, top, batch_size, head)
        self._opened_with = (*reading, constraint, max_pixels, frame, channel_order, layouts, tta)
        self.config = read_config(self.path)
        # Check layouts and constraint before opening the network, which takes longer.
        self._chosen = self._index_of(names) if names else None
        self._weighs = names != [] and constraint == ANY_TEXT
        self._alphabet = Alphabet(self.config.alphabet)
        within = self._chosen.automaton(self._alphabet.classes) if self._chosen and constraint != ANY_TEXT else None
        self._allowed = constraint.automaton(self.config.alphabet, within)
        run = open_model(self.path, self.config)
        if head and head not in DECODERS[self.config.head]:
            raise UserError(f"head is {head}: {self.path} has only the head {self.config.head}; leave it out")
        if head and len(DECODERS[self.config.head]) > 1 and head != self.config.reads:
            # The temperature only calibrates the head used for reading in training.
            self.config = replace(self.config, reads=head, temperature=1.0)
        self.options = ImageOptions.of(max_pixels, self.config.frame if frame is None else frame)._replace(
            bgr=channel_order == "bgr"
        )
        self._decoder = decoder_of(run, self.config)
        if self._chosen and self._allowed is None and not self._decoder.weighs:
            self._allowed = self._chosen.automaton(self._alphabet.classes)
        longest = self._decoder.longest
        if longest and self._allowed and (fewest := self._allowed.fewest[0]) > longest:
            raise UserError(
                f"{self.path} writes at most {longest} characters, and the constraint needs at least "
                f"{fewest}: relax it, or train a network for {fewest} characters"
            )
        averages = isinstance(self._decoder, CTCDecoder)
        if tta and not averages:
            raise UserError(f"tta is {tta}: only CTC reads with it, and {self.path} is read with attention", "tta")
        if tta is None:
            tta = PLATES_TTA if self.config.formats and averages else 0.0
        self._tta = tta
        self._top = top
        self._search = (decoder or ("beam" if self._allowed else self.config.decoder), beam_width)
        #: Whether the runtime compiles the network again for every new shape of a batch. Other runtimes compute several
        #: batches in parallel.
        self._compiles = MODEL_FILE_FORMATS[self.path.suffix].compiles
        self._workers = 1 if self._compiles else available_cores()
        self._batch_size = batch_size or (BATCH_SIZE if self._compiles else BATCH_SIZE_ONNX)

    def _index_of(self, names: list[str]) -> FormatIndex:
        """The compiled formats of some layouts."""
        chosen = choose_formats(self.config.formats, names, str(self.path))
        index = FormatIndex(chosen, self.config.alphabet, others=False)
        if index.unwritable:
            first = index.unwritable[0]
            raise UserError(
                f"{self.path} cannot write the texts of the layout {first.name} ({first.title}): leave it out, or use "
                "a model that was trained with its characters",
                "layouts",
            )
        return index

    @cached_property
    def _formats(self) -> FormatIndex | None:
        """The compiled formats, None for a model without them. Compiled when first needed, which takes some 0.1 s."""
        return self._chosen or (FormatIndex(self.config.formats, self.config.alphabet) if self.config.formats else None)

    @cached_property
    def _weights(self) -> FormatIndex | None:
        """The formats if they are used as a prior."""
        return self._formats if self._weighs and self._decoder.weighs else None

    def __reduce__(self) -> tuple[Any, ...]:
        # The other process may have another working directory, so pass an absolute path.
        return type(self), (str(self.path.absolute()), *self._opened_with)

    def read_one(self, source: Source) -> Reading:
        """Read one source, see :meth:`read`. If it cannot be read, the reading has an `error`."""
        (reading,) = self._read_chunk([(source, self._prepare(source))])
        return reading

    def read(self, sources: Iterable[Source]) -> Iterator[Reading]:
        """Read any number of sources. Yields a reading for each one, in order.

        If a source cannot be read, its reading has an `error`.

        Sources are batched dynamically: full batches from fast iterables, partial ones from slow iterables. The
        iterable runs in another thread, a few batches ahead of the readings.

        Arguments:
            sources: an iterable of paths (str or os.PathLike), bytes of files, open binary files, Pillow images and
                arrays. Arrays are uint8 or uint16 of shape (height, width), or (height, width, channels) with 1, 3 or 4
                channels in `channel_order`, alpha last.

        Raises TypeError if `sources` is a single source, and any exception of the iterable. Raises UserError if the
        network gives outputs that are not valid, and in a forked process that continues the iterator of its parent.
        """
        one = isinstance(sources, np.ndarray) and (
            sources.ndim == 2 or (sources.ndim == 3 and sources.shape[2] in (1, 3, 4))
        )
        one |= isinstance(sources, (str, bytes, bytearray, memoryview, os.PathLike)) or hasattr(sources, "read")
        if one or not (hasattr(sources, "__iter__") or hasattr(sources, "__getitem__")):
            raise TypeError(f"sources is a {type(sources).__name__}: give a list, such as [source], or call read_one")
        return self._readings(sources)

    def _readings(self, sources: Iterable[Source]) -> Iterator[Reading]:
        if isinstance(sources, Sequence) and len(sources) == 1:
            # Reading a single picture is faster than starting a thread.
            yield self.read_one(sources[0])
            return
        # A network of any width gets several batches at once, to group pictures of similar width.
        batches, ahead = (1, BATCHES_AHEAD) if self.config.width else (SORTED_BATCHES, 2)
        size = batches * self._batch_size
        prepared = dynamic_batches(sources, self._prepare, size, ahead, PATIENCE if self._compiles else 0.0)
        for readings in ordered_map(prepared, self._read_chunk, self._workers):
            yield from readings

    def _prepare(self, source: Source) -> _Fitted | str:
        """Decode a source and resize it for the network. Returns the reason as a str if it cannot be read."""
        config = self.config
        try:
            image, frames = decode_image(source, config.channels, self.options)
            height, width, _ = image.shape
            fitted = fit_image(image, config.width, config.height, config.fit)
            scale = width / visible_width(width, height, config.width, config.height, config.fit)
            return _Fitted(fitted, scale, width, height, is_single_colour(image), frames)
        except UnreadablePicture as error:
            return str(error)
        except (MemoryError, cv2.error):
            return NO_MEMORY
        except Exception as error:  # a source may be of any class, and its methods may raise anything
            return (
                f"a {type(source).__name__} that cannot be read ({describe_error(error)}): give a path, the bytes of a "
                "file, an open file or an array of uint8"
            )

    def _read_chunk(self, prepared: list[tuple[Source, _Fitted | str]]) -> list[Reading]:
        images = [fitted.image for _, fitted in prepared if not isinstance(fitted, str)]
        decoded: list[tuple[list[Decoded], int]] = [([], 0)] * len(images)
        #: With layouts, the texts that are read without them.
        free: list[Decoded | None] = [None] * len(images)
        for indices in self._batches(images):
            batch = [images[index] for index in indices]
            outputs = self.outputs(batch)
            steps = (outputs[0] if isinstance(outputs, list) else outputs).shape[1]
            for index, texts in zip(indices, self._with_views(batch, outputs), strict=True):
                decoded[index] = texts, steps
            if self._chosen:
                for index, (text, *_) in zip(indices, self._decoder.decode(outputs, "greedy", 1, 1), strict=True):
                    free[index] = text
        remaining, readings = iter(zip(decoded, free, strict=True)), []
        for source, fitted in prepared:
            if isinstance(fitted, str):
                readings.append(Reading(source, error=fitted))
                continue
            (texts, steps), without = next(remaining)
            if texts:
                found = [(self._alphabet.decode(text.numbers), text.probability) for text in texts[: self._top]]
                characters = self._characters(texts[0], fitted, steps)
                layouts, countries = layouts_of(texts, self._formats) if self._formats else ([], [])
                reading = Reading(
                    source,
                    *found[0],
                    alternatives=found,
                    characters=characters,
                    proven=texts[0].proven,
                    layouts=layouts,
                    countries=countries,
                    formatted=self._formatted(texts[0], found[0][0], steps),
                    without_layouts=self._contradiction(texts[0], without),
                    unlike_training=is_unlike_training(
                        self.config, fitted.own_width, fitted.own_height, texts[0].probability
                    ),
                    single_colour=fitted.single_colour,
                    frames=fitted.frames,
                )
                readings.append(reading)
            else:
                readings.append(Reading(source, error=self._nothing_fits(without)))
        return readings

    def _with_views(self, images: list[NDArray[np.uint8]], outputs: Any) -> list[list[Decoded]]:
        """Decode the outputs for a batch of pictures, with test-time augmentation of unsure texts."""
        decoded = self.decode(outputs)
        unsure = [
            row
            for row, texts in enumerate(decoded)
            if texts and texts[0].numbers and HOPELESS <= texts[0].probability < self._tta
        ]
        # All views of a picture are read in the same batch if they fit into one, and else in several of one picture.
        together = max(1, self._batch_size // len(VIEWS))
        for start in range(0, len(unsure), together):
            rows = unsure[start : start + together]
            changed = [view for row in rows for view in views(images[row])]
            parts = [
                self.outputs(changed[first : first + self._batch_size])
                for first in range(0, len(changed), self._batch_size)
            ]
            found = [texts for part in parts for texts in self._uncalibrated(part)]
            of_views = np.concatenate(parts)
            for place, row in enumerate(rows):
                own = slice(place * len(VIEWS), (place + 1) * len(VIEWS))
                decoded[row] = self._with_calibration(
                    averaged(
                        [outputs[row : row + 1], of_views[own]],
                        [texts[: self._top] for texts in (decoded[row], *found[own])],
                        self._weights,
                    )
                )
        return decoded

    def _formatted(self, text: Decoded, characters: str, steps: int) -> str:
        """A text with the separators of its layout. `steps` is the length of the outputs."""
        if not self._formats:
            return characters
        return with_separators(text, characters, self._formats, steps // self.config.rows)

    def _contradiction(self, text: Decoded, without: Decoded | None) -> str | None:
        """The text that is read without layouts, if the text that is read with them is too improbable beside it."""
        if without is None or without.numbers == text.numbers or not without.numbers:
            return None
        if self._chosen and self._chosen.forms_of(without.numbers):
            # The text contradicts the constraint.
            return None
        limit = CONTRADICTION * self._calibrated(without.probability)
        return self._alphabet.decode(without.numbers) if text.probability < limit else None

    def _nothing_fits(self, without: Decoded | None) -> str:
        """The error of a picture into which no allowed text fits."""
        if without is None:
            return "no text that satisfies the constraint fits into this picture"
        text = self._alphabet.decode(without.numbers)
        return f"no text of the layouts fits into this picture, which is read as {text!r} without them"

    def _characters(self, text: Decoded, fitted: _Fitted, steps: int) -> list[Character]:
        """The characters of a text with their positions in the picture. `steps` is the length of the outputs."""
        # The columns of several text lines are concatenated.
        columns = steps // self.config.rows
        pixels = fitted.scale * (self.config.width / columns if self.config.width else WIDTH_STEP)
        characters = []
        for number, span in zip(text.numbers, text.spans, strict=True):
            start, end = span.start % columns, span.start % columns + span.end - span.start
            left = min(math.floor(start * pixels), fitted.own_width - 1)
            right = min(max(math.ceil(end * pixels), left + 1), fitted.own_width)
            characters.append(Character(self._alphabet.decode([number]), span.probability, left, right))
        return characters

    def _batches(self, images: list[NDArray[np.uint8]]) -> Iterator[list[int]]:
        """Yield batches as indices into `images`, sorted by width. Batches of wide pictures are smaller."""
        order = sorted(range(len(images)), key=lambda index: images[index].shape[1])
        start = 0
        for end in range(1, len(order) + 1):
            wider = images[order[end]].shape[1] * (end + 1 - start) if end < len(order) else math.inf
            if end - start == self._batch_size or wider > self._batch_size * FULL_BATCH_WIDTH:
                yield order[start:end]
                start = end

    def allows(self, text: str) -> bool:
        """Whether constraint and layouts allow `text`. Without them, every text is allowed."""
        if self._allowed is None and self._chosen is None:
            return True
        if not set(text) <= set(self.config.alphabet):
            return False
        numbers = tuple(self._alphabet.encode(text))
        if self._allowed is not None:
            return self._allowed.accepts(numbers)
        return bool(self._chosen and self._chosen.forms_of(numbers))

    def outputs(self, images: Sequence[NDArray[np.uint8]] | NDArray[np.uint8]) -> Any:
        """Run the network on pictures that :func:`crnn_reader.image.fit_image` has resized.

        Arguments:
            images: at most `batch_size` pictures, uint8 (height, width, channels) each.

        Returns the outputs that :meth:`decode` takes: an array or a list of arrays, with the batch as their first axis.
        """
        batch, widths = pad_batch(images) if self.config.width is None else (np.asarray(images), None)
        count = len(batch)
        if self._compiles:
            # Compiling for a new shape takes as long as many batches. Padding to powers of two limits the number of
            # shapes, and a single picture does not cost as much as a full batch.
            padded = np.minimum(np.arange(min(1 << (count - 1).bit_length(), self._batch_size)), count - 1)
            batch, widths = batch[padded], None if widths is None else widths[padded]
        outputs = self._decoder.outputs(batch if widths is None else (batch, widths))
        return [part[:count] for part in outputs] if isinstance(outputs, list) else outputs[:count]

    def decode(self, outputs: Any) -> list[list[Decoded]]:
        """Decode outputs of the network to texts with calibrated probabilities.

        Returns the texts of each picture, the most probable first, or an empty list if no allowed text is possible.
        With formats there may be more than `top`. The probabilities of characters are calibrated with the same
        temperature, which preserves products. The empty text has EMPTY_PROBABILITY.
        """
        return [self._with_calibration(texts) for texts in self._uncalibrated(outputs)]

    def _uncalibrated(self, outputs: Any) -> list[list[Decoded]]:
        return self._decoder.decode(outputs, *self._search, self._top, self._allowed, self._weights)

    def _with_calibration(self, texts: list[Decoded]) -> list[Decoded]:
        return [
            text._replace(
                probability=self._calibrated(text.probability) if text.numbers else EMPTY_PROBABILITY,
                spans=tuple(span._replace(probability=self._calibrated(span.probability)) for span in text.spans),
            )
            for text in texts
        ]

    def _calibrated(self, probability: float) -> float:
        return calibrated(probability, self.config.temperature)
