"""TFRecord of CRNN_CTC_Tensorflow: `images` (JPEG bytes), `labels` (int64 list), `imagenames` (bytes).

The labels are numbers of characters. The character map, a JSON object of characters and their numbers, is in
`char_map.json` or `char_map/char_map.json`, beside the records or in the folder above.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from crnn_reader import bounded
from crnn_reader.alphabet import PADDING
from crnn_reader.errors import UserError
from dataset import tfrecord_file
from dataset.formats.base import RecordFormat
from dataset.formats.writing import CorpusFacts, Picture, Writer, write_shards

_MAP = "char_map.json"
_EXAMPLE = 'write {"a": 0, "b": 1}, each character with its own number'

#: Maximum number of characters with one number, such as `<unk>`.
_MAX_CHARACTERS = 20

WRITES = ("tfrecord",)
NUMBERED = True


class _Writer(Writer):
    picture_suffixes = (".jpg",)
    cannot_hold = staticmethod(tfrecord_file.cannot_hold)

    def write(self, folder: Path, pictures: Iterable[Picture], facts: CorpusFacts) -> Path:
        numbers = {character: number for character, number in facts.numbers.items() if character != PADDING}
        (folder / _MAP).write_text(json.dumps(numbers, indent=0, ensure_ascii=False) + "\n", encoding="utf-8")

        def records() -> Iterator[bytes]:
            for picture in pictures:
                yield tfrecord_file.example(
                    {"images": picture.data, "imagenames": picture.name.encode()},
                    {"labels": [numbers[character] for character in picture.label]},
                )

        write_shards(folder, records(), facts)
        return folder


class TFRecord(RecordFormat):
    writers = (_Writer(),)

    def matches(self, path: Path) -> bool:
        return tfrecord_file.is_records(path)

    def open(self, path: Path) -> tfrecord_file.RecordSet:
        def label(example: tfrecord_file.Example) -> str:
            return text_of(example.integers("labels"))

        text_of = tfrecord_file.decoder(lambda: _characters(path), f"has the label {{}}, which {_MAP} does not have")
        return tfrecord_file.RecordSet(path, label, "images")


FORMAT = TFRecord()


def _characters(path: Path) -> dict[int, str]:
    file = tfrecord_file.find_beside(path, _MAP, f"char_map/{_MAP}")
    if file is None:
        raise UserError(f"{path} has numbers for labels: put their character map, {_MAP}, beside it")
    try:
        numbers = bounded.read_json(file)
    except ValueError as error:
        raise UserError(f"{file} is not a character map ({error}): {_EXAMPLE}") from None
    entries = numbers.items() if isinstance(numbers, dict) else ()
    characters = {number: character for character, number in entries if type(number) is int}
    if not characters or len(characters) != len(numbers) or max(map(len, numbers)) > _MAX_CHARACTERS:
        raise UserError(f"{file} is not a character map: {_EXAMPLE}")
    return characters
