"""JSON lines: on each line an object with `file` and `label`, or as columns of a CSV are called."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from console import UserError, warn
from dataset.forms.normal import padded, short
from dataset.forms.text import FILE_KEYS, LABEL_KEYS, Entry, lines
from dataset.forms.writing import Picture, Plan, lines_of

formats = ()


def matches(path: Path) -> bool:
    return path.suffix.lower() in (".jsonl", ".ndjson", ".jsonlines")


def entries(path: Path, tell: Callable[[str], None] = warn) -> Iterator[Entry]:
    for number, line in lines(path):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path}, line {number} is not JSON ({error}): write one object per line") from None
        yield entry(value, f"{path}, line {number}", number)


def entry(value: Any, where: str, number: int) -> Entry:
    """The name and label in an object. Raises UserError, which says `where`, for anything else."""
    file = next((value[key] for key in FILE_KEYS if key in value), None) if isinstance(value, dict) else None
    if not isinstance(file, str):
        raise UserError(f'{where} names no picture: write {{"file": …, "label": …}}')
    found = next((value[key] for key in LABEL_KEYS if value.get(key) is not None), "")
    return Entry(number, file, text_of(found, where))


def text_of(label: Any, where: str) -> str:
    """A label in JSON. Raises UserError, which says `where`, for what is no text."""
    # 007 and 12.50 come back from JSON as other texts, lists and objects as none.
    if not isinstance(label, str) and type(label) is not int:
        raise UserError(f"{where}: the label {short(json.dumps(label))} is no text: put it between quotes")
    return str(label)


def cannot_hold(label: str) -> str | None:
    return "begins or ends with white space" if padded(label) else None


def write(folder: Path, pictures: Iterable[Picture], plan: Plan) -> Path:
    path = folder / "labels.jsonl"
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for name, label, source in lines_of(pictures, folder):
            file.write(json.dumps({"file": name, "label": label, "source": source}, ensure_ascii=False) + "\n")
    return path
