"""Pictures per second: trained by each preset, and fed by the batch generator alone, in one run.

    python benchmarks/training_speed.py

128x64 grey, batches of 64 from a packed corpus of 6,400 generated captchas, augmentation at its default. Medians
over rounds in which feeding and every preset take turns, with the 95 % interval of the median.
"""

from __future__ import annotations

import functools
import itertools
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import dataset
from benchmarks.feeding import processor
from crnn_reader.alphabet import Alphabet
from crnn_reader.config import ModelConfig
from generate_captcha.corpus import write_corpus
from model.backend import import_keras, jit_compile, precision
from model.heads import HEADS
from model.network import build
from parameter import GenerateParameters

PICTURES, BATCH, ROUNDS, STEPS = 6_400, 64, 9, {"lite": 20, "small": 12, "base": 3}
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def main() -> None:
    """Print the figures."""
    keras = import_keras()
    print(f"{processor()}, {os.cpu_count()} cores, Keras {keras.__version__} on {keras.backend.backend()}")
    with tempfile.TemporaryDirectory() as folder:
        write_corpus(GenerateParameters(out=f"{folder}/pictures", count=PICTURES))
        corpus = dataset.pack(dataset.collect(f"{folder}/pictures"), 128, 64, 1, cache=f"{folder}/cache")
        batches = dataset.Batches(
            corpus, np.arange(PICTURES), Alphabet(ALPHABET).encode, BATCH, shuffle=True, augmentation=1.0
        )
        endless = (batch for epoch in itertools.count() for batch in batches.stream(epoch))
        jobs = {"fed by the batch generator alone": functools.partial(taken, batches, 40)}
        for preset, policy in itertools.product(STEPS, ("float32", "mixed_bfloat16")):
            network = compiled(preset, policy)
            jobs[f"trained, {preset}, {policy}"] = functools.partial(trained, network, endless, STEPS[preset])
        for job in jobs.values():
            job()
        rates: dict[str, list[float]] = {name: [] for name in jobs}
        for _ in range(ROUNDS):
            for name, job in jobs.items():
                started = time.perf_counter()
                rates[name].append(job() / (time.perf_counter() - started))
    for name, values in rates.items():
        # The second and the eighth of nine sorted values are a 96 % interval of the median.
        low, *_, high = sorted(values)[1:-1]
        print(f"{name}: {statistics.median(values):,.0f} pictures/s [{low:,.0f}, {high:,.0f}]")
    fed = statistics.median(rates["fed by the batch generator alone"])
    for name in list(rates)[1:]:
        print(
            f"feeding is {fed / statistics.median(rates[name]):.1f} times as fast as {name.partition(', ')[2]} trains"
        )


def compiled(preset: str, policy: str) -> Any:
    keras = import_keras()
    config = ModelConfig(
        network="vgg_conv" if preset == "lite" else "vgg_bilstm",
        preset=preset,
        head="ctc",
        alphabet=ALPHABET,
        width=128,
        height=64,
        channels=1,
        fit="stretch",
    )
    with precision(policy):
        network = build(config)
    network.compile(keras.optimizers.AdamW(1e-3), HEADS["ctc"].loss(config), jit_compile=jit_compile())
    return network


def trained(network: Any, batches: Iterator[Any], steps: int) -> int:
    for images, labels in itertools.islice(batches, steps):
        network.train_on_batch(images, labels)
    return steps * BATCH


def taken(batches: dataset.Batches, steps: int) -> int:
    # A stream of its own: one that ran on beside a training would have batches ready.
    return sum(len(images) for images, _ in itertools.islice(batches.stream(0), steps))


if __name__ == "__main__":
    main()
