"""Write readings as lines, CSV, JSON and ICDAR submissions, one by one."""

from __future__ import annotations

import contextlib
import csv
import functools
import json
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cli.files import atomic
from crnn_reader.errors import printable
from crnn_reader.formats import SEPARATORS
from model import comparison

if TYPE_CHECKING:
    from crnn_reader.decoding.layouts import Country, Layout
    from crnn_reader.reader import Character, Reading
    from parameter import PredictionParameters


@dataclass(frozen=True)
class Row:
    """A picture that was read."""

    file: str
    text: str
    probability: float
    #: None without a minimum probability.
    accepted: bool | None = None
    #: The next most probable texts with their probabilities.
    others: tuple[tuple[str, float], ...] = ()
    #: None without a label.
    truth: str | None = None
    correct: bool | None = None
    #: The text, and the true text if it is wrong.
    caption: str = ""
    characters: tuple[Character, ...] = ()
    #: As in :class:`crnn_reader.Reading`.
    proven: bool | None = None
    layouts: tuple[Layout, ...] = ()
    countries: tuple[Country, ...] = ()
    without_layouts: str | None = None
    #: The text that is compared with the label.
    compared: str = ""

    @classmethod
    def of(
        cls,
        file: str,
        reading: Reading,
        truth: str | None,
        ignore_case: bool,
        min_probability: float | None,
        keep_separators: bool = False,
    ) -> Row:
        """The row of a reading, compared with the label if there is one, and with the minimum probability.

        With `keep_separators`, the text has the separators of its layout. They are compared if the label has some.
        """
        text, probability = reading.formatted if keep_separators else reading.text, reading.probability
        compared = text if set(truth or "") & set(SEPARATORS) else reading.text
        accepted = None if min_probability is None else comparison.accepts(text, probability, min_probability)
        correct = comparison.is_correct(truth, compared, ignore_case) if truth else None
        caption = comparison.caption(truth or "", compared, ignore_case) if correct is False else text
        if accepted is False:
            caption += " (rejected)"
        others, characters = tuple(reading.alternatives[1:]), tuple(reading.characters)
        return cls(
            file,
            text,
            probability,
            accepted,
            others,
            truth or None,
            correct,
            caption,
            characters,
            reading.proven,
            tuple(reading.layouts),
            tuple(reading.countries),
            reading.without_layouts,
            compared,
        )

    @property
    def verdict(self) -> str:
        """`correct`, `wrong`, or `unlabelled` without a label."""
        return {True: "correct", False: "wrong", None: "unlabelled"}[self.correct]

    @property
    def status(self) -> list[str]:
        """The column `accepted` or `rejected`; none without a minimum probability."""
        return [] if self.accepted is None else ["accepted" if self.accepted else "rejected"]


def of_flags(
    flags: PredictionParameters, labels: bool, formats: bool
) -> Iterator[AbstractContextManager[Callable[[Row], None]]]:
    """The tables that `flags` ask for, to be opened.

    With `labels`, they have columns for labels and verdicts; with `formats`, for countries and layouts of plates.
    """
    if flags.csv:
        yield csv_table(flags.csv, labels, flags.top, flags.min_probability is not None, flags.csv_safe, formats)
    if flags.json_:
        yield json_list(flags.json_, labels, formats)
    if flags.icdar:
        yield icdar_submission(flags.icdar)


def line(row: Row, labels: bool) -> str:
    """A line with path, text, probability and status, with `labels` truth and verdict, then other texts, between tabs.

    Control characters such as tabs and line breaks are written as escapes.
    """
    fields = [row.file, row.text, f"{row.probability:.4f}", *row.status]
    if labels:
        fields += [row.truth or "", row.verdict]
    for text, probability in row.others:
        fields += [text, f"{probability:.4f}"]
    return "\t".join(map(printable, fields))


def relative_to(table: str) -> Callable[[str], str]:
    """A function from the path of a picture to its path relative to the folder of `table`.

    So the kit finds the pictures from any working folder, and after both were moved together. A picture on another
    drive gets its absolute path. If `table` is a pipe or device, paths are not changed.
    """
    if os.path.exists(table) and not os.path.isfile(table):
        return str
    # Links are resolved, because `..` is relative to their target.
    folder = os.path.realpath(os.path.dirname(table) or os.curdir)

    @functools.lru_cache(maxsize=4096)
    def relative_folder(place: str) -> str:
        absolute = os.path.realpath(place or os.curdir)
        try:
            found = os.path.relpath(absolute, folder)
        except ValueError:
            found = absolute
        return "" if found == os.curdir else found.replace(os.sep, "/").rstrip("/") + "/"

    def relative(path: str) -> str:
        place, name = os.path.split(path)
        found = relative_folder(place) + name
        # Programs that read tables strip white space at the start of a cell.
        return f"./{found}" if found[:1].isspace() else found

    return relative


#: First characters of cells that spreadsheets compute.
_FORMULA = tuple("=+-@\t\r＝＋－＠")


