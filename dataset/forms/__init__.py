"""The forms in which labelled pictures come: a folder, a list in one of several notations, records in few large files.

A form is one module with the functions of :class:`Form` or :class:`RecordForm`, and one line in :data:`FORMS`; one that
can be written has those of :class:`Writer` too, and one line in :data:`WRITERS`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple, Protocol, overload, runtime_checkable

import numpy as np

from cli.messages import missing_path, warn
from crnn_reader.errors import UserError
from crnn_reader.sources import StoredImage
from dataset.forms import (
    checked,
    delimited,
    folder,
    found_list,
    fsns,
    icdar,
    json_file,
    json_lines,
    listed,
    lmdb,
    mjsynth,
    placed,
    plain,
    sidecar,
    tfrecord,
)
from dataset.forms.normal import composed, label_of
from dataset.forms.text import Entry, silent
from dataset.forms.writing import Picture, Plan
from dataset.tfrecord import is_records


class Form(Protocol):
    """What a module in this package offers."""

    def matches(self, path: Path) -> bool:
        """Whether the file, folder or pattern `path` is of this form."""
        ...

    def rows(self, path: Path, root: str | None = None, labels: bool = True) -> Iterator[tuple[str, str]]:
        """Each picture's path, relative to the folder or to the list's folder, with `/`, and its label.

        `root` is where the paths in lists start, where that is not the list's folder. Without `labels` nobody asks
        for them, and what only they need may be left out. The label is empty where there is none. Raises UserError
        for a list that cannot be understood.
        """
        ...


class ListForm(Protocol):
    """What a module for lists offers, each row of which names one picture."""

    def matches(self, path: Path) -> bool:
        """As in :class:`Form`."""
        ...

    def entries(self, path: Path, tell: Callable[[str], None] = warn) -> Iterator[Entry]:
        """The rows as they stand in the file; what is odd about all of them goes to `tell`. Raises UserError."""
        ...


class Records(Protocol):
    """Pictures that are no files of their own, each under a name that reads like a path in the folder."""

    def rows(self) -> Iterator[tuple[str, str]]:
        """Each picture's name and label, as :meth:`Form.rows` gives them."""
        ...

    def fetch(self, name: str) -> bytes:
        """The bytes of a picture whose name was given; from any thread. Raises UnreadablePicture."""
        ...

    def container(self, name: str) -> str:
        """The file that holds the picture: when it changes, the picture may have."""
        ...


@runtime_checkable
class RecordForm(Protocol):
    """What a module for pictures that are no files offers."""

    def matches(self, path: Path) -> bool:
        """As in :class:`Form`."""
        ...

    def open(self, path: Path) -> Records:
        """The pictures. Raises UserError where they cannot be opened."""
        ...


class Writer(Protocol):
    """What a form that can be written offers."""

    @property
    def formats(self) -> tuple[str, ...]:
        """The suffixes of the picture formats it takes, the one to convert others to last; none: it takes all."""
        ...

    def cannot_hold(self, label: str) -> str | None:
        """Why the form cannot hold a label, as words after its name; None when it can."""
        ...

    def write(self, folder: Path, pictures: Iterable[Picture], plan: Plan) -> Path:
        """Write into an empty folder; returns the path by which the pictures are read."""
        ...


# The regular expressions of the forms are texts, which `re` compiles when they are first used: to compile all of them
# takes longer than to read ten pictures, which need none.

#: Asked in this order; `folder` takes any folder that is left, and `plain` any file.
FORMS: dict[str, Form | ListForm | RecordForm] = {
    "lmdb": lmdb,
    "fsns": fsns,
    "tfrecord": tfrecord,
    "mjsynth": mjsynth,
    "listed": listed,
    "found_list": found_list,
    "sidecar": sidecar,
    "folder": folder,
    "delimited": delimited,
    "json_lines": json_lines,
    "json_file": json_file,
    "icdar": icdar,
    "plain": plain,
}

#: Forms of a folder that say only what its pictures read. They are not asked where labels come from file names, or
#: are not wanted: a list that is damaged, or leaves pictures out, does not concern these then.
_FOR_LABELS = ("listed", "found_list", "sidecar")

#: By their names as a flag (parameter.FormName).
WRITERS: dict[str, Writer] = {
    "folder": folder,
    "sidecar": sidecar,
    "csv": delimited.CSV,
    "tsv": delimited.TSV,
    "json_lines": json_lines,
    "tfrecord": tfrecord,
    "fsns": fsns,
    "lmdb": lmdb,
}


class Sample(NamedTuple):
    """One labelled picture."""

    name: str  #: path relative to the folder or list it was found by, with `/`
    label: str  #: in Unicode's composed form (NFC); empty where none was found
    path: str  #: where to open it; a :class:`crnn_reader.image.StoredImage` where it is no file of its own


