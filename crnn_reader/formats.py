r"""Formats of plates in a model file: the texts of each layout, with its separators and rows.

A format has patterns, one for each form of its texts. A pattern is made of

    B  7  \-           this character; after a backslash, signs that have a meaning here
    [ABEK-P0-9]        one of these characters
    (HH|B|[KM]A)       one of these alternatives, all equally likely
    {2}  {1,4}  ?      repeats of the element before it; 0 or 1 times
    space - · .        separators, which stand on the plate, but not in its text
    /                  start of the lower row

A pattern is expanded to :class:`Sequence`\ s: the characters that may stand at each place of a text.
"""

from __future__ import annotations

import difflib
import functools
import math
import re
import reprlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from .errors import UserError

#: Separators, and the sign of a row break.
SEPARATORS, ROW_BREAK = " -·.", "/"
#: The value of `layouts` that reads without formats.
NO_LAYOUTS = "none"
#: The value with which commands list the formats of a model, and the one that stores the formats of all layouts.
LIST_LAYOUTS, ALL_LAYOUTS = "help", "all"
#: Beginning of the names of layouts of no country, which have no formats.
NO_COUNTRY = "any_"
#: Maximum number of codes of countries in a message.
MAX_SHOWN = 100
#: Signs that have a meaning in a pattern.
SPECIAL = "\\[](){}|?" + SEPARATORS + ROW_BREAK
#: Maximum number of formats in a model file, of patterns in a format, and of characters in a name, title or pattern.
MAX_FORMATS, MAX_PATTERNS, MAX_NAME_LENGTH, MAX_PATTERN_LENGTH = 1_000, 200, 100, 10_000
#: Maximum number of sequences of all formats together and of a single pattern, of characters of a text, repeats of an
#: element, and brackets in one another.
MAX_SEQUENCES, MAX_PATTERN_SEQUENCES, MAX_LENGTH, MAX_REPEATS, MAX_DEPTH = 20_000, 10_000, 32, 12, 50


class Sequence(NamedTuple):
    """Texts of one length and one arrangement of separators."""

    #: The characters that may stand at each place.
    places: tuple[str, ...]
    #: The separators and row breaks before each place, and after the last one.
    signs: tuple[str, ...]
    #: The part of the pattern's texts that these are, if all alternatives are equally likely.
    share: float

    @property
    def size(self) -> int:
        """Number of texts."""
        return math.prod(map(len, self.places))


@dataclass(frozen=True)
class Format:
    """The texts of one layout of plates.

    Attributes:
        name: name of the layout, such as `de_car`. The part before the first `_` is the code of the country.
        title: country and kind of plate, such as `Germany, car`.
        patterns: patterns of its texts, all equally likely; see :mod:`crnn_reader.formats`.
        weight: frequency relative to other formats of the country.
    """

    name: str
    title: str
    patterns: list[str]
    weight: float = 1.0

    @property
    def country(self) -> str:
        """Code of the country, such as `de`."""
        return self.name.partition("_")[0]

    @property
    def country_name(self) -> str:
        """Name of the country: the title up to its first comma."""
        return self.title.partition(",")[0]

    @classmethod
    def of(cls, entry: Any) -> Format:
        """Create a format from decoded JSON. Raises ValueError for missing, unknown or invalid fields."""
        if not isinstance(entry, dict) or {*entry} != {field.name for field in fields(cls)}:
            raise ValueError(f"a format is {reprlib.repr(entry)}")
        for name in ("name", "title"):
            if not isinstance(entry[name], str) or not 0 < len(entry[name]) <= MAX_NAME_LENGTH:
                raise ValueError(f"the {name} of a format is {reprlib.repr(entry[name])}")
        shown, weight, patterns = entry["name"], entry["weight"], entry["patterns"]
        if type(weight) not in (int, float) or not 0 < weight <= 1e6:
            raise ValueError(f"the weight of the format {shown} is {reprlib.repr(weight)}")
        if not isinstance(patterns, list) or not 0 < len(patterns) <= MAX_PATTERNS:
            raise ValueError(f"the patterns of the format {shown} are {reprlib.repr(patterns)}")
        for pattern in patterns:
            if not isinstance(pattern, str):
                raise ValueError(f"a pattern of the format {shown} is {reprlib.repr(pattern)}")
            try:
                sequences_of(pattern)
            except ValueError as error:
                raise ValueError(f"the format {shown}: {error}") from error
        return cls(**entry)


