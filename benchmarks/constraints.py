"""What it is worth, and what it costs, to hold readings to what is known of the texts.

    python benchmarks/constraints.py [PATH] [--model captcha] [--length 4] [--charset 0-9A-Z] [--pattern PATTERN]
                                     [--lexicon FILE | --lexicon-of 100000] [--noise 1] [--distortion 1]

Reads the labelled pictures of PATH (by default 500 captchas drawn for it) without a constraint, with each of those
given alone, and with all of them. Prints for each: exact match with its Wilson interval; pictures per second from
files to texts in a warm process; of that, the microseconds per picture from outputs to texts; medians over rounds in
which all take turns. With CTC also what the exact search takes where every picture needs it, and how often it gives up
its proof; likewise on pictures of noise, which say nothing of any text. `--lexicon-of N` writes a lexicon of N random
texts with the true ones among them.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import dataset
from benchmarks.feeding import processor
from crnn_reader.decoding.automaton import Automaton
from crnn_reader.decoding.constraints import Constraint
from crnn_reader.decoding.search import search
from crnn_reader.fit import fit_image
from crnn_reader.image import read_image
from crnn_reader.reader import Reader
from generate_captcha.corpus import write_corpus
from model.scores import wilson
from parameter import GenerateParameters

DRAWN, NOISE, BATCH, ROUNDS = 500, 200, 64, 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", nargs="?")
    parser.add_argument("--model", default="captcha")
    for flag in ("length", "charset", "pattern", "lexicon"):
        parser.add_argument(f"--{flag}")
    parser.add_argument("--lexicon-of", type=int, metavar="N")
    parser.add_argument("--noise", type=float, default=1.0, help="of the captchas that are drawn")
    parser.add_argument("--distortion", type=float, default=1.0, help="likewise")
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if not flags.path:
            flags.path = f"{folder}/pictures"
            drawn = GenerateParameters(
                out=flags.path, count=DRAWN, seed=9, noise=flags.noise, distortion=flags.distortion
            )
            write_corpus(drawn)
        samples = [sample for sample in dataset.collect(flags.path) if sample.label]
        if flags.lexicon_of:
            flags.lexicon = f"{folder}/lexicon.txt"
            write_lexicon(Path(flags.lexicon), [sample.label for sample in samples], flags.lexicon_of)
        known = {flag: value for flag in ("length", "charset", "pattern", "lexicon") if (value := getattr(flags, flag))}
        trials = {"no constraint": Constraint()}
        trials |= {f"--{flag} {Path(value).name}": Constraint(**{flag: value}) for flag, value in known.items()}
        if len(known) > 1:
            trials["all of them"] = Constraint(**known)
        compare(flags.model, samples, trials)


def write_lexicon(path: Path, truths: list[str], count: int) -> None:
    """`count` texts: the true ones, and random ones of their lengths and characters."""
    draw, characters, texts = random.Random(0), sorted(set("".join(truths))), set(truths)
    while len(texts) < count:
        texts.add("".join(draw.choices(characters, k=len(draw.choice(truths)))))
    path.write_text("\n".join(sorted(texts)) + "\n", encoding="utf-8")


def compare(model: str, samples: list[dataset.Sample], trials: dict[str, Constraint]) -> None:
    """Print a line per trial."""
    readers = {name: Reader(model, constraint=constraint) for name, constraint in trials.items()}
    first = next(iter(readers.values()))
    config, paths = first.config, [sample.path for sample in samples]
    images = [fit_image(read_image(path, config.channels), config.width, config.height, config.fit) for path in paths]
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, images[0].shape, np.uint8) for _ in range(NOISE)]
    outputs, outputs_of_noise = (
        [first.outputs(some[start : start + BATCH]) for start in range(0, len(some), BATCH)] for some in (images, noise)
    )
    print(f"{processor()}, {os.cpu_count()} cores; {first.path.name}; n = {len(paths):,}; medians of {ROUNDS} rounds")

    read, decoded = defaultdict[str, list[float]](list), defaultdict[str, list[float]](list)
    texts: dict[str, list[str]] = {}
    for _ in range(ROUNDS):
        for name, reader in readers.items():
            started = time.perf_counter()
            texts[name] = [reading.text for reading in reader.read(paths)]
            read[name].append(time.perf_counter() - started)
            started = time.perf_counter()
            for batch in outputs:
                reader.decode(batch)
            decoded[name].append(time.perf_counter() - started)
    for name, constraint in trials.items():
        right = sum(text == sample.label for text, sample in zip(texts[name], samples, strict=True))
        low, high = wilson(right, len(paths))
        ratio = statistics.median(a / b for a, b in zip(read["no constraint"], read[name], strict=True))
        print(
            f"{name}: exact match {right / len(paths):.2%} [{low:.2%}, {high:.2%}]; "
            f"{len(paths) / statistics.median(read[name]):,.0f} pictures/s, {ratio:.2f} of those without; "
            f"{1e6 * statistics.median(decoded[name]) / len(paths):,.0f} µs from outputs to text"
        )
        started = time.perf_counter()
        automaton = constraint.automaton(config.alphabet)
        if automaton:
            print(f"    compiled in {time.perf_counter() - started:.2f} s, {automaton.states:,} states")
        if automaton and not isinstance(outputs[0], list):
            print(f"    search of every picture: {searched(outputs, automaton)}")
            print(f"    search of {NOISE} pictures of noise: {searched(outputs_of_noise, automaton)}", flush=True)


def searched(outputs: list[NDArray[np.float32]], automaton: Automaton) -> str:
    seconds, found = [], []
    for row in itertools.chain(*outputs):
        started = time.perf_counter()
        found.append(search(row, automaton))
        seconds.append(time.perf_counter() - started)
    unproven = sum(not one.exact for one in found)
    return (
        f"{1000 * statistics.median(seconds):.1f} ms, {1000 * max(seconds):.1f} ms at most; "
        f"{max(one.prefixes for one in found):,} beginnings at most; {unproven:,} of {len(found):,} unproven"
    )


if __name__ == "__main__":
    main()
