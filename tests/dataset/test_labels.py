"""Where labels come from, what is part of them, and what is said of those that look like none."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import pickle
import re
import shutil
import socket
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest

import dataset
from cli.command import run_command
from crnn_reader.errors import UserError
from dataset import __main__ as command_line
from dataset.__main__ import main
from dataset.formats.file_names import label_of_name
from dataset.inputs import inputs, refuse_overlapping_paths
from parameter import DatasetParameters
from tests.dataset.test_checks import run
from tests.dataset.test_formats import pairs

Maker = Callable[..., Path]
Said = pytest.CaptureFixture[str]

NAMES = [f"{number:04}.png" for number in range(6)]
LABELS = ["01C6", "0EAX", "0WYC", "1C6X", "1JXU", "1O3D"]
PAIRS = list(zip(NAMES, LABELS, strict=True))


def touched(folder: Path, names: list[str]) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def table(head: str, separator: str = ",", rows: list[tuple[str, str]] = PAIRS, folder: str = "") -> str:
    return "".join(f"{line}\n" for line in [*filter(None, [head]), *(f"{folder}{separator.join(row)}" for row in rows)])


def box(text: str, count: int = 1) -> str:
    return json.dumps([{"transcription": text, "points": [[0, 0], [40, 0], [40, 20], [0, 20]]}] * count)


LISTS = {
    "metadata.csv": table("file_name,text"),
    "metadata.jsonl": "".join(json.dumps({"file_name": name, "text": label}) + "\n" for name, label in PAIRS),
    "labels.txt": table("", "\t"),
    "gt.txt": table("", ', "').replace("\n", '"\n'),
    "annotations.csv": table("image_path,plate_text"),
    "truth.csv": "sep=;\n" + table("file;label", ";"),
    "list.txt": table("", ";"),
    "labels.json": json.dumps(dict(PAIRS)),
    "pairs.json": json.dumps(PAIRS),
    "objects.json": json.dumps([{"image": name, "label": label} for name, label in PAIRS]),
    "columns.json": json.dumps({"filename": {"0": NAMES[0]}, "words": {"0": LABELS[0]}}),
    "lines.json": "".join(json.dumps({"file": name, "label": label}) + "\n" for name, label in PAIRS),
    "mmocr.json": json.dumps(
        {"metainfo": {}, "data_list": [{"img_path": name, "instances": [{"text": text}]} for name, text in PAIRS]}
    ),
    "json-min.json": json.dumps(
        [
            {"id": 1, "ocr": f"/data/upload/1/0f3a52c1-{name}", "transcription": [text], "label": [{"labels": ["T"]}]}
            for name, text in PAIRS
        ]
    ),
    "local.json": json.dumps([{"image": f"/data/local-files/?d=x/{name}", "text": text} for name, text in PAIRS]),
    "Label.txt": "".join(f"pictures/{name}\t{box(text)}\n" for name, text in PAIRS),
    "rec_gt_train.txt": table("", "\t", folder="pictures/"),
    "train.txt": table("", " "),
    "comments.csv": "# by hand, in 2024\n" + table("file,label") + "# a.png,X\n",
    "comments.txt": "# by hand\n" + table("", " "),
    "comments.tsv": "#file\tlabel\n" + table("", "\t"),
    "comments.jsonl": "# by hand\n" + "".join(json.dumps({"file": name, "text": text}) + "\n" for name, text in PAIRS),
    "comments_gt.txt": "# by hand\n" + table("", ', "').replace("\n", '"\n'),
    "two_parts.csv": table("file,label", rows=PAIRS[:3]) + table("file,label", rows=PAIRS[3:]),
    "two_parts.txt": table("image text", " ", rows=PAIRS[:3]) + table("image text", " ", rows=PAIRS[3:]),
    "absolute.csv": table("file,label", folder="/home/bob/pictures/"),
    "windows.txt": table("", "\t", folder="C:\\Users\\bob\\"),
    "numbers.csv": table("id,label", rows=[(name.removesuffix(".png"), label) for name, label in PAIRS]),
}


@pytest.mark.parametrize("name", LISTS)
def test_a_list_that_names_the_pictures_of_its_folder_is_read(name: str, tmp_path: Path, capsys: Said) -> None:
    folder = touched(tmp_path / "pictures", NAMES)
    (folder / name).write_text(LISTS[name], encoding="utf-8")
    found = [(os.path.basename(sample.path), sample.label) for sample in dataset.samples(folder)]
    assert found == PAIRS[: 1 if name == "columns.json" else None]
    said = capsys.readouterr().err
    assert f"labels are taken from {name}" in said
    assert ("5 pictures are not in columns.json and left out" in said) == (name == "columns.json")
    # Without labels, all pictures are read.
    assert [sample.name for sample in dataset.samples(folder, labels=False)] == NAMES


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("notes.txt", "These are captchas.\nsee AB_1.png, which is odd\n"),
        ("README.txt", "# My pictures\n"),
        ("classes.txt", "plate\n"),
        ("paths.txt", "AB_1.png\nCD_2.png\n"),
        ("fileState.txt", "AB_1.png\t1\nCD_2.png\t1\n"),
        ("corpus.json", '{"style": "captcha", "noise": 1.0}'),
        ("data.csv", "x,y\n1,2\n"),
        ("empty.json", ""),
    ],
)
def test_other_files_beside_pictures_are_no_lists(name: str, text: str, tmp_path: Path, capsys: Said) -> None:
    touched(tmp_path, ["AB_1.png", "CD_2.png"])
    (tmp_path / name).write_text(text)
    assert pairs(tmp_path) == [("AB_1.png", "AB"), ("CD_2.png", "CD")]
    assert name == "notes.txt" or capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("boxes.csv", "filename,class,xmin\nAB_1.png,plate,1\n", "boxes.csv names the pictures, but no labels"),
        ("Label.txt", f"AB_1.png\t{box('x', 2)}\n", "Label.txt cannot be read as a list .* 2 boxes"),
        ("names.csv", "name,truth\nAB_1.png,x\n", "names.csv cannot be read as a list .* has no known column names"),
        ("out.csv", "file,text,probability\nAB_1.png,x,0.9\n", "out.csv holds what was read, not labels"),
        ("out.json", '{"AB_1.png": {"text": "x", "score": 0.9}}', "out.json holds what was read, not labels"),
        ("a.csv", "AB_1.png,1.5,2,30,40,plate\nCD_2.png,3,4,50,60,plate\n", "a.csv cannot be read .* lists of boxes"),
        ("train.txt", "AB_1.png 1,2,30,40,0 50,2,80,40,1\n", "train.txt cannot be read as a list .* boxes"),
        ("coco.json", '{"imgs": {"1": {"file_name": "AB_1.png"}}, "anns": {}}', "coco.json .* is COCO-Text's"),
        ("rows.jsonl", '{"id": 1, "text": "x"}\n{"id": 2, "text": "y"}\n', "rows.jsonl has as many lines"),
        ("rows.csv", "id,label\n1,x\n2,y\n", "rows.csv has as many lines as there are pictures, but names none"),
    ],
)
def test_a_list_that_is_not_used_is_said(name: str, text: str, said: str, tmp_path: Path, capsys: Said) -> None:
    touched(tmp_path, ["AB_1.png", "CD_2.png"])
    (tmp_path / name).write_text(text)
    assert pairs(tmp_path) == [("AB_1.png", "AB"), ("CD_2.png", "CD")]
    assert re.search(said, capsys.readouterr().err)


def test_several_lists_are_taken_where_they_agree_alone(tmp_path: Path, capsys: Said) -> None:
    touched(tmp_path, NAMES)
    (tmp_path / "all.csv").write_text(table("file,label"))
    (tmp_path / "train.txt").write_text(table("", " ", PAIRS[:3]))
    assert pairs(tmp_path) == PAIRS
    assert "labels are taken from all.csv" in capsys.readouterr().err
    (tmp_path / "train.txt").write_text("0000.png other\n")
    with pytest.raises(
        UserError, match=r"all.csv and train.txt, and they contradict .* for 0000.png, all.csv says 01C6"
    ):
        pairs(tmp_path)
    (tmp_path / "all.csv").write_text(table("file,label", rows=PAIRS[1:]))
    with pytest.raises(UserError, match=r"which name different pictures: give the right list, such as .*all.csv"):
        pairs(tmp_path)


@pytest.mark.parametrize("place", ["beside", "parent", "working folder", "below", "root"])
def test_where_the_paths_of_a_list_start(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    folders = {"beside": "lists", "parent": ".", "working folder": "here", "below": "lists/images", "root": "far/away"}
    pictures = touched(tmp_path / folders[place], NAMES)
    (tmp_path / "lists").mkdir(exist_ok=True)
    (tmp_path / "here").mkdir(exist_ok=True)
    monkeypatch.chdir(tmp_path / "here")
    path = tmp_path / "lists" / "l.csv"
    path.write_text(table("file,label"))
    root = str(pictures) if place == "root" else None
    found = dataset.collect(path, root=root)
    assert [os.path.realpath(sample.path) for sample in found] == [str(pictures / name) for name in NAMES]
    assert ("its pictures are in" in capsys.readouterr().err) == (place not in ("beside", "root"))
    with pytest.raises(UserError, match=r"nowhere is not a folder"):
        dataset.collect(path, root=str(tmp_path / "nowhere"))


@pytest.mark.parametrize("listed", ["NFC", "NFD"])
def test_names_are_found_however_they_were_written(listed: Literal["NFC", "NFD"], tmp_path: Path) -> None:
    other: Literal["NFC", "NFD"] = "NFD" if listed == "NFC" else "NFC"
    there = [unicodedata.normalize(other, "é/ü.png"), "a.PNG", "b.jpg"]
    touched(tmp_path, there)
    named = [unicodedata.normalize(listed, "é/ü.png"), "a.png", "b.JPG"]
    (tmp_path / "l.csv").write_text("".join(f"{name}, x\n" for name in named), encoding="utf-8")
    assert all(os.path.exists(sample.path) for sample in dataset.collect(tmp_path / "l.csv"))


def test_suffixes_that_differ_by_case_alone_are_two_pictures(tmp_path: Path) -> None:
    touched(tmp_path, ["a.PNG", "a.Png"])
    (tmp_path / "l.txt").write_text("a.png x\n")
    assert not os.path.exists(dataset.collect(tmp_path / "l.txt")[0].path)


SPACES = [" ", "\t", "\u00a0", "\u3000", "\u2009", "\ufeff", "\u200b", "\u200e"]


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("l.csv", "file,label\na.png,{}01 C6{}\n"),
        ("l.tsv", "file\tlabel\na.png\t{}01 C6{}\n"),
        ("l.jsonl", '{{"file": "a.png", "label": "{}01 C6{}"}}\n'),
        ("l.json", '{{"a.png": "{}01 C6{}"}}\n'),
        ("l.txt", "a.png {}01 C6{}\n"),
        ("icdar.txt", "a.png,{}01 C6{}\n"),
    ],
)
def test_white_space_around_a_label_is_removed(name: str, text: str, space: str, tmp_path: Path) -> None:
    if space == "\t" and name != "l.csv":
        space = "\\t" if "json" in name else " "
    (tmp_path / name).write_text(text.format(space, space), encoding="utf-8")
    assert pairs(tmp_path / name) == [("a.png", "01 C6")]


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("suffix", [".txt", ".gt.txt"])
def test_white_space_in_sidecars(suffix: str, space: str, tmp_path: Path) -> None:
    touched(tmp_path, ["a.png"])
    (tmp_path / f"a{suffix}").write_text(f"{space}01C6{space}\n\n", encoding="utf-8")
    assert pairs(tmp_path) == [("a.png", "01C6")]


@pytest.mark.parametrize(("name", "row"), [("l.csv", 'a.png," x "\n'), ("l.txt", 'a.png, " x "\n')])
def test_white_space_between_quotes_is_kept_and_said(name: str, row: str, tmp_path: Path, capsys: Said) -> None:
    (tmp_path / name).write_text(row)
    assert pairs(tmp_path / name) == [("a.png", " x ")]
    assert "line 1: labels in quotes begin or end with white space" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("labels", "said", "taken"),
    [
        (["0042", "0017", "42", "1234"], "line 4: 42 has fewer digits than most labels, which have 4", None),
        ([*map(str, range(1000, 1020)), "7", "123"], "lines 22, 23: 123 has fewer|lines 22, 23: 7 has fewer", None),
        (["A1", "1.23E+11", "B2"], r"line 3: 1.23E\+11 is how a spreadsheet shortens", None),
        (["A1", "#N/A", "B2"], "line 3: #N/A is a spreadsheet's error, not a label", ["A1", "", "B2"]),
        (["A1", "#REF!", "Err:502"], "lines 3, 4: #REF! is a spreadsheet's error", ["A1", "", ""]),
        (["true story", "TRUE", "x"], "line 3: TRUE may be a spreadsheet's truth value", None),
        (["TRUE", "FALSE"], "lines 2, 3: TRUE may be", None),
        (["AB12", "1-Feb", "X2", "Y3"], "line 3: 1-Feb is a date", None),
        (["A1", "#NV", "########", "#¡VALOR!"], "lines 3, 4, 5: #NV is a spreadsheet's error", ["A1", "", "", ""]),
        (["wahr", "WAHR", "x"], "line 3: WAHR may be a spreadsheet's truth value", None),
        (["AB12", "01.02.2024", "X2", "2024-02-01", "Y3"], "lines 3, 5: 01.02.2024 is a date", None),
        (["AB12", "01. Mrz", "X2", "1/2/2024", "Y3"], "lines 3, 5: 01. Mrz is a date", None),
        (["4111111111111100", "4222222222222000"], "lines 2, 3: 4111111111111100 may be rounded", None),
        (["12.0", "13.0"], "all labels end in .0", None),
        (["a\u200bb", "x"], "line 2: labels hold invisible characters", None),
        (["a\x07b", "x"], "line 2: labels hold invisible characters", None),
    ],
)
@pytest.mark.parametrize("form", ["csv", "tsv", "txt", "jsonl"])
def test_what_a_spreadsheet_did_is_said_with_its_lines(
    form: str, labels: list[str], said: str, taken: list[str] | None, tmp_path: Path, capsys: Said
) -> None:
    rows = [("0.png", labels[0]), *((f"{number}.png", label) for number, label in enumerate(labels[1:], 1))]
    separator = {"csv": ",", "tsv": "\t", "txt": "\t"}.get(form, "")
    head = {"csv": "file,label", "tsv": "file\tlabel"}.get(form, "")
    text = table(head, separator, rows)
    if form == "jsonl":
        text = "".join(json.dumps({"file": name, "label": label}) + "\n" for name, label in rows)
    path = tmp_path / f"l.{form}"
    # The same line numbers with and without a header.
    path.write_text(("" if head else "\n") + text, encoding="utf-8")
    assert [label for _, label in pairs(path)] == (taken or labels)
    assert re.search(said, capsys.readouterr().err)


@pytest.mark.parametrize(
    "labels",
    [
        ["0042", "1234", "9999", "0001"],
        ["0042", "1234", "9999", "0001", "042", "123"],
        [str(number) for number in range(1, 31)],
        ["12", "7", "130", "99", "5"],
        ["TRUE", "Story", "NEXT"],
        ["1-Feb", "2-Mar", "3-Apr"],
        ["1E12", "2E34", "12E4"],
        ["06 12 34 56 78", "01 02 03 04 05"],
        ["1,2", "3.0", "4"],
        ["4111111111111100", "4222222222222222"],
        ["###", "#1", "#AB"],
        ["01.02.2024", "03.04.2024"],
    ],
)
def test_labels_about_which_nothing_is_said(labels: list[str], tmp_path: Path, capsys: Said) -> None:
    rows = [(f"{number}.png", label) for number, label in enumerate(labels)]
    (tmp_path / "l.txt").write_text(table("", "\t", rows))
    assert [label for _, label in pairs(tmp_path / "l.txt")] == labels
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
@pytest.mark.parametrize("name", ["l.csv", "l.txt", "l.json"])
def test_lists_with_a_byte_order_mark(name: str, encoding: str, tmp_path: Path) -> None:
    text = {"l.csv": "sep=;\r\nfile;label\r\na.png;é\r\n", "l.txt": "a.png é\r\n", "l.json": '{"a.png": "é"}'}[name]
    (tmp_path / name).write_bytes(text.encode(encoding))
    assert pairs(tmp_path / name) == [("a.png", "é")]


def test_easyocr_cuts_at_the_first_comma(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text('filename,words\na.png,"one\nb.png,one, two\nc.png,x\n'.replace('"', ""))
    assert pairs(tmp_path / "labels.csv") == [("a.png", "one"), ("b.png", "one, two"), ("c.png", "x")]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("0 0.512 0.498 0.91 0.33\n", "class x y w h"),
        ("0 0.512 0.498 0.91 0.33\n1 0.1 0.2 0.3 0.4\n", "class x y w h"),
        ("0 0.1 0.1 0.9 0.1 0.9 0.9 0.1 0.9\n", "corners"),
        ("0 0.5 0.5 0.1 0.1 0.87\n", "corners"),
        ("4,0.11,0.92,0.91,0.10,0.21,0.20,0.81,0.82,01C6,\n", "corners, then a text"),
        ("377,117,463,117,465,130,378,130,Genaxis Theatre\n", "corners, then a text"),
        ('38, 43, 920, 215, "Tiredness"\n', "corners, then a text"),
        ("113 154 383 86\n", "numbers"),
        ("0.1 0.2 0.3 0.4\n", "numbers"),
        ("plate 0.5 0.5 0.2 0.3\n", "a text, then numbers"),
        ("plate 0.98 12 8 90 40\nplate 0.7 1 2 3 4\n", "a text, then numbers"),
        ("(12, 8, 90, 40)", "numbers of pixels"),
        ("[12, 8, 90, 40]", "numbers of pixels"),
        ("12,8,90,40", "numbers of pixels"),
        ("10 20 90 60 AB12", "corners, then a text"),
        ("AB12 10 20 90 60", "a text, then numbers"),
        ("10 20 90 20 90 60 10 60 AB12", "corners, then a text"),
        ("10 20 90 20 90 60 10 60 two words", "corners, then a text"),
        (
            "imagesource:GoogleEarth\ngsd:0.14\n2753 2408 2861 2385 2888 2468 2805 2502 plane 0\n",
            "corners, then a text",
        ),
        ("Car 0.00 0 -1.57 614.24 181.78 727.31 284.77 1.57 1.73 4.15 1.00 1.75 13.22 1.62\n", "a text, then numbers"),
    ],
)
def test_sidecars_that_hold_boxes_are_an_error(text: str, what: str, tmp_path: Path) -> None:
    for name in ("01C6_0", "0EAX_1", "1C6X_2"):
        (tmp_path / f"{name}.png").touch()
        (tmp_path / f"{name}.txt").write_text(text)
    with pytest.raises(UserError, match=rf"3 texts beside pictures hold .*{what}.*, not labels, ") as raised:
        pairs(tmp_path)
    assert raised.value.parameters == {"label_pattern": "^(?P<label>[^_]+)"}
    # A pattern gives the labels in the names.
    assert [label for _, label in pairs(tmp_path, "^(?P<label>[^_]+)")] == ["01C6", "0EAX", "1C6X"]


@pytest.mark.parametrize(
    "text",
    [
        *("1 2 3 4", "06 12 34 56", "1234", "12,50", "2024 05 06", "4111 1111 1111 1111", "1,2,3,4", "Flat 12 34"),
        *("(12)", "[1, 2]", "12 High Street", "06 12 34 56 x"),
    ],
)
def test_sidecars_of_digits_are_labels(text: str, tmp_path: Path) -> None:
    touched(tmp_path, ["a.png"])
    (tmp_path / "a.txt").write_text(text)
    assert pairs(tmp_path) == [("a.png", text)]


@pytest.mark.parametrize(
    ("suffix", "text", "tool"),
    [
        (".json", '{"version": "5.0", "shapes": [], "imagePath": "x.png"}', "LabelMe"),
        (".xml", "<annotation><filename>AB_1.png</filename><object/></annotation>", "Pascal VOC"),
        (".xml", "<PcGts><Page/></PcGts>", "PAGE XML"),
    ],
)
def test_files_of_other_tools_beside_pictures(suffix: str, text: str, tool: str, tmp_path: Path, capsys: Said) -> None:
    touched(tmp_path, ["AB_1.png", "CD_2.png"])
    (tmp_path / f"AB_1{suffix}").write_text(text)
    assert [label for _, label in pairs(tmp_path)] == ["AB", "CD"]
    assert f"and not from the files *{suffix} that 1 of 2 pictures have" in capsys.readouterr().err
    (tmp_path / f"CD_2{suffix}").write_text(text)
    with pytest.raises(UserError, match=rf"AB_1{suffix}|CD_2{suffix}.* are {tool}'s"):
        pairs(tmp_path)


def test_texts_of_ocropus_and_kraken(tmp_path: Path, capsys: Said) -> None:
    touched(tmp_path, ["line_1.png", "line_2.bin.png", "line_3.nrm.png", "line_4.png"])
    for name, text in (("line_1", "one"), ("line_2", "two"), ("line_3", "three")):
        (tmp_path / f"{name}.gt.txt").write_text(text + "\n")
        (tmp_path / f"{name}.txt").write_text("what was read\n")
    expected = [("line_1.png", "one"), ("line_2.bin.png", "two"), ("line_3.nrm.png", "three"), ("line_4.png", "")]
    assert pairs(tmp_path) == expected
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "text",
    [
        "camera: GoPro\nposition_vehicle: 1 2 3 4\n\ttype: car\nplate: AUG-0936\nposition_plate: 5 6 7 8\n",
        "plate: AUG-0936\ncorners: 1,2 3,4 5,6 7,8\n",
        "plate: AUG-0936",
        "a.png\t10\t20\t30\t40\tAUG-0936\n",
    ],
)
def test_texts_that_name_the_plate(text: str, tmp_path: Path) -> None:
    touched(tmp_path, ["a.png"])
    (tmp_path / "a.txt").write_text(text)
    assert pairs(tmp_path) == [("a.png", "AUG-0936")]


@pytest.mark.parametrize(
    "stem",
    [
        *("AB12 (1)", "AB12(1)", "AB12 - Copy", "AB12 - Copy (2)", "AB12 copy", "AB12 copy 2", "Copy of AB12"),
        *("AB12 - Kopie", "AB12 - Kopie (3)", "AB12 Kopie 2", "AB12 - Copie", "AB12 copie 2", "AB12 - copia"),
        *("AB12 - Cópia", "AB12 — копия", "AB12 - コピー", "AB12 - 副本", "AB12 的副本", "AB12のコピー", "AB12 (copy)"),
        *("AB12 (another copy)", "AB12 (3rd copy)", "AB12 (copy 1)", "AB12 - Copy - Copy", "Kopie von AB12"),
        *("AB12 (Kim's conflicted copy 2024-01-01)", "AB12_7 - Copy", "Copy of AB12_7", "AB12_7 (1)", "AB12"),
        *(
            "AB12 (3e copie)",
            "AB12 (otra copia)",
            "AB12 (weitere Kopie)",
            "AB12 (3ª copia)",
            "AB12 （1）",
            "Kopie - AB12",
        ),
        *(
            "Kopi af AB12",
            "Copy of Copy of AB12",
            "Kopia av AB12",
            "Kopia AB12",
            "AB12 - (2)",
            "AB12- Copy",
            "AB12-Copy1",
        ),
        *("Copy (2) of AB12", "Kopia (2) av AB12_7", "AB12 - 副本（2）"),
    ],
)
def test_marks_of_copies_are_removed_from_labels(stem: str, tmp_path: Path) -> None:
    touched(tmp_path, [f"{stem}.png"])
    assert pairs(tmp_path) == [(f"{stem}.png", "AB12")] or "AB12(1)" in stem
    assert next(inputs([str(tmp_path / f"{stem}.png")], [])).label == "AB12"


@pytest.mark.parametrize(
    "stem", ["(1)", " copy", "Copy of ", "COPY", "SOFT COPY", "f(x)", "A(1)B", "a (b)", "2(1234)", "Kopie - "]
)
def test_labels_that_only_look_like_copies(stem: str) -> None:
    assert label_of_name(stem) == stem


def test_a_number_in_most_names_is_part_of_the_labels(tmp_path: Path) -> None:
    touched(tmp_path, ["A123456(7).png", "B123456(0).png", "C99.png"])
    assert [label for _, label in pairs(tmp_path)] == ["A123456(7)", "B123456(0)", "C99"]


@pytest.mark.parametrize(
    ("plate", "label"),
    [("0_0_22_27_27_33_16", "皖AY339S"), ("0_0_3_25_30_24_24_32", "皖AD16008"), ("99_0_1_1_1_1_1", None)],
)
def test_names_of_ccpd_are_decoded(plate: str, label: str | None) -> None:
    stem = f"025-95_113-154&383_386&473-386&473_177&454_154&383_363&402-{plate}-37-15"
    assert label_of_name(stem) == (label or "025-95")


UUID = "3f2504e0-4f89-11d3-9a0c-0305e82c33"


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([f"captcha_{number}.png" for number in range(12)], "12 of 12 different pictures have the label captcha"),
        ([f"{UUID}{number}.png" for number in range(10, 22)], "look like identifiers"),
        ([f"{number:02}ab34cd56ef78.png" for number in range(12)], "look like identifiers"),
        ([f"{number}_{label}.png" for number, label in enumerate(LABELS)], "running numbers, 0 to 5.*_\\(\\?P<label>"),
        ([f"{number:05}.png" for number in range(17, 29)], "running numbers, 00017 to 00028"),
        ([f"img{number}.png" for number in range(12)], "running numbers, img0 to img11"),
        ([f"{folder}/{number}.png" for folder in ("5GYY", "CBA4") for number in range(3)], "in each of 2 folders"),
        ([f"17000{number}123.png" for number in range(10, 20)], "look like times"),
        ([f"{label}.png.png" for label in LABELS], "6 labels end like file names, such as 01C6.png"),
        (["Ã¤b_1.png", "x_2.png"], "1 labels look as if UTF-8 .* such as Ã¤b, which may be äb"),
        (["a\u00a0b_1.png", "x_2.png"], "1 labels hold NO-BREAK SPACE, which looks like a space"),
        (
            [f"{''.join(chr(0x4E00 + 9 * number + place) for place in range(9))}.png" for number in range(9)],
            "9 labels hold 81 different characters, 81 of them once or twice",
        ),
    ],
)
def test_doubtful_labels_are_reported(names: list[str], said: str, tmp_path: Path, write: Maker, capsys: Said) -> None:
    write(tmp_path, names)
    code, out, errors = run(tmp_path, capsys=capsys)
    assert code == 0
    assert re.search(said, " ".join(out.split()))
    assert "python training.py" not in errors


@pytest.mark.parametrize(
    "names",
    [
        [f"{number * 7919 % 10000:04}_{number}.png" for number in range(30)],
        [f"{number % 10}_{number}.png" for number in range(30)],
        [f"{label}_{number}.png" for number, label in enumerate(LABELS)],
        ["1_0.png", "2_1.png"],
        [f"ORDER{number * 37 % 1000}_{number}.png" for number in range(12)],
    ],
)
def test_usual_labels_are_not_reported(names: list[str], tmp_path: Path, write: Maker, capsys: Said) -> None:
    code, out, errors = run(write(tmp_path, names), capsys=capsys)
    assert (code, "doubtful" in out, "python training.py" in errors) == (0, False, True)


def test_examples_and_sheet(tmp_path: Path, write: Maker, capsys: Said) -> None:
    write(tmp_path / "in", [f"AB{number}_1.png" for number in (1, 3, 7, 20, 22, 31, 40)])
    sheet = tmp_path / "sheet.png"
    code, out, _ = run(tmp_path / "in", "--plot", str(sheet), "--json", str(tmp_path / "r.json"), capsys=capsys)
    assert code == 0
    assert "AB1   AB1_1.png" in out
    assert sheet.stat().st_size > 1000
    assert len(json.loads((tmp_path / "r.json").read_text())["examples"]) == 5
    code, _, err = run(tmp_path / "in", "--plot", str(tmp_path / "sheet.txt"), capsys=capsys)
    assert (code, "does not end like a picture" in err) == (2, True)
    dataset.preview(dataset.examine(dataset.collect(tmp_path / "in")))
    assert "labels, for example: AB1 (AB1_1.png), AB22" in capsys.readouterr().err


READINGS = "file,text,probability{}\na.png,XX,0.9{}\nb.png,YY,0.8{}\n"


@pytest.mark.parametrize(
    ("name", "text", "labels"),
    [
        ("labels.csv", READINGS.format("", "", ""), ["a", "b"]),
        ("labels.csv", READINGS.format(",status", ",accepted", ",rejected"), ["a", "b"]),
        ("labels.csv", READINGS.format(",status", ",checked", ",rejected"), ["XX", ""]),
        ("labels.csv", READINGS.format(",truth,verdict", ",T1,wrong", ",T2,wrong"), ["T1", "T2"]),
        ("labels.csv", READINGS.format(",truth,verdict", ",,unlabelled", ",,unlabelled"), ["a", "b"]),
        ("out.csv", READINGS.format("", "", ""), ["a", "b"]),
        ("out.json", '[{"file": "a.png", "text": "XX", "probability": 0.9, "characters": []}]', ["a", "b"]),
        ("out.txt", "a.png\tXX\t0.9000\nb.png\tYY\t0.8000\taccepted\n", ["a", "b"]),
        ("labels.tsv", "a.png\tXX\t0.9000\nb.png\tYY\t0.8000\n", ["a", "b"]),
    ],
)
def test_predictions_in_a_folder_are_not_used_as_labels(
    name: str, text: str, labels: list[str], tmp_path: Path
) -> None:
    touched(tmp_path, ["a.png", "b.png"])
    (tmp_path / name).write_text(text)
    assert [label for _, label in pairs(tmp_path)] == labels


def test_a_named_table_of_predictions_is_read(tmp_path: Path, capsys: Said) -> None:
    path = tmp_path / "out.csv"
    path.write_text(READINGS.format(",status", ",accepted", ",rejected"))
    assert [label for _, label in pairs(path)] == ["XX", ""]
    assert "is a table of readings: texts with the status accepted" in capsys.readouterr().err


def test_outputs_do_not_replace_lists_that_are_read(tmp_path: Path) -> None:
    touched(tmp_path, ["0000.png"])
    (tmp_path / "gt.txt").write_text("0000.png x\n")
    (tmp_path / "labels.csv").write_text("file,text,probability\n0000.png,x,0.9\n")
    with pytest.raises(UserError, match=r"gt\.txt would replace what is read") as raised:
        refuse_overlapping_paths([str(tmp_path)], {"csv": str(tmp_path / "gt.txt")})
    assert raised.value.parameters == {"csv": ""}
    with pytest.raises(UserError, match=r"new\.txt would be among the pictures"):
        refuse_overlapping_paths([str(tmp_path)], {"icdar": str(tmp_path / "new.txt")})
    for name, output in (("plot", "sheet.png"), ("report", "in/report"), ("run", "run")):
        with pytest.raises(UserError, match=rf"{output} would lie in .* would be read as pictures"):
            refuse_overlapping_paths([str(tmp_path)], {name: str(tmp_path / output)})
        refuse_overlapping_paths([str(tmp_path / "0000.png")], {name: str(tmp_path / output)}, used=[str(tmp_path)])
    # A previous output may be replaced.
    refuse_overlapping_paths([str(tmp_path)], {"csv": str(tmp_path / "labels.csv")})


@pytest.mark.parametrize("suffix", [".txt", ".csv", ".json"])
def test_long_texts_are_not_labels(suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    long = "AB12" * 3000
    path = tmp_path / f"list{suffix}"
    content = {
        ".txt": f"a.png {long}\nb.png AB\n",
        ".csv": f"file,label\na.png,{long}\nb.png,AB\n",
        ".json": json.dumps({"a.png": long, "b.png": "AB"}),
    }
    path.write_text(content[suffix])
    assert [sample.label for sample in dataset.collect(path)] == ["", "AB"]
    assert "more than 10,000 characters are not the text of a picture" in capsys.readouterr().err


def test_stdin_with_a_byte_order_mark() -> None:
    assert [sample.path for sample in inputs(["-"], ["\ufeffa_1.png\n", "b_2.png\n"])] == ["a_1.png", "b_2.png"]
    with pytest.raises(UserError, match="stdin is UTF-16"):
        list(inputs(["-"], [b"\xff\xfea\0".decode(errors="surrogateescape")]))


@pytest.mark.skipif(sys.platform == "win32", reason="no such files there")
@pytest.mark.parametrize("kind", ["pipe", "device", "loop", "socket", "large"])
@pytest.mark.parametrize("name", ["2.txt", "labels.csv", "gt.txt", "char_map.json", "2.gt.txt", "2.json"])
def test_pipes_and_devices_beside_pictures_are_not_opened(name: str, kind: str, tmp_path: Path) -> None:
    touched(tmp_path, ["1.png", "2.png", "3.png"])
    for text in ("1.txt", "3.txt"):
        (tmp_path / text).write_text("AB\n")
    odd = tmp_path / name
    if kind == "pipe":
        os.mkfifo(odd)
    elif kind == "device":
        odd.symlink_to("/dev/zero")
    elif kind == "loop":
        odd.symlink_to(odd)
    elif kind == "large":
        with odd.open("wb") as file:
            file.truncate(1 << 40)
    else:
        with socket.socket(socket.AF_UNIX) as opened:
            try:
                opened.bind(str(odd))
            except OSError:
                pytest.skip("the path is too long for a socket")
    if name in ("2.txt", "2.gt.txt") or (name, kind) == ("labels.csv", "large"):
        with pytest.raises(UserError, match=re.escape(name)):
            pairs(tmp_path)
    else:
        assert [label for _, label in pairs(tmp_path)] == ["AB", "", "AB"]


@pytest.mark.skipif(sys.platform == "win32", reason="no such files there")
@pytest.mark.parametrize("kind", ["pipe", "zero", "socket"])
def test_lists_that_are_pipes_and_devices(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dataset.formats.text.PIPE_PATIENCE", 0.1)
    path = tmp_path / "l.txt"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "zero":
        path.symlink_to("/dev/zero")
    else:
        monkeypatch.chdir(tmp_path)
        with socket.socket(socket.AF_UNIX) as opened:
            opened.bind(path.name)
    with pytest.raises(UserError, match=r"no program writes to it|is not a text file|is a socket"):
        pairs(path)


@pytest.mark.parametrize("lead", ["/home/bob/data/", "C:\\bob\\data\\", "data/"])
@pytest.mark.parametrize("place", ["beside", "labels.csv", "root"])
def test_paths_of_another_computer(lead: str, place: str, tmp_path: Path, write: Maker, capsys: Said) -> None:
    pictures = write(tmp_path / "pictures", [f"{folder}/{name}" for folder in "ab" for name in NAMES[:3]])
    rows = [
        (f"{lead}{folder}/{name}".replace("/", "\\" if "\\" in lead else "/"), "X")
        for folder in "ab"
        for name in NAMES[:3]
    ]
    path = tmp_path / "l.csv" if place == "root" else pictures / ("labels.csv" if place == "labels.csv" else "l.csv")
    path.write_text(table("file,label", rows=rows))
    found = dataset.collect(
        path if place != "labels.csv" else pictures, root=str(pictures) if place == "root" else None
    )
    assert [Path(sample.path).is_file() for sample in found] == [True] * 6
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 and "its paths start with" in said[0] and str(pictures) in said[0]


def test_pictures_of_the_same_names_in_another_folder_are_not_taken(tmp_path: Path, write: Maker) -> None:
    write(tmp_path / "test", NAMES)
    (tmp_path / "l.csv").write_text(table("file,label", folder="/home/bob/train/"))
    assert not any(Path(sample.path).exists() for sample in dataset.collect(tmp_path / "l.csv"))


def test_names_that_begin_like_a_comment(tmp_path: Path) -> None:
    touched(tmp_path, ["#1.png", "#2.png"])
    (tmp_path / "l.txt").write_text("#1.png A\n#2.png\t#B\n")
    (tmp_path / "l.csv").write_text("label,file\n#B,#2.png\n# ,#1.png\n")
    assert pairs(tmp_path / "l.txt") == [("#1.png", "A"), ("#2.png", "#B")]
    assert pairs(tmp_path / "l.csv") == [("#2.png", "#B"), ("#1.png", "#")]


@pytest.mark.parametrize("names", [["AB_1.png", "CD_2.png"], ["word_1.png", "word_2.png"]])
def test_a_submission_above_the_pictures_is_not_reported(names: list[str], tmp_path: Path, capsys: Said) -> None:
    pictures = touched(tmp_path / "pictures", names)
    (tmp_path / "results.txt").write_text(f'{names[0]}, "AB"\n{names[1]}, "C0"\n')
    pairs(pictures)
    # Ground truth looks the same. It differs from the labels in the names.
    assert ("results.txt names pictures" in capsys.readouterr().err) == (names[0] == "word_1.png")


def test_the_commands_that_read_lists_take_root(tmp_path: Path, write: Maker, capsys: Said) -> None:
    write(tmp_path / "far" / "away", NAMES)
    (tmp_path / "l.csv").write_text(table("file,label"))
    code, _, errors = run(tmp_path / "l.csv", "--root", str(tmp_path / "far" / "away"), capsys=capsys)
    assert (code, f"--root {tmp_path / 'far' / 'away'}" in errors) == (0, True)
    argv = ["convert", str(tmp_path / "l.csv"), str(tmp_path / "out"), "--form", "folder"]
    with pytest.raises(SystemExit) as stop:
        command_line.run([*argv, "--root", str(tmp_path / "far" / "away")])
    assert stop.value.code == 0
    shutil.rmtree(tmp_path / "far")
    with pytest.raises(SystemExit) as stop:
        run_command(main, DatasetParameters, [str(tmp_path / "l.csv")])
    assert stop.value.code == 2


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("l.csv", f"name,other\n{'a' * 90_000},x\n"),
        ("l.jsonl", '{"file": "a.png", "label": ["' + "x" * 100_000 + '"]}\n'),
        ("l.json", '{"a.png": 1, "' + "b" * 100_000 + '": 1.5}'),
        ("l.txt", "a" * 100_000 + '.png\t{"x": 1}\n'),
    ],
)
def test_messages_shorten_long_texts(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError) as error:
        pairs(tmp_path / name)
    assert len(str(error.value)) < 1000


@pytest.mark.parametrize("part", [1.0, 0.1])
def test_boxes_of_ppocrlabel_are_whole_pictures_or_an_error(part: float, tmp_path: Path, write: Maker) -> None:
    write(tmp_path, NAMES)
    width, height = 40 * part, 20
    points = [[0, 0], [width, 0], [width, height], [0, height]]
    rows = [f"{name}\t{json.dumps([{'transcription': label, 'points': points}])}\n" for name, label in PAIRS]
    (tmp_path / "Label.txt").write_text("".join([*rows, "0000.png\t[]\n"]))
    if part == 1.0:
        assert pairs(tmp_path / "Label.txt") == [*PAIRS, ("0000.png", "")]
    else:
        with pytest.raises(UserError, match=r"line 3: the box of 0002.png is 10% of the picture, and so are others"):
            pairs(tmp_path / "Label.txt")


@pytest.mark.skipif(sys.platform == "win32", reason="no links there")
def test_a_link_to_itself_is_an_unreadable_picture(tmp_path: Path, write: Maker) -> None:
    write(tmp_path, ["AB_1.png"])
    (tmp_path / "CD_2.png").symlink_to(tmp_path / "CD_2.png")
    contents = dataset.examine(dataset.collect(tmp_path))
    assert list(contents.names) == ["AB_1.png"]
    assert [name for name, _ in contents.unreadable] == ["CD_2.png"]


def test_a_name_of_100_000_characters_is_a_missing_picture(tmp_path: Path, write: Maker) -> None:
    write(tmp_path, ["a.png"])
    (tmp_path / "l.jsonl").write_text(f'{{"file": "a.png", "label": "x"}}\n{{"file": "{"b" * 100_000}.png"}}\n')
    contents = dataset.examine(dataset.collect(tmp_path / "l.jsonl"))
    assert list(contents.labels) == ["x"]
    assert [(len(name) < 200, reason) for name, reason in contents.unreadable] == [(True, "no such file")]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("file,label\n0000.png,é\n".encode("cp1252"), "metadata.csv is not UTF-8 text"),
        (b'file,label\n0000.png,x\n0001.png,"y\n0002.png,z\n', "metadata.csv, line 3: a quote opens there"),
    ],
)
def test_a_table_in_a_folder_that_cannot_be_read_is_an_error(data: bytes, said: str, tmp_path: Path) -> None:
    touched(tmp_path, NAMES)
    (tmp_path / "metadata.csv").write_bytes(data)
    with pytest.raises(UserError, match=said):
        pairs(tmp_path)


def test_a_text_in_another_encoding_is_not_a_list(tmp_path: Path) -> None:
    touched(tmp_path, ["AB_1.png"])
    (tmp_path / "notes.txt").write_bytes("AB_1.png is bläh\n".encode("cp1252"))
    assert pairs(tmp_path) == [("AB_1.png", "AB")]


UNREAD = {
    "addresses.csv": table("file,label", folder="https://example.org/"),
    "words.xml": "".join(f'<image file="{name}" tag="{label}"/>' for name, label in PAIRS),
    "labels.yaml": table("", ": "),
    "train.lst": table("", "\t"),
    "labels": table("", " "),
    "output.manifest": "".join(json.dumps({"source-ref": name, "text": label}) for name, label in PAIRS),
    "order.txt": "".join(f"{label}\n" for label in LABELS),
    "labels/labels.csv": table("file,label"),
    "../labels.csv": table("file,label", folder="in/"),
}


@pytest.mark.parametrize("name", [*UNREAD, "labels.xlsx", "labels.fods", "labels.mat", "labels.h5"])
def test_a_list_that_is_not_read_is_named(tmp_path: Path, capsys: Said, name: str) -> None:
    touched(tmp_path / "in", [*NAMES, name])
    (tmp_path / "in" / name).write_text(UNREAD.get(name, "PK\3\4"))
    assert pairs(tmp_path / "in") == [(each, each.removesuffix(".png")) for each in NAMES]
    assert Path(name).name in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32"])
def test_a_list_in_a_wide_encoding_that_is_not_read_is_named(tmp_path: Path, capsys: Said, encoding: str) -> None:
    touched(tmp_path, NAMES)
    (tmp_path / "names.csv").write_bytes(table("file,label").encode(encoding))
    pairs(tmp_path)
    assert "names.csv" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["labels/0000.txt", "ann/0000.png.json", "page/0000.xml"])
def test_texts_in_a_folder_of_labels_are_named(text: str, tmp_path: Path, capsys: Said) -> None:
    touched(tmp_path, [f"images/{name}" for name in NAMES])
    touched(tmp_path, [text.replace("0000", name.removesuffix(".png")) for name in NAMES])
    for folder in (tmp_path, tmp_path / "images"):
        pairs(folder)
        assert f"{text} and others there, which are named like the pictures" in capsys.readouterr().err


@pytest.mark.parametrize("change", [str.upper, lambda name: name.removesuffix(".png"), lambda name: f".\\{name}"])
def test_pictures_with_other_spellings_in_the_list_are_not_left_out(
    tmp_path: Path, capsys: Said, change: Callable[[str], str]
) -> None:
    touched(tmp_path, NAMES)
    (tmp_path / "names.csv").write_text(table("file,label", rows=[(change(name), label) for name, label in PAIRS]))
    found = dataset.collect(tmp_path)
    assert [(Path(each.path).name, each.label) for each in found] == PAIRS
    assert "left out" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "row", "label"),
    [
        ("x.tsv", '"a.png"\t"01C6"\n', "01C6"),
        ("x.tsv", '"a.png"\t"say ""hi"""\n', 'say "hi"'),
        ("x.tsv", '"a.png"\t0042\n', "0042"),
        ("x.tsv", 'a.png\t"01C6"\n', '"01C6"'),
        ("x.csv", 'a.png,="0042"\n', "0042"),
        ("x.csv", 'a.png,"=""0042"""\n', "0042"),
    ],
)
def test_quotes_of_spreadsheet_formulas_are_removed(tmp_path: Path, name: str, row: str, label: str) -> None:
    touched(tmp_path, ["a.png"])
    (tmp_path / name).write_text(row)
    assert pairs(tmp_path / name) == [("a.png", label)]


