"""JSON lines: on each line an object with `file` and `label`, or as columns of a CSV are called."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from console import UserError
from dataset.forms.text import FILE_KEYS, LABEL_KEYS, lines
from dataset.forms.writing import Picture, Plan, lines_of

formats = ()


def matches(path: Path) -> bool:
    return path.suffix.lower() in (".jsonl", ".ndjson", ".jsonlines")


def rows(path: Path) -> Iterator[tuple[str, str]]:
    for number, line in lines(path):
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path}, line {number} is not JSON ({error}): write one object per line") from None
        file = next((entry[key] for key in FILE_KEYS if key in entry), None) if isinstance(entry, dict) else None
        if not isinstance(file, str):
            raise UserError(f'{path}, line {number} names no picture: write {{"file": …, "label": …}}')
        label = next((entry[key] for key in LABEL_KEYS if entry.get(key) is not None), "")
        # 007 and 12.50 come back from JSON as other texts, lists and objects as none.
        if not isinstance(label, str) and type(label) is not int:
            raise UserError(f"{path}, line {number}: the label {json.dumps(label)} is no text: put it between quotes")
        yield file, str(label)


def cannot_hold(label: str) -> str | None:
    return None


def write(folder: Path, pictures: Iterable[Picture], plan: Plan) -> Path:
    path = folder / "labels.jsonl"
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for name, label, source in lines_of(pictures, folder):
            file.write(json.dumps({"file": name, "label": label, "source": source}, ensure_ascii=False) + "\n")
    return path
