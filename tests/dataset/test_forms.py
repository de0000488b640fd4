"""Folders and lists: which pictures are found, in which order, with which labels."""

from __future__ import annotations

import json
import os
import unicodedata
from pathlib import Path

import pytest

import dataset
from console import UserError
from dataset.forms import FORMS

LABELS = {"a/one.png": "Ab1", "two words.png": "x y", "three.png": "é粤"}


def pairs(path: Path, label_pattern: str | None = None) -> list[tuple[str, str]]:
    return [(sample.name, sample.label) for sample in dataset.samples(path, label_pattern)]


def folder_form(folder: Path) -> Path:
    for name, label in LABELS.items():
        place = folder / f"{Path(name).parent}/{label}_{len(label)}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    return folder


def delimited_form(folder: Path) -> Path:
    rows = [f'1,"{label}",train,{name}' for name, label in LABELS.items()]
    path = folder / "labels.csv"
    path.write_text("\n".join(["id,label,split,file", *rows]) + "\n", encoding="utf-8")
    return path


def json_lines_form(folder: Path) -> Path:
    path = folder / "labels.jsonl"
    rows = [json.dumps({"file": name, "label": label, "split": "train"}) for name, label in LABELS.items()]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def plain_form(folder: Path) -> Path:
    path = folder / "labels.txt"
    path.write_text("".join(f"{name}\t{label}\n" for name, label in LABELS.items()), encoding="utf-8")
    return path


#: One corpus per form: a new form is tested by one more function here.
MAKERS = {
    "folder": folder_form,
    "delimited": delimited_form,
    "json_lines": json_lines_form,
    "plain": plain_form,
}


def test_every_form_is_tested() -> None:
    assert MAKERS.keys() == FORMS.keys()


@pytest.mark.parametrize("name", FORMS)
def test_contract_of_every_form(name: str, tmp_path: Path) -> None:
    path = MAKERS[name](tmp_path)
    assert next(form for form in FORMS if FORMS[form].matches(path)) == name
    found = list(dataset.samples(path))
    assert sorted(sample.label for sample in found) == sorted(LABELS.values())
    assert all(sample.path == os.path.join(tmp_path, sample.name) for sample in found)
    assert all(unicodedata.is_normalized("NFC", sample.label) for sample in found)
    collected = dataset.collect(path)
    assert list(collected) == found
    assert collected[-1] == found[-1]
    assert collected[1:] == found[1:]


@pytest.mark.parametrize("name", [name for name in FORMS if name != "folder"])
@pytest.mark.parametrize("change", ["bom", "crlf", "blank lines", "no last line end"])
def test_every_list_form_forgives(name: str, change: str, tmp_path: Path) -> None:
    path = MAKERS[name](tmp_path)
    text = path.read_text(encoding="utf-8")
    text = {
        "bom": "\ufeff" + text,
        "crlf": text.replace("\n", "\r\n"),
        "blank lines": "\n" + text.replace("\n", "\n  \n"),
        "no last line end": text.rstrip("\n"),
    }[change]
    path.write_bytes(text.encode())
    assert pairs(path) == list(LABELS.items())


@pytest.mark.parametrize("name", [name for name in FORMS if name != "folder"])
@pytest.mark.parametrize("content", [b"\xff\xfe\x00a", b"a,b\0c", "é".encode("latin-1") + b" x"])
def test_a_list_that_is_no_text(name: str, content: bytes, tmp_path: Path) -> None:
    path = MAKERS[name](tmp_path)
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"{path.name}.*text"):
        pairs(path)


@pytest.mark.parametrize("name", [name for name in FORMS if name != "folder"])
def test_an_empty_list(name: str, tmp_path: Path) -> None:
    path = MAKERS[name](tmp_path)
    path.write_bytes(b"\n")
    assert pairs(path) == []
    with pytest.raises(UserError, match="lists no pictures"):
        dataset.collect(path)