@pytest.mark.parametrize(
    ("odd", "said"), [("nan", "an empty cell"), ("NULL", "an empty cell"), ("'0042", "apostrophe")]
)
def test_values_that_programs_write_for_texts_and_empty_cells_are_reported(
    tmp_path: Path, capsys: Said, odd: str, said: str
) -> None:
    touched(tmp_path, NAMES)
    (tmp_path / "names.csv").write_text(table("file,label", rows=[(NAMES[0], odd), *PAIRS[1:]]))
    pairs(tmp_path)
    assert re.search(f"line 2: .*{said}", capsys.readouterr().err)


@pytest.mark.parametrize("name", ["labels.tsv", "gt.txt", "labels.txt", "train.tab", "labels.jsonl", "x.ndjson"])
@pytest.mark.parametrize("array", [True, False])
def test_predictions_are_not_labels_whatever_their_file_is_called(
    tmp_path: Path, capsys: Said, name: str, array: bool
) -> None:
    touched(tmp_path, [f"{label}_0.png" for label in LABELS])
    rows = [{"file": f"{label}_0.png", "text": "WRONG", "probability": 0.5} for label in LABELS]
    if "js" not in name:
        text = "".join(f"{row['file']},WRONG,0.500000\n" for row in rows)
        (tmp_path / name).write_text("file,text,probability\n" + text)
    else:
        text = json.dumps(rows, indent=1) if array else "".join(f"{json.dumps(row)}\n" for row in rows)
        (tmp_path / name).write_text(text)
    assert pairs(tmp_path) == [(f"{label}_0.png", label) for label in LABELS]
    assert f"{name} holds what was read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("labels.tsv", table("file,label")),
        ("labels.tsv", table("file;label", ";")),
        ("list.txt", table("filename,label")),
        ("list.txt", table("image\ttext", "\t")),
        ("labels.jsonl", json.dumps([{"file": name, "label": label} for name, label in PAIRS], indent=1)),
    ],
)
def test_lists_with_the_suffix_of_another_format(tmp_path: Path, name: str, content: str) -> None:
    touched(tmp_path, NAMES)
    (tmp_path / name).write_text(content)
    assert pairs(tmp_path) == pairs(tmp_path / name) == PAIRS


