"""Patterns of plates such as `AA 999 AA`: random texts, and the regular expression that matches them.

A  a letter of the layout     9  a digit     1  a digit other than 0     X  a letter or a digit
[BCD0-4]  one of these characters     'OST'  this text     <city>  one of the layout's list `city`
(AA|9A)   either              {3}, {1,4}, ?  repeats the element before it; 0 or 1 times
^         stacks the characters of the element before it in the space of one
/         start of the lower row
space - · .   separators: drawn, but in the label only on request
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from crnn_reader import formats
from crnn_reader.alphabet import expand_ranges
from generate_captcha.seeded_random import SeededRandom

SEPARATORS = " -·."
#: Maximum repetitions of an element, and maximum depth of brackets in one another.
MAX_REPEATS, MAX_DEPTH = 12, 50


class PatternError(ValueError):
    """An invalid pattern. The message says what was found where, and what to write instead."""


class TextPart(NamedTuple):
    """An element of a row's text."""

    text: str
    separator: bool = False
    stacked: bool = False


Rows: TypeAlias = list[list[TextPart]]


def join_rows(rows: Rows, separators: bool) -> str:
    """Return the label of `rows`, the upper row first, with or without separators."""
    return "".join(part.text for row in rows for part in row if separators or not part.separator)


class _Node(ABC):
    """An element of a pattern. By default it has no characters in the label."""

    @abstractmethod
    def write(self, rows: Rows, rng: SeededRandom) -> None:
        """Append a random text to `rows`."""

    def expression(self, separators: bool) -> str:
        return ""

    def format(self) -> str:
        """Return the element in the language of :mod:`crnn_reader.formats`, with lists and sets written out."""
        return ""

    def characters(self) -> set[str]:
        return set()

    def longest(self, separators: bool) -> int:
        return 0

    def fewest(self) -> list[int]:
        """Minimum number of characters in each of its rows. It shares its first and last row with its neighbours."""
        return [0]


@dataclass(frozen=True)
class _Choice(_Node):
    """One of several texts, all equally likely."""

    texts: tuple[str, ...]
    stacked: bool = False

    def write(self, rows: Rows, rng: SeededRandom) -> None:
        rows[-1].append(TextPart(rng.choice(self.texts), stacked=self.stacked))

    def expression(self, separators: bool) -> str:
        if all(len(text) == 1 for text in self.texts):
            return f"[{''.join(map(re.escape, self.texts))}]"
        # Longer texts first, so that a text that begins another does not hide it.
        return f"(?:{'|'.join(map(re.escape, sorted(self.texts, key=len, reverse=True)))})"

    def format(self) -> str:
        if all(len(text) == 1 for text in self.texts):
            return formats.write_class(self.texts)
        return f"({'|'.join(map(formats.escaped, self.texts))})"

    def characters(self) -> set[str]:
        return set("".join(self.texts))

    def longest(self, separators: bool) -> int:
        return max(map(len, self.texts))

    def fewest(self) -> list[int]:
        return [min(map(len, self.texts))]


@dataclass(frozen=True)
class _Separator(_Node):
    text: str

    def write(self, rows: Rows, rng: SeededRandom) -> None:
        rows[-1].append(TextPart(self.text, separator=True))

    def expression(self, separators: bool) -> str:
        return re.escape(self.text) if separators else ""

    def format(self) -> str:
        return self.text

    def longest(self, separators: bool) -> int:
        return int(separators)


class _RowBreak(_Node):
    def write(self, rows: Rows, rng: SeededRandom) -> None:
        rows.append([])

    def format(self) -> str:
        return formats.ROW_BREAK

    def fewest(self) -> list[int]:
        return [0, 0]


