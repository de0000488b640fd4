"""Constraints on texts: their length, characters, pattern, or a lexicon."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path

from ..alphabet import parse_alphabet
from ..errors import UserError
from ..limits import parse_length
from .automaton import Automaton, intersection
from .lexicon import Texts, prefix_tree, read_texts
from .pattern import Pattern, PatternError


@dataclass(frozen=True)
class Constraint:
    """A constraint on texts. A text must satisfy all conditions that are not None.

    Arguments:
        length: number of characters, such as 7 or "5-8".
        charset: the allowed characters, see :func:`crnn_reader.alphabet.parse_alphabet`.
        pattern: a regular expression for the whole text, see crnn_reader/decoding/pattern.py.
        lexicon: path of a UTF-8 file with one allowed text per line.

    Raises TypeError for values of other types. Invalid values raise UserError when a model uses the constraint.
    """

    length: str | int | None = None
    charset: str | None = None
    pattern: str | None = None
    lexicon: str | Path | None = None

    def __post_init__(self) -> None:
        for name, given, allowed, remedy in (
            ("length", self.length, (str, Integral), "a number or a range, such as '5-8'"),
            ("charset", self.charset, (str,), "a text, such as '0-9A-Z'"),
            ("pattern", self.pattern, (str,), "a text, such as '[A-Z]{2}[0-9]{5}'"),
            ("lexicon", self.lexicon, (str, Path), "the path of a text file with an allowed text per line"),
        ):
            if given is not None and not isinstance(given, allowed):
                raise TypeError(f"{name} is a {type(given).__name__}: give {remedy}")

    def automaton(self, alphabet: str, within: Automaton | None = None) -> Automaton | None:
        """Compile the constraint to an automaton over an alphabet, which accepts only texts that `within` accepts, too.

        Returns `within` without any condition. Raises UserError for an invalid condition, or if no text of the alphabet
        satisfies the constraint, or none of the layouts that `within` accepts.
        """
        if self == Constraint():
            return within
        charset = self._charset(alphabet)
        usable = {character: number for number, character in enumerate(alphabet, 1) if character in charset}
        if not usable:
            raise UserError(
                f"charset {self.charset}: the model reads none of these characters, only {shortened(alphabet)}; "
                "give some of those"
            )
        shape = None
        if self.lexicon is None or self._conditions():
            shape = self._shape(alphabet, usable)
        if within is not None:
            shape = within if shape is None else self._intersection(shape, within)
        return (
            shape
            if self.lexicon is None
            else prefix_tree(self._texts(alphabet, Path(self.lexicon), shape, within is not None), len(alphabet))
        )

    def _charset(self, alphabet: str) -> str:
        if self.charset is None:
            return alphabet
        try:
            return parse_alphabet(self.charset)
        except ValueError as error:
            raise UserError(f"charset {self.charset}: {error}") from error

    def _lengths(self) -> tuple[int, int] | None:
        try:
            return None if self.length is None else parse_length(str(self.length))
        except ValueError as error:
            raise UserError(f"length {self.length}: {error}") from error

    def _conditions(self) -> list[str]:
        """The conditions other than the lexicon, for messages."""
        given = {"charset": self.charset, "length": self.length, "pattern": self.pattern}
        return [f"{name} {value}" for name, value in given.items() if value is not None]

    def _shape(self, alphabet: str, usable: dict[str, int]) -> Automaton:
        """Compile length, characters and pattern, without the lexicon."""
        lengths = self._lengths()
        try:
            pattern = Pattern(unicodedata.normalize("NFC", ".*" if self.pattern is None else self.pattern), usable)
            automaton = pattern.automaton(lengths, len(alphabet) + 1)
        except PatternError as error:
            raise UserError(f"pattern {self.pattern or '.*'}: {error}") from error
        if automaton is None:
            conditions = self._conditions()
            why, remedy = "", "they exclude one another, so relax one of them"
            if pattern.empty or len(conditions) == 1:
                why = f" (at character {pattern.empty[0] + 1}, {pattern.empty[1]})" if pattern.empty else ""
                remedy = "relax it, or use a model that reads the missing characters"
            raise UserError(
                f"{' and '.join(conditions)}: no text of the model's characters {shortened(alphabet)} satisfies "
                f"this{why}; {remedy}"
            )
        return automaton

    def _intersection(self, shape: Automaton, layouts: Automaton) -> Automaton:
        """The texts of the layouts that satisfy length, characters and pattern."""
        conditions = " and ".join(self._conditions())
        try:
            both = intersection(shape, layouts)
        except ValueError as error:
            raise UserError(f"{conditions} with these layouts: {error}; choose fewer layouts") from error
        if both is None:
            raise UserError(f"no text of the layouts satisfies {conditions}: choose others, or relax it", "layouts")
        return both

    def _texts(self, alphabet: str, path: Path, shape: Automaton | None, in_layouts: bool) -> Texts:
        """The texts of the lexicon that satisfy the other conditions, among which may be layouts."""
        texts = read_texts(path, alphabet)
        if shape is None:
            return texts
        allowed = texts.accepted(shape)
        if not allowed.any():
            conditions = " and ".join(self._conditions() + ["the layouts"] * in_layouts)
            raise UserError(
                f"{path}: none of its {len(allowed):,} texts satisfies {conditions}, the first is "
                f"{texts.text(0, alphabet)!r}; relax these conditions or leave them out"
            )
        return Texts(texts.numbers, texts.starts[allowed], texts.ends[allowed])


def shortened(alphabet: str) -> str:
    """Shorten an alphabet for a message."""
    return alphabet if len(alphabet) <= 80 else f"{alphabet[:80]}… ({len(alphabet):,} characters)"
