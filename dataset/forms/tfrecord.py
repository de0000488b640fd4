"""TFRecord as CRNN_CTC_Tensorflow writes it: `images` (JPEG bytes), `labels` (int64 list), `imagenames` (bytes).

The character map, a JSON object of characters and their numbers, says what the labels mean. It lies beside the
records or in the folder above as `char_map.json`, or in a folder `char_map` there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from crnn_reader import bounded
from crnn_reader.alphabet import PADDING
from crnn_reader.errors import UserError
from dataset import tfrecord
from dataset.forms.writing import Picture, Plan, write_shards

MAP = "char_map.json"

_LOOKS = 'write {"a": 0, "b": 1}, each character with its own number'

#: Characters that one number may stand for, such as `<unk>`.
_LONGEST = 20

formats = (".jpg",)
cannot_hold = tfrecord.cannot_hold


def matches(path: Path) -> bool:
    return tfrecord.is_records(path)


def open(path: Path) -> tfrecord.RecordSet:
    characters: dict[int, str] = {}

    def label(example: tfrecord.Example) -> str:
        numbers = example.integers("labels")
        if not characters:
            characters.update(_characters(path))
        try:
            return "".join([characters[number] for number in numbers])
        except KeyError as error:
            raise tfrecord.Fault(f"has the label {error}, which {MAP} does not have") from None

    return tfrecord.RecordSet(path, label, "images")


def _characters(path: Path) -> dict[int, str]:
    file = tfrecord.beside(path, MAP, f"char_map/{MAP}")
    if file is None:
        raise UserError(f"{path} has numbers for labels: put their character map, {MAP}, beside it")
    try:
        numbers = bounded.read_json(file)
    except ValueError as error:
        raise UserError(f"{file} is not a character map ({error}): {_LOOKS}") from None
    entries = numbers.items() if isinstance(numbers, dict) else ()
    characters = {number: character for character, number in entries if type(number) is int}
    if not characters or len(characters) != len(numbers) or max(map(len, numbers)) > _LONGEST:
        raise UserError(f"{file} is not a character map: {_LOOKS}")
    return characters


def write(folder: Path, pictures: Iterable[Picture], plan: Plan) -> Path:
    numbers = {character: number for character, number in plan.numbers.items() if character != PADDING}
    (folder / MAP).write_text(json.dumps(numbers, indent=0, ensure_ascii=False) + "\n", encoding="utf-8")

    def records() -> Iterator[bytes]:
        for picture in pictures:
            yield tfrecord.example(
                {"images": picture.data, "imagenames": picture.name.encode()},
                {"labels": [numbers[character] for character in picture.label]},
            )

    write_shards(folder, records(), plan)
    return folder
