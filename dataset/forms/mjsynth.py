"""The unpacked folder of MJSynth (Synth90k), and its annotation files.

A line of `annotation_train.txt` is `./2425/1/373_coley_14845.jpg 14845`, one of `imlist.txt` the path alone; the label
is the middle of the file name. The folder stands for its training part: the others are read by naming their files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from cli.messages import warn
from crnn_reader.errors import UserError
from dataset.forms.text import lines

TRAIN = "annotation_train.txt"

_NAME = r"annotation(_\w+)?\.txt|imlist\.txt"
_LINE = r"(?:\./)?(?P<file>\S*?[^/\s_]+_(?P<label>[^/\s]*)_(?P<word>\d+)\.jpg)(?: +(?P<again>\d+))?\s*"


def matches(path: Path) -> bool:
    file = path / TRAIN if path.is_dir() else path
    if not re.fullmatch(_NAME, file.name) or not file.is_file():
        return False
    # Other lists have such names too; here the number of the word stands twice, or the path alone.
    try:
        first = next((re.fullmatch(_LINE, line) for _, line in lines(file)), None)
    except UserError:
        return False
    return first is not None and first["again"] == (None if file.name == "imlist.txt" else first["word"])


def rows(path: Path, root: str | None = None, labels: bool = True) -> Iterator[tuple[str, str]]:
    file = path
    if path.is_dir():
        file = path / TRAIN
        others = [name.name for name in sorted(path.glob("annotation_*.txt")) if name != file]
        warn(f"{path}: reading {TRAIN}" + (f"; {' and '.join(others)} can be given instead" if others else ""))
    for number, line in lines(file):
        match = re.fullmatch(_LINE, line)
        if match is None:
            raise UserError(
                f"{file}, line {number} is not like ./2425/1/373_coley_14845.jpg 14845: unpack the archive again"
            )
        yield match["file"], match["label"]
