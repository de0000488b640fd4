"""Labelled pictures of any format, one at a time or as a compact sequence."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple, overload

import numpy as np

from cli.messages import missing_path
from crnn_reader.errors import UserError
from crnn_reader.sources import StoredImage
from dataset.formats import FORMATS, RecordFormat
from dataset.formats.normalize import clean_label, composed
from dataset.formats.paths import find_picture, folder_of
from dataset.tfrecord_file import is_records
from parameter import GENERATED


class Sample(NamedTuple):
    """A labelled picture."""

    name: str  #: path relative to the folder or list, with `/`
    label: str  #: in Unicode's composed form (NFC); empty if there is none
    path: str  #: where to open the picture; a :class:`crnn_reader.image.StoredImage` if it is part of a larger file


def samples(
    path: Path | str, label_pattern: str | None = None, root: str | None = None, labels: bool = True
) -> Iterator[Sample]:
    """Yield the labelled pictures of a folder (recursive, sorted by name), a list or files of records.

    Arguments:
        path: folder, list, file of records, or pattern such as `data/train-*`.
        label_pattern: regular expression with a group `label`. It is searched in the file names without their suffix
            and gives the labels, which otherwise come from the format.
        root: the folder that paths in a list are relative to. By default it is found: the folder of the list, the
            working folder or one around the list's.
        labels: if False, yield all pictures of a folder and do not look for labels.

    Raises UserError if `path` does not exist.
    """
    rows, locate = _open(Path(path), label_pattern, root, labels)
    for name, label in rows:
        yield Sample(name, label, locate(name))


def exists(path: Path) -> bool:
    """Whether `path` exists, or is a pattern of files of records such as `data/train-*`."""
    return path.exists() or is_records(path)


def _open(
    path: Path, label_pattern: str | None, root: str | None = None, labels: bool = True
) -> tuple[Iterator[tuple[str, str]], Callable[[str], str]]:
    """The names and labels of all pictures, and the function that finds the path of a name."""
    if not exists(path):
        if str(path).startswith(GENERATED):
            raise UserError(
                f"{path}: only the pictures to train on can be drawn; write others to a folder with "
                "python -m generate_captcha --out FOLDER, and give that"
            )
        raise missing_path(path, f"give a folder of {'labelled ' * labels}pictures, or a list of them")
    labels = labels and not label_pattern
    found = next(each for each in FORMATS.values() if (labels or not each.adds_labels) and each.matches(path))
    # Names in the working folder have no prefix. The paths that a pipe or stdin yields are relative to it, too.
    folder = str(path) if path.is_dir() else folder_of(path)
    folder = "" if folder == os.curdir else folder
    pattern = re.compile(label_pattern) if label_pattern else None

    def labelled(rows: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
        for name, label in rows:
            if pattern:
                match = pattern.search(stem(name))
                label = (match["label"] or "") if match else ""
            yield name, composed(label)

    if isinstance(found, RecordFormat):
        records = found.open(path)
        stripped = ((name, clean_label(label)) for name, label in records.rows())
        return labelled(stripped), lambda name: StoredImage(
            os.path.join(folder, name), records.container(name), partial(records.fetch, name)
        )
    return labelled(found.rows(path, root, labels)), partial(find_picture, folder)


def stem(name: str) -> str:
    """The file name without its suffix: `a/b.c.png` -> `b.c`."""
    return os.path.splitext(name.rpartition("/")[2])[0]


class Samples(Sequence[Sample]):
    """A sequence of samples that takes about 50 bytes each, where Python objects would take 400."""

    def __init__(self, source: Path, rows: Iterable[tuple[str, str]], locate: Callable[[str], str]) -> None:
        """`rows` are names and labels. `locate` returns the path of a name."""
        self.source, self._locate = source, locate
        #: Names that are not valid UTF-8, by row: numpy's strings cannot hold them.
        self._odd: dict[int, str] = {}
        names, labels = [strings([])], [strings([])]
        iterator = iter(rows)
        while chunk := list(islice(iterator, 4096)):
            first = sum(map(len, names))
            names.append(strings([name for name, _ in chunk]))
            pairs = zip(names[-1], chunk, strict=True)
            self._odd |= {row: name for row, (held, (name, _)) in enumerate(pairs, first) if held != name}
            labels.append(strings([label for _, label in chunk]))
        self.names, self.labels = np.concatenate(names), np.concatenate(labels)

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> list[Sample]: ...
    def __getitem__(self, index: int | slice) -> Sample | list[Sample]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        row = range(len(self))[index]
        name = str(self.names[row])
        return Sample(name, str(self.labels[row]), self._locate(self._odd.get(row, name)))


def strings(texts: Iterable[str]) -> np.ndarray:
    """An array of numpy's variable-width strings. Surrogates and NUL, which it cannot hold, become `?`."""
    clean = [text.replace("\0", "?").encode(errors="replace").decode() for text in texts]
    return np.array(clean, dtype=np.dtypes.StringDType())


def collect(
    path: Path | str, label_pattern: str | None = None, root: str | None = None, labels: bool = True
) -> Samples:
    """All samples of `path`; see :func:`samples`. Raises UserError if there are none."""
    path = Path(path)
    found = Samples(path, *_open(path, label_pattern, root, labels))
    if not found:
        others = [each for each in sorted(path.iterdir()) if _holds_pictures(each)] if path.is_dir() else []
        if others:
            raise UserError(
                f"no pictures in {path} itself, but in {', '.join(each.name for each in others)} there: "
                f"give {' or '.join(map(str, others[:2]))}"
            )
        if not path.is_dir():
            raise UserError(f"{path} holds no pictures: give another file, or a folder")
        naming = "name pictures LABEL_anything.png there" if labels else "put some there"
        raise UserError(f"no pictures in {path}: {naming}, or make some with python -m generate_captcha --out FOLDER")
    return found


def has_labels(path: Path | str, samples: Samples) -> bool:
    """Whether a list of `path`, or files beside its pictures, have labels; those of file names do not count.

    Arguments:
        samples: those of `path`, collected without labels.
    """
    beside = (each for each in FORMATS.values() if each.adds_labels)
    return any(map(str, samples.labels)) or any(each.matches(Path(path)) for each in beside)


def _holds_pictures(path: Path) -> bool:
    return path.is_dir() and any(each.matches(path) for each in FORMATS.values() if not each.accepts_all)
