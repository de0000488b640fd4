"""A text file with `path label` on each line, as CRNN-Keras and foamliu/CRNN write it.

The path ends at a tab if there is one, else at the space behind the suffix of a picture, else at the first space; the
label is the rest and may hold spaces.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from console import UserError
from dataset.forms.text import SUFFIXES, lines
from picture import PICTURE_SUFFIXES

#: What is no list of any form, and what to do with it.
_OTHERS = dict.fromkeys((".xlsx", ".xls", ".ods", ".numbers"), "save the sheet as CSV")
_OTHERS |= dict.fromkeys((".json",), "write JSON lines, an object per line, to a file that ends in .jsonl")
_OTHERS |= dict.fromkeys((".pdf", ".xml", ".html", ".docx", ".py", ".keras", ".onnx"), "give a picture, folder or list")
_OTHERS |= dict.fromkeys((".zip", ".tar", ".gz", ".tgz"), "take it apart with python -m dataset unpack first")

_PICTURE = re.compile(rf"(.+?\.(?:{SUFFIXES}))(?: +(.*))?", re.IGNORECASE)


def matches(path: Path) -> bool:
    return not path.is_dir()


def rows(path: Path) -> Iterator[tuple[str, str]]:
    if path.suffix.lower() in PICTURE_SUFFIXES:
        raise UserError(f"{path} is a picture: give its folder, or a list of pictures")
    if remedy := _OTHERS.get(path.suffix.lower()):
        raise UserError(f"{path} is no picture and no list of pictures: {remedy}")
    for _, line in lines(path):
        line = line.strip("\r\n")
        if "\t" not in line and (match := _PICTURE.fullmatch(line.strip())):
            name, label = match[1], match[2] or ""
        else:
            name, _, label = line.partition("\t") if "\t" in line else line.strip().partition(" ")
        if label.lstrip().startswith(("[{", '{"')):
            raise UserError(
                f"{path}: what stands behind {name} is no text but JSON, as lists for finding words have it: cut the "
                "words out first, and list the pieces with their texts"
            )
        yield name, label.strip()
