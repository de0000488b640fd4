"""A folder in which each picture has a text file with its label: `x.jpg` and `x.txt`, or `x.gt.txt`.

The text is UTF-8, one line. Pictures and texts are paired by name, never by order. A text of several lines is read if
one of them is `plate: AB12`, as in UFPR-ALPR and RodoSol-ALPR.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from crnn_reader.errors import UserError
from crnn_reader.image_headers import PICTURE_SUFFIXES
from dataset.formats import json_lines
from dataset.formats.base import Format
from dataset.formats.boxes import box_kind, tool_of_json, tool_of_xml
from dataset.formats.files import find_files, pictures_in, suffix_of
from dataset.formats.normalize import clean_label
from dataset.formats.paths import Row
from dataset.formats.text import LABEL_KEYS, MAX_TEXT_BYTES, read_text, unquoted_fault
from dataset.formats.writing import CorpusFacts, Picture, Writer, write_pictures

logger = logging.getLogger(__name__)

_SUFFIX = ".txt"
#: Suffix of the labels of ocropus, kraken and calamari, where `x.txt` is a prediction; and suffixes of the stems of
#: their pictures.
_TRUTH, _STAGES = ".gt.txt", (".bin", ".nrm", ".raw", ".dew")

#: Spellings of the suffixes: Windows programs and cameras write capitals.
_CASES = {_SUFFIX: (_SUFFIX, ".TXT", ".Txt"), _TRUTH: (_TRUTH, ".GT.TXT", ".gt.TXT", ".GT.txt", ".Gt.Txt")}

#: Other endings of files beside pictures that may hold labels and are not read.
_OTHERS = (
    "_gt.txt _label.txt .label.txt .lab .label .labels .lbl .gt .caption .captions .box .text .ann .md .hocr .csv .tsv "
    ".yaml .yml .tag .tags .info .dat"
).split()

#: Number of pictures by which a folder is judged.
_LOOKED_AT = 100

#: Maximum number of names in a message.
_LISTED = 3

_PLATE = r"(?i)[ \t]*(?:plate|text|label|transcription)[ \t]*:(.*)"
#: `label: AB12`, which is the label AB12 if the texts beside all pictures have the same key.
_KEYED = r"(?i)(text|label|transcription)[ \t]*:(.*)"
#: A line of OpenALPR's benchmarks: picture, left, top, width, height, plate.
_OPENALPR = r"[^\t]+\.\w+\t\d+\t\d+\t\d+\t\d+\t([^\t]*)"

#: The label pattern for file names that begin with their labels.
_BEFORE_UNDERSCORE = "^(?P<label>[^_]+)"
_BY_NAME = "or, if the file names begin with the labels, use those"

WRITES = ("sidecar",)


class _Writer(Writer):
    def cannot_hold(self, label: str) -> str | None:
        if label.startswith("\ufeff"):
            return "begins with a byte order mark"
        if _plate(label) is not None or box_kind(label) or _has_label(_json_object(label)):
            return "would be read as something else than a text, such as JSON or a box"
        return unquoted_fault(label)

    def write(self, folder: Path, pictures: Iterable[Picture], facts: CorpusFacts) -> Path:
        for name, label, _ in write_pictures(pictures, folder):
            (folder / (os.path.splitext(name)[0] + _SUFFIX)).write_text(label + "\n", encoding="utf-8", newline="\n")
        return folder


class Sidecar(Format):
    adds_labels = True
    writers = (_Writer(),)

    def matches(self, path: Path) -> bool:
        if not path.is_dir():
            return False
        pictures = _first_pictures(path)
        found = [_text_of(file, _existing) for file in pictures]
        if any(text and text.lower().endswith(_TRUTH) for text in found):
            return True
        return 2 * sum(map(bool, found)) > len(pictures)

    def rows(self, path: Path, root: str | None = None, labels: bool = True) -> Iterator[Row]:
        texts, pictures = set[str](), set[str]()
        for name in find_files(path, PICTURE_SUFFIXES | {_SUFFIX}):
            (texts if name.lower().endswith(_SUFFIX) else pictures).add(name)
        # Sorted, so that a.txt comes after a.TXT and is the one that is used.
        by_key = {_key(name): name for name in sorted(texts)}
        pairs = [(name, _text_of(name, by_key.get)) for name in sorted(pictures)]
        found = [text for _, text in pairs if text]
        _refuse_boxes(path, found)
        has_keys = len(found) > 1 and _have_keys([path / text for text in found[:_LOOKED_AT]])
        paired = set(found)
        for name, text in pairs:
            label = _read(path / text) if text else ""
            keyed = re.fullmatch(_KEYED, label) if has_keys else None
            yield name, clean_label(keyed[2]) if keyed else label
        # Pictures of one line may end up on both sides of a split.
        if several := len(found) - len(paired):
            logger.warning(
                f"{path}: {several:,} pictures share their text with another one, such as a.bin.png and a.nrm.png"
            )
        unpaired = sorted(texts - paired)
        truths = {_key(text) for text in paired if text.lower().endswith(_TRUTH)}
        if truths:
            # A text beside a `.gt.txt` of the same name is a prediction.
            unpaired = [text for text in unpaired if _key(text).removesuffix(_SUFFIX) + _TRUTH not in truths]
        if unpaired:
            listed = ", ".join(unpaired[:_LISTED]) + (", …" if len(unpaired) > _LISTED else "")
            logger.warning(f"{path}: {len(unpaired):,} texts without a picture of the same name: {listed}")


FORMAT = Sidecar()


def has_some(path: Path) -> bool:
    """Whether a folder has a text beside any picture in itself, or beside one of the first pictures below it."""
    with os.scandir(path) as entries:
        names = [entry.name for entry in entries if entry.name.lower().endswith(_SUFFIX)]
    stems = {_key(name).removesuffix(_SUFFIX).removesuffix(".gt") for name in names}
    if stems and any(name in stems or os.path.splitext(name)[0] in stems for name in pictures_in(path)):
        return True
    return any(_text_of(file, _existing) for file in _first_pictures(path))


def read_beside(picture: str) -> tuple[str, str] | None:
    """The path of the text beside a picture, and its label. None if there is no text, or it holds no label."""
    text = _text_of(picture, _existing)
    if text is None or not os.path.isfile(text):
        return None
    try:
        return text, _read(Path(text))
    except UserError:
        return None


def _first_pictures(path: Path) -> list[str]:
    def pictures() -> Iterator[str]:
        for folder, sub_folders, files in os.walk(path):
            sub_folders[:] = [name for name in sub_folders if not name.startswith(".")]
            for name in files:
                if not name.startswith(".") and suffix_of(name) in PICTURE_SUFFIXES:
                    yield os.path.join(folder, name)

    return list(islice(pictures(), _LOOKED_AT))


def _text_of(picture: str, find: Callable[[str], str | None]) -> str | None:
    """The text beside a picture, None if there is none. `find` returns the actual name of a text."""
    stem = os.path.splitext(picture)[0]
    base, stage = os.path.splitext(stem)
    names = [stem + _TRUTH, *([base + _TRUTH] if stage in _STAGES else []), stem + _SUFFIX, picture + _SUFFIX]
    return next(filter(None, map(find, names)), None)


def _existing(name: str) -> str | None:
    """The file of a text, whose suffix may be in capitals."""
    suffix = _TRUTH if name.endswith(_TRUTH) else _SUFFIX
    stem = name.removesuffix(suffix)
    return next(filter(os.path.lexists, (stem + each for each in _CASES[suffix])), None)


def _key(text: str) -> str:
    """The name of a text with its suffix in lower case."""
    length = len(_TRUTH) if text.lower().endswith(_TRUTH) else len(_SUFFIX)
    return text[:-length] + text[-length:].lower()


def _refuse_boxes(path: Path, texts: list[str]) -> None:
    """Raise UserError if most of the first texts are boxes."""
    kinds = [_box_kind(path / text) for text in texts[:_LOOKED_AT]]
    first = next(filter(None, kinds), None)
    if first is None or 2 * sum(map(bool, kinds)) <= len(kinds):
        return
    count = sum(map(bool, kinds)) + sum(bool(_box_kind(path / text)) for text in texts[_LOOKED_AT:])
    raise UserError(
        f"{path}: {count:,} texts beside pictures hold {first}, not labels, as {texts[kinds.index(first)]} does: "
        f"crop the boxes first, {_BY_NAME}",
        "label_pattern",
        _BEFORE_UNDERSCORE,
    )


def _have_keys(texts: list[Path]) -> bool:
    """Whether all texts are lines such as `label: AB12` with the same key."""
    keyed = [re.fullmatch(_KEYED, _text(file).strip()) for file in texts]
    return len({match[1] if match else None for match in keyed}) == 1 and keyed[0] is not None


def _json_object(text: str) -> dict[str, Any] | None:
    """The JSON object in a text, None if the text is not one."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _has_label(value: dict[str, Any] | None) -> bool:
    return value is not None and bool(set(LABEL_KEYS) & value.keys())


