"""CSV or TSV. With a header, the columns `file` and `label` count, or what else such columns are often called; others
are ignored. Without one, the first column is the path and the second the label. CSV has quotes (RFC 4180), TSV none.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from console import UserError, warn
from dataset.forms.text import FILE_KEYS, LABEL_KEYS, lines, one_line
from dataset.forms.writing import Picture, Plan, lines_of
from picture import PICTURE_SUFFIXES

TAB = "\t"
_SUFFIXES = {".csv": f",;{TAB}", ".tsv": TAB, ".tab": TAB}


def matches(path: Path) -> bool:
    return path.suffix.lower() in _SUFFIXES


def rows(path: Path) -> Iterator[tuple[str, str]]:
    numbered = lines(path)
    try:
        _, first = next(numbered)
    except StopIteration:
        return
    # Spreadsheets write `;` in half of Europe; the separator is the one that the first line is made of.
    separator = max(_SUFFIXES[path.suffix.lower()], key=first.count)
    quoting: Literal[0, 3] = csv.QUOTE_NONE if separator == TAB else csv.QUOTE_MINIMAL
    try:
        header = next(csv.reader([first], delimiter=separator, quoting=quoting, skipinitialspace=separator != TAB))
        # A list without a header may begin with the label `image`.
        headed = Path(header[0]).suffix.lower() not in PICTURE_SUFFIXES
        heads = [head.strip().lower() for head in header if headed]
        file = next((heads.index(key) for key in FILE_KEYS if key in heads), None)
        label = next((heads.index(key) for key in LABEL_KEYS if key in heads), None)
        if file is None and label is not None and not Path(header[0]).suffix:
            raise UserError(
                f"{path}: its first line names the columns {', '.join(header)}, but none of them is "
                f"{' or '.join(FILE_KEYS)}: rename the column that holds the path"
            )
        if file is not None and label is None and len(header) > 1:
            warn(f"{path}: none of its columns ({', '.join(header)}) is {' or '.join(LABEL_KEYS)}: it has no labels")
        at = 1

        def further() -> Iterator[str]:
            nonlocal at
            for number, line in numbered:
                at = number
                yield line

        # What people type after a comma is no part of the label, unless they put it between quotes.
        table = csv.reader(further(), delimiter=separator, quoting=quoting, skipinitialspace=separator != TAB)
        if file is None:
            if len(header) > 1 and not Path(header[0]).suffix and not (path.parent / header[0]).exists():
                raise UserError(
                    f"{path}: its first line, {', '.join(header)}, names no columns that are known, and {header[0]} is "
                    "no picture: name them file and label, or begin with a picture"
                )
            file, label = 0, 1
            yield header[0], header[1] if len(header) > 1 else ""
        for row in table:
            if label is not None and any(row[len(header) :]):
                raise UserError(
                    f"{path}, line {at}: {len(row)} cells where the first line has {len(header)}: put a label that "
                    f"holds {'a tab' if separator == TAB else separator} between quotes, in a file that ends in .csv"
                )
            if len(row) > file and row[file]:
                yield row[file], row[label] if label is not None and len(row) > label else ""
    except csv.Error as error:
        raise UserError(f"{path} cannot be read as a table ({error}): check its quotes and separators") from None


@dataclass(frozen=True)
class Table:
    """Writes one of the two notations."""

    suffix: Literal[".csv", ".tsv"]
    formats: tuple[str, ...] = ()

    def cannot_hold(self, label: str) -> str | None:
        return "holds a tab" if self.suffix == ".tsv" and "\t" in label else one_line(label)

    def write(self, folder: Path, pictures: Iterable[Picture], plan: Plan) -> Path:
        path = folder / f"labels{self.suffix}"
        with path.open("w", encoding="utf-8", newline="") as file:
            if self.suffix == ".csv":
                # All between quotes: a label may begin with a space.
                write = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL).writerow
            else:
                # No quotes: what csv would have to escape is not there.
                write = lambda row: file.write("\t".join(row) + "\n")  # noqa: E731
            write(("file", "label", "source"))
            for name, label, source in lines_of(pictures, folder):
                write((name, label, " ".join(source.split())))
        return path


CSV, TSV = Table(".csv"), Table(".tsv")
