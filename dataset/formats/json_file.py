"""A JSON file: `{"a.png": "X"}`, an array of objects as in JSON lines, or an array of pairs `["a.png", "X"]`.

Also what pandas, MMOCR (`data_list`) and Label Studio (JSON-MIN) write, and JSON lines in a file that ends in .json.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from crnn_reader.errors import UserError
from dataset.formats import json_lines
from dataset.formats.base import ListFormat
from dataset.formats.boxes import tool_of_json
from dataset.formats.normalize import short
from dataset.formats.text import FILE_KEYS, LABEL_KEYS, Entry, read_text

#: Maximum size in bytes. The file is read into memory: a few million labels take 400 MB.
_MAX_BYTES = 1 << 25

_EXAMPLE = 'write {"a.png": "its text"}, or [{"file": "a.png", "label": "its text"}]'


class JsonFile(ListFormat):
    has_keys = True

    def matches(self, path: Path) -> bool:
        suffix = path.suffix.lower()
        return suffix == ".json" or (suffix in json_lines.SUFFIXES and json_lines.is_array(path))

    def entries(self, path: Path, report: Callable[[str], None]) -> Iterator[Entry]:
        limit = "a list in JSON, which JSON lines in a file that ends in .jsonl have no limit for"
        text = read_text(path, _MAX_BYTES, limit)
        try:
            value = json.loads(text, object_pairs_hook=_Object)
        except RecursionError:
            raise UserError(f"{path} is nested too deeply for a list of pictures: {_EXAMPLE}") from None
        except ValueError as error:
            if "\n" in text.strip() and text.lstrip().startswith("{") and _is_json(text.strip().partition("\n")[0]):
                yield from json_lines.entries(path)
                return
            raise UserError(f"{path} is not JSON ({error}): {_EXAMPLE}") from None
        if isinstance(value, _Object):
            if value.duplicate is not None:
                raise UserError(f"{path} has the name {short(value.duplicate)} twice: keep the right label")
            if tool := tool_of_json(value):
                raise UserError(
                    f"{path} is {tool}'s, which has the places of things in pictures, not their texts: crop the texts "
                    f"first; for a list of them, {_EXAMPLE}"
                )
            yield from _object_entries(path, value, report)
        elif isinstance(value, list):
            yield from _array_entries(path, value, report)
        else:
            raise UserError(f"{path} holds no list of pictures: {_EXAMPLE}")

    def has_unchecked_predictions(self, path: Path) -> bool:
        try:
            value = json.loads(read_text(path, _MAX_BYTES, "a list"))
        except (UserError, ValueError, RecursionError):
            return False
        rows = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
        return json_lines.are_unchecked(rows)


FORMAT = JsonFile()


class _Object(dict[str, Any]):
    """A JSON object that remembers a name which occurs twice. A plain dict keeps only the last value."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.duplicate: str | None = None
        if len(self) < len(pairs):
            names = [name for name, _ in pairs]
            self.duplicate = next(name for name in names if names.count(name) > 1)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _object_entries(path: Path, value: dict[str, Any], report: Callable[[str], None]) -> Iterator[Entry]:
    file = next((value[key] for key in FILE_KEYS if key in value), None)
    label = next((value[key] for key in LABEL_KEYS if key in value), None)
    inner = next((value[key] for key in ("data_list", "images", "data", "annotations") if key in value), None)
    # Columns, as pandas writes them: objects by row, or arrays.
    labels = {key: value[key] for key in LABEL_KEYS if key in value and isinstance(value[key], type(file))}
    if isinstance(file, dict) and isinstance(label, dict):
        rows = [{"file": name, **{key: found.get(row) for key, found in labels.items()}} for row, name in file.items()]
        yield from _array_entries(path, rows, report)
    elif isinstance(file, list) and isinstance(label, list):
        cells = zip(file, zip(*labels.values(), strict=False), strict=False)
        rows = [{"file": name, **dict(zip(labels, row, strict=True))} for name, row in cells]
        yield from _array_entries(path, rows, report)
    elif isinstance(inner, list):
        yield from _array_entries(path, inner, report)
    elif json_lines.are_predictions(list(islice(value.values(), json_lines.LOOKED_AT))):
        named = [{**found, "file": name} if isinstance(found, dict) else [name, found] for name, found in value.items()]
        yield from _array_entries(path, named, report)
    else:
        for number, (name, found) in enumerate(value.items(), start=1):
            where = f"{path}, {short(name)}"
            if isinstance(found, dict):
                found = json_lines.label_in(found, where) if set(LABEL_KEYS) & found.keys() else found or None
            yield Entry(number, name, "" if found is None else json_lines.text_of(found, where))


def _array_entries(path: Path, values: list[Any], report: Callable[[str], None]) -> Iterator[Entry]:
    if values and json_lines.is_prediction(values[0]):
        has_truth = any(isinstance(value, dict) and value.get("truth") for value in values)
        used = "the truth is" if has_truth else "the texts that were read are"
        report(f"{path} holds readings: {used} used as labels")
        if has_truth:
            values = [
                {**_without(value, ("label",)), "text": value.get("truth") or ""}
                if json_lines.is_prediction(value)
                else value
                for value in values
            ]
    for number, value in enumerate(values, start=1):
        where = f"{path}, entry {number}"
        if isinstance(value, dict):
            yield _entry(value, where, number)
        elif isinstance(value, list) and len(value) == 2 and isinstance(value[0], str):
            yield Entry(number, value[0], "" if value[1] is None else json_lines.text_of(value[1], where))
        else:
            raise UserError(f"{where} names no picture with its label: {_EXAMPLE}")


def _entry(value: dict[str, Any], where: str, number: int) -> Entry:
    """The row of an object, which may be from Label Studio's JSON-MIN or MMOCR."""
    if "data" in value and "annotations" in value:
        raise UserError(f"{where} is a task of Label Studio: export JSON-MIN instead of JSON")
    value = {
        ("image" if key in ("ocr", "captioning") and isinstance(found, str) else key): found
        for key, found in value.items()
    }
    keys = ("transcription", "text", "instances")
    texts = next((value[key] for key in keys if isinstance(value.get(key), list)), None)
    if texts is not None:
        texts = [text.get("text", "") if isinstance(text, dict) else text for text in texts]
        if len(texts) > 1:
            raise UserError(
                f"{where} has {len(texts)} texts for one picture: crop the texts first, and list each crop with its "
                "text"
            )
        value = {**_without(value, LABEL_KEYS), "text": texts[0] if texts else ""}
    elif isinstance(value.get("label"), list) and any(isinstance(value.get(key), str) for key in LABEL_KEYS):
        # Label Studio writes the kind of box into `label`.
        value = _without(value, ("label",))
    return json_lines.entry(value, where, number)


def _without(value: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: found for key, found in value.items() if key not in keys}
