"""A folder in which each picture has its label in a text file of the same stem: `x.jpg` and `x.txt`, or `x.gt.txt`.

The text is UTF-8, one line. Pictures and texts belong together by name, never by order. Texts of several lines are read
where one of them is `plate: AB12`, as in UFPR-ALPR and RodoSol-ALPR.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from cli.messages import warn
from crnn_reader.errors import UserError
from crnn_reader.image import PICTURE_SUFFIXES
from dataset.forms import json_lines
from dataset.forms.boxes import kind_of_text, tool_of_json, tool_of_xml
from dataset.forms.files import names
from dataset.forms.normal import label_of
from dataset.forms.text import LABEL_KEYS, LARGEST_TEXT, trimmed, whole
from dataset.forms.writing import Picture, Plan, lines_of

SUFFIX = ".txt"
#: Of ocropus, kraken and calamari, where `x.txt` is what was read; and what goes before the suffix of their pictures.
TRUTH, _STAGES = ".gt.txt", (".bin", ".nrm", ".raw", ".dew")

#: Spellings of the suffixes: Windows programs and cameras write capitals.
_CASES = {SUFFIX: (SUFFIX, ".TXT", ".Txt"), TRUTH: (TRUTH, ".GT.TXT", ".gt.TXT", ".GT.txt", ".Gt.Txt")}

#: Other endings of text files that may hold labels and are not read.
_OTHERS = (
    *(
        "_gt.txt",
        "_label.txt",
        ".label.txt",
        ".lab",
        ".label",
        ".labels",
        ".lbl",
        ".gt",
        ".caption",
        ".captions",
        ".box",
    ),
    *(".text", ".ann", ".md", ".hocr", ".csv", ".tsv", ".yaml", ".yml", ".tag", ".tags", ".info", ".dat"),
)

#: Pictures by which a folder is judged.
_LOOKED_AT = 100

#: Names that one sentence lists.
_LISTED = 3

_PLATE = r"(?i)[ \t]*(?:plate|text|label|transcription)[ \t]*:(.*)"
#: `label: AB12`: a label if the texts beside all pictures have the same key.
_KEYED = r"(?i)(text|label|transcription)[ \t]*:(.*)"
#: A line of OpenALPR's benchmarks: picture, left, top, width, height, plate.
_OPENALPR = r"[^\t]+\.\w+\t\d+\t\d+\t\d+\t\d+\t([^\t]*)"

#: What takes the labels from the file names in spite of texts beside the pictures.
BY_NAME = "--label-pattern '^(?P<label>[^_]+)'"

formats = ()


def matches(path: Path) -> bool:
    if not path.is_dir():
        return False
    looked_at = list(islice(_some_pictures(path), _LOOKED_AT))
    found = [_text_of(file, _there) for file in looked_at]
    if any(text and text.lower().endswith(TRUTH) for text in found):
        return True
    return 2 * sum(map(bool, found)) > len(looked_at)


def some(path: Path) -> bool:
    """Whether texts lie beside pictures of a folder: beside any in the folder itself, or some of the first ones."""
    with os.scandir(path) as entries:
        names = [entry.name for entry in entries if entry.name.lower().endswith(SUFFIX)]
    stems = {_key(name).removesuffix(SUFFIX).removesuffix(".gt") for name in names}
    if stems:
        with os.scandir(path) as entries:
            pictures = (entry.name for entry in entries if os.path.splitext(entry.name)[1].lower() in PICTURE_SUFFIXES)
            if any(name in stems or os.path.splitext(name)[0] in stems for name in pictures):
                return True
    return any(_text_of(file, _there) for file in islice(_some_pictures(path), _LOOKED_AT))


def beside(picture: str) -> tuple[str, str] | None:
    """The text beside a picture and its label; None if there is no text, or it holds no label."""
    text = _text_of(picture, _there)
    if text is None or not os.path.isfile(text):
        return None
    try:
        return text, _read(Path(text))
    except UserError:
        return None


def _some_pictures(path: Path) -> Iterator[str]:
    for folder, folders_in_it, files in os.walk(path):
        folders_in_it[:] = [name for name in folders_in_it if not name.startswith(".")]
        for name in files:
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in PICTURE_SUFFIXES:
                yield os.path.join(folder, name)


def _text_of(picture: str, find: Callable[[str], str | None]) -> str | None:
    """The text beside a picture, if there is one; `find` gives a text's name as it stands there."""
    stem = os.path.splitext(picture)[0]
    base, stage = os.path.splitext(stem)
    names = [stem + TRUTH, *([base + TRUTH] if stage in _STAGES else []), stem + SUFFIX, picture + SUFFIX]
    return next(filter(None, map(find, names)), None)


