"""CSV or TSV. With a header, the columns `file` and `label` count, or what else such columns are often called; others
are ignored. Without one, the first column is the path and the second the label. CSV has quotes (RFC 4180), TSV has
them only where all texts of a row are between quotes.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, dropwhile, islice
from pathlib import Path
from typing import Literal

from cli.messages import warn
from crnn_reader.errors import UserError
from crnn_reader.image import PICTURE_SUFFIXES
from dataset.forms.normal import label_of, short
from dataset.forms.text import (
    FILE_KEYS,
    LABEL_KEYS,
    SCORE_KEYS,
    SUFFIXES,
    Entry,
    is_comment,
    is_header,
    is_score,
    lines,
    one_line,
    trimmed,
    two_labels,
)
from dataset.forms.writing import Picture, Plan, lines_of

TAB = "\t"
_ANY = f",;{TAB}"
_SUFFIXES = {".csv": _ANY, ".tsv": TAB, ".tab": TAB}

#: Columns that only a table of readings has.
PROBABILITY_KEYS = ("probability", "confidence")
#: Values of the column `status` for readings that a person has checked or corrected.
CHECKED = ("checked", "corrected", "verified", "labelled", "labeled", "label", "ok")
_PROBABILITY = r"[01]\.\d{3,}"

#: Number of rows that decide whether a table holds readings.
_LOOKED_AT = 20
#: The number of a row's first line, the text of the row, and its cells.
_Row = tuple[int, str, list[str]]

#: A line in a cell that is a row of its own.
_ROW = rf"(?im)^[^\n]*\.(?:{SUFFIXES})\b"
#: A quote at the start of a cell.
_OPENING = r'(?m)(?:^|[,;\t])\s*"'


def matches(path: Path) -> bool:
    return path.suffix.lower() in _SUFFIXES or (path.suffix.lower() == ".txt" and bool(_named(path, _ANY)))


def _named(path: Path, separators: str) -> str | None:
    """The one of the separators that makes the first line names of columns that are known; None where none does."""
    try:
        first = _first_line(path) if path.is_file() else ""
    except (UserError, OSError):
        return None
    for separator in separators:
        columns = _Columns([head.strip().strip('"').lower() for head in first.split(separator)])
        if columns.file is not None and columns.label is not None:
            return separator
    return None


def _separator(path: Path, first: str) -> str:
    """What separates the columns: what the suffix says, unless the names of the columns are separated otherwise."""
    usual = _SUFFIXES.get(path.suffix.lower(), _ANY)
    if usual == TAB and TAB not in first:
        return _named(path, _ANY) or TAB
    # Spreadsheets write `;` in half of Europe; the separator is the one that the first line is made of.
    return max(usual, key=first.count)


def entries(path: Path, tell: Callable[[str], None] = warn) -> Iterator[Entry]:
    numbered = _rows(path)
    number, first = next(numbered, (0, ""))
    separator = _separator(path, first)
    # Excel writes, and takes, a line that says what separates.
    if named := re.fullmatch(r'"?sep=([,;\t])"?\s*', first, re.IGNORECASE):
        separator = named[1]
        number, first = next(numbered, (0, ""))
    if not first:
        return
    # prediction.py writes the names of files as they are, and they may have line breaks.
    broken_names = "probability" in first
    table = _records(path, chain([(number, first)], numbered), separator, broken_names)
    _, _, header = next(table)
    # A list without a header may begin with the label `image`.
    headed = Path(header[0]).suffix.lower() not in PICTURE_SUFFIXES
    columns = _Columns([head.strip().lower() for head in header if headed])
    file, label = columns.file, columns.label
    if file is None and label is not None and not Path(header[0]).suffix:
        raise UserError(
            f"{path}: its first line names the columns {short(', '.join(header))}, but none of them is "
            f"{' or '.join(FILE_KEYS)}: rename the column that holds the path"
        )
    if file is not None and label is None and len(header) > 1:
        tell(
            f"{path}: it has no labels, because none of its columns ({short(', '.join(header))}) is "
            f"{' or '.join(LABEL_KEYS)}: rename the column with the labels, if it has one"
        )
    if file is None:
        if len(header) > 1 and not Path(header[0]).suffix and not (path.parent / header[0]).exists():
            raise UserError(
                f"{path}: its first line, {short(', '.join(header))}, has no known column names, and "
                f"{short(header[0])} is no picture: name them file and label, or begin with a picture"
            )
        file, label, columns.others = 0, 1, []
        table = chain([(number, first, header)], table)
        if _printed(header):
            tell(f"{path} holds what prediction.py printed: the texts that were read are used as labels")
        elif len(header) > 5 and header[1] and all(map(_plain, map(str.strip, header[1:5]))):
            raise UserError(
                f"{path}: its rows, such as {short(','.join(header))}, have four numbers after the picture, as lists "
                "of boxes have: crop the boxes first, or name the columns on the first line, such as file and label"
            )
        elif any(header[2:]):
            tell(
                f"{path}: its first line does not name the columns: the second of {len(header)} is used for the labels"
            )
    else:
        if columns.may_be_readings and not path.is_fifo():
            seen, table = _peeked(table)
            columns.judge(seen)
            label = columns.label
        if columns.readings:
            tell(columns.source_of_labels(path))
    for number, text, row in table:
        if file == 0 and is_comment(text):
            continue
        if label is not None and any(row[len(header) :]):
            if columns.rest_is_label:
                row = [row[0], text.partition(separator)[2].rstrip("\r\n")]
            else:
                raise UserError(
                    f"{path}, line {number}: {len(row)} cells where the first line has {len(header)}: put a label that "
                    f"holds {'a tab' if separator == TAB else separator} between quotes"
                    f"{'' if path.suffix.lower() == '.csv' else ', in a file that ends in .csv'}"
                )
        if len(row) > file and row[file]:
            found = row[label] if label is not None and len(row) > label and columns.counts(row) else ""
            if ("\n" in row[file] and not broken_names) or "\n" in found:
                raise UserError(
                    f"{path}, line {number}: a quote opens there and continues on the next line: close it, or write "
                    "the label on one line"
                )
            if is_header(row[file], found):
                continue
            for other in columns.others:
                also = row[other] if len(row) > other else ""
                if also != found and label_of(also) != label_of(found):
                    heads = (header[label or 0].strip(), header[other].strip())
                    raise two_labels(f"{path}, line {number}", heads, (found, also))
            quoted = found != found.strip() and '"' + found.replace('"', '""') + '"' in text
            yield Entry(number, row[file], found, quoted)


def _records(
    path: Path, numbered: Iterable[tuple[int, str]], separator: str, broken_names: bool
) -> Iterator[tuple[int, str, list[str]]]:
    """The number of each row's first line, its text and its cells. Raises UserError for a quote that stays open.

    A cell that has another row in it is taken for one with such a quote, unless names may have line breaks.
    """
    quoting: Literal[0, 3] = csv.QUOTE_NONE if separator == TAB else csv.QUOTE_MINIMAL
    began, taken = 0, list[str]()

    def further() -> Iterator[str]:
        nonlocal began
        for number, line in numbered:
            began = began or number
            taken.append(line)
            yield line

    # What people type after a comma is no part of the label, unless they put it between quotes.
    table = csv.reader(further(), delimiter=separator, quoting=quoting, skipinitialspace=separator != TAB)
    try:
        for row in table:
            text = "".join(taken)
            if (
                quoting == csv.QUOTE_NONE
                and any(map(_quoted, row))
                and all(_quoted(each) or _plain(each) for each in row)
            ):
                # A program that puts all its texts between quotes; a quote in a text of this form is itself.
                row = [each[1:-1].replace('""', '"') if _quoted(each) else each for each in row]
            if len(taken) > 1 and ((_swallowed(row) and not broken_names) or not _closed(text)):
                raise UserError(
                    f"{path}, line {began}: a quote opens there that is not closed on the line, and swallows the "
                    f"{len(taken) - 1:,} line{'s' * (len(taken) > 2)} after it: close it, or write two quotes for a "
                    "quote in a text"
                )
            if len(taken) == 1 and quoting != csv.QUOTE_NONE and not _closed(text):
                raise UserError(f"{path}, line {began}: a quote opens there that is not closed: close it")
            yield began, text, row
            began = 0
            taken.clear()
    except csv.Error as error:
        raise UserError(
            f"{path}, line {began} cannot be read as a row of a table ({error}): check its quotes and separators"
        ) from None


def _peeked(table: Iterator[_Row]) -> tuple[list[list[str]], Iterator[_Row]]:
    """The cells of the first rows, and an iterator over all rows, which raises an error at the row that has it."""
    seen: list[_Row] = []
    error: UserError | None = None
    try:
        seen.extend(islice(table, _LOOKED_AT))
    except UserError as raised:
        error = raised

    def again() -> Iterator[_Row]:
        yield from seen
        if error:
            raise error
        yield from table

    return [row for _, _, row in seen], again()


def _quoted(cell: str) -> bool:
    return len(cell) > 1 and cell[0] == cell[-1] == '"'


def _plain(cell: str) -> bool:
    """Whether a cell is a number or empty, which programs leave without quotes."""
    return not cell or cell.replace(".", "", 1).isdecimal()


def _swallowed(row: list[str]) -> bool:
    """Whether a cell over several lines has a row of the list in it."""
    return any(re.search(_ROW, cell) for cell in row if "\n" in cell)


def _closed(text: str) -> bool:
    """Whether no quote is open at the end of a row, if the row has any that may open a cell."""
    return text.count('"') % 2 == 0 or not re.search(_OPENING, text)


class _Columns:
    """Which columns of a table count, by the names in its first line."""

    def __init__(self, heads: list[str]) -> None:
        def place(keys: Iterable[str]) -> int | None:
            return next((heads.index(key) for key in keys if key in heads), None)

        self.file, self.label, self.status = place(FILE_KEYS), place(LABEL_KEYS), None
        #: Written by prediction.py, or by another program that reads.
        self.readings = self.label is not None and heads[self.label] == "text" and place(PROBABILITY_KEYS) is not None
        self.truth = place(("truth",)) if self.readings else None
        if self.truth is not None:
            self.label = self.truth
        elif self.readings:
            self.status = place(("status",))
        #: Other columns that may hold the labels. Beside readings, labels are in the column truth.
        self.others = [
            place
            for place, head in enumerate(heads)
            if head in LABEL_KEYS and place != self.label and not self.readings
        ]
        # In tables of other programs, the cells decide whether the texts are readings.
        self._score, self._status, self._truth = place(SCORE_KEYS), place(("status",)), place(("truth",))
        is_named = self.label is not None and heads[self.label] in ("text", "label")
        self.may_be_readings = (
            is_named and not self.readings and not self.others and (self._score, self._status) != (None, None)
        )
        #: EasyOCR cuts at the first comma.
        self.rest_is_label = heads == ["filename", "words"]

    def judge(self, rows: list[list[str]]) -> None:
        """Find out from the first rows whether a table holds readings: most have a score, or all were rejected."""
        scored = sum(is_score(row[self._score]) for row in rows if self._score is not None and len(row) > self._score)
        places = [self._status] if self._status is not None else []
        states = {row[place].strip().lower() for row in rows for place in places if len(row) > place}
        self.readings = 2 * scored > len(rows) or states == {"rejected"}
        if not self.readings:
            return
        if self._truth is not None:
            self.truth = self.label = self._truth
        elif states & {"accepted", "rejected", *CHECKED}:
            self.status = self._status

    def counts(self, row: list[str]) -> bool:
        """Whether the text of a row is a label: of readings those whose status says so, where they have one."""
        return self.status is None or (
            len(row) > self.status and row[self.status].strip().lower() in ("accepted", *CHECKED)
        )

    def source_of_labels(self, path: Path) -> str:
        """A sentence that says which column of a table of readings is used for the labels."""
        if self.truth is not None:
            return f"{path} is a table of readings: the column truth is used for the labels"
        if self.status is not None:
            return f"{path} is a table of readings: texts with the status accepted or checked are used as labels"
        return f"{path} is a table of readings: the texts that were read are used as labels"


def unchecked_readings(path: Path) -> bool:
    """Whether a table holds what a network has read, and nobody has said which of it is right."""
    try:
        table = _records(path, _rows(path), _separator(path, _first_line(path)), True)
        _, _, header = next(table)
        columns = _Columns([head.strip().lower() for head in header])
        if columns.may_be_readings:
            seen, table = _peeked(table)
            columns.judge(seen)
        if not columns.readings:
            return _printed(header)
        if columns.truth is not None:
            return not any(len(row) > columns.truth and row[columns.truth] for _, _, row in table)
        status = columns.status
        return status is None or not any(
            len(row) > status and row[status].strip().lower() in CHECKED for _, _, row in table
        )
    except (UserError, StopIteration):
        return False


def _rows(path: Path) -> Iterator[tuple[int, str]]:
    """The lines, without comments above the first row. Below it `#` may begin a cell of several lines."""
    return dropwhile(lambda row: is_comment(row[1]), lines(path))


def _first_line(path: Path) -> str:
    return next((line for _, line in _rows(path)), "")


def _printed(row: list[str]) -> bool:
    """Whether a row is like a line that prediction.py prints: path, text, probability."""
    picture = len(row) > 2 and Path(row[0]).suffix.lower() in PICTURE_SUFFIXES
    return picture and bool(re.fullmatch(_PROBABILITY, row[2].strip()))


@dataclass(frozen=True)
class Table:
    """Writes one of the two notations."""

    suffix: Literal[".csv", ".tsv"]
    formats: tuple[str, ...] = ()

    def cannot_hold(self, label: str) -> str | None:
        if self.suffix == ".csv":
            return one_line(label)
        return "holds a tab" if "\t" in label else trimmed(label)

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