@dataclass(frozen=True)
class _Alternatives(_Node):
    """One of several sequences, all equally likely."""

    sequences: tuple[tuple[_Node, ...], ...]

    def write(self, rows: Rows, rng: SeededRandom) -> None:
        for node in rng.choice(self.sequences):
            node.write(rows, rng)

    def expression(self, separators: bool) -> str:
        sequences = ("".join(node.expression(separators) for node in sequence) for sequence in self.sequences)
        return f"(?:{'|'.join(sequences)})"

    def format(self) -> str:
        sequences = ["".join(node.format() for node in sequence) for sequence in self.sequences]
        return sequences[0] if len(sequences) == 1 else f"({'|'.join(sequences)})"

    def characters(self) -> set[str]:
        return {found for sequence in self.sequences for node in sequence for found in node.characters()}

    def longest(self, separators: bool) -> int:
        return max(sum(node.longest(separators) for node in sequence) for sequence in self.sequences)

    def fewest(self) -> list[int]:
        sequences = [_concatenate([node.fewest() for node in sequence]) for sequence in self.sequences]
        if len({len(rows) for rows in sequences}) > 1:
            raise PatternError("has a varying number of rows: write a pattern for each number of rows")
        return [min(of_row) for of_row in zip(*sequences, strict=True)]


@dataclass(frozen=True)
class _Repeat(_Node):
    node: _Node
    low: int
    high: int

    def write(self, rows: Rows, rng: SeededRandom) -> None:
        for _ in range(self.low + rng.randbelow(self.high - self.low + 1)):
            self.node.write(rows, rng)

    def expression(self, separators: bool) -> str:
        return f"(?:{self.node.expression(separators)}){{{self.low},{self.high}}}"

    def format(self) -> str:
        inner = self.node.format()
        if not isinstance(self.node, _Choice) or len(self.node.texts) == 1:
            inner = f"({inner})"
        return f"{inner}{{{self.low},{self.high}}}"

    def characters(self) -> set[str]:
        return self.node.characters()

    def longest(self, separators: bool) -> int:
        return self.high * self.node.longest(separators)

    def fewest(self) -> list[int]:
        fewest = self.node.fewest()
        if len(fewest) > 1 and self.low < self.high:
            raise PatternError("repeats a '/' a varying number of times: write a pattern for each number of rows")
        return _concatenate([fewest] * self.low)


def _concatenate(parts: list[list[int]]) -> list[int]:
    """Characters per row of consecutive parts: the last row of one is the first row of the next."""
    rows = [0]
    for first, *others in parts:
        rows = [*rows[:-1], rows[-1] + first, *others]
    return rows


