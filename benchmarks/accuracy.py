"""The accuracy of shipped weights, of trainings on small corpora, and of other readers.

    python benchmarks/accuracy.py captchas
    PEER_PYTHON=… python benchmarks/accuracy.py corpora captcha_keras1040 captcha_dots4 captcha_henan4
    python benchmarks/accuracy.py folds captcha_keras1040 --pictures 100 800
    PEER_PYTHON=… python benchmarks/accuracy.py plates plate_us_e2e plate_us_state plate_cn_lprnet
    PEER_PYTHON=… python benchmarks/accuracy.py unseen captcha_keras1040 captcha_dots4 captcha_henan4
    python benchmarks/accuracy.py families
    python benchmarks/accuracy.py suggested captcha_keras1040 captcha_dots4 captcha_henan4
    python benchmarks/accuracy.py margins plate_us_e2e plate_us_state plate_tw
    python benchmarks/accuracy.py rejects plate PICTURES

A corpus is a folder with `labels.csv` (columns file, label, split); `plates` also reads other labelled pictures. All
readers read the same files in one run. The other readers are ddddocr and the recognisers of rapidocr-onnxruntime
(`RapidOCR`) and rapidocr, if the Python PEER_PYTHON has them, and the network of the keras.io captcha example.

`wrong_labels.csv` lists pictures of the corpora whose labels contradict what they plainly show. Corpora with such
pictures get a second figure without them.
"""

from __future__ import annotations

import argparse
import csv
import functools
import hashlib
import itertools
import json
import math
import os
import secrets
import shutil
import string
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import harness
from benchmarks.harness import Command, Results
from crnn_reader.image import read_image
from generate_captcha.arrays import Image
from generate_captcha.drawing import paint
from generate_captcha.plates.camera import photograph
from generate_captcha.plates.car import draw_car
from generate_captcha.plates.layout import Layout
from generate_captcha.plates.layout_files import choose_layouts
from generate_captcha.plates.patterns import join_rows
from generate_captcha.plates.rendering import render
from generate_captcha.plates.rows import Box
from generate_captcha.seeded_random import SeededRandom
from parameter import FAMILIES

ALPHABET = string.digits + string.ascii_uppercase
#: Share of the pictures with a text that the second probability of :func:`rejects` accepts.
ACCEPTED = 0.95
#: Columns corpus, file (its name), label, and what the picture shows.
WRONG_LABELS = Path(__file__).with_name("wrong_labels.csv")
#: Characters that count as the same, by the beginning of the names of corpora whose pictures cannot tell them apart.
SAME = {
    "plate_us": str.maketrans("O", "0"),
    "captcha_generic_lower": str.maketrans("OIL", "011"),
}
#: Parts of a corpus for cross-validation.
FOLDS = 5
#: Seed of pictures that no training has seen.
FRESH_SEED = 7001
MARGINS = (0, 0.05, 0.1, 0.2, 0.3, 0.4)


def captchas(results: Results, given: argparse.Namespace) -> None:
    """Read fresh pictures of the `captcha` package, 128x64, 4 of 0-9A-Z, unseeded."""
    from captcha.image import ImageCaptcha

    painter = ImageCaptcha(width=128, height=64)
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "rows.tsv"
        with rows.open("w", encoding="utf-8") as file:
            for number in range(given.count):
                text = "".join(secrets.choice(ALPHABET) for _ in range(4))
                painter.generate_image(text).save(f"{folder}/{number}.png")
                file.write(f"{folder}/{number}.png\t{text}\n")
        for reader in (*given.models, *harness.peers(given.without_peers)):
            compare(results, "captchas", "captchas of 0-9A-Z", reader, rows)


def corpora(results: Results, given: argparse.Namespace) -> None:
    """Train on the train rows of corpora, and read their test rows.

    training.py gets the flags after `--`. The network of the keras.io example is trained on the same rows.
    """
    for corpus in given.corpora:
        with tempfile.TemporaryDirectory() as folder:
            train, test, run = (Path(folder) / name for name in ("train.tsv", "test.tsv", "run"))
            for rows in (train, test):
                harness.listed(corpus, rows, [rows.stem])
            seconds = harness.trained(run, ["--data", train, *given.flags])
            options = " ".join(given.flags)
            compare(results, "corpora", corpus.name, "crnn-kit", test, str(run), fold=False, options=options)
            results.add("corpora", corpus.name, "crnn-kit", "training", seconds, "s", n=1, options=options)
            if given.without_peers:
                continue
            seconds = harness.timed(functools.partial(harness.kit, __file__, "keras.io", train, test))
            texts = harness.texts_in(test)
            compare(results, "corpora", corpus.name, "keras.io", test, pairs=texts, fold=False)
            results.add("corpora", corpus.name, "keras.io", "training", seconds, "s", n=1)
            for peer in harness.peers():
                compare(results, "corpora", corpus.name, peer, test)


