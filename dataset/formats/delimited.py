"""CSV and TSV. With a header, the columns `file` and `label`, or with other usual names, are used.

Without a header, the first column is the path and the second the label. CSV has quotes (RFC 4180). TSV has quotes only
if all texts of a row are in quotes.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, dropwhile, islice
from pathlib import Path
from typing import Literal

from crnn_reader.errors import UserError
from crnn_reader.image_headers import PICTURE_SUFFIXES
from dataset.formats.base import ListFormat
from dataset.formats.normalize import clean_label, is_quoted, short
from dataset.formats.text import (
    FILE_KEYS,
    LABEL_KEYS,
    SCORE_KEYS,
    SUFFIXES,
    Entry,
    is_comment,
    is_header,
    is_score,
    line_fault,
    lines,
    two_labels,
    unquoted_fault,
)
from dataset.formats.writing import CorpusFacts, Picture, Writer, write_pictures

_TAB = "\t"
_ANY = f",;{_TAB}"
_SEPARATORS = {".csv": _ANY, ".tsv": _TAB, ".tab": _TAB}

#: Columns that only a table of predictions has.
_PROBABILITY_KEYS = ("probability", "confidence")
#: Values of the column `status` for predictions that a person has checked or corrected.
_CHECKED = ("checked", "corrected", "verified", "labelled", "labeled", "label", "ok")
_PROBABILITY = r"[01]\.\d{3,}"

#: Number of rows that decide whether a table holds predictions.
_LOOKED_AT = 20

#: A line inside a cell that is a row of the table.
_ROW = rf"(?im)^[^\n]*\.(?:{SUFFIXES})\b"
#: A quote at the start of a cell.
_OPENING = r'(?m)(?:^|[,;\t])\s*"'

#: The number of a row's first line, its text, and its cells.
_Row = tuple[int, str, list[str]]

WRITES = ("csv", "tsv")


@dataclass(frozen=True)
class _Writer(Writer):
    name: str

    def cannot_hold(self, label: str) -> str | None:
        if self.name == "csv":
            return line_fault(label)
        return "holds a tab" if _TAB in label else unquoted_fault(label)

    def write(self, folder: Path, pictures: Iterable[Picture], facts: CorpusFacts) -> Path:
        path = folder / f"labels.{self.name}"
        with path.open("w", encoding="utf-8", newline="") as file:
            if self.name == "csv":
                # All cells in quotes, because a label may begin with a space.
                write = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL).writerow
            else:
                # Without quotes. Labels that csv would have to escape are refused.
                write = lambda row: file.write(_TAB.join(row) + "\n")  # noqa: E731
            write(("file", "label", "source"))
            for name, label, source in write_pictures(pictures, folder):
                write((name, label, " ".join(source.split())))
        return path


class Delimited(ListFormat):
    main_lists = ("labels.tsv", "labels.csv")
    has_keys = is_table = True
    header_lines = 1
    writers = tuple(map(_Writer, WRITES))

    def matches(self, path: Path) -> bool:
        suffix = path.suffix.lower()
        return suffix in _SEPARATORS or (suffix == ".txt" and bool(_header_separator(path, _ANY)))

    def entries(self, path: Path, report: Callable[[str], None]) -> Iterator[Entry]:
        return _entries(path, report)

    def has_unchecked_predictions(self, path: Path) -> bool:
        try:
            table = _records(path, _rows(path), _separator(path, _first_line(path)), True)
            _, _, header = next(table)
            columns = _Columns([head.strip().lower() for head in header])
            if columns.may_be_predictions:
                seen, table = _peek(table)
                columns.judge(seen)
            if not columns.are_predictions:
                return _is_printed(header)
            if columns.truth is not None:
                return not any(len(row) > columns.truth and row[columns.truth] for _, _, row in table)
            status = columns.status
            return status is None or not any(_cell(row, status).strip().lower() in _CHECKED for _, _, row in table)
        except (UserError, StopIteration):
            return False


FORMAT = Delimited()


def _header_separator(path: Path, separators: str) -> str | None:
    """The separator that makes the first line a header with known column names. None if there is none."""
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
    """The separator of the columns. It follows from the suffix, unless the header has another one."""
    usual = _SEPARATORS.get(path.suffix.lower(), _ANY)
    if usual == _TAB and _TAB not in first:
        return _header_separator(path, _ANY) or _TAB
    # Spreadsheets write `;` in half of Europe, so take the separator that is most frequent on the first line.
    return max(usual, key=first.count)


def _entries(path: Path, report: Callable[[str], None]) -> Iterator[Entry]:
    numbered = _rows(path)
    number, first = next(numbered, (0, ""))
    separator = _separator(path, first)
    # Excel's line that names the separator.
    if named := re.fullmatch(r'"?sep=([,;\t])"?\s*', first, re.IGNORECASE):
        separator = named[1]
        number, first = next(numbered, (0, ""))
    if not first:
        return
    # prediction.py writes file names unchanged, and they may contain line breaks.
    breaks_allowed = "probability" in first
    table = _records(path, chain([(number, first)], numbered), separator, breaks_allowed)
    _, _, header = next(table)
    # A list without a header may begin with the label `image`.
    has_header = Path(header[0]).suffix.lower() not in PICTURE_SUFFIXES
    columns = _Columns([head.strip().lower() for head in header if has_header])
    file, label = columns.file, columns.label
    names = short(", ".join(header))
    if file is None and label is not None and not Path(header[0]).suffix:
        raise UserError(
            f"{path}: its first line names the columns {names}, but none of them is {' or '.join(FILE_KEYS)}: "
            "rename the column that holds the path"
        )
    if file is not None and label is None and len(header) > 1:
        report(
            f"{path}: it has no labels, because none of its columns ({names}) is {' or '.join(LABEL_KEYS)}: "
            "rename the column with the labels, if it has one"
        )
    if file is None:
        if len(header) > 1 and not Path(header[0]).suffix and not (path.parent / header[0]).exists():
            raise UserError(
                f"{path}: its first line, {names}, has no known column names, and {short(header[0])} is no picture: "
                "name them file and label, or begin with a picture"
            )
        file, label, columns.others = 0, 1, []
        table = chain([(number, first, header)], table)
        if _is_printed(header):
            report(f"{path} holds what prediction.py printed: the texts that were read are used as labels")
        elif len(header) > 5 and header[1] and all(map(_is_bare, map(str.strip, header[1:5]))):
            raise UserError(
                f"{path}: its rows, such as {short(','.join(header))}, have four numbers after the picture, as lists "
                "of boxes have: crop the boxes first, or name the columns on the first line, such as file and label"
            )
        elif any(header[2:]):
            report(
                f"{path}: its first line does not name the columns: the second of {len(header)} is used for the labels"
            )
    else:
        if columns.may_be_predictions and not path.is_fifo():
            seen, table = _peek(table)
            columns.judge(seen)
            label = columns.label
        if columns.are_predictions:
            report(f"{path} is a table of readings: {columns.source_of_labels()}")
    for number, text, row in table:
        if file == 0 and is_comment(text):
            continue
        if label is not None and any(row[len(header) :]):
            if not columns.label_is_rest:
                raise UserError(
                    f"{path}, line {number}: {len(row)} cells where the first line has {len(header)}: put a label that "
                    f"holds {'a tab' if separator == _TAB else separator} between quotes"
                    f"{'' if path.suffix.lower() == '.csv' else ', in a file that ends in .csv'}"
                )
            row = [row[0], text.partition(separator)[2].rstrip("\r\n")]
        if not _cell(row, file):
            continue
        found = _cell(row, label) if columns.counts(row) else ""
        if ("\n" in row[file] and not breaks_allowed) or "\n" in found:
            raise UserError(
                f"{path}, line {number}: a quote opens there and continues on the next line: close it, or write "
                "the label on one line"
            )
        if is_header(row[file], found):
            continue
        for other in columns.others:
            also = _cell(row, other)
            if also != found and clean_label(also) != clean_label(found):
                heads = (header[label or 0].strip(), header[other].strip())
                raise two_labels(f"{path}, line {number}", heads, (found, also))
        quoted = found != found.strip() and '"' + found.replace('"', '""') + '"' in text
        yield Entry(number, row[file], found, quoted)


def _cell(row: list[str], column: int | None) -> str:
    return row[column] if column is not None and len(row) > column else ""


def _records(
    path: Path, numbered: Iterable[tuple[int, str]], separator: str, breaks_allowed: bool
) -> Iterator[tuple[int, str, list[str]]]:
    """Parse the rows. Raises UserError for a quote that is not closed.

    A cell that contains another row has such a quote, unless line breaks in names are allowed.
    """
    quoting: Literal[0, 3] = csv.QUOTE_NONE if separator == _TAB else csv.QUOTE_MINIMAL
    began, taken = 0, list[str]()

    def recorded() -> Iterator[str]:
        nonlocal began
        for number, line in numbered:
            began = began or number
            taken.append(line)
            yield line

    # Spaces after a separator do not belong to a cell, unless it is in quotes.
    table = csv.reader(recorded(), delimiter=separator, quoting=quoting, skipinitialspace=separator != _TAB)
    try:
        for row in table:
            text = "".join(taken)
            if quoting == csv.QUOTE_NONE and any(map(is_quoted, row)) and all(is_quoted(c) or _is_bare(c) for c in row):
                # Some programs put all texts of a TSV in quotes.
                row = [cell[1:-1].replace('""', '"') if is_quoted(cell) else cell for cell in row]
            if len(taken) > 1 and (
                (not breaks_allowed and any(re.search(_ROW, cell) for cell in row if "\n" in cell))
                or not _is_closed(text)
            ):
                raise UserError(
                    f"{path}, line {began}: a quote opens there that is not closed on the line, and swallows the "
                    f"{len(taken) - 1:,} line{'s' * (len(taken) > 2)} after it: close it, or write two quotes for a "
                    "quote in a text"
                )
            if len(taken) == 1 and quoting != csv.QUOTE_NONE and not _is_closed(text):
                raise UserError(f"{path}, line {began}: a quote opens there that is not closed: close it")
            yield began, text, row
            began = 0
            taken.clear()
    except csv.Error as error:
        raise UserError(
            f"{path}, line {began} cannot be read as a row of a table ({error}): check its quotes and separators"
        ) from None


def _peek(table: Iterator[_Row]) -> tuple[list[list[str]], Iterator[_Row]]:
    """The cells of the first rows, and an iterator over all rows. An error is raised by that iterator."""
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


def _is_bare(cell: str) -> bool:
    """Whether a cell is a number or empty. Programs do not quote these."""
    return not cell or cell.replace(".", "", 1).isdecimal()


def _is_closed(text: str) -> bool:
    """Whether all quotes that open a cell are closed at the end of a row."""
    return text.count('"') % 2 == 0 or not re.search(_OPENING, text)


class _Columns:
    """The columns of a table that are used, by the names in its header."""

    def __init__(self, heads: list[str]) -> None:
        def find(keys: Iterable[str]) -> int | None:
            return next((heads.index(key) for key in keys if key in heads), None)

        self.file, self.label, self.status = find(FILE_KEYS), find(LABEL_KEYS), None
        #: Whether the table holds predictions of this or another program.
        self.are_predictions = (
            self.label is not None and heads[self.label] == "text" and find(_PROBABILITY_KEYS) is not None
        )
        self.truth = find(("truth",)) if self.are_predictions else None
        if self.truth is not None:
            self.label = self.truth
        elif self.are_predictions:
            self.status = find(("status",))
        #: Other columns that may hold the labels. In a table of predictions, labels are in the column truth.
        self.others = [
            column
            for column, head in enumerate(heads)
            if head in LABEL_KEYS and column != self.label and not self.are_predictions
        ]
        # In tables of other programs, the cells decide whether the texts are predictions.
        self._score, self._status, self._truth = find(SCORE_KEYS), find(("status",)), find(("truth",))
        is_usual = self.label is not None and heads[self.label] in ("text", "label")
        self.may_be_predictions = (
            is_usual and not self.are_predictions and not self.others and (self._score, self._status) != (None, None)
        )
        #: EasyOCR splits at the first comma.
        self.label_is_rest = heads == ["filename", "words"]

    def judge(self, rows: list[list[str]]) -> None:
        """Decide from the first rows whether they are predictions: most have a score, or all were rejected."""
        scored = sum(is_score(row[self._score]) for row in rows if self._score is not None and len(row) > self._score)
        column = self._status
        states = {row[column].strip().lower() for row in rows if column is not None and len(row) > column}
        self.are_predictions = 2 * scored > len(rows) or states == {"rejected"}
        if not self.are_predictions:
            return
        if self._truth is not None:
            self.truth = self.label = self._truth
        elif states & {"accepted", "rejected", *_CHECKED}:
            self.status = self._status

    def counts(self, row: list[str]) -> bool:
        """Whether the text of a row is used as a label. A prediction is if its status says so, or if it has none."""
        return self.status is None or _cell(row, self.status).strip().lower() in ("accepted", *_CHECKED)

    def source_of_labels(self) -> str:
        """Says which texts of a table of predictions are used as labels."""
        if self.truth is not None:
            return "the column truth is used for the labels"
        if self.status is not None:
            return "texts with the status accepted or checked are used as labels"
        return "the texts that were read are used as labels"


def _rows(path: Path) -> Iterator[tuple[int, str]]:
    """The lines from the first row on. Below it, a line of a cell with line breaks may begin with `#`."""
    return dropwhile(lambda row: is_comment(row[1]), lines(path))


def _first_line(path: Path) -> str:
    return next((line for _, line in _rows(path)), "")


def _is_printed(row: list[str]) -> bool:
    """Whether a row is a line that prediction.py prints: path, text, probability."""
    is_picture = len(row) > 2 and Path(row[0]).suffix.lower() in PICTURE_SUFFIXES
    return is_picture and bool(re.fullmatch(_PROBABILITY, row[2].strip()))