def records(keys: tuple[str, str], rows: list[tuple[str, str, str]]) -> list[dict[str, str]]:
    return [{"file": name, keys[0]: one, keys[1]: other} for name, one, other in rows]


@pytest.mark.parametrize("name", ["labels.csv", "names.csv", "x.tsv", "list.txt", "x.jsonl", "x.json", "columns.json"])
@pytest.mark.parametrize("keys", [("label", "text"), ("transcription", "label"), ("code", "plate")])
@pytest.mark.parametrize("differs", [0, 3, None])
def test_two_columns_of_labels_must_agree(
    name: str, keys: tuple[str, str], differs: int | None, tmp_path: Path
) -> None:
    touched(tmp_path, NAMES)
    rows = [(name, label, "7" if row == differs else label) for row, (name, label) in enumerate(PAIRS)]
    if name == "columns.json":
        columns = {
            key: {str(row): cells[key] for row, cells in enumerate(records(keys, rows))} for key in ("file", *keys)
        }
        text = json.dumps(columns)
    elif name == "x.json":
        text = json.dumps(records(keys, rows))
    elif name == "x.jsonl":
        text = "".join(f"{json.dumps(each)}\n" for each in records(keys, rows))
    else:
        separator = "," if name.endswith(".csv") else "\t"
        text = "".join(f"{separator.join(row)}\n" for row in [("file", *keys), *rows])
    (tmp_path / name).write_text(text)
    for path in (tmp_path, tmp_path / name):
        if differs is None:
            assert pairs(path) == PAIRS
        else:
            with pytest.raises(UserError, match=f"{keys[0]}.*{keys[1]}|{keys[1]}.*{keys[0]}.* rename or remove"):
                pairs(path)


