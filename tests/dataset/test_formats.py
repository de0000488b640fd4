"""Folders, lists and records: which pictures are found, in which order, with which labels."""

from __future__ import annotations

import json
import os
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

import dataset
import parameter.corpora
from crnn_reader.alphabet import character_numbers
from crnn_reader.errors import UserError
from crnn_reader.image import read_image
from dataset import FORMATS, WRITERS, collect
from dataset.formats.writing import CorpusFacts, Picture
from tests.samples import level

LABELS = {"a/one.png": "Ab1", "two words.png": "x y", "three.png": "é粤"}


def pairs(path: Path, label_pattern: str | None = None) -> list[tuple[str, str]]:
    return [(sample.name, sample.label) for sample in dataset.samples(path, label_pattern)]


def folder_format(folder: Path) -> Path:
    for name, label in LABELS.items():
        place = folder / f"{Path(name).parent}/{label}_{len(label)}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    return folder


def delimited_format(folder: Path) -> Path:
    rows = [f'1,"{label}",train,{name}' for name, label in LABELS.items()]
    path = folder / "labels.csv"
    path.write_text("\n".join(["id,label,split,file", *rows]) + "\n", encoding="utf-8")
    return path


def json_lines_format(folder: Path) -> Path:
    path = folder / "labels.jsonl"
    rows = [json.dumps({"file": name, "label": label, "split": "train"}) for name, label in LABELS.items()]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def plain_format(folder: Path) -> Path:
    path = folder / "labels.txt"
    path.write_text("".join(f"{name}\t{label}\n" for name, label in LABELS.items()), encoding="utf-8")
    return path


def icdar_format(folder: Path) -> Path:
    path = folder / "gt.txt"
    path.write_text("".join(f'{name}, "{label}"\n' for name, label in LABELS.items()), encoding="utf-8")
    return path


def labels_file_format(folder: Path) -> Path:
    rows = [f"{name}\t{label}\n" for name, label in LABELS.items()]
    (folder / "labels.tsv").write_text("".join(["file\tlabel\n", *rows]), encoding="utf-8")
    # Pictures that are not in the list are left out.
    (folder / "000017.png").touch()
    return folder


def sidecar_format(folder: Path) -> Path:
    for name, label in LABELS.items():
        place = folder / name
        place.parent.mkdir(exist_ok=True)
        place.touch()
        place.with_suffix(".txt").write_text(label + "\n", encoding="utf-8")
    return folder


def mjsynth_format(folder: Path) -> Path:
    lines = [
        f"./{number}/1/7_{label}_{number}.jpg {number}\n"
        for number, label in enumerate(LABELS.values())
        if " " not in label
    ]
    (folder / "annotation_train.txt").write_text("".join(lines), encoding="utf-8")
    return folder


def written(form: str) -> Callable[[Path], Path]:
    """A corpus by our writer. tests/dataset/test_records.py compares it with other writers."""

    def write(folder: Path) -> Path:
        numbers = character_numbers(None, LABELS.values())
        facts = CorpusFacts("train", len(LABELS), max(map(len, LABELS.values())), numbers, shards=2)
        pictures = (Picture(name, label, name.encode(), ".png", 40) for name, label in LABELS.items())
        return WRITERS[form].write(folder, pictures, facts)

    return write


def json_file_format(folder: Path) -> Path:
    path = folder / "labels.json"
    path.write_text(json.dumps(LABELS), encoding="utf-8")
    return path


