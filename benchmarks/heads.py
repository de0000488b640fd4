"""Attention against CTC, and both on one encoder: on captchas and on lines.

    python benchmarks/heads.py [FOLDER]

Draws 60,000 pictures of each kind to train on and 2,000 others to read into FOLDER (default runs/heads), and trains the
same network with each head by the same number of pictures. Then all heads take turns in training and in reading, nine
times each, for pictures/s. Goes on where it was stopped.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from benchmarks.feeding import processor
from benchmarks.trials import corpus, trial

KINDS = {
    "captcha36": "--style captcha --length 4 --size 128x64",
    "lines": "--style line --length 8-20 --size 256x32 --alphabet 0-9A-Za-z",
}
TRAINING = "--validation 0.02 --from random --epochs 4 --batch-size 64 --augmentation 0 --precision mixed_bfloat16"
HEADS = ("ctc", "attention", "joint")
#: Of the speeds: turns, steps of 64 pictures that are trained in each, pictures that are read in each.
ROUNDS, STEPS, READ = 9, 3, 1000


def main() -> None:
    """Print the figures."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/heads").resolve()
    print(f"{processor()}, {os.cpu_count()} cores", flush=True)
    for kind, flags in KINDS.items():
        train = corpus(folder / kind / "train", f"{flags} --count 60000 --seed 1")
        test = corpus(folder / kind / "test", f"{flags} --count 2000 --seed 2")
        size = flags.split("--size ")[1].split()[0]
        for head in HEADS:
            training = ["--data", str(train), "--size", size, "--head", head, *TRAINING.split()]
            for reads in ("ctc", "attention") if head == "joint" else (head,):
                name = f"{kind} {head}" + (f" read by {reads}" if head == "joint" else "")
                trial(name, folder / kind / head, training, test, ("--head", reads))
    for kind in KINDS:
        speeds(kind, folder / kind)


def speeds(kind: str, folder: Path) -> None:
    """Print the pictures/s that each head trains on and reads, and how many times as fast CTC is."""
    from crnn_reader.alphabet import Alphabet
    from crnn_reader.model_files import read_config
    from crnn_reader.reader import Reader
    from dataset import collect
    from model import network
    from model.backend import import_keras, jit_compile, precision
    from model.heads import HEADS as KIT

    samples = list(collect(folder / "test"))[:READ]
    keras, steps, readers = import_keras(), {}, {}
    for head in HEADS:
        config = read_config(folder / head / "model.keras")
        assert config.width, "one width"
        with precision("mixed_bfloat16"):
            net = network.build(config)
        net.compile(keras.optimizers.AdamW(1e-3), KIT[head].loss(config), jit_compile=jit_compile())
        images = np.random.default_rng(0).integers(0, 256, (64, config.height, config.width, config.channels), np.uint8)
        numbers = [Alphabet(config.alphabet).encode(sample.label) for sample in samples[:64]]
        labels = np.zeros((64, max(map(len, numbers))), np.int32)
        for row, label in zip(labels, numbers, strict=True):
            row[: len(label)] = label
        teaching = KIT[head].decoder_inputs(labels)
        steps[head] = net, [images, *teaching] if teaching else images, KIT[head].targets(labels)
        readers[head] = Reader(str(folder / head))
    rates: dict[str, dict[str, list[float]]] = {what: {head: [] for head in HEADS} for what in ("trains", "reads")}
    # The first turn compiles.
    for turn in range(1 + ROUNDS):
        for head, (net, given, targets) in steps.items():
            started = time.perf_counter()
            for _ in range(STEPS):
                net.train_on_batch(given, targets)
            trained = time.perf_counter()
            for _ in readers[head].read(sample.path for sample in samples):
                pass
            if turn:
                rates["trains"][head].append(64 * STEPS / (trained - started))
                rates["reads"][head].append(len(samples) / (time.perf_counter() - trained))
    for what, found in rates.items():
        for head, own in found.items():
            times = [ctc / other for ctc, other in zip(found["ctc"], own, strict=True)]
            print(f"{kind} {head} {what} {median(own, 0)} pictures/s, CTC {median(times, 2)} times as many", flush=True)


def median(values: list[float], digits: int) -> str:
    """The median of nine values, and its 96 % interval: the second and the eighth of them, sorted."""
    values = sorted(values)
    return f"{statistics.median(values):.{digits}f} [{values[1]:.{digits}f}, {values[-2]:.{digits}f}]"


if __name__ == "__main__":
    main()
