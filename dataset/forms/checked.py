"""The rows of a list as names and labels, and what is doubtful about them, with the numbers of their lines."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from cli.messages import warn
from crnn_reader.alphabet import UNREADABLE
from crnn_reader.errors import UserError
from dataset.forms.boxes import numbers_of_boxes
from dataset.forms.normal import label_of, name_of, padded, short
from dataset.forms.text import Entry

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
_TRUTH = frozenset(
    "TRUE FALSE WAHR FALSCH VRAI FAUX VERDADERO FALSO VERO VERDADEIRO WAAR ONWAAR PRAWDA FAŁSZ SANT FALSKT ИСТИНА "
    "ЛОЖЬ".split()
)
#: Significant digits that a spreadsheet keeps of a number.
_EXACT = 15
#: How programs write that there is nothing in a cell.
_NOTHING = ("nan", "NaN", "NULL", "null", "None", "<NA>", "N/A", "NaT")

#: Most characters in a path, and in a label.
LONGEST_NAME, LONGEST_LABEL = 4096, 10_000

#: Line numbers that a sentence lists, and that are kept.
_LISTED, _KEPT = 5, 1000


def rows(path: Path, entries: Iterable[Entry], tell: bool = True) -> Iterator[tuple[str, str]]:
    """Names and labels, without what is around them. What a spreadsheet shows for an error is no label.

    Warns after the last row of what is doubtful, unless not to `tell`. Raises UserError where all labels are boxes.
    """
    doubts = _Doubts()
    for entry in entries:
        name, label = name_of(entry.name), label_of(entry.label, entry.quoted)
        if len(name) > LONGEST_NAME:
            # No file has such a name: the picture is one that cannot be read, and is told of in one line.
            name = short(name)
        if name:
            yield name, doubts.seen(entry.line, label)
    doubts.refuse_boxes(path)
    for sentence in doubts.sentences() if tell else ():
        warn(f"{path}: {sentence}")


class _Doubts:
    """What was seen of the labels of a list."""

    def __init__(self) -> None:
        self.labels = self.boxes = self.fractions = 0
        self.cased = False  #: whether a label other than TRUE and FALSE has a capital letter
        self.lines: dict[str, list[tuple[int, str]]] = {}
        #: Of labels that are numbers: how many have so many digits, and how many of those begin with 0.
        self.digits, self.zeros = Counter[int](), Counter[int]()
        self.shorter: dict[int, list[tuple[int, str]]] = {}

    def seen(self, line: int, label: str) -> str:
        """The label that counts."""
        if not label:
            return label
        self.labels += 1
        if len(label) > LONGEST_LABEL:
            self._note("long", line, label)
            return ""
        if label.isdecimal():
            length = len(label)
            self.digits[length] += 1
            self.zeros[length] += label[0] == "0"
            if length > _EXACT and not label[_EXACT:].strip("0"):
                self._note("rounded", line, label)
            self._keep(self.shorter.setdefault(length, []), line, label)
            return label
        if label.isalpha() and label not in _TRUTH and not self.cased:
            self.cased = label != label.lower()
        if label[0] in "#E" and re.fullmatch(_ERROR, label):
            self._note("error", line, label)
            return ""
        if label in _TRUTH:
            self._note("truth", line, label)
        elif label in _NOTHING:
            self._note("nothing", line, label)
        elif label[0] in "'\u2019" and label[1:].isdecimal():
            self._note("apostrophe", line, label)
        elif re.fullmatch(_SCIENTIFIC, label):
            self._note("scientific", line, label)
        elif re.fullmatch(_DATE, label):
            self._note("date", line, label)
        elif label.endswith(".0") and label[:-2].isdecimal():
            self.fractions += 1
        elif numbers_of_boxes(label):
            self.boxes += 1
            self._note("boxes", line, label)
        if padded(label):
            self._note("padded", line, label)
        if UNREADABLE.search(label):
            self._note("invisible", line, label)
        return label

    def _note(self, what: str, line: int, label: str) -> None:
        self._keep(self.lines.setdefault(what, []), line, label)

    @staticmethod
    def _keep(kept: list[tuple[int, str]], line: int, label: str) -> None:
        if len(kept) < _KEPT:
            kept.append((line, short(label)))

    def refuse_boxes(self, path: Path) -> None:
        # In some of them all numbers are small.
        if self.boxes and 10 * self.boxes >= 9 * self.labels:
            _, label = self.lines["boxes"][0]
            raise UserError(
                f"{path}: {self.boxes:,} of {self.labels:,} labels are numbers such as {label}, as in lists of "
                "boxes, not texts: crop the boxes first, and list the crops with their texts"
            )

    def sentences(self) -> Iterator[str]:
        """What is doubtful, a sentence each."""
        if found := self.lines.get("long"):
            yield f"{_lines(found)}: more than {LONGEST_LABEL:,} characters are not the text of a picture"
        if found := self.lines.get("error"):
            yield f"{_lines(found)}: {found[0][1]} is a spreadsheet's error, not a label: fill in the label"
        if found := self.lines.get("scientific"):
            yield (
                f"{_lines(found)}: {found[0][1]} is how a spreadsheet shortens a long number: if so, its digits are "
                "lost in this file, so save the list again with that column as text"
            )
        if (found := self.lines.get("date")) and 2 * len(found) < self.labels:
            yield f"{_lines(found)}: {found[0][1]} is a date, which spreadsheets make from texts such as 1-2 or MAR1"
        found = self.lines.get("truth", [])
        if found and (len(found) == self.labels > 1 or not self.cased):
            yield f"{_lines(found)}: {found[0][1]} may be a spreadsheet's truth value instead of the text"
        if (found := self.lines.get("nothing")) and 2 * len(found) < self.labels:
            yield f"{_lines(found)}: {found[0][1]} may be how a program writes an empty cell: if so, leave it empty"
        found = self.lines.get("rounded", [])
        if found and len(found) >= min(sum(count for length, count in self.digits.items() if length > _EXACT), _KEPT):
            yield (
                f"{_lines(found)}: {found[0][1]} may be rounded, because spreadsheets keep {_EXACT} digits of a "
                "number: if it is, its digits are lost in this file, so save the list again with that column as text"
            )
        if found := self.lines.get("apostrophe"):
            yield (
                f"{_lines(found)}: the apostrophe of {found[0][1]} may only mark a text for a spreadsheet: if so, "
                "remove it"
            )
        if self.fractions and self.fractions == self.labels:
            yield "all labels end in .0: a program has read them as fractions; write the column as text"
        elif found := self.lines.get("boxes"):
            yield f"{_lines(found)}: {found[0][1]} looks like a box rather than a text"
        yield from self._lost_zeros()
        if found := self.lines.get("padded"):
            yield f"{_lines(found)}: labels in quotes begin or end with white space, which the network would learn"
        if found := self.lines.get("invisible"):
            yield f"{_lines(found)}: labels hold invisible characters, such as control characters: remove them"

    def _lost_zeros(self) -> Iterator[str]:
        numbers = sum(self.digits.values())
        if not numbers:
            return
        usual, count = self.digits.most_common(1)[0]
        short = sorted(entry for length, kept in self.shorter.items() if length < usual for entry in kept)
        # Where shorter ones begin with 0, too, the numbers are of several lengths.
        if any(self.zeros[length] for length in self.digits if 1 < length < usual):
            return
        if usual < 2 or not short or count < 0.6 * numbers:
            return
        if sum(number for length, number in self.digits.items() if length > usual) > 0.05 * numbers:
            return
        # Of numbers of one length some begin with 0; of numbers without their zeros a tenth is shorter, and none does.
        lost = self.zeros[usual] > 0 or (numbers >= 10 and count >= 0.8 * numbers)
        if lost:
            yield (
                f"{_lines(short)}: {short[0][1]} has fewer digits than most labels, which have {usual}: spreadsheets "
                "drop leading zeros; if one did, save the list again with that column as text"
            )


def _lines(found: list[tuple[int, str]]) -> str:
    numbers = list(dict.fromkeys(line for line, _ in found))
    if len(numbers) == 1:
        return f"line {numbers[0]}"
    more = f" and {len(numbers) - _LISTED:,} more" if len(numbers) > _LISTED else ""
    if len(found) >= _KEPT:
        more = " and many more"
    return f"lines {', '.join(map(str, numbers[:_LISTED]))}{more}"
