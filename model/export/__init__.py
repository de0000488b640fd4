"""Export model files for other runtimes. Each export is read by its runtime and compared with Keras before it is kept.

A format is a file NAME.py here, listed in :data:`NAMES`. It has functions `write(path, parts, config)` and
`opened(path)`, which returns a runtime for the parts, and a constant `PROPERTIES`
(:class:`parameter.ExportProperties`). With `"int8": True` among these, `write` takes an argument `encoded`, a function
that quantises the encoder; with `"float16": True` an argument `stored`, a function that stores arrays as float16.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

from cli.files import atomic
from crnn_reader.config import ModelConfig
from crnn_reader.errors import UnreadablePicture, UserError
from crnn_reader.fit import fit_image
from crnn_reader.formats import Format
from crnn_reader.image import ImageOptions, read_image
from model import model_file
from model.backend import import_keras
from model.export.parity import ALLOWED, Comparison, batches, compare
from model.heads import HEADS

logger = logging.getLogger(__name__)

#: Commands read them from the source for `--help`.
NAMES = ("onnx", "keras", "litert", "savedmodel")


def export(model: Path, format_: str, out: Path, formats: list[Format] | None = None) -> Comparison:
    """Export a model file atomically, and compare the result with Keras.

    Arguments:
        model: the model file.
        format_: name of the export's format.
        out: the file to write.
        formats: formats of plates to store; None stores those of the model file.

    Raises UserError if the format cannot represent the network, if a package is missing, and if the export reads
    differently.
    """
    written = module(format_)
    network, config = _loaded(model, formats)
    parts = HEADS[config.head].parts(network, config)
    with atomic(out) as temporary:
        written.write(temporary, parts, config)
        comparison = compare(network, written.opened(temporary), config)
        if not comparison.accepted:
            raise UserError(
                f"{out} would read differently from Keras, and is not written ({comparison}; {ALLOWED:g} times is "
                "allowed): choose another format",
                "form",
            )
    return comparison


def _loaded(model: Path, formats: list[Format] | None) -> tuple[Any, ModelConfig]:
    """The network of a model file and its configuration, with other formats of plates if they are not None."""
    network, config = model_file.load(model)
    return network, config if formats is None else config.with_formats(formats)


def export_int8(
    model: Path, format_: str, out: Path, files: Iterable[Path | str], formats: list[Format] | None = None
) -> int:
    """Export a model file with the encoder in 8-bit integers, calibrated on the pictures in `files`.

    Returns the number of these pictures. Logs which ones cannot be read. Raises UserError as :func:`export` does, and
    if no picture can be read.
    """
    written, quantisation = module(format_), module("int8")
    network, config = _loaded(model, formats)
    parts = HEADS[config.head].parts(network, config)
    pictures, options = [], ImageOptions(frame=config.frame)
    for file in files:
        try:
            pictures.append(
                fit_image(read_image(file, config.channels, options), config.width, config.height, config.fit)
            )
        except UnreadablePicture as error:
            logger.warning(f"{file}: {error}")
    if not pictures:
        raise UserError("none of the calibration pictures can be read: give others", "int8")
    with atomic(out) as temporary:
        written.write(
            temporary, parts, config, encoded=lambda encoder: quantisation.int8(encoder, batches(pictures, config))
        )
    return len(pictures)


def export_float16(model: Path, format_: str, out: Path, formats: list[Format] | None = None) -> None:
    """Export a model file with its weights stored as 16-bit floats. Raises UserError as :func:`export` does."""
    written, storage = module(format_), module("float16")
    network, config = _loaded(model, formats)
    with atomic(out) as temporary:
        written.write(temporary, HEADS[config.head].parts(network, config), config, stored=storage.float16)


def module(name: str) -> Any:
    """Import a module of this package. Raises UserError if a package that it needs is missing."""
    # Imported first, because this chooses the backend and hides the output of TensorFlow.
    import_keras()
    try:
        return import_module(f"model.export.{name}")
    except ImportError as error:
        extra = "tensorflow" if error.name == "tensorflow" else "export"
        raise UserError(
            f"export.py needs the package {error.name} for this, which is not installed: pip install '.[{extra}]' at "
            "the top of the clone"
        ) from error
