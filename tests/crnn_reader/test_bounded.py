"""Files that were changed since they were written: a value, or one reason why there is none."""

from __future__ import annotations

import os
import socket
import tracemalloc
from pathlib import Path

import pytest

from crnn_reader import bounded


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "Expecting value"),
        (b'{"a": ', "Expecting value"),
        (b'{"a": "\xe9"}', "it is not UTF-8"),
        (b'{"a": NaN}', "it holds NaN"),
        (b"[-Infinity]", "it holds -Infinity"),
        (b'{"a": 1, "b": 2, "a": 1}', "it has 'a' twice"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[" * 30 + b"]" * 30, "nested too deeply"),
        (b'{"a":' * 30 + b"1" + b"}" * 30, "nested too deeply"),
        (b"9" * 5000, "Exceeds the limit"),
        (b" " * 200_000 + b"1", "it is larger than 150,000 bytes"),
    ],
)
def test_what_is_no_json_of_this_kit_has_one_reason(data: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(data)
    with pytest.raises(ValueError, match=reason):
        bounded.read_json(tmp_path / "a.json", 150_000)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_pipes_and_folders_in_place_of_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    os.symlink("pipe", "to-pipe")
    os.symlink("circle", "circle")
    os.symlink("nowhere", "dangling")
    os.mkdir("folder")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
    for name, what in (
        ("pipe", "a named pipe"),
        ("to-pipe", "a named pipe"),
        ("circle", "a link that leads nowhere"),
        ("dangling", "a link that leads nowhere"),
        ("folder", "a folder"),
        ("socket", "a socket"),
        ("/dev/zero", "a device"),
    ):
        assert bounded.irregular(name) == what
        with pytest.raises(ValueError, match=f"it is {what}, not a file"):
            bounded.read_json(name)
    assert bounded.irregular("missing") is None
    with pytest.raises(FileNotFoundError):
        bounded.read_json("missing")


def test_a_link_to_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": [1, 2.5, "é"]}', encoding="utf-8")
    (tmp_path / "b.json").symlink_to(tmp_path / "a.json")
    assert bounded.read_json(tmp_path / "b.json") == {"a": [1, 2.5, "é"]}


def test_a_text_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "text.txt").open("wb") as file:
        file.truncate(1 << 42)
    # So much that reading it would end in a MemoryError.
    with pytest.raises(ValueError, match="larger than 1,099,511,627,776 bytes"):
        bounded.read_text(tmp_path / "text.txt", 1 << 40)


def test_a_file_takes_the_memory_of_its_own_size(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("small")
    tracemalloc.start()
    try:
        assert bounded.read_text(tmp_path / "text.txt", 1 << 28) == "small"
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1 << 22


def test_a_file_of_several_parts_is_read_to_its_bound(tmp_path: Path) -> None:
    text = "0123456789" * (bounded.PART // 4)
    (tmp_path / "text.txt").write_text(text)
    assert bounded.read_text(tmp_path / "text.txt", len(text)) == text
    with pytest.raises(ValueError, match="it is larger than"):
        bounded.read_text(tmp_path / "text.txt", len(text) - 1)
