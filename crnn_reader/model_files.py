"""Find a model file by its path or name, read its configuration, and open its network.

The library reads `.onnx` files. Other packages add formats with :func:`add_format`; the package `model` adds `.keras`.
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from . import bounded, onnx
from .alphabet import Alphabet
from .config import CONFIG_ENTRY, CONFIG_VERSION, ModelConfig
from .errors import UserError, did_you_mean
from .runtime import Runtime, checked_runtime

REMEDY = "give the model.keras of a run, or an .onnx file that export.py wrote"
#: Why files that other software of the kit writes are not read, until a format with their suffix is added.
ELSEWHERE = {
    ".keras": "needs Keras, which this library does without: export it in a clone of crnn-kit (python export.py {path} "
    "--out {exported}) and give the .onnx file, or import model there before you open it",
    ".tflite": "is for LiteRT, which this kit does not use to read: give the .keras or .onnx file",
}
#: Folders with shipped models.
WEIGHTS = [Path(__file__).parent / "weights"]


class ModelFileFormat(NamedTuple):
    """How to read one format of model files."""

    #: Returns the JSON text of a file's configuration. Raises KeyError if there is none, ValueError for a damaged file.
    read_description: Callable[[Path], str]
    #: Returns a runtime for the network in a file. Raises UserError for a damaged file.
    open: Callable[[Path, ModelConfig], Runtime]
    #: Whether the runtime compiles the network again for every new shape of a batch.
    compiles: bool
    #: Whether training can start from a file. Run folders hold a file `model` of such a format.
    trains: bool


#: The formats by their suffixes, the fastest first.
MODEL_FILE_FORMATS = {".onnx": ModelFileFormat(onnx.read_description, onnx.open_onnx, compiles=False, trains=False)}


def add_format(suffix: str, properties: ModelFileFormat, weights: Path) -> None:
    """Register the format of files with `suffix`, such as `.keras`, and a folder with shipped models."""
    MODEL_FILE_FORMATS[suffix] = properties
    if weights not in WEIGHTS:
        WEIGHTS.append(weights)


def locate_model(name_or_file: str, to_train: bool = False) -> Path:
    """Find a model file.

    Arguments:
        name_or_file: a model file, a run folder, or the name of a shipped model. If a shipped model has several files,
            the fastest format wins.
        to_train: only find files that training can start from.

    Raises UserError if there is no such file, or if it has another format.
    """
    suffixes = [suffix for suffix, each in MODEL_FILE_FORMATS.items() if each.trains or not to_train]
    places = [folder / f"{name_or_file}{suffix}" for suffix in suffixes for folder in WEIGHTS]
    shipped = [file for file in places if file.is_file()]
    # A name has neither a folder nor a suffix; anything else is a path.
    path = shipped[0] if Path(name_or_file).name == name_or_file and shipped else Path(name_or_file)
    if path.is_dir() and name_or_file:
        names = [f"model{suffix}" for suffix, each in MODEL_FILE_FORMATS.items() if each.trains]
        names = names or [f"model{suffix}" for suffix in ELSEWHERE]
        found = next((path / name for name in names if (path / name).is_file()), None)
        if not found:
            raise UserError(f"{path} is a folder without a {names[0]}: give a run folder, or a model file in it")
        path = found
    if not path.is_file():
        names = sorted({file.stem for suffix in suffixes for folder in WEIGHTS for file in folder.glob(f"*{suffix}")})
        meant = did_you_mean(name_or_file, [*names, *map(str, path.parent.glob("*"))])
        raise UserError(
            f"no model file {name_or_file}: {meant + ' Or ' if meant else ''}give a {' or '.join(reversed(suffixes))} "
            f"file, a run folder, or a shipped name ({', '.join(names) or 'none yet'})"
        )
    _format_of(path)
    if path.suffix not in suffixes:
        raise UserError(
            f"{path} can only be used to read: give the {' or '.join(suffixes)} file that it was exported from"
        )
    return path


def read_config(path: Path) -> ModelConfig:
    """Read the configuration of a model file, without its network. Raises UserError for any other or damaged file."""
    try:
        entry = bounded.json_value(_format_of(path).read_description(path))
    except KeyError as error:
        raise UserError(f"{path} was not written by this kit (it holds no {CONFIG_ENTRY}): {REMEDY}") from error
    except ValueError as error:
        raise UserError(f"{path} is not a model file, or damaged ({error}): {REMEDY}") from error
    written = entry.get("format") if isinstance(entry, dict) else None
    if type(written) is int and written > CONFIG_VERSION:
        raise UserError(
            f"{path} was written by crnn-kit {reprlib.repr(entry.get('kit_version'))[1:-1]} in format "
            f"{reprlib.repr(written)}, this kit reads up to {CONFIG_VERSION}: update the kit"
        )
    try:
        return ModelConfig.of(entry)
    except ValueError as error:
        raise UserError(
            f"the {CONFIG_ENTRY} in {path} is damaged ({error}): train again or use another copy"
        ) from error


def _format_of(path: Path) -> ModelFileFormat:
    if path.suffix in MODEL_FILE_FORMATS:
        return MODEL_FILE_FORMATS[path.suffix]
    if path.suffix in ELSEWHERE:
        raise UserError(f"{path} {ELSEWHERE[path.suffix].format(path=path, exported=path.with_suffix('.onnx'))}")
    raise UserError(f"{path} is not a model file that this kit reads: {REMEDY}")


def open_model(path: Path, config: ModelConfig) -> Runtime:
    """Open the network in a model file, whose configuration is `config`. Raises UserError for a damaged file."""
    run = MODEL_FILE_FORMATS[path.suffix].open(path, config)
    return checked_runtime(run, Alphabet(config.alphabet).classes, path)
