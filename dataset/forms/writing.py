"""What writers are handed, and what they share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from dataset import tfrecord

#: Bytes of a picture file, and of a label in UTF-8, that are read from a file of many. Larger ones are no picture of a
#: short text.
LARGEST_PICTURE = 64 << 20
LARGEST_LABEL = 64 << 10

#: Pictures per folder, as generate_captcha counts them.
_PER_FOLDER = 10_000


class Picture(NamedTuple):
    """One picture to write."""

    name: str  #: where it comes from
    label: str
    data: bytes  #: the file
    suffix: str  #: of its format, such as `.png`
    width: int  #: in pixels


@dataclass(frozen=True)
class Plan:
    """What is known of all pictures before the first one is written."""

    title: str  #: train or validation; pictures where there are no parts
    count: int
    longest: int  #: characters of the longest label
    numbers: dict[str, int]  #: of the characters, and of the padding `<nul>`
    shards: int


def place(index: int) -> str:
    """Where picture `index` goes, without suffix: `000017`, `0001/010000`."""
    folder = index // _PER_FOLDER
    return f"{folder:04}/{index:06}" if folder else f"{index:06}"


def write_file(folder: Path, name: str, data: bytes) -> None:
    """A file in `folder`, or in a folder there."""
    path = folder / name
    if "/" in name:
        path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)


def write_shards(folder: Path, records: Iterator[bytes], plan: Plan) -> None:
    """The records in files of as many records each, `train-00000-of-00010.tfrecord` and so on."""
    for shard in range(plan.shards):
        first, end = (plan.count * number // plan.shards for number in (shard, shard + 1))
        name = f"{plan.title}-{shard:05}-of-{plan.shards:05}.tfrecord"
        tfrecord.write(folder / name, islice(records, end - first))


def lines_of(pictures: Iterable[Picture], folder: Path) -> Iterator[tuple[str, str, str]]:
    """Write each picture into a file of its own; yields the file's name, the label, and where it comes from."""
    for index, picture in enumerate(pictures):
        name = place(index) + picture.suffix
        write_file(folder, name, picture.data)
        yield name, picture.label, picture.name
