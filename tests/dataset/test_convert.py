"""`python -m dataset convert`: every format holds all pictures and labels, or nothing is written."""

from __future__ import annotations

import json
import os
import stat
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as pillow

import dataset
from cli.command import INTERRUPTED
from crnn_reader.alphabet import read_dictionary
from crnn_reader.image import read_image
from crnn_reader.pixels import convert_channels
from crnn_reader.sources import read_bytes
from dataset import tfrecord_file as tfrecord
from dataset.__main__ import run
from dataset.convert import beside
from dataset.formats import WRITERS
from tests.dataset.conftest import drawn
from tests.full_disk import full_disk
from tests.processes import finished

Convert = Callable[..., tuple[int, str]]

#: Labels that are difficult in some format. REFUSED has those that a format cannot hold.
HARD = {
    "plain": "aB3x",
    "spaces": "a  b",
    "commas": "1,2;3,",
    "quotes": '"q" \'r\' ""',
    "tab": "a\tb",
    "slash": "a/b\\c:*?",
    "underscore": "a_b",
    "dot": ".hidden",
    "unicode": "é粤ü",
    "combining": "q̈ x",
    "right to left": "שלום",
    "empty": "",
    "json": '{"a": [1]}',
    "lines": "one\ntwo",
    "long": "0123456789" * 12,
}
REFUSED = {
    "folder": {"quotes", "tab", "slash", "underscore", "dot", "json", "lines"},
    "sidecar": {"lines"},
    "csv": {"lines"},
    "tsv": {"tab", "lines"},
}


