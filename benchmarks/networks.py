"""The effect of parts of a network: heads, rectifiers, and weights to start from.

    python benchmarks/networks.py heads
    python benchmarks/networks.py rectifiers
    PEER_PYTHON=… python benchmarks/networks.py receipts line_receipt_sroie FONTS

Pictures and runs go to a folder (--folder). Interrupted runs are resumed.
"""

from __future__ import annotations

import argparse
import csv
import functools
import json
import random
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import harness, training_speed
from benchmarks.harness import Command, Results

SHORT = "--epochs 4 --batch-size 64 --augmentation 0 --precision mixed_bfloat16 --validation 0.02"
HEADS = ("ctc", "attention", "joint")
KINDS = {
    "captchas": "--style captcha --length 4 --size 128x64",
    "lines": "--style line --length 8-20 --size 256x32 --alphabet 0-9A-Za-z",
}
#: Per round of `heads`: number of training steps with 64 pictures, and number of pictures to read.
STEPS, READ = 3, 1_000
#: Maximum arc along which a line is bent, and maximum rotation, in degrees.
BENT, TURNED = 100, 25
WIDTH, HEIGHT = 128, 64
#: Number of invented fields of receipts, of pictures of them, of repetitions of each train row when they are mixed with
#: pictures of invented fields, and number of these pictures.
FIELDS, LINES, TIMES, AMONG = 80_000, 160_000, 40, 20_000


def heads(results: Results, given: argparse.Namespace) -> None:
    """Train the same network with each head on captchas and on lines, and compare speeds in alternating runs."""
    from crnn_reader.decoding import DECODERS

    folder = given.folder or Path("runs/heads").resolve()
    for kind, flags in KINDS.items():
        train = harness.generated(folder / kind / "train", f"{flags} --count {given.count} --seed 1")
        test = harness.generated(folder / kind / "test", f"{flags} --count 2000 --seed 2")
        size = flags.split("--size ")[1].split()[0]
        for head in HEADS:
            run = folder / kind / head
            harness.trained(run, ["--data", train, "--size", size, "--head", head, "--from", "random", *SHORT.split()])
            for reads in DECODERS[head]:
                name = f"{head}, read by {reads}" if len(DECODERS[head]) > 1 else head
                score(results, "heads", kind, name, run, test, "--head", reads)
        speeds(results, kind, folder / kind, given.rounds)


def score(results: Results, job: str, subject: str, variant: str, run: Path, test: Path, *flags: str) -> None:
    """Add the exact match and the character error rate of a run."""
    found = harness.scores(run, test, *flags)
    results.share(job, subject, variant, "exact match", found["exact"], found["images"])
    error = 100 * found["character_error_rate"]
    results.add(job, subject, variant, "character error rate", error, "%", n=found["images"])


def speeds(results: Results, kind: str, folder: Path, rounds: int) -> None:
    """Add the pictures/s of each head in training and in reading."""
    import dataset
    from crnn_reader.alphabet import Alphabet
    from crnn_reader.model_files import read_config
    from crnn_reader.reader import Reader
    from model.heads import HEADS as KIT

    samples = list(dataset.collect(folder / "test"))[:READ]
    training: dict[str, Callable[[], object]] = {}
    reading: dict[str, Callable[[], object]] = {}
    for head in HEADS:
        config = read_config(folder / head / "model.keras")
        assert config.width, "one width"
        steps = training_speed.training_steps(config, "mixed_bfloat16")
        images = np.random.default_rng(0).integers(0, 256, (64, config.height, config.width, config.channels), np.uint8)
        numbers = [Alphabet(config.alphabet).encode(sample.label) for sample in samples[:64]]
        labels = np.zeros((len(numbers), max(map(len, numbers))), np.int32)
        for row, label in zip(labels, numbers, strict=True):
            row[: len(label)] = label
        decoder_inputs = KIT[head].decoder_inputs(labels)
        inputs = [images[: len(labels)], *decoder_inputs] if decoder_inputs else images[: len(labels)]
        batch = inputs, KIT[head].targets(labels), len(labels), 1e-3
        training[head] = functools.partial(train, steps, batch)
        reading[head] = functools.partial(read, Reader(str(folder / head)), [sample.path for sample in samples])
    results.rates("heads", kind, "training", 64 * STEPS, harness.by_turns(training, rounds), base="ctc")
    results.rates("heads", kind, "reading", len(samples), harness.by_turns(reading, rounds), base="ctc")


def train(steps: Any, batch: Any) -> None:
    steps.epoch(iter([batch] * STEPS), lambda _: None)


