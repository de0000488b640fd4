"""Readings as people and programs take them: lines, tables, lists and submissions, each written as it comes."""

from __future__ import annotations

import contextlib
import csv
import functools
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cli.files import atomic
from crnn_reader.errors import printable
from model.comparison import accepts, compared, same

if TYPE_CHECKING:
    from crnn_reader.reader import Character, Reading


@dataclass(frozen=True)
class Row:
    """One picture that was read.

    `truth` and `correct` only where labels are known and asked for, `accepted` only where a least probability is.
    """

    file: str
    text: str
    probability: float
    accepted: bool | None = None
    #: The next most probable texts with their probabilities, the reading itself left out.
    others: tuple[tuple[str, float], ...] = ()
    truth: str | None = None
    correct: bool | None = None
    #: The text, and what it should be where it is wrong.
    caption: str = ""
    characters: tuple[Character, ...] = ()
    #: As of the reading.
    proven: bool | None = None

    @classmethod
    def of(
        cls, file: str, reading: Reading, truth: str | None, ignore_case: bool, min_probability: float | None
    ) -> Row:
        """A reading of `file`, compared with its label where there is one, and with the least probability."""
        text, probability = reading.text, reading.probability
        accepted = None if min_probability is None else accepts(text, probability, min_probability)
        correct = same(truth, text, ignore_case) if truth else None
        caption = compared(truth, text, ignore_case) if truth else text
        if accepted is False:
            caption += " (rejected)"
        return cls(
            file,
            text,
            probability,
            accepted,
            others=tuple(reading.alternatives[1:]),
            truth=truth or None,
            correct=correct,
            caption=caption,
            characters=tuple(reading.characters),
            proven=reading.proven,
        )

    @property
    def verdict(self) -> str:
        """`correct`, `wrong`, or `unlabelled` where there is nothing to compare with."""
        return {True: "correct", False: "wrong", None: "unlabelled"}[self.correct]

    @property
    def status(self) -> list[str]:
        """`accepted` or `rejected`; nothing where no least probability is asked for."""
        return [] if self.accepted is None else ["accepted" if self.accepted else "rejected"]


def line(row: Row, labels: bool) -> str:
    """Path, text, probability and status between tabs, with `labels` truth and verdict, then other texts.

    A tab, line break or other control character is written as its escape, so that a line is a line.
    """
    fields = [row.file, row.text, f"{row.probability:.4f}", *row.status]
    if labels:
        fields += [row.truth or "", row.verdict]
    for text, probability in row.others:
        fields += [text, f"{probability:.4f}"]
    return "\t".join(map(printable, fields))


def seen_from(table: str) -> Callable[[str], str]:
    """The function from a picture's path to what stands for it in `table`: the path from the folder of the table.

    So the kit finds the pictures again, wherever it works then, and when both are moved together. A picture on another
    drive has its absolute path. Where `table` is a pipe or device, paths stay as they are given.
    """
    if os.path.exists(table) and not os.path.isfile(table):
        return str
    # Links are resolved, because `..` leads out of their target.
    folder = os.path.realpath(os.path.dirname(table) or os.curdir)

    @functools.lru_cache(maxsize=4096)
    def way(place: str) -> str:
        absolute = os.path.realpath(place or os.curdir)
        try:
            found = os.path.relpath(absolute, folder)
        except ValueError:
            found = absolute
        return "" if found == os.curdir else found.replace(os.sep, "/").rstrip("/") + "/"

    def seen(path: str) -> str:
        place, name = os.path.split(path)
        found = way(place) + name
        # Readers of tables take white space at the start of a cell away.
        return f"./{found}" if found[:1].isspace() else found

    return seen


#: What spreadsheets compute.
_FORMULA = tuple("=+-@\t\r＝＋－＠")