def folds(results: Results, given: argparse.Namespace) -> None:
    """Five-fold cross-validation: each fifth of a corpus is read after a training on pictures of the other four.

    The kit trains by its defaults, and from random weights, beside the network of the keras.io example. training.py
    gets the flags after `--`.
    """
    for corpus in given.corpora:
        with tempfile.TemporaryDirectory() as folder:
            train, test, every, run = (Path(folder) / name for name in ("train.tsv", "test.tsv", "every.tsv", "run"))
            rows = sorted(harness.listed(corpus, every), key=lambda row: order(row[0]))
            harness.write_rows(every, [row for fold in range(FOLDS) for row in rows[fold::FOLDS]])
            for count, variant in itertools.product(given.pictures, given.variants):
                texts, seconds = list[tuple[str, str]](), list[float]()
                for fold in range(FOLDS):
                    others = [row for i, row in enumerate(rows) if i % FOLDS != fold][:count]
                    harness.write_rows(train, others)
                    harness.write_rows(test, rows[fold::FOLDS])
                    if variant == "keras.io":
                        seconds.append(harness.timed(functools.partial(harness.kit, __file__, variant, train, test)))
                        texts += harness.texts_in(test)
                    else:
                        start = ["--from", "random"] if variant == "random" else []
                        seconds.append(harness.trained(run, ["--data", train, *start, *given.flags]))
                        texts += harness.texts_of(str(run), test)
                        shutil.rmtree(run)
                # A small corpus has fewer pictures than asked for.
                options = " ".join([f"{len(others)} pictures", *given.flags])
                compare(results, "folds", corpus.name, variant, every, pairs=texts, options=options)
                results.values("folds", corpus.name, variant, "training", seconds, "s", options=options)


def order(path: str) -> str:
    """A key that puts pictures in an order which depends only on their names."""
    return hashlib.sha1(Path(path).name.encode()).hexdigest()


def plates(results: Results, given: argparse.Namespace) -> None:
    """Read plates with weights that were trained only on generated plates.

    Only letters and digits count, in capitals; if the name of a corpus begins with plate_us, O counts as 0. With
    --layouts, the rows have the job `formats`: the model reads without the formats in its file, with them as a prior,
    and held to these layouts, each with and without test-time augmentation.
    """
    for corpus in given.corpora:
        with tempfile.TemporaryDirectory() as folder:
            rows = Path(folder) / "rows.tsv"
            harness.listed(corpus, rows, given.splits.split(","))
            if given.layouts:
                held = f"{harness.LAYOUTS}{given.layouts}"
                variants = {"none": f"{harness.LAYOUTS}none", "prior": "", "held to the country": held}
                for tta in (harness.ONCE, ""):
                    for variant, flags in variants.items():
                        model, options = f"{given.model}{flags}{tta}", held.strip()
                        compare(results, "formats", corpus.name, f"{variant}{tta}", rows, model, options=options)
                continue
            for reader in (given.model, f"{given.model}{harness.ONCE}", *harness.peers(given.without_peers)):
                compare(results, "plates", corpus.name, reader, rows)


def unseen(results: Results, given: argparse.Namespace) -> None:
    """Read captchas that the models have never seen, without constraints. Case does not count."""
    shares: dict[str, list[tuple[float, int]]] = {}
    for corpus in given.corpora:
        with tempfile.TemporaryDirectory() as folder:
            rows = Path(folder) / "rows.tsv"
            count = len(harness.listed(corpus, rows))
            for reader in (*given.models, *harness.peers(given.without_peers)):
                share = compare(results, "unseen", corpus.name, reader, rows)
                shares.setdefault(reader, []).append((share, count))
    if len(given.corpora) > 1:
        for reader, each in shares.items():
            results.add("unseen", "mean of the corpora", reader, "exact match", unit="%", **mean_share(each))