def any_list_format(folder: Path) -> Path:
    rows = [f"{name}\t{label}\n" for name, label in LABELS.items()]
    (folder / "rec_gt.txt").write_text("".join(rows), encoding="utf-8")
    for name in (*LABELS, "000017.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    return folder


#: A corpus for each format.
MAKERS = {
    "lmdb": written("lmdb"),
    "fsns": written("fsns"),
    "tfrecord": written("tfrecord"),
    "mjsynth": mjsynth_format,
    "labels_file": labels_file_format,
    "any_list": any_list_format,
    "sidecar": sidecar_format,
    "folder": folder_format,
    "delimited": delimited_format,
    "json_lines": json_lines_format,
    "json_file": json_file_format,
    "icdar": icdar_format,
    "plain": plain_format,
}


LISTS = ["delimited", "json_lines", "icdar", "plain"]

#: Labels that a format cannot hold.
LACKING = {"mjsynth": {"x y"}}


def test_every_format_is_tested() -> None:
    assert MAKERS.keys() == FORMATS.keys()


def test_every_writer_is_a_value_of_the_flag() -> None:
    assert set(parameter.corpora.WRITABLE_FORMATS) == WRITERS.keys()


@pytest.mark.parametrize("name", FORMATS)
def test_contract_of_every_format(name: str, tmp_path: Path) -> None:
    path = MAKERS[name](tmp_path)
    assert next(form for form in FORMATS if FORMATS[form].matches(path)) == name
    found = list(dataset.samples(path))
    assert sorted(sample.label for sample in found) == sorted(set(LABELS.values()) - LACKING.get(name, set()))
    assert all(sample.path == os.path.join(tmp_path, sample.name) for sample in found)
    assert all(unicodedata.is_normalized("NFC", sample.label) for sample in found)
    collected = dataset.collect(path)
    assert list(collected) == found
    assert collected[-1] == found[-1]
    assert collected[1:] == found[1:]


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("change", ["bom", "crlf", "blank lines", "no last line end"])
def test_list_formats_accept_variations(name: str, change: str, tmp_path: Path) -> None:
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


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("content", [b"\xff\xfe\x00\xdc", b"a,b\0c", "é".encode("latin-1") + b" x"])
def test_a_list_that_is_not_text(name: str, content: bytes, tmp_path: Path) -> None:
    path = MAKERS[name](tmp_path)
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"{path.name}.*text"):
        pairs(path)


@pytest.mark.parametrize("name", LISTS)
def test_an_empty_list(name: str, tmp_path: Path) -> None:
    path = MAKERS[name](tmp_path)
    path.write_bytes(b"\n")
    assert pairs(path) == []
    with pytest.raises(UserError, match="holds no pictures"):
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
        ("l.txt", "an image.PNG one two\nb.png \n", [("an image.PNG", "one two"), ("b.png", "")]),
        ("l.txt", "a.png.x y\n", [("a.png.x", "y")]),
        ("l.tsv", 'a b.png\tone\nc.png\t"q"\n', [("a b.png", "one"), ("c.png", '"q"')]),
        ("l.tsv", "label\tpath\nx\ta.png\n", [("a.png", "x")]),
        ("l.csv", "a.png,x\nb.png,y\n", [("a.png", "x"), ("b.png", "y")]),
        ("l.csv", 'filename,text\na.png,"1,2 ""3"""\n', [("a.png", '1,2 "3"')]),
        ("l.csv", "File;Label\na.png;x,y\n", [("a.png", "x,y")]),
        ("l.csv", "image,width\na.png,9\n", [("a.png", "")]),
        ("l.tsv", "a.png\timage\nb.png\ttwo\n", [("a.png", "image"), ("b.png", "two")]),
        ("l.csv", "image_path,plate_text\na.png,x\n", [("a.png", "x")]),
        ("l.csv", "a.png,words\nb.png,code\n", [("a.png", "words"), ("b.png", "code")]),
        ("l.csv", "file,label\na.png\n\n,x\n", [("a.png", "")]),
        ("l.csv", "file,label\na.png,x,\n", [("a.png", "x")]),
        ("l.csv", 'file, label\na.png, 056A\nb.png, "x, y"\n', [("a.png", "056A"), ("b.png", "x, y")]),
        ("l.csv", 'file,label\na.png," x"\n', [("a.png", " x")]),
        ("l.txt", 'a.png, "say \\\\ \\"x\\""\nb.png,one, two\n', [("a.png", 'say \\ "x"'), ("b.png", "one, two")]),
        ("l.jsonl", '{"image": "a.png", "text": 42}\n', [("a.png", "42")]),
        ("l.ndjson", '{"path": "a.png"}\n{"path": "b.png", "label": null}\n', [("a.png", ""), ("b.png", "")]),
    ],
)
def test_lists(file: str, text: str, expected: list[tuple[str, str]], tmp_path: Path) -> None:
    path = tmp_path / file
    path.write_text(text, encoding="utf-8")
    assert pairs(path) == expected


