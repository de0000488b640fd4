"""A text file with `path label` on each line, as CRNN-Keras and foamliu/CRNN write it.

The path ends at a tab if there is one, else at the space, semicolon, comma, bar or colon behind the suffix of a
picture, else at the first space; the label is the rest and may hold spaces. PaddleOCR's lists are of this form, and
PPOCRLabel's Label.txt where each picture has one text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

from cli.messages import warn
from crnn_reader.errors import UnreadablePicture, UserError
from crnn_reader.image import PICTURE_SUFFIXES, read_image
from dataset.forms import placed
from dataset.forms.normal import short
from dataset.forms.text import SUFFIXES, Entry, is_comment, is_header, lines

#: What is no list of any form, and what to do with it.
_OTHERS = dict.fromkeys((".xlsx", ".xls", ".ods", ".numbers"), "save the sheet as CSV")
_OTHERS |= dict.fromkeys((".pdf", ".xml", ".html", ".docx", ".py", ".keras", ".onnx"), "give a picture, folder or list")
_OTHERS |= dict.fromkeys((".zip", ".tar", ".gz", ".tgz"), "take it apart with python -m dataset unpack first")

#: `a.png X`, and also `a.png;X`, `a.png,X`, `a.png|X` and `a.png: X`.
_PICTURE = rf"(?i)(.+?\.(?:{SUFFIXES})\"?)(?: +(.*)|[;,|:] *(.*))?"
#: `a.png | X`, `a.png -> X`, `a.png :: X` …
_APART = rf"(?i)(?P<name>.+?\.(?:{SUFFIXES})\"?)(?: +(?P<sign>->|=>|→|[|:;=-]) +| *(?P<colons>::) *)(?P<label>\S.*)"
#: Signs that a label may begin with, too: they separate only if several rows have them.
_DOUBTFUL = ("-", "=")
#: Number of rows that decide on the notation.
_LOOKED_AT = 50
#: Values of a third column that name a split.
_PARTS = r"(?i)\s*(?:train|training|val|valid|validation|dev|test|testing|eval)(?:[|,; ]+[\d.]+)?\s*"

#: Boxes of PPOCRLabel by which it is decided whether they are whole pictures.
_MEASURED = 3

#: What follows the path on a line of prediction.py.
_READING = r"([^\t]*)\t[01]\.\d{4}(?:\t.*)?"
#: What other programs write there.
_SCORED = r"([^\t]*)\t(?:[01]|\d{0,3}\.\d+)"


def matches(path: Path) -> bool:
    return not path.is_dir()


def entries(path: Path, tell: Callable[[str], None] = warn) -> Iterator[Entry]:
    if path.suffix.lower() in PICTURE_SUFFIXES:
        raise UserError(f"{path} is a picture: give its folder, or a list of pictures")
    if remedy := _OTHERS.get(path.suffix.lower()):
        raise UserError(f"{path} is not a picture, and not a list of pictures: {remedy}")
    printed = False
    covered: list[float] = []
    numbered = ((number, line.strip("\r\n")) for number, line in lines(path) if not is_comment(line))
    # A program may write to a pipe slowly: its first line is used before the next ones are there.
    first = [] if path.is_fifo() else list(islice(numbered, _LOOKED_AT))
    sign = _sign([line for _, line in first])
    has_parts = bool(first) and all(_part(line) for _, line in first)
    is_scored = _are_scored([line for _, line in first])
    for number, line in chain(first, numbered):
        if sign:
            name, label = _apart(line, sign, f"{path}, line {number}")
        elif has_parts and _part(line):
            name, label, _ = line.split("\t")
        elif "\t" not in line and (match := re.fullmatch(_PICTURE, line.strip())):
            name, label = match[1], match[2] or match[3] or ""
        else:
            name, _, label = line.partition("\t") if "\t" in line else line.strip().partition(" ")
        if is_header(name, label):
            continue
        if label.lstrip().startswith(("[{", '{"', "[]")):
            where = f"{path}, line {number}"
            label, box = _transcription(label.strip(), where, name)
            if box and len(covered) < _MEASURED:
                covered += _covered(path, name, box)
                if len(covered) == _MEASURED and max(covered) < 0.4:
                    raise UserError(
                        f"{where}: the box of {short(name)} is {covered[-1]:.0%} of the picture, and so are others: "
                        "crop the boxes out first, and list the pieces with their texts"
                    )
        elif "\t" in label and (reading := re.fullmatch(_SCORED if is_scored else _READING, label)):
            label = reading[1]
            if not printed:
                source = "what a program read, with scores" if is_scored else "what prediction.py printed"
                tell(f"{path} holds {source}: the texts that were read are used as labels")
                printed = True
        ends = name.strip()[:1]
        if ends and ends in "\"'" and _between(name.strip(), ends) and _between(label.strip(), ends):
            yield Entry(number, name.strip()[1:-1], label.strip()[1:-1].replace(ends * 2, ends), True)
        else:
            yield Entry(number, name, label)


def _sign(first: list[str]) -> str | None:
    """The sign between name and label, with spaces around it, that all first rows have; None if they have none."""
    matches = [re.fullmatch(_APART, line.strip()) for line in first if "\t" not in line]
    if first and matches and matches[0] is None and not re.match(_PICTURE, first[0].strip()):
        matches = matches[1:]  # names of columns
    signs = {match["sign"] or match["colons"] if match else None for match in matches}
    if len(signs) != 1 or any("\t" in line for line in first):
        return None
    sign = signs.pop()
    return None if sign in _DOUBTFUL and len(matches) < 2 else sign


def _apart(line: str, sign: str, where: str) -> tuple[str, str]:
    """Name and label of a row with such a sign between them. Raises UserError, which says `where`."""
    name, found, label = line.partition(sign)
    if (match := re.fullmatch(_APART, line.strip())) and (match["sign"] or match["colons"]) == sign:
        return match["name"], match["label"]
    if is_header(name, label) or (found and not label.strip()):
        return name, label
    raise UserError(f"{where} has no {sign} between name and label, as the first rows have: write it like those")


def _part(line: str) -> bool:
    """Whether a row is `name<TAB>label<TAB>train`."""
    cells = line.split("\t")
    return len(cells) == 3 and bool(re.fullmatch(_PARTS, cells[2]))


def _are_scored(first: list[str]) -> bool:
    """Whether rows are `name<TAB>label<TAB>0.98`."""
    matches = [re.fullmatch(_SCORED, line.partition("\t")[2]) for line in first]
    return bool(first) and all(matches) and any("." in line.rpartition("\t")[2] for line in first)


def _between(text: str, ends: str) -> bool:
    return len(text) > 1 and text[0] == text[-1] == ends


def unchecked_readings(path: Path) -> bool:
    """Whether a list holds what prediction.py has printed, or another program that gives each text a score."""
    try:
        first = [line.rstrip("\r\n").partition("\t")[2] for _, line in islice(lines(path), 20)]
    except UserError:
        return False
    return bool(first) and (
        all(re.fullmatch(_READING, text) for text in first) or _are_scored([f"\t{text}" for text in first])
    )


def _covered(path: Path, name: str, box: list[Any]) -> list[float]:
    """The part of its picture that a box covers; none where that is not known."""
    try:
        xs, ys = ([float(point[side]) for point in box] for side in (0, 1))
        height, width = read_image(placed.find([name], placed.folder_of(path)).located(name), 1).shape[:2]
    except (UnreadablePicture, TypeError, ValueError, LookupError):
        return []
    return [(max(xs) - min(xs)) * (max(ys) - min(ys)) / (width * height)]


def _transcription(text: str, where: str, name: str) -> tuple[str, list[Any]]:
    """The text of a line of PPOCRLabel's Label.txt, where a picture has one, and the corners of its box.

    Raises UserError where it has several.
    """
    try:
        boxes = json.loads(text)
    except (ValueError, RecursionError):
        boxes = None
    if not isinstance(boxes, list) or not all(isinstance(box, dict) for box in boxes):
        raise UserError(f"{where}: after {short(name)} there is JSON, not a text: give a list of pictures and texts")
    texts = [str(box.get("transcription", "")) for box in boxes]
    if len(texts) > 1:
        raise UserError(
            f"{where}: after {short(name)} there is JSON, not a text, with {len(texts)} boxes, as lists "
            "for finding words have it: crop the words first, as PPOCRLabel does when it exports recognition "
            "results, and give the list of the crops (rec_gt.txt)"
        )
    # What PPOCRLabel writes of texts that nobody can read.
    if texts in ([], ["###"]):
        return "", []
    points = boxes[0].get("points")
    return texts[0], points if isinstance(points, list) else []
