r"""Compile patterns: text -> syntax tree -> non-deterministic automaton -> deterministic automaton.

A pattern is a regular expression that the whole text must match. It supports:

    A 7 -                   literal characters
    \- \.                   literal characters that otherwise have a meaning
    .                       any character of the model
    [A-HJ-N] [^IOQ]         one of these characters, any other character
    \d \w \D \W             0 to 9; a letter or digit of any script, or _; the opposites
    (AB|CD)                 alternatives
    {3} {2,4} {2,} ? * +    repeats of the preceding element
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from .automaton import Automaton, trimmed

#: Limits on patterns: elements after expanding repeats, states and edges of the automaton, nesting depth of groups, and
#: the number in a repeat.
MAX_PARTS, MAX_STATES, MAX_EDGES, MAX_DEPTH, MAX_REPEATS = 10_000, 20_000, 5_000_000, 50, 1_000

#: The elements of a pattern. Python's `re` checks how they are put together, and what a character class matches.
_ELEMENTS = re.compile(
    r"""(?P<characters> \\[dDwW] | \\[^0-9A-Za-z] | \[\^?+\]?+ (?:\\.|[^\]\\])* \] | [^\\()|?*+{^$\[] )
      | (?P<sign> \( (?:\?: | (?!\?)) | [)|] )
      | (?P<repeat> [?*+] | \{ (?=,?[0-9]) (?P<low>[0-9]{0,9}) (?P<range>, (?P<high>[0-9]{0,9}) )? \} )""",
    re.VERBOSE | re.DOTALL,
)
#: How to correct something that is no such element, by how it begins.
_REMEDIES = {
    "(?": "lookaround, flags and named groups are not supported: use a group '(…)'",
    "^": "leave it out: the whole text must match anyway",
    "$": "leave it out: the whole text must match anyway",
    "{": "write {3}, {2,4} or {2,}, or '\\{' for the character itself",
    "[": "close it with ']', or write '\\[' for the character itself",
    "\\": "only d, D, w, W and characters that stand for themselves may follow a '\\'",
}


class PatternError(ValueError):
    """A pattern that cannot be used. The message says what was found, where in the pattern, and what to write."""


@dataclass(frozen=True)
class _Repeat:
    part: _Part
    low: int
    #: None for any number.
    high: int | None


#: A syntax tree: a character from a set of class numbers, a repeat, or alternatives, each of them a sequence.
_Part: TypeAlias = "frozenset[int] | _Repeat | list[list[_Part]]"


class Pattern:
    """The syntax tree of a pattern.

    Arguments:
        pattern: the pattern.
        usable: the characters that may occur in texts, with their class numbers.

    Raises PatternError for a pattern that is not valid, or has elements that are not supported.
    """

    def __init__(self, pattern: str, usable: Mapping[str, int]) -> None:
        self._usable, self._characters = usable, "".join(usable)
        #: Index and text of the first element that no usable character matches.
        self.empty: tuple[int, str] | None = None
        elements = list(_elements(pattern))
        try:
            with warnings.catch_warnings():
                # Python warns of character classes that may get another meaning in the future.
                warnings.simplefilter("ignore")
                re.compile(pattern)
                self._tree = self._alternatives(iter(elements))
        except re.error as error:
            raise PatternError(
                f"{error.msg} at character {(error.pos or 0) + 1}; write '\\' before a character that stands for itself"
            ) from error

    def automaton(self, lengths: tuple[int, int] | None, classes: int) -> Automaton | None:
        """Compile to an automaton that accepts texts of `lengths`, both inclusive. None if it would accept no text.

        Raises PatternError if the automaton would be too large.
        """
        return _determinise(_NFA(self._tree), list(self._usable.values()), lengths, classes)

    def _alternatives(self, elements: Iterator[re.Match[str]]) -> list[list[_Part]]:
        """Parse to the end of a group, or of the pattern."""
        found: list[list[_Part]] = [[]]
        for element in elements:
            if element["characters"]:
                found[-1].append(self._matching(element))
            elif element["repeat"]:
                found[-1][-1] = _Repeat(found[-1][-1], *_counts(element))
            elif element["sign"] == "|":
                found.append([])
            elif element["sign"] == ")":
                break
            else:
                found[-1].append(self._alternatives(elements))
        return found

    def _matching(self, element: re.Match[str]) -> frozenset[int]:
        # With \d as any decimal digit, as in Python, models that know Persian digits would write them on Latin plates.
        flags = re.ASCII if re.search(r"\\[dD]", element[0]) and not re.search(r"\\[wW]", element[0]) else 0
        found = re.findall(element[0], self._characters, flags)
        if not found and self.empty is None:
            self.empty = element.start(), element[0]
        return frozenset(self._usable[character] for character in found)


def _elements(pattern: str) -> Iterator[re.Match[str]]:
    """Split a pattern into elements. Raises PatternError for one that is not supported, and beyond the limits."""
    place = depth = 0
    repeated = False
    while place < len(pattern):
        element = _ELEMENTS.match(pattern, place)
        if element is None:
            begin = next(begin for begin in _REMEDIES if pattern.startswith(begin, place))
            found = pattern[place : place + (3 if begin == "(?" else 2 if begin == "\\" else 1)]
            raise PatternError(f"a '{found}' at character {place + 1}; {_REMEDIES[begin]}")
        where = f"at character {place + 1}"
        if element["repeat"]:
            if repeated:
                # Python knows lazy and possessive repeats.
                raise PatternError(f"a repeat of a repeat {where}; put a group '(…)' around the first, or remove one")
            low, high = _counts(element)
            if max(low, high or 0) > MAX_REPEATS:
                raise PatternError(f"more than {MAX_REPEATS:,} repeats {where}; write fewer, or '*' for any number")
        elif element["sign"] and element["sign"] != "|":
            depth += -1 if element["sign"] == ")" else 1
            if depth > MAX_DEPTH:
                raise PatternError(f"more than {MAX_DEPTH} groups inside one another {where}; nest fewer")
        repeated = bool(element["repeat"])
        yield element
        place = element.end()


def _counts(element: re.Match[str]) -> tuple[int, int | None]:
    """The minimum and maximum of a repeat; None for any number."""
    if element["low"] is None:
        return {"?": (0, 1), "*": (0, None), "+": (1, None)}[element[0]]
    low = int(element["low"] or 0)
    return low, (int(element["high"]) if element["high"] else None) if element["range"] else low


class _NFA:
    """A non-deterministic automaton (Thompson 1968), from state 0 to state `end`."""

    def __init__(self, part: _Part) -> None:
        self.free: list[list[int]] = []
        self.moves: list[list[tuple[frozenset[int], int]]] = []
        self._parts = 0
        self.end = self._add(part, self._state())

    def _state(self) -> int:
        self.free.append([])
        self.moves.append([])
        return len(self.free) - 1

    def _add(self, part: _Part, start: int) -> int:
        """Add states and edges for `part`, beginning in state `start`. Returns the state in which it ends."""
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise PatternError("too many repeats in repeats; write it shorter")
        end = start
        if isinstance(part, frozenset):
            end = self._state()
            self.moves[start].append((part, end))
        elif isinstance(part, list):
            end = self._state()
            for sequence in part:
                last = start
                for inner in sequence:
                    last = self._add(inner, last)
                self.free[last].append(end)
        else:
            for _ in range(part.low):
                end = self._add(part.part, end)
            if part.high is None:
                # The loop needs a state of its own, or other parts that end in this state could enter it.
                loop = self._state()
                self.free[end].append(loop)
                self.free[self._add(part.part, loop)].append(loop)
                end = loop
            else:
                last = self._state()
                for _ in range(part.high - part.low):
                    self.free[end].append(last)
                    end = self._add(part.part, end)
                self.free[end].append(last)
                end = last
        return end

    def closed(self, states: set[int]) -> frozenset[int]:
        """The epsilon closure: `states` and all states that can be reached without a character."""
        found, waiting = set(states), list(states)
        while waiting:
            for state in self.free[waiting.pop()]:
                if state not in found:
                    found.add(state)
                    waiting.append(state)
        return frozenset(found)


def _determinise(machine: _NFA, usable: list[int], lengths: tuple[int, int] | None, classes: int) -> Automaton | None:
    """Convert to a deterministic automaton by subset construction, limited to `lengths`. None if no text remains."""
    sets = list({numbers for moves in machine.moves for numbers, _ in moves})
    # Group characters that every part of the pattern treats alike.
    alike: dict[tuple[int, ...], list[int]] = {}
    for number in usable:
        alike.setdefault(tuple(i for i, numbers in enumerate(sets) if number in numbers), []).append(number)
    groups = [numbers for where, numbers in alike.items() if where]

    low, high = lengths or (0, None)
    states: dict[tuple[frozenset[int], int], int] = {(machine.closed({0}), 0): 0}
    moves: list[dict[int, int]] = []
    edges = 0
    for here, count in (waiting := list(states)):
        after: dict[int, int] = {}
        for group, members in enumerate(groups) if count != high else ():
            reached = {to for state in here for numbers, to in machine.moves[state] if members[0] in numbers}
            if not reached:
                continue
            # Only count characters if the length is limited.
            key = machine.closed(reached), count + 1 if lengths else 0
            if key not in states:
                states[key] = len(states)
                waiting.append(key)
            after[group] = states[key]
            edges += len(members)
        moves.append(after)
        if len(states) > MAX_STATES or edges > MAX_EDGES:
            raise PatternError("too many texts begin alike and go on differently; take fewer or shorter alternatives")
    accepting = np.array([machine.end in here and count >= low for here, count in states])
    return trimmed(moves, groups, accepting, classes)
