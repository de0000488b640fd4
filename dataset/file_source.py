"""Labelled pictures of a folder or list as the source of a training's batches."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from crnn_reader.alphabet import Alphabet
from crnn_reader.config import ModelConfig
from crnn_reader.errors import UserError
from crnn_reader.image import ImageOptions, TooLong
from dataset.batches import Batches
from dataset.cache import Corpus, pack
from dataset.checks import check
from dataset.collecting import Samples, collect
from dataset.contents import image_statistics, log_each
from dataset.label_warnings import preview
from dataset.splitting import apart, split
from parameter import TrainingParameters, notation

logger = logging.getLogger(__name__)


class FileSource:
    """The pictures of `--data` and `--validation`: found, then decoded and split, then in batches."""

    difficulty: float | None = None
    augments = True

    def __init__(self, parameters: TrainingParameters, cache: Path) -> None:
        """Find the pictures, and look at some of them. `cache` takes the decoded ones if `.cache` cannot be written.

        Raises UserError if there are no pictures.
        """
        self._parameters, self._cache = parameters, cache
        self._samples = collect(parameters.data, parameters.label_pattern, parameters.root)
        self.labels = list(map(str, self._samples.labels))
        self.count = len(self.labels)
        options = ImageOptions(parameters.max_pixels, parameters.frame)
        self.aspect, self.colour_contrast = image_statistics(self._samples, options)

    def decode(self, config: ModelConfig, too_long: TooLong) -> None:
        """Decode, check and split the pictures. The same picture is never on both sides.

        Raises UserError for labels that a network of `config` cannot learn, and if one side gets no picture.
        """
        parameters = self._parameters
        corpus = self._held_out = self._decoded(self._samples, config, too_long)
        preview(corpus)
        if share := notation.fraction(parameters.validation):
            rows, self._held_out_rows = split(corpus.names, corpus.digests, share)
        else:
            others = collect(parameters.validation, parameters.label_pattern, parameters.root)
            self._held_out = self._decoded(others, config, too_long)
            rows = apart(corpus.digests, self._held_out.digests)
            self._held_out_rows = np.arange(len(self._held_out))
        if not len(rows) or not len(self._held_out_rows):
            raise UserError(
                f"{len(corpus)} pictures leave {len(rows)} to train on and {len(self._held_out_rows)} to validate: "
                "add pictures, or choose others to validate with",
                "validation",
            )
        self._corpus, self._rows = corpus, rows
        self._encode = Alphabet(config.alphabet).encode
        #: Number of pictures to train on, and their width and height in pixels, (n, 2).
        self.training_count, self.sizes = len(rows), corpus.sizes[rows]
        #: Number of pictures that were left out because they cannot be read.
        self.unreadable = len({*corpus.unreadable, *self._held_out.unreadable})

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

    def _decoded(self, samples: Samples, config: ModelConfig, too_long: TooLong) -> Corpus:
        options = ImageOptions(self._parameters.max_pixels, config.frame)
        shape = (config.width, config.height, config.channels, config.fit)
        corpus = pack(samples, *shape, fallbacks=[self._cache], options=options)
        log_each([f"left out {name}: {reason}" for name, reason in corpus.unreadable], not len(corpus))
        for remark in corpus.remarks(options):
            logger.warning(remark)
        check(corpus, config.alphabet, too_long)
        return corpus
