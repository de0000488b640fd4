"""The `.keras` file: a zip archive with the network, its weights and its configuration.

The configuration is in an entry of its own, `crnn_kit.json`, beside those of Keras. It is read without Keras, so that a
wrong file is refused before a framework is loaded. Files may come from strangers (docs/SECURITY.md): the network is
built from the configuration, and only arrays are read from the file.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import struct
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from numpy.typing import NDArray

from cli.files import atomic
from crnn_reader import bounded
from crnn_reader.config import CONFIG_ENTRY, MAX_CONFIG_BYTES, ModelConfig
from crnn_reader.errors import UserError
from crnn_reader.model_files import ModelFileFormat, add_format, read_config
from crnn_reader.runtime import Runtime, first_line
from model import runtimes

SHIPPED = Path(__file__).parent / "weights"
#: Keras' entry with the weights.
WEIGHTS_ENTRY = "model.weights.h5"
#: Maximum number of bytes of a file and of the directory at its end, and of entries. Keras writes three entries, and
#: the configuration is the fourth.
MAX_FILE_BYTES, MAX_DIRECTORY_BYTES, MAX_ENTRIES = 1 << 30, 1 << 16, 64


def read_description(path: Path) -> str:
    """The JSON text of a file's configuration. Raises KeyError if there is none, ValueError for a damaged file."""
    return _entry(path, CONFIG_ENTRY, MAX_CONFIG_BYTES).decode()


def open_keras(path: Path, config: ModelConfig) -> Runtime:
    """The network of a file, computed by Keras. Raises UserError for a damaged file, and if Keras is not installed."""
    from model.heads import HEADS

    _require_keras(path)
    network, _ = load(path)
    return runtimes.of_keras(HEADS[config.head].parts(network, config))


add_format(".keras", ModelFileFormat(read_description, open_keras, compiles=True, trains=True), SHIPPED)


def _entry(path: Path, name: str, largest: int) -> bytes:
    """Read an entry of a zip archive that this kit wrote.

    Raises OSError for a file that cannot be opened, KeyError if there is no such entry, and ValueError for a damaged
    archive and for an entry with more than `largest` bytes.
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
        except Exception as error:  # zipfile raises many exceptions for damaged archives: OSError, struct.error …
            raise ValueError(str(error)) from error


def _checked_size(file: BinaryIO) -> int:
    """The size of a zip archive in bytes.

    Raises ValueError unless it ends with a short directory, as this kit writes it.
    """
    size = file.seek(0, os.SEEK_END)
    if size > MAX_FILE_BYTES:
        raise ValueError(f"it has {size:,} bytes, and no network of this kit has more than {MAX_FILE_BYTES:,}")
    # The end record has 22 bytes. The 20 bytes before it may locate a record for larger archives.
    file.seek(max(0, size - 42))
    end = file.read()
    if not end[-22:].startswith(b"PK\5\6") or end.startswith(b"PK\6\7"):
        raise ValueError("it is not a zip archive, or truncated")
    entries, length = struct.unpack("<HI", end[-12:-6])
    if entries > MAX_ENTRIES or length > MAX_DIRECTORY_BYTES:
        raise ValueError(f"it has {entries:,} entries, described in {length:,} bytes")
    return size


def save(model: Any, config: ModelConfig, path: Path) -> None:
    """Write the weights of `model` and `config` to `path` atomically.

    The file has the network in float32 and without optimizer, so that it reads the same on every backend and processor.
    """
    save_weights(model.get_weights(), float32_network(config), config, path)


def float32_network(config: ModelConfig) -> Any:
    """An untrained network for :func:`save_weights`. Building one takes a second, and several with JAX."""
    from model.backend import precision
    from model.network import build

    with precision("float32"):
        return build(config)


def save_weights(weights: list[NDArray[Any]], network: Any, config: ModelConfig, path: Path) -> None:
    """Write a model file as :func:`save` does, with a `network` of :func:`float32_network` that takes the `weights`."""
    network.set_weights(weights)
    with atomic(path) as temporary, _scratch_folder(temporary):
        network.save(temporary)
        with zipfile.ZipFile(temporary, "a") as archive:
            archive.writestr(CONFIG_ENTRY, config.to_json())


@contextlib.contextmanager
def _scratch_folder(temporary: Path) -> Iterator[None]:
    """Context in which temporary folders are beside `temporary`, with a name that later runs remove if this is killed.

    Keras creates a folder for every file that it saves, by default in the system's folder, where it would remain.
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


def _require_keras(path: Path) -> None:
    """Raise UserError if Keras is not installed, with the file to read instead."""
    from model.backend import can_import_keras

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


def load(path: Path) -> tuple[Any, ModelConfig]:
    """The Keras model, built from the configuration and not compiled, and the configuration.

    Raises UserError for any other or a damaged file, and for arrays that are not those of the network.
    """
    from model.backend import import_keras

    config = read_config(path)
    runtimes.not_forked()
    import_keras()
    from model import weights_file

    content = _weights(path)
    try:
        return weights_file.network(content, config), config
    except Exception as error:  # Keras and HDF5 raise many exceptions for damaged files.
        raise UserError(
            f"the network in {path} cannot be opened ({first_line(error)}): train again or use another copy"
        ) from error


def _weights(path: Path) -> bytes:
    """Keras' entry with the weights. Raises UserError if it is missing or damaged."""
    try:
        return _entry(path, WEIGHTS_ENTRY, MAX_FILE_BYTES)
    except KeyError as error:
        raise UserError(f"{path} holds no weights ({WEIGHTS_ENTRY}): train again or use another copy") from error
    except ValueError as error:
        raise UserError(f"the weights in {path} are damaged ({error}): train again or use another copy") from error
