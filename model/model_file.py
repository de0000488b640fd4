"""The model file: one `.keras` file with the network, its weights and everything needed to read.

A `.keras` file is a zip archive; beside Keras' own entries ours holds the card, `crnn_kit.json`. The
card is read without Keras, so a wrong file is refused before a framework is loaded.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from console import UserError, atomic
from parameter import KIT_VERSION

#: Raised by one when an older kit could no longer read what this one writes.
FORMAT = 3
CARD_ENTRY = "crnn_kit.json"
SHIPPED = Path(__file__).parent / "weights"


class Card(BaseModel):
    """What a model file says of itself: how to build the network, prepare pictures and decode."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    network: str
    preset: str
    head: str
    alphabet: str
    #: None for any width: pictures keep their aspect.
    width: int | None = Field(ge=1)
    height: int = Field(ge=1)
    channels: Literal[1, 3]
    fit: Literal["stretch", "pad"]
    rectify: Literal["none", "affine", "tps"] = "none"
    coordinates: bool = False
    #: Of text in a picture, at the most.
    rows: int = Field(1, ge=1)
    #: Of the attention head: its recurrent cell, label smoothing, and the most characters it writes.
    cell: Literal["gru", "lstm"] = "gru"
    label_smoothing: float = 0.1
    longest: int = Field(100, ge=1)
    #: Which part of a joint head reads.
    reads: Literal["ctc", "attention"] = "ctc"
    decoder: Literal["greedy", "beam"] = "greedy"
    #: By which probabilities are mended; see model.calibration.
    temperature: float = Field(1.0, gt=0)
    kit_version: str = KIT_VERSION
    format: int = FORMAT


def locate(name_or_file: str) -> Path:
    """The path of a model file, or of shipped weights by their name. Raises UserError when there is none."""
    shipped = SHIPPED / f"{name_or_file}.keras"
    # A name has no folder and no suffix; anything else is meant as a file.
    path = shipped if Path(name_or_file).name == name_or_file and shipped.is_file() else Path(name_or_file)
    if path.is_dir() and (path / "model.keras").is_file():
        return path / "model.keras"
    if not path.is_file():
        names = ", ".join(sorted(file.stem for file in SHIPPED.glob("*.keras"))) or "none yet"
        raise UserError(f"no model file {name_or_file}: give a .keras file, a run folder, or a shipped name ({names})")
    return path


def read_card(path: Path) -> Card:
    """The card of a model file, without loading Keras. Raises UserError for any other file."""
    try:
        with zipfile.ZipFile(path) as archive:
            entry = json.loads(archive.read(CARD_ENTRY))
    except KeyError as error:
        raise UserError(
            f"{path} was not written by this kit (it holds no {CARD_ENTRY}): give a model.keras of a run"
        ) from error
    except (zipfile.BadZipFile, ValueError) as error:
        raise UserError(f"{path} is not a model file, or damaged ({error}): give a model.keras of a run") from error
    written = entry.get("format") if isinstance(entry, dict) else None
    if isinstance(written, int) and written > FORMAT:
        raise UserError(
            f"{path} was written by crnn-kit {entry.get('kit_version')} in format {written}, this kit reads up to "
            f"{FORMAT}: update the kit"
        )
    try:
        return Card(**entry)
    except (ValidationError, TypeError) as error:
        raise UserError(
            f"the {CARD_ENTRY} in {path} is damaged ({type(error).__name__}): train again or take another copy"
        ) from error


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
            archive.writestr(CARD_ENTRY, json.dumps(card.model_dump(), indent=2, ensure_ascii=False))


def load(path: Path) -> tuple[Any, Card]:
    """The Keras model, not compiled, and its card. Raises UserError for any other or a damaged file."""
    from model.network import import_keras

    card = read_card(path)
    keras = import_keras()
    # Layers of our own are known to Keras once they are imported.
    import model.attention
    import model.features
    import model.rectifiers  # noqa: F401

    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True), card
    except Exception as error:  # Keras raises whatever a damaged archive or HDF5 file makes it stumble over.
        reason = str(error).partition("\n")[0]
        raise UserError(
            f"the network in {path} cannot be opened ({reason}): train again or take another copy"
        ) from error
