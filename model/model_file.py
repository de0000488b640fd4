"""The model file: one file with the network, its weights and everything needed to read.

A `.keras` file is a zip archive; beside Keras' own entries ours holds the card, `crnn_kit.json`. An `.onnx` file, which
export.py makes of it, has the card among its metadata, under the same name. The card is read without Keras, so a wrong
file is refused before a framework is loaded.

A file may come from a stranger (SECURITY.md). Of a `.keras` file only the card and the arrays of weights are read: the
network is built from the card, by model.network. An `.onnx` file goes to onnxruntime when model.onnx_graph has found
nothing in it that export would not have written.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import reprlib
import shutil
import struct
import tempfile
import types
import unicodedata
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO, Literal, get_args, get_origin, get_type_hints

from numpy.typing import NDArray

import bounded
import notation
from console import UserError, atomic, did_you_mean
from model import onnx_graph, onnx_metadata, runtimes
from model.alphabet import Alphabet
from model.calibration import COLDEST, HOTTEST
from model.heads import HEADS
from model.runtimes import IMAGES, LOG_PROBABILITIES, WIDTHS, Runtime

#: Stands in every model file; equal to the version in pyproject.toml.
KIT_VERSION = "0.1.0"

#: Raised by one when an older kit could no longer read what this one writes.
FORMAT = 4
CARD_ENTRY = "crnn_kit.json"
REMEDY = "give a model.keras of a run, or what export.py made of it"
#: Suffixes of model files, the one that reads faster first; TRAINED of those that trainings start from.
FORMS = (".onnx", ".keras")
TRAINED = (".keras",)
SHIPPED = Path(__file__).parent / "weights"
#: Keras' entry with the weights.
WEIGHTS_ENTRY = "model.weights.h5"
#: Bytes of a card, of a `.keras` file and of the directory at its end; entries in it. All the characters of Unicode
#: would be a card of 600 kB; Keras writes three entries, and the card is the fourth.
LARGEST_CARD, LARGEST_FILE, LARGEST_DIRECTORY, MOST_ENTRIES = 1 << 20, 1 << 30, 1 << 16, 64
#: What numbers of a card are at the least and at the most. `longest` is by default twice the longest label.
BOUNDS: dict[str, tuple[float, float]] = {
    "width": (1, notation.LARGEST),
    "height": (1, notation.LARGEST),
    "rows": (1, notation.MOST_ROWS),
    "longest": (1, 2 * notation.LONGEST),
    "label_smoothing": (0, 1),
    "temperature": (COLDEST, HOTTEST),
}


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
    #: Which frame of an animation, or page, is read: `first`, `last` or a number from 1.
    frame: str = "first"
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
                raise ValueError(f"{reprlib.repr(name)[1:-1]} is {reprlib.repr(value)}")
        try:
            card = cls(**entry)
        except TypeError as error:
            missing = next(field.name for field in fields(cls) if field.name not in entry)
            raise ValueError(f"{missing} is missing") from error
        if card.head not in HEADS:
            raise ValueError(f"head is {reprlib.repr(card.head)}, not one of {', '.join(HEADS)}")
        for name, (least, most) in BOUNDS.items():
            value = getattr(card, name)
            # NaN is not between them.
            if value is not None and not least <= value <= most:
                raise ValueError(f"{name} is {reprlib.repr(value)}, not from {least:,} to {most:,}")
        _check_alphabet(card.alphabet)
        for name in ("trained_heights", "trained_aspects"):
            bounds = entry.get(name)
            if bounds is not None and not (len(bounds) == 2 and 0 < bounds[0] <= bounds[1] < math.inf):
                raise ValueError(f"{name} is {reprlib.repr(bounds)}")
        notation.frame(card.frame)
        return card

    def to_json(self) -> str:
        """What :meth:`of` reads."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False)


def _check_alphabet(characters: str) -> None:
    """Raise ValueError for what notation.alphabet would not have made."""
    if not characters or len(set(characters)) < len(characters):
        raise ValueError("the alphabet has no characters, or one of them twice")
    for character in characters:
        if notation.UNREADABLE.match(character):
            raise ValueError(f"the alphabet has the control character U+{ord(character):04X}")
        if not unicodedata.is_normalized("NFC", character):
            raise ValueError(f"the alphabet has U+{ord(character):04X}, which is not composed (NFC)")


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
    if path.is_dir():
        raise UserError(f"{path} is a folder without a model.keras: give a run folder, or a model file in it")
    if not path.is_file():
        names = sorted({file.stem for form in forms for file in SHIPPED.glob(f"*{form}")})
        meant = did_you_mean(name_or_file, [*names, *map(str, path.parent.glob("*"))])
        raise UserError(
            f"no model file {name_or_file}: {meant + ' Or ' if meant else ''}give a {' or '.join(reversed(forms))} "
            f"file, a run folder, or a shipped name ({', '.join(names) or 'none yet'})"
        )
    if path.suffix == ".tflite":
        raise UserError(f"{path} is for LiteRT, which this kit does not use to read: give the .keras or .onnx file")
    if path.suffix not in FORMS:
        raise UserError(f"{path} is not a model file that this kit reads: {REMEDY}")
    if path.suffix not in forms:
        raise UserError(f"{path} can only be used to read: give the .keras file that it was exported from")
    return path


