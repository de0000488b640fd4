"""Pictures drawn while training as the source of a training's batches."""

from __future__ import annotations

import numpy as np

from crnn_reader.alphabet import Alphabet
from crnn_reader.config import ModelConfig
from crnn_reader.errors import UserError
from crnn_reader.image import TooLong
from generate_captcha.batches import Fit, SyntheticBatches, preview
from parameter import STYLES, GenerateParameters, TrainingParameters, notation


class SyntheticSource:
    """The pictures of `--data generate:STYLE`: new ones in every epoch, and others, always the same, to validate."""

    augments = False
    #: Every drawn picture can be read. Its colours are not looked at.
    unreadable, hues = 0, 1.0

    def __init__(self, parameters: TrainingParameters, drawn: GenerateParameters) -> None:
        """`drawn` are the parameters that `--data` holds. Raises UserError if other flags do not go with them."""
        part = notation.fraction(parameters.validation)
        if part is None:
            raise UserError(
                f"--validation {parameters.validation}: with drawn pictures, give a part of them, such as 0.1"
            )
        if parameters.augmentation and not parameters.resume:
            raise UserError(
                f"--augmentation {parameters.augmentation:g}: drawn pictures are not augmented; leave it out"
            )
        if parameters.workers is not None:
            raise UserError(
                f"--workers {parameters.workers}: drawn pictures have workers of their own; leave it out, or write "
                f"--data '{parameters.data} --workers {parameters.workers or 1}'"
            )
        self._drawn, self._validated = drawn, max(1, round(part * drawn.count))
        self.count = self.training_count = drawn.count
        self.difficulty = drawn.difficulty if "difficulty" in STYLES[drawn.style].own else None
        #: Labels with every character, and the width and height of some pictures in pixels, (n, 2).
        self.labels, self.sizes = preview(drawn)
        self.aspect = float(np.median(self.sizes[:, 0] / self.sizes[:, 1]))

    def decode(self, config: ModelConfig, too_long: TooLong) -> None:
        """Check the texts. Raises UserError for those that a network of `config` cannot learn."""
        if unknown := sorted(set().union(*self.labels) - set(config.alphabet)):
            raise UserError(
                f"--alphabet lacks {' '.join(unknown)}, which the pictures show: add them, or leave the flag out"
            )
        # If the width follows the text, each picture is checked when it is drawn, as are texts that are not known yet.
        if config.width is not None and (reason := next(filter(None, (too_long(x, 0, 0) for x in self.labels)), None)):
            raise UserError(reason)
        self._config, self._too_long = config, too_long

    def training_batches(
        self, batch_size: int, augmentation: float, part: tuple[int, int], multiple: int
    ) -> SyntheticBatches:
        """Batches to train on. They are not augmented, and every process of a training draws all of them."""
        config = self._config
        fit, encode = Fit(config.width, config.height, config.channels, config.fit), Alphabet(config.alphabet).encode
        self._batches = SyntheticBatches(self._drawn, fit, encode, batch_size, self._too_long)
        return self._batches

    def validation_batches(self, batch_size: int) -> SyntheticBatches:
        """Batches to validate with, of the size of the training batches and drawn by the same processes."""
        return self._batches.unchanging(self._validated)