@contextlib.contextmanager
def csv_table(path: str, labels: bool, top: int, status: bool, safe: bool = False) -> Iterator[Callable[[Row], None]]:
    """A CSV file (RFC 4180 quotes, UTF-8) with the columns `file,text,probability`.

    With `status` comes `status`, with `labels` `truth,verdict`, with `top` > 1 `text_2,probability_2` and so on. Files
    are named from the folder of the table (:func:`seen_from`). When the table is to be `safe`, no cell is a formula for
    a spreadsheet: an apostrophe stands before such texts, `./` before such files. Yields the function that adds a row;
    the file is there when the block succeeds.
    """
    header = ["file", "text", "probability"] + ["status"] * status + ["truth", "verdict"] * labels
    header += [f"{name}_{place}" for place in range(2, top + 1) for name in ("text", "probability")]
    seen = seen_from(path)

    def harmless(text: str | None, mark: str) -> str | None:
        return mark + text if safe and text and text.startswith(_FORMULA) else text

    # A file name need not be Unicode: its odd bytes are kept as they are.
    with atomic(path) as part, part.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)

        def add(row: Row) -> None:
            fields: list[Any] = [
                harmless(seen(row.file), "./"),
                harmless(row.text, "'"),
                f"{row.probability:.6f}",
                *row.status,
            ]
            if labels:
                fields += [harmless(row.truth, "'"), row.verdict]
            for text, probability in row.others:
                fields += [harmless(text, "'"), f"{probability:.6f}"]
            writer.writerow(fields + [""] * (len(header) - len(fields)))

        yield add


@contextlib.contextmanager
def json_list(path: str, labels: bool) -> Iterator[Callable[[Row], None]]:
    """A JSON file with a list of objects `{"file", "text", "probability", "characters"}`, one to a line.

    They have `accepted` where a least probability is asked for, with `labels` `truth` and `correct` (null for an
    unlabelled picture), `others` where several texts are, and `proven` under a constraint that CTC searched for. The
    characters are objects `{"character", "probability", "left", "right"}`, the last two in pixels. Pictures are named
    from the folder of the file (:func:`seen_from`). Yields the function that adds a row; the file is there when the
    block succeeds.
    """
    seen = seen_from(path)
    with atomic(path) as part, part.open("w", encoding="utf-8", errors="backslashreplace") as file:
        before = "[\n"

        def add(row: Row) -> None:
            nonlocal before
            entry: dict[str, Any] = {
                "file": seen(row.file),
                "text": row.text,
                "probability": round(row.probability, 6),
            }
            if row.accepted is not None:
                entry["accepted"] = row.accepted
            if labels:
                entry |= {"truth": row.truth, "correct": row.correct}
            if row.proven is not None:
                entry["proven"] = row.proven
            entry["characters"] = [
                {
                    "character": each.character,
                    "probability": round(each.probability, 6),
                    "left": each.left,
                    "right": each.right,
                }
                for each in row.characters
            ]
            if row.others:
                entry["others"] = [{"text": text, "probability": round(p, 6)} for text, p in row.others]
            file.write(before + json.dumps(entry, ensure_ascii=False, allow_nan=False))
            before = ",\n"

        yield add
        file.write("\n]\n" if before == ",\n" else "[]\n")


#: A line is a line.
_ESCAPES = str.maketrans({"\t": "\\t", "\n": "\\n", "\r": "\\r"})


@contextlib.contextmanager
def icdar_submission(path: str) -> Iterator[Callable[[Row], None]]:
    """A submission to ICDAR's word recognition (2015, task 4.3): `word_1.png, "JOD"` on each line, in UTF-8.

    File names stand without their folder; quotes and backslashes of a text have a backslash before them. Yields the
    function that adds a row; the file is there when the block succeeds.
    """
    with atomic(path) as part, part.open("w", encoding="utf-8", errors="surrogateescape", newline="\n") as file:

        def add(row: Row) -> None:
            text = row.text.replace("\\", "\\\\").replace('"', '\\"').translate(_ESCAPES)
            file.write(f'{os.path.basename(row.file).translate(_ESCAPES)}, "{text}"\n')

        yield add
