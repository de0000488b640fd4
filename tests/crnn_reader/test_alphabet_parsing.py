"""Parsing of alphabets: ranges, characters, files."""

from __future__ import annotations

from pathlib import Path

import pytest

from crnn_reader.alphabet import character_frequencies, parse_alphabet


@pytest.mark.parametrize(
    ("text", "characters"),
    [
        ("0-9A-C", "0123456789ABC"),
        ("CAB", "CAB"),
        ("-A", "-A"),
        ("A-", "A-"),
        ("0-2-", "012-"),
        ("0-2-A", "012-A"),
        ("-", "-"),
        ("A-A", "A"),
        ("u\u0308", "ü"),
        ("一-三", "".join(map(chr, range(ord("一"), ord("三") + 1)))),
        ("𝐀-𝐂", "𝐀𝐁𝐂"),
    ],
)
def test_parse_ranges_and_characters(text: str, characters: str) -> None:
    assert parse_alphabet(text) == characters


@pytest.mark.parametrize(
    ("content", "characters"),
    [
        (b"b\na\n", "ba"),
        (b"b\r\na\r\n\r\n", "ba"),
        (b"\xef\xbb\xbfb\na", "ba"),
        ("0\tä\n1\t字\n2\t<nul>\n".encode(), "ä字"),
        (b"a\n \nb\n", "a b"),
        ("u\u0308\n".encode(), "ü"),
        (b"-\n0\n", "-0"),
        ("u\u0308\t7\n0\t0.5\n \t3\n".encode(), "ü0 "),
    ],
)
def test_parse_files(content: bytes, characters: str, tmp_path: Path) -> None:
    path = tmp_path / "characters.txt"
    path.write_bytes(content)
    assert parse_alphabet(str(path)) == characters


def test_gb2312() -> None:
    characters = parse_alphabet("gb2312")
    assert len(set(characters)) == len(characters) == 6763
    assert characters.startswith("啊阿埃")
    assert characters[3754:3756] == "座亍"
    assert characters.endswith("鼾齄")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "at least one character"),
        ("9-0", "range 9-0 runs backwards; write 0-9"),
        ("0-9A5", "'5' is in the alphabet twice"),
        ("u\u0308ü", "'ü' is in the alphabet twice"),
        ("A\x07", r"control character U\+0007"),
        ("gone.txt", "no such file"),
    ],
)
def test_invalid_texts(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        parse_alphabet(text)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "at least one character"),
        (b"a\nbc\n", "line 2 of the file is 'bc'"),
        (b"a\na\n", "'a' is in the alphabet twice"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"a\t7\nb\n", "line 2 of the file is 'b'; in a file with frequencies"),
        (b"a\t7\nb\t0\n", "line 2 of the file is 'b.t0'; in a file with frequencies"),
        (b"a\t7\nb\tmany\n", "a tab and a number above 0"),
        (b"a\t7\nb\tinf\n", "a tab and a number above 0"),
        (b"1\ta\n2\tbc\n", "line 2 of the file is '2.tbc'; an alphabet file has one"),
    ],
)
def test_invalid_files(content: bytes, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "characters"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=sentence):
        parse_alphabet(str(path))


def test_files_in_utf_16_are_read(tmp_path: Path) -> None:
    path = tmp_path / "characters"
    path.write_text("ä\n字\n", encoding="utf-16")
    assert parse_alphabet(str(path)) == "ä字"


@pytest.mark.parametrize(
    ("content", "frequencies"),
    [
        ("的\t500\n0\t0.5\n", [500, 0.5]),
        ("a\t0.9\nb\t3.2e-05\n", [0.9, 3.2e-05]),
        ("0\t50\n1\t3\n", [50, 3]),
        ("0\t1\n1\t2\n", None),
        ("0\ta\n1\tb\n", None),
        ("a\nb\n", None),
    ],
)
def test_frequencies_of_files(content: str, frequencies: list[float] | None, tmp_path: Path) -> None:
    path = tmp_path / "characters.txt"
    path.write_text(content, encoding="utf-8")
    assert character_frequencies(str(path)) == frequencies
    assert character_frequencies("0-9") is None
