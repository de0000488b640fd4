"""How exact match grows with the pictures to train on, and what more of them should bring."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cli.files import atomic
from model.scores import Interval, wilson

#: Below this, no share of test pictures that may be read right says how it will grow.
LEARNT = 0.1
#: Of an exponent below this nobody can say that more pictures help.
FLAT = 0.05
#: A loss that falls by this part of it, and this much, is still falling.
FALLING = 0.1
FEW_EPOCHS = 10


@dataclass(frozen=True)
class Point:
    """`right` of `images` test pictures were read by a network that had seen `pictures`."""

    pictures: int
    right: int
    images: int

    @property
    def exact_match(self) -> float:
        return self.right / self.images

    @property
    def interval(self) -> Interval:
        """95 % (Wilson)."""
        return wilson(self.right, self.images)


@dataclass(frozen=True)
class PowerLaw:
    """The error falls as `factor` · pictures ** -`exponent` (Hestness et al. 2017, arXiv 1712.00409)."""

    factor: float
    exponent: float

    def exact_match(self, pictures: float) -> float:
        return 1 - min(1.0, self.factor * pictures**-self.exponent)

    def pictures(self, exact_match: float) -> float:
        """How many would be needed."""
        return float((self.factor / (1 - exact_match)) ** (1 / self.exponent))


def fitted(points: Sequence[Point]) -> PowerLaw:
    """The law that two or more points follow, by least squares of the logarithms.

    Each weighs as many as its wrong readings, whose inverse is the variance of their logarithm. Half a wrong reading is
    added to each, so that none at all has a logarithm.
    """
    wrong = np.array([point.images - point.right + 0.5 for point in points])
    errors = np.log(wrong / np.array([point.images + 0.5 for point in points]))
    slope, offset = np.polyfit(np.log([point.pictures for point in points]), errors, 1, w=np.sqrt(wrong))
    return PowerLaw(math.exp(offset), float(-slope))


def answer(points: Sequence[Point]) -> str:
    """What more pictures should bring, in words."""
    last = points[-1]
    low, high = last.interval
    reached = (
        f"with {last.pictures:,} pictures {last.exact_match:.2%} are read right (95 % interval {low:.2%} to {high:.2%})"
    )
    if last.right == last.images:
        return f"{reached}: test with more pictures to see whether more training pictures help"
    learnt = [point for point in points if point.interval[1] >= LEARNT]
    if len(learnt) < 2:
        return f"{reached}: the network has learnt too little for a prediction; try more pictures, or more --epochs"
    law = fitted(learnt)
    if law.exponent < FLAT:
        return (
            f"{reached}, no better than with fewer: more pictures of the same kind should help little, as far as "
            f"{last.images:,} test pictures show"
        )
    more = _one_digit(last.pictures / 4)
    # From what was measured, not from where the law passes by it.
    kept = (1 - law.exact_match(last.pictures + more)) / (1 - law.exact_match(last.pictures))
    after = 1 - (1 - last.exact_match) * kept
    text = (
        f"{reached}; another {more:,} should bring about {100 * (after - last.exact_match):.1f} points, to {after:.1%}"
    )
    goal = next((goal for goal in (0.9, 0.95, 0.99, 0.995, 0.999) if 1 - goal < 0.8 * (1 - after)), None)
    needed = law.pictures(goal) if goal else math.inf
    # Far beyond the points a law is a guess.
    return (
        f"{text}, and {goal:.1%} may take some {_one_digit(needed):,} in all" if needed < 20 * last.pictures else text
    )


def too_short(validation_losses: Sequence[float], losses: Sequence[float]) -> bool:
    """Whether a training ended while its losses, one per epoch, still fell, so that more epochs would have helped.

    The loss of the training pictures also falls where these are learnt by heart. It counts only where there were too
    few epochs for that, in which the validation loss may stand still before anything is learnt.
    """
    return _fell(validation_losses) or (len(losses) < FEW_EPOCHS and _fell(losses))


def _fell(losses: Sequence[float]) -> bool:
    """Whether the last third of the epochs lowered the least loss by a tenth, and by 0.1 nats per text.

    The end of a training, at a low learning rate, lowers it a little even where nothing is left to learn.
    """
    border = len(losses) - max(1, len(losses) // 3)
    if not border:
        return True
    before, after = min(losses[:border]), min(losses[border:])
    return before - after > max(FALLING * before, FALLING)


def too_few_epochs(falling: Sequence[int]) -> str:
    """What to do where the trainings on so many pictures each ended while their losses fell, in words."""
    which = " and ".join(filter(None, [", ".join(f"{number:,}" for number in falling[:-1]), f"{falling[-1]:,}"]))
    return (
        f"with {which} pictures the loss still fell when the training ended, so that more pictures may bring more or "
        "less than this says: try --training='--epochs N' with twice as many epochs"
    )


def _one_digit(number: float) -> int:
    return int(float(f"{max(1.0, number):.0e}"))


def draw(points: Sequence[Point], path: Path) -> None:
    """Points, their intervals and the law through them, as a PNG at `path`."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    pictures, kept = [point.pictures for point in points], np.array([point.exact_match for point in points])
    low, high = np.array([point.interval for point in points]).T
    axes.errorbar(
        pictures, kept, [np.maximum(kept - low, 0), np.maximum(high - kept, 0)], fmt="o-", capsize=3,
        label=f"exact match of {points[-1].images:,} others, 95 % interval",
    )  # fmt: skip
    if len(points) > 1 and (law := fitted(points)).exponent >= FLAT:
        seen = np.geomspace(pictures[0], 4 * pictures[-1], 50)
        axes.plot(seen, [law.exact_match(number) for number in seen], ":", color="grey", label="power law")
    axes.set(xscale="log", xlabel="pictures to train on", ylabel="read right")
    bottom, top = axes.get_ylim()
    axes.set_ylim(max(bottom, -0.02), min(top, 1.02))
    named = list[int]()
    for number in reversed(pictures):
        # Those that stand too near to one another could not be read.
        if not named or number * (4 * pictures[-1] / pictures[0]) ** 0.08 <= named[-1]:
            named.append(number)
    axes.set_xticks(named, [f"{number:,}" for number in named])
    axes.minorticks_off()
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.grid(alpha=0.3)
    axes.legend()
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=120)