def parse_formats(entry: Any) -> list[Format]:
    """Create formats from decoded JSON. Raises ValueError for invalid ones, and for too many."""
    if not isinstance(entry, list) or len(entry) > MAX_FORMATS:
        raise ValueError(f"formats is {reprlib.repr(entry)}, not a list of at most {MAX_FORMATS:,} formats")
    found = [Format.of(each) for each in entry]
    check_total(found)
    names = [each.name for each in found]
    if len(set(names)) < len(names):
        raise ValueError("two formats have the same name")
    return found


def check_total(formats: list[Format]) -> None:
    """Raise ValueError if there are too many formats, or too many sequences in all of them together."""
    if len(formats) > MAX_FORMATS:
        raise ValueError(f"there are {len(formats):,} formats, more than the {MAX_FORMATS:,} of a model file")
    count = 0
    for each in formats:
        count += sum(len(sequences_of(pattern)) for pattern in each.patterns)
        if count > MAX_SEQUENCES:
            raise ValueError(f"the formats have more than {MAX_SEQUENCES:,} forms, the most in a model file")


@functools.lru_cache(maxsize=4096)
def sequences_of(pattern: str) -> tuple[Sequence, ...]:
    """Expand a pattern. Raises ValueError for an invalid one, and for one with too many or too long sequences."""
    if len(pattern) > MAX_PATTERN_LENGTH:
        raise ValueError(f"a pattern has {len(pattern):,} characters, more than {MAX_PATTERN_LENGTH:,}")
    parser = _Parser(pattern)
    found = parser.alternatives()
    if parser.rest:
        raise ValueError(f"the pattern {reprlib.repr(pattern)} has a ')' that closes nothing")
    if any(not sequence.places for sequence in found):
        raise ValueError(f"the pattern {reprlib.repr(pattern)} matches the empty text")
    return tuple(found)


_EMPTY = Sequence((), ("",), 1.0)
_REPEAT = re.compile(r"\{([0-9]{1,2})(?:,([0-9]{1,2}))?\}|\?")
_CLASS = re.compile(r"\[((?:\\.|[^\]\\\[])+)\]", re.DOTALL)
#: A group of texts without any sign that has a meaning: most groups are long lists.
_TEXTS = re.compile(r"\(([^\\\[\](){}|?\x20\-·./]+(?:\|[^\\\[\](){}|?\x20\-·./]+)+)\)")
_CLASS_MEMBER = re.compile(r"(\\?.)(?:-(\\?.))?", re.DOTALL)