def sidecars(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def test_sidecars_are_paired_by_name_and_the_others_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {
        "b.jpg": b"",
        "b.txt": "\ufeffzwei\r\n".encode(),
        "a.jpg": b"",
        "a.txt": b"one",
        "x/c.PNG": b"",
        "x/c.txt": b"",
    }
    alone = {"d.jpg": b"", "e.txt": b"nobody's", "x/b.txt": b"another b"}
    sidecars(tmp_path, files | alone)
    assert pairs(tmp_path) == [("a.jpg", "one"), ("b.jpg", "zwei"), ("d.jpg", ""), ("x/c.PNG", "")]
    assert "2 texts without a picture of the same name: e.txt, x/b.txt" in capsys.readouterr().err


def test_a_folder_with_few_texts_is_no_sidecar_folder(tmp_path: Path) -> None:
    sidecars(tmp_path, {"a_1.jpg": b"", "b_1.jpg": b"", "a_1.txt": b"notes"})
    assert pairs(tmp_path) == [("a_1.jpg", "a"), ("b_1.jpg", "b")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"one\ntwo\n", r"a\.txt has 2 lines: write"),
        ("é".encode("latin-1"), r"a\.txt cannot be read \(it is not UTF-8\)"),
    ],
)
def test_sidecars_that_are_no_label(text: bytes, message: str, tmp_path: Path) -> None:
    sidecars(tmp_path, {"a.jpg": b"", "a.txt": text})
    with pytest.raises(UserError, match=message):
        pairs(tmp_path)


def test_an_empty_sidecar_is_reported_as_unlabelled(tmp_path: Path, write: Callable[..., Path]) -> None:
    write(tmp_path, ["a.png", "b.png"])
    sidecars(tmp_path, {"a.txt": b"", "b.txt": b"x"})
    report = dataset.inspect(dataset.examine(dataset.collect(tmp_path)))
    assert report.unlabelled == ["a.png"]


def test_mjsynth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = sidecars(
        tmp_path / "90kDICT32px",
        {
            "annotation_train.txt": b"./2425/1/115_Lube_45484.jpg 45484\n",
            "annotation_val.txt": b"./1/2/373_coley_14845.jpg 14845\n",
            "imlist.txt": b"./1/2/373_coley_14845.jpg\n./2425/1/115_Lube_45484.jpg\n",
            "lexicon.txt": b"coley\n",
        },
    )
    train, validation = ("2425/1/115_Lube_45484.jpg", "Lube"), ("1/2/373_coley_14845.jpg", "coley")
    assert pairs(folder) == [train]
    assert "reading annotation_train.txt; annotation_val.txt can be given instead" in capsys.readouterr().err
    assert pairs(folder / "annotation_val.txt") == [validation]
    assert pairs(folder / "imlist.txt") == [validation, train]
    (folder / "annotation_test.txt").write_text("./1/2/373_coley_14845.jpg 14845\n./1/broken\n")
    with pytest.raises(UserError, match=r"annotation_test\.txt, line 2 is not like"):
        pairs(folder / "annotation_test.txt")