@pytest.mark.parametrize("chosen", ["labels.csv", "labels.tsv", "labels.jsonl", "names.csv"])
@pytest.mark.parametrize("other", ["corrected.csv", "gt.txt", "0003.txt", "0003.TXT", "0003.gt.txt", "0003.png.txt"])
@pytest.mark.parametrize("label", [LABELS[3], "OTHER"])
def test_lists_and_sidecars_must_agree(chosen: str, other: str, label: str, tmp_path: Path, capsys: Said) -> None:
    touched(tmp_path, NAMES)
    rows = "".join(json.dumps({"file": name, "label": text}) + "\n" for name, text in PAIRS)
    (tmp_path / chosen).write_text(
        table("file\tlabel", "\t") if "tsv" in chosen else rows if "json" in chosen else table("file,label")
    )
    row = {"corrected.csv": f"file,label\n{NAMES[3]},{label}\n", "gt.txt": f"{NAMES[3]} {label}\n"}
    (tmp_path / other).write_text(row.get(other, f"{label}\n"))
    if label in LABELS:
        assert pairs(tmp_path) == PAIRS
    else:
        with pytest.raises(
            UserError, match=f"contradict each other: for {NAMES[3]}, .*{re.escape(str(tmp_path / chosen))}"
        ):
            pairs(tmp_path)
    # A named list is read.
    assert pairs(tmp_path / chosen) == PAIRS
    assert capsys.readouterr().err.count("\n") <= 2