@pytest.fixture
def convert(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Convert:
    """Run the command in an empty folder. Returns exit code and stderr."""
    monkeypatch.chdir(tmp_path)

    def convert(*argv: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as stop:
            run(["convert", *map(str, argv)])
        captured = capsys.readouterr()
        assert captured.out == ""
        assert isinstance(stop.value.code, int)
        return stop.value.code, captured.err

    return convert


def corpus(folder: Path, labels: list[str], suffix: str = ".png") -> Path:
    """A list that can hold any label, with a different picture for each."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "in.jsonl").open("w", encoding="utf-8") as file:
        for index, label in enumerate(labels):
            (folder / f"{index}{suffix}").write_bytes(cv2.imencode(suffix, drawn(index, 40, 20))[1].tobytes())
            file.write(json.dumps({"file": f"{index}{suffix}", "label": label}) + "\n")
    return folder / "in.jsonl"


def written(out: str, form: str) -> Path:
    lists = {"csv": "labels.csv", "tsv": "labels.tsv", "json_lines": "labels.jsonl"}
    return Path(out, lists.get(form, ""))


@pytest.mark.parametrize("form", WRITERS)
def test_written_pictures_are_read_back(form: str, convert: Convert, tmp_path: Path) -> None:
    labels = [label for name, label in HARD.items() if name not in REFUSED.get(form, ())]
    source = corpus(tmp_path / "in", labels)
    assert convert(source, "out", "--form", form)[0] == 0
    before = {sample.label: sample for sample in dataset.collect(source)}
    after = {sample.label: sample for sample in dataset.collect(written("out", form))}
    assert after.keys() == before.keys() == set(labels)
    for label, sample in after.items():
        was, now = read_image(before[label].path, 3), read_image(sample.path, 3)
        if form == "tfrecord":
            # JPEG halves the colours' resolution, which noise does not survive; the grey picture does.
            was, now = convert_channels(was, 1), convert_channels(now, 1)
            assert np.abs(was.astype(int) - now).mean() < 8
        else:
            assert read_bytes(sample.path) == read_bytes(before[label].path)
    assert not list(tmp_path.glob("*.partial*")) + list(tmp_path.glob(".*"))


@pytest.mark.parametrize(("form", "name"), [(form, name) for form in REFUSED for name in sorted(REFUSED[form])])
def test_labels_that_a_format_cannot_hold(form: str, name: str, convert: Convert, tmp_path: Path) -> None:
    source = corpus(tmp_path / "in", ["fine", HARD[name]])
    code, err = convert(source, "out", "--form", form)
    assert code == 2
    assert err.splitlines()[-1].startswith(f"error: the label of 1.png, {HARD[name]!r}, ")
    assert f"use another format than {form}" in err
    assert not (tmp_path / "out").exists()


def test_pictures_without_a_label_are_counted(convert: Convert, tmp_path: Path) -> None:
    source = corpus(tmp_path / "in", ["ab", "", "b", ""])
    code, err = convert(source, "out", "--form", "lmdb")
    assert code == 0
    assert "out: 4 pictures\n2 of them have no label and cannot be trained on\n" in err


def test_the_source_is_not_written_into(convert: Convert, tmp_path: Path) -> None:
    corpus(tmp_path / "in", ["ab"])
    code, err = convert("in", "in/out", "--form", "csv")
    assert code == 2
    assert "out is in in, whose pictures would be joined by their copies" in err.replace(f"{tmp_path}/", "")
    assert not (tmp_path / "in" / "out").exists()


@pytest.mark.parametrize("form", WRITERS)
def test_every_format_to_every_other(form: str, convert: Convert, tmp_path: Path) -> None:
    """Records have no file names and are converted to other formats, too."""
    corpus(tmp_path / "in", ["ab", "ba", "b"])
    assert convert("in/in.jsonl", "one", "--form", form)[0] == 0
    for other in WRITERS:
        assert convert(written("one", form), f"two/{other}", "--form", other)[0] == 0
        found = sorted(sample.label for sample in dataset.samples(written(f"two/{other}", other)))
        assert found == ["ab", "b", "ba"]


@pytest.mark.parametrize("form", ["tfrecord", "lmdb", "csv"])
def test_validation_is_split_like_training_does(form: str, convert: Convert, tmp_path: Path) -> None:
    source = corpus(tmp_path / "in", [f"{index:03}" for index in range(100)])
    for copy in range(50, 60):
        (tmp_path / "in" / f"{copy}.png").write_bytes((tmp_path / "in" / f"{copy - 50}.png").read_bytes())
    lines = (tmp_path / "in" / "in.jsonl").read_text().splitlines()
    for copy in range(50, 60):
        lines[copy] = json.dumps({"file": f"{copy}.png", "label": f"{copy - 50:03}"})
    (tmp_path / "in" / "in.jsonl").write_text("\n".join(lines))
    code, err = convert(source, "out", "--form", form, "--validation", "0.2")
    assert code == 0
    contents = dataset.examine(dataset.collect(source))
    parts = dict(zip(("train", "validation"), dataset.split(contents.names, contents.digests, 0.2), strict=True))
    assert all(len(rows) for rows in parts.values())
    for title, rows in parts.items():
        path = written(f"out/{title}", form)
        assert [sample.label for sample in dataset.samples(path)] == list(map(str, contents.labels[rows]))
    places = [os.fspath(written(f"out/{title}", form)) for title in parts]
    assert f"next: python training.py --data {places[0]} --validation {places[1]}\n" in err
    assert f"{len(parts['train'])} in train and {len(parts['validation'])} in validation" in err


def test_shards(convert: Convert, tmp_path: Path) -> None:
    source = corpus(tmp_path / "in", list("abcdefg"))
    assert convert(source, "out", "--form", "fsns", "--shards", "3", "--validation", "0.3")[0] == 0
    files = sorted((tmp_path / "out" / "train").glob("*.tfrecord"))
    assert [file.name for file in files] == [f"train-0000{shard}-of-00003.tfrecord" for shard in range(3)]
    counts = [sum(1 for _ in tfrecord.records(file)) for file in files]
    assert max(counts) - min(counts) <= 1
    assert sum(counts) == len(list(dataset.samples(tmp_path / "out" / "train")))
    assert convert(source, "lmdb", "--form", "lmdb", "--shards", "3") == (
        2,
        "error: --shards is for --form fsns and tfrecord, not for lmdb: leave it out\n",
    )


def test_pictures_are_converted_only_if_the_format_cannot_hold_them(convert: Convert, tmp_path: Path) -> None:
    image = np.tile(np.linspace(0, 255, 60, dtype=np.uint8)[None, :, None], (30, 1, 3))
    (tmp_path / "in").mkdir()
    for suffix in ("jpg", "png", "bmp", "webp", "tiff", "ppm"):
        cv2.imwrite(str(tmp_path / "in" / f"{suffix}_1.{suffix}"), image)
    pillow.fromarray(image).save(tmp_path / "in" / "bigtiff_1.tif", big_tiff=True)
    (tmp_path / "in" / "misnamed_1.bmp").write_bytes((tmp_path / "in" / "jpg_1.jpg").read_bytes())
    kept = {"tfrecord": {"jpg", "misnamed"}, "fsns": {"jpg", "misnamed", "png"}}
    for form, same in kept.items():
        assert convert("in", form, "--form", form)[0] == 0
        for sample in dataset.samples(form):
            before = dataset.collect("in")
            source = next(each for each in before if each.label == sample.label)
            assert (read_bytes(sample.path) == read_bytes(source.path)) == (sample.label in same)
            difference = np.abs(read_image(sample.path, 1).astype(int) - read_image(source.path, 1))
            assert difference.max() <= (0 if form == "fsns" else 6)
    assert convert("in", "sidecar", "--form", "sidecar")[0] == 0
    assert sorted(path.suffix for path in Path("sidecar").glob("0*") if path.suffix != ".txt") == sorted(
        [".bmp", ".jpg", ".jpg", ".png", ".ppm", ".tif", ".tif", ".webp"]
    )


def test_a_dictionary_gives_the_numbers(convert: Convert, tmp_path: Path) -> None:
    source = corpus(tmp_path / "in", ["ba"])
    (tmp_path / "dic.txt").write_text("9\ta\n0\t<nul>\n4\tb\n5\tc\n")
    assert convert(source, "out", "--form", "fsns", "--alphabet", "dic.txt")[0] == 0
    ((_, data),) = tfrecord.records(next((tmp_path / "out").glob("*.tfrecord")))
    assert tfrecord.Example(data).integers("image/class") == [4, 9] + [0] * 35
    assert read_dictionary(tmp_path / "out" / "dic.txt") == {9: "a", 0: "", 4: "b", 5: "c"}
    assert convert(source, "more", "--form", "tfrecord", "--alphabet", "xba")[0] == 0
    assert json.loads((tmp_path / "more" / "char_map.json").read_text()) == {"x": 0, "b": 1, "a": 2}
    code, err = convert(source, "less", "--form", "tfrecord", "--alphabet", "a")
    assert (code, err) == (2, "error: labels hold b, which the alphabet a does not: add them, or correct the labels\n")


def test_labels_longer_than_the_padding(convert: Convert, tmp_path: Path) -> None:
    source = corpus(tmp_path / "in", ["a" * 50, "b"])
    assert convert(source, "out", "--form", "fsns")[0] == 0
    file = next((tmp_path / "out").glob("*.tfrecord"))
    assert [len(tfrecord.Example(data).integers("image/class")) for _, data in tfrecord.records(file)] == [50, 50]


def test_unreadable_pictures_are_left_out_and_named(convert: Convert, tmp_path: Path) -> None:
    source = corpus(tmp_path / "in", ["a", "b"])
    (tmp_path / "in" / "0.png").write_bytes(b"")
    code, err = convert(source, "out", "--form", "csv")
    assert code == 1
    assert "left out 0.png: zero bytes\n" in err
    assert [sample.label for sample in dataset.samples("out/labels.csv")] == ["b"]
    (tmp_path / "in" / "1.png").unlink()
    assert "none of the 2 pictures" in convert(source, "all", "--form", "csv")[1]
    assert not Path("all").exists()


def test_many_pictures_go_into_several_folders(monkeypatch: pytest.MonkeyPatch, convert: Convert) -> None:
    monkeypatch.setattr("dataset.formats.writing.PER_FOLDER", 2)
    source = corpus(Path("in"), list("abcde"))
    for form in ("folder", "sidecar", "csv"):
        assert convert(source, form, "--form", form)[0] == 0
        assert sorted(sample.label for sample in dataset.samples(written(form, form))) == list("abcde")
        assert Path(form, "0002").is_dir()


def test_a_folder_is_replaced_only_if_convert_wrote_it(convert: Convert, tmp_path: Path) -> None:
    source = corpus(tmp_path / "in", ["a", "b"])
    assert convert(source, "out", "--form", "sidecar")[0] == 0
    assert convert(source, "out", "--form", "csv")[0] == 0
    assert sorted(path.name for path in Path("out").iterdir()) == [
        "000000.png",
        "000001.png",
        "convert.json",
        "labels.csv",
    ]
    time.sleep(0.02)
    Path("out/labels.csv").write_text("mended by hand")
    code, err = convert(source, "out", "--form", "csv")
    assert code == 2
    assert "out is not empty, and is not as a call of convert left it" in err
    assert Path("out/labels.csv").read_text() == "mended by hand"
    for inside in ("in", source):
        assert "would be replaced" in convert(inside, "in", "--form", "csv")[1]
    assert convert(source, "in/out", "--form", "csv")[0] == 0


@pytest.mark.parametrize("form", WRITERS)
def test_an_interrupted_call_leaves_nothing(
    form: str, convert: Convert, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = corpus(tmp_path / "in", list("abcdef"))
    assert convert(source, "out", "--form", "csv")[0] == 0
    before = sorted(Path("out").iterdir())
    loaded = read_bytes
    calls = []

    def interrupted(path: str, max_pixels: int) -> bytes:
        calls.append(path)
        if len(calls) > 6 + 3:
            raise KeyboardInterrupt
        return loaded(path, max_pixels)

    for module in ("dataset.contents", "dataset.convert"):
        monkeypatch.setattr(f"{module}.read_bytes", interrupted)
    assert convert(source, "out", "--form", form)[0] == INTERRUPTED
    assert sorted(Path("out").iterdir()) == before
    assert sorted(os.listdir()) == ["in", "out"]


@pytest.mark.parametrize("form", WRITERS)
def test_a_full_disk_is_reported_with_the_name_of_the_folder(form: str, convert: Convert, tmp_path: Path) -> None:
    source = corpus(tmp_path / "in", list("abcdef"))
    script = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500));"
        "from dataset.__main__ import run; run(sys.argv[1:])"
    )
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", script, "convert", str(source), str(tmp_path / "out"), "--form", form]
    done = finished(command, cwd=root)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: no space left to write {tmp_path / 'out'}")
    assert sorted(os.listdir()) == ["in"]


@pytest.mark.parametrize("largest", [5_000, 9_000, 13_000, 20_000, 70_000])
def test_a_disk_that_becomes_full_while_lmdb_writes(largest: int, convert: Convert, tmp_path: Path) -> None:
    """LMDB reports a full disk by an error of its own."""
    source = corpus(tmp_path / "in", [f"{n}" for n in range(40)])
    assert convert(source, "out", "--form", "csv")[0] == 0
    before = sorted(Path("out").iterdir())
    with full_disk(largest):
        code, err = convert(source, "out", "--form", "lmdb")
    assert (code, len(err.splitlines())) == (2, 1)
    assert err.startswith(f"error: no space left to write {tmp_path / 'out'}")
    assert sorted(Path("out").iterdir()) == before
    assert sorted(os.listdir()) == ["in", "out"]


def test_a_call_killed_between_two_renames_loses_nothing(convert: Convert, tmp_path: Path) -> None:
    """After a kill at the worst moment, the old folder is renamed and the new one is not there yet."""
    source = corpus(tmp_path / "in", ["a", "b"])
    assert convert(source, "out", "--form", "csv")[0] == 0
    earlier = {path.name: path.read_bytes() for path in Path("out").iterdir()}
    staged, before = beside(tmp_path / "out")
    Path("out").rename(before)
    staged.mkdir()
    (staged / "labels.csv").write_text("half of it")
    # A call that does nothing restores the old folder.
    assert convert("nowhere", "out", "--form", "tsv")[0] == 2
    assert {path.name: path.read_bytes() for path in Path("out").iterdir()} == earlier
    # Killed later: the new folder is there, and the old one was not removed.
    before.mkdir()
    assert convert(source, "out", "--form", "tsv")[0] == 0
    assert Path("out/labels.tsv").is_file()
    assert sorted(os.listdir()) == ["in", "out"]


def test_a_folder_keeps_its_mode_and_a_link_stays(convert: Convert, tmp_path: Path) -> None:
    source = corpus(tmp_path / "in", ["a", "b"])
    assert convert(source, "disk/out", "--form", "csv")[0] == 0
    Path("disk/out").chmod(0o2750)
    Path("out").symlink_to("disk/out")
    assert convert(source, "out", "--form", "tsv")[0] == 0
    assert Path("out").is_symlink()
    assert Path("disk/out/labels.tsv").is_file()
    assert stat.S_IMODE(os.stat("disk/out").st_mode) == 0o2750


def test_the_longest_possible_name(convert: Convert, tmp_path: Path) -> None:
    source = corpus(tmp_path / "in", ["a", "b"])
    for _ in range(2):
        assert convert(source, "o" * 255, "--form", "csv")[0] == 0
    assert sorted(os.listdir()) == ["in", "o" * 255]


@pytest.mark.parametrize("signature", [b"II\0*", b"MM*\0"])
def test_tiff_with_swapped_bytes_in_its_signature(signature: bytes, convert: Convert) -> None:
    image = drawn(1)
    Path("in").mkdir()
    order = "<" if signature[:1] == b"I" else ">"
    pixels, entries = image.tobytes(), [(256, 4, 1, 40), (257, 4, 1, 20), (258, 3, 1, 8), (259, 3, 1, 1)]
    entries += [(262, 3, 1, 2), (273, 4, 1, 8), (277, 3, 1, 3), (278, 4, 1, 20), (279, 4, 1, len(pixels))]
    fields = [
        struct.pack(order + "HHL", tag, kind, count)
        + (struct.pack(order + "HH", value, 0) if kind == 3 else struct.pack(order + "L", value))
        for tag, kind, count, value in entries
    ]
    directory = struct.pack(order + "H", len(fields)) + b"".join(fields) + b"\0\0\0\0"
    data = signature + struct.pack(order + "L", 8 + len(pixels)) + pixels + directory
    Path("in/a_1.tif").write_bytes(data)
    assert (read_image("in/a_1.tif", 3) == image).all()
    for form in ("csv", "fsns"):
        assert convert("in", form, "--form", form)[0] == 0
        (sample,) = dataset.collect(written(form, form))
        assert (read_image(sample.path, 3) == image).all()
    assert Path("csv", "000000.tif").is_file()


def test_the_old_folder_is_restored_if_the_new_one_is_missing(
    convert: Convert, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = corpus(tmp_path / "in", list("abc"))
    assert convert(source, "out", "--form", "csv")[0] == 0
    before = sorted(Path("out").rglob("*"))
    rename = Path.rename

    def interrupted(path: Path, target: Path) -> Path:
        if path.name.endswith(".new"):
            raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    assert convert(source, "out", "--form", "tsv")[0] == INTERRUPTED
    assert sorted(Path("out").rglob("*")) == before
    assert sorted(os.listdir()) == ["in", "out"]


def test_a_picture_too_wide_for_its_format_is_named(convert: Convert, tmp_path: Path) -> None:
    Path("in").mkdir()
    cv2.imwrite("in/a_1.png", np.zeros((1, 70_000), np.uint8))
    code, err = convert("in", "out", "--form", "tfrecord")
    assert (code, "in/a_1.png has 70000x1 pixels, more than the .jpg of this format can have" in err) == (2, True)
    assert os.listdir() == ["in"]


def test_the_report_does_not_change(convert: Convert, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus(tmp_path / "convert", ["a"])
    with pytest.raises(SystemExit) as stop:
        run(["./convert/in.jsonl"])
    assert stop.value.code == 0
    assert "1 readable, 0 unreadable" in capsys.readouterr().out


def test_a_file_is_never_replaced_by_a_folder(convert: Convert, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    cv2.imwrite(str(tmp_path / "in" / "ab_1.png"), drawn(1))
    (tmp_path / "precious.txt").write_text("mine")
    code, errors = convert("in", "precious.txt", "--form", "csv")
    assert code == 2
    assert "precious.txt is a file: choose another name for the folder" in errors
    assert (tmp_path / "precious.txt").read_text() == "mine"


@pytest.mark.parametrize("out", [".", "..", "/"])
def test_the_working_folder_is_never_replaced(
    out: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(SystemExit) as stop:
        run(["convert", "../pictures", out, "--form", "csv"])
    said = capsys.readouterr().err
    assert (stop.value.code, "is the working folder or holds it, and would be replaced" in said) == (2, True)
