"""The accuracy and speed of reading with constraints on the texts.

    python benchmarks/constraints.py read [PATH] --length 4 --charset 0-9A-Z --pattern '[0-9A-Z]{4}' --lexicon-of 100000

All readers share one model and run alternately.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import dataset
from benchmarks import harness
from benchmarks.harness import Command, Results
from crnn_reader.decoding.automaton import Automaton
from crnn_reader.decoding.constraints import Constraint
from crnn_reader.decoding.search import search
from crnn_reader.fit import fit_image
from crnn_reader.image import read_image
from crnn_reader.reader import Reader

NOISE, BATCH = 200, 64
KINDS = ("length", "charset", "pattern", "lexicon")


def read(results: Results, given: argparse.Namespace) -> None:
    """Read labelled pictures without a constraint, with each of the constraints given, and with all of them.

    Measures the exact match, the pictures/s from files to texts in a warm process, and the time from outputs to texts.
    With CTC, also measures the time of the exact search on every picture and the share that it leaves without a proof,
    for these pictures and for noise.
    """
    import model  # noqa: F401 (it adds the files of Keras)

    with tempfile.TemporaryDirectory() as folder:
        path, subject = given.path, Path(given.path or "captchas").name
        if not path:
            flags = f"--count 500 --seed 9 --noise {given.noise} --distortion {given.distortion}"
            path = harness.generated(Path(folder) / "pictures", flags)
            subject += f", noise {given.noise:g}, distortion {given.distortion:g}"
        samples = [sample for sample in dataset.collect(path) if sample.label]
        if given.lexicon_of:
            given.lexicon = lexicon(Path(folder), [sample.label for sample in samples], given.lexicon_of)
        known = {kind: value for kind in KINDS if (value := getattr(given, kind))}
        trials = {"no constraint": Constraint()}
        trials |= {f"--{kind}": Constraint(**{kind: value}) for kind, value in known.items()}
        if len(known) > 1:
            trials["all of them"] = Constraint(**known)
        known["lexicon"] = f"{given.lexicon_of} texts" if given.lexicon_of else given.lexicon
        results.shared_columns["options"] = " ".join(f"--{kind} {value}" for kind, value in known.items() if value)
        compare(results, f"{subject}, {given.model}", given, samples, trials)


def lexicon(folder: Path, truths: list[str], count: int) -> str:
    """Write a file of `count` texts: the labels, and random texts of their lengths and characters."""
    draw, characters, texts = random.Random(0), sorted(set("".join(truths))), set(truths)
    while len(texts) < count:
        texts.add("".join(draw.choices(characters, k=len(draw.choice(truths)))))
    path = folder / "lexicon.txt"
    path.write_text("\n".join(sorted(texts)) + "\n", encoding="utf-8")
    return str(path)


def compare(
    results: Results, subject: str, given: argparse.Namespace, samples: list[dataset.Sample],
    trials: dict[str, Constraint]
) -> None:  # fmt: skip
    """Add the rows of each trial."""
    readers = {name: Reader(given.model, constraint=constraint) for name, constraint in trials.items()}
    first = readers["no constraint"]
    config, paths = first.config, [sample.path for sample in samples]
    images = [fit_image(read_image(path, config.channels), config.width, config.height, config.fit) for path in paths]
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, images[0].shape, np.uint8) for _ in range(NOISE)]
    outputs, of_noise = (
        [first.outputs(some[start : start + BATCH]) for start in range(0, len(some), BATCH)] for some in (images, noise)
    )
    for name, reader in readers.items():
        right = sum(text == sample.label for text, sample in zip(read_all(reader, paths), samples, strict=True))
        results.share("read", subject, name, "exact match", right, len(paths))
    whole = {name: functools.partial(read_all, reader, paths) for name, reader in readers.items()}
    seconds = harness.by_turns(whole, given.rounds)
    results.rates("read", subject, "files to texts", len(paths), seconds, base="no constraint")
    decoding = {name: functools.partial(decode_all, reader, outputs) for name, reader in readers.items()}
    for name, times in harness.by_turns(decoding, given.rounds).items():
        micro = [1e6 * each / len(paths) for each in times]
        results.values("read", subject, name, "outputs to a text", micro, "µs")
    for name, constraint in trials.items():
        started = time.perf_counter()
        automaton = constraint.automaton(config.alphabet)
        if automaton:
            results.add("read", subject, name, "compiling", time.perf_counter() - started, "s", n=1)
        if automaton and not isinstance(outputs[0], list):
            for what, batches in (("pictures", outputs), ("noise", of_noise)):
                searched(results, subject, name, what, list(itertools.chain(*batches)), automaton)


def read_all(reader: Reader, paths: list[str]) -> list[str]:
    return [reading.text for reading in reader.read(paths)]


def decode_all(reader: Reader, outputs: list[np.ndarray]) -> None:
    for batch in outputs:
        reader.decode(batch)


def searched(
    results: Results, subject: str, name: str, what: str, rows: list[np.ndarray], automaton: Automaton
) -> None:
    """Add the time of the exact search in the rows, and the share that it leaves without a proof."""
    seconds, unproven = [], 0
    for row in rows:
        started = time.perf_counter()
        found = search(row, automaton)
        seconds.append(1000 * (time.perf_counter() - started))
        unproven += not found.exact
    results.add("read", subject, name, f"search of {what}, median", statistics.median(seconds), "ms", n=len(rows))
    results.add("read", subject, name, f"search of {what}, longest", max(seconds), "ms", n=len(rows))
    results.share("read", subject, name, f"search of {what}, without a proof", unproven, len(rows))


def main() -> None:
    command = Command(__doc__, "constraints")
    job = command.job(read, rounds=6)
    job.add_argument("path", nargs="?", help="labelled pictures (default: 500 generated captchas)")
    job.add_argument("--model", default="captcha")
    for kind in KINDS:
        job.add_argument(f"--{kind}", help="a constraint, as prediction.py takes it")
    job.add_argument("--lexicon-of", type=int, metavar="N", help="a lexicon of N texts that includes the labels")
    job.add_argument("--noise", type=float, default=1.0, help="noise of the generated captchas (%(default)g)")
    job.add_argument("--distortion", type=float, default=1.0, help="distortion of the generated captchas (%(default)g)")
    command.run()


if __name__ == "__main__":
    main()