def test_predictions_and_boxes_beside_a_list_are_no_contradiction(tmp_path: Path) -> None:
    touched(tmp_path, NAMES)
    (tmp_path / "labels.csv").write_text(table("file,label"))
    (tmp_path / "out.csv").write_text(f"file,text,probability\n{NAMES[0]},OTHER,0.9\n")
    (tmp_path / "0000.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    (tmp_path / "0001.txt").write_text("two\nlines\n")
    assert pairs(tmp_path) == PAIRS


@pytest.mark.parametrize("suffix", [".TXT", ".Txt", ".GT.TXT", ".gt.TXT", ".png.txt"])
def test_sidecars_of_other_names(suffix: str, tmp_path: Path, capsys: Said) -> None:
    touched(tmp_path, NAMES)
    for name, label in PAIRS:
        (tmp_path / f"{name.removesuffix('.png')}{suffix}").write_text(label)
    assert pairs(tmp_path) == PAIRS
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", ["names.csv", "labels.csv", "gt.txt"])
@pytest.mark.parametrize(
    ("there", "listed"), [("02f076.png", "02F076.PNG"), ("Ab.png", "aB.png"), ("a b.png", "a%20b.png")]
)
def test_names_in_other_capitals_and_percent_encoding(
    name: str, there: str, listed: str, tmp_path: Path, capsys: Said
) -> None:
    touched(tmp_path, [there, "other.png"])
    rows = [(listed, "X"), ("other.png", "Y")]
    (tmp_path / name).write_text(table("file,label", rows=rows) if "csv" in name else table("", "\t", rows))
    assert [(Path(each.path).name, each.label) for each in dataset.samples(tmp_path)] == [
        (there, "X"),
        ("other.png", "Y"),
    ]
    assert "left out" not in capsys.readouterr().err


@pytest.mark.parametrize("name", ["l.jsonl", "l.json"])
def test_pictures_may_be_named_by_numbers(name: str, tmp_path: Path) -> None:
    touched(tmp_path, ["17.png", "18.png"])
    rows = [json.dumps({"id": number, "text": "AB"}) for number in (17, 18)]
    (tmp_path / name).write_text(f"[{','.join(rows)}]" if name == "l.json" else "\n".join(rows))
    assert [label for _, label in pairs(tmp_path)] == ["AB", "AB"]


def test_ambiguous_capitals_are_not_guessed(tmp_path: Path, capsys: Said) -> None:
    touched(tmp_path, ["ab.png", "AB.png", "c.png"])
    (tmp_path / "names.csv").write_text("file,label\nAb.png,X\nab.png,Y\nc.png,Z\n")
    assert [Path(each.path).is_file() for each in dataset.samples(tmp_path)] == [False, True, True]
    capsys.readouterr()
    (tmp_path / "names.csv").write_text("file,label\nab.png,Y\nc.png,Z\n")
    pairs(tmp_path)
    assert "1 picture is not in names.csv and left out, such as AB.png" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text",
    [
        *("{}.lab", "{}.label", "{}.caption", "{}.box", "{}_gt.txt", "{}.png.json", "{}.JSON", "{}.LAB", "{}.gt"),
        *("{}.yaml", "{}.hocr", "gt_{}.txt"),
    ],
)
def test_texts_beside_pictures_that_are_not_read_are_named(text: str, tmp_path: Path, capsys: Said) -> None:
    touched(tmp_path, NAMES)
    for name in NAMES[:4]:
        (tmp_path / text.format(name.removesuffix(".png"))).write_text("X\n")
    pairs(tmp_path)
    assert re.search("not from the files .* that 4 of 6 pictures have beside them", capsys.readouterr().err)


