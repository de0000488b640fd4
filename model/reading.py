"""Read pictures for a command: a reader for its flags, readings with their labels, and a summary at the end."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TypeVar

from cli.flags import with_flags
from cli.remarks import ImageRemarks
from crnn_reader.decoding.constraints import Constraint
from crnn_reader.errors import UserError
from crnn_reader.formats import listing
from crnn_reader.model_files import locate_model, read_config
from crnn_reader.reader import Reader, Reading
from crnn_reader.sources import MISSING
from crnn_reader.trained_sizes import crops_expected
from model.scores import Labelled, score
from model.tables import Row
from parameter import ReadingParameters

logger = logging.getLogger(__name__)

#: Maximum number of pictures on a contact sheet: the first ones.
PLOTTED = 96


Sample = TypeVar("Sample", bound=Labelled)


def reader_of(flags: ReadingParameters, model: str | None = None, top: int = 1) -> Reader:
    """The Reader that `flags` ask for, or one for another `model`. Raises UserError as Reader does."""
    return Reader(
        model or flags.model,
        flags.decoder,
        flags.beam_width,
        top,
        flags.batch_size,
        flags.head,
        Constraint(flags.length, flags.charset, flags.pattern, flags.lexicon),
        flags.max_pixels,
        flags.frame,
        layouts=flags.layouts,
        tta=flags.tta,
    )


def layout_lines(model: str) -> list[str]:
    """A line for each layout of a model file. Raises UserError if it has none."""
    return listing(read_config(locate_model(model)).formats, model)


def read_samples(reader: Reader, samples: Iterable[Sample]) -> Iterator[tuple[Sample, Reading]]:
    """Yield each sample with its reading, in order. A thread of the reader asks for the samples."""
    under_way: deque[Sample] = deque()

    def paths() -> Iterator[str]:
        for sample in samples:
            under_way.append(sample)
            yield sample.path

    for reading in reader.read(paths()):
        yield under_way.popleft(), reading


class ReadingSummary:
    """Counts readings, and says at the end what is remarkable about them."""

    def __init__(
        self,
        reader: Reader,
        model: str,
        labels: bool,
        ignore_case: bool,
        min_probability: float | None,
        keep_separators: bool = False,
    ) -> None:
        """`model` is the name of the model for messages. With `labels`, texts are compared with labels and scored.

        With `keep_separators`, texts have the separators of their layouts.
        """
        self._reader, self._model, self._labels = reader, model, labels
        self._ignore_case, self._min_probability, self._keep_separators = ignore_case, min_probability, keep_separators
        self._remarks = ImageRemarks(reader.options)
        #: Rows to score or to plot, without the columns that only tables need: there may be a million.
        self.rows: list[Row] = []
        self.read = self.unreadable = 0
        self._missing = self._empty = self._rejected = self._unproven = self._unlike = self._contradicting = 0
        self._first_unlike = ""

    def add(self, sample: Labelled, reading: Reading) -> Row | None:
        """Count a reading and return its row; for a picture that cannot be read, log the reason and return None."""
        if reading.error is not None:
            logger.warning(f"{sample.path}: {reading.error}")
            self.unreadable += 1
            self._missing += reading.error == MISSING
            return None
        if reading.without_layouts is not None:
            logger.warning(
                f"{sample.path}: fits none of the layouts; without them it is read as {reading.without_layouts}"
            )
            self._contradicting += 1
        truth = sample.label if self._labels else None
        row = Row.of(sample.path, reading, truth, self._ignore_case, self._min_probability, self._keep_separators)
        self.read += 1
        self._empty += not row.text
        self._rejected += row.accepted is False
        self._unproven += row.proven is False
        self._unlike += reading.unlike_training
        if reading.unlike_training and not self._first_unlike:
            self._first_unlike = sample.path
        self._remarks.add(sample.path, reading.single_colour, reading.frames)
        if self._labels or self.read <= PLOTTED:
            self.rows.append(replace(row, others=(), characters=()))
        return row

    def refuse_nothing_read(self) -> None:
        """Raise UserError if there were pictures, and none of them could be read."""
        if self.unreadable and not self.read:
            which = f"none of the {self.unreadable:,} pictures" if self.unreadable > 1 else "the only picture"
            missing = self._missing == self.unreadable
            raise UserError(
                f"{which} could {'' if self.unreadable > 1 else 'not '}be read, for the reasons above"
                f"{': say where the paths start' if missing else ''}",
                "root" if missing else None,
            )

    def sentences(self, seconds: float) -> Iterator[str]:
        """A summary of the pictures read in `seconds`, and the scores if there are labels, one sentence each."""
        if self.read:
            yield (
                f"{self.read:,} picture{'s' * (self.read != 1)} in {seconds:.2f} s, "
                f"{1000 * seconds / self.read:.1f} ms each"
            )
        if self._empty:
            yield f"{self._empty:,} of them {'is' if self._empty == 1 else 'are'} read as empty, with probability 0"
        if self._unlike:
            yield crops_expected(self._reader.config, self._model, self._unlike, self._first_unlike)
        yield from self._remarks.sentences()
        if self._rejected:
            yield (
                f"{self._rejected:,} of them rejected: read as empty, or with a probability below "
                f"{self._min_probability:g}"
            )
        if self._contradicting:
            yield f"{self._contradicting:,} of them fit{'s' * (self._contradicting == 1)} none of the layouts"
        if self._unproven:
            yield (
                f"{self._unproven:,} reading{'s' * (self._unproven != 1)} may not be the most probable allowed text "
                "(see docs/reading.md)"
            )
        if self.unreadable:
            yield (
                f"{self.unreadable:,} picture{'s' * (self.unreadable != 1)} could not be read, for the reasons above"
            )
        if self._labels:
            yield from self._scores()

    def _scores(self) -> Iterator[str]:
        labelled = [row for row in self.rows if row.truth]
        if labelled:
            truths, names = [row.truth or "" for row in labelled], [row.file for row in labelled]
            texts, probabilities = [row.compared for row in labelled], [row.probability for row in labelled]
            yield str(
                score(truths, texts, probabilities, names, self._ignore_case, min_probability=self._min_probability)
            )
        if len(labelled) < self.read:
            yield with_flags(
                f"{self.read - len(labelled):,} of {self.read:,} pictures have no label: give a pattern that finds it "
                "in their names",
                label_pattern="",
            )