def read_card(path: Path) -> Card:
    """The card of a model file, without loading Keras. Raises UserError for any other file."""
    try:
        if path.suffix == ".onnx":
            text = onnx_metadata.read(path)[CARD_ENTRY]
            if len(text) > LARGEST_CARD:
                raise ValueError(f"its {CARD_ENTRY} has {len(text):,} characters")
        else:
            text = _entry(path, CARD_ENTRY, LARGEST_CARD).decode()
        entry = bounded.json_value(text)
    except KeyError as error:
        raise UserError(f"{path} was not written by this kit (it holds no {CARD_ENTRY}): {REMEDY}") from error
    except ValueError as error:
        raise UserError(f"{path} is not a model file, or damaged ({error}): {REMEDY}") from error
    written = entry.get("format") if isinstance(entry, dict) else None
    if type(written) is int and written > FORMAT:
        raise UserError(
            f"{path} was written by crnn-kit {reprlib.repr(entry.get('kit_version'))[1:-1]} in format "
            f"{reprlib.repr(written)}, this kit reads up to {FORMAT}: update the kit"
        )
    try:
        return Card.of(entry)
    except ValueError as error:
        raise UserError(f"the {CARD_ENTRY} in {path} is damaged ({error}): train again or use another copy") from error


def _entry(path: Path, name: str, largest: int) -> bytes:
    """An entry of a zip archive as this kit writes it, at most so many bytes.

    Raises OSError for a file that cannot be opened, KeyError where there is no such entry, ValueError for all else.
    """
    with bounded.open_regular(path) as file:
        try:
            size = _checked_size(file)
            with zipfile.ZipFile(file) as archive:
                members = archive.infolist()
                if len({member.filename for member in members}) < len(members):
                    raise ValueError("it has an entry twice")
                member = archive.getinfo(name)
                if member.flag_bits & 1 or member.compress_type != zipfile.ZIP_STORED:
                    raise ValueError(f"its {name} is compressed or encrypted, which this kit never does")
                if member.file_size > min(largest, size) or member.compress_size != member.file_size:
                    raise ValueError(f"its {name} has {member.file_size:,} bytes, more than {min(largest, size):,}")
                return archive.read(member)
        except (KeyError, ValueError):
            raise
        except Exception as error:  # A damaged archive makes zipfile stumble over many things: OSError, struct.error …
            raise ValueError(str(error)) from error


def _checked_size(file: BinaryIO) -> int:
    """Bytes of a zip archive.

    Raises ValueError where its end is not as this kit writes it: a short directory, and nothing behind it.
    """
    size = file.seek(0, os.SEEK_END)
    if size > LARGEST_FILE:
        raise ValueError(f"it has {size:,} bytes, and no network of this kit has more than {LARGEST_FILE:,}")
    # The record at the end has 22 bytes; 20 before it are the locator of one for larger archives.
    file.seek(max(0, size - 42))
    end = file.read()
    if not end[-22:].startswith(b"PK\5\6") or end.startswith(b"PK\6\7"):
        raise ValueError("it is not a zip archive, or truncated")
    entries, length = struct.unpack("<HI", end[-12:-6])
    if entries > MOST_ENTRIES or length > LARGEST_DIRECTORY:
        raise ValueError(f"it has {entries:,} entries, described in {length:,} bytes")
    return size


def save(model: Any, card: Card, path: Path) -> None:
    """Write `model`'s weights and `card` to `path`, whole or not at all.

    The file holds the network in float32 and without an optimiser, whatever it was trained with, so
    that it reads the same on every backend and processor.
    """
    save_weights(model.get_weights(), float32_network(card), card, path)


def float32_network(card: Card) -> Any:
    """An untrained network for :func:`save_weights`. Building one takes a second, and several with JAX."""
    from model.network import build, precision

    with precision("float32"):
        return build(card)