class _Parser:
    """Parses a pattern and expands it on the way."""

    def __init__(self, pattern: str) -> None:
        self.pattern, self._place, self._depth = pattern, 0, 0

    @property
    def rest(self) -> str:
        return self.pattern[self._place :]

    def alternatives(self) -> list[Sequence]:
        """Parse to the end of a group, or of the pattern."""
        branches = [[_EMPTY]]
        while (sign := self.pattern[self._place : self._place + 1]) not in ("", ")"):
            if sign == "|":
                self._place += 1
                branches.append([_EMPTY])
            else:
                atom = self._atom(sign)
                if repeat := _REPEAT.match(self.pattern, self._place):
                    self._place = repeat.end()
                    low, high = (int(repeat[1]), int(repeat[2] or repeat[1])) if repeat[1] else (0, 1)
                    atom = self._repeated(atom, low, high)
                branches[-1] = self._joined(branches[-1], atom)
        share = 1 / len(branches)
        found = [each._replace(share=each.share * share) for branch in branches for each in branch]
        return self._checked(found)

    def _atom(self, sign: str) -> list[Sequence]:
        self._place += 1
        if sign == "[":
            match = _CLASS.match(self.pattern, self._place - 1)
            if match is None:
                raise self._error("a '[' that is not closed, or an empty class")
            self._place = match.end()
            return [Sequence((self._members(match[1]),), ("", ""), 1.0)]
        if sign == "(":
            if texts := _TEXTS.match(self.pattern, self._place - 1):
                self._place = texts.end()
                return self._checked(_texts(texts[1].split("|")))
            self._depth += 1
            if self._depth > MAX_DEPTH:
                raise self._error(f"more than {MAX_DEPTH} brackets in one another")
            inner = self.alternatives()
            self._depth -= 1
            if not self.rest:
                raise self._error("a '(' that is not closed")
            self._place += 1
            return inner
        if sign in SEPARATORS + ROW_BREAK:
            return [Sequence((), (sign,), 1.0)]
        if sign == "\\":
            sign = self.pattern[self._place : self._place + 1]
            self._place += 1
            if not sign:
                raise self._error("a '\\' at its end")
        elif sign in SPECIAL:
            raise self._error(f"a {sign!r} that has no meaning there")
        return [Sequence((sign,), ("", ""), 1.0)]

    def _members(self, text: str) -> str:
        found = ""
        for first, last in _CLASS_MEMBER.findall(text):
            first, last = first[-1], (last or first)[-1]
            if not 0 <= ord(last) - ord(first) < 0x10000:
                raise self._error(f"the range {first}-{last}")
            found += "".join(map(chr, range(ord(first), ord(last) + 1)))
        if len(set(found)) < len(found):
            raise self._error(f"a character twice in [{reprlib.repr(text)}]")
        return found

    def _repeated(self, atom: list[Sequence], low: int, high: int) -> list[Sequence]:
        if not low <= high <= MAX_REPEATS or not high:
            raise self._error(f"the repeat {{{low},{high}}}")
        found, repeated = list[Sequence](), [_EMPTY]
        for count in range(high + 1):
            if count >= low:
                found += [each._replace(share=each.share / (high - low + 1)) for each in repeated]
            if count < high:
                repeated = self._joined(repeated, atom)
        return self._checked(found)

    def _joined(self, left: list[Sequence], right: list[Sequence]) -> list[Sequence]:
        if len(left) * len(right) > MAX_PATTERN_SEQUENCES:
            raise self._error(f"more than {MAX_PATTERN_SEQUENCES:,} forms")
        return self._checked(
            [
                Sequence(
                    one.places + other.places,
                    (*one.signs[:-1], one.signs[-1] + other.signs[0], *other.signs[1:]),
                    one.share * other.share,
                )
                for one in left
                for other in right
            ]
        )

    def _checked(self, found: list[Sequence]) -> list[Sequence]:
        if len(found) > MAX_PATTERN_SEQUENCES:
            raise self._error(f"more than {MAX_PATTERN_SEQUENCES:,} forms")
        if max((len(each.places) for each in found), default=0) > MAX_LENGTH:
            raise self._error(f"texts of more than {MAX_LENGTH} characters")
        if max((len(each.signs[-1]) for each in found), default=0) > MAX_LENGTH:
            raise self._error(f"more than {MAX_LENGTH} separators in a row")
        return found

    def _error(self, what: str) -> ValueError:
        return ValueError(f"the pattern {reprlib.repr(self.pattern)} has {what} (at character {self._place})")


def _texts(texts: list[str]) -> list[Sequence]:
    """The sequences of a list such as (B|M|HH|HB), as few as possible: [BM] and H[BH]."""
    lengths: dict[int, set[str]] = {}
    for text in texts:
        lengths.setdefault(len(text), set()).add(text)
    products = [places for alike in lengths.values() for places in _factored(alike)]
    total = sum(map(len, lengths.values()))
    return [Sequence(each, ("",) * (len(each) + 1), math.prod(map(len, each)) / total) for each in products]


def _factored(texts: Iterable[str]) -> Iterator[tuple[str, ...]]:
    """Products of classes that together are `texts`, which have the same length."""
    rests: dict[str, set[str]] = {}
    for text in texts:
        rests.setdefault(text[0], set()).add(text[1:])
    alike: dict[frozenset[str], str] = {}
    for first in sorted(rests):
        key = frozenset(rests[first])
        alike[key] = alike.get(key, "") + first
    for following, firsts in alike.items():
        if following == {""}:
            yield (firsts,)
        else:
            yield from ((firsts, *others) for others in _factored(following))


