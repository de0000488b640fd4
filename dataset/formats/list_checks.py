"""Turn the rows of a list into names and labels, and warn of doubtful labels with their line numbers."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from crnn_reader.alphabet import UNREADABLE
from crnn_reader.errors import UserError
from dataset.formats.boxes import box_kind_of_line
from dataset.formats.normalize import clean_label, clean_name, padded, short
from dataset.formats.text import Entry

logger = logging.getLogger(__name__)

#: Error values of spreadsheets in several languages, and the mark of a column that is too narrow.
_ERROR = (
    r"#(?:N/A|REF!|NAME\?|VALUE!|DIV/0!|NUM!|NULL!|SPILL!|CALC!|GETTING_DATA)|Err:\d{3}|#{4,}|"
    r"#(?:NV|BEZUG!|WERT!|ZAHL!|ÜBERLAUF!|NOM\?|VALEUR!|NOMBRE!|NUL!|N/D!?|¡REF!|¿NOMBRE\?|¡VALOR!|¡NUM!|¡NULO!|¡DIV/0!|"
    r"RIF!|NOME\?|VALORE!|VALOR!|NÚM!|NULO!|N/B|VERW!|NAAM\?|WAARDE!|DEEL/0!|GETAL!|LEEG!|ADR!|NAZWA\?|ARG!|LICZBA!|ZERO!|"
    r"SAKNAS!|REFERENS!|NAMN\?|VÄRDEFEL!|DIVISION/0!|OGILTIGT!|Н/Д|ССЫЛКА!|ИМЯ\?|ЗНАЧ!|ДЕЛ/0!|ЧИСЛО!|ПУСТО!)"
)
_SCIENTIFIC = r"-?\d(?:[.,]\d+)?E[+-]\d{2,3}"
_MONTH = (
    "(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|mrz|mai|okt|dez|janv|févr|mars|avr|juin|juil|août|sept|déc|"
    "ene|abr|ago|dic|gen|mag|giu|lug|set|ott)"
)
_DATE = (
    rf"(?i)\d{{1,2}}(?:-|\. ?){_MONTH}\.?(?:[- ]\d{{2,4}})?|{_MONTH}[- ]\d{{2}}|\d{{4}}-\d\d-\d\d(?: 00:00:00)?|"
    r"\d{1,2}([./])\d{1,2}\1(?:\d{4}|\d\d)"
)
_BOOLEANS = frozenset(
    "TRUE FALSE WAHR FALSCH VRAI FAUX VERDADERO FALSO VERO VERDADEIRO WAAR ONWAAR PRAWDA FAŁSZ SANT FALSKT ИСТИНА "
    "ЛОЖЬ".split()
)
#: Significant digits that a spreadsheet keeps of a number.
_EXACT_DIGITS = 15
#: How programs write an empty cell.
_EMPTY = ("nan", "NaN", "NULL", "null", "None", "<NA>", "N/A", "NaT")

#: Maximum number of characters of a path and of a label.
MAX_NAME_LENGTH, MAX_LABEL_LENGTH = 4096, 10_000

#: Maximum number of line numbers in a message, and of doubtful rows to remember.
_LISTED, _REMEMBERED = 5, 1000


def checked_rows(path: Path, entries: Iterable[Entry], warnings: bool = True) -> Iterator[tuple[str, str]]:
    """Yield cleaned names and labels. Labels that are error values of a spreadsheet become empty.

    Warns of doubtful labels after the last row, if `warnings`. Raises UserError if the labels are boxes.
    """
    doubts = _Doubts()
    for entry in entries:
        name, label = clean_name(entry.name), clean_label(entry.label, entry.quoted)
        if len(name) > MAX_NAME_LENGTH:
            # No file has such a name: it is reported as an unreadable picture, in one line.
            name = short(name)
        if name:
            yield name, doubts.check(entry.line, label)
    doubts.refuse_boxes(path)
    for sentence in doubts.sentences() if warnings else ():
        logger.warning(f"{path}: {sentence}")


class _Doubts:
    """Collects doubtful labels of a list."""

    def __init__(self) -> None:
        self.labels = self.boxes = self.fractions = 0
        self.has_capitals = False  #: whether a label other than TRUE and FALSE has a capital letter
        self.lines: dict[str, list[tuple[int, str]]] = {}
        #: For labels that are numbers: how many have this many digits, and how many of those begin with 0.
        self.digits, self.zeros = Counter[int](), Counter[int]()
        self.numbers: dict[int, list[tuple[int, str]]] = {}

    def check(self, line: int, label: str) -> str:
        """Remember the label if it is doubtful. Returns the label to use, empty if it is certainly wrong."""
        if not label:
            return label
        self.labels += 1
        if len(label) > MAX_LABEL_LENGTH:
            self._note("long", line, label)
            return ""
        if label.isdecimal():
            length = len(label)
            self.digits[length] += 1
            self.zeros[length] += label[0] == "0"
            if length > _EXACT_DIGITS and not label[_EXACT_DIGITS:].strip("0"):
                self._note("rounded", line, label)
            self._remember(self.numbers.setdefault(length, []), line, label)
            return label
        if label.isalpha() and label not in _BOOLEANS and not self.has_capitals:
            self.has_capitals = label != label.lower()
        if label[0] in "#E" and re.fullmatch(_ERROR, label):
            self._note("error", line, label)
            return ""
        if label in _BOOLEANS:
            self._note("boolean", line, label)
        elif label in _EMPTY:
            self._note("empty", line, label)
        elif label[0] in "'\u2019" and label[1:].isdecimal():
            self._note("apostrophe", line, label)
        elif re.fullmatch(_SCIENTIFIC, label):
            self._note("scientific", line, label)
        elif re.fullmatch(_DATE, label):
            self._note("date", line, label)
        elif label.endswith(".0") and label[:-2].isdecimal():
            self.fractions += 1
        elif box_kind_of_line(label):
            self.boxes += 1
            self._note("boxes", line, label)
        if padded(label):
            self._note("padded", line, label)
        if UNREADABLE.search(label):
            self._note("invisible", line, label)
        return label

    def _note(self, doubt: str, line: int, label: str) -> None:
        self._remember(self.lines.setdefault(doubt, []), line, label)

    @staticmethod
    def _remember(found: list[tuple[int, str]], line: int, label: str) -> None:
        if len(found) < _REMEMBERED:
            found.append((line, short(label)))

    def refuse_boxes(self, path: Path) -> None:
        # The numbers of a few boxes may be too small to be recognised.
        if self.boxes and 10 * self.boxes >= 9 * self.labels:
            _, label = self.lines["boxes"][0]
            raise UserError(
                f"{path}: {self.boxes:,} of {self.labels:,} labels are numbers such as {label}, as in lists of "
                "boxes, not texts: crop the boxes first, and list the crops with their texts"
            )

    def sentences(self) -> Iterator[str]:
        """Yield a warning for each kind of doubt."""
        yield from self._lines("long", f"more than {MAX_LABEL_LENGTH:,} characters are not the text of a picture")
        yield from self._lines("error", "{} is a spreadsheet's error, not a label: fill in the label")
        yield from self._lines(
            "scientific",
            "{} is how a spreadsheet shortens a long number: if so, its digits are lost in this file, so save the list "
            "again with that column as text",
        )
        if 2 * len(self.lines.get("date", ())) < self.labels:
            yield from self._lines("date", "{} is a date, which spreadsheets make from texts such as 1-2 or MAR1")
        booleans = len(self.lines.get("boolean", ()))
        if booleans == self.labels > 1 or not self.has_capitals:
            yield from self._lines("boolean", "{} may be a spreadsheet's truth value instead of the text")
        if 2 * len(self.lines.get("empty", ())) < self.labels:
            yield from self._lines("empty", "{} may be how a program writes an empty cell: if so, leave it empty")
        rounded = self.lines.get("rounded", [])
        long = sum(count for length, count in self.digits.items() if length > _EXACT_DIGITS)
        if len(rounded) >= min(long, _REMEMBERED):
            yield from self._lines(
                "rounded",
                f"{{}} may be rounded, because spreadsheets keep {_EXACT_DIGITS} digits of a number: if it is, its "
                "digits are lost in this file, so save the list again with that column as text",
            )
        yield from self._lines(
            "apostrophe", "the apostrophe of {} may only mark a text for a spreadsheet: if so, remove it"
        )
        if self.fractions and self.fractions == self.labels:
            yield "all labels end in .0: a program has read them as fractions; write the column as text"
        else:
            yield from self._lines("boxes", "{} looks like a box rather than a text")
        yield from self._lost_zeros()
        yield from self._lines(
            "padded", "labels in quotes begin or end with white space, which the network would learn"
        )
        yield from self._lines("invisible", "labels hold invisible characters, such as control characters: remove them")

    def _lines(self, doubt: str, message: str) -> Iterator[str]:
        """Yield the line numbers and `message`, in which `{}` stands for the first label. Nothing if there are none."""
        if found := self.lines.get(doubt):
            yield f"{_numbers(found)}: {message.replace('{}', found[0][1])}"

    def _lost_zeros(self) -> Iterator[str]:
        """Yield a warning if a spreadsheet seems to have dropped leading zeros."""
        numbers = sum(self.digits.values())
        if not numbers:
            return
        usual, count = self.digits.most_common(1)[0]
        shorter = sorted(entry for length, found in self.numbers.items() if length < usual for entry in found)
        # If shorter numbers begin with 0, too, zeros were kept and the lengths differ.
        if any(self.zeros[length] for length in self.digits if 1 < length < usual):
            return
        if usual < 2 or not shorter or count < 0.6 * numbers:
            return
        if sum(number for length, number in self.digits.items() if length > usual) > 0.05 * numbers:
            return
        # A tenth of random numbers of one length begins with 0. Without zeros, that tenth is shorter and none does.
        if self.zeros[usual] > 0 or (numbers >= 10 and count >= 0.8 * numbers):
            yield (
                f"{_numbers(shorter)}: {shorter[0][1]} has fewer digits than most labels, which have {usual}: "
                "spreadsheets drop leading zeros; if one did, save the list again with that column as text"
            )


def _numbers(found: list[tuple[int, str]]) -> str:
    numbers = list(dict.fromkeys(line for line, _ in found))
    if len(numbers) == 1:
        return f"line {numbers[0]}"
    more = f" and {len(numbers) - _LISTED:,} more" if len(numbers) > _LISTED else ""
    if len(found) >= _REMEMBERED:
        more = " and many more"
    return f"lines {', '.join(map(str, numbers[:_LISTED]))}{more}"
