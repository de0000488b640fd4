"""Forms of the CTC loss on the backend that KERAS_BACKEND names: the loss of a batch and its gradient.

    KERAS_BACKEND=jax python benchmarks/ctc_loss.py

Batches of 64, by turns; medians of nine rounds. Each form is compared with the one that the kit trains with on that
backend: the interval is that of the ratio. `benchmarks/gpu.py` measures the same on a GPU.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.feeding import processor

#: Steps, classes, characters of a text.
SHAPES = {"captchas": (32, 37, 4), "plates": (48, 37, 8), "Chinese lines": (70, 6764, 10)}
ROUNDS, BATCH = 9, 64

Loss = Callable[[Any, Any], Any]


def main() -> None:
    """Print the figures."""
    from model.backend import import_keras

    keras = import_keras()
    backend = keras.backend.backend()
    print(f"{processor()}, {os.cpu_count()} cores, Keras {keras.__version__} on {backend}")
    for kind, (steps, classes, characters) in SHAPES.items():
        seconds = measured(steps, classes, characters, BATCH, ROUNDS)
        trained = TRAINED[backend]
        print(f"{kind}, {classes} classes, {steps} steps:")
        for name, times in seconds.items():
            ratios = sorted(theirs / ours for ours, theirs in zip(seconds[trained], times, strict=True))
            # The second and the eighth of nine sorted values are a 96 % interval of the median.
            print(
                f"  {name}: {1000 * statistics.median(times):.1f} ms, "
                f"{statistics.median(ratios):.2f} [{ratios[1]:.2f}, {ratios[-2]:.2f}] times as long as {trained}",
                flush=True,
            )


#: The form that `model.heads.ctc` trains with.
TRAINED = {"tensorflow": "AlignmentLoss", "jax": "AlignmentLoss", "torch": "keras.losses.CTC"}


def measured(steps: int, classes: int, characters: int, batch: int, rounds: int) -> dict[str, list[float]]:
    """Seconds of each form in each round; a round before them compiles."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (batch, steps, classes)).astype(np.float32)
    labels = rng.integers(1, classes, (batch, characters)).astype(np.int32)
    calls = {name: differentiated(loss, labels, logits) for name, loss in forms(labels).items()}
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(rounds + 1):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            seconds[name] += [time.perf_counter() - started] if turn else []
    return seconds


def forms(labels: np.ndarray) -> dict[str, Loss]:
    """Losses by name: functions of labels, int32 (batch, characters), and log-probabilities; one loss per text."""
    import keras

    from model.ctc import AlignmentLoss

    found: dict[str, Loss] = {"AlignmentLoss": AlignmentLoss().call, "keras.losses.CTC": keras.losses.CTC().call}
    batch, characters = labels.shape
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        sparse = tf.sparse.from_dense(labels)

        def of_sparse_labels(labels: Any, outputs: Any) -> Any:
            lengths = tf.fill([batch], outputs.shape[1])
            return tf.nn.ctc_loss(sparse, outputs, None, lengths, logits_time_major=False, blank_index=0)

        found["tf.nn.ctc_loss, sparse labels"] = of_sparse_labels
    if keras.backend.backend() == "torch":
        import torch

        # cuDNN's needs all labels in one row, on the CPU, in 32 bits.
        row, lengths = torch.from_numpy(labels.ravel()), torch.full((batch,), characters, dtype=torch.int32)

        def of_one_row(labels: Any, outputs: Any) -> Any:
            steps = torch.full((batch,), outputs.shape[1], dtype=torch.int32)
            return torch.nn.functional.ctc_loss(outputs.transpose(0, 1), row, steps, lengths, reduction="none")

        found["torch.nn.functional.ctc_loss, as cuDNN needs it"] = of_one_row
    return found


def differentiated(loss: Loss, labels: np.ndarray, logits: np.ndarray) -> Callable[[], Any]:
    """A call that computes the mean loss of log-softmax(`logits`) and its gradient, and waits for them."""
    import keras

    def mean(logits: Any, labels: Any) -> Any:
        return keras.ops.mean(loss(labels, keras.ops.log_softmax(logits)))

    given = keras.ops.convert_to_tensor(logits), keras.ops.convert_to_tensor(labels)
    if keras.backend.backend() == "jax":
        import jax

        compiled = jax.jit(jax.value_and_grad(mean))
        return lambda: jax.block_until_ready(compiled(*given))
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        def step(logits: Any, labels: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(logits)
                found = mean(logits, labels)
            return found, tape.gradient(found, logits)

        traced = tf.function(step, autograph=False)
        return lambda: [array.numpy() for array in traced(*given)]

    def eager() -> Any:
        variable = given[0].clone().requires_grad_(True)
        mean(variable, given[1]).backward()
        return variable.grad.ravel()[0].item()

    return eager


if __name__ == "__main__":
    main()
