"""Constraints against Python's own regular expressions; the search against brute force over all texts."""

from __future__ import annotations

import itertools
import os
import re
import warnings
from pathlib import Path

import numpy as np
import pytest

from crnn_reader.decoding import search as prefix_search
from crnn_reader.decoding.constraints import Constraint
from crnn_reader.decoding.ctc import constrained, text_log_probabilities
from crnn_reader.decoding.search import search
from crnn_reader.errors import UserError
from tests.crnn_reader.test_decoding import enumerated, outputs

#: With a dash, digits and letters beyond ASCII.
ALPHABET = "ab-7é"
TEXTS = ["".join(text) for length in range(5) for text in itertools.product(ALPHABET, repeat=length)]


def numbers(text: str, alphabet: str = ALPHABET) -> tuple[int, ...]:
    return tuple(alphabet.index(character) + 1 for character in text)


def accepted(constraint: Constraint) -> set[str]:
    automaton = constraint.automaton(ALPHABET)
    assert automaton is not None
    return {text for text in TEXTS if automaton.accepts(numbers(text))}


@pytest.mark.parametrize(
    "pattern",
    [
        "ab",
        "a|b7|",
        "(a|aa)(b|ab)",
        "(?:a|b)*7",
        "[a-z]{2}",
        "[^a-z]+",
        "[-a]{1,2}é?",
        "[a-]b",
        r"[\d\-]{2,}",
        r"\w\d?-",
        r"\W|\D{3}",
        r"a\-b|\-",
        "(a*)*b",
        "(a?){3}",
        "(a{2}|b){1,2}",
        "((ab)?7)*",
        "(|a)b",
        "a{0}b",
        "a{,2}b",
        "a{0002}",
        ".",
        ".{2,3}",
        "x|a[xb]",
        "(a|b)*a(a|b)",
        "[]a]b?",
        "[^]a]{2}",
        r"[^\W\d]+-",
        "[[a]b",
        "(a)|]|}",
    ],
)
@pytest.mark.filterwarnings("error")
def test_a_pattern_accepts_what_the_regular_expression_matches(pattern: str) -> None:
    with warnings.catch_warnings(action="ignore"):
        expected = {text for text in TEXTS if re.fullmatch(pattern, text)}
    assert accepted(Constraint(pattern=pattern)) == expected


def test_plates_of_several_countries_are_one_pattern() -> None:
    """The pattern of docs/reading.md."""
    pattern = r"[A-Z]{2}\d{5}|[A-HJ-NP-TV-Z]{2}\d{3}[A-HJ-NP-TV-Z]{2}|\d{2,3}[가-힣]\d{4}"
    assert pattern in (Path(__file__).parents[2] / "docs" / "reading.md").read_text(encoding="utf-8")
    alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ가나하허"
    automaton = Constraint(pattern=pattern).automaton(alphabet)
    assert automaton is not None
    for plate in ("AB12345", "IO12345", "AB123CD", "12가3456", "123허4567"):
        assert automaton.accepts(numbers(plate, alphabet))
    for other in ("AB1234", "AI123CD", "AB123CI", "1가3456", "12A3456", "12가34567", ""):
        assert not automaton.accepts(numbers(other, alphabet))
    # A model without Hangul reads the others.
    latin = Constraint(pattern=pattern).automaton(alphabet[:36])
    assert latin is not None and latin.accepts(numbers("AB123CD", alphabet))


@pytest.mark.parametrize(
    ("pattern", "texts"),
    [
        (r"\d", "7"),
        (r"[\d]", "7"),
        (r"\D", "B_\u06f4"),
        (r"[^\d]", "B_\u06f4"),
        (r"\w", "7B_\u06f4"),
        (r"[\w]", "7B_\u06f4"),
    ],
)
def test_a_digit_is_one_of_0_to_9_and_a_letter_one_of_any_script(pattern: str, texts: str) -> None:
    """A model that reads Persian digits, such as `plate`, does not write them on Latin plates."""
    alphabet = "7B_\u06f4"
    automaton = Constraint(pattern=pattern).automaton(alphabet)
    assert automaton is not None
    assert {text for text in alphabet if automaton.accepts(numbers(text, alphabet))} == set(texts)


