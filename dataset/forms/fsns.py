"""TFRecord of the French Street Name Signs, as attention_ocr and Attention-ocr-Chinese-Version read it.

Features: `image/encoded` (PNG or JPEG), `image/format`, `image/width`, `image/orig_width`, `image/class` (numbers of
the characters, padded with that of `<nul>` to one length), `image/unpadded_class` and `image/text` (UTF-8). Where the
text is missing, the dictionary says what the numbers mean: lines `number<TAB>character` in `dic.txt`,
`dictionary.txt` or `charset*.txt`, beside the records or in the folder above.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from operator import itemgetter
from pathlib import Path

from crnn_reader.alphabet import PADDING, read_dictionary
from crnn_reader.errors import UserError
from dataset import tfrecord
from dataset.forms.writing import LARGEST_LABEL, Picture, Plan, write_shards

DICTIONARY = "dic.txt"

#: Characters that labels are padded to, as the readers of this form expect it.
PADDED = 37

formats = (".jpg", ".png")
cannot_hold = tfrecord.cannot_hold


def matches(path: Path) -> bool:
    return "image/encoded" in tfrecord.first_features(path)


def open(path: Path) -> tfrecord.RecordSet:
    characters: dict[int, str] = {}

    def label(example: tfrecord.Example) -> str:
        if "image/text" in example:
            text = example.bytes("image/text")
            if len(text) > LARGEST_LABEL:
                raise tfrecord.Fault(f"has an image/text of {len(text):,} bytes, more than {LARGEST_LABEL:,}")
            try:
                return text.decode()
            except UnicodeDecodeError:
                raise tfrecord.Fault("has an image/text that is not UTF-8") from None
        numbers = example.integers("image/unpadded_class" if "image/unpadded_class" in example else "image/class")
        if not characters:
            characters.update(_characters(path))
        try:
            return "".join([characters[number] for number in numbers])
        except KeyError as error:
            raise tfrecord.Fault(f"has the character number {error}, which the dictionary does not have") from None

    return tfrecord.RecordSet(path, label, "image/encoded")


def _characters(path: Path) -> dict[int, str]:
    file = tfrecord.beside(path, DICTIONARY, "dictionary.txt", "charset*.txt")
    if file is None:
        raise UserError(f"{path} has no image/text in its records: put their dictionary, {DICTIONARY}, beside it")
    try:
        return read_dictionary(file)
    except ValueError as error:
        raise UserError(f"{file}: {error}") from None


def write(folder: Path, pictures: Iterable[Picture], plan: Plan) -> Path:
    numbers, padding = plan.numbers, plan.numbers[PADDING]
    lines = [f"{number}\t{character}\n" for character, number in sorted(numbers.items(), key=itemgetter(1))]
    (folder / DICTIONARY).write_text("".join(lines), encoding="utf-8", newline="\n")
    padded = max(PADDED, plan.longest)

    def records() -> Iterator[bytes]:
        for picture in pictures:
            label = [numbers[character] for character in picture.label]
            yield tfrecord.example(
                {
                    "image/encoded": picture.data,
                    "image/format": b"png" if picture.suffix == ".png" else b"jpeg",
                    "image/text": picture.label.encode(),
                },
                {
                    "image/width": [picture.width],
                    # The same: a picture has one view, and the readers take the quotient for the number of views.
                    "image/orig_width": [picture.width],
                    "image/class": label + [padding] * (padded - len(label)),
                    "image/unpadded_class": label,
                },
            )

    write_shards(folder, records(), plan)
    return folder
