"""TFRecord of the French Street Name Signs, as attention_ocr and Attention-ocr-Chinese-Version read it.

Features: `image/encoded` (PNG or JPEG), `image/format`, `image/width`, `image/orig_width`, `image/class` (numbers of
the characters, padded with that of `<nul>` to one length), `image/unpadded_class` and `image/text` (UTF-8). Without the
text, a dictionary gives the characters: lines `number<TAB>character` in `dic.txt`, `dictionary.txt` or `charset*.txt`,
beside the records or in the folder above.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from operator import itemgetter
from pathlib import Path

from crnn_reader.alphabet import PADDING, read_dictionary
from crnn_reader.errors import UserError
from dataset import tfrecord_file
from dataset.formats.base import RecordFormat
from dataset.formats.writing import MAX_LABEL_BYTES, CorpusFacts, Picture, Writer, write_shards

_DICTIONARY = "dic.txt"

#: Number of characters that labels are padded to, as the readers of this format expect.
_PADDED = 37

WRITES = ("fsns",)
NUMBERED = True


class _Writer(Writer):
    picture_suffixes = (".jpg", ".png")
    cannot_hold = staticmethod(tfrecord_file.cannot_hold)

    def write(self, folder: Path, pictures: Iterable[Picture], facts: CorpusFacts) -> Path:
        numbers, padding = facts.numbers, facts.numbers[PADDING]
        lines = [f"{number}\t{character}\n" for character, number in sorted(numbers.items(), key=itemgetter(1))]
        (folder / _DICTIONARY).write_text("".join(lines), encoding="utf-8", newline="\n")
        padded = max(_PADDED, facts.longest)

        def records() -> Iterator[bytes]:
            for picture in pictures:
                label = [numbers[character] for character in picture.label]
                yield tfrecord_file.example(
                    {
                        "image/encoded": picture.data,
                        "image/format": b"png" if picture.suffix == ".png" else b"jpeg",
                        "image/text": picture.label.encode(),
                    },
                    {
                        "image/width": [picture.width],
                        # Readers divide the two widths to get the number of views.
                        "image/orig_width": [picture.width],
                        "image/class": label + [padding] * (padded - len(label)),
                        "image/unpadded_class": label,
                    },
                )

        write_shards(folder, records(), facts)
        return folder


class Fsns(RecordFormat):
    writers = (_Writer(),)

    def matches(self, path: Path) -> bool:
        return "image/encoded" in tfrecord_file.first_features(path)

    def open(self, path: Path) -> tfrecord_file.RecordSet:
        def label(example: tfrecord_file.Example) -> str:
            if "image/text" not in example:
                unpadded = "image/unpadded_class" in example
                return text_of(example.integers("image/unpadded_class" if unpadded else "image/class"))
            text = example.bytes("image/text")
            if len(text) > MAX_LABEL_BYTES:
                raise tfrecord_file.Fault(f"has an image/text of {len(text):,} bytes, more than {MAX_LABEL_BYTES:,}")
            try:
                return text.decode()
            except UnicodeDecodeError:
                raise tfrecord_file.Fault("has an image/text that is not UTF-8") from None

        fault = "has the character number {}, which the dictionary does not have"
        text_of = tfrecord_file.decoder(lambda: _characters(path), fault)
        return tfrecord_file.RecordSet(path, label, "image/encoded")


FORMAT = Fsns()


def _characters(path: Path) -> dict[int, str]:
    file = tfrecord_file.find_beside(path, _DICTIONARY, "dictionary.txt", "charset*.txt")
    if file is None:
        raise UserError(f"{path} has no image/text in its records: put their dictionary, {_DICTIONARY}, beside it")
    try:
        return read_dictionary(file)
    except ValueError as error:
        raise UserError(f"{file}: {error}") from None