def test_a_folder_is_searched_recursively_in_the_order_of_names(tmp_path: Path) -> None:
    names = ["b_2.png", "a_1.JPG", "c/z_1.png", "c/a_1.webp", "c/d/x.bmp", ".hidden_1.png", ".git/y_1.png", "notes.txt"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert [name for name, _ in pairs(tmp_path)] == ["a_1.JPG", "b_2.png", "c/a_1.webp", "c/d/x.bmp", "c/z_1.png"]


def test_a_link_to_a_folder_above_ends(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x_1.png").touch()
    (tmp_path / "a" / "back").symlink_to(tmp_path, target_is_directory=True)
    assert [name for name, _ in pairs(tmp_path)] == ["a/x_1.png"]


@pytest.mark.parametrize(
    ("file", "label"),
    [("aB3x_000017.png", "aB3x"), ("aB3x.png", "aB3x"), ("a.b_1.png", "a.b"), ("_1.png", ""), ("x_y_z.png", "x")],
)
def test_the_label_of_a_file_name(file: str, label: str, tmp_path: Path) -> None:
    (tmp_path / file).touch()
    assert pairs(tmp_path) == [(file, label)]


@pytest.mark.parametrize(
    ("pattern", "label"), [(r"_(?P<label>[^_]+)_", "coley"), (r"^(?P<label>\d+)", "373"), (r"(?P<label>zzz)", "")]
)
def test_label_pattern(pattern: str, label: str, tmp_path: Path) -> None:
    (tmp_path / "373_coley_14845.jpg").touch()
    assert pairs(tmp_path, pattern) == [("373_coley_14845.jpg", label)]
    paths = tmp_path / "paths.txt"
    paths.write_text("373_coley_14845.jpg\n")
    assert pairs(paths, pattern) == [("373_coley_14845.jpg", label)]


def test_labels_are_composed(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("a.png u\u0308\n", encoding="utf-8")
    assert pairs(tmp_path / "labels.txt") == [("a.png", "ü")]


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        ("l.txt", "a.png one two\nb.png  three \n", [("a.png", "one two"), ("b.png", "three")]),
        ("l.txt", "a b.png\tone two\n", [("a b.png", "one two")]),
        ("l.txt", "a.png\nb.png\n", [("a.png", ""), ("b.png", "")]),
        ("list", "a.png x\n", [("a.png", "x")]),
        ("l.tsv", 'a b.png\tone\nc.png\t"q"\n', [("a b.png", "one"), ("c.png", '"q"')]),
        ("l.tsv", "label\tpath\nx\ta.png\n", [("a.png", "x")]),
        ("l.csv", "a.png,x\nb.png,y\n", [("a.png", "x"), ("b.png", "y")]),
        ("l.csv", 'filename,text\na.png,"1,2 ""3"""\n', [("a.png", '1,2 "3"')]),
        ("l.csv", "File;Label\na.png;x,y\n", [("a.png", "x,y")]),
        ("l.csv", "image,width\na.png,9\n", [("a.png", "")]),
        ("l.csv", "file,label\na.png\n\n,x\n", [("a.png", "")]),
        ("l.jsonl", '{"image": "a.png", "text": 42}\n', [("a.png", "42")]),
        ("l.ndjson", '{"path": "a.png"}\n{"path": "b.png", "label": null}\n', [("a.png", ""), ("b.png", "")]),
    ],
)
def test_lists(file: str, text: str, expected: list[tuple[str, str]], tmp_path: Path) -> None:
    path = tmp_path / file
    path.write_text(text, encoding="utf-8")
    assert pairs(path) == expected


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("l.csv", "label,picture\nx,a.png\n", "none of them is file or path"),
        ("l.jsonl", '{"file": "a.png"}\n{broken\n', "line 2 is not JSON"),
        ("l.jsonl", '["a.png"]\n', "line 1 names no picture"),
        ("l.jsonl", '{"label": "x"}\n', "line 1 names no picture"),
        ("l.png", "x", "is a picture: give its folder"),
    ],
)
def test_lists_that_cannot_be_understood(file: str, text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / file
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        pairs(path)


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere does not exist: give a folder"):
        dataset.collect(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"no pictures in .*generate_captcha"):
        dataset.collect(tmp_path)


def test_names_that_are_no_text_are_reported_as_unreadable(tmp_path: Path) -> None:
    try:
        (tmp_path / os.fsdecode(b"\xff_1.png")).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    contents = dataset.examine(dataset.collect(tmp_path))
    assert len(contents) == 0
    assert [reason for _, reason in contents.unreadable] == ["no such file"]