def test_another_list_of_that_name_is_a_list(tmp_path: Path) -> None:
    (tmp_path / "annotation_train.txt").write_text("a_b_1.jpg text\n")
    assert pairs(tmp_path / "annotation_train.txt") == [("a_b_1.jpg", "text")]


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("l.csv", "label,picture\nx,a.png\n", "none of them is file or path"),
        ("l.csv", "name,truth\na.png,x\n", "its first line, name, truth, has no known column names"),
        ("l.jsonl", '{"file": "a.png"}\n{broken\n', "line 2 is not JSON"),
        ("l.jsonl", '["a.png"]\n', "line 1 names no picture"),
        ("l.jsonl", "[" * 100_000 + "\n", "line 1 is not JSON"),
        ("l.jsonl", '{"label": "x"}\n', "line 1 names no picture"),
        (
            "l.jsonl",
            '{"file": "a.png", "label": "x"}\n{"file": "b.png", "label": 12.50}\n',
            "line 2: the label 12.5 is",
        ),
        ("l.jsonl", '{"file": "a.png", "label": ["x"]}\n', r'line 1: the label \["x"\] is not text'),
        ("l.jsonl", '{"file": "a.png", "label": true}\n', "line 1: the label true is not text"),
        ("l.png", "x", "is a picture: give its folder"),
        ("l.xlsx", "x", "is not a picture, and not a list of pictures: save the sheet as CSV"),
        ("l.pdf", "x", "is not a picture, and not a list of pictures"),
        ("l.json", "7", "holds no list of pictures: write"),
        ("l.json", "{broken", r"is not JSON \(.*\): write"),
        ("l.json", '{"a.png": "x", "a.png": "y"}', "has the name a.png twice"),
        ("l.json", '{"a.png": 1.5}', "a.png: the label 1.5 is not text"),
        ("l.json", '[["a.png"]]', "entry 1 names no picture with its label"),
        ("l.json", '[{"image": "a.png", "transcription": ["x", "y"]}]', "entry 1 has 2 texts for one picture"),
        ("l.json", '[{"data": {"image": "a.png"}, "annotations": []}]', "Label Studio: export JSON-MIN"),
        ("l.json", '{"images": [], "annotations": [], "categories": []}', "is COCO's"),
        ("l.json", '{"version": "5", "shapes": [], "imagePath": "a.png"}', "is LabelMe's"),
        ("l.json", "[" * 100_000, "nested too deeply"),
        (
            "l.csv",
            "file,label\na.png,x\nb.png,TAMAN DAYA, JOHOR\n",
            r"l\.csv, line 3: 3 cells .* holds , between quotes",
        ),
        ("l.csv", "a.png,x\n\nb.png,one, two\n", r"l\.csv, line 3: 3 cells where the first line has 2"),
        ("l.tsv", "file\tlabel\na.png\tx\ty\n", r"l\.tsv, line 2: .* holds a tab between quotes"),
        (
            "l.txt",
            'a.png\t[{"transcription": "a"}, {"transcription": "b"}]\n',
            "there is JSON, not a text, with 2 boxes",
        ),
        ("l.txt", 'a.png\t{"transcription": "a"}\n', "there is JSON, not a text"),
        ("l.txt", 'a.png\t[{"transcription": \n', "there is JSON, not a text"),
        ("l.txt", "a.png 100,20,30,40,0\nb.png 1,2,300,4,0\n", "2 of 2 labels are numbers such as 100,20,30,40,0"),
        ("l.csv", 'file,label\na.png,"x\nb.png,y\n', r"l\.csv, line 2: a quote opens there that is not closed"),
        ("l.csv", 'file,label\na.png,x\nb.png,"y\nc.png,"z"\n', r"l\.csv, line 3: a quote opens there"),
        ("l.csv", 'file,label\na.png,x\nb.png,"y\n', r"l\.csv, line 3: a quote opens there that is not closed"),
        ("l.csv", 'file,label\na,"x\nb"\n', r"l\.csv, line 2: a quote opens there and continues on the next line"),
        ("l.txt", "a" * (1 << 20), "line 1 is longer than 1,048,576 characters"),
        ("l.txt", 'a.png, "abc"\nsomething else\n', r"l\.txt, line 2 is not like word_1\.png"),
    ],
)
def test_lists_that_cannot_be_understood(file: str, text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / file
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        pairs(path)


def test_columns_without_labels_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "l.csv").write_text("id,Filename,Solution\n1,a.png,x\n")
    assert pairs(tmp_path / "l.csv") == [("a.png", "")]
    assert "none of its columns (id, Filename, Solution) is label or text" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "text"), [("labels.csv", "file,label\n1_x.png,b\n"), ("labels.tsv", "1_x.png\tb\n")])
