"""A model file -> files of other runtimes, each read back by its runtime and compared with Keras before it is there.

A form is a file of this package, with `write(path, parts, card)` and with `opened(path)`, which gives what runs the
parts in such a file; its line is in parameter.FILE_FORMS.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

import picture
from console import UserError, atomic, warn
from model import model_file
from model.decoding import Decoded
from model.heads import HEADS
from model.model_file import Card
from model.network import import_keras
from model.runtimes import Runtime, of_keras
from model.runtimes import pictures as as_inputs

#: So many pictures are read by both, and so far apart may their probabilities be.
COMPARED, TOLERANCE = 64, 1e-4
#: Pictures in a batch of those: the last one is alone, and batches of any size are to read the same.
BATCH = 21


class Comparison(NamedTuple):
    """How far an exported file is from Keras: the greatest difference of probabilities, texts that are others."""

    difference: float
    other_texts: int
    texts: int

    def __str__(self) -> str:
        same = "the same texts" if not self.other_texts else f"{self.other_texts} of {self.texts} texts are others"
        return f"{same} as Keras in {self.texts} readings, probabilities at most {self.difference:.1e} apart"


def export(model: Path, form: str, out: Path) -> Comparison:
    """Write the model file `model` in another form to `out`, whole or not at all.

    Raises UserError for what the form cannot hold, for a missing package, and where it does not read as Keras does.
    """
    written = module(form)
    network, card = model_file.load(model)
    parts = HEADS[card.head].parts(network, card)
    with atomic(out) as temporary:
        written.write(temporary, parts, card)
        comparison = compare(of_keras(parts), written.opened(temporary), card)
        if comparison.difference > TOLERANCE or comparison.other_texts:
            raise UserError(
                f"{out} would not read as Keras does and is not written ({comparison}; {TOLERANCE:g} is allowed): "
                "choose another --form"
            )
    return comparison


def export_int8(model: Path, out: Path, files: Iterable[Path | str]) -> int:
    """Write a model file as ONNX with the encoder in integers of 8 bits, their ranges those of the pictures in `files`.

    Returns how many pictures these are; those that cannot be read are left out and told of on stderr. Raises UserError
    as :func:`export` does, and where none of them can be read.
    """
    written, quantisation = module("onnx"), module("int8")
    network, card = model_file.load(model)
    parts = HEADS[card.head].parts(network, card)
    pictures, options = [], picture.Options(frame=card.frame)
    for file in files:
        try:
            pictures.append(picture.fit(picture.read(file, card.channels, options), card.width, card.height, card.fit))
        except picture.UnreadablePicture as error:
            warn(f"{file}: {error}")
    if not pictures:
        raise UserError("none of the pictures that ranges are found with can be read: give others to --int8")
    with atomic(out) as temporary:
        written.write(temporary, parts, card, lambda encoder: quantisation.int8(encoder, batches(pictures, card)))
    return len(pictures)


def module(name: str) -> Any:
    """A file of this package. Raises UserError where a package that it needs is missing."""
    # First of all, since it chooses the backend, and quietly.
    import_keras()
    try:
        return import_module(f"model.export.{name}")
    except ImportError as error:
        extra = "tensorflow" if error.name == "tensorflow" else "export"
        raise UserError(
            f"export.py needs the package {error.name} for this, which is not installed: pip install '.[{extra}]' at "
            "the top of the clone"
        ) from error


def compare(ours: Runtime, other: Runtime, card: Card) -> Comparison:
    """Two runtimes on the same pictures: every head of the network, the text of each picture and its characters."""
    differences, others = [0.0], []
    readers = [replace(card, reads="ctc"), replace(card, reads="attention")] if card.head == "joint" else [card]
    for reading in readers:
        decoders = [HEADS[card.head].decoder(run, reading) for run in (ours, other)]
        for batch in batches(some_pictures(card), card):
            inputs = tuple(batch.values()) if len(batch) > 1 else next(iter(batch.values()))
            outputs = [decoder.outputs(inputs) for decoder in decoders]
            if not isinstance(outputs[0], list):
                differences.append(float(np.abs(np.exp(outputs[0]) - np.exp(outputs[1])).max()))
            texts = [decoder.decode(found, "greedy", 1, 1) for decoder, found in zip(decoders, outputs, strict=True)]
            for (first,), (second,) in zip(*texts, strict=True):
                others.append(first.numbers != second.numbers)
                differences += _differences(first, second)
    # What is no number agrees with nothing.
    return Comparison(float(np.nan_to_num(differences, nan=np.inf).max()), sum(others), len(others))


def _differences(first: Decoded, second: Decoded) -> Iterator[float]:
    yield abs(first.probability - second.probability)
    for one, other in zip(first.places, second.places, strict=False):
        yield abs(one.probability - other.probability)


def batches(pictures: Iterable[picture.Image], card: Card) -> Iterator[dict[str, NDArray[Any]]]:
    """Inputs of a network, from fitted pictures; those of similar width together."""
    ordered = sorted(pictures, key=lambda image: image.shape[1])
    for start in range(0, len(ordered), BATCH):
        some = ordered[start : start + BATCH]
        yield as_inputs(picture.side_by_side(some) if card.width is None else np.stack(some))


def some_pictures(card: Card, count: int = COMPARED) -> list[picture.Image]:
    """Letters and lines on noisy grounds, of many sizes, as the network sees them; the same ones each time."""
    rng = np.random.default_rng(0)
    pictures = []
    for _ in range(count):
        height = int(rng.integers(16, 96))
        width = round(height * rng.uniform(1, 6))
        ground = rng.normal(rng.uniform(100, 250), 15, (height, width, card.channels))
        image = ground.clip(0, 255).astype(np.uint8)
        text = "".join(rng.choice(list("0123456789ABCDEFGHJKLMNPQRSTUVWXYZ"), rng.integers(1, 8)))
        ink, thickness, face = rng.integers(0, 120, 3).tolist(), max(1, height // 24), cv2.FONT_HERSHEY_SIMPLEX
        cv2.putText(image, text, (height // 8, height * 3 // 4), face, height / 40, ink, thickness, cv2.LINE_AA)
        for start, end in rng.integers(0, [width, height], (2, 2, 2)).tolist():
            cv2.line(image, start, end, ink, thickness, cv2.LINE_AA)
        pictures.append(picture.fit(image, card.width, card.height, card.fit))
    return pictures
