"""prediction.py: flags, lines, files and exit codes."""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess

import cv2
import numpy as np
import pytest

import prediction
from cli.command import INTERRUPTED, WRONG_USE
from crnn_reader.image import ImageOptions
from crnn_reader.reader import Reader, Reading
from dataset.inputs import inputs
from model import tables
from parameter import PredictionParameters
from tests.commands import exit_code, run
from tests.processes import finished, started
from tests.samples import LABELS, MODEL, level, sample, unsure_sample

ROOT = Path(prediction.__file__).parent

Predict = Callable[..., tuple[int, list[str], str]]


@pytest.fixture
def predict(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Predict:
    """Run the command with captcha_lite in a folder of its own; returns exit code, lines of stdout, and stderr."""
    monkeypatch.chdir(tmp_path)

    def predict(*argv: str, stdin: str = "") -> tuple[int, list[str], str]:
        out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        monkeypatch.setattr(sys, "stdout", out)
        code = exit_code(prediction.main, PredictionParameters, [*MODEL, *argv])
        assert isinstance(out.buffer, io.BytesIO)
        lines = out.buffer.getvalue().decode("utf-8", "surrogateescape").split("\n")[:-1]
        return code, lines, capsys.readouterr().err

    return predict


def test_one_line_per_picture_in_input_order(predict: Predict, tmp_path: Path) -> None:
    for number, name in enumerate(("b/2.png", "a/10.png", "a/9.PNG", ".hidden/3.png", "b/notes.txt")):
        sample(tmp_path / name, number)
    sample(tmp_path / "single.png", 5)
    sample(tmp_path / "without_suffix", 6)
    (tmp_path / "list.csv").write_text("file,label\nb/2.png,x\nsingle.png,y\n")
    code, lines, errors = predict(
        "single.png", "b", "list.csv", "without_suffix", "a", "-", stdin="a/9.PNG\r\n\nb/2.png\n"
    )
    assert code == 0
    expected = [
        ("single.png", 5),
        ("b/2.png", 0),
        ("b/2.png", 0),
        ("single.png", 5),
        ("without_suffix", 6),
        ("a/10.png", 1),
        ("a/9.PNG", 2),
        ("a/9.PNG", 2),
        ("b/2.png", 0),
    ]
    assert lines == [f"{name}\t{LABELS[number]}\t1.0000" for name, number in expected]
    assert "9 pictures in" in errors


def test_unreadable_pictures_are_named_with_their_reason(predict: Predict, tmp_path: Path) -> None:
    sample(tmp_path / "in" / "1.png")
    (tmp_path / "in" / "broken.png").write_bytes(b"junk")
    (tmp_path / "in" / "empty.jpg").write_bytes(b"")
    huge = b"BM" + bytes(12) + (40).to_bytes(4, "little") + (70_000).to_bytes(4, "little") * 2 + bytes(28)
    (tmp_path / "in" / "huge.bmp").write_bytes(huge)
    (tmp_path / "list.txt").write_text("in/1.png\nin/missing.png\n")
    code, lines, errors = predict("in", "list.txt", "--csv", "out.csv")
    assert code == 1
    assert lines == [f"in/1.png\t{LABELS[0]}\t1.0000"] * 2
    assert "4 pictures could not be read, for the reasons above" in errors
    for name in ("in/broken.png: ", "in/empty.jpg: ", "in/huge.bmp: ", "in/missing.png: "):
        assert name in errors
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 3


def test_labels_add_truth_verdict_and_scores(predict: Predict, tmp_path: Path) -> None:
    right, read = LABELS[0], LABELS[1]
    wrong = f"{read[:3]}?"
    sample(tmp_path / f"{right}_a.png", 0)
    sample(tmp_path / f"{wrong}_b.png", 1)
    sample(tmp_path / "_c.png", 2)
    code, lines, errors = predict(".", "--labels", "--csv", "o.csv", "--json", "o.json")
    assert code == 0
    assert lines == [
        f"{right}_a.png\t{right}\t1.0000\t{right}\tcorrect",
        f"{wrong}_b.png\t{read}\t1.0000\t{wrong}\twrong",
        f"_c.png\t{LABELS[2]}\t1.0000\t\tunlabelled",
    ]
    assert "exact match 50.00% (1 of 2; 95 % interval 9.45% to 90.55%), letter accuracy 87.50%" in errors
    assert "1 of 3 pictures have no label" in errors
    with (tmp_path / "o.csv").open(newline="") as file:
        first = next(csv.DictReader(file))
    assert float(first.pop("probability")) > 0.999
    assert first == {"file": f"{right}_a.png", "text": right, "truth": right, "verdict": "correct"}
    entries = json.loads((tmp_path / "o.json").read_text())
    assert [(entry["file"], entry["text"], entry["truth"], entry["correct"]) for entry in entries] == [
        (f"{right}_a.png", right, right, True),
        (f"{wrong}_b.png", read, wrong, False),
        ("_c.png", LABELS[2], None, None),
    ]
    places = [(each["character"], each["left"], each["right"]) for each in entries[1]["characters"]]
    assert [character for character, _, _ in places] == list(read)
    assert all(0 <= left < right <= 128 for _, left, right in places)

    (tmp_path / "list.tsv").write_text(f"{right}_a.png\t{right}\n{wrong}_b.png\t{read}\n")
    assert "exact match 100.00%" in predict("list.tsv", "--labels")[2]
    (line,) = predict(f"{right}_a.png", "--labels", "--label-pattern", "_(?P<label>.)")[1]
    assert line.split("\t")[3:] == ["a", "wrong"]


def test_unsure_readings_are_marked_as_rejected(predict: Predict, tmp_path: Path) -> None:
    sample(tmp_path / f"{LABELS[0]}_a.png")
    unsure_sample(tmp_path / "21_b.png")
    code, lines, errors = predict(".", "--labels", "--min-probability", "0.5", "--csv", "o.csv", "--json", "o.json")
    assert code == 0
    assert [line.split("\t")[3:] for line in lines] == [["accepted", LABELS[0], "correct"], ["rejected", "21", "wrong"]]
    assert "1 of them rejected: read as empty, or with a probability below 0.5" in errors
    assert "accepted 50.00% (1) of the pictures, of which 100.00% are right" in errors
    with (tmp_path / "o.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert list(table[0]) == ["file", "text", "probability", "status", "truth", "verdict"]
    assert [row["status"] for row in table] == ["accepted", "rejected"]
    assert [entry["accepted"] for entry in json.loads((tmp_path / "o.json").read_text())] == [True, False]
    assert predict("21_b.png", "--min-probability", "1.5")[0] == WRONG_USE


def test_only_unsure_pictures_are_read_again_on_request(predict: Predict, tmp_path: Path) -> None:
    sample(tmp_path / "a.png")
    unsure_sample(tmp_path / "b.png")
    once, again, off = (predict(".", *flags)[1] for flags in ((), ("--tta", "0.9"), ("--tta", "0")))
    assert once == off and once[0] == again[0] and once[1] != again[1]
    code, _, errors = predict(".", "--tta", "90")
    assert code == WRONG_USE and "--tta 90" in errors


def test_readings_not_proven_to_be_the_most_probable_are_counted(
    predict: Predict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Reader.read

    def unproven(self: Reader, sources: Iterable[str]) -> Iterator[Reading]:
        """Readings of the real model, except that the search for the second text ran out of effort."""
        for number, reading in enumerate(read(self, sources)):
            yield replace(reading, proven=number == 0)

    monkeypatch.setattr(Reader, "read", unproven)
    sample(tmp_path / "in" / "1.png", 1)
    sample(tmp_path / "in" / "2.png", 2)
    _, _, errors = predict("in", "--length", "4", "--json", "o.json")
    assert "1 reading may not be the most probable allowed text" in errors
    assert [entry["proven"] for entry in json.loads((tmp_path / "o.json").read_text())] == [True, False]


def test_tables_hold_any_file_name(predict: Predict, tmp_path: Path) -> None:
    names = ['tab\there "quoted", comma.png', "line\nbreak.png", os.fsdecode(b"latin-\xe9.png")]
    for number, name in enumerate(names):
        sample(tmp_path / "in" / name, number)
    code, lines, _ = predict("in", "--csv", "o.csv", "--json", "o.json", "--top", "2")
    assert (code, len(lines)) == (0, 3)
    assert lines[1].startswith(f"in/line\\nbreak.png\t{LABELS[1]}\t1.0000\t")
    with open(tmp_path / "o.csv", encoding="utf-8", errors="surrogateescape", newline="") as file:
        table = list(csv.reader(file))
    assert table[0] == ["file", "text", "probability", "text_2", "probability_2"]
    assert {row[0] for row in table[1:]} == {f"in/{name}" for name in names}
    entries = json.loads((tmp_path / "o.json").read_text())
    assert {entry["file"] for entry in entries} == {f"in/{name}" for name in names}
    (other,) = entries[1]["others"]
    assert lines[1].split("\t")[3:] == [other["text"], f"{other['probability']:.4f}"]


@pytest.mark.parametrize("place", ["pics", "pics/sub", "out", ".", "link"])
@pytest.mark.parametrize("given", ["pics", "absolute", "../{here}/pics", "stdin", "link"])
def test_tables_name_pictures_relative_to_their_own_folder(
    predict: Predict, tmp_path: Path, place: str, given: str
) -> None:
    names = ["1.png", "sub/2.png", " 3.png", "=4.png"]
    for number, name in enumerate(names):
        sample(tmp_path / "pics" / name, number)
    (tmp_path / "elsewhere" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to("elsewhere/deep" if place == "link" else "pics", target_is_directory=True)
    stdin = "".join(f"pics/{name}\n" for name in names)
    path = {"absolute": str(tmp_path / "pics"), "stdin": "-"}.get(given, given.format(here=tmp_path.name))
    if given == "link" and place == "link":
        path = "pics"
    flags = ["--csv", f"{place}/readings.csv", "--json", f"{place}/readings.json", "--csv-safe"]
    code, lines, errors = predict(path, *flags, stdin=stdin)
    assert (code, len(lines)) == (0, 4), errors
    # On stdout, paths are as they were given.
    assert all(line.startswith("pics" if given == "stdin" else path) for line in lines)
    with open(tmp_path / place / "readings.csv", encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    entries = json.loads((tmp_path / place / "readings.json").read_text())
    for rows in (table, entries):
        found = {str(tmp_path / place / row["file"]): row["text"] for row in rows}
        assert {os.path.realpath(file): text for file, text in found.items()} == {
            os.path.realpath(tmp_path / "pics" / name): text for name, text in zip(names, LABELS, strict=False)
        }
        assert not any(os.path.isabs(row["file"]) for row in rows)
    # No cell is a formula or begins with white space.
    assert not [row for row in table if row["file"].startswith(("=", " "))]
    code, lines, errors = predict(f"{place}/readings.csv")
    assert (code, len(lines)) == (0, 4), errors


@pytest.mark.parametrize("name", ["labels", "metadata", "readings"])
def test_a_table_among_the_pictures_changes_nothing_for_the_next_reading(
    predict: Predict, tmp_path: Path, name: str
) -> None:
    for number in range(3):
        sample(tmp_path / "pics" / f"{number}.png", number)
    flags = ["--csv", f"pics/{name}.csv", "--json", f"pics/{name}.json"]
    first = predict("pics", *flags)
    assert first[:2] == (0, [f"pics/{number}.png\t{LABELS[number]}\t1.0000" for number in range(3)])
    assert predict("pics", *flags)[:2] == first[:2]
    assert predict("pics")[:2] == first[:2]


@pytest.mark.parametrize("suffix", ["csv", "json"])
def test_a_table_of_readings_with_labels_is_read_without_a_warning(
    predict: Predict, tmp_path: Path, suffix: str
) -> None:
    for number in range(3):
        sample(tmp_path / "pics" / f"{number}_.png", number)
    table = "labels.csv" if suffix == "csv" else "labels.jsonl"
    assert predict("pics", "--labels", f"--{suffix}", f"pics/{table}")[0] == 0
    for path in ("pics", f"pics/{table}"):
        code, lines, errors = predict(path)
        assert (code, len(lines)) == (0, 3)
        assert errors.startswith("3 pictures in ") and errors.count("\n") == 1, errors


@pytest.mark.parametrize("content", [b"Bild;Text\na.png;\xdc\n", b"name;solution\n", b"", b"file,label\nb.png,x\n"])
def test_without_labels_a_list_in_the_folder_is_ignored(predict: Predict, tmp_path: Path, content: bytes) -> None:
    for name in ("in/a.png", "in/b.png"):
        sample(tmp_path / name)
    (tmp_path / "in" / "labels.csv").write_bytes(content)
    code, lines, _ = predict("in")
    assert (code, [line.split("\t")[0] for line in lines]) == (0, ["in/a.png", "in/b.png"])


def test_names_that_are_not_utf_8_are_read_back_from_a_table(predict: Predict, tmp_path: Path) -> None:
    sample(tmp_path / "in" / os.fsdecode(b"\xe9.png"))
    sample(tmp_path / "in" / "b\nc.png")
    assert predict("in", "--csv", "in/table.csv")[0] == 0
    code, lines, _ = predict("in/table.csv")
    assert (code, len(lines)) == (0, 2)
    assert predict("in")[0] == 0


def test_paths_on_stdin_as_shells_and_find_write_them(predict: Predict, tmp_path: Path) -> None:
    names = ["a b.png", "c'd.png", "e\\f.png", "g\nh.png", "i.png"]
    for number, name in enumerate(names):
        sample(tmp_path / name, number)
    expected = LABELS[: len(names)]

    def read(stdin: str) -> list[str]:
        code, lines, errors = predict("-", stdin=stdin)
        assert code == 0, errors
        return [line.split("\t")[1] for line in lines]

    assert read("".join(f"{name}\0" for name in names)) == expected  # find -print0
    assert read("\0".join(names) + "\n") == expected
    quoted = [shlex.quote(name) for name in names if "\n" not in name]
    del expected[3]
    assert read("\n".join(quoted)) == expected  # ls --quoting-style=shell
    assert read(" ".join(quoted)) == expected
    assert read('a\\ b.png\n"c\'d.png"\ne\\\\f.png\ni.png\n') == expected  # printf %q
    assert read("e\\f.png\n") == [LABELS[2]]


def test_pictures_on_another_drive_have_absolute_paths(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def no_way(*_: object) -> str:
        raise ValueError("path is on mount 'D:', start on mount 'C:'")

    monkeypatch.setattr(os.path, "relpath", no_way)
    assert tables.relative_to(str(tmp_path / "o.csv"))(str(tmp_path / "in" / "1.png")) == str(tmp_path / "in" / "1.png")


@pytest.mark.skipif(os.name == "nt", reason="devices are files on POSIX systems only")
def test_a_table_for_a_pipe_names_pictures_as_they_are_given(predict: Predict, tmp_path: Path) -> None:
    sample(tmp_path / "in" / "1.png", 1)
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    assert predict("in", "--csv", "pipe")[0] == 0
    assert os.read(reader, 1000).decode().startswith(f"file,text,probability\nin/1.png,{LABELS[1]},0.99")
    os.close(reader)


def test_csv_safe_marks_formulas(predict: Predict, tmp_path: Path) -> None:
    for number, name in enumerate(("+a_.png", "@b_.png", "c_.png", "＝d_.png")):
        sample(tmp_path / name, number)

    def column(*flags: str) -> list[tuple[str, str]]:
        # A table with the truth in it would be read as a list of the folder.
        (tmp_path / "o.csv").unlink(missing_ok=True)
        assert predict(".", "--labels", "--csv", "o.csv", *flags)[0] == 0
        with open(tmp_path / "o.csv", encoding="utf-8", newline="") as file:
            return [(row["file"], row["truth"]) for row in csv.DictReader(file)]

    plain, safe = column(), column("--csv-safe")
    assert plain == [("+a_.png", "+a"), ("@b_.png", "@b"), ("c_.png", "c"), ("＝d_.png", "＝d")]
    assert safe == [("./+a_.png", "'+a"), ("./@b_.png", "'@b"), ("c_.png", "c"), ("./＝d_.png", "'＝d")]
    assert predict(".", "--csv-safe")[0] == WRONG_USE

    # Texts, too, which this model cannot read.
    rows = [tables.Row("a.png", text, 1.0) for text in ("=1+1", "-5", "AB-1")]
    with tables.csv_table("texts.csv", labels=False, top=1, status=False, safe=True) as add:
        for row in rows:
            add(row)
    assert Path("texts.csv").read_text().splitlines()[1:] == [
        "a.png,'=1+1,1.000000",
        "a.png,'-5,1.000000",
        "a.png,AB-1,1.000000",
    ]


def test_a_full_disk_ends_the_command_at_any_row() -> None:
    """In the first row, between, in the last, and at the end, while threads are reading."""
    story = """
import contextlib, errno, sys
import prediction
from model import tables
from parameter import PredictionParameters

@contextlib.contextmanager
def full(at):
    rows = 0
    def add(row):
        nonlocal rows
        rows += 1
        if rows == at: raise OSError(errno.ENOSPC, 'full')
    yield add
    if at is None: raise OSError(errno.ENOSPC, 'full')

failed = 0
for at in (1, 2, 20, 36, None):
    tables.csv_table = lambda *_: full(at)
    parameters = PredictionParameters(paths=('DB/samples',), model='captcha_lite', csv='o.csv', batch_size=2)
    try:
        prediction.main(parameters)
    except OSError as error:
        # Keep the traceback, whose frames hold the interrupted reading.
        kept = error
        failed += 1
sys.exit(failed)
"""
    done = finished([sys.executable, "-c", story], cwd=ROOT)
    assert done.returncode == 5, done.stderr


#: Escape sequence, line break, tab, backspace, direction of writing, C1, separator of lines, no Unicode.
CONTROL = ["\x1b[31m", "\n", "\r", "\t", "\x08", "\u202e", "\x9b2J", "\u2028", "\udce9"]


@pytest.mark.parametrize("control", CONTROL)
def test_control_characters_of_names_and_labels_are_escaped(predict: Predict, tmp_path: Path, control: str) -> None:
    sample(tmp_path / "in" / f"1{control}x_.png")
    (tmp_path / "in" / f"2{control}.png").write_bytes(b"junk")
    code, lines, errors = predict("in", "--labels", "--json", "o.json")
    escaped = control.encode("unicode_escape").decode()
    # Bytes that are no UTF-8 are replaced in labels.
    label, shown = ("1\ufffdx", "1\ufffdx") if control == "\udce9" else (f"1{control}x", f"1{escaped}x")
    assert code == 1
    (line,) = lines
    assert line.split("\t") == [f"in/1{escaped}x_.png", LABELS[0], "1.0000", shown, "wrong"]
    assert f"in/2{escaped}.png: " in errors and control not in errors.replace("\n", "")
    (entry,) = json.loads((tmp_path / "o.json").read_text())
    assert (entry["file"], entry["truth"]) == (f"in/1{control}x_.png", label)


def test_it_is_an_error_if_no_picture_can_be_read(predict: Predict, tmp_path: Path) -> None:
    for name in ("1.png", "2.png"):
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / name).write_bytes(b"junk")
    (tmp_path / "o.csv").write_text("earlier")
    code, lines, errors = predict("in", "--csv", "o.csv")
    assert (code, lines) == (WRONG_USE, [])
    assert errors.splitlines()[-1] == "error: none of the 2 pictures could be read, for the reasons above"
    assert (tmp_path / "o.csv").read_text() == "earlier"
    (tmp_path / "list.csv").write_text("file,label\nA1_1.png,A1\nB2_2.png,B2\n")
    code, lines, errors = predict("list.csv")
    assert (code, lines) == (WRONG_USE, [])
    assert errors.splitlines()[-1].endswith("for the reasons above: say where the paths start (--root)")
    assert "error: the only picture could not be read" in predict("in/1.png")[2]


def test_an_icdar_submission_has_names_without_folders_and_escaped_texts(predict: Predict, tmp_path: Path) -> None:
    for number, name in enumerate(("word_2.png", "word_10.png", "sub/word_1.png")):
        sample(tmp_path / "in" / name, number)
    (tmp_path / "in" / "word_3.png").write_bytes(b"junk")
    (tmp_path / "list.txt").write_text("in/word_2.png\nin/word_10.png\nin/word_3.png\nin/sub/word_1.png\n")
    assert predict("list.txt", "--icdar", "submissions/task_4_3.txt")[0] == 1
    assert (tmp_path / "submissions" / "task_4_3.txt").read_text().splitlines() == [
        f'{name}, "{text}"' for name, text in zip(("word_2.png", "word_10.png", "word_1.png"), LABELS, strict=False)
    ]
    with tables.icdar_submission("escaped.txt") as add:
        for text in (r'5" \ 6', "é"):
            add(tables.Row("in/word_1.png", text, 1.0))
    expected = 'word_1.png, "5\\" \\\\ 6"\nword_1.png, "é"\n'
    assert Path("escaped.txt").read_text(encoding="utf-8") == expected


def test_a_demo_reads_some_labelled_pictures_and_draws_them(
    predict: Predict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[list[str], list[str], list[int]]] = []

    def gallery(paths: list[str], captions: list[str], wrong: list[int], _: ImageOptions) -> np.ndarray:
        drawn.append((paths, captions, wrong))
        return np.zeros((4, 4, 3), np.uint8)

    monkeypatch.setattr("dataset.contact_sheets.gallery", gallery)
    for number in range(36):
        sample(tmp_path / "in" / f"{LABELS[number - number % 2]}_{number}.png", number)
    code, lines, errors = predict("in", "--demo", "10", "--csv", "o.csv")
    assert (code, len(lines)) == (0, 10)
    assert (tmp_path / "demo.png").exists()
    assert "of 10;" in errors
    assert len((tmp_path / "o.csv").read_text().splitlines()) == 11
    paths, captions, wrong = drawn[0]
    rows = [line.split("\t") for line in lines]
    assert paths == [row[0] for row in rows]
    assert captions == [text if verdict == "correct" else f"{text}, not {truth}" for _, text, _, truth, verdict in rows]
    assert wrong == [place for place, row in enumerate(rows) if row[4] == "wrong"]
    assert 0 < len(wrong) < 10

    assert predict("in", "--demo", "10", "--plot", "other.png")[1] == lines
    assert (tmp_path / "other.png").exists()
    assert predict("in", "--demo", "97")[0] == 2
    sample(tmp_path / "unlabelled" / "_1.png")
    code, _, errors = predict("unlabelled", "--demo", "1")
    assert (code, errors.count("none of the 1 pictures has a label")) == (2, 1)


def test_plot_is_a_picture_of_what_was_read(predict: Predict, tmp_path: Path) -> None:
    for number in range(3):
        sample(tmp_path / "in" / f"{number}.png", number)
    assert predict("in", "--plot", "sheets/sheet.jpg")[0] == 0
    sheet = cv2.imread(str(tmp_path / "sheets" / "sheet.jpg"))
    assert sheet is not None
    assert sheet.std() > 20


def test_a_plot_that_leaves_pictures_out_says_so(predict: Predict, tmp_path: Path) -> None:
    for number in range(97):
        sample(tmp_path / "in" / f"{number:02}.png", number % 3)
    code, _, errors = predict("in", "--plot", "sheet.png")
    assert (code, errors.count("sheet.png shows the first 96 of 97 pictures")) == (0, 1)


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        ([], "nothing to read: give pictures"),
        (["nowhere"], "nowhere does not exist"),
        (["empty"], "no pictures in empty"),
        (["empty", "-"], "no pictures in empty, what came on stdin"),
        (["in", "--csv", "folder"], "folder is a folder, not a file"),
        (["in", "--json", "in/1.png/o.json"], "is not a folder: choose another path"),
        (["in", "--csv", "/dev/full"], "no space left to write"),
        (["in", "--plot", "sheet"], "sheet does not end like a picture"),
        (["in", "", "--csv", "o.csv"], "one of the paths to read is empty"),
        (["in", "--csv", ""], "--csv is empty"),
        (
            ["list.csv", "--csv", "list.csv"],
            "list.csv would replace what is read, list.csv: give it another name (--csv)",
        ),
        (["in/1.png", "--plot", "./in/1.png"], "./in/1.png would replace what is read, in/1.png"),
        (["in", "--plot", "in/1.png"], "in/1.png is one of the pictures in the folder"),
        (["--plot", "in/1.png", "in/2.png"], "in/1.png is one of the pictures in the folder"),
        (
            ["folder", "--csv", "folder/labels.csv"],
            "folder/labels.csv would replace what is read, folder/labels.",
        ),
        (["folder", "--json", "folder/corpus.json"], "folder/corpus.json would replace what is read"),
        (["in", "--lexicon", "list.csv", "--csv", "list.csv"], "list.csv would replace what is read, list.csv"),
        (["in", "--model", "list.csv", "--json", "list.csv"], "list.csv would replace what is read, list.csv"),
        (["in", "--min-probability", "90%"], "--min-probability 90%: give a number"),
        (
            ["in", "--csv", "o", "--json", "o"],
            "o is the name of two outputs: give one of them another name (--csv, --json)",
        ),
        (
            ["--csv", "in/1.png"],
            "in/1.png is the name of a picture, and the output is text: give the name of a text file (--csv)",
        ),
        (["in", "--top", "0"], "--top 0: "),
        (["in", "--labls"], "--labls is not a flag of this command (did you mean --labels?); see --help"),
        (
            ["in", "--min_probabilty=0.5"],
            "--min_probabilty is not a flag of this command (did you mean --min-probability?)",
        ),
        (["in", "-model", "captcha"], "-model is not a flag of this command (did you mean --model?); see --help"),
        (["in", "--colr", "red"], "--colr is not a flag of this command; see --help"),
        (["foldr"], "foldr does not exist: did you mean folder?"),
        (["fodler/labels.csv"], "fodler/labels.csv does not exist: give a picture"),
        (["folder/label.csv"], "folder/label.csv does not exist: did you mean folder/labels.csv?"),
        (["in", "--top", "x"], "--top x: give a whole number"),
        (["in", "--top"], "--top is given without a value"),
        (["in", "--decoder", "x"], "--decoder x: give one of greedy, beam"),
        (["in", "--label-pattern", "("], "--label-pattern (: this is not a regular expression"),
    ],
)
def test_mistakes_end_in_one_sentence(predict: Predict, tmp_path: Path, argv: list[str], sentence: str) -> None:
    level(tmp_path / "in" / "1.png", 1)
    level(tmp_path / "in" / "2.png", 2)
    (tmp_path / "empty").mkdir()
    (tmp_path / "folder").mkdir()
    for name in ("list.csv", "folder/labels.csv", "folder/corpus.json"):
        (tmp_path / name).write_text("file\nin/1.png\n")
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    code, _, errors = predict(*argv)
    assert code == 2
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before
    assert sentence in errors.splitlines()[-1]
    assert "Traceback" not in errors
    assert not list(tmp_path.rglob(".*"))


def test_a_failure_leaves_earlier_results_untouched(
    predict: Predict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample(tmp_path / "1.png")
    (tmp_path / "o.csv").write_text("earlier")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Reader, "read", interrupted)
    assert predict("1.png", "--csv", "o.csv")[0] == 130
    assert (tmp_path / "o.csv").read_text() == "earlier"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.png", "o.csv"]


def test_sigterm_keeps_what_was_read(predict: Predict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in (1, 2):
        sample(tmp_path / f"{number}.png", number)
    read = Reader.read

    def ended(self: Reader, sources: Iterable[str]) -> Iterator[Reading]:
        yield next(read(self, sources))
        os.kill(os.getpid(), signal.SIGTERM)
        yield from ()

    monkeypatch.setattr(Reader, "read", ended)
    code, lines, _ = predict("1.png", "2.png", "--csv", "o.csv")
    assert (code, len(lines)) == (INTERRUPTED, 1)
    header, row = (tmp_path / "o.csv").read_text().splitlines()
    assert header == "file,text,probability" and row.startswith(f"1.png,{LABELS[1]},")


def test_first_lines_come_before_the_last_paths_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An endless list is read as it comes."""
    monkeypatch.chdir(tmp_path)
    sample(tmp_path / "1.png", 1)
    endless = inputs(["-"], ("1.png\n" for _ in itertools.count()))
    readings = Reader("captcha_lite").read(each.path for each in endless)
    assert [reading.text for reading in itertools.islice(readings, 300)] == [LABELS[1]] * 300


def test_other_files_are_refused_as_models(tmp_path: Path) -> None:
    level(tmp_path / "1.png", 1)
    (tmp_path / "foreign.keras").write_bytes(b"no archive")

    def command(*argv: str) -> CompletedProcess[str]:
        whole = [sys.executable, str(ROOT / "prediction.py"), str(tmp_path / "1.png"), *argv]
        return finished(whole, cwd=tmp_path)

    for model in ("foreign.keras", "nowhere.keras", "no_such_name"):
        result = command("--model", model)
        assert (result.returncode, result.stdout) == (2, "")
        assert model in result.stderr
        assert len(result.stderr.splitlines()) == 1
    assert "--ignore-case" in command("--help").stdout


def test_commands_read_with_a_keras_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With an untrained network, whose texts are not known."""
    from crnn_reader.config import ModelConfig
    from model import model_file, network

    config = ModelConfig(
        network="vgg_conv",
        preset="small",
        head="ctc",
        alphabet="AB",
        width=32,
        height=32,
        channels=1,
        fit="stretch",
    )
    model_file.save(network.build(config), config, tmp_path / "model.keras")
    for number in range(3):
        level(tmp_path / "in" / f"AB_{number}.png", 80 * number)
    (tmp_path / "in" / "AB_broken.png").write_bytes(b"junk")

    def command(name: str, *argv: str) -> tuple[int, str, str]:
        """In this process, which has imported TensorFlow."""
        return run(shlex.join(["python", f"{name}.py", "in", "--model", "model.keras", *argv])), *capsys.readouterr()

    monkeypatch.chdir(tmp_path)
    whole = [sys.executable, str(ROOT / "prediction.py"), "in", "--model", "model.keras"]
    predicted = finished([*whole, "--labels", "--json", "texts.json", "--decoder", "beam", "--top", "2"], cwd=tmp_path)
    assert predicted.returncode == 1, predicted.stderr
    lines = [line.split("\t") for line in predicted.stdout.splitlines()]
    assert [line[0] for line in lines] == ["in/AB_0.png", "in/AB_1.png", "in/AB_2.png"]
    for _, text, probability, truth, verdict, *_others in lines:
        assert set(text) <= set("AB")
        assert 0 <= float(probability) <= 1
        assert (truth, verdict == "correct") == ("AB", text == "AB")
    assert "in/AB_broken.png: " in predicted.stderr
    assert len(json.loads((tmp_path / "texts.json").read_text())) == 3

    # Names from a pipe: the next one is written after the line of the one before has come.
    whole = [sys.executable, str(ROOT / "prediction.py"), "-", "--model", "model.keras"]
    pipe = subprocess.PIPE
    with started(whole, cwd=tmp_path, stdin=pipe, stdout=pipe, stderr=pipe) as camera:
        assert camera.stdin and camera.stdout
        for line, text in zip(predicted.stdout.splitlines(), ("AB_0", "AB_1", "AB_2"), strict=True):
            camera.stdin.write(f"in/{text}.png\n")
            camera.stdin.flush()
            assert camera.stdout.readline().startswith(line.partition("\t")[0])
        # Ctrl-C while it waits for a name.
        camera.send_signal(signal.SIGINT)
        _, errors = camera.communicate()
        assert camera.returncode == INTERRUPTED
        assert "interrupted after 3 pictures" in errors

    # With constraints on the texts.
    (tmp_path / "lexicon.txt").write_text("ABBA\nBABA\nAB\n")
    _, held, errors = command(
        "prediction", "--length", "3-4", "--charset", "A-C", "--pattern", "B.*|A", "--lexicon", "lexicon.txt"
    )
    assert [line.split("\t")[1] for line in held.splitlines()] == ["BABA"] * 3, errors
    for script, argv, sentence in (
        ("prediction", ["--pattern", "A("], "error: pattern A(: missing ), unterminated subpattern at character 2; "),
        ("evaluation", ["--charset", "xyz"], "error: charset xyz: the model reads none of these characters"),
        ("evaluation", ["--length", "4-3"], "error: --length 4-3: a length is a number or a range"),
    ):
        code, out, errors = command(script, *argv)
        assert (code, out) == (2, "")
        assert errors.startswith(sentence) and len(errors.splitlines()) == 1

    code, _, errors = command("evaluation", "--json", "scores.json", "--report", "report", "--pattern", "A[AB]")
    assert code == 1, errors
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert (scores["images"], scores["unreadable"]) == (3, 1)
    assert all(re.fullmatch("A[AB]", mistake["text"]) for mistake in scores["worst"])
    assert (tmp_path / "report" / "index.html").exists()


def test_stdin_that_is_no_list_ends_in_one_sentence(predict: Predict, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("dataset.inputs", "dataset.formats.text"):
        monkeypatch.setattr(f"{module}.MAX_LINE_LENGTH", 1000)
    for content, sentence in (
        ("a" * 1001, "line 1 on stdin has more than 1,000 characters"),
        ("a.png\n" + "a" * 1001, "line 2 on stdin has more than 1,000 characters"),
        ("\0" * 5000, "no path was found in 1,000 characters on stdin"),
        ("a.png\0" + "a" * 3000, "no path was found in 1,000 characters on stdin"),
    ):
        code, _, errors = predict("-", stdin=content)
        assert code == 2
        assert sentence in errors.splitlines()[-1]