def mean_share(shares: list[tuple[float, int]]) -> dict[str, float]:
    """The mean of some shares in per cent, each of a number of pictures, with its normal interval of 95 %."""
    mean = 100 * float(np.mean([share for share, _ in shares]))
    error = 100 * math.sqrt(sum(share * (1 - share) / count for share, count in shares)) / len(shares)
    count = sum(count for _, count in shares)
    return {"figure": mean, "n": count, "low": mean - 1.96 * error, "high": mean + 1.96 * error}


def families(results: Results, given: argparse.Namespace) -> None:
    """Read fresh pictures of each family of style `wild`, with its texts and at its height. Case and signs count."""
    for family in FAMILIES:
        with tempfile.TemporaryDirectory() as folder:
            rows = Path(folder) / "rows.tsv"
            flags = f"--style wild --families {family} --count {given.count} --seed {FRESH_SEED}"
            harness.listed(harness.generated(Path(folder) / family, flags), rows)
            for reader in given.models:
                compare(results, "families", family, reader, rows, fold=False)


def suggested(results: Results, given: argparse.Namespace) -> None:
    """Read captchas that a model has never seen, as they are and held to what `dataset suggest` says without labels."""
    from crnn_reader import Constraint, Reader

    for corpus in given.corpora:
        with tempfile.TemporaryDirectory() as folder:
            rows, found = Path(folder) / "rows.tsv", Path(folder) / "found.json"
            labels = [label for _, label in harness.listed(corpus, rows)]
            harness.kit("-m", "dataset", "suggest", rows, "--model", given.model, "--json", found)
            guess = json.loads(found.read_text(encoding="utf-8"))
            held = Constraint(guess["length"], guess["charset"])
            for variant, constraint in ((given.model, Constraint()), (f"{given.model}, suggested flags", held)):
                readings = Reader(given.model, constraint=constraint).read(harness.files_in(rows))
                pairs = zip(labels, [reading.text for reading in readings], strict=True)
                options = f"--length {held.length} --charset {held.charset}" if constraint == held else ""
                compare(results, "suggested", corpus.name, variant, rows, pairs=pairs, options=options)


def margins(results: Results, given: argparse.Namespace) -> None:
    """Read crops that are up to 1.4 times as wide and high as the box of the plate.

    The box is exact, shifted by up to 10 % of its width and height, or around a plate that is turned by up to 10
    degrees. Generated plates stand in pictures of cars; pictures of corpora, which are crops, get their blurred edges
    around them.
    """
    from crnn_reader.reader import Reader

    reader = Reader(given.model)
    layouts = choose_layouts(",".join(each.name for each in reader.config.formats))
    subjects = {"generated plates": [plate_on_car(layouts, SeededRandom(f"margins {i}")) for i in range(given.count)]}
    subjects |= {corpus.name: surrounded(corpus) for corpus in given.corpora}
    for subject, plates in subjects.items():
        for measure, shift, turn in (("exact box", 0.0, 0), ("shifted", 0.1, 0), ("turned", 0.0, 10)):
            for margin in MARGINS:
                # The same shifts and angles for all margins.
                rng = SeededRandom(f"{subject} {measure}")
                readings = reader.read([cropped(image, box, margin, shift, turn, rng) for image, box, _ in plates])
                pairs = zip(plates, readings, strict=True)
                right = sum(folded(label, subject) == folded(one.text, subject) for (_, _, label), one in pairs)
                results.share("margins", subject, f"{margin:.0%}", measure, right, len(plates))


