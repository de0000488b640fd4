"""Find a model file by path or shipped name, read its configuration, and open its network.

The library reads `.onnx` files. Other packages add formats with :func:`add_format`; `model` adds `.keras`.
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from . import bounded, onnx
from .alphabet import Alphabet
from .config import CONFIG_ENTRY, FORMAT, ModelConfig
from .errors import UserError, did_you_mean
from .runtime import Runtime, checked_runtime

REMEDY = "give a model.keras of a run, or what export.py made of it"
#: Suffixes of model files, the one that reads faster first; and of those that trainings start from.
MODEL_SUFFIXES, TRAINED_SUFFIXES = (".onnx", ".keras"), (".keras",)
#: Folders that have the shipped weights.
WEIGHTS = [Path(__file__).parent / "weights"]


class Format(NamedTuple):
    """A form of model files."""

    #: The JSON text of a file's configuration. Raises KeyError if there is none, ValueError for a damaged file.
    read_description: Callable[[Path], str]
    #: The network of a file. Raises UserError for a damaged file.
    open: Callable[[Path, ModelConfig], Runtime]
    #: Whether the runtime compiles the network for every new shape of a batch.
    compiles: bool


FORMATS = {".onnx": Format(onnx.read_description, onnx.open_onnx, compiles=False)}


def add_format(suffix: str, form: Format, weights: Path) -> None:
    """Let readers open files with another suffix, and find shipped ones in the folder `weights`."""
    FORMATS[suffix] = form
    if weights not in WEIGHTS:
        WEIGHTS.append(weights)


def locate_model(name_or_file: str, suffixes: Sequence[str] = MODEL_SUFFIXES) -> Path:
    """The path of a model file, or of shipped weights by their name, with the first of the `suffixes` that exists.

    Raises UserError if there is none.
    """
    places = [folder / f"{name_or_file}{suffix}" for suffix in suffixes for folder in WEIGHTS]
    shipped = [file for file in places if file.is_file()]
    # A name has no folder and no suffix; anything else is a path.
    path = shipped[0] if Path(name_or_file).name == name_or_file and shipped else Path(name_or_file)
    if path.is_dir() and (path / "model.keras").is_file():
        return path / "model.keras"
    if path.is_dir():
        raise UserError(f"{path} is a folder without a model.keras: give a run folder, or a model file in it")
    if not path.is_file():
        names = sorted({file.stem for suffix in suffixes for folder in WEIGHTS for file in folder.glob(f"*{suffix}")})
        meant = did_you_mean(name_or_file, [*names, *map(str, path.parent.glob("*"))])
        raise UserError(
            f"no model file {name_or_file}: {meant + ' Or ' if meant else ''}give a {' or '.join(reversed(suffixes))} "
            f"file, a run folder, or a shipped name ({', '.join(names) or 'none yet'})"
        )
    if path.suffix == ".tflite":
        raise UserError(f"{path} is for LiteRT, which this kit does not use to read: give the .keras or .onnx file")
    if path.suffix not in MODEL_SUFFIXES:
        raise UserError(f"{path} is not a model file that this kit reads: {REMEDY}")
    if path.suffix not in suffixes:
        raise UserError(f"{path} can only be used to read: give the .keras file that it was exported from")
    return path


def read_config(path: Path) -> ModelConfig:
    """The configuration of a model file, without loading its network. Raises UserError for any other file."""
    try:
        entry = bounded.json_value(_format_of(path).read_description(path))
    except KeyError as error:
        raise UserError(f"{path} was not written by this kit (it holds no {CONFIG_ENTRY}): {REMEDY}") from error
    except ValueError as error:
        raise UserError(f"{path} is not a model file, or damaged ({error}): {REMEDY}") from error
    written = entry.get("format") if isinstance(entry, dict) else None
    if type(written) is int and written > FORMAT:
        raise UserError(
            f"{path} was written by crnn-kit {reprlib.repr(entry.get('kit_version'))[1:-1]} in format "
            f"{reprlib.repr(written)}, this kit reads up to {FORMAT}: update the kit"
        )
    try:
        return ModelConfig.of(entry)
    except ValueError as error:
        raise UserError(
            f"the {CONFIG_ENTRY} in {path} is damaged ({error}): train again or use another copy"
        ) from error


def _format_of(path: Path) -> Format:
    if path.suffix in FORMATS:
        return FORMATS[path.suffix]
    if path.suffix in MODEL_SUFFIXES:
        raise UserError(
            f"{path} needs Keras, which this library does without: export it in a clone of crnn-kit (python export.py "
            f"{path} --out {path.with_suffix('.onnx')}) and give the .onnx file, or import model there "
            "before you open it"
        )
    raise UserError(f"{path} is not a model file that this kit reads: {REMEDY}")


def open_model(path: Path) -> tuple[Runtime, ModelConfig]:
    """The runtime of a model file's network, and its configuration. Raises UserError for a damaged or another file."""
    config = read_config(path)
    run = FORMATS[path.suffix].open(path, config)
    return checked_runtime(run, Alphabet(config.alphabet).classes, path), config
