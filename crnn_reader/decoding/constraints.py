"""Constraints on texts: their length, characters, pattern, or a lexicon.

A constraint is compiled to a deterministic finite automaton over class numbers, which decoding follows. A pattern is a
regular expression that the whole text must match. It supports:

    A 7 -                   literal characters
    \\- \\.                   literal characters that otherwise have a meaning
    .                       any character of the model
    [A-HJ-N] [^IOQ]         one of these characters, any other character
    \\d \\w \\D \\W             a decimal digit; a letter, digit or _; the opposites
    (AB|CD)                 alternatives
    {3} {2,4} {2,} ? * +    repeats of the preceding element
"""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from .. import bounded
from ..alphabet import parse_alphabet
from ..errors import UserError
from ..parsing import parse_length

#: Limits on patterns: elements after expanding repeats, states and edges of the automaton, nesting depth of brackets,
#: and the number in a repeat.
MOST_PARTS, MOST_STATES, MOST_EDGES, DEEPEST, MOST_REPEATS = 10_000, 20_000, 5_000_000, 50, 1_000

#: Maximum number of characters of a text in a lexicon. No picture shows more.
LONGEST_TEXT = 1_000
#: Maximum size of a lexicon in bytes, enough for several million texts. The search takes about 20 times as much memory.
LARGEST_LEXICON = 1 << 26

Integers: TypeAlias = NDArray[np.int32]