def plate_on_car(layouts: list[Layout], rng: SeededRandom) -> tuple[Image, Box, str]:
    """A picture of a car, the box of the plate in it, and the label.

    The plate is seen straight on, with effects of the camera of difficulty 0.5. Its letters are 12 to 40 pixels high.
    """
    layout = rng.choice(layouts)
    rows = rng.choice(layout.patterns).write(rng)
    letter_height = 12 * (40 / 12) ** rng.random()
    scale = letter_height / layout.letter_height
    plate = render(layout, rows, max(1.5, scale), 0.5, 1.0, rng)
    scale /= max(1.5, scale)
    near = cv2.resize(plate.image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    around = near.shape[1] // 2
    image = draw_car(near.shape[0] + 2 * around, near.shape[1] + 2 * around, rng)
    image[around:-around, around:-around] = near
    left, top, right, bottom = (around + scale * side for side in plate.plate)
    return photograph(image, letter_height / 3.2, 0.5, 1.0, rng), (left, top, right, bottom), join_rows(rows, False)


def surrounded(corpus: Path) -> list[tuple[Image, Box, str]]:
    """The pictures of a corpus with blurred edges around them, their boxes and labels."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for file, label in harness.listed(corpus, Path(folder) / "rows.tsv"):
            picture = read_image(file, 3)
            height, width = picture.shape[:2]
            around = width // 2
            image = cv2.copyMakeBorder(picture, around, around, around, around, cv2.BORDER_REPLICATE)
            image = cv2.GaussianBlur(image, (0, 0), height / 10)
            image[around : around + height, around : around + width] = picture
            found.append((image, (around, around, around + width, around + height), label))
    return found


def cropped(image: Image, box: Box, margin: float, shift: float, turn: float, rng: SeededRandom) -> Image:
    """Cut out a box that is `margin` larger, shifted by up to this part of its size, of the image turned by degrees."""
    left, top, right, bottom = box
    middle = (left + right) / 2, (top + bottom) / 2
    matrix = cv2.getRotationMatrix2D(middle, rng.between(-turn, turn), 1)
    turned = cv2.warpAffine(image, matrix, image.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
    width, height = np.abs(matrix[:, :2]) @ (right - left, bottom - top)
    x, y = middle[0] + rng.between(-shift, shift) * width, middle[1] + rng.between(-shift, shift) * height
    width, height = (1 + margin) * width, (1 + margin) * height
    (x0, x1), (y0, y1) = ((round(at - size / 2), round(at + size / 2)) for at, size in ((x, width), (y, height)))
    return turned[max(0, y0) : y1, max(0, x0) : x1]


def rejects(results: Results, given: argparse.Namespace) -> None:
    """Read pictures that show no text, or another kind of text, and count those that are rejected.

    Readings are accepted from two probabilities on: that which makes 99.5 % of the accepted readings in PATH right
    (`rejected`), and the highest that accepts 95 % of them (`rejected, 95 % accepted`). Pictures of noise, bars, … have
    the median size of those in PATH.
    """
    import dataset
    from crnn_reader.reader import Reader
    from generate_captcha.styles import style_of
    from model.comparison import accepts
    from model.scores import read_labelled, score_read
    from parameter import GenerateParameters

    reader = Reader(given.model)
    samples = [sample for sample in dataset.collect(given.path) if sample.label]
    read = read_labelled(reader, samples)
    scores = score_read(read)
    probabilities = sorted((reading.probability for _, reading in read if reading.text), reverse=True)
    needed = math.ceil(ACCEPTED * len(read))
    if scores.sure is None or len(probabilities) < needed:
        raise SystemExit(f"{given.model} reads {given.path} too badly to find a probability to accept from: {scores}")
    points = {"rejected": scores.sure.probability, f"rejected, {ACCEPTED:.0%} accepted": probabilities[needed - 1]}
    print(f"{given.path}: {scores}; accepted from {scores.sure.probability:.4f} on: {scores.sure}")

    height, width = np.median([read_image(sample.path, 3).shape[:2] for sample in samples[:100]], axis=0)
    pictures: dict[str, Iterable[Any]] = {
        kind.__name__: [kind(int(height), int(width), SeededRandom(f"{kind.__name__} {i}")) for i in range(given.count)]
        for kind in (ground, bars, shapes, noise)
    }
    for style in ("captcha", "line", "no_plate", "plate"):
        drawn = style_of(GenerateParameters(style=style, seed=77))
        pictures[f"style {style}"] = [drawn.picture(index)[0] for index in range(given.count)]
    pictures |= {folder: [sample.path for sample in dataset.collect(folder)] for folder in given.others}
    for kind, images in pictures.items():
        readings = list(reader.read(images))
        for measure, least in points.items():
            rejected = sum(not accepts(one.text, one.probability, least) for one in readings)
            options = f"{Path(given.path).name}, from {least:.4f}"
            results.share("rejects", kind, given.model, measure, rejected, len(readings), options=options)


def compare(
    results: Results, job: str, subject: str, reader: str, rows: Path, model: str = "", fold: bool = True,
    pairs: Iterable[tuple[str, str]] | None = None, **columns: Any
) -> float:  # fmt: skip
    """Add the exact match of a reader, by default its own name, on the rows of a list, and return it as a share.

    If some labels of the corpus `subject` are known to be wrong, add it without these rows, too.
    """
    found = harness.texts_of(model or reader, rows) if pairs is None else list(pairs)
    right = [folded(truth, subject) == folded(text, subject) if fold else truth == text for truth, text in found]
    results.share(job, subject, reader, "exact match", sum(right), len(right), **columns)
    wrong = wrong_labels(subject)
    kept = [each for each, file in zip(right, harness.files_in(rows), strict=True) if Path(file).name not in wrong]
    if len(kept) < len(right):
        results.share(job, subject, reader, "exact match without wrong labels", sum(kept), len(kept), **columns)
    return sum(right) / max(1, len(right))


def wrong_labels(corpus: str) -> set[str]:
    """Names of the pictures of a corpus whose labels are wrong."""
    with WRONG_LABELS.open(encoding="utf-8", newline="") as file:
        return {row["file"] for row in csv.DictReader(file) if row["corpus"] == corpus}


def folded(text: str, corpus: str) -> str:
    """Letters and digits of a text, in capitals, with one character for those that count as the same."""
    kept = "".join(filter(str.isalnum, text.upper()))
    same = next((table for beginning, table in SAME.items() if corpus.startswith(beginning)), {})
    return kept.translate(same)


def ground(height: int, width: int, rng: SeededRandom) -> Image:
    """A wall, a road, a gradient: a texture in two colours, out of focus."""
    tones = [paint.random_colour(rng.between(20, 235), 60, rng) for _ in range(2)]
    field = paint.texture(height, width, rng) if rng.random() < 0.6 else paint.gradient(height, width, rng)
    return grainy(paint.colourise(field, *tones), rng)


def bars(height: int, width: int, rng: SeededRandom) -> Image:
    """A radiator grille, a fence, a kerb: parallel bars of one width."""
    dark, light = (paint.random_colour(rng.between(*tones), 30, rng) for tones in ((0, 90), (120, 250)))
    angle, period = rng.between(0, np.pi), rng.between(0.1, 0.6) * height
    rows, columns = np.mgrid[:height, :width]
    wave = np.cos(2 * np.pi * (columns * np.cos(angle) + rows * np.sin(angle)) / period)
    field = (255 / (1 + np.exp(-8 * (wave - rng.between(-0.7, 0.7))))).astype(np.uint8)
    return grainy(paint.colourise(field, dark, light), rng)


def shapes(height: int, width: int, rng: SeededRandom) -> Image:
    """Discs, boxes and strokes at random, like lamps, screws and edges."""
    image = ground(height, width, rng)
    for _ in range(1 + rng.randbelow(8)):
        tone = paint.random_colour(rng.between(0, 255), 60, rng)
        mask = np.zeros((height, width), np.uint8)
        one, other = ((rng.randbelow(width), rng.randbelow(height)) for _ in range(2))
        form = rng.randbelow(3)
        if form == 0:
            cv2.circle(mask, one, 1 + rng.randbelow(height // 2), 255, -1, cv2.LINE_AA)
        elif form == 1:
            cv2.rectangle(mask, one, other, 255, -1)
        else:
            cv2.line(mask, one, other, 255, 1 + rng.randbelow(max(1, height // 8)), cv2.LINE_AA)
        paint.fill(image, tone, mask)
    return grainy(image, rng)


def noise(height: int, width: int, rng: SeededRandom) -> Image:
    """Random pixels."""
    return np.random.default_rng(rng.getrandbits(32)).integers(0, 256, (height, width, 3), np.uint8)


def grainy(image: Image, rng: SeededRandom) -> Image:
    """Blur and grain of a camera."""
    chance = np.random.default_rng(rng.getrandbits(32))
    blurred = cv2.GaussianBlur(image, (0, 0), rng.between(0.3, 2))
    grain = chance.normal(0, rng.between(0, 12), image.shape)
    return (blurred + grain).clip(0, 255).astype(np.uint8)


def keras_io(train: Path, test: Path) -> None:
    """Train the network of the keras.io captcha example by its recipe, and write the texts of the test rows.

    Grey 200x50 scaled to 0…1, width as time; Adam 1e-3, batch 16, a tenth of the pictures to validate, at most 100
    epochs, stopped after 10 without a better validation loss, the best weights kept. The ten are counted from epoch 30:
    on captcha_keras1040 with this seed, CTC predicts only blanks for twenty epochs, and stopping there would read none
    of 206.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras
    from keras import layers

    import dataset
    from crnn_reader.decoding.ctc import greedy
    from crnn_reader.fit import fit_image

    width, height = 200, 50
    pictures = [dataset.collect(path) for path in (train, test)]
    images, unseen = (
        np.stack([fit_image(read_image(sample.path, 1), width, height, "stretch") for sample in samples])
        .transpose(0, 2, 1, 3)
        .astype(np.float32)
        / 255
        for samples in pictures
    )
    texts = [sample.label for sample in pictures[0]]
    alphabet = sorted(set("".join(texts)))
    labels = np.zeros((len(texts), max(map(len, texts))), np.int32)
    for row, text in zip(labels, texts, strict=True):
        row[: len(text)] = [alphabet.index(character) + 1 for character in text]
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((width, height, 1))
    for filters in (32, 64):
        x = layers.Conv2D(filters, 3, activation="relu", padding="same", kernel_initializer="he_normal")(x)
        x = layers.MaxPooling2D(2)(x)
    x = layers.Reshape((width // 4, height // 4 * 64))(x)
    x = layers.Dropout(0.2)(layers.Dense(64, activation="relu")(x))
    for units in (128, 64):
        x = layers.Bidirectional(layers.LSTM(units, return_sequences=True, dropout=0.25))(x)
    probabilities = layers.Dense(len(alphabet) + 1, activation="softmax")(x)
    # Keras' CTC loss takes logits, for which logarithms of probabilities do.
    network = keras.Model(inputs, keras.ops.log(keras.ops.maximum(probabilities, 1e-7)))
    network.compile(keras.optimizers.Adam(1e-3), keras.losses.CTC(), jit_compile=False)
    held_out, kept = np.split(np.random.default_rng(0).permutation(len(images)), [len(images) // 10])
    stop = keras.callbacks.EarlyStopping("val_loss", patience=10, restore_best_weights=True, start_from_epoch=30)
    network.fit(
        images[kept], labels[kept], batch_size=16, epochs=100, verbose=0, callbacks=[stop],
        validation_data=(images[held_out], labels[held_out]),
    )  # fmt: skip
    decoded = greedy(network.predict(unseen, verbose=0))
    harness.write_texts(test, ("".join(alphabet[number - 1] for number in one.numbers) for one in decoded))


def main() -> None:
    if sys.argv[1:2] == ["keras.io"]:
        keras_io(Path(sys.argv[2]), Path(sys.argv[3]))
        return
    command = Command(__doc__, "accuracy")
    jobs = (captchas, corpora, folds, plates, unseen, families, suggested, margins, rejects)
    fresh, real, crossed, country, strange, drawn, unlabelled, around, rejected = map(command.job, jobs)
    fresh.add_argument("--models", nargs="+", default=["captcha", "captcha_lite"])
    fresh.add_argument("--count", type=int, default=12_800, help="number of pictures (%(default)s)")
    for job in (real, crossed, country, strange, unlabelled):
        job.add_argument("corpora", nargs="+", type=Path, metavar="CORPUS", help="folder with labels.csv")
    crossed.add_argument(
        "--pictures", nargs="+", type=int, default=[50, 100, 200, 400, 800], help="to train on (50 to 800)"
    )
    variants = ("crnn-kit", "random", "keras.io")
    crossed.add_argument("--variants", nargs="+", choices=variants, default=variants, help="all by default")
    country.add_argument("--model", default="plate")
    country.add_argument("--layouts", help="compare reading without formats, with them, and held to these layouts")
    country.add_argument("--splits", default="train,test", help="rows to read (%(default)s)")
    for job in (strange, drawn):
        job.add_argument("--models", nargs="+", default=["general"], help="files or shipped names (general)")
    drawn.add_argument("--count", type=int, default=500, help="pictures of each family (%(default)s)")
    for job in (fresh, real, crossed, country, strange):
        job.add_argument("--without-peers", action="store_true", help="only this kit")
    unlabelled.add_argument("--model", default="general")
    around.add_argument("corpora", nargs="*", type=Path, metavar="CORPUS")
    around.add_argument("--model", default="plate")
    around.add_argument("--count", type=int, default=1_000, help="number of generated plates (%(default)s)")
    rejected.add_argument("model", metavar="MODEL")
    rejected.add_argument("path", metavar="PATH")
    rejected.add_argument("--count", type=int, default=500, help="pictures of each kind (%(default)s)")
    rejected.add_argument("--others", nargs="+", default=[], metavar="FOLDER", help="more kinds of pictures")
    command.run()


if __name__ == "__main__":
    main()
