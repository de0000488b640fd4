"""JSON lines: on each line an object with `file` (or path, image, filename) and `label` (or text)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from console import UserError
from dataset.forms.text import FILE_KEYS, LABEL_KEYS, lines


def matches(path: Path) -> bool:
    return path.suffix.lower() in (".jsonl", ".ndjson", ".jsonlines")


def rows(path: Path) -> Iterator[tuple[str, str]]:
    for number, line in lines(path):
        try:
            entry = json.loads(line)
        except ValueError as error:
            raise UserError(f"{path}, line {number} is not JSON ({error}): write one object per line") from None
        file = next((entry[key] for key in FILE_KEYS if key in entry), None) if isinstance(entry, dict) else None
        if not isinstance(file, str):
            raise UserError(f'{path}, line {number} names no picture: write {{"file": …, "label": …}}')
        label = next((entry[key] for key in LABEL_KEYS if entry.get(key) is not None), "")
        yield file, str(label)
