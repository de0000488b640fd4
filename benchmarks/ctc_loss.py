"""The loss of CTC, ours beside Keras': a step that trains a bias under a softmax, which takes little besides.

    python benchmarks/ctc_loss.py

Batches of 64, by turns; medians of nine rounds, with their intervals. KERAS_BACKEND chooses what computes.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.feeding import processor
from model.network import import_keras, jit_compile

keras = import_keras()

from model.ctc import AlignmentLoss  # noqa: E402

#: Steps, classes, characters of a text.
SHAPES = {"captchas": (32, 37, 4), "plates": (48, 37, 8), "Chinese lines": (70, 6764, 10)}
ROUNDS, BATCH = 9, 64


def main() -> None:
    """Print the figures."""
    print(f"{processor()}, {os.cpu_count()} cores, Keras {keras.__version__} on {keras.backend.backend()}")
    rng = np.random.default_rng(0)
    for kind, (steps, classes, characters) in SHAPES.items():
        logits = rng.normal(0, 2, (BATCH, steps, classes)).astype(np.float32)
        labels = rng.integers(1, classes, (BATCH, characters)).astype(np.int32)
        networks = [network(steps, classes, loss) for loss in (AlignmentLoss(), keras.losses.CTC())]
        seconds: list[list[float]] = [[], []]
        for turn in range(ROUNDS + 1):
            for one, times in zip(networks, seconds, strict=True):
                started = time.perf_counter()
                one.train_on_batch(logits, labels)
                # The first step compiles.
                times += [time.perf_counter() - started] if turn else []
        ratios = sorted(theirs / ours for ours, theirs in zip(*seconds, strict=True))
        ours, theirs = (1000 * statistics.median(times) for times in seconds)
        # Of nine values, the second and the eighth enclose the median with 96 % probability.
        print(
            f"{kind}, {classes} classes, {steps} steps: {ours:.1f} ms, Keras {theirs:.1f} ms, "
            f"{statistics.median(ratios):.2f} [{ratios[1]:.2f}, {ratios[-2]:.2f}] times as long",
            flush=True,
        )


def network(steps: int, classes: int, loss: Any) -> Any:
    logits = keras.Input((steps, classes))
    biased = keras.layers.EinsumDense("btc,c->btc", (steps, classes))(logits)
    found = keras.Model(logits, keras.ops.log_softmax(biased))
    found.compile(keras.optimizers.SGD(1e-6), loss, jit_compile=jit_compile())
    return found


if __name__ == "__main__":
    main()
