"""Pictures that are drawn during training, as a source of batches."""

from __future__ import annotations

import numpy as np

from cli.flags import shown
from crnn_reader.alphabet import Alphabet
from crnn_reader.config import ModelConfig
from crnn_reader.errors import UserError
from crnn_reader.image import TooLong
from generate_captcha.batches import Fit, SyntheticBatches, preview
from parameter import STYLES, GenerateParameters, TrainingParameters, notation


class SyntheticSource:
    """Drawn pictures: new ones in every epoch to train with, and constant ones to validate with."""

    augments = False
    #: All drawn pictures are readable. Their colours are not examined.
    unreadable, colour_contrast = 0, 1.0

    def __init__(self, parameters: TrainingParameters, drawn: GenerateParameters) -> None:
        """Draw a preview of the pictures of `drawn`. Raises UserError if `parameters` do not fit drawn pictures."""
        share = notation.fraction(parameters.validation)
        if share is None:
            raise UserError("with drawn pictures, give a part of them to validate with", "validation", "0.1")
        if parameters.augmentation and not parameters.resume:
            raise UserError("drawn pictures are not augmented: leave the augmentation out", "augmentation")
        if parameters.workers is not None:
            raise UserError(
                "the number of workers that draw pictures belongs to the data: give it there instead",
                parameter="data",
                example=f"{parameters.data} {shown('workers', None)} {parameters.workers or 1}",
            )
        if not STYLES[drawn.style].labelled:
            raise UserError(
                f"pictures of style {drawn.style} show nothing to read: write them to a folder, and give that as "
                "negatives, with other pictures as data",
                parameter="negatives",
            )
        if parameters.negatives:
            raise UserError(
                "drawn pictures are trained on without negatives: write both to folders with "
                "python -m generate_captcha, or leave the negatives out",
                parameter="negatives",
            )
        self._drawn, self._validated = drawn, max(1, round(share * drawn.count))
        self.count = self.training_count = drawn.count
        self.difficulty = drawn.difficulty if "difficulty" in STYLES[drawn.style].own else None
        #: Labels with all characters, and width and height of some pictures in pixels, (n, 2).
        self.labels, self.sizes = preview(drawn)
        self.aspect = float(np.median(self.sizes[:, 0] / self.sizes[:, 1]))

    def decode(self, config: ModelConfig, too_long: TooLong) -> None:
        """Check the texts. Raises UserError if a network of `config` cannot learn them."""
        if unknown := sorted(set().union(*self.labels) - set(config.alphabet)):
            raise UserError(
                f"the alphabet lacks {' '.join(unknown)}, which are in the pictures: add them, or leave it out",
                "alphabet",
            )
        # If the width follows the text, and for texts that are not in the preview, pictures are checked when drawn.
        if config.width is not None and (error := next(filter(None, (too_long(x, 0, 0) for x in self.labels)), None)):
            raise error
        self._config, self._too_long = config, too_long

    def training_batches(
        self, batch_size: int, augmentation: float, shard: tuple[int, int], multiple: int
    ) -> SyntheticBatches:
        """Batches to train with. They are not augmented, and each process of a training draws whole batches."""
        config = self._config
        fit, encode = Fit(config.width, config.height, config.channels, config.fit), Alphabet(config.alphabet).encode
        self._batches = SyntheticBatches(self._drawn, fit, encode, batch_size, self._too_long)
        return self._batches

    def validation_batches(self, batch_size: int) -> SyntheticBatches:
        """Batches to validate with, as large as the training batches and drawn by the same processes."""
        return self._batches.unchanging(self._validated)
