"""The model file: one file with the network, its weights and everything needed to read.

A `.keras` file is a zip archive; beside Keras' own entries ours holds the card, `crnn_kit.json`. An `.onnx` file, which
export.py makes of it, has the card among its metadata, under the same name. The card is read without Keras, so a wrong
file is refused before a framework is loaded.
"""

from __future__ import annotations

import errno
import json
import math
import tempfile
import types
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from console import UserError, atomic
from model import onnx_metadata, runtimes
from model.runtimes import Runtime

#: Stands in every model file; equal to the version in pyproject.toml.
KIT_VERSION = "0.1.0"

#: Raised by one when an older kit could no longer read what this one writes.
FORMAT = 3
CARD_ENTRY = "crnn_kit.json"
REMEDY = "give a model.keras of a run, or what export.py made of it"
#: Suffixes of model files, the one that reads faster first; TRAINED of those that trainings start from.
FORMS = (".onnx", ".keras")
TRAINED = (".keras",)
SHIPPED = Path(__file__).parent / "weights"


@dataclass(frozen=True)
class Card:
    """What a model file says of itself: how to build the network, prepare pictures and decode."""

    network: str
    preset: str
    head: str
    alphabet: str
    #: None for any width: pictures keep their aspect.
    width: int | None
    height: int
    channels: Literal[1, 3]
    fit: Literal["stretch", "pad"]
    rectify: Literal["none", "affine", "tps"] = "none"
    coordinates: bool = False
    #: Of text in a picture, at the most.
    rows: int = 1
    #: Of the attention head: its recurrent cell, label smoothing, and the most characters it writes.
    cell: Literal["gru", "lstm"] = "gru"
    label_smoothing: float = 0.1
    longest: int = 100
    #: Which part of a joint head reads.
    reads: Literal["ctc", "attention"] = "ctc"
    decoder: Literal["greedy", "beam"] = "greedy"
    #: By which probabilities are mended; see model.calibration.
    temperature: float = 1.0
    #: Lowest and highest height in pixels, and width / height, of the training pictures; see model.trained_sizes. None
    #: in files of earlier kits.
    trained_heights: list[float] | None = None
    trained_aspects: list[float] | None = None
    kit_version: str = KIT_VERSION
    format: int = FORMAT

    @classmethod
    def of(cls, entry: Any) -> Card:
        """The card that an entry of a file says, a JSON object. Raises ValueError for anything else."""
        if not isinstance(entry, dict):
            raise ValueError("no object")
        kinds = get_type_hints(cls)
        for name, value in entry.items():
            if name not in kinds or not _is(value, kinds[name]):
                raise ValueError(f"{name} is {value!r}")
        try:
            card = cls(**entry)
        except TypeError as error:
            missing = next(field.name for field in fields(cls) if field.name not in entry)
            raise ValueError(f"{missing} is missing") from error
        # Of what is counted there is at least one; the temperature divides.
        for name in ("width", "height", "rows", "longest", "temperature"):
            if name in entry and entry[name] is not None and entry[name] <= 0:
                raise ValueError(f"{name} is {entry[name]}")
        for name in ("trained_heights", "trained_aspects"):
            bounds = entry.get(name)
            if bounds is not None and not (len(bounds) == 2 and 0 < bounds[0] <= bounds[1] < math.inf):
                raise ValueError(f"{name} is {bounds}")
        return card

    def to_json(self) -> str:
        """What :meth:`of` reads."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False)


def _is(value: Any, kind: Any) -> bool:
    """Whether a value of JSON is of the kind that a field is declared as."""
    if get_origin(kind) is Literal:
        # True is no 1 here.
        return any(value == allowed and type(value) is type(allowed) for allowed in get_args(kind))
    if isinstance(kind, types.UnionType):
        return any(_is(value, each) for each in get_args(kind))
    if get_origin(kind) is list:
        return type(value) is list and all(_is(each, get_args(kind)[0]) for each in value)
    return type(value) is kind or (kind is float and type(value) is int)


def locate(name_or_file: str, forms: Sequence[str] = FORMS) -> Path:
    """The path of a model file, or of shipped weights by their name, in the first of the `forms` that is there.

    Raises UserError when there is none.
    """
    shipped = [file for form in forms if (file := SHIPPED / f"{name_or_file}{form}").is_file()]
    # A name has no folder and no suffix; anything else is meant as a file.
    path = shipped[0] if Path(name_or_file).name == name_or_file and shipped else Path(name_or_file)
    if path.is_dir() and (path / "model.keras").is_file():
        return path / "model.keras"
    if not path.is_file():
        names = ", ".join(sorted({file.stem for form in forms for file in SHIPPED.glob(f"*{form}")})) or "none yet"
        raise UserError(
            f"no model file {name_or_file}: give a {' or '.join(reversed(forms))} file, a run folder, or a shipped "
            f"name ({names})"
        )
    if path.suffix == ".tflite":
        raise UserError(f"{path} is for LiteRT, with which this kit does not read: give the .keras or .onnx file")
    if path.suffix not in FORMS:
        raise UserError(f"{path} is no model file that this kit reads: {REMEDY}")
    if path.suffix not in forms:
        raise UserError(f"{path} is made to be read with alone: give the .keras file that it was exported from")
    return path


def read_card(path: Path) -> Card:
    """The card of a model file, without loading Keras. Raises UserError for any other file."""
    try:
        if path.suffix == ".onnx":
            entry = json.loads(onnx_metadata.read(path)[CARD_ENTRY])
        else:
            with zipfile.ZipFile(path) as archive:
                entry = json.loads(archive.read(CARD_ENTRY))
    except KeyError as error:
        raise UserError(f"{path} was not written by this kit (it holds no {CARD_ENTRY}): {REMEDY}") from error
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise UserError(f"{path} is not a model file, or damaged ({error}): {REMEDY}") from error
    written = entry.get("format") if isinstance(entry, dict) else None
    if isinstance(written, int) and written > FORMAT:
        raise UserError(
            f"{path} was written by crnn-kit {entry.get('kit_version')} in format {written}, this kit reads up to "
            f"{FORMAT}: update the kit"
        )
    try:
        return Card.of(entry)
    except ValueError as error:
        raise UserError(f"the {CARD_ENTRY} in {path} is damaged ({error}): train again or take another copy") from error


def save(model: Any, card: Card, path: Path) -> None:
    """Write `model`'s weights and `card` to `path`, whole or not at all.

    The file holds the network in float32 and without an optimiser, whatever it was trained with, so
    that it reads the same on every backend and processor.
    """
    from model.network import build, precision

    with precision("float32"):
        plain = build(card)
    plain.set_weights(model.get_weights())
    with atomic(path) as temporary:
        plain.save(temporary)
        with zipfile.ZipFile(temporary, "a") as archive:
            archive.writestr(CARD_ENTRY, card.to_json())


def opened(path: Path) -> tuple[Runtime, Card]:
    """What runs the parts of the network in a model file, and its card. Raises UserError as :func:`load` does."""
    if path.suffix == ".onnx":
        card = read_card(path)
        try:
            onnx_metadata.check(path)
        except ValueError as error:
            raise UserError(f"{path} is damaged ({error}): export it again or take another copy") from error
        return runtimes.of_onnx(path), card
    from model.heads import HEADS

    network, card = load(path)
    return runtimes.of_keras(HEADS[card.head].parts(network, card)), card


def load(path: Path) -> tuple[Any, Card]:
    """The Keras model, not compiled, and its card. Raises UserError for any other or a damaged file."""
    from model.network import import_keras

    card = read_card(path)
    runtimes.not_forked()
    keras = import_keras()
    # Layers of our own are known to Keras once they are imported.
    import model.attention
    import model.features
    import model.rectifiers  # noqa: F401

    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True), card
    except Exception as error:  # Keras raises whatever a damaged archive or HDF5 file makes it stumble over.
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            # Keras unpacks the weights there.
            raise OSError(error.errno, error.strerror, tempfile.gettempdir()) from error
        reason = str(error).partition("\n")[0]
        raise UserError(
            f"the network in {path} cannot be opened ({reason}): train again or take another copy"
        ) from error
