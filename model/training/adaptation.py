"""Adapt the difficulty of drawn pictures, or the augmentation, to the progress of learning, epoch by epoch.

Each value is a function of the epochs before, so that a resumed run continues with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from cli.flags import with_flags

if TYPE_CHECKING:
    from model.training.run_folder import History

#: A difficulty is learnt when the character error rate is at most this; a curriculum has at most this many steps.
LEARNT, STEPS = 0.05, 10
#: Augmentation is right while the loss of augmented pictures is between these multiples of the validation loss, over
#: this number of epochs.
EASIEST, HARDEST, EPOCHS = 0.6, 1.25, 4
#: Factor by which augmentation changes in an epoch, and the limits of its strength.
STEP, WEAKEST, STRONGEST = 0.9, 0.1, 1.0


@dataclass(frozen=True)
class Curriculum:
    """Difficulty of drawn pictures: clean pictures first, harder ones when nearly all characters are read.

    After Bengio et al. 2009, "Curriculum Learning".
    """

    goal: float  #: the last difficulty, 0 to 1
    epochs: int  #: of the training; with few of them the steps are large, or they would not reach the goal
    name: str = "difficulty"  #: column in the history

    def apply(self, value: float, training: Any, validation: Any) -> None:
        """Draw the pictures of the next epoch, a BatchSource each, with this difficulty."""
        training.difficulty = validation.difficulty = value

    def next_value(self, history: History) -> float:
        """The difficulty of the epoch after those of `history`."""
        learnt = sum(row["character_error_rate"] <= LEARNT for row in history)
        # At most one step an epoch: half of the epochs must be enough.
        steps = min(STEPS, max(1, self.epochs // 2))
        return self.goal * min(1.0, learnt / steps)

    def remark(self, history: History) -> str:
        """A remark for the end of the training, or "" if there is none."""
        reached = history[-1][self.name]
        if reached == self.goal:
            return ""
        return with_flags(
            f"reached difficulty {reached:.2g} of {self.goal:g}: train for more epochs, or draw easier pictures",
            epochs="",
            difficulty="",
        )


@dataclass(frozen=True)
class Augmentation:
    """Strength of the augmentation: it falls while the training pictures are harder than the validation pictures, and
    rises while they are much easier because the network memorises them.

    After Karras et al. 2020, "Training Generative Adversarial Networks with Limited Data".
    """

    first: float  #: strength in the first epoch
    name: str = "augmentation"  #: column in the history

    def apply(self, value: float, training: Any, validation: Any) -> None:
        """Augment the training pictures of the next epoch with this strength. Validation pictures are as they are."""
        training.augmentation = value

    def next_value(self, history: History) -> float:
        """The strength in the epoch after those of `history`."""
        if len(history) < 2:
            return self.first
        recent = history[-EPOCHS - 1 :]
        loss = sum(row["loss"] for row in recent[1:])
        # The loss of an epoch is the mean over its steps: compare it with the validation before and after it.
        plain = sum(before["validation_loss"] + after["validation_loss"] for before, after in pairwise(recent)) / 2
        change = STEP if loss > HARDEST * plain else 1 / STEP if loss < EASIEST * plain else 1.0
        return min(max(change * history[-1].get(self.name, self.first), WEAKEST), STRONGEST)

    def remark(self, history: History) -> str:
        """Return "": there is no remark."""
        return ""