def _there(name: str) -> str | None:
    """The file of a text's name, whose suffix may be in capitals."""
    suffix = TRUTH if name.endswith(TRUTH) else SUFFIX
    stem = name.removesuffix(suffix)
    return next(filter(os.path.lexists, (stem + each for each in _CASES[suffix])), None)


def _key(text: str) -> str:
    """A text's name with its suffix in lower case."""
    length = len(TRUTH) if text.lower().endswith(TRUTH) else len(SUFFIX)
    return text[:-length] + text[-length:].lower()


def rows(path: Path, root: str | None = None, labels: bool = True) -> Iterator[tuple[str, str]]:
    texts = set[str]()
    pictures = set[str]()
    for name in names(path, PICTURE_SUFFIXES | {SUFFIX}):
        (texts if name.lower().endswith(SUFFIX) else pictures).add(name)
    # Sorted, so that of a.TXT and a.txt the last one counts, which is in lower case.
    by_key = {_key(name): name for name in sorted(texts)}
    pairs = [(name, _text_of(name, by_key.get)) for name in sorted(pictures)]
    found = [text for _, text in pairs if text]
    _refuse_boxes(path, found)
    has_keys = len(found) > 1 and _have_keys([path / text for text in found[:_LOOKED_AT]])
    paired = set[str]()
    for name, text in pairs:
        if text:
            paired.add(text)
            label = _read(path / text)
            keyed = re.fullmatch(_KEYED, label) if has_keys else None
            yield name, label_of(keyed[2]) if keyed else label
        else:
            yield name, ""
    # Both of one line would come to lie on both sides of a split.
    several = sum(text is not None for _, text in pairs) - len(paired)
    if several:
        warn(f"{path}: {several:,} pictures share their text with another one, such as a.bin.png and a.nrm.png")
    unpaired = sorted(texts - paired)
    truths = {_key(text) for text in paired if text.lower().endswith(TRUTH)}
    if truths:
        # Texts beside a `.gt.txt` of the same name are readings.
        unpaired = [text for text in unpaired if _key(text).removesuffix(SUFFIX) + TRUTH not in truths]
    if unpaired:
        listed = ", ".join(unpaired[:_LISTED]) + (", …" if len(unpaired) > _LISTED else "")
        warn(f"{path}: {len(unpaired):,} texts without a picture of the same name: {listed}")


def _refuse_boxes(path: Path, texts: list[str]) -> None:
    """Raises UserError where most of the first texts say where something is, not what it reads."""
    kinds = [_kind(path / text) for text in texts[:_LOOKED_AT]]
    first = next(filter(None, kinds), None)
    if first is None or 2 * sum(map(bool, kinds)) <= len(kinds):
        return
    count = sum(map(bool, kinds)) + sum(bool(_kind(path / text)) for text in texts[_LOOKED_AT:])
    raise UserError(
        f"{path}: {count:,} texts beside pictures hold {first}, not labels, as {texts[kinds.index(first)]} does: "
        f"crop the boxes first, or, if the file names begin with the labels, add {BY_NAME}"
    )


def _have_keys(texts: list[Path]) -> bool:
    """Whether all texts are lines such as `label: AB12` with the same key."""
    keyed = [re.fullmatch(_KEYED, whole(text, LARGEST_TEXT, "a label").strip()) for text in texts]
    return len({match[1] if match else None for match in keyed}) == 1 and keyed[0] is not None


