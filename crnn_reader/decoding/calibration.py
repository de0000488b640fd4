"""Probabilities that keep their promise: of texts given 90 %, nine in ten are right.

A network is surer than it should be of pictures it has not seen, or less sure. One number mends that, the temperature
T: a text of probability p gets p ** (1 / T), which divides its log-probability by T (after Guo et al. 2017, "On
Calibration of Modern Neural Networks", with the whole text as the class). The order of texts stays.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

#: Between these the temperature lies.
COLDEST, HOTTEST = 0.1, 10.0
#: Standard deviation of log T before anything was read: a hundred right texts are no reason to be sure of everything.
PRIOR = 0.5
#: Probability that an empty text is right. Every training picture has a text, so an empty text has never been right,
#: however sure the network is of it.
EMPTY_PROBABILITY = 0.0
#: No text is impossible, and none certain.
LEAST = 1e-12


def calibrated(probability: float, temperature: float) -> float:
    """The probability that a text is right, from the one that the network gives it."""
    return float(probability ** (1 / temperature))


def temperature(probabilities: ArrayLike, right: ArrayLike) -> float:
    """The likeliest temperature, given the texts' `probabilities` (float) and which were `right` (bool).

    Empty texts must be left out: they have a probability of their own.
    """
    logs = np.log(np.clip(np.asarray(probabilities, np.float64), LEAST, 1 - LEAST))
    low, high = COLDEST, HOTTEST
    # Each round looks a twentieth as far, around the best of the one before.
    for _ in range(4):
        tried = np.geomspace(low, high, 41)
        mended = logs / tried[:, None]
        likelihoods = np.where(np.asarray(right, bool), mended, np.log(-np.expm1(mended))).sum(1)
        best = int((likelihoods - 0.5 * (np.log(tried) / PRIOR) ** 2).argmax())
        low, high = tried[max(best - 1, 0)], tried[min(best + 1, 40)]
    return float(tried[best])