def _text(file: Path) -> str:
    return read_text(file, MAX_TEXT_BYTES, "a label")


def _box_kind(file: Path) -> str | None:
    text = _text(file)
    if (value := _json_object(text)) is not None:
        return f"boxes of {tool}" if (tool := tool_of_json(value)) else None
    return None if _plate(text) is not None else box_kind(text, eager=True)


def _plate(text: str) -> str | None:
    """The label in a text that has more than the label, None for other texts."""
    if one := re.fullmatch(_OPENALPR, text.strip("\n")):
        return one[1]
    if "\n" not in text.strip("\n") and not text.lower().startswith("plate:"):
        return None
    return next((match[1] for line in text.split("\n") if (match := re.fullmatch(_PLATE, line))), None)


def _read(file: Path) -> str:
    """The label in a text file. Raises UserError for boxes and for several lines."""
    text = _text(file)
    value = _json_object(text)
    if value is not None and _has_label(value):
        return clean_label(json_lines.label_in(value, str(file)))
    if (plate := _plate(text)) is not None:
        return clean_label(plate)
    if kind := box_kind(text):
        raise UserError(f"{file} holds {kind}, not a label: write the text of its picture")
    # Editors leave empty lines at the end.
    lines = text.rstrip().split("\n")
    if len(lines) > 1:
        raise UserError(f"{file} has {len(lines)} lines: write the text of its picture on one line")
    return clean_label(lines[0])


