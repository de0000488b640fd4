"""Start a training again with smaller batches if the memory of the device is too small."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable
from typing import TypeVar

from crnn_reader.errors import UserError
from model.training.plan import TrainingPlan
from parameter import TrainingParameters

logger = logging.getLogger(__name__)

Result = TypeVar("Result")


class BatchTooLarge(UserError):
    """Memory ran out after a number of whole `epochs` of a training with this plan."""

    def __init__(self, message: str, plan: TrainingPlan, epochs: int, **parameters: str) -> None:
        super().__init__(message, **parameters)
        self.plan, self.epochs = plan, epochs


def halving_batches(train: Callable[[TrainingParameters], Result], flags: TrainingParameters) -> Result:
    """Call `train` with `flags`; if memory runs out in the first epoch, again with half the batch size.

    Raises BatchTooLarge from a later epoch, with a single picture in a batch, and if several processes train together.
    """
    while True:
        try:
            return train(flags)
        except BatchTooLarge as error:
            if error.epochs or error.plan.batch_size == 1 or error.plan.rank.processes > 1:
                raise
            plan = error.plan
        # The exception no longer references the network, but networks have reference cycles.
        gc.collect()
        flags = plan.with_half_batches()
        logger.warning(
            f"too little memory for batches of {plan.batch_size:,} pictures: starting again with batches of "
            f"{flags.batch_size:,}"
        )
