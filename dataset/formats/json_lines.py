"""JSON lines: an object with `file` and `label`, or with other names of CSV columns, on each line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from crnn_reader.errors import UserError
from dataset.formats.base import ListFormat
from dataset.formats.normalize import clean_label, padded, short
from dataset.formats.text import FILE_KEYS, LABEL_KEYS, SCORE_KEYS, Entry, is_comment, is_score, lines, two_labels
from dataset.formats.writing import CorpusFacts, Picture, Writer, write_pictures

SUFFIXES = (".jsonl", ".ndjson", ".jsonlines")

#: Number of rows that decide whether a file holds predictions.
LOOKED_AT = 20

WRITES = ("json_lines",)


class _Writer(Writer):
    def cannot_hold(self, label: str) -> str | None:
        return "begins or ends with white space" if padded(label) else None

    def write(self, folder: Path, pictures: Iterable[Picture], facts: CorpusFacts) -> Path:
        path = folder / "labels.jsonl"
        with path.open("w", encoding="utf-8", newline="\n") as file:
            for name, label, source in write_pictures(pictures, folder):
                file.write(json.dumps({"file": name, "label": label, "source": source}, ensure_ascii=False) + "\n")
        return path


class JsonLines(ListFormat):
    main_lists = ("labels.jsonl",)
    has_keys = is_table = True
    writers = (_Writer(),)

    def matches(self, path: Path) -> bool:
        return path.suffix.lower() in SUFFIXES and not is_array(path)

    def entries(self, path: Path, report: Callable[[str], None]) -> Iterator[Entry]:
        return entries(path)

    def has_unchecked_predictions(self, path: Path) -> bool:
        try:
            return are_unchecked([json.loads(line) for _, line in islice(lines(path), LOOKED_AT)])
        except (UserError, OSError, ValueError, RecursionError):
            return False


FORMAT = JsonLines()


def is_array(path: Path) -> bool:
    """Whether a file begins like a JSON array of objects."""
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return bool(re.match(rb"(?:\xef\xbb\xbf)?\s*\[\s*\{", file.read(64)))
    except OSError:
        return False


def are_unchecked(rows: list[Any]) -> bool:
    """Whether the first rows are predictions, and no row has the true text."""
    has_truth = any(isinstance(row, dict) and row.get("truth") for row in rows)
    return are_predictions(rows[:LOOKED_AT]) and not has_truth


def are_predictions(rows: list[Any]) -> bool:
    """Whether most rows have a text and a score, or all texts were rejected."""
    rejected = [isinstance(row, dict) and row.get("status") == "rejected" for row in rows]
    return bool(rows) and (2 * sum(map(is_prediction, rows)) > len(rows) or all(rejected))


def is_prediction(value: Any) -> bool:
    if not isinstance(value, dict) or ("text" in value) == ("label" in value):
        return False
    if "text" in value and ("probability" in value or "confidence" in value):
        return True
    return any(is_score(value.get(key)) for key in SCORE_KEYS)


def entries(path: Path) -> Iterator[Entry]:
    """Yield the rows of a file. Raises UserError."""
    for number, line in lines(path):
        if is_comment(line):
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path}, line {number} is not JSON ({error}): write one object per line") from None
        yield entry(value, f"{path}, line {number}", number)


def entry(value: Any, where: str, number: int) -> Entry:
    """The row of an object. Raises UserError with the place `where` for any other value."""
    file = next((value[key] for key in FILE_KEYS if key in value), None) if isinstance(value, dict) else None
    if type(file) is int:
        file = str(file)  # the id 17 of 17.png
    if not isinstance(file, str):
        raise UserError(f'{where} names no picture: write {{"file": …, "label": …}}')
    return Entry(number, file, label_in(value, where))


def label_in(value: dict[str, Any], where: str) -> str:
    """The label in an object, empty if there is none. Raises UserError for two labels that differ."""
    keys = [key for key in LABEL_KEYS if value.get(key) is not None]
    if not keys:
        return ""
    label = _donut_text(text_of(value[keys[0]], where), where)
    for key in keys[1:]:
        # Arrays and objects are not labels. They may hold the position of the text.
        if not isinstance(value[key], str | int):
            continue
        other = _donut_text(str(value[key]), where)
        if clean_label(other) != clean_label(label):
            raise two_labels(where, (keys[0], key), (label, other))
    return label


def _donut_text(label: str, where: str) -> str:
    """The text in Donut's ground truth, which is JSON in a string. Returns other labels unchanged."""
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
    """The text of a label in JSON. Raises UserError for values that are not text."""
    # Only strings and integers keep their spelling: 12.50 would become 12.5.
    if not isinstance(label, str) and type(label) is not int:
        raise UserError(f"{where}: the label {short(json.dumps(label))} is not text: put it in quotes")
    return str(label)