@dataclass(frozen=True)
class Automaton:
    """A deterministic finite automaton that accepts the allowed texts. State 0 is the start.

    Attributes:
        classes: number of classes, including the blank.
        offsets: the outgoing edges of state s are `offsets[s]` to `offsets[s + 1]`, exclusive. int64 (states + 1,).
        numbers: class number of each edge, ascending within a state. int32 (edges,).
        targets: state that each edge leads to. int32 (edges,).
        accepting: whether a text may end in the state. bool (states,).

    An accepting state can be reached from every state.
    """

    classes: int
    offsets: NDArray[np.int64]
    numbers: Integers
    targets: Integers
    accepting: NDArray[np.bool_]
    #: The first state of each depth, if the automaton is a tree. Its states are numbered by depth. None otherwise.
    depths: NDArray[np.int64] | None = None

    @property
    def states(self) -> int:
        """Number of states."""
        return len(self.accepting)

    def accepts(self, text: tuple[int, ...]) -> bool:
        """Whether the automaton accepts a text, given as class numbers."""
        state = 0
        for number in text:
            start, end = self.offsets[state : state + 2]
            edge = start + np.searchsorted(self.numbers[start:end], number)
            if edge == end or self.numbers[edge] != number:
                return False
            state = self.targets[edge]
        return bool(self.accepting[state])

    def edges(self, states: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The outgoing edges of some states, ordered by state.

        Returns the index into `states` and the index of the edge, both int64 (edges,).
        """
        starts = self.offsets[states]
        counts = self.offsets[states + 1] - starts
        rows = np.repeat(np.arange(len(states)), counts)
        first = np.cumsum(counts) - counts
        return rows, np.arange(len(rows)) - first[rows] + starts[rows]

    def successors(self, states: NDArray[np.integer]) -> Integers:
        """The state after each character, int32 (len(states), classes); -1 if the character is not allowed."""
        found = np.full((len(states), self.classes), -1, np.int32)
        rows, edges = self.edges(states)
        found[rows, self.numbers[edges]] = self.targets[edges]
        return found

    @cached_property
    def fewest(self) -> Integers:
        """For each state, the minimum number of characters to an accepting state. int32 (states,)."""
        fewest = np.where(self.accepting, 0, np.iinfo(np.int32).max - 1).astype(np.int32)
        inner = np.flatnonzero(np.diff(self.offsets))
        while len(inner):
            nearest = np.minimum.reduceat(fewest[self.targets], self.offsets[inner]) + 1
            closer = nearest < fewest[inner]
            if not closer.any():
                break
            fewest[inner[closer]] = nearest[closer]
        return fewest

    @cached_property
    def characters(self) -> Integers:
        """Class numbers of all characters in accepted texts, ascending."""
        return np.unique(self.numbers)

    @cached_property
    def neighbours(self) -> int:
        """Number of pairs of consecutive characters, summed over all states."""
        entries = np.unique(self.targets.astype(np.int64) * self.classes + self.numbers)
        return int(np.diff(self.offsets)[entries // self.classes].sum())

    @cached_property
    def relaxed(self) -> Automaton:
        """A smaller automaton that accepts all these texts and possibly others, for computing bounds.

        For a tree, all states of a depth are merged. Any other automaton is returned unchanged.
        """
        if self.depths is None:
            return self
        levels = [np.unique(self.numbers[start:end]) for start, end in self._edges_of_depths()]
        bounds = [*self.depths.tolist(), self.states]
        accepting = [self.accepting[start:end].any() for start, end in itertools.pairwise(bounds)]
        return Automaton(
            self.classes,
            np.cumsum([0, *map(len, levels)]),
            np.concatenate(levels).astype(np.int32),
            np.repeat(np.arange(1, len(levels) + 1, dtype=np.int32), [len(level) for level in levels]),
            np.array(accepting),
        )

    def relaxed_states(self, states: NDArray[np.integer]) -> NDArray[np.integer]:
        """Map states to those of :attr:`relaxed`."""
        return states if self.depths is None else np.searchsorted(self.depths, states, "right") - 1

    def _edges_of_depths(self) -> Iterator[tuple[int, int]]:
        assert self.depths is not None
        bounds = self.offsets[[*self.depths, self.states]].tolist()
        return itertools.pairwise(bounds)


@dataclass(frozen=True)
class Constraint:
    """A constraint on texts. A text must satisfy all conditions that are not None.

    Arguments:
        length: number of characters, such as 7 or "5-8".
        charset: the allowed characters, see :func:`crnn_reader.alphabet.parse_alphabet`.
        pattern: a regular expression for the whole text, see the module's documentation.
        lexicon: path of a UTF-8 file with one allowed text per line.

    Raises TypeError for values of other types. Invalid values raise UserError when a model uses the constraint.
    """

    length: str | int | None = None
    charset: str | None = None
    pattern: str | None = None
    lexicon: str | Path | None = None

    def __post_init__(self) -> None:
        for name, given, allowed, remedy in (
            ("length", self.length, (str, int), "a number or a range, such as '5-8'"),
            ("charset", self.charset, (str,), "a text, such as '0-9A-Z'"),
            ("pattern", self.pattern, (str,), "a text, such as '[A-Z]{2}[0-9]{5}'"),
            ("lexicon", self.lexicon, (str, Path), "the path of a text file with an allowed text per line"),
        ):
            if given is not None and not isinstance(given, allowed):
                raise TypeError(f"{name} is a {type(given).__name__}: give {remedy}")

    def automaton(self, alphabet: str) -> Automaton | None:
        """Compile the constraint to an automaton over an alphabet.

        Returns None without any condition. Raises UserError for an invalid condition, or if no text of the alphabet
        satisfies the constraint.
        """
        if self == Constraint():
            return None
        charset = self._charset(alphabet)
        usable = [number for number, character in enumerate(alphabet, 1) if character in charset]
        if not usable:
            raise UserError(
                f"--charset {self.charset}: the model reads none of these characters, only {shortened(alphabet)}; "
                "give some of those"
            )
        shape = None
        if self.lexicon is None or (self.pattern, self.length, self.charset) != (None, None, None):
            shape = self._shape(alphabet, usable)
        return shape if self.lexicon is None else _tree(self._texts(alphabet, Path(self.lexicon), shape), len(alphabet))

    def _charset(self, alphabet: str) -> str:
        if self.charset is None:
            return alphabet
        try:
            return parse_alphabet(self.charset)
        except ValueError as error:
            raise UserError(f"--charset {self.charset}: {error}") from error

    def _lengths(self) -> tuple[int, int] | None:
        try:
            return None if self.length is None else parse_length(str(self.length))
        except ValueError as error:
            raise UserError(f"--length {self.length}: {error}") from error

    def _shape(self, alphabet: str, usable: list[int]) -> Automaton:
        """Compile length, characters and pattern, without the lexicon."""
        pattern = unicodedata.normalize("NFC", ".*" if self.pattern is None else self.pattern)
        lengths = self._lengths()
        try:
            parser = _Parser(pattern, alphabet, frozenset(usable))
            automaton = _determinise(_NFA(parser.whole()), usable, lengths, len(alphabet) + 1)
        except _PatternError as error:
            raise UserError(f"--pattern {self.pattern or '.*'}: {error}") from error
        if automaton is None:
            given = [("--charset", self.charset), ("--length", self.length), ("--pattern", self.pattern)]
            flags = [f"{flag} {value}" for flag, value in given if value is not None]
            if parser.empty or len(flags) == 1:
                why = f" (at character {parser.empty[0] + 1}, {parser.empty[1]})" if parser.empty else ""
                remedy = "loosen it, or take a model that reads what is missing"
            else:
                why, remedy = "", "they exclude one another, so loosen one of them"
            raise UserError(
                f"{' '.join(flags)}: no text of the model's characters {shortened(alphabet)} satisfies this{why}; "
                + remedy
            )
        return automaton

    def _texts(self, alphabet: str, path: Path, shape: Automaton | None) -> _Texts:
        """The texts of the lexicon that satisfy the other conditions."""
        texts = _read_texts(path, alphabet)
        if shape is None:
            return texts
        allowed = texts.accepted(shape)
        if not allowed.any():
            given = (("--charset", self.charset), ("--length", self.length), ("--pattern", self.pattern))
            flags = " ".join(f"{flag} {value}" for flag, value in given if value is not None)
            raise UserError(
                f"{path}: none of its {len(allowed):,} texts satisfies {flags}, the first is "
                f"{texts.text(0, alphabet)!r}; loosen these or leave them out"
            )
        return _Texts(texts.numbers, texts.starts[allowed], texts.ends[allowed])


def shortened(alphabet: str) -> str:
    """Shorten an alphabet for a message."""
    return alphabet if len(alphabet) <= 80 else f"{alphabet[:80]}… ({len(alphabet):,} characters)"


# Patterns: text -> syntax tree -> non-deterministic automaton -> deterministic automaton.


class _PatternError(ValueError):
    """A syntax error. The message says what was found, where in the pattern, and what to write instead."""


@dataclass(frozen=True)
class _Characters:
    numbers: frozenset[int]


@dataclass(frozen=True)
class _Sequence:
    parts: tuple[_Part, ...]


@dataclass(frozen=True)
class _Either:
    parts: tuple[_Part, ...]


@dataclass(frozen=True)
class _Repeat:
    part: _Part
    low: int
    #: None for any number.
    high: int | None


_Part: TypeAlias = _Characters | _Sequence | _Either | _Repeat

#: Character classes by their letter after a backslash.
_KINDS: dict[str, Callable[[str], bool]] = {
    "d": str.isdecimal,
    "D": lambda character: not character.isdecimal(),
    "w": lambda character: character.isalnum() or character == "_",
    "W": lambda character: not (character.isalnum() or character == "_"),
}


class _Parser:
    """Recursive-descent parser for patterns."""

    def __init__(self, pattern: str, alphabet: str, usable: frozenset[int]) -> None:
        self._pattern, self._alphabet, self._usable = pattern, alphabet, usable
        self._place = self._depth = 0
        #: Place and text of the first element that no usable character matches.
        self.empty: tuple[int, str] | None = None

    def whole(self) -> _Part:
        part = self._either()
        if self._place < len(self._pattern):
            raise self._error("a ')' that closes nothing", "write '(' before it, or '\\)' for itself")
        return part

    def _either(self) -> _Part:
        parts = [self._sequence()]
        while self._take("|"):
            parts.append(self._sequence())
        return parts[0] if len(parts) == 1 else _Either(tuple(parts))

    def _sequence(self) -> _Part:
        parts: list[_Part] = []
        while self._next not in ("", "|", ")"):
            parts.append(self._repeated(self._single()))
        return _Sequence(tuple(parts))

    def _single(self) -> _Part:
        start, character = self._place, self._next
        self._place += 1
        if character == "(":
            return self._group(start)
        if character == "[":
            return self._class(start)
        if character == ".":
            return self._characters(start, lambda _: True)
        if character == "\\":
            found = self._escaped(start)
            return self._characters(start, found.__eq__ if isinstance(found, str) else found)
        if character in "^$":
            raise self._error(f"a {character!r}", "leave it out, the whole text matches anyway", start)
        if character in "?*+{":
            raise self._error(f"a {character!r} with nothing before it", f"write '\\{character}' for itself", start)
        if character in "]}":
            raise self._error(f"a {character!r} that closes nothing", f"write '\\{character}' for itself", start)
        return self._characters(start, lambda other: other == character)

    def _group(self, start: int) -> _Part:
        if self._next == "?" and not self._pattern.startswith("?:", self._place):
            raise self._error("a '(?'", "there are only groups '(…)' here", start)
        if self._next == "?":
            self._place += 2
        self._depth += 1
        if self._depth > DEEPEST:
            raise self._error(f"more than {DEEPEST} brackets in one another", "write it flatter", start)
        part = self._either()
        self._depth -= 1
        if not self._take(")"):
            raise self._error(
                "a '(' that is never closed", "close it with ')', or write '\\(' for the character itself", start
            )
        return part

    def _class(self, start: int) -> _Part:
        negated = self._take("^")
        tests: list[Callable[[str], bool]] = []
        while self._next != "]":
            if self._next == "":
                raise self._error(
                    "a '[' that is never closed", "close it with ']', or write '\\[' for the character itself", start
                )
            at = self._place
            first = self._member()
            # A dash before the closing bracket is literal.
            if self._next == "-" and self._pattern[self._place + 1 : self._place + 2] not in ("]", ""):
                self._place += 1
                last = self._member()
                if not isinstance(first, str) or not isinstance(last, str):
                    raise self._error("a range from or to a kind of characters", "write '\\-' for a dash", at)
                if first > last:
                    raise self._error(f"the range {first}-{last}, which runs backwards", f"write {last}-{first}", at)
                tests.append(lambda other, first=first, last=last: first <= other <= last)  # type: ignore[misc]
            elif isinstance(first, str):
                tests.append(first.__eq__)
            else:
                tests.append(first)
        self._place += 1
        if not tests:
            raise self._error("a '[]' with nothing in it", "put in the characters that may stand there", start)
        return self._characters(start, lambda character: any(test(character) for test in tests) != negated)

    def _member(self) -> str | Callable[[str], bool]:
        """Parse a member of a bracket expression: a character, or the test of a class such as `\\d`."""
        start, character = self._place, self._next
        self._place += 1
        return self._escaped(start) if character == "\\" else character

    def _escaped(self, start: int) -> str | Callable[[str], bool]:
        """Parse the character after a backslash: a literal character, or the test of a class such as `\\d`."""
        character = self._next
        if character == "" or (character.isascii() and character.isalnum() and character not in _KINDS):
            raise self._error(f"'\\{character}'", "behind '\\' go d, D, w, W or a sign that means itself", start)
        self._place += 1
        return _KINDS.get(character, character)

    def _repeated(self, part: _Part) -> _Part:
        start = self._place
        if self._take("?"):
            part = _Repeat(part, 0, 1)
        elif self._take("*"):
            part = _Repeat(part, 0, None)
        elif self._take("+"):
            part = _Repeat(part, 1, None)
        elif self._take("{"):
            part = self._counted(part, start)
        else:
            return part
        if self._next and self._next in "?*+{":
            raise self._error("a repeat of a repeat", "put brackets around the first, or take one out")
        return part

    def _counted(self, part: _Part, start: int) -> _Part:
        text, closed, _ = self._pattern[self._place :].partition("}")
        low, comma, high = text.partition(",")
        numbers = [number for number in (low, high) if number]
        if not closed or not numbers or not all(n.isascii() and n.isdigit() for n in numbers):
            raise self._error("a '{' without numbers", "write {3}, {2,4} or {2,}, or '\\{' for itself", start)
        if len(max(numbers, key=len)) > 5 or max(map(int, numbers)) > MOST_REPEATS:
            raise self._error(f"more than {MOST_REPEATS:,} repeats", "take fewer, or '*' for any number", start)
        self._place += len(text) + 1
        fewest = int(low or 0)
        most = fewest if not comma else int(high) if high else None
        if most is not None and most < fewest:
            raise self._error(f"{{{text}}}, which runs backwards", f"write {{{most},{fewest}}}", start)
        return _Repeat(part, fewest, most)

    def _characters(self, start: int, test: Callable[[str], bool]) -> _Part:
        found = frozenset(n for n, character in enumerate(self._alphabet, 1) if n in self._usable and test(character))
        if not found and self.empty is None:
            self.empty = start, self._pattern[start : self._place]
        return _Characters(found)

    @property
    def _next(self) -> str:
        return self._pattern[self._place : self._place + 1]

    def _take(self, character: str) -> bool:
        taken = self._next == character
        self._place += taken
        return taken

    def _error(self, found: str, remedy: str, place: int | None = None) -> _PatternError:
        return _PatternError(f"{found} at character {(self._place if place is None else place) + 1}; {remedy}")


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
        if self._parts > MOST_PARTS:
            raise _PatternError("too many repeats in repeats; write it shorter")
        if isinstance(part, _Characters):
            end = self._state()
            self.moves[start].append((part.numbers, end))
        elif isinstance(part, _Sequence):
            end = start
            for inner in part.parts:
                end = self._add(inner, end)
        elif isinstance(part, _Either):
            end = self._state()
            for inner in part.parts:
                self.free[self._add(inner, start)].append(end)
        else:
            end = self._add(_Sequence((part.part,) * part.low), start)
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
        if len(states) > MOST_STATES or edges > MOST_EDGES:
            raise _PatternError("too many texts begin alike and go on differently; take fewer or shorter alternatives")
    accepting = np.array([machine.end in here and count >= low for here, count in states])
    return _trimmed(moves, groups, accepting, classes)


def _trimmed(
    moves: list[dict[int, int]], groups: list[list[int]], accepting: NDArray[np.bool_], classes: int
) -> Automaton | None:
    """Build an automaton without the states from which no accepting state can be reached. None if no text remains."""
    before: list[list[int]] = [[] for _ in moves]
    for state, after in enumerate(moves):
        for target in after.values():
            before[target].append(state)
    alive, waiting = accepting.copy(), np.flatnonzero(accepting).tolist()
    while waiting:
        for state in before[waiting.pop()]:
            if not alive[state]:
                alive[state] = True
                waiting.append(state)
    if not alive[0]:
        return None
    renumbered = np.cumsum(alive) - 1
    offsets, numbers, targets = [0], [], []
    for state in np.flatnonzero(alive).tolist():
        edges = sorted(
            (number, renumbered[target])
            for group, target in moves[state].items()
            if alive[target]
            for number in groups[group]
        )
        numbers += [number for number, _ in edges]
        targets += [target for _, target in edges]
        offsets.append(len(numbers))
    if not numbers:
        # Only the empty text is accepted.
        return None
    return Automaton(
        classes, np.array(offsets), np.array(numbers, np.int32), np.array(targets, np.int32), accepting[alive]
    )


# Lexicons: file -> encoded texts -> prefix tree. All in arrays, to hold millions of texts.


@dataclass(frozen=True)
class _Texts:
    """Encoded texts: text i is `numbers[starts[i]:ends[i]]`."""

    numbers: Integers
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]

    def text(self, index: int, alphabet: str) -> str:
        return "".join(alphabet[number - 1] for number in self.numbers[self.starts[index] : self.ends[index]])

    def accepted(self, automaton: Automaton) -> NDArray[np.bool_]:
        """Whether the automaton accepts each text, bool (texts,)."""
        state = np.zeros(len(self.starts), np.int64)
        # Edges as one sorted key of state and number, for binary search.
        edges = np.repeat(np.arange(automaton.states), np.diff(automaton.offsets)) * automaton.classes
        edges += automaton.numbers
        rows, place = np.arange(len(state)), self.starts.copy()
        while True:
            rows = rows[(place[rows] < self.ends[rows]) & (state[rows] >= 0)]
            if not len(rows):
                break
            wanted = state[rows] * automaton.classes + self.numbers[place[rows]]
            found = np.minimum(np.searchsorted(edges, wanted), len(edges) - 1)
            state[rows] = np.where(edges[found] == wanted, automaton.targets[found], -1) if len(edges) else -1
            place[rows] += 1
        return (state >= 0) & automaton.accepting[state]


def _read_texts(path: Path, alphabet: str) -> _Texts:
    """Read the non-empty lines of a lexicon.

    Raises UserError for an unreadable or empty file, or a text that is too long or has characters outside `alphabet`.
    """
    remedy = "give a UTF-8 text file with an allowed text per line"
    try:
        content = bounded.read_text(path, LARGEST_LEXICON)
    except FileNotFoundError as error:
        raise UserError(f"--lexicon {path} does not exist; {remedy}") from error
    except OSError as error:
        raise UserError(f"--lexicon {path} cannot be read ({error.strerror}); {remedy}") from error
    except ValueError as error:
        raise UserError(f"--lexicon {path}: {error}; {remedy}") from error
    content = unicodedata.normalize("NFC", content.replace("\r\n", "\n").replace("\r", "\n")) + "\n"
    points = np.frombuffer(content.encode("utf-32-le", "surrogatepass"), np.uint32)
    ends = np.flatnonzero(points == ord("\n"))
    starts = np.concatenate([[0], ends[:-1] + 1])
    table = np.zeros(0x110000, np.int32)
    table[[ord(character) for character in alphabet]] = np.arange(1, len(alphabet) + 1)
    numbers = table[points]
    filled = ends > starts
    if not filled.any():
        raise UserError(f"--lexicon {path} has no text in it; write an allowed text on each line")
    unknown = np.flatnonzero((numbers == 0) & (points != ord("\n")))
    if len(unknown):
        lines = np.unique(np.searchsorted(ends, unknown))
        first = lines[0]
        text = content[starts[first] : ends[first]]
        strange = " ".join(sorted({repr(character) for character in text} - {repr(known) for known in alphabet}))
        raise UserError(
            f"{path}, line {first + 1}: the model cannot read {strange} in {text!r}, {len(lines):,} of "
            f"{filled.sum():,} texts have such characters; remove them, or use a model that reads them"
        )
    if len(long := np.flatnonzero(ends - starts > LONGEST_TEXT)):
        raise UserError(
            f"{path}, line {long[0] + 1}: a text of {(ends - starts)[long[0]]:,} characters, more than the "
            f"{LONGEST_TEXT:,} that are allowed: write one text per line"
        )
    return _Texts(numbers, starts[filled], ends[filled])


def _tree(texts: _Texts, characters: int) -> Automaton:
    """Build the prefix tree of texts, depth by depth. Edge i leads to state i + 1."""
    node, rows = np.zeros(len(texts.starts), np.int64), np.arange(len(texts.starts))
    first, width, depth = 0, 1, 0
    depths, numbers, counts, accepting = [0], [], [], []
    while True:
        ended = texts.starts[rows] + depth == texts.ends[rows]
        ends = np.zeros(width, bool)
        ends[node[rows[ended]] - first] = True
        accepting.append(ends)
        rows = rows[~ended]
        if not len(rows):
            counts.append(np.zeros(width, np.int64))
            break
        keys = (node[rows] - first) * (characters + 1) + texts.numbers[texts.starts[rows] + depth]
        children, places = np.unique(keys, return_inverse=True)
        counts.append(np.bincount(children // (characters + 1), minlength=width))
        numbers.append((children % (characters + 1)).astype(np.int32))
        first, width, depth = first + width, len(children), depth + 1
        depths.append(first)
        node[rows] = first + places
    edges = np.concatenate(numbers)
    return Automaton(
        characters + 1,
        np.concatenate([[0], np.cumsum(np.concatenate(counts))]),
        edges,
        np.arange(1, len(edges) + 1, dtype=np.int32),
        np.concatenate(accepting),
        np.array(depths),
    )
