"""A text file with `path label` on each line, as CRNN-Keras and foamliu/CRNN write it.

The path ends at a tab if there is one, else at the space, semicolon, comma, bar or colon after the suffix of a
picture, else at the first space. The label is the rest and may contain spaces. PaddleOCR's lists have this format, and
PPOCRLabel's Label.txt if each picture has one text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

from crnn_reader.errors import UnreadablePicture, UserError
from crnn_reader.image_headers import PICTURE_SUFFIXES
from dataset.formats.base import ListFormat
from dataset.formats.normalize import is_quoted, short
from dataset.formats.paths import find_start, folder_of
from dataset.formats.text import SUFFIXES, Entry, is_comment, is_header, lines

#: Files that are not lists, and what to do with them.
_REMEDIES = dict.fromkeys((".xlsx", ".xls", ".ods", ".numbers"), "save the sheet as CSV")
_REMEDIES |= dict.fromkeys(
    (".pdf", ".xml", ".html", ".docx", ".py", ".keras", ".onnx"), "give a picture, folder or list"
)
_REMEDIES |= dict.fromkeys((".zip", ".tar", ".gz", ".tgz"), "take it apart with python -m dataset unpack first")

#: `a.png X`, and also `a.png;X`, `a.png,X`, `a.png|X` and `a.png: X`.
_PICTURE = rf"(?i)(.+?\.(?:{SUFFIXES})\"?)(?: +(.*)|[;,|:] *(.*))?"
#: `a.png | X`, `a.png -> X`, `a.png :: X` …
_WITH_SIGN = rf"(?i)(?P<name>.+?\.(?:{SUFFIXES})\"?)(?: +(?P<sign>->|=>|→|[|:;=-]) +| *(?P<colons>::) *)(?P<label>\S.*)"
#: Signs that a label may begin with, too. They are separators only if several rows have them.
_AMBIGUOUS = ("-", "=")
#: Number of rows that decide on the separator.
_LOOKED_AT = 50
#: Values of a third column that name a split.
_SPLITS = r"(?i)\s*(?:train|training|val|valid|validation|dev|test|testing|eval)(?:[|,; ]+[\d.]+)?\s*"

#: Number of boxes of PPOCRLabel that decide whether boxes cover whole pictures, and the part that they cover then.
_MEASURED, _COVERED = 3, 0.4

#: The text after the path on a line of prediction.py.
_PREDICTION = r"([^\t]*)\t[01]\.\d{4}(?:\t.*)?"
#: The same on a line of other programs.
_SCORED = r"([^\t]*)\t(?:[01]|\d{0,3}\.\d+)"


class PlainList(ListFormat):
    accepts_all = True

    def matches(self, path: Path) -> bool:
        return not path.is_dir()

    def has_unchecked_predictions(self, path: Path) -> bool:
        try:
            first = [line.rstrip("\r\n") for _, line in islice(lines(path), 20)]
        except UserError:
            return False
        return bool(first) and (
            all(re.fullmatch(_PREDICTION, line.partition("\t")[2]) for line in first) or _are_scored(first)
        )

    def entries(self, path: Path, report: Callable[[str], None]) -> Iterator[Entry]:
        if path.suffix.lower() in PICTURE_SUFFIXES:
            raise UserError(f"{path} is a picture: give its folder, or a list of pictures")
        if remedy := _REMEDIES.get(path.suffix.lower()):
            raise UserError(f"{path} is not a picture, and not a list of pictures: {remedy}")
        reported = False
        covered: list[float] = []
        numbered = ((number, line.strip("\r\n")) for number, line in lines(path) if not is_comment(line))
        # A program may write slowly to a pipe: use the first line before the next ones arrive.
        rows = [] if path.is_fifo() else list(islice(numbered, _LOOKED_AT))
        first = [line for _, line in rows]
        sign = _sign(first)
        has_splits = bool(first) and all(map(_has_split, first))
        is_scored = _are_scored(first)
        for number, line in chain(rows, numbered):
            where = f"{path}, line {number}"
            if sign:
                name, label = _split_at_sign(line, sign, where)
            elif has_splits and _has_split(line):
                name, label, _ = line.split("\t")
            elif "\t" not in line and (match := re.fullmatch(_PICTURE, line.strip())):
                name, label = match[1], match[2] or match[3] or ""
            else:
                name, _, label = line.partition("\t") if "\t" in line else line.strip().partition(" ")
            if is_header(name, label):
                continue
            if label.lstrip().startswith(("[{", '{"', "[]")):
                label, box = _transcription(label.strip(), where, name)
                if box and len(covered) < _MEASURED:
                    covered += _covered_part(path, name, box)
                    if len(covered) == _MEASURED and max(covered) < _COVERED:
                        raise UserError(
                            f"{where}: the box of {short(name)} is {covered[-1]:.0%} of the picture, and so are "
                            "others: crop the boxes out first, and list the pieces with their texts"
                        )
            elif "\t" in label and (match := re.fullmatch(_SCORED if is_scored else _PREDICTION, label)):
                label = match[1]
                if not reported:
                    source = "what a program read, with scores" if is_scored else "what prediction.py printed"
                    report(f"{path} holds {source}: the texts that were read are used as labels")
                    reported = True
            quote = name.strip()[:1]
            if quote and quote in "\"'" and is_quoted(name.strip(), quote) and is_quoted(label.strip(), quote):
                yield Entry(number, name.strip()[1:-1], label.strip()[1:-1].replace(quote * 2, quote), True)
            else:
                yield Entry(number, name, label)


FORMAT = PlainList()


def _sign(first: list[str]) -> str | None:
    """The sign with spaces around it that separates name and label in all first rows. None if there is none."""
    matches = [re.fullmatch(_WITH_SIGN, line.strip()) for line in first if "\t" not in line]
    if first and matches and matches[0] is None and not re.match(_PICTURE, first[0].strip()):
        matches = matches[1:]  # names of columns
    signs = {match["sign"] or match["colons"] if match else None for match in matches}
    if len(signs) != 1 or any("\t" in line for line in first):
        return None
    sign = signs.pop()
    return None if sign in _AMBIGUOUS and len(matches) < 2 else sign


def _split_at_sign(line: str, sign: str, where: str) -> tuple[str, str]:
    """The name and label of a row with a sign between them. Raises UserError."""
    name, found, label = line.partition(sign)
    if (match := re.fullmatch(_WITH_SIGN, line.strip())) and (match["sign"] or match["colons"]) == sign:
        return match["name"], match["label"]
    if is_header(name, label) or (found and not label.strip()):
        return name, label
    raise UserError(f"{where} has no {sign} between name and label, as the first rows have: write it like those")


def _has_split(line: str) -> bool:
    """Whether a row is `name<TAB>label<TAB>train`."""
    cells = line.split("\t")
    return len(cells) == 3 and bool(re.fullmatch(_SPLITS, cells[2]))


def _are_scored(first: list[str]) -> bool:
    """Whether rows are `name<TAB>label<TAB>0.98`."""
    matches = [re.fullmatch(_SCORED, line.partition("\t")[2]) for line in first]
    return bool(first) and all(matches) and any("." in line.rpartition("\t")[2] for line in first)


def _covered_part(path: Path, name: str, box: list[Any]) -> list[float]:
    """The part of its picture that a box covers, empty if it is unknown."""
    from crnn_reader.image import read_image  # imports OpenCV

    try:
        xs, ys = ([float(point[side]) for point in box] for side in (0, 1))
        height, width = read_image(find_start([name], folder_of(path)).find(name), 1).shape[:2]
    except (UnreadablePicture, TypeError, ValueError, LookupError):
        return []
    return [(max(xs) - min(xs)) * (max(ys) - min(ys)) / (width * height)]


def _transcription(text: str, where: str, name: str) -> tuple[str, list[Any]]:
    """The text on a line of PPOCRLabel's Label.txt, and the corners of its box. Raises UserError for several texts."""
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
    # PPOCRLabel writes ### for illegible texts.
    if texts in ([], ["###"]):
        return "", []
    points = boxes[0].get("points")
    return texts[0], points if isinstance(points, list) else []