def samples(
    path: Path | str, label_pattern: str | None = None, root: str | None = None, labels: bool = True
) -> Iterator[Sample]:
    """The labelled pictures of a folder (recursive, sorted by name), list or set of records, one at a time.

    With `label_pattern`, a regular expression with a group `label`, the label is what that group matches in the
    file name without its suffix; otherwise it is what the form says. `root` is the folder that the paths in lists
    start from; without it they start from the list's folder, the working folder or one around the list's, where the
    pictures are found. Without `labels` all pictures of a folder are given, whatever is known of their labels. Raises
    UserError when there is no such path.
    """
    rows, place = _opened(Path(path), label_pattern, root, labels)
    for name, label in rows:
        yield Sample(name, label, place(name))


def exists(path: Path) -> bool:
    """Whether there is anything under `path`, which may be a pattern such as `data/train-*` of files of records."""
    return path.exists() or is_records(path)


def _opened(
    path: Path, label_pattern: str | None, root: str | None = None, labels: bool = True
) -> tuple[Iterator[tuple[str, str]], Callable[[str], str]]:
    """Names and labels of all pictures, and the function from a name to where the picture is opened."""
    if not exists(path):
        raise missing_path(path, "give a folder of labelled pictures, or a list of them")
    labels = labels and not label_pattern
    form = next(form for name, form in FORMS.items() if (labels or name not in _FOR_LABELS) and form.matches(path))
    # What lies in the current folder is named without it; there begin, as on stdin, the paths that a pipe brings.
    folder_of_names = str(path) if path.is_dir() else placed.folder_of(path)
    folder_of_names = "" if folder_of_names == os.curdir else folder_of_names
    pattern = re.compile(label_pattern) if label_pattern else None

    def labelled(rows: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
        for name, label in rows:
            if pattern:
                match = pattern.search(stem(name))
                label = (match["label"] or "") if match else ""
            yield name, composed(label)

    if isinstance(form, RecordForm):
        records = form.open(path)
        stripped = ((name, label_of(label)) for name, label in records.rows())
        return labelled(stripped), lambda name: StoredImage(
            os.path.join(folder_of_names, name), records.container(name), partial(records.fetch, name)
        )
    if hasattr(form, "entries"):
        rows = placed.placed(path, checked.rows(path, form.entries(path, warn if labels else silent), labels), root)
    elif path.is_dir():
        rows = form.rows(path, root, labels)
    else:
        rows = placed.placed(path, form.rows(path), root)
    return labelled(rows), partial(placed.located, folder_of_names)


def stem(name: str) -> str:
    """`a/b.c.png` -> `b.c`."""
    return os.path.splitext(name.rpartition("/")[2])[0]


class Samples(Sequence[Sample]):
    """Many samples in little memory: about 50 bytes each, where Python objects would take 400."""

    def __init__(self, source: Path, rows: Iterable[tuple[str, str]], place: Callable[[str], str]) -> None:
        """`rows` are names and labels, `place` gives the path that opens a name."""
        self.source, self._place = source, place
        # Names that are not UTF-8, which numpy cannot hold, by their rows.
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
        return Sample(name, str(self.labels[row]), self._place(self._odd.get(row, name)))


def strings(texts: Iterable[str]) -> np.ndarray:
    """Texts in numpy's packed form of variable width."""
    # What is not UTF-8 has no place there.
    clean = [text.replace("\0", "?").encode(errors="replace").decode() for text in texts]
    return np.array(clean, dtype=np.dtypes.StringDType())


def collect(path: Path | str, label_pattern: str | None = None, root: str | None = None) -> Samples:
    """All of :func:`samples`. Raises UserError when there are none."""
    path = Path(path)
    found = Samples(path, *_opened(path, label_pattern, root))
    if not found:
        others = [each for each in sorted(path.iterdir()) if _holds_pictures(each)] if path.is_dir() else []
        if others:
            raise UserError(
                f"no pictures in {path} itself, but in {', '.join(each.name for each in others)} there: "
                f"give {' or '.join(map(str, others[:2]))}"
            )
        if not path.is_dir():
            raise UserError(f"{path} holds no pictures: give another file, or a folder")
        raise UserError(
            f"no pictures in {path}: name pictures LABEL_anything.png there, "
            "or make some with python -m generate_captcha --out FOLDER"
        )
    return found


def _holds_pictures(path: Path) -> bool:
    """Whether `path` is a folder of a form that says so of itself."""
    return path.is_dir() and any(
        form.matches(path) for name, form in FORMS.items() if name not in ("folder", "plain", "found_list")
    )
