"""Labelled pictures of a folder or list as the source of a training's batches."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from crnn_reader.alphabet import Alphabet
from crnn_reader.config import ModelConfig
from crnn_reader.errors import UserError
from crnn_reader.image import ImageOptions, TooLong
from dataset.batches import Batches
from dataset.cache import Corpus, joined, pack
from dataset.checks import check
from dataset.collecting import Samples, collect, has_labels, strings
from dataset.contents import image_statistics, log_each
from dataset.formats.paths import folder_of
from dataset.label_warnings import preview
from dataset.splitting import apart, split
from parameter import TrainingParameters, notation

logger = logging.getLogger(__name__)

#: The part of the negatives to validate with, if other pictures are given for that.
VALIDATED_NEGATIVES = 0.1


class FileSource:
    """The pictures of `--data`, `--validation` and `--negatives`: found, decoded and split, then in batches."""

    difficulty: float | None = None
    augments = True

    def __init__(self, parameters: TrainingParameters, cache: Path) -> None:
        """Find the pictures, and look at some of them. `cache` takes the decoded ones if `.cache` cannot be written.

        Raises UserError if there are no pictures.
        """
        self._parameters, self._cache = parameters, cache
        self._samples = collect(parameters.data, parameters.label_pattern, parameters.root)
        self.labels = list(map(str, self._samples.labels))
        self._negatives = _negatives(parameters)
        self.count = len(self.labels) + len(self._negatives or ())
        options = ImageOptions(parameters.max_pixels, parameters.frame)
        self.aspect, self.colour_contrast = image_statistics(self._samples, options)

    def decode(self, config: ModelConfig, too_long: TooLong) -> None:
        """Decode, check and split the pictures. The same picture is never on both sides.

        Raises UserError for labels that a network of `config` cannot learn, if one side gets no picture, and for
        negatives that also have a label.
        """
        parameters = self._parameters
        corpus = self._held_out = self._decoded(self._samples, config)
        check(corpus, config.alphabet, too_long)
        preview(corpus)
        share = notation.fraction(parameters.validation)
        if share:
            rows, self._held_out_rows = split(corpus.names, corpus.digests, share)
        else:
            others = collect(parameters.validation, parameters.label_pattern, parameters.root)
            self._held_out = self._decoded(others, config)
            check(self._held_out, config.alphabet, too_long)
            rows = apart(corpus.digests, self._held_out.digests)
            self._held_out_rows = np.arange(len(self._held_out))
        if not len(rows) or not len(self._held_out_rows):
            raise UserError(
                f"{len(corpus)} pictures leave {len(rows)} to train on and {len(self._held_out_rows)} to validate: "
                "add pictures, or choose others to validate with",
                "validation",
            )
        #: Width and height of the pictures to train on, without negatives, in pixels, (n, 2).
        self.sizes = corpus.sizes[rows]
        #: Number of pictures that were left out because they cannot be read.
        self.unreadable = len({*corpus.unreadable, *self._held_out.unreadable})
        self._corpus, self._rows = corpus, rows
        if self._negatives is not None:
            self._add_negatives(self._decoded(self._negatives, config), share or VALIDATED_NEGATIVES)
        self._encode = Alphabet(config.alphabet).encode
        #: Number of pictures to train on.
        self.training_count = len(self._rows)

    def training_batches(self, batch_size: int, augmentation: float, shard: tuple[int, int], multiple: int) -> Batches:
        """Batches to train on; `augmentation`, `shard` and `multiple` as for :class:`Batches`."""
        return Batches(
            self._corpus,
            self._rows,
            self._encode,
            batch_size,
            shuffle=True,
            augmentation=augmentation,
            seed=self._parameters.seed,
            workers=self._parameters.workers,
            shard=shard,
            multiple=multiple,
        )

    def validation_batches(self, batch_size: int) -> Batches:
        return Batches(self._held_out, self._held_out_rows, self._encode, batch_size)

    def _add_negatives(self, negatives: Corpus, share: float) -> None:
        """Add negatives to the pictures to train on, and a part `share` of them to those to validate with."""
        if not len(negatives):
            raise UserError(
                f"none of the pictures in {self._parameters.negatives} can be read: give others", "negatives"
            )
        rows, validated = split(negatives.names, negatives.digests, share)
        # Negatives may have the names of labelled pictures. These are relative to the working folder.
        path = Path(self._parameters.negatives or "")
        folder = path if path.is_dir() else folder_of(path)
        negatives = replace(negatives, names=strings(os.path.join(folder, str(name)) for name in negatives.names))
        for corpus, place in (
            (self._corpus, self._parameters.data),
            (self._held_out, self._parameters.validation),
        ):
            if both := np.flatnonzero(np.isin(negatives.digests, corpus.digests)).tolist():
                other = corpus.names[corpus.digests == negatives.digests[both[0]]][0]
                raise UserError(
                    f"{len(both):,} of the negatives also {'has' if len(both) == 1 else 'have'} a label, such as "
                    f"{negatives.names[both[0]]}, which has the same content as {other} in {place}: remove one of them",
                    "negatives",
                )
        logger.info(f"{len(rows):,} negatives to train on, {len(validated):,} to validate, are among the pictures")
        self.unreadable += len(negatives.unreadable)
        self._rows = np.concatenate([self._rows, len(self._corpus) + rows])
        self._held_out_rows = np.concatenate([self._held_out_rows, len(self._held_out) + validated])
        self._corpus, self._held_out = (joined([corpus, negatives]) for corpus in (self._corpus, self._held_out))

    def _decoded(self, samples: Samples, config: ModelConfig) -> Corpus:
        options = ImageOptions(self._parameters.max_pixels, config.frame)
        shape = (config.width, config.height, config.channels, config.fit)
        corpus = pack(samples, *shape, fallbacks=[self._cache], options=options)
        log_each([f"left out {name}: {reason}" for name, reason in corpus.unreadable], not len(corpus))
        for remark in corpus.remarks(options):
            logger.warning(remark)
        return corpus


def _negatives(parameters: TrainingParameters) -> Samples | None:
    """The pictures of `--negatives` with empty labels; None without them."""
    path = parameters.negatives
    if path is None:
        return None
    found = collect(path, root=parameters.root, labels=False)
    if has_labels(path, found):
        logger.warning(f"the labels of {path} are not used: negatives are trained on as pictures with nothing to read")
        found.labels = strings("" for _ in found.names)
    return found
