"""JSON lines: on each line an object with `file` and `label`, or as columns of a CSV are called."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from cli.messages import warn
from crnn_reader.errors import UserError
from dataset.forms.normal import label_of, padded, short
from dataset.forms.text import FILE_KEYS, LABEL_KEYS, SCORE_KEYS, Entry, is_comment, is_score, lines, two_labels
from dataset.forms.writing import Picture, Plan, lines_of

formats = ()

SUFFIXES = (".jsonl", ".ndjson", ".jsonlines")


def matches(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not is_array(path)


def is_array(path: Path) -> bool:
    """Whether a file begins as one JSON list of objects does, whatever its name says."""
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return bool(re.match(rb"(?:\xef\xbb\xbf)?\s*\[\s*\{", file.read(64)))
    except OSError:
        return False


def unchecked_readings(path: Path) -> bool:
    """Whether a file holds readings on its first lines, and no labels to compare with."""
    try:
        rows = [json.loads(line) for _, line in islice(lines(path), 20)]
    except (UserError, OSError, ValueError, RecursionError):
        return False
    return are_readings(rows) and not any(isinstance(row, dict) and row.get("truth") for row in rows)


def are_readings(rows: list[Any]) -> bool:
    """Whether most rows have a text and a score, or all texts were rejected."""
    rejected = [isinstance(row, dict) and row.get("status") == "rejected" for row in rows]
    return bool(rows) and (2 * sum(map(is_reading, rows)) > len(rows) or all(rejected))


def is_reading(value: Any) -> bool:
    if not isinstance(value, dict) or ("text" in value) == ("label" in value):
        return False
    if "text" in value and ("probability" in value or "confidence" in value):
        return True
    return any(is_score(value.get(key)) for key in SCORE_KEYS)


def entries(path: Path, tell: Callable[[str], None] = warn) -> Iterator[Entry]:
    for number, line in lines(path):
        if is_comment(line):
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path}, line {number} is not JSON ({error}): write one object per line") from None
        yield entry(value, f"{path}, line {number}", number)


def entry(value: Any, where: str, number: int) -> Entry:
    """The name and label in an object. Raises UserError, which says `where`, for anything else."""
    file = next((value[key] for key in FILE_KEYS if key in value), None) if isinstance(value, dict) else None
    if type(file) is int:
        file = str(file)  # the id 17 of 17.png
    if not isinstance(file, str):
        raise UserError(f'{where} names no picture: write {{"file": …, "label": …}}')
    return Entry(number, file, label_in(value, where))


def label_in(value: dict[str, Any], where: str) -> str:
    """The label of an object, empty where it has none. Raises UserError, which says `where`, for two that differ."""
    keys = [key for key in LABEL_KEYS if value.get(key) is not None]
    if not keys:
        return ""
    label = _of_donut(text_of(value[keys[0]], where), where)
    for key in keys[1:]:
        # Lists and objects are not labels; they may hold the position of the text.
        if not isinstance(value[key], str | int):
            continue
        other = _of_donut(str(value[key]), where)
        if label_of(other) != label_of(label):
            raise two_labels(where, (keys[0], key), (label, other))
    return label


def _of_donut(label: str, where: str) -> str:
    """The text in Donut's ground truth, which is JSON in a string; other labels as they are. Raises UserError."""
    if not label.startswith("{") or '"gt_parse' not in label:
        return label
    try:
        parsed = json.loads(label)["gt_parse"]
    except (ValueError, RecursionError, LookupError, TypeError):
        return label
    texts = list(parsed.values()) if isinstance(parsed, dict) else [parsed]
    if len(texts) != 1 or not isinstance(texts[0], str):
        raise UserError(
            f"{where}: the ground truth of Donut there is not one text ({short(label)}): crop the texts first, and "
            "list each crop with its text"
        )
    return texts[0]


def text_of(label: Any, where: str) -> str:
    """A label in JSON. Raises UserError, which says `where`, for what is no text."""
    # 007 and 12.50 come back from JSON as other texts, lists and objects as none.
    if not isinstance(label, str) and type(label) is not int:
        raise UserError(f"{where}: the label {short(json.dumps(label))} is not text: put it in quotes")
    return str(label)


def cannot_hold(label: str) -> str | None:
    return "begins or ends with white space" if padded(label) else None


def write(folder: Path, pictures: Iterable[Picture], plan: Plan) -> Path:
    path = folder / "labels.jsonl"
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for name, label, source in lines_of(pictures, folder):
            file.write(json.dumps({"file": name, "label": label, "source": source}, ensure_ascii=False) + "\n")
    return path
