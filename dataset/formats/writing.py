"""The interface of writers, and functions that they share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from dataset import tfrecord_file

#: Maximum size in bytes of a picture, and of a label in UTF-8, in a file of many. No picture of a short text is larger.
MAX_PICTURE_BYTES = 64 << 20
MAX_LABEL_BYTES = 64 << 10

#: Pictures per sub-folder, as in the folders that generate_captcha writes.
PER_FOLDER = 10_000


class Picture(NamedTuple):
    """A picture to write."""

    name: str  #: the name in its source
    label: str
    data: bytes  #: the content of the file
    suffix: str  #: of the format of `data`, such as `.png`
    width: int  #: in pixels


@dataclass(frozen=True)
class CorpusFacts:
    """Facts about all pictures that are known before the first one is written."""

    title: str  #: train or validation; pictures if they are not split
    count: int  #: number of pictures
    longest: int  #: characters of the longest label
    numbers: dict[str, int]  #: the number of each character, and of the padding `<nul>`
    shards: int  #: number of record files


class Writer:
    """Writes pictures and their labels in a format."""

    #: Suffixes of the picture formats that can be written. Other pictures are converted to the last one. Empty if all
    #: can be.
    picture_suffixes: tuple[str, ...] = ()

    def cannot_hold(self, label: str) -> str | None:
        """The reason why a label cannot be written, as words after `the label`. None if it can be."""
        return None

    def write(self, folder: Path, pictures: Iterable[Picture], facts: CorpusFacts) -> Path:
        """Write into an empty folder. Returns the path to read the pictures from."""
        raise NotImplementedError


def numbered_name(index: int) -> str:
    """The name of picture `index` without suffix: `000017`, `0001/010000`."""
    folder = index // PER_FOLDER
    return f"{folder:04}/{index:06}" if folder else f"{index:06}"


def write_file(folder: Path, name: str, data: bytes) -> None:
    """Write a file into `folder`, or into a sub-folder of it."""
    path = folder / name
    if "/" in name:
        path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)


def write_shards(folder: Path, records: Iterator[bytes], facts: CorpusFacts) -> None:
    """Distribute the records evenly over files `train-00000-of-00010.tfrecord` and so on."""
    for shard in range(facts.shards):
        first, end = (facts.count * number // facts.shards for number in (shard, shard + 1))
        name = f"{facts.title}-{shard:05}-of-{facts.shards:05}.tfrecord"
        tfrecord_file.write(folder / name, islice(records, end - first))


def write_pictures(pictures: Iterable[Picture], folder: Path) -> Iterator[tuple[str, str, str]]:
    """Write each picture into a file. Yields the name of the file, the label, and the name in the source."""
    for index, picture in enumerate(pictures):
        name = numbered_name(index) + picture.suffix
        write_file(folder, name, picture.data)
        yield name, picture.label, picture.name
