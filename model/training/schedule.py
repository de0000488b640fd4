"""The learning rate: warm-up, cosine decay, and an earlier end once the validation loss has settled.

The cosine is that of Loshchilov and Hutter 2017, "SGDR". Nobody knows in advance how many epochs a corpus needs: 800
easy captchas are learnt in 30, 800 hard ones still gain after 100. So the number of epochs is a budget. Once the
validation loss has settled, the learning rate falls to its end within fewer epochs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

#: A validation loss is better if it is lower by this number of nats per text: 1 % of the probability.
BETTER = 0.01
#: A loss has settled if it was not better for this number of epochs, and for this fraction of all epochs.
SETTLED_EPOCHS, SETTLED_PART = 10, 0.3
#: The end takes this fraction of the epochs before it, or this number of epochs if that is more.
END_PART, END_EPOCHS = 0.5, 10
#: The learning rate ends at this fraction of its peak.
FINAL = 0.01


@dataclass(frozen=True)
class Schedule:
    """The learning rates of a run."""

    peak: float
    epochs: int  #: number of epochs, the maximum with `settle`
    warmup: float  #: fraction of the epochs in which the rate rises
    settle: bool  #: whether to end earlier once the validation loss has settled

    def last_epoch(self, validation_losses: Sequence[float]) -> int:
        """Number of epochs of the run, given the validation losses of the epochs done."""
        settled = self._settled(validation_losses)
        if settled is None:
            return self.epochs
        return min(self.epochs, settled + max(END_EPOCHS, round(END_PART * settled)))

    def rate(self, progress: float, validation_losses: Sequence[float]) -> float:
        """The learning rate after `progress` epochs; 2.5 is in the middle of the third."""
        settled = self._settled(validation_losses)
        if settled is None:
            return self._planned(progress)
        end = self.last_epoch(validation_losses)
        return self._planned(settled) * _cosine((progress - settled) / max(end - settled, 1))

    def _planned(self, progress: float) -> float:
        rising = self.warmup * self.epochs
        if progress < rising:
            return self.peak * progress / rising
        return self.peak * _cosine((progress - rising) / (self.epochs - rising))

    def _settled(self, validation_losses: Sequence[float]) -> int | None:
        """The number of epochs after which the validation loss had settled, None if it has not."""
        if not self.settle:
            return None
        # Pretrained weights are at their best during the warm-up, and become worse at the peak of the rate.
        rising = round(self.warmup * self.epochs)
        best, best_epoch = math.inf, rising
        for epoch, loss in enumerate(validation_losses[rising:], start=rising + 1):
            if loss < best - BETTER:
                best, best_epoch = loss, epoch
            if epoch - best_epoch >= max(SETTLED_EPOCHS, SETTLED_PART * epoch):
                return epoch
        return None


def _cosine(part: float) -> float:
    return FINAL + (1 - FINAL) * (1 + math.cos(math.pi * min(part, 1.0))) / 2