def read(reader: Any, paths: list[str]) -> None:
    for _ in reader.read(paths):
        pass


def rectifiers(results: Results, given: argparse.Namespace) -> None:
    """Train the same network without a rectifier, affine, and with splines, on curved and turned lines."""
    folder = given.folder or Path("runs/rectifier").resolve()
    flags = "--style line --length 5-8 --size 128x24 --distortion 0 --noise 0.5 --difficulty 0.3"
    lists = []
    for name, count, seed in (("train", given.count, 1), ("test", 2_000, 2)):
        straight = harness.generated(folder / "straight" / name, f"{flags} --count {count} --seed {seed}")
        lists.append(bent(straight, folder / name, seed))
    train, test = lists
    for rectifier in ("none", "affine", "tps"):
        run, size = folder / rectifier, f"{WIDTH}x{HEIGHT}"
        training = ["--data", train, "--from", "general", "--size", size, "--rectify", rectifier, *SHORT.split()]
        harness.trained(run, training)
        score(results, "rectifiers", "bent lines", rectifier, run, test)
        with (run / "history.csv").open(encoding="utf-8", newline="") as history:
            fastest = max(float(row["pictures_per_second"]) for row in csv.DictReader(history))
        results.add("rectifiers", "bent lines", rectifier, "training, fastest epoch", fastest, "pictures/s", n=1)


def bent(straight: Path, folder: Path, seed: int) -> Path:
    """`folder` with all pictures of `straight`, by their names, bent and turned."""
    folder.mkdir(parents=True, exist_ok=True)
    # Each picture has its own seed, so that pictures of an interrupted call can be kept.
    for number, path in enumerate(sorted(straight.rglob("*.png"))):
        if not (folder / path.name).is_file():
            line = np.asarray(cv2.imread(str(path)), np.uint8)
            cv2.imwrite(str(folder / path.name), bend(line, np.random.default_rng((seed, number))))
    return folder


