"""A JSON file: `{"a.png": "X"}`, a list of objects as in JSON lines, or a list of pairs `["a.png", "X"]`.

Also what pandas, MMOCR (`data_list`) and Label Studio (JSON-MIN) write, and JSON lines in a file that ends in .json.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from cli.messages import warn
from crnn_reader.errors import UserError
from dataset.forms import json_lines
from dataset.forms.boxes import tool_of_json
from dataset.forms.normal import short
from dataset.forms.text import FILE_KEYS, LABEL_KEYS, Entry, whole

#: Bytes of a file that is read whole: some million labels, in some 400 MB of memory.
LARGEST = 1 << 25

_EXAMPLE = 'write {"a.png": "its text"}, or [{"file": "a.png", "label": "its text"}]'


def matches(path: Path) -> bool:
    return path.suffix.lower() == ".json" or (path.suffix.lower() in json_lines.SUFFIXES and json_lines.is_array(path))


def entries(path: Path, tell: Callable[[str], None] = warn) -> Iterator[Entry]:
    text = whole(path, LARGEST, "a list in JSON, which JSON lines in a file that ends in .jsonl have no limit for")
    try:
        value = json.loads(text, object_pairs_hook=_Object)
    except RecursionError:
        raise UserError(f"{path} is nested too deeply for a list of pictures: {_EXAMPLE}") from None
    except ValueError as error:
        if "\n" in text.strip() and text.lstrip().startswith("{") and _is_json(text.strip().partition("\n")[0]):
            yield from json_lines.entries(path, tell)
            return
        raise UserError(f"{path} is not JSON ({error}): {_EXAMPLE}") from None
    if isinstance(value, _Object):
        if value.twice is not None:
            raise UserError(f"{path} has the name {short(value.twice)} twice: keep the right label")
        if tool := tool_of_json(value):
            raise UserError(
                f"{path} is {tool}'s, which has the places of things in pictures, not their texts: crop the texts "
                f"first; for a list of them, {_EXAMPLE}"
            )
        yield from _of_object(path, value, tell)
    elif isinstance(value, list):
        yield from _of_list(path, value, tell)
    else:
        raise UserError(f"{path} holds no list of pictures: {_EXAMPLE}")


class _Object(dict[str, Any]):
    """An object of JSON that knows a name that it has twice, of which a plain one keeps the last alone."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.twice: str | None = None
        if len(self) < len(pairs):
            names = [name for name, _ in pairs]
            self.twice = next(name for name in names if names.count(name) > 1)


def unchecked_readings(path: Path) -> bool:
    """Whether a file holds what prediction.py has read, without labels to compare with."""
    try:
        value = json.loads(whole(path, LARGEST, "a list"))
    except (UserError, ValueError, RecursionError):
        return False
    rows = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return json_lines.are_readings(rows[:20]) and not any(isinstance(row, dict) and row.get("truth") for row in rows)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _of_object(path: Path, value: dict[str, Any], tell: Callable[[str], None]) -> Iterator[Entry]:
    file = next((value[key] for key in FILE_KEYS if key in value), None)
    label = next((value[key] for key in LABEL_KEYS if key in value), None)
    inner = next((value[key] for key in ("data_list", "images", "data", "annotations") if key in value), None)
    # Columns, as pandas writes them.
    labels = {key: value[key] for key in LABEL_KEYS if key in value and isinstance(value[key], type(file))}
    if isinstance(file, dict) and isinstance(label, dict):
        rows = [{key: found.get(row) for key, found in labels.items()} for row in file]
        yield from _of_list(path, [{"file": name, **row} for name, row in zip(file.values(), rows, strict=True)], tell)
    elif isinstance(file, list) and isinstance(label, list):
        rows = [dict(zip(labels, row, strict=True)) for row in zip(*labels.values(), strict=False)]
        yield from _of_list(path, [{"file": name, **row} for name, row in zip(file, rows, strict=False)], tell)
    elif isinstance(inner, list):
        yield from _of_list(path, inner, tell)
    elif json_lines.are_readings(list(islice(value.values(), 20))):
        named = [{**found, "file": name} if isinstance(found, dict) else [name, found] for name, found in value.items()]
        yield from _of_list(path, named, tell)
    else:
        for number, (name, found) in enumerate(value.items(), start=1):
            where = f"{path}, {short(name)}"
            if isinstance(found, dict):
                found = json_lines.label_in(found, where) if set(LABEL_KEYS) & found.keys() else found or None
            yield Entry(number, name, "" if found is None else json_lines.text_of(found, where))


def _of_list(path: Path, values: list[Any], tell: Callable[[str], None]) -> Iterator[Entry]:
    if values and json_lines.is_reading(values[0]):
        has_truth = any(isinstance(value, dict) and value.get("truth") for value in values)
        taken = "the truth is" if has_truth else "the texts that were read are"
        tell(f"{path} holds readings: {taken} used as labels")
        if has_truth:
            values = [
                {**{key: found for key, found in value.items() if key != "label"}, "text": value.get("truth") or ""}
                if json_lines.is_reading(value)
                else value
                for value in values
            ]
    for number, value in enumerate(values, start=1):
        where = f"{path}, entry {number}"
        if isinstance(value, dict):
            yield _of_task(value, where, number)
        elif isinstance(value, list) and len(value) == 2 and isinstance(value[0], str):
            yield Entry(number, value[0], "" if value[1] is None else json_lines.text_of(value[1], where))
        else:
            raise UserError(f"{where} names no picture with its label: {_EXAMPLE}")


def _of_task(value: dict[str, Any], where: str, number: int) -> Entry:
    """An object with a picture and its label; those of Label Studio's JSON-MIN and of MMOCR among them."""
    if "data" in value and "annotations" in value:
        raise UserError(f"{where} is a task of Label Studio: export JSON-MIN instead of JSON")
    value = {("image" if key in ("ocr", "captioning") and isinstance(found, str) else key): found
             for key, found in value.items()}  # fmt: skip
    texts = next(
        (value[key] for key in ("transcription", "text", "instances") if isinstance(value.get(key), list)), None
    )
    if texts is not None:
        texts = [text.get("text", "") if isinstance(text, dict) else text for text in texts]
        if len(texts) > 1:
            raise UserError(
                f"{where} has {len(texts)} texts for one picture: crop the texts first, and list each crop with its "
                "text"
            )
        value = {key: found for key, found in value.items() if key not in LABEL_KEYS}
        value["text"] = texts[0] if texts else ""
    elif isinstance(value.get("label"), list) and any(isinstance(value.get(key), str) for key in LABEL_KEYS):
        # Beside the text of a box Label Studio has what kind of box it is.
        value = {key: found for key, found in value.items() if key != "label"}
    return json_lines.entry(value, where, number)
