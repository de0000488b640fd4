"""The forms in which labelled pictures come: a folder, or a list in one of several notations.

A form is one module with the two functions of :class:`Form`, and one line in :data:`FORMS`.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple, Protocol, overload

import numpy as np

from console import UserError
from dataset.forms import delimited, folder, json_lines, plain


class Form(Protocol):
    """What a module in this package offers."""

    def matches(self, path: Path) -> bool:
        """Whether the file or folder `path`, which exists, is of this form."""
        ...

    def rows(self, path: Path) -> Iterator[tuple[str, str]]:
        """Each picture's path, relative to the folder or to the list's folder, with `/`, and its label.

        The label is empty where there is none. Raises UserError for a list that cannot be understood.
        """
        ...


#: Asked in this order; `plain` takes any file that is left.
FORMS: dict[str, Form] = {
    "folder": folder,
    "delimited": delimited,
    "json_lines": json_lines,
    "plain": plain,
}


class Sample(NamedTuple):
    """One labelled picture."""

    name: str  #: path relative to the folder or list it was found by, with `/`
    label: str  #: in Unicode's composed form (NFC); empty where none was found
    path: str  #: where to open it


def samples(path: Path | str, label_pattern: str | None = None) -> Iterator[Sample]:
    """The labelled pictures of a folder (recursive, sorted by name) or list (in its order), one at a time.

    With `label_pattern`, a regular expression with a group `label`, the label is what that group matches in the
    file name without its suffix; otherwise it is what the form says. Raises UserError when there is no such path.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path} does not exist: give a folder of labelled pictures, or a list of them")
    form = next(form for form in FORMS.values() if form.matches(path))
    root = str(_root(path))
    pattern = re.compile(label_pattern) if label_pattern else None
    for name, label in form.rows(path):
        if pattern:
            match = pattern.search(stem(name))
            label = (match["label"] or "") if match else ""
        yield Sample(name, unicodedata.normalize("NFC", label), os.path.join(root, name))


def _root(path: Path) -> Path:
    return path if path.is_dir() else path.parent


def stem(name: str) -> str:
    """`a/b.c.png` -> `b.c`."""
    return os.path.splitext(name.rpartition("/")[2])[0]


class Samples(Sequence[Sample]):
    """Many samples in little memory: about 50 bytes each, where Python objects would take 400."""

    def __init__(self, source: Path, samples: Iterable[Sample]) -> None:
        self.source = source
        self.root = str(_root(source))
        names, labels = [strings([])], [strings([])]
        iterator = iter(samples)
        while chunk := list(islice(iterator, 4096)):
            names.append(strings([sample.name for sample in chunk]))
            labels.append(strings([sample.label for sample in chunk]))
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
        name = str(self.names[index])
        return Sample(name, str(self.labels[index]), os.path.join(self.root, name))


def strings(texts: Iterable[str]) -> np.ndarray:
    """Texts in numpy's packed form of variable width."""
    # A name that is not UTF-8 has no place there; it becomes one that does not exist, and is reported as that.
    clean = [text.replace("\0", "?").encode(errors="replace").decode() for text in texts]
    return np.array(clean, dtype=np.dtypes.StringDType())


def collect(path: Path | str, label_pattern: str | None = None) -> Samples:
    """All of :func:`samples`. Raises UserError when there are none."""
    path = Path(path)
    found = Samples(path, samples(path, label_pattern))
    if not found:
        what = f"no pictures in {path}" if path.is_dir() else f"{path} lists no pictures"
        raise UserError(f"{what}: name pictures LABEL_anything.png there, or make some with python -m generate_captcha")
    return found