def bend(line: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Bend a straight line along an arc, rotate it, and scale it to fit. Returns uint8 (HEIGHT, WIDTH, 3).

    The background has the median colour of the corners. A point of the line, (u, v) from its middle, moves to ((r - v)
    sin(u / r), r - (r - v) cos(u / r)) on an arc of radius r, which is negative if the arc opens upwards.
    """
    height, width, _ = line.shape
    angle = np.radians(rng.uniform(1, BENT)) * rng.choice((-1, 1))
    turn, radius = np.radians(rng.uniform(-TURNED, TURNED)), width / angle
    turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    u, v = np.meshgrid(np.linspace(-width / 2, width / 2, 33), (-height / 2, height / 2))
    edge = turned @ [((radius - v) * np.sin(u / radius)).ravel(), (radius - (radius - v) * np.cos(u / radius)).ravel()]
    room = np.array([WIDTH, HEIGHT]) / np.ptp(edge, axis=1)
    scale = room.min() * rng.uniform(0.8, 0.98)
    left = np.array([WIDTH, HEIGHT]) - scale * np.ptp(edge, axis=1)
    corner = rng.uniform(0, 1, 2) * left - scale * edge.min(axis=1)
    # The inverse: the point of the line for each pixel of the new picture.
    pixels = np.stack(np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))).reshape(2, -1)
    x, y = turned.T @ ((pixels - corner[:, None]) / scale)
    side = np.sign(radius)
    u = radius * np.arctan2(side * x, side * (radius - y)) + width / 2
    v = radius - side * np.hypot(x, radius - y) + height / 2
    along, across = (found.reshape(HEIGHT, WIDTH).astype(np.float32) for found in (u, v))
    ground = np.median(line[[0, 0, -1, -1], [0, -1, 0, -1]], axis=0).tolist()
    image = cv2.remap(line, along, across, cv2.INTER_AREA, borderMode=cv2.BORDER_CONSTANT, borderValue=ground)
    return np.asarray(image, np.uint8)


def receipts(results: Results, given: argparse.Namespace) -> None:
    """Train on generated lines of words like those of receipts, then on the corpus' train rows.

    Texts are compared in capitals, and also without spaces, because RapidOCR leaves most of them out. One run trains on
    the train rows only, another on copies of them mixed with generated lines. The first run repeats the training of the
    shipped `lines`.
    """
    folder, peer = given.folder or Path("runs/receipts").resolve(), "RapidOCR"
    folder.mkdir(parents=True, exist_ok=True)
    train, test, words = folder / "train.tsv", folder / "test.tsv", folder / "fields.txt"
    known = [label for _, label in harness.listed(given.corpus, train, ["train"])]
    harness.listed(given.corpus, test, ["test"])
    words.write_text("\n".join(invented(known)), encoding="utf-8")
    flags = "--style line --size autox32 --length 1-45 --difficulty 0.6 --distortion 0.5 --noise 0.3 --seed 2"
    drawn = folder / "drawn"
    harness.generated(drawn, f"{flags} --count {given.count} --text {words} --fonts {given.fonts.resolve()}")
    generated = folder / "drawn.tsv"
    rows = harness.listed(drawn, generated)
    generated.write_text("".join(f"{path}\t{label.upper()}\n" for path, label in rows), encoding="utf-8")

    first, own, mixed = (folder / name for name in ("generated", "own", "mixed"))
    fast = "--batch-size 64 --precision mixed_bfloat16 --size autox32 --epochs 3".split()
    training = ["--data", generated, "--from", "lines", "--validation", "0.02", "--learning-rate", "0.001", *fast]
    harness.trained(first, training)
    harness.trained(own, ["--data", train, "--from", first, "--size", "autox32"])
    among, held = among_generated(own, generated, folder)
    training = ["--data", among, "--from", first, "--validation", held, "--learning-rate", "0.0005", *fast]
    harness.trained(mixed, training)
    variants = {"generated lines": first, "then the train rows": own, "or the train rows among generated lines": mixed}
    for name, reader in (variants | {each: each for each in harness.peers() if each == peer}).items():
        pairs = [(truth, text.upper()) for truth, text in harness.texts_of(str(reader), test)]
        right = sum(truth == text for truth, text in pairs)
        bare = sum(truth.replace(" ", "") == text.replace(" ", "") for truth, text in pairs)
        results.share("receipts", given.corpus.name, name, "exact match", right, len(pairs))
        results.share("receipts", given.corpus.name, name, "exact match without spaces", bare, len(pairs))
        if name in variants:
            error = 100 * harness.scores(Path(reader), test, "--ignore-case")["character_error_rate"]
            results.add("receipts", given.corpus.name, name, "character error rate", error, "%", n=len(pairs))


def among_generated(own: Path, generated: Path, folder: Path) -> tuple[Path, Path]:
    """Write two lists: the training rows of `own`, repeated and mixed with generated lines, and its validation rows."""
    split = json.loads((own / "split.json").read_text(encoding="utf-8"))
    train, validation = (
        [f"{path}\t{label}\n" for path, label in split[part].items()] for part in ("training", "validation")
    )
    chance = random.Random(1)
    lines = generated.read_text(encoding="utf-8").splitlines(keepends=True)
    rows = train * TIMES + chance.sample(lines, min(AMONG, len(lines)))
    chance.shuffle(rows)
    mixed, held = folder / "mixed.tsv", folder / "held.tsv"
    mixed.write_text("".join(rows), encoding="utf-8")
    held.write_text("".join(validation), encoding="utf-8")
    return mixed, held


def invented(known: Sequence[str]) -> list[str]:
    """Invent fields from the words of `known` labels, with random digits, in different cases."""
    chance = random.Random(1)
    words = [word for label in known for word in label.split()]
    letters, signs, fields = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "%#=@&*+-/:.,()$'", list[str]()
    while len(fields) < FIELDS:
        chosen = chance.choices(words, k=chance.choice((1, 1, 1, 2, 2, 3, 4, 6)))
        # Change digits and letters, so that the network does not memorise words.
        text = re.sub(r"\d", lambda _: chance.choice("0123456789"), " ".join(chosen))
        text = re.sub(r"[A-Z]", lambda found: chance.choice((found[0], found[0], chance.choice(letters))), text)
        # A few labels have few signs.
        if chance.random() < 0.15:
            place = chance.randrange(len(text) + 1)
            text = text[:place] + chance.choice(signs) + text[place:]
        fields.append(chance.choice((text, text, text.lower(), text.title())))
    return fields


def main() -> None:
    command = Command(__doc__, "networks")
    for job, rounds, count in ((heads, 9, 60_000), (rectifiers, 0, 30_000), (receipts, 0, LINES)):
        added = command.job(job, rounds)
        added.add_argument("--folder", type=lambda text: Path(text).resolve(), metavar="DIR", help="default: in runs/")
        added.add_argument("--count", type=int, default=count, help="generated pictures to train on (%(default)s)")
        if job is receipts:
            added.add_argument("corpus", type=Path, metavar="CORPUS")
            added.add_argument("fonts", type=Path, metavar="FONTS", help="see docs/lines.md")
    command.run()


if __name__ == "__main__":
    main()