def _object(text: str) -> dict[str, Any] | None:
    """The JSON object in a text, None if the text is not one."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _is_labelled(value: dict[str, Any] | None) -> bool:
    return value is not None and bool(set(LABEL_KEYS) & value.keys())


def _kind(file: Path) -> str | None:
    text = whole(file, LARGEST_TEXT, "a label")
    if (value := _object(text)) is not None:
        return f"boxes of {tool}" if (tool := tool_of_json(value)) else None
    return None if _plate(text) is not None else kind_of_text(text, eager=True)


def _plate(text: str) -> str | None:
    """The label of a text that says more than it; None where the text is the label, or none."""
    if one := re.fullmatch(_OPENALPR, text.strip("\n")):
        return one[1]
    if "\n" not in text.strip("\n") and not text.lower().startswith("plate:"):
        return None
    return next((match[1] for line in text.split("\n") if (match := re.fullmatch(_PLATE, line))), None)


def _read(file: Path) -> str:
    text = whole(file, LARGEST_TEXT, "a label")
    value = _object(text)
    if value is not None and _is_labelled(value):
        return label_of(json_lines.label_in(value, str(file)))
    if (plate := _plate(text)) is not None:
        return label_of(plate)
    if kind := kind_of_text(text):
        raise UserError(f"{file} holds {kind}, not a label: write the text of its picture")
    # Empty lines at the end are what editors leave.
    lines = text.rstrip().split("\n")
    if len(lines) > 1:
        raise UserError(f"{file} has {len(lines)} lines: write the text of its picture on one line")
    return label_of(lines[0])


def tell_of_others(path: Path) -> None:
    """Of a folder whose labels come from the file names: what lies beside its pictures and says something else.

    Raises UserError where that is what a known tool says of boxes; warns of other texts.
    """
    looked_at = list(islice(_some_pictures(path), _LOOKED_AT))
    for suffix in (".json", ".xml", SUFFIX, *_OTHERS):
        stems = [os.path.splitext(file)[0] for file in looked_at]
        # a.json, a.JSON and a.png.json; of a.png, what A.txt and gt_a.txt say is not read either.
        beside = [
            (
                stem + suffix,
                stem + suffix.upper(),
                file + suffix,
                *(_recased(stem) + each for each in (suffix, suffix.upper())),
                os.path.join(os.path.dirname(stem), f"gt_{os.path.basename(stem)}{suffix}"),
            )
            for stem, file in zip(stems, looked_at, strict=True)
        ]
        found = [file for files in beside if (file := next(filter(os.path.isfile, files), None))]
        if not found:
            continue
        tool = _tool(Path(found[0])) if suffix in (".json", ".xml") else None
        if tool and 2 * len(found) > len(looked_at):
            raise UserError(
                f"{path}: files such as {os.path.basename(found[0])} beside the pictures are {tool}'s, which says "
                f"where things are in pictures: crop the texts first, or, if the file names begin with the labels, "
                f"add {BY_NAME}"
            )
        warn(
            f"{path}: labels are taken from the file names, and not from the files *{suffix} that {len(found):,} of "
            f"{len(looked_at):,} pictures have beside them"
        )


def _recased(stem: str) -> str:
    """The path with its last part in upper case, or in lower case if that is in upper case already."""
    folder, name = os.path.split(stem)
    return os.path.join(folder, name.lower() if name.isupper() else name.upper())


def _tool(file: Path) -> str | None:
    try:
        text = whole(file, 1 << 24, "a label")
        return tool_of_xml(text) if file.suffix.lower() == ".xml" else tool_of_json(json.loads(text))
    except (UserError, ValueError, RecursionError):
        return None


def cannot_hold(label: str) -> str | None:
    if label.startswith("\ufeff"):
        return "begins with a byte order mark"
    if _plate(label) is not None or kind_of_text(label) or _is_labelled(_object(label)):
        return "would be read as something else than a text, such as JSON or a box"
    return trimmed(label)


def write(folder: Path, pictures: Iterable[Picture], plan: Plan) -> Path:
    for name, label, _ in lines_of(pictures, folder):
        (folder / (os.path.splitext(name)[0] + SUFFIX)).write_text(label + "\n", encoding="utf-8", newline="\n")
    return folder