def warn_of_others(path: Path) -> None:
    """Warn of files beside pictures that may hold labels, in a folder whose labels come from the file names.

    Raises UserError if most pictures have the annotations of a detection tool beside them.
    """
    pictures = _first_pictures(path)
    for suffix in (".json", ".xml", _SUFFIX, *_OTHERS):
        beside = [next(filter(os.path.isfile, _candidates(file, suffix)), None) for file in pictures]
        found = [file for file in beside if file]
        if not found:
            continue
        tool = _tool(Path(found[0])) if suffix in (".json", ".xml") else None
        if tool and 2 * len(found) > len(pictures):
            raise UserError(
                f"{path}: files such as {os.path.basename(found[0])} beside the pictures are {tool}'s, which says "
                f"where things are in pictures: crop the texts first, {_BY_NAME}",
                "label_pattern",
                _BEFORE_UNDERSCORE,
            )
        logger.warning(
            f"{path}: labels are taken from the file names, and not from the files *{suffix} that {len(found):,} of "
            f"{len(pictures):,} pictures have beside them"
        )


def _candidates(file: str, suffix: str) -> Iterator[str]:
    """For a.png: a.json, a.JSON, a.png.json, the same for A, and gt_a.json."""
    stem = os.path.splitext(file)[0]
    folder, name = os.path.split(stem)
    recased = os.path.join(folder, name.lower() if name.isupper() else name.upper())
    yield from (stem + suffix, stem + suffix.upper(), file + suffix, recased + suffix, recased + suffix.upper())
    yield os.path.join(folder, f"gt_{name}{suffix}")


def _tool(file: Path) -> str | None:
    try:
        text = read_text(file, 1 << 24, "a label")
        return tool_of_xml(text) if file.suffix.lower() == ".xml" else tool_of_json(json.loads(text))
    except (UserError, ValueError, RecursionError):
        return None
