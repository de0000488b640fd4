"""What changes from epoch to epoch with what was learnt: how hard drawn pictures are, how much others are augmented.

Each is a function of the epochs before, so that a resumed run goes on with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

from model.training.run_folder import History

#: A difficulty is learnt when so few characters are read wrong; a curriculum has at most so many steps.
LEARNT, STEPS = 0.05, 10
#: The loss of augmented pictures should be at least and at most so many times that of those to validate with, as far
#: back as so many epochs.
EASIEST, HARDEST, EPOCHS = 0.6, 1.25, 4
#: Where it is more, augmentation becomes so many times as strong, where less the inverse; between these limits.
STEP, WEAKEST, STRONGEST = 0.9, 0.1, 1.0


class Adaptation(Protocol):
    """A number that every epoch has."""

    @property
    def name(self) -> str:
        """Its column in the history."""

    @property
    def apply(self) -> Callable[[float], None]:
        """Sets it for the pictures that come next."""

    def following(self, history: History) -> float:
        """That of the epoch after those of the `history`."""

    def remark(self, history: History) -> str:
        """What the user should know at the end; "" where there is nothing."""


@dataclass(frozen=True)
class Curriculum:
    """Difficulty of drawn pictures up to a `goal`: clean ones first, harder ones when nearly all characters are read.

    Few `epochs` make large steps, or the goal would be out of their reach. After Bengio et al. 2009, "Curriculum
    Learning".
    """

    apply: Callable[[float], None]
    goal: float
    epochs: int
    name = "difficulty"

    def following(self, history: History) -> float:
        learnt = sum(row["character_error_rate"] <= LEARNT for row in history)
        # At most one an epoch: half of the epochs must be enough.
        steps = min(STEPS, max(1, self.epochs // 2))
        return self.goal * min(1.0, learnt / steps)

    def remark(self, history: History) -> str:
        reached = history[-1][self.name]
        if reached == self.goal:
            return ""
        return (
            f"reached difficulty {reached:.2g} of {self.goal:g}: train with more --epochs, or draw with a lower "
            "--difficulty"
        )


@dataclass(frozen=True)
class Augmentation:
    """Strength of the augmentation: weaker where it makes pictures harder than those to validate with are, stronger
    where they stay much easier, being learnt by heart; `first` in the first epoch.

    The idea is that of Karras et al. 2020, "Training Generative Adversarial Networks with Limited Data": strong enough
    against learning by heart, and no stronger.
    """

    apply: Callable[[float], None]
    first: float
    name = "augmentation"

    def following(self, history: History) -> float:
        if len(history) < 2:
            return self.first
        recent = history[-EPOCHS - 1 :]
        loss = sum(row["loss"] for row in recent[1:])
        # An epoch's own loss is that of weights from its start to its end.
        plain = sum(before["validation_loss"] + after["validation_loss"] for before, after in pairwise(recent)) / 2
        change = STEP if loss > HARDEST * plain else 1 / STEP if loss < EASIEST * plain else 1.0
        return min(max(change * history[-1].get(self.name, self.first), WEAKEST), STRONGEST)

    def remark(self, history: History) -> str:
        return ""