@pytest.mark.parametrize("name", ["l.text", "l.log", "l.ini", "l.md", "l.csv.gz", "l.tsv.xz", "l.pkl", "l.txt.bz2"])
def test_other_files_that_name_the_pictures_are_named(name: str, tmp_path: Path, capsys: Said) -> None:
    touched(tmp_path, NAMES)
    data = table("", "\t").encode()
    packed: dict[str, Callable[[bytes], bytes]] = {
        ".gz": gzip.compress,
        ".xz": lzma.compress,
        ".bz2": bz2.compress,
        ".pkl": pickle.dumps,
    }
    (tmp_path / name).write_bytes(packed[suffix](data) if (suffix := Path(name).suffix) in packed else data)
    pairs(tmp_path)
    assert f"{name} names pictures" in capsys.readouterr().err
    (tmp_path / name).write_bytes(b"\x1f\x8b damaged")
    pairs(tmp_path)
    assert capsys.readouterr().err == ""


def test_files_that_contain_or_describe_single_pictures_are_not_called_lists(tmp_path: Path, capsys: Said) -> None:
    touched(tmp_path, NAMES)
    (tmp_path / "Thumbs.db").write_bytes(table("").encode("utf-16-le"))
    (tmp_path / "pictures.zip").write_text(table(""))
    (tmp_path / "0000.xml").write_text("<image>0000.png</image>")
    pairs(tmp_path)
    assert "names pictures" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("cells", "is_said"), [("{},120,34", True), ("{},train", True), ("{}", False), ("{},,", False)]
)
def test_a_table_without_header_reports_the_column_that_is_used(
    cells: str, is_said: bool, tmp_path: Path, capsys: Said
) -> None:
    touched(tmp_path, NAMES)
    (tmp_path / "labels.csv").write_text("".join(f"{name},{cells.format(label)}\n" for name, label in PAIRS))
    assert pairs(tmp_path) == PAIRS
    assert ("the second of" in capsys.readouterr().err) == is_said


