"""A text file with `path label` on each line, as CRNN-Keras and foamliu/CRNN write it.

The path ends at a tab if there is one, else at the first space; the label is the rest and may hold spaces.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from console import UserError
from dataset.forms.text import lines
from picture import PICTURE_SUFFIXES


def matches(path: Path) -> bool:
    return not path.is_dir()


def rows(path: Path) -> Iterator[tuple[str, str]]:
    if path.suffix.lower() in PICTURE_SUFFIXES:
        raise UserError(f"{path} is a picture: give its folder, or a list of pictures")
    for _, line in lines(path):
        line = line.strip("\r\n")
        name, _, label = line.partition("\t") if "\t" in line else line.strip().partition(" ")
        yield name, label.strip()
