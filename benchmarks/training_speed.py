"""How fast networks are trained, what limits it, and how much memory it takes.

    python benchmarks/training_speed.py steps
    python benchmarks/training_speed.py feeding
    KERAS_BACKEND=jax python benchmarks/training_speed.py ctc
    python benchmarks/training_speed.py lines

The pictures of `steps` and `feeding` are generated captchas, 128x64 grey, 4 of 0-9A-Z. benchmarks/gpu.py uses functions
of this file to measure the same on a GPU.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import harness
from benchmarks.harness import Command, Results

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
WIDTH, HEIGHT, BATCH = 128, 64, 64
#: Number of steps per round for each preset, and of batches without a network.
STEPS, BATCHES = {"lite": 20, "small": 12, "base": 3}, 40
#: Number of columns, of classes, and of characters in a text.
SHAPES = {"captchas": (32, 37, 4), "plates": (48, 37, 8), "Chinese lines": (70, 6764, 10)}
#: The implementation of the CTC loss that the kit trains with on each backend.
TRAINED = {"tensorflow": "AlignmentLoss", "jax": "AlignmentLoss", "torch": "keras.losses.CTC"}

Loss = Callable[[Any, Any], Any]


def steps(results: Results, given: argparse.Namespace) -> None:
    """Train each preset in float32 and in mixed bfloat16, and make batches without a network."""
    with tempfile.TemporaryDirectory() as folder:
        source = batches(pack_captchas(Path(folder), 6_400))
        endless = (batch for epoch in itertools.count() for batch in source.stream(epoch))
        jobs: dict[str, Callable[[], object]] = {"batches": functools.partial(seconds_of_batches, source)}
        for preset, policy in itertools.product(given.presets, ("float32", "mixed_bfloat16")):
            jobs[f"{preset}, {policy}"] = functools.partial(
                take_steps, training_steps(captchas(preset), policy), endless, STEPS[preset]
            )
        for name, seconds in harness.by_turns(jobs, given.rounds).items():
            count = BATCH * STEPS.get(name.partition(",")[0], BATCHES)
            results.rates("steps", "128x64, batches of 64", "speed", count, {name: seconds}, options=backend())


def take_steps(steps: Any, batches: Iterator[Any], count: int) -> None:
    """Train for `count` steps."""
    some = itertools.islice(batches, count)
    steps.epoch(((images, targets, len(images), 1e-3) for images, targets in some), lambda _: None)


def seconds_of_batches(source: Any) -> float:
    """The seconds that BATCHES batches take.

    The stream is new, because an older one has batches that were made while a network trained.
    """
    stream = source.stream(0)
    # The first batch starts the processes and fills their stocks of noise.
    next(stream)
    return harness.timed(lambda: list(itertools.islice(stream, BATCHES)))


def captchas(preset: str) -> Any:
    """The config of a network with CTC for captchas of 128x64."""
    from crnn_reader.config import ModelConfig
    from parameter import PRESETS

    return ModelConfig(PRESETS[preset].network, preset, "ctc", ALPHABET, WIDTH, HEIGHT, channels=1, fit="stretch")


def training_steps(config: Any, policy: str) -> Any:
    """The steps of training a network, as training.py takes them."""
    from model.backend import import_keras, jit_compile, precision
    from model.heads import HEADS
    from model.network import build
    from model.training.steps import steps_of

    keras = import_keras()
    loss = HEADS[config.head].loss(config)
    with precision(policy):
        net = build(config)
    net.compile(keras.optimizers.AdamW(1e-3, global_clipnorm=5.0), loss, jit_compile=jit_compile())
    net.optimizer.build(net.trainable_variables)
    return steps_of(net, loss, [], 0.0)


def pack_captchas(folder: Path, pictures: int) -> Any:
    import dataset

    harness.generated(folder / "pictures", f"--count {pictures}")
    return dataset.pack(dataset.collect(folder / "pictures"), WIDTH, HEIGHT, 1, cache=folder / "cache")


def batches(corpus: Any, batch: int = BATCH, augmentation: float = 1.0, workers: int = 0) -> Any:
    """Batches of `workers` processes, or of a thread for 0."""
    import dataset
    from crnn_reader.alphabet import Alphabet

    return dataset.Batches(
        corpus, np.arange(len(corpus)), Alphabet(ALPHABET).encode, batch, shuffle=True, augmentation=augmentation,
        workers=workers,
    )  # fmt: skip


def feeding(results: Results, given: argparse.Namespace) -> None:
    """Make batches without a network, by a thread and by worker processes."""
    workers = [2**power for power in range((os.cpu_count() or 1).bit_length())]
    with tempfile.TemporaryDirectory() as folder:
        corpus = pack_captchas(Path(folder), given.pictures)
        kinds = {"a thread, no augmentation": (0.0, 0), "a thread": (1.0, 0)}
        kinds |= {f"{count} process{'es' * (count > 1)}": (1.0, count) for count in workers}
        sources = {kind: batches(corpus, BATCH, *how) for kind, how in kinds.items()}
        jobs = {kind: functools.partial(seconds_of_batches, source) for kind, source in sources.items()}
        seconds = harness.by_turns(jobs, given.rounds)
        for source in sources.values():
            source.close()
        results.rates("feeding", "128x64, batches of 64", "speed", BATCH * BATCHES, seconds, base="a thread")


def ctc(results: Results, given: argparse.Namespace) -> None:
    """Compute the CTC loss of a batch of 64 and its gradient, with each implementation for the backend."""
    name = backend()
    trained = TRAINED[name]
    for kind in given.kinds:
        columns, classes, characters = SHAPES[kind]
        seconds = losses(columns, classes, characters, BATCH, given.rounds)
        subject = f"{characters} of {classes - 1:,} characters, {columns} columns"
        for form, times in seconds.items():
            milliseconds = [1000 * each for each in times]
            # The ratio is a multiple of the kit's time.
            ratio = harness.compared(times, seconds[trained]) if form != trained else {}
            results.values("ctc", subject, form, "time", milliseconds, "ms", options=name, ratio_to=trained, **ratio)


def backend() -> str:
    from model.backend import import_keras

    return str(import_keras().backend.backend())


def losses(columns: int, classes: int, characters: int, batch: int, rounds: int) -> dict[str, list[float]]:
    """Seconds of each implementation of the CTC loss in each round."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (batch, columns, classes)).astype(np.float32)
    labels = rng.integers(1, classes, (batch, characters)).astype(np.int32)
    return harness.by_turns({name: gradient(loss, labels, logits) for name, loss in forms(labels).items()}, rounds)