def test_more_files_than_are_looked_at_are_reported(tmp_path: Path, capsys: Said) -> None:
    touched(tmp_path, [*NAMES, *(f"note{number}.txt" for number in range(60))])
    (tmp_path / "z.txt").write_text(table("", "\t"))
    pairs(tmp_path)
    assert "of 61 files that may be lists of labels, only the first 50 were looked at" in capsys.readouterr().err


@pytest.mark.parametrize(
    "row",
    [
        *(
            "{} | {}",
            "{} -> {}",
            "{} => {}",
            "{} : {}",
            "{} ; {}",
            "{}::{}",
            "{} :: {}",
            "{} = {}",
            "{} - {}",
            "{} → {}",
        ),
        *('"{}" "{}"', '"{}","{}"', '"{}"\t"{}"', "'{}' '{}'", "{}\t{}\ttrain", "{}\t{}\tval", "{}\t{}\ttrain|0.98"),
    ],
)
def test_a_separator_in_all_rows_is_not_part_of_the_labels(row: str, tmp_path: Path) -> None:
    touched(tmp_path, NAMES)
    (tmp_path / "gt.txt").write_text("".join(f"{row.format(*each)}\n" for each in PAIRS))
    assert pairs(tmp_path) == pairs(tmp_path / "gt.txt") == PAIRS


def test_signs_at_the_start_of_some_labels_belong_to_them(tmp_path: Path) -> None:
    (tmp_path / "gt.txt").write_text("a.png - 5\nb.png 7\nc.png | x\nd.png\t: y\n")
    assert [label for _, label in pairs(tmp_path / "gt.txt")] == ["- 5", "7", "| x", ": y"]


def test_a_row_without_the_separator_of_the_first_rows_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "gt.txt").write_text("file | label\n" + "a.png | X\n" * 60 + "b.png Y\n")
    with pytest.raises(UserError, match=r"line 62 has no \| between name and label"):
        pairs(tmp_path / "gt.txt")


def test_ground_truth_of_donut(tmp_path: Path) -> None:
    touched(tmp_path, NAMES)
    path = tmp_path / "metadata.jsonl"
    truths = [json.dumps({"gt_parse": {"text_sequence": label}}) for label in LABELS]
    rows = [{"file_name": name, "ground_truth": truth} for name, truth in zip(NAMES, truths, strict=True)]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    assert pairs(tmp_path) == PAIRS
    truth = json.dumps({"gt_parse": {"total": "1", "date": "2"}})
    path.write_text(json.dumps({"file_name": NAMES[0], "ground_truth": truth}) + "\n")
    with pytest.raises(UserError, match="line 1: the ground truth of Donut there is not one text"):
        pairs(path)