def test_a_list_in_a_folder_says_what_its_pictures_read(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / "1_x.png").touch()
    (tmp_path / name).write_text(text)
    assert pairs(tmp_path) == [("1_x.png", "b")]
    (tmp_path / "labels.jsonl").touch()
    with pytest.raises(UserError, match=rf"has {name} and labels.jsonl: give the right one"):
        pairs(tmp_path)


def test_folders_with_lists_of_their_own_are_read_by_them(tmp_path: Path) -> None:
    for name in ("a_1.png", "train/000.png", "train/0001/001.png", "z/b_1.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "train" / "labels.csv").write_text("file,label\n0001/001.png,one\n000.png,two\n")
    found = [("a_1.png", "a"), ("train/0001/001.png", "one"), ("train/000.png", "two"), ("z/b_1.png", "b")]
    assert pairs(tmp_path) == found


def test_a_folder_above_mjsynth_is_read_by_its_annotations(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inner = tmp_path / "mjsynth/mnt/ramdisk/max/90kDICT32px"
    for name in ("2425/1/1_Lube_45484.jpg", "1/2/2_coley_14845.jpg"):
        (inner / name).parent.mkdir(parents=True)
        (inner / name).touch()
    (inner / "annotation_train.txt").write_text("./2425/1/1_Lube_45484.jpg 45484\n")
    (inner / "annotation_val.txt").write_text("./1/2/2_coley_14845.jpg 14845\n")
    assert pairs(tmp_path) == [("mjsynth/mnt/ramdisk/max/90kDICT32px/2425/1/1_Lube_45484.jpg", "Lube")]
    assert f"{inner}: reading annotation_train.txt" in capsys.readouterr().err


def test_a_folder_above_others_names_those(tmp_path: Path) -> None:
    for part in ("train", "validation"):
        (tmp_path / part).mkdir()
        written("tfrecord")(tmp_path / part)
    with pytest.raises(UserError, match=r"but in train, validation there: give .*train or .*validation"):
        dataset.collect(tmp_path)


@pytest.mark.skipif(os.sep != "/", reason="a backslash separates folders there")
def test_lists_from_windows_find_their_pictures(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").touch()
    (tmp_path / "l.csv").write_text("file,label\nin\\a.png,x\n")
    assert [Path(sample.path) for sample in dataset.collect(tmp_path / "l.csv")] == [tmp_path / "in" / "a.png"]


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere does not exist: give a folder"):
        dataset.collect(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"no pictures in .*generate_captcha"):
        dataset.collect(tmp_path)


def test_pictures_whose_names_are_no_text_are_read(tmp_path: Path) -> None:
    try:
        level(tmp_path / os.fsdecode(b"a_\xff.png"), 1)
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    contents = dataset.examine(dataset.collect(tmp_path))
    assert list(contents.labels) == ["a"]
    assert not contents.unreadable


@pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes are Linux's")
def test_names_that_are_not_utf8_are_pictures_of_their_own(tmp_path: Path) -> None:
    for name, value, label in ((b"\xbe\xa9", 10, "A"), (b"\xbb\xa6", 200, "B")):
        file = tmp_path / os.fsdecode(name + b".png")
        level(file, value)
        file.with_suffix(".txt").write_text(label)
    found = {sample.label: read_image(sample.path, channels=1).max() for sample in collect(tmp_path)}
    assert found == {"A": 10, "B": 200}
