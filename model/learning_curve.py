"""Fit the growth of exact match with the number of training pictures, and predict the effect of more."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cli.files import atomic
from cli.flags import shown, with_flags
from model.scores import Interval, wilson

#: Points whose exact match is certainly below this are not fitted: the network has hardly begun to learn.
LEARNT = 0.1
#: Below this exponent, more pictures hardly help.
FLAT = 0.05
#: A loss is still falling if it falls by this fraction, and by this number of nats per text.
FALLING = 0.1
#: In fewer epochs than this, a network does not memorise its training pictures.
FEW_EPOCHS = 10


@dataclass(frozen=True)
class Point:
    """A network that was trained on `pictures` reads `right` of `images` test pictures right."""

    pictures: int
    right: int
    images: int

    @property
    def exact_match(self) -> float:
        return self.right / self.images

    @property
    def interval(self) -> Interval:
        """95 % interval of the exact match (Wilson)."""
        return wilson(self.right, self.images)


@dataclass(frozen=True)
class PowerLaw:
    """The error rate is `factor` · pictures ** -`exponent` (Hestness et al. 2017, arXiv 1712.00409)."""

    factor: float
    exponent: float

    def exact_match(self, pictures: float) -> float:
        return 1 - min(1.0, self.factor * pictures**-self.exponent)

    def pictures(self, exact_match: float) -> float:
        """Number of pictures for this exact match."""
        return float((self.factor / (1 - exact_match)) ** (1 / self.exponent))


def fitted(points: Sequence[Point]) -> PowerLaw:
    """Fit a law to two or more points by least squares of the logarithms.

    The weight of a point is its number of wrong readings, the inverse variance of their logarithm. Half a wrong reading
    is added to each point, so that the logarithm exists without any.
    """
    wrong = np.array([point.images - point.right + 0.5 for point in points])
    errors = np.log(wrong / np.array([point.images + 0.5 for point in points]))
    slope, offset = np.polyfit(np.log([point.pictures for point in points]), errors, 1, w=np.sqrt(wrong))
    return PowerLaw(math.exp(offset), float(-slope))


def answer(points: Sequence[Point]) -> str:
    """The predicted effect of more pictures, in words."""
    last = points[-1]
    low, high = last.interval
    reached = (
        f"with {last.pictures:,} pictures {last.exact_match:.2%} are read right (95 % interval {low:.2%} to {high:.2%})"
    )
    if last.right == last.images:
        return f"{reached}: test with more pictures to see whether more training pictures help"
    learnt = [point for point in points if point.interval[1] >= LEARNT]
    if len(learnt) < 2:
        return _with_more_epochs(
            f"{reached}: the network has learnt too little for a prediction; try more pictures, or more epochs"
        )
    law = fitted(learnt)
    if law.exponent < FLAT:
        return (
            f"{reached}, no better than with fewer: more pictures of the same kind should help little, as far as "
            f"{last.images:,} test pictures show"
        )
    more = _one_digit(last.pictures / 4)
    # The law predicts the ratio of errors, which is applied to the measured error.
    ratio = (1 - law.exact_match(last.pictures + more)) / (1 - law.exact_match(last.pictures))
    after = 1 - (1 - last.exact_match) * ratio
    text = (
        f"{reached}; another {more:,} should bring about {100 * (after - last.exact_match):.1f} points, to {after:.1%}"
    )
    goal = next((goal for goal in (0.9, 0.95, 0.99, 0.995, 0.999) if 1 - goal < 0.8 * (1 - after)), None)
    needed = law.pictures(goal) if goal else math.inf
    # Far beyond the points, the law is a guess.
    return (
        f"{text}, and {goal:.1%} may take some {_one_digit(needed):,} in all" if needed < 20 * last.pictures else text
    )


def too_short(validation_losses: Sequence[float], losses: Sequence[float]) -> bool:
    """Whether a training ended while its losses, one per epoch, still fell, so that more epochs would have helped.

    The training loss counts only in a training of few epochs, where the validation loss may stand still before anything
    is learnt. In longer ones it also falls because pictures are memorised.
    """
    return _fell(validation_losses) or (len(losses) < FEW_EPOCHS and _fell(losses))


def _fell(losses: Sequence[float]) -> bool:
    """Whether the last third of the epochs lowered the minimum loss by a tenth, and by 0.1 nats per text.

    The low learning rate at the end of a training always lowers it a little.
    """
    border = len(losses) - max(1, len(losses) // 3)
    if not border:
        return True
    before, after = min(losses[:border]), min(losses[border:])
    return before - after > max(FALLING * before, FALLING)


def too_few_epochs(falling: Sequence[int]) -> str:
    """A warning about the trainings that ended while their losses fell, given their numbers of pictures."""
    which = " and ".join(filter(None, [", ".join(f"{number:,}" for number in falling[:-1]), f"{falling[-1]:,}"]))
    return _with_more_epochs(
        f"with {which} pictures the loss still fell when the training ended, so that more pictures may bring more or "
        "less than this says: try twice as many epochs"
    )


def _with_more_epochs(message: str) -> str:
    """The message with the flag for the epochs of each training."""
    return with_flags(message, training=f"{shown('epochs', None)} N")


def _one_digit(number: float) -> int:
    return int(float(f"{max(1.0, number):.0e}"))


def draw(points: Sequence[Point], path: Path) -> None:
    """Plot the points with their intervals and the fitted law as a PNG at `path`."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    pictures, right = [point.pictures for point in points], np.array([point.exact_match for point in points])
    low, high = np.array([point.interval for point in points]).T
    axes.errorbar(
        pictures, right, [np.maximum(right - low, 0), np.maximum(high - right, 0)], fmt="o-", capsize=3,
        label=f"exact match of {points[-1].images:,} others, 95 % interval",
    )  # fmt: skip
    if len(points) > 1 and (law := fitted(points)).exponent >= FLAT:
        counts = np.geomspace(pictures[0], 4 * pictures[-1], 50)
        axes.plot(counts, [law.exact_match(number) for number in counts], ":", color="grey", label="power law")
    axes.set(xscale="log", xlabel="pictures to train on", ylabel="read right")
    bottom, top = axes.get_ylim()
    axes.set_ylim(max(bottom, -0.02), min(top, 1.02))
    named = list[int]()
    for number in reversed(pictures):
        # Labels that are too close would overlap.
        if not named or number * (4 * pictures[-1] / pictures[0]) ** 0.08 <= named[-1]:
            named.append(number)
    axes.set_xticks(named, [f"{number:,}" for number in named])
    axes.minorticks_off()
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.grid(alpha=0.3)
    axes.legend()
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=120)
