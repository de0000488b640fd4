"""Temperature scaling: of texts with a calibrated probability of 90 %, nine in ten are correct.

Networks are often over- or underconfident on new pictures. Temperature scaling (Guo et al. 2017, "On Calibration of
Modern Neural Networks", arXiv 1706.04599) corrects that with one number T. Here the whole text is the class: its
log-probability is divided by T, so a probability p becomes p ** (1 / T). The ranking of texts does not change.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

#: Minimum and maximum temperature.
MIN_TEMPERATURE, MAX_TEMPERATURE = 0.1, 10.0
#: Standard deviation of the prior on log T, a normal distribution around 0. Without it, a hundred correct texts would
#: make every probability almost 1.
PRIOR = 0.5
#: Calibrated probability of the empty text. There is no text to accept, whatever the network's probability. Without
#: negatives, every training picture has a text, so that an empty text is never correct.
EMPTY_PROBABILITY = 0.0
#: Probabilities are clipped to MIN_PROBABILITY … 1 - MIN_PROBABILITY, so that their logarithms are finite.
MIN_PROBABILITY = 1e-12


def calibrated(probability: float, temperature: float) -> float:
    """Calibrate the probability of a text, 0 to 1."""
    return float(probability ** (1 / temperature))


def temperature(probabilities: ArrayLike, right: ArrayLike) -> float:
    """Estimate the temperature: the maximum a posteriori given predicted texts.

    Arguments:
        probabilities: uncalibrated probability of each text, float (n,). Leave out empty texts, whose probability is
            fixed.
        right: whether each text is correct, bool (n,).

    Returns a temperature from MIN_TEMPERATURE to MAX_TEMPERATURE.
    """
    logs = np.log(np.clip(np.asarray(probabilities, np.float64), MIN_PROBABILITY, 1 - MIN_PROBABILITY))
    low, high = MIN_TEMPERATURE, MAX_TEMPERATURE
    # Grid search: each round covers a twentieth of the previous interval, around its best temperature.
    for _ in range(4):
        candidates = np.geomspace(low, high, 41)
        scaled = logs / candidates[:, None]
        likelihoods = np.where(np.asarray(right, bool), scaled, np.log(-np.expm1(scaled))).sum(1)
        best = int((likelihoods - 0.5 * (np.log(candidates) / PRIOR) ** 2).argmax())
        low, high = candidates[max(best - 1, 0)], candidates[min(best + 1, 40)]
    return float(candidates[best])