@pytest.mark.parametrize(
    "text", ['{{"text": "{}"}}', '{{\n "label": "{}", "score": 1\n}}', "text: {}", "label: {}", "id: 7\ntext: {}"]
)
def test_sidecars_with_a_key_before_the_label(text: str, tmp_path: Path) -> None:
    touched(tmp_path, NAMES)
    for name, label in PAIRS:
        (tmp_path / f"{name.removesuffix('.png')}.txt").write_text(text.format(label))
    assert pairs(tmp_path) == PAIRS


@pytest.mark.parametrize("texts", [["label: x", "y"], ["{x}", "{y}"], ["Text: x", "Label: y"]])
def test_sidecars_that_only_look_like_keys_and_labels(texts: list[str], tmp_path: Path) -> None:
    for name, text in zip("ab", texts, strict=True):
        touched(tmp_path, [f"{name}.png"])
        (tmp_path / f"{name}.txt").write_text(text)
    assert [label for _, label in pairs(tmp_path)] == texts


def test_json_beside_a_picture_with_two_labels_is_an_error(tmp_path: Path) -> None:
    touched(tmp_path, ["a.png"])
    (tmp_path / "a.txt").write_text('{"label": "A", "text": "B"}')
    with pytest.raises(UserError, match=r"a\.txt has the columns label and text"):
        pairs(tmp_path)


def test_few_texts_that_look_like_boxes_are_labels(tmp_path: Path) -> None:
    for number, text in enumerate(["Flat 1 2 3 4", "one", "two"]):
        touched(tmp_path, [f"{number}.png"])
        (tmp_path / f"{number}.txt").write_text(text)
    assert [label for _, label in pairs(tmp_path)] == ["Flat 1 2 3 4", "one", "two"]


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("“{}”", "are between quotes"),
        ("„{}“", "are between quotes"),
        ("«{}»", "are between quotes"),
        ("['{}']", "look like Python's way"),
        ("b'{}'", "look like Python's way"),
        ('{{"a": "{}"}}', "look like objects of JSON"),
        ("| {}", "begin with a sign"),
        ('[{{"text": "{}"}}]', "look like objects of JSON"),
        ("a.png {}", "begin like file names"),
        ("label={}", "begin with the name of a field"),
        ("128 64 {}", "begin with numbers"),
        ("ok 154 408 -1 768 27 51 AT {}", "begin with numbers"),
        ("{}|train", "end in the name of a split"),
        ("{} 0.98", "end in a number that may be a score"),
        ("{}&amp;", "6 labels hold characters as HTML writes them, such as 01C6&amp;: write 01C6&"),
    ],
)
def test_notation_left_in_labels_is_reported(
    pattern: str, said: str, tmp_path: Path, write: Maker, capsys: Said
) -> None:
    write(tmp_path, NAMES)
    rows = [{"file": name, "label": pattern.format(label)} for name, label in PAIRS]
    (tmp_path / "labels.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    assert [label for _, label in pairs(tmp_path)] == [pattern.format(label) for label in LABELS]
    _, out, _ = run(tmp_path, capsys=capsys)
    assert said in " ".join(out.split())


@pytest.mark.parametrize("name", ["labels.csv", "out.tsv", "labels.jsonl", "out.json"])
@pytest.mark.parametrize("key", ["text", "label"])
@pytest.mark.parametrize(
    ("column", "cells"),
    [
        *(
            (column, ["0.98", "1", "0.5"])
            for column in ("score", "conf", "prob", "confidence", "probability", "certainty")
        ),
        *[("score", ["98.5", "100", "0"]), ("scores", ["[0.9, 0.8]", "[1, 1]", "[0.5]"]), ("status", ["rejected"] * 3)],
    ],
)
def test_predictions_of_other_programs_are_not_labels(
    name: str, key: str, column: str, cells: list[str], tmp_path: Path, capsys: Said
) -> None:
    touched(tmp_path, ["AB_0.png", "CD_1.png", "EF_2.png"])
    rows = [{"file": file, key: "WRONG", column: cell} for file, cell in zip(os.listdir(tmp_path), cells, strict=True)]
    if "js" in name:
        rows = [{**row, column: row[column] if column == "status" else json.loads(row[column])} for row in rows]
        text = json.dumps(rows) if name == "out.json" else "".join(f"{json.dumps(row)}\n" for row in rows)
    else:
        # The cells contain the separator of CSV.
        text = "\t".join(rows[0]) + "\n" + "".join("\t".join(row.values()) + "\n" for row in rows)
        text = text if name == "out.tsv" else text.replace(", ", " ").replace("\t", ",")
    (tmp_path / name).write_text(text)
    assert [label for _, label in pairs(tmp_path)] == ["AB", "CD", "EF"]
    assert f"{name} holds what was read, not labels" in capsys.readouterr().err
    # A named table is read.
    assert {label for _, label in pairs(tmp_path / name)} == {
        "" if column == "status" and "js" not in name else "WRONG"
    }


@pytest.mark.parametrize(
    "text",
    [
        "file,label,score\n0000.png,AB,1200\n0001.png,CD,900\n",
        "file,label,score\n0000.png,AB,\n0001.png,CD,good\n",
        "file,label,status\n0000.png,AB,rejected\n0001.png,CD,new\n",
        "file,plate,conf\n0000.png,AB,0.9\n0001.png,CD,0.8\n",
        "file,text,score,truth\n0000.png,X,0.9,AB\n0001.png,X,0.8,CD\n",
        "file,text,score,status\n0000.png,AB,0.9,checked\n0001.png,CD,0.8,accepted\n",
    ],
)
def test_other_columns_do_not_make_predictions(text: str, tmp_path: Path) -> None:
    touched(tmp_path, NAMES[:2])
    (tmp_path / "labels.csv").write_text(text)
    assert pairs(tmp_path) == [("0000.png", "AB"), ("0001.png", "CD")]


def test_a_list_of_texts_with_scores_is_not_a_list_of_labels(tmp_path: Path, capsys: Said) -> None:
    touched(tmp_path, NAMES)
    (tmp_path / "pred.txt").write_text(
        "".join(f"{name}\tWRONG\t{score}\n" for name, score in zip(NAMES, [0.5, 0.98, 1] * 2, strict=True))
    )
    assert [label for _, label in pairs(tmp_path)] == [name.removesuffix(".png") for name in NAMES]
    assert "pred.txt holds what was read, not labels" in capsys.readouterr().err
    assert {label for _, label in pairs(tmp_path / "pred.txt")} == {"WRONG"}
    assert "pred.txt holds what a program read, with scores" in capsys.readouterr().err


@pytest.mark.parametrize("label", ['{"text": "x"}', "plate: x"])
def test_sidecars_are_not_written_for_labels_that_they_cannot_hold(
    label: str, tmp_path: Path, write: Maker, capsys: Said
) -> None:
    write(tmp_path, ["a.png"])
    (tmp_path / "l.jsonl").write_text(json.dumps({"file": "a.png", "label": label}) + "\n")
    with pytest.raises(SystemExit) as stop:
        command_line.run(["convert", str(tmp_path / "l.jsonl"), str(tmp_path / "out"), "--form", "sidecar"])
    assert stop.value.code == 2
    assert "would be read as something else than a text" in capsys.readouterr().err


def test_texts_whose_names_differ_by_capitals_are_named(tmp_path: Path, capsys: Said) -> None:
    touched(tmp_path, ["ab.png", "cd.png", "AB.txt", "CD.txt"])
    assert [label for _, label in pairs(tmp_path)] == ["ab", "cd"]
    assert "not from the files *.txt that 2 of 2 pictures have" in capsys.readouterr().err


def test_a_list_beside_labels_that_cannot_be_read_is_named(tmp_path: Path, capsys: Said) -> None:
    touched(tmp_path, NAMES)
    (tmp_path / "labels.csv").write_text(table("file,label"))
    (tmp_path / "corrected.csv").write_text(table("name,truth"))
    assert pairs(tmp_path) == PAIRS
    assert (
        "labels are taken from labels.csv, and not from corrected.csv, which cannot be read" in capsys.readouterr().err
    )
