"""Faults of a corpus are found and named, by the public checks and by the command."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import dataset
from cli.command import WRONG_USE, run_command
from crnn_reader.errors import UserError
from dataset import __main__ as command_line
from dataset.__main__ import main
from dataset.contents import log_each
from parameter import DatasetParameters
from tests.processes import finished

Maker = Callable[..., Path]


def fine(label: str, width: int, height: int) -> None:
    return None


def contents(folder: Path) -> dataset.Contents:
    return dataset.examine(dataset.collect(folder))


def test_a_corpus_without_faults(tmp_path: Path, write: Maker) -> None:
    report = dataset.check(contents(write(tmp_path, ["ab_1.png", "ba_2.png", "ab_3.png"])), "ab", fine)
    assert (report.pictures, report.duplicates, list(report.errors())) == (3, 0, [])


def test_characters_outside_the_alphabet(tmp_path: Path, write: Maker) -> None:
    write(tmp_path, ["ab_1.png", "aß_2.png", "a c_3.png"])
    with pytest.raises(UserError, match=r"3 characters outside the alphabet: SPACE c ß \(a c_3\.png\)"):
        dataset.check(contents(tmp_path), "ab", fine)


def test_labels_too_long(tmp_path: Path, write: Maker) -> None:
    write(tmp_path, ["aab_1.png", "ab_2.png"])
    reason = UserError("needs 4 steps of 3", "size", "64x32")
    with pytest.raises(UserError, match=r"1 label too long for the network, first aab_1\.png: needs 4 steps") as raised:
        dataset.check(contents(tmp_path), "ab", lambda label, *size: reason if "aa" in label else None)
    assert raised.value.parameters == {"size": "64x32"}


def test_labels_missing(tmp_path: Path, write: Maker) -> None:
    write(tmp_path, ["_1.png", "a_2.png"])
    with pytest.raises(UserError, match=r"1 picture without a label \(_1\.png\)") as raised:
        dataset.check(contents(tmp_path), "a", fine)
    assert raised.value.parameters == {"label_pattern": ""}


def test_two_labels_for_the_same_picture(tmp_path: Path, write: Maker) -> None:
    write(tmp_path, ["a_1.png", "b_1.png", "b_3.png"])
    shutil.copy(tmp_path / "b_1.png", tmp_path / "a_2.png")
    with pytest.raises(UserError, match=r"same picture: a_2\.png says a, b_1\.png says b: mend"):
        dataset.check(contents(tmp_path), "ab", fine)


def test_copies_with_the_same_label_are_counted(tmp_path: Path, write: Maker) -> None:
    write(tmp_path, ["a_1.png"])
    for number in (2, 3):
        shutil.copy(tmp_path / "a_1.png", tmp_path / f"a_{number}.png")
    assert dataset.check(contents(tmp_path), "a", fine).duplicates == 2


def test_a_copy_without_a_label_is_no_conflict(tmp_path: Path, write: Maker) -> None:
    write(tmp_path, ["a_1.png"])
    shutil.copy(tmp_path / "a_1.png", tmp_path / "_2.png")
    with pytest.raises(UserError, match=r"^1 picture without a label \(_2\.png\)[^()]*$"):
        dataset.check(contents(tmp_path), "a", fine)


def test_unreadable_pictures_are_no_error(tmp_path: Path, write: Maker) -> None:
    write(tmp_path, ["a_1.png"])
    (tmp_path / "a_2.png").touch()
    report = dataset.check(contents(tmp_path), "a", fine)
    assert (report.pictures, report.unreadable) == (1, [("a_2.png", "zero bytes")])


def test_no_readable_picture_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a_2.png").touch()
    with pytest.raises(UserError, match=r"none of the 1 pictures can be read \(first a_2\.png: zero bytes\)"):
        dataset.check(contents(tmp_path), "a", fine)


def test_several_faults_are_one_sentence(tmp_path: Path, write: Maker) -> None:
    write(tmp_path, ["_1.png", "b_2.png"])
    with pytest.raises(UserError, match=r"without a label.* \(and 1 other fault\)$"):
        dataset.check(contents(tmp_path), "a", fine)


def test_each_picture_is_named_unless_none_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    messages = [f"{number}.png: no such file" for number in range(1_250)]
    log_each(messages, nothing_left=False)
    assert capsys.readouterr().err.splitlines() == messages
    log_each(messages, nothing_left=True)
    assert capsys.readouterr().err.splitlines() == [*messages[:100], "… and 1,150 more like these"]


def run(path: Path, *flags: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        run_command(main, DatasetParameters, [str(path), *flags])
    return int(stop.value.code or 0), *capsys.readouterr()


def test_report_names_the_next_command_and_rare_characters(
    tmp_path: Path, write: Maker, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = [f"{number * 7919 % 10000:04}" for number in range(100)]
    write(tmp_path, [f"{text}_{number}.png" for number, text in enumerate([*texts[1:], "012Z"])])
    (tmp_path / "corpus.json").write_text('{"style": "line", "size": "autox32"}')
    code, out, errors = run(tmp_path, capsys=capsys)
    assert (code, errors) == (0, f"next: python training.py --data {tmp_path} --size autox32\n")
    assert re.search(r"rare +Z 1×\s", out)
    for record in ('{"style": "captcha", "size": "128x64"}', '{"style": "line"}', "[]", "{"):
        (tmp_path / "corpus.json").write_text(record)
        assert run(tmp_path, capsys=capsys)[2] == f"next: python training.py --data {tmp_path}\n"


def test_command(tmp_path: Path, write: Maker) -> None:
    write(tmp_path / "data", ["ab_1.png", "abc_2.png"])
    command = [sys.executable, "-m", "dataset", str(tmp_path / "data"), "--json", str(tmp_path / "report.json")]
    done = finished(command, check=True)
    assert done.stderr == f"next: python training.py --data {tmp_path / 'data'}\n"
    assert "2 readable, 0 unreadable" in done.stdout
    assert "rare" not in done.stdout
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert report["pictures"] == 2
    assert report["alphabet"] == "abc"
    assert report["characters"] == {"a": 2, "b": 2, "c": 1}
    assert report["lengths"] == {"2": 1, "3": 1}
    assert report["width"] == {"smallest": 40, "median": 40, "largest": 40}


def test_command_names_faults(tmp_path: Path, write: Maker, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, ["a_1.png", "[b]_1.png"])
    (tmp_path / "c_1.png").write_text("no picture")
    shutil.copy(tmp_path / "a_1.png", tmp_path / "d_1.png")
    code, out, err = run(tmp_path, capsys=capsys)
    assert code == 1
    assert err == "c_1.png: not a picture\n"
    assert "c_1.png: not a picture" in out
    assert "two labels for the same picture" in out
    assert "[ ] a b d" in out
    assert "training.py" not in out


def test_a_misspelt_command_gets_a_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        command_line.run(["conver", "in", "out", "--form", "tsv"])
    assert stop.value.code == WRONG_USE
    assert capsys.readouterr().err == "error: conver does not exist: did you mean `python -m dataset convert`?\n"


def test_bars_of_many_lengths_end_with_the_longest(
    tmp_path: Path, write: Maker, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, [f"{'a' * length}_{length}.png" for length in range(20, 26)])
    _, out, _ = run(tmp_path, capsys=capsys)
    assert " 19-20 " in out
    assert " 23-24 " in out
    assert " 25 " in out
    assert "25-26" not in out


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "error: no pictures in "),
        (["--label-pattern", "("], "not a regular expression"),
        (["--label-pattern", "x"], "a group named label"),
        (["--colour"], "see --help"),
    ],
)
def test_command_used_wrongly(
    flags: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(tmp_path, *flags, capsys=capsys)
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1


def test_command_without_a_readable_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a_1.png").touch()
    code, out, err = run(tmp_path, capsys=capsys)
    assert (code, out) == (2, "")
    assert err.splitlines()[0] == "a_1.png: zero bytes"
    assert "none of the 1 pictures can be read" in err