def save_weights(weights: list[NDArray[Any]], network: Any, card: Card, path: Path) -> None:
    """Write a model file as :func:`save` does, with a `network` of :func:`float32_network` that takes the `weights`."""
    network.set_weights(weights)
    with atomic(path) as temporary, _scratch_folder(temporary):
        network.save(temporary)
        with zipfile.ZipFile(temporary, "a") as archive:
            archive.writestr(CARD_ENTRY, card.to_json())


@contextlib.contextmanager
def _scratch_folder(temporary: Path) -> Iterator[None]:
    """Have temporary folders made beside `temporary`, under a name that the next run removes if this one is killed.

    Keras makes one for every file that it saves, by default in the system's folder, where nobody would remove it.
    """
    folder = Path(f"{temporary}.d")
    before = tempfile.tempdir
    folder.mkdir()
    tempfile.tempdir = str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before
        shutil.rmtree(folder, ignore_errors=True)


def opened(path: Path) -> tuple[Runtime, Card]:
    """What runs the parts of the network in a model file, and its card. Raises UserError as :func:`load` does."""
    if path.suffix == ".onnx":
        card = read_card(path)
        run = runtimes.of_onnx(path, _checked_onnx(path, card))
    else:
        _require_keras(path)
        network, card = load(path)
        run = runtimes.of_keras(HEADS[card.head].parts(network, card))
    return runtimes.checked(run, Alphabet(card.alphabet).classes, path), card


def _require_keras(path: Path) -> None:
    """Raise UserError where Keras is not installed, with the file to read instead."""
    from model.network import can_import_keras

    if can_import_keras():
        return
    exported = path.with_suffix(".onnx")
    if exported.is_file():
        remedy = f"give {exported}, which is read without Keras"
    else:
        remedy = (
            f"install it with pip install -r requirements.txt, or where it is installed, run python export.py {path} "
            f"--out {exported}, and give that file"
        )
    raise UserError(f"reading {path} needs Keras, which is not installed: {remedy}")


def _checked_onnx(path: Path, card: Card) -> bytes:
    """The content of an ONNX file. Raises UserError for one that export would not have written with that card."""
    try:
        content = onnx_metadata.whole(path)
        entries = onnx_metadata.read(path)
        # Files of earlier kits have no checksums.
        if entries.get(onnx_metadata.CHECKSUM_ENTRY) not in (None, onnx_metadata.checksum(content)):
            raise ValueError("its network has changed since it was written")
        sum_of_card = onnx_metadata.card_checksum(entries[CARD_ENTRY])
        if entries.get(onnx_metadata.CARD_CHECKSUM_ENTRY) not in (None, sum_of_card):
            raise ValueError(f"its {CARD_ENTRY} has changed since it was written")
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}): export it again or use another copy") from error
    try:
        inputs, outputs = onnx_graph.check(content)
    except ValueError as error:
        raise UserError(f"the network in {path} cannot be opened ({error}): export it again") from error
    pictures, classes = inputs.get(IMAGES), Alphabet(card.alphabet).classes
    expected = (None, card.height, card.width, card.channels)
    wrong = [f"{IMAGES} are {pictures}"] if pictures != onnx_graph.Value("uint8", expected) else []
    if (WIDTHS in inputs) == bool(card.width):
        wrong.append(f"it takes {' and '.join(inputs)}")
    wrong += [
        f"{name} are of {value.shape[-1]} classes, and the alphabet has {classes:,}"
        for name, value in outputs.items()
        if name.endswith(LOG_PROBABILITIES) and value.shape[-1:] != (classes,)
    ]
    if wrong:
        raise UserError(f"the network in {path} is not as its description says ({wrong[0]}): export it again")
    return content


def load(path: Path) -> tuple[Any, Card]:
    """The Keras model, built from the card and not compiled, and the card.

    Raises UserError for any other or a damaged file, among them one whose arrays are not those of the network.
    """
    from model.network import import_keras

    card = read_card(path)
    runtimes.not_forked()
    import_keras()
    from model import weights_file

    content = _weights(path)
    try:
        return weights_file.network(content, card), card
    except Exception as error:  # Keras and HDF5 raise whatever a damaged file makes them stumble over.
        raise UserError(
            f"the network in {path} cannot be opened ({runtimes.reason(error)}): train again or use another copy"
        ) from error


def _weights(path: Path) -> bytes:
    """Keras' entry with the weights. Raises UserError where it is not there, or not as Keras writes it."""
    try:
        return _entry(path, WEIGHTS_ENTRY, LARGEST_FILE)
    except KeyError as error:
        raise UserError(f"{path} holds no weights ({WEIGHTS_ENTRY}): train again or use another copy") from error
    except ValueError as error:
        raise UserError(f"the weights in {path} are damaged ({error}): train again or use another copy") from error
