"""Paths that a user gives become pictures with labels."""

from __future__ import annotations

import itertools
import os
import threading
from pathlib import Path

import pytest

from crnn_reader.errors import UserError
from dataset.collecting import collect, has_labels
from dataset.inputs import choose_labelled, inputs
from tests.dataset.conftest import Maker
from tests.samples import level


def test_any_mixture_of_pictures_folders_lists_and_stdin(tmp_path: Path) -> None:
    level(tmp_path / "folder" / "ab_1.png", 1)
    level(tmp_path / "cd_2.png", 2)
    (tmp_path / "list.jsonl").write_text('{"file": "cd_2.png", "label": "listed"}\n')
    paths = [str(tmp_path / name) for name in ("cd_2.png", "list.jsonl", "folder")]
    found = list(inputs([*paths, "-"], ["ef_3.png\n", "\n", "odd name.png\r\n"]))
    assert [sample.label for sample in found] == ["cd", "listed", "ab", "ef", "odd name"]
    assert [sample.path for sample in found] == [
        str(tmp_path / "cd_2.png"),
        str(tmp_path / "cd_2.png"),
        str(tmp_path / "folder" / "ab_1.png"),
        "ef_3.png",
        "odd name.png",
    ]
    patterned = inputs([*paths, "-"], ["ef_3.png"], label_pattern="_(?P<label>.)")
    assert [sample.label for sample in patterned] == ["2", "2", "1", "3"]


def test_a_file_without_suffix_is_told_by_its_bytes(tmp_path: Path) -> None:
    level(tmp_path / "picture", 1)
    (tmp_path / "list").write_text("a.png\nb.png\n")
    assert [sample.path for sample in inputs([str(tmp_path / "picture")], [])] == [str(tmp_path / "picture")]
    assert len(list(inputs([str(tmp_path / "list")], []))) == 2


def test_a_list_through_a_pipe_is_read_whole(tmp_path: Path) -> None:
    # Such as `<(find pictures)`, whose paths are relative to the working folder.
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    names = [f"pictures/{number}_.png" for number in range(3000)]
    text = "".join(f"{name}\n" for name in names)
    threading.Thread(target=pipe.write_text, args=(text,), daemon=True).start()
    assert [sample.path for sample in inputs([str(pipe)], [])] == names


def test_pictures_come_one_at_a_time() -> None:
    endless = inputs(["-"], (f"{number}_.png\n" for number in itertools.count()))
    assert [sample.label for sample in itertools.islice(endless, 3)] == ["0", "1", "2"]


def test_some_are_drawn_by_lot_but_always_the_same() -> None:
    def pictures(count: int) -> list[str]:
        return [f"{number}_.png\n" for number in range(count)]

    drawn = choose_labelled(inputs(["-"], pictures(1000)), 10)
    places = [int(sample.label) for sample in drawn]
    assert len(set(places)) == 10
    assert places == sorted(places)
    # Not the first ten, which would end at 9.
    assert max(places) - min(places) > 300
    # The choice does not depend on the order and on unlabelled pictures.
    shuffled = [line for line in reversed(pictures(1000)) for line in (line, f"_{line}")]
    assert sorted(sample.name for sample in choose_labelled(inputs(["-"], shuffled), 10)) == sorted(
        sample.name for sample in drawn
    )
    assert len(choose_labelled(inputs(["-"], pictures(3)), 10)) == 3
    assert choose_labelled([], 10) == []
    with pytest.raises(UserError, match="none of the 2 pictures has a label to compare with"):
        choose_labelled(inputs(["-"], ["_a.png", "_b.png"]), 10)


@pytest.mark.parametrize(
    ("paths", "sentence"), [([], "nothing to read"), (["nowhere.png"], "nowhere.png does not exist")]
)
def test_mistakes_are_told_at_once(paths: list[str], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        inputs(paths, [])


@pytest.mark.parametrize(
    ("file", "text", "path", "labelled"),
    [
        (None, "", "data", False),
        ("data/labels.tsv", "file\tlabel\na.png\tAB\nb.png\tCD\n", "data", True),
        ("data/plates.csv", "file,label\na.png,AB\nb.png,CD\n", "data", True),
        ("list.tsv", "file\tlabel\ndata/a.png\tAB\n", "list.tsv", True),
        ("list.txt", "data/a.png AB\ndata/b.png CD\n", "list.txt", True),
        ("list.txt", "data/a.png\ndata/b.png\n", "list.txt", False),
        ("list.jsonl", '{"file": "data/a.png", "label": "AB"}\n', "list.jsonl", True),
    ],
)
def test_labels_beside_pictures_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Maker,
    file: str | None, text: str, path: str, labelled: bool,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    write(Path("data"), ["a.png", "b.png"])
    if file:
        Path(file).write_text(text)
    samples = collect(path, labels=False)
    assert samples and all(Path(sample.path).exists() for sample in samples)
    assert has_labels(path, samples) == labelled