@contextlib.contextmanager
def csv_table(
    path: str, labels: bool, top: int, status: bool, safe: bool = False, formats: bool = False
) -> Iterator[Callable[[Row], None]]:
    """A CSV file (RFC 4180 quotes, UTF-8) with the columns `file,text,probability`.

    Yields a function that adds a row. The file exists when the block succeeds.

    Arguments:
        path: the file. Paths of pictures are relative to its folder (:func:`relative_to`).
        labels: add the columns `truth,verdict`.
        top: number of texts; with 2 or more, add `text_2,probability_2` and so on.
        status: add the column `status`.
        safe: write no formulas for spreadsheets: put an apostrophe before such texts, and `./` before such files.
        formats: add the columns `country,country_probability,layout` with the most probable ones.
    """
    header = ["file", "text", "probability"] + ["status"] * status + ["truth", "verdict"] * labels
    header += [f"{name}_{place}" for place in range(2, top + 1) for name in ("text", "probability")]
    before_formats = len(header)
    header += ["country", "country_probability", "layout"] * formats
    relative = relative_to(path)

    def harmless(text: str | None, mark: str) -> str | None:
        return mark + text if safe and text and text.startswith(_FORMULA) else text

    # A file name may have bytes that are not valid UTF-8, which are kept.
    with atomic(path) as part, part.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)

        def add(row: Row) -> None:
            fields: list[Any] = [
                harmless(relative(row.file), "./"),
                harmless(row.text, "'"),
                f"{row.probability:.6f}",
                *row.status,
            ]
            if labels:
                fields += [harmless(row.truth, "'"), row.verdict]
            for text, probability in row.others:
                fields += [harmless(text, "'"), f"{probability:.6f}"]
            if formats and row.countries:
                fields += [""] * (before_formats - len(fields))
                fields += [row.countries[0].code, f"{row.countries[0].probability:.6f}", row.layouts[0].name]
            writer.writerow(fields + [""] * (len(header) - len(fields)))

        yield add


@contextlib.contextmanager
def json_list(path: str, labels: bool, formats: bool = False) -> Iterator[Callable[[Row], None]]:
    """A JSON file with a list of objects `{"file", "text", "probability", "characters"}`, one to a line.

    Characters are objects `{"character", "probability", "left", "right"}`, the last two in pixels. Further keys are
    `accepted` with a minimum probability, `truth` and `correct` with `labels` (null for an unlabelled picture),
    `others` with several texts, and `proven` if CTC searched under a constraint or with formats. With `formats`, there
    are `countries`, objects `{"code", "name", "probability"}`, `layouts`, `{"name", "title", "probability"}`, and
    `without_layouts` for a picture that fits none of the chosen layouts. Paths of pictures are relative to the
    folder of the file (:func:`relative_to`).

    Yields a function that adds a row. The file exists when the block succeeds.
    """
    relative = relative_to(path)
    with atomic(path) as part, part.open("w", encoding="utf-8", errors="backslashreplace") as file:
        before = "[\n"

        def add(row: Row) -> None:
            nonlocal before
            entry: dict[str, Any] = {"file": relative(row.file), "text": row.text}
            entry["probability"] = round(row.probability, 6)
            if row.accepted is not None:
                entry["accepted"] = row.accepted
            if labels:
                entry |= {"truth": row.truth, "correct": row.correct}
            if row.proven is not None:
                entry["proven"] = row.proven
            entry["characters"] = [vars(each) | {"probability": round(each.probability, 6)} for each in row.characters]
            if formats:
                for name, found in (("countries", row.countries), ("layouts", row.layouts)):
                    entry[name] = [vars(each) | {"probability": round(each.probability, 6)} for each in found]
            if row.without_layouts is not None:
                entry["without_layouts"] = row.without_layouts
            if row.others:
                entry["others"] = [{"text": text, "probability": round(p, 6)} for text, p in row.others]
            file.write(before + json.dumps(entry, ensure_ascii=False, allow_nan=False))
            before = ",\n"

        yield add
        file.write("\n]\n" if before == ",\n" else "[]\n")


#: Escapes of characters that would break the lines.
_ESCAPES = str.maketrans({"\t": "\\t", "\n": "\\n", "\r": "\\r"})


@contextlib.contextmanager
def icdar_submission(path: str) -> Iterator[Callable[[Row], None]]:
    """A submission to ICDAR's word recognition (2015, task 4.3): `word_1.png, "JOD"` on each line, in UTF-8.

    File names are without their folder. Quotes and backslashes in a text are escaped by a backslash. Yields a function
    that adds a row. The file exists when the block succeeds.
    """
    with atomic(path) as part, part.open("w", encoding="utf-8", errors="surrogateescape", newline="\n") as file:

        def add(row: Row) -> None:
            text = row.text.replace("\\", "\\\\").replace('"', '\\"').translate(_ESCAPES)
            file.write(f'{os.path.basename(row.file).translate(_ESCAPES)}, "{text}"\n')

        yield add