def forms(labels: np.ndarray) -> dict[str, Loss]:
    """Losses by name: functions of labels, int32 (batch, characters), and log-probabilities; one loss per text."""
    import keras

    from model.ctc import AlignmentLoss

    found: dict[str, Loss] = {"AlignmentLoss": AlignmentLoss().call, "keras.losses.CTC": keras.losses.CTC().call}
    batch, characters = labels.shape
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        sparse = tf.sparse.from_dense(labels)

        def with_sparse_labels(labels: Any, outputs: Any) -> Any:
            lengths = tf.fill([batch], outputs.shape[1])
            return tf.nn.ctc_loss(sparse, outputs, None, lengths, logits_time_major=False, blank_index=0)

        found["tf.nn.ctc_loss, sparse labels"] = with_sparse_labels
    if keras.backend.backend() == "torch":
        import torch

        # cuDNN's needs all labels in one row, on the CPU, in 32 bits.
        row, lengths = torch.from_numpy(labels.ravel()), torch.full((batch,), characters, dtype=torch.int32)

        def for_cudnn(labels: Any, outputs: Any) -> Any:
            columns = torch.full((batch,), outputs.shape[1], dtype=torch.int32)
            return torch.nn.functional.ctc_loss(outputs.transpose(0, 1), row, columns, lengths, reduction="none")

        found["torch.nn.functional.ctc_loss"] = for_cudnn
    return found


def gradient(loss: Loss, labels: np.ndarray, logits: np.ndarray) -> Callable[[], Any]:
    """A call that computes the mean loss of log-softmax(`logits`) and its gradient, and waits for them."""
    import keras

    def mean(logits: Any, labels: Any) -> Any:
        return keras.ops.mean(loss(labels, keras.ops.log_softmax(logits)))

    inputs = keras.ops.convert_to_tensor(logits), keras.ops.convert_to_tensor(labels)
    if keras.backend.backend() == "jax":
        import jax

        compiled = jax.jit(jax.value_and_grad(mean))
        return lambda: jax.block_until_ready(compiled(*inputs))
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        def step(logits: Any, labels: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(logits)
                found = mean(logits, labels)
            return found, tape.gradient(found, logits)

        traced = tf.function(step, autograph=False)
        return lambda: [array.numpy() for array in traced(*inputs)]

    def eager() -> Any:
        variable = inputs[0].clone().requires_grad_(True)
        mean(variable, inputs[1]).backward()
        return variable.grad.ravel()[0].item()

    return eager


def lines(results: Results, given: argparse.Namespace) -> None:
    """Measure the peak memory of training and reading with lines of 10 and of 100 characters of any width.

    The memory is that of the process, Keras and mapped pages included.
    """
    import dataset

    training = "--size autox32 --from random --epochs 1 --batch-size 32 --augmentation 0 --validation 0.1"
    for length, count in itertools.product((10, 100), given.counts):
        with tempfile.TemporaryDirectory() as folder:
            flags = f"--style line --size autox32 --length {length} --count {count} --seed 1"
            pictures, run = harness.generated(Path(folder) / "pictures", flags), Path(folder) / "run"
            widest = int(dataset.examine(dataset.collect(str(pictures))).sizes[:, 0].max())
            train = [sys.executable, "training.py", "--data", str(pictures), "--run", str(run), *training.split()]
            read = [sys.executable, "prediction.py", str(pictures), "--model", str(run)]
            subject, options = f"{count:,} lines of {length} characters", f"up to {widest:,} pixels wide"
            for variant, command in (("training", train), ("reading", read)):
                memory = harness.peak_memory(command)
                results.add("lines", subject, variant, "peak memory", memory, "MB", n=1, options=options)


def main() -> None:
    command = Command(__doc__, "training_speed")
    command.job(steps, rounds=9).add_argument("--presets", nargs="+", choices=STEPS, default=list(STEPS))
    fed = command.job(feeding, rounds=15)
    fed.add_argument("--pictures", type=int, default=10_000, help="number of captchas (%(default)s)")
    command.job(ctc, rounds=9).add_argument("--kinds", nargs="+", choices=SHAPES, default=list(SHAPES))
    command.job(lines).add_argument("--counts", type=int, nargs="+", default=[400, 1600], help="lines (%(default)s)")
    command.run()


if __name__ == "__main__":
    main()
