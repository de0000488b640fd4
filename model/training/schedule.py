"""The learning rate: warm-up, cosine decay, and an earlier end when there is nothing left to learn.

Warm-up and cosine as in Loshchilov and Hutter 2017 ("SGDR"). How many epochs a corpus needs is not
known beforehand: 800 easy captchas are learnt in 30, 800 hard ones still gain after 100. So the number of
epochs is a budget, and once the validation loss has settled, the rest of the cosine is run through quickly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

#: A validation loss is better when it is lower by this, in nats per text: one per cent of its probability.
BETTER = 0.01
#: Settled is what got no better for so many epochs, and for this part of all epochs.
SETTLED_EPOCHS, SETTLED_PART = 10, 0.3
#: The end takes this part of the epochs before it, or so many epochs if that is more.
END_PART, END_EPOCHS = 0.5, 10
#: The learning rate ends at this part of its peak.
FINAL = 0.01


@dataclass(frozen=True)
class Schedule:
    """Learning rates of a run of up to `epochs` epochs; `warmup` is the part of them in which the rate rises.

    With `settle`, the run ends earlier when its validation losses ask for it.
    """

    peak: float
    epochs: int
    warmup: float
    settle: bool

    def last_epoch(self, validation_losses: Sequence[float]) -> int:
        """Epochs of the run, as far as the validation losses of the epochs done tell."""
        settled = self._settled(validation_losses)
        if settled is None:
            return self.epochs
        return min(self.epochs, settled + max(END_EPOCHS, round(END_PART * settled)))

    def rate(self, progress: float, validation_losses: Sequence[float]) -> float:
        """The learning rate when `progress` epochs are done, 2.5 being in the middle of the third."""
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
        """The number of epochs after which the validation loss had settled, None when it has not."""
        if not self.settle:
            return None
        # While the rate still rises, weights from elsewhere are at their best, and lose it again at the peak.
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
