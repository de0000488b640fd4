"""The unpacked folder of MJSynth (Synth90k), and its annotation files.

A line of `annotation_train.txt` is `./2425/1/373_coley_14845.jpg 14845`, and a line of `imlist.txt` only the path. The
label is the middle of the file name. The folder is read by its training list; name the file of another list to read it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path

from crnn_reader.errors import UserError
from dataset.formats.base import Format
from dataset.formats.paths import Row, with_found_pictures
from dataset.formats.text import lines

logger = logging.getLogger(__name__)

_TRAIN = "annotation_train.txt"
_NAME = r"annotation(_\w+)?\.txt|imlist\.txt"
_LINE = r"(?:\./)?(?P<file>\S*?[^/\s_]+_(?P<label>[^/\s]*)_(?P<word>\d+)\.jpg)(?: +(?P<again>\d+))?\s*"


class MJSynth(Format):
    def matches(self, path: Path) -> bool:
        file = path / _TRAIN if path.is_dir() else path
        if not re.fullmatch(_NAME, file.name) or not file.is_file():
            return False
        # Other lists have such names, too. Here the path is followed by the number in its name, or by nothing.
        try:
            first = next((re.fullmatch(_LINE, line) for _, line in lines(file)), None)
        except UserError:
            return False
        return first is not None and first["again"] == (None if file.name == "imlist.txt" else first["word"])

    def rows(self, path: Path, root: str | None = None, labels: bool = True) -> Iterator[Row]:
        if not path.is_dir():
            return with_found_pictures(path, _rows(path), root)
        others = [name.name for name in sorted(path.glob("annotation_*.txt")) if name.name != _TRAIN]
        logger.info(f"{path}: reading {_TRAIN}" + (f"; {' and '.join(others)} can be given instead" if others else ""))
        return _rows(path / _TRAIN)


FORMAT = MJSynth()


def _rows(file: Path) -> Iterator[Row]:
    for number, line in lines(file):
        match = re.fullmatch(_LINE, line)
        if match is None:
            raise UserError(
                f"{file}, line {number} is not like ./2425/1/373_coley_14845.jpg 14845: unpack the archive again"
            )
        yield match["file"], match["label"]