class Pattern:
    """A pattern in the language above. Raises PatternError if `text` is invalid."""

    def __init__(self, text: str, letters: str, digits: str, lists: Mapping[str, tuple[str, ...]]) -> None:
        """`A` stands for one of `letters`, `9` for one of `digits`; `lists` are the lists by name."""
        self.text = text
        self._letters, self._digits, self._lists = tuple(letters), tuple(digits), lists
        self._place = self._depth = 0
        self._root = self._parse_alternatives()
        if self._place < len(text):
            raise self._error("a ')' that closes nothing", "write '(' before it, or take it out")
        try:
            fewest = self._root.fewest()
        except PatternError as error:
            raise PatternError(f"{text!r} {error}") from error
        if not all(fewest):
            row = f"row {fewest.index(0) + 1} of " if len(fewest) > 1 else ""
            raise PatternError(f"{row}{text!r} may have no letter at all: add one, such as A or 9")
        self.rows = len(fewest)
        #: Characters of its labels, without separators.
        self.characters = self._root.characters()
        #: Separators in its texts.
        self.separators = {sign for sign in SEPARATORS if sign in re.sub(r"'[^']*'|<[^>]*>|\[[^]]*\]", "", text)}

    def write(self, rng: SeededRandom) -> Rows:
        """Return a random text, row by row."""
        rows: Rows = [[]]
        self._root.write(rows, rng)
        return rows

    def expression(self, separators: bool = False) -> str:
        """Return the regular expression of its labels, for a full match."""
        return self._root.expression(separators)

    def format(self) -> str:
        """Return the pattern as :mod:`crnn_reader.formats` writes it, without letters and lists of a layout."""
        return self._root.format()

    def longest(self, separators: bool = False) -> int:
        """Return the number of characters of the longest label."""
        return self._root.longest(separators)

    # Parsing

    def _parse_alternatives(self) -> _Alternatives:
        sequences: list[tuple[_Node, ...]] = []
        nodes: list[_Node] = []
        while (sign := self._peek()) not in ("", ")"):
            self._place += 1
            if sign == "|":
                sequences.append(tuple(nodes))
                nodes = []
            elif sign in "{?^":
                if not nodes or isinstance(nodes[-1], _Separator | _RowBreak):
                    raise self._error(f"a {sign!r} with nothing before it", "write it after a letter, digit or group")
                nodes[-1] = self._modify(sign, nodes[-1])
            else:
                nodes.append(self._parse_node(sign))
        return _Alternatives((*sequences, tuple(nodes)))

    def _parse_node(self, sign: str) -> _Node:
        match sign:
            case "A":
                return _Choice(self._letters)
            case "9":
                return _Choice(self._digits)
            case "1":
                return _Choice(tuple(digit for digit in self._digits if not digit.isdecimal() or int(digit)))
            case "X":
                return _Choice(self._letters + self._digits)
            case "/":
                return _RowBreak()
            case "[":
                return _Choice(self._parse_set(self._read_until("]")))
            case "<":
                name = self._read_until(">")
                if name not in self._lists:
                    known = ", ".join(self._lists) or "none"
                    raise self._error(f"the unknown list {name!r}", f"add it to [lists] (now: {known})")
                return _Choice(self._lists[name])
            case "'":
                if text := self._read_until("'"):
                    return _Choice((text,))
                raise self._error("the empty text ''", "take it out")
            case "(":
                self._depth += 1
                if self._depth > MAX_DEPTH:
                    raise self._error(f"more than {MAX_DEPTH} brackets in one another", "use fewer levels")
                inner = self._parse_alternatives()
                self._depth -= 1
                if self._peek() != ")":
                    raise self._error("a '(' that is never closed", "write ')' after the group")
                self._place += 1
                return inner
        if sign in SEPARATORS:
            return _Separator(sign)
        raise self._error(f"{sign!r}, which stands for nothing", f"write '{sign}' in quotes for the character itself")

    def _modify(self, sign: str, node: _Node) -> _Node:
        if sign == "?":
            return _Repeat(node, 0, 1)
        if sign == "^":
            if not isinstance(node, _Choice):
                raise self._error("a '^' after a group", "put it after a list, a set or a text in quotes")
            return _Choice(node.texts, stacked=True)
        times = self._read_until("}")
        found = re.fullmatch(r"(\d+)(?:,(\d+))?", times)
        low, high = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
        if not 0 <= low <= high <= MAX_REPEATS or not high:
            raise self._error(f"the number of times {{{times}}}", f"write {{2}} or {{1,4}}, up to {MAX_REPEATS}")
        return _Repeat(node, low, high)

    def _parse_set(self, text: str) -> tuple[str, ...]:
        try:
            found = list(expand_ranges(text))
        except ValueError as error:
            wrong, _, remedy = str(error).partition("; ")
            raise self._error(f"[{text}], in which {wrong}", remedy) from error
        if not found or len(set(found)) < len(found):
            what = f"a character twice in [{text}]" if found else f"nothing in [{text}]"
            raise self._error(what, "write each character once, ranges as 0-9")
        return tuple(found)

    def _read_until(self, end: str) -> str:
        closes = self.text.find(end, self._place)
        if closes < 0:
            raise self._error(f"no closing {end!r}", f"write {end!r} where it ends")
        inner, self._place = self.text[self._place : closes], closes + 1
        return inner

    def _peek(self) -> str:
        return self.text[self._place : self._place + 1]

    def _error(self, found: str, remedy: str) -> PatternError:
        shown = self.text if len(self.text) <= 80 else f"{self.text[:80]}…"
        return PatternError(f"{shown!r} has {found} (at character {self._place}): {remedy}")