def write_class(characters: Iterable[str]) -> str:
    """The inverse of a class in a pattern: `[0-9AB]`, or the character itself."""
    ordered = sorted(characters)
    if len(ordered) == 1:
        return escaped(ordered[0])
    written, start = "", 0
    for end in range(1, len(ordered) + 1):
        if end < len(ordered) and ord(ordered[end]) == ord(ordered[end - 1]) + 1:
            continue
        run = [re.sub(r"([\\\]\[-])", r"\\\1", each) for each in ordered[start:end]]
        written += f"{run[0]}-{run[-1]}" if len(run) > 2 else "".join(run)
        start = end
    return f"[{written}]"


def escaped(text: str) -> str:
    """A text as a pattern that matches only it."""
    return "".join(f"\\{sign}" if sign in SPECIAL else sign for sign in text)


def choose_formats(formats: list[Format], names: Iterable[str], model: str) -> list[Format]:
    """The formats of a model that `names` name: names of layouts, or beginnings of names up to a `_`, such as `de`.

    Raises UserError for an unknown name, with the nearest ones, and for a model without formats.
    """
    if not formats:
        raise UserError(
            f"{model} has no formats of plates, so no layouts can be chosen: leave them out, or store formats in a "
            "copy of it (docs/plates.md)",
            "layouts",
        )
    chosen: dict[str, Format] = {}
    for name in (names := list(names)):
        if not name:
            raise UserError(f"one of the layouts {','.join(names)!r} has no name: remove a comma", "layouts")
        found = [each for each in formats if each.name == name]
        found = found or [each for each in formats if each.name.startswith(f"{name}_")]
        if not found:
            raise UserError(f"{model} has no layout {reprlib.repr(name)}: {_remedy(formats, name)}", "layouts")
        chosen |= {each.name: each for each in found}
    if not chosen:
        raise UserError("no layout is named: give some, such as de or de_car", "layouts")
    return list(chosen.values())


def _remedy(formats: list[Format], name: str) -> str:
    """Suggest what to give in place of the unknown `name`.

    Those codes and names of layouts, or of countries, that are most like it; all codes if none are.
    """
    if name == NO_LAYOUTS:
        return f"give {NO_LAYOUTS} without other names"
    if name == ALL_LAYOUTS:
        return "leave the layouts out, and all of them count"
    if re.search(r"[/\\]|\.toml$", name):
        return (
            "first store the formats of layout files in a copy of it (python export.py plate --layouts mine.toml --out "
            "mine.onnx), then read with their names"
        )
    if f"{name}_".startswith(NO_COUNTRY):
        return "layouts of no country have no formats"
    if " " in name:
        return "separate names with commas"
    codes = dict.fromkeys(each.country for each in formats)
    countries = {each.country_name.lower(): each.country for each in formats}
    close = difflib.get_close_matches(name.lower(), [*codes, *countries, *(each.name for each in formats)], 3, 0.6)
    if close:
        return f"did you mean {' or '.join(dict.fromkeys(countries.get(each, each) for each in close))}?"
    return f"give some of {', '.join([*codes][:MAX_SHOWN])}{' …' if len(codes) > MAX_SHOWN else ''}"


def listing(formats: list[Format], model: str) -> list[str]:
    """A line for each format, with the code of its country, its name and its title, in columns.

    Raises UserError for a model without formats.
    """
    chosen = sorted(choose_formats(formats, [each.name for each in formats], model), key=lambda each: each.name)
    widths = [max(len(each.country) for each in chosen), max(len(each.name) for each in chosen)]
    return [f"{each.country:{widths[0]}}  {each.name:{widths[1]}}  {each.title}" for each in chosen]


def layout_names(layouts: Iterable[str] | str | None) -> list[str] | None:
    """The names in the argument `layouts` of a reader: a list, or a text with commas; `none` is an empty list.

    Raises TypeError for anything else.
    """
    if layouts is None:
        return None
    if isinstance(layouts, str):
        layouts = layouts.split(",")
    if not isinstance(layouts, Iterable) or isinstance(layouts, (bytes, bytearray)):
        raise TypeError(f"layouts is of type {type(layouts).__name__}: give names of layouts, such as ['de', 'pl_car']")
    names = list(layouts)
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"layouts has a value of type {type(name).__name__}: give names, such as ['de', 'pl_car']")
    if not names:
        raise UserError(
            f"layouts is empty: give names, such as ['de', 'pl_car'], {NO_LAYOUTS!r} to read without formats, or None"
        )
    names = [name.strip() for name in names]
    return [] if names == [NO_LAYOUTS] else names
