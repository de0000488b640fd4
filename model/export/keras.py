"""Export format keras: the model file of this kit itself, for a copy with other formats of plates."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from crnn_reader.config import ModelConfig
from crnn_reader.model_files import open_model, read_config
from crnn_reader.runtime import Runtime
from model import model_file
from model.runtimes import Part

PROPERTIES = {"suffix": ".keras"}


def write(path: Path, parts: Sequence[Part], config: ModelConfig) -> None:
    """Write the network of the `parts` and its `config` to `path`."""
    model_file.save(parts[0].whole, config, path)


def opened(path: Path) -> Runtime:
    """The runtime for the parts in such a file."""
    return open_model(path, read_config(path))
