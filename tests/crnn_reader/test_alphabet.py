from __future__ import annotations

from pathlib import Path

import pytest

from crnn_reader.alphabet import Alphabet, ctc_steps, expand_alphabet, parse_alphabet, write_alphabet
from model.scores import unknown_characters


def test_numbers_start_at_one_and_come_back() -> None:
    alphabet = Alphabet("0Aä字")
    assert alphabet.encode("字0ä") == [4, 1, 3]
    assert alphabet.decode([4, 1, 3]) == "字0ä"
    assert alphabet.classes == 5


@pytest.mark.parametrize("characters", ["", "ABA"])
def test_an_alphabet_has_each_character_once(characters: str) -> None:
    with pytest.raises(ValueError, match="once"):
        Alphabet(characters)


@pytest.mark.parametrize(("text", "steps"), [("", 0), ("A", 1), ("ABA", 3), ("AAB", 4), ("1111", 7)])
def test_ctc_needs_a_blank_between_equal_neighbours(text: str, steps: int) -> None:
    assert ctc_steps(text) == steps


def test_labels_that_cannot_be_read_are_told_with_what_is_unknown_in_them() -> None:
    assert (
        unknown_characters(["A1", "B 2", "Ab"], "AB12")
        == "2 labels have characters that the model cannot read: space b"
    )
    assert unknown_characters(["A1", "Ab"], "AB12", ignore_case=True) is None


@pytest.mark.parametrize("characters", ["abc", "-abc", "a-bc", "abc-", "-", "가나-하"])
def test_written_alphabets_are_read_as_the_same_characters(
    characters: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "abc").write_text("x\ny\n")
    assert expand_alphabet(write_alphabet(characters)) == characters
    assert parse_alphabet("abc") == "xy"
