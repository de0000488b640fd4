"""Formats of labelled pictures: folders, lists, and files of records.

Each is a file NAME.py here, listed in :data:`NAMES`, with a constant `FORMAT`, a :class:`~dataset.formats.base.Format`.
A format that can be written has the names of the written formats in a constant `WRITES`, and the
:class:`~dataset.formats.writing.Writer` of each in `FORMAT.writers`. `NUMBERED = True` says that it stores labels as
numbers of characters, so that it takes `--shards` and `--alphabet`.

Importing this package does not import OpenCV.
"""

from __future__ import annotations

import importlib

from dataset.formats.base import FORMATS, Format, ListFormat, RecordFormat
from dataset.formats.writing import Writer

#: The first format that matches a path reads it: `folder` accepts every folder, and `plain` every file.
NAMES = (
    "lmdb",
    "fsns",
    "tfrecord",
    "mjsynth",
    "labels_file",
    "any_list",
    "sidecar",
    "folder",
    "delimited",
    "json_lines",
    "json_file",
    "icdar",
    "plain",
)
_MODULES = {name: importlib.import_module(f"dataset.formats.{name}") for name in NAMES}
FORMATS.update({name: module.FORMAT for name, module in _MODULES.items()})

#: Writers by the names that `python -m dataset convert` takes.
WRITERS: dict[str, Writer] = {
    name: writer
    for module in _MODULES.values()
    for name, writer in zip(getattr(module, "WRITES", ()), module.FORMAT.writers, strict=True)
}

__all__ = ["FORMATS", "NAMES", "WRITERS", "Format", "ListFormat", "RecordFormat", "Writer"]
