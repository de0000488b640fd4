"""The patterns of plates: `AA 999 AA`, written by chance and known again by a regular expression.

A  a letter of the layout     9  a digit     1  a digit but 0     X  a letter or a digit
[BCD0-4]  one of these        'OST'  this very text               <city>  one of the layout's list `city`
(AA|9A)   either              {3}, {1,4}, ?  so often, what stands before; 0 … 1 times
^         what stands before, its characters one above the other, in the room of one
/         here begins the lower row
space - · .   separators: drawn, and no part of the label unless it is to keep them
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from crnn_reader.alphabet import expand_ranges
from generate_captcha.style import Source

SEPARATORS = " -·."
#: Repeats are for the few characters of a plate, and so are brackets in one another.
MOST, DEEPEST = 12, 50


class PatternError(ValueError):
    """A pattern that cannot be: what was found where, and what to write instead."""


class Part(NamedTuple):
    """What stands together in a row."""

    text: str
    separator: bool = False
    stacked: bool = False


Rows: TypeAlias = list[list[Part]]


def label(rows: Rows, separators: bool) -> str:
    """The text of `rows`, the upper one first, with or without what separates."""
    return "".join(part.text for row in rows for part in row if separators or not part.separator)


@dataclass(frozen=True)
class _Choice:
    """One of some texts, all equally likely."""

    texts: tuple[str, ...]
    stacked: bool = False

    def write(self, rows: Rows, source: Source) -> None:
        rows[-1].append(Part(source.choice(self.texts), stacked=self.stacked))

    def expression(self, separators: bool) -> str:
        if all(len(text) == 1 for text in self.texts):
            return f"[{''.join(map(re.escape, self.texts))}]"
        # The longer first: no text is hidden by its own beginning.
        return f"(?:{'|'.join(map(re.escape, sorted(self.texts, key=len, reverse=True)))})"

    def characters(self) -> set[str]:
        return set("".join(self.texts))

    def longest(self, separators: bool) -> int:
        return max(map(len, self.texts))

    def fewest(self) -> list[int]:
        return [min(map(len, self.texts))]


@dataclass(frozen=True)
class _Separator:
    text: str

    def write(self, rows: Rows, source: Source) -> None:
        rows[-1].append(Part(self.text, separator=True))

    def expression(self, separators: bool) -> str:
        return re.escape(self.text) if separators else ""

    def characters(self) -> set[str]:
        return set()

    def longest(self, separators: bool) -> int:
        return int(separators)

    def fewest(self) -> list[int]:
        return [0]


@dataclass(frozen=True)
class _Break:
    """The end of a row."""

    def write(self, rows: Rows, source: Source) -> None:
        rows.append([])

    def expression(self, separators: bool) -> str:
        return ""

    def characters(self) -> set[str]:
        return set()

    def longest(self, separators: bool) -> int:
        return 0

    def fewest(self) -> list[int]:
        return [0, 0]


@dataclass(frozen=True)
class _Either:
    """One of some sequences, all equally likely."""

    sequences: tuple[tuple[_Node, ...], ...]

    def write(self, rows: Rows, source: Source) -> None:
        for node in source.choice(self.sequences):
            node.write(rows, source)

    def expression(self, separators: bool) -> str:
        either = ("".join(node.expression(separators) for node in sequence) for sequence in self.sequences)
        return f"(?:{'|'.join(either)})"

    def characters(self) -> set[str]:
        return {found for sequence in self.sequences for node in sequence for found in node.characters()}

    def longest(self, separators: bool) -> int:
        return max(sum(node.longest(separators) for node in sequence) for sequence in self.sequences)

    def fewest(self) -> list[int]:
        """The fewest characters of each row that it takes part in; the first and the last it shares with others."""
        either = [_joined([node.fewest() for node in sequence]) for sequence in self.sequences]
        if len({len(rows) for rows in either}) > 1:
            raise PatternError("has now more rows, now fewer: write a pattern for each number of rows")
        return [min(of_row) for of_row in zip(*either, strict=True)]


@dataclass(frozen=True)
class _Repeat:
    node: _Node
    low: int
    high: int

    def write(self, rows: Rows, source: Source) -> None:
        for _ in range(self.low + source.randbelow(self.high - self.low + 1)):
            self.node.write(rows, source)

    def expression(self, separators: bool) -> str:
        return f"(?:{self.node.expression(separators)}){{{self.low},{self.high}}}"

    def characters(self) -> set[str]:
        return self.node.characters()

    def longest(self, separators: bool) -> int:
        return self.high * self.node.longest(separators)

    def fewest(self) -> list[int]:
        fewest = self.node.fewest()
        if len(fewest) > 1 and self.low < self.high:
            raise PatternError("repeats a '/' now more, now fewer times: write a pattern for each number of rows")
        return _joined([fewest] * self.low)


def _joined(parts: list[list[int]]) -> list[int]:
    """Characters of each row of parts that follow one another: the last row of one is the first of the next."""
    rows = [0]
    for first, *others in parts:
        rows = [*rows[:-1], rows[-1] + first, *others]
    return rows


_Node: TypeAlias = _Choice | _Separator | _Break | _Either | _Repeat


class Pattern:
    """A pattern of the language above; raises PatternError when `text` is none or nothing can satisfy it."""

    def __init__(self, text: str, letters: str, digits: str, lists: Mapping[str, tuple[str, ...]]) -> None:
        """`letters` and `digits` are what `A` and `9` stand for, `lists` what the names in `<>` do."""
        self.text = text
        self._letters, self._digits, self._lists = tuple(letters), tuple(digits), lists
        self._place = self._depth = 0
        self._root = self._either()
        if self._place < len(text):
            raise self._error("a ')' that closes nothing", "write '(' before it, or take it out")
        try:
            fewest = self._root.fewest()
        except PatternError as error:
            raise PatternError(f"{text!r} {error}") from error
        if not all(fewest):
            row = f"row {fewest.index(0) + 1} of " if len(fewest) > 1 else ""
            raise PatternError(f"{row}{text!r} may have no letter at all: let it have one, such as A or 9")
        #: Rows of what it writes.
        self.rows = len(fewest)
        #: Characters of its labels, without separators.
        self.characters = self._root.characters()
        #: What separates in them.
        self.separators = {sign for sign in SEPARATORS if sign in re.sub(r"'[^']*'|<[^>]*>|\[[^]]*\]", "", text)}

    def write(self, source: Source) -> Rows:
        """A text of this pattern, row by row."""
        rows: Rows = [[]]
        self._root.write(rows, source)
        return rows

    def expression(self, separators: bool = False) -> str:
        """The regular expression of its labels, to be matched in full."""
        return self._root.expression(separators)

    def longest(self, separators: bool = False) -> int:
        """Characters of the longest label."""
        return self._root.longest(separators)

    # Reading it

    def _either(self) -> _Either:
        sequences: list[tuple[_Node, ...]] = []
        nodes: list[_Node] = []
        while (sign := self._peek()) not in ("", ")"):
            self._place += 1
            if sign == "|":
                sequences.append(tuple(nodes))
                nodes = []
            elif sign in "{?^":
                if not nodes or isinstance(nodes[-1], _Separator | _Break):
                    raise self._error(f"a {sign!r} with nothing before it", "write it after a letter, digit or group")
                nodes[-1] = self._changed(sign, nodes[-1])
            else:
                nodes.append(self._node(sign))
        return _Either((*sequences, tuple(nodes)))

    def _node(self, sign: str) -> _Node:
        match sign:
            case "A":
                return _Choice(self._letters)
            case "9":
                return _Choice(self._digits)
            case "1":
                return _Choice(tuple(digit for digit in self._digits if digit != "0"))
            case "X":
                return _Choice(self._letters + self._digits)
            case "/":
                return _Break()
            case "[":
                return _Choice(self._set(self._until("]")))
            case "<":
                name = self._until(">")
                if name not in self._lists:
                    known = ", ".join(self._lists) or "none"
                    raise self._error(f"the list {name!r}, which is not there", f"add it to [lists] (now: {known})")
                return _Choice(self._lists[name])
            case "'":
                if text := self._until("'"):
                    return _Choice((text,))
                raise self._error("the empty text ''", "take it out")
            case "(":
                self._depth += 1
                if self._depth > DEEPEST:
                    raise self._error(f"more than {DEEPEST} brackets in one another", "write it flatter")
                inner = self._either()
                self._depth -= 1
                if self._peek() != ")":
                    raise self._error("a '(' that is never closed", "write ')' behind the group")
                self._place += 1
                return inner
        if sign in SEPARATORS:
            return _Separator(sign)
        raise self._error(f"{sign!r}, which stands for nothing", f"write '{sign}' in quotes for the character itself")

    def _changed(self, sign: str, node: _Node) -> _Node:
        if sign == "?":
            return _Repeat(node, 0, 1)
        if sign == "^":
            if not isinstance(node, _Choice):
                raise self._error("a '^' after a group", "put it after a list, a set or a text in quotes")
            return _Choice(node.texts, stacked=True)
        times = self._until("}")
        found = re.fullmatch(r"(\d+)(?:,(\d+))?", times)
        low, high = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
        if not 0 <= low <= high <= MOST or not high:
            raise self._error(f"the number of times {{{times}}}", f"write {{2}} or {{1,4}}, up to {MOST}")
        return _Repeat(node, low, high)

    def _set(self, text: str) -> tuple[str, ...]:
        try:
            found = list(expand_ranges(text))
        except ValueError as error:
            wrong, _, remedy = str(error).partition("; ")
            raise self._error(f"[{text}], in which {wrong}", remedy) from error
        if not found or len(set(found)) < len(found):
            what = f"twice the same in [{text}]" if found else f"nothing in [{text}]"
            raise self._error(what, "write each character once, ranges as 0-9")
        return tuple(found)

    def _until(self, end: str) -> str:
        closes = self.text.find(end, self._place)
        if closes < 0:
            raise self._error(f"no {end!r} that closes", f"write {end!r} where it ends")
        inner, self._place = self.text[self._place : closes], closes + 1
        return inner

    def _peek(self) -> str:
        return self.text[self._place : self._place + 1]

    def _error(self, found: str, remedy: str) -> PatternError:
        shown = self.text if len(self.text) <= 80 else f"{self.text[:80]}…"
        return PatternError(f"{shown!r} has {found} (at character {self._place}): {remedy}")