def test_everything_that_is_known_holds_at_once(tmp_path: Path) -> None:
    assert accepted(Constraint(length="3")) == {text for text in TEXTS if len(text) == 3}
    assert accepted(Constraint(length="2-3", charset="7a-z")) == {
        text for text in TEXTS if 2 <= len(text) <= 3 and set(text) <= set("ab7")
    }
    expected = {text for text in TEXTS if re.fullmatch("a.*|7b*", text) and len(text) == 2 and "-" not in text}
    assert accepted(Constraint("2", "ab7é", "a.*|7b*")) == expected
    lexicon = tmp_path / "texts.txt"
    # A byte order mark, Windows line ends, an empty line, a text twice, an é of two characters.
    lexicon.write_bytes("\ufeffab\r\n\r\na7b-\nab\nb\nae\u0301".encode())
    assert accepted(Constraint(lexicon=lexicon)) == {"ab", "a7b-", "b", "aé"}
    assert accepted(Constraint(lexicon=lexicon, pattern="a.*", length="1-3")) == {"ab", "aé"}
    lexicon.write_text("ab\naé\n", encoding="utf-16")
    assert accepted(Constraint(lexicon=lexicon)) == {"ab", "aé"}
    assert Constraint().automaton(ALPHABET) is None


def test_a_lexicon_accepts_its_texts_and_no_others(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    chosen = {TEXTS[index] for index in rng.choice(np.arange(1, len(TEXTS)), 300, replace=False)}
    (tmp_path / "texts").write_text("\n".join(chosen))
    automaton = Constraint(lexicon=tmp_path / "texts").automaton(ALPHABET)
    assert automaton is not None
    assert {text for text in TEXTS if automaton.accepts(numbers(text))} == chosen
    # The automaton from which bounds are computed must allow all of them.
    assert all(automaton.relaxed.accepts(numbers(text)) for text in chosen)


@pytest.mark.parametrize(
    ("constraint", "sentence"),
    [
        (Constraint(length="0"), "length 0: a length is a number or a range"),
        (Constraint(charset="xyz"), "charset xyz: the model reads none of these characters, only ab-7é;"),
        (Constraint(charset="z-a"), "charset z-a: the range z-a runs backwards"),
        (Constraint(pattern="a(b"), "pattern a(b: missing ), unterminated subpattern at character 2;"),
        (Constraint(pattern="ab)"), "unbalanced parenthesis at character 3;"),
        (Constraint(pattern="a[b"), "a '[' at character 2; close it with ']'"),
        (Constraint(pattern="a[]"), "a '[' at character 2; close it with ']'"),
        (Constraint(pattern="[b-a]"), "bad character range b-a at character 2;"),
        (Constraint(pattern=r"[\d-a]"), r"bad character range \d-a at character 2;"),
        (Constraint(pattern="*a"), "nothing to repeat at character 1;"),
        (Constraint(pattern="a{2}{3}"), "a repeat of a repeat at character 5;"),
        (Constraint(pattern="a{x}"), "a '{' at character 2; write {3}"),
        (Constraint(pattern="a{3,2}"), "min repeat greater than max repeat at character 3;"),
        (Constraint(pattern="a{9999}"), "more than 1,000 repeats at character 2;"),
        (Constraint(pattern="((a{999}){999}){999}"), "too many repeats in repeats;"),
        (Constraint(pattern="((){999}){999}"), "too many repeats in repeats;"),
        (Constraint(pattern="(a|b)*a(a|b){30}"), "too many texts begin alike"),
        (Constraint(pattern="(" * 60), "more than 50 groups inside one another at character 51;"),
        (Constraint(pattern="^a$"), "a '^' at character 1; leave it out"),
        (Constraint(pattern="(?i)a"), "a '(?i' at character 1; lookaround, flags"),
        (Constraint(pattern=r"(a)\1"), r"a '\1' at character 4;"),
        (Constraint(pattern="a++"), "a repeat of a repeat at character 3;"),
        (Constraint(pattern="a{,}"), "a '{' at character 2; write {3}"),
        (Constraint(pattern="a{" + "9" * 5000 + "}"), "a '{' at character 2; write {3}"),
        (Constraint(pattern="(?=a)"), "a '(?=' at character 1; lookaround, flags"),
        (Constraint(pattern=r"a\b"), r"a '\b' at character 2;"),
        (Constraint(pattern="a\\"), "a '\\' at character 2;"),
        (Constraint(pattern="aXb"), "characters ab-7é satisfies this (at character 2, X); relax"),
        (Constraint(pattern=""), "no text of the model's characters"),
        (Constraint(pattern="a{3}", length="4"), "length 4 and pattern a{3}: no text of the model's characters"),
        (Constraint(pattern="a{3}", length="4"), "satisfies this; they exclude one another, so relax one of them"),
        (Constraint(pattern="a+", charset="b"), "charset b and pattern a+: no text of the model's characters"),
        (Constraint(lexicon="missing"), "lexicon missing does not exist;"),
        (Constraint(lexicon="."), "lexicon .: it is a folder, not a file;"),
        (Constraint(lexicon="latin"), "lexicon latin: it is not UTF-8;"),
        (Constraint(lexicon="empty"), "lexicon empty has no text in it;"),
        (Constraint(lexicon="strange"), "strange, line 3: the model cannot read 'Q' 'x' in 'aQx', 2 of 3 texts"),
        (Constraint(lexicon="good", length="3"), "good: none of its 2 texts satisfies length 3, the first is 'ab';"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told_in_one_sentence(
    constraint: Constraint, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "latin").write_bytes("é".encode("latin-1"))
    (tmp_path / "empty").write_text("\n\n")
    (tmp_path / "strange").write_text("a\n\naQx\nX\n")
    (tmp_path / "good").write_text("ab\nb7\n")
    with pytest.raises(UserError) as error:
        constraint.automaton(ALPHABET)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


PATTERNS = [".*", "a?b*-?", "(ab|ba|-7)+", "[^a]{2}", "(a|b|aa)-?", "aab?", "b{3}", "(a|b)*a(a|b)"]


@pytest.mark.parametrize("pairs", [4_000_000, 1])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_search_finds_what_enumeration_finds(pattern: str, pairs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # With one character told apart, all others are bounded together.
    monkeypatch.setattr(prefix_search, "MAX_PAIRS", pairs)
    monkeypatch.setattr(prefix_search, "MIN_SYMBOLS", 1)
    automaton = Constraint(pattern=pattern).automaton("ab-7")
    assert automaton is not None
    for seed, sharpness in itertools.product(range(4), (0.0, 1.0, 4.0)):
        (row,) = outputs(seed, batch=1, classes=5, sharpness=sharpness)
        allowed = {text: p for text, p in enumerated(row).items() if automaton.accepts(text)}
        best = sorted(allowed.items(), key=lambda item: -item[1])[:3]
        found = search(row, automaton, top=3)
        assert found.exact
        assert [np.exp(score) for score, _ in found.texts] == pytest.approx([p for _, p in best], abs=1e-6)
        for score, text in found.texts:
            assert np.exp(score) == pytest.approx(allowed[text], abs=1e-6)
        assert len({text for _, text in found.texts}) == len(best)


def test_the_search_finds_the_best_of_a_lexicon(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    alphabet = "0123456789"
    texts = sorted({"".join(rng.choice(list(alphabet), rng.integers(3, 7))) for _ in range(3000)})
    (tmp_path / "texts").write_text("\n".join(texts))
    automaton = Constraint(lexicon=tmp_path / "texts").automaton(alphabet)
    assert automaton is not None
    encoded = [numbers(text, alphabet) for text in texts]
    for seed, sharpness in itertools.product(range(3), (0.5, 2.0, 5.0)):
        (row,) = outputs(seed, batch=1, steps=12, classes=11, sharpness=sharpness)
        scores = text_log_probabilities(np.repeat(row[None], len(texts), axis=0), encoded)
        found = search(row, automaton, top=2)
        assert found.exact
        assert [score for score, _ in found.texts] == pytest.approx(np.sort(scores)[:-3:-1], abs=1e-5)
        assert found.texts[0][1] == encoded[scores.argmax()]


def test_a_search_cut_short_still_keeps_to_the_constraint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefix_search, "MAX_EXPANDED", 1)
    automaton = Constraint(length="3-20").automaton("0123456789")
    assert automaton is not None
    # All texts of a length are equally likely.
    (row,) = outputs(0, batch=1, steps=20, classes=11, sharpness=0)
    found = search(row, automaton)
    assert not found.exact
    assert automaton.accepts(found.texts[0][1])
    assert constrained(row[None], automaton)[0][0].proven is False
    monkeypatch.undo()
    assert constrained(row[None, :4], automaton)[0][0].proven is True


def test_constrained_decoding_of_a_batch() -> None:
    # Many of the most probable alignments are allowed texts, few are proven by that alone.
    batch = outputs(5, batch=20, classes=5, sharpness=2.0)
    every = [enumerated(row) for row in batch]
    for pattern, top in itertools.product(("[ab].", ".*", "a?b?", ".{1,3}"), (1, 2)):
        automaton = Constraint(pattern=pattern).automaton("ab-7")
        assert automaton is not None
        for texts, found in zip(every, constrained(batch, automaton, top), strict=True):
            best = sorted(((p, text) for text, p in texts.items() if automaton.accepts(text)), reverse=True)[:top]
            assert [decoded.numbers for decoded in found] == [text for _, text in best]
            assert [decoded.probability for decoded in found] == pytest.approx([p for p, _ in best], abs=1e-6)


def test_no_text_where_none_fits_into_the_columns() -> None:
    automaton = Constraint(length="4").automaton("ab")
    assert automaton is not None
    (row,) = outputs(0, batch=1, steps=6)
    assert constrained(row[None, :3], automaton) == [[]]
    # Columns beyond the picture are masked so, in networks of any width.
    masked = row.copy()
    masked[3:] = [0.0, -1e4, -1e4]
    assert constrained(masked[None], automaton) == [[]]
    masked[3] = row[3]
    (found,) = constrained(masked[None], automaton)
    assert len(found[0].numbers) == 4


def test_a_lexicon_of_any_size_is_a_few_arrays(tmp_path: Path) -> None:
    (tmp_path / "texts").write_text("\n".join(f"{number:06}" for number in range(0, 200_000, 7)))
    automaton = Constraint(lexicon=tmp_path / "texts").automaton("0123456789")
    assert automaton is not None
    assert automaton.accepts(numbers("000014", "0123456789"))
    assert not automaton.accepts(numbers("000015", "0123456789"))
    assert automaton.fewest[0] == 6
    assert len(automaton.numbers) == automaton.states - 1


@pytest.mark.parametrize("kind", ["sparse", "pipe", "memory"])
def test_a_lexicon_that_is_no_text_file_is_refused_before_it_is_read(tmp_path: Path, kind: str) -> None:
    lexicon = tmp_path / "lexicon.txt"
    if kind == "sparse":
        lexicon.touch()
        os.truncate(lexicon, 1 << 42)
    elif kind == "pipe":
        os.mkfifo(lexicon)
    else:
        lexicon.symlink_to("/proc/self/mem")
    with pytest.raises(UserError, match=r"larger than|named pipe|cannot be read"):
        Constraint(lexicon=lexicon).automaton("AB")


def test_a_lexicon_of_one_endless_line_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lexicon.txt").write_text("AB\n\n" + 2_000 * "AB")
    with pytest.raises(UserError, match=r"line 3: a text of 4,000 characters, more than the 1,000"):
        Constraint(lexicon=tmp_path / "lexicon.txt").automaton("AB")
