"""docs/coming_from.md: the commands in the right-hand columns work, one system after the other.

They run on 24 pictures that are made here. Trainings are shortened to one epoch of the small preset at a small size,
and fewer pictures are generated; everything else is as it stands on the page.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest

import parameter
import training
from cli.command import ALL_DONE
from tests import commands

ROOT = Path(training.__file__).parent
PAGE = (ROOT / "docs" / "coming_from.md").read_text(encoding="utf-8")

#: Characters of the labels; every alphabet of the page has them.
CHARACTERS = "ABCDEFGH"
PICTURES = 24


def equivalents(system: str) -> list[str]:
    """The commands in the right-hand column of a system's table."""
    section = re.search(rf"^## {re.escape(system)}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert section, f"no section {system}"
    rows = [line.strip("| ").split(" | ") for line in section[1].splitlines() if line.startswith("| ")]
    cells = [right for _, right in rows[1:]]
    assert all(cell[0] == cell[-1] == "`" for cell in cells), cells
    return [cell.strip("`") for cell in cells]


SYSTEMS = re.findall(r"^## (.+)$", PAGE, re.MULTILINE)


def drawn(path: Path, number: int) -> str:
    """Write a picture; returns its label."""
    label = CHARACTERS[number % 8] + CHARACTERS[number // 8]
    image = np.random.default_rng(number).integers(160, 255, (32, 80, 3), np.uint8)
    cv2.putText(image, label, (8, 26), cv2.FONT_HERSHEY_SIMPLEX, 0.9, (20, 20, 20), 2)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image)
    return label


def crnn_keras() -> None:
    """The commands of the page generate its pictures."""


def crnn_ctc_tensorflow() -> None:
    labels = {f"{number}.jpg": drawn(Path(f"images/{number}.jpg"), number) for number in range(PICTURES)}
    Path("images/image_list.txt").write_text("".join(f"{name} {label}\n" for name, label in labels.items()))
    for number in range(PICTURES):
        label = drawn(Path("new.jpg"), number)
        Path("synth90k/1").mkdir(parents=True, exist_ok=True)
        Path("new.jpg").rename(f"synth90k/1/{number}_{label}_88.jpg")


def foamliu() -> None:
    folder = Path("mnt/ramdisk/max/90kDICT32px")
    parts: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    for number in range(PICTURES):
        label = drawn(Path("new.jpg"), number)
        name = f"2425/1/{number}_{label}_{number}.jpg"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Path("new.jpg").rename(folder / name)
        parts[("train", "train", "val", "test")[number % 4]].append(f"./{name} {number}\n")
    for part, lines in parts.items():
        (folder / f"annotation_{part}.txt").write_text("".join(lines))
    with tarfile.open("mjsynth.tar.gz", "w:gz") as archive:
        archive.add("mnt")
    shutil.rmtree("mnt")
    for number in range(3):
        drawn(Path(f"ch4_test_word_images_gt/word_{number + 1}.png"), number)


def crnn_seq2seq() -> None:
    lines = [f"path/{number}.jpg {drawn(Path(f'path/{number}.jpg'), number)}\n" for number in range(PICTURES)]
    Path("train_list.txt").write_text("".join(lines[4:]))
    Path("test_list.txt").write_text("".join(lines[:4]))
    Path("characters.txt").write_text("".join(f"{character}\n" for character in CHARACTERS))
    drawn(Path("photo.jpg"), 1)
    import matplotlib

    Path("fonts").mkdir()
    shutil.copy(Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf"), "fonts")


def attention_ocr() -> None:
    for number in range(PICTURES):
        Path(f"pictures/{number}.txt").write_text(drawn(Path(f"pictures/{number}.jpg"), number) + "\n")
    Path("dic.txt").write_text("".join(f"{i}\t{c}\n" for i, c in enumerate([*CHARACTERS, "<nul>"])))


MADE = {
    "CRNN-Keras": crnn_keras,
    "CRNN_CTC_Tensorflow": crnn_ctc_tensorflow,
    "foamliu/CRNN": foamliu,
    "crnn_seq2seq_ocr": crnn_seq2seq,
    "Attention-ocr-Chinese-Version": attention_ocr,
}


def smaller(parameters: parameter.Parameters) -> parameter.Parameters:
    """Parameters that do the same in a few seconds."""
    if isinstance(parameters, parameter.GenerateParameters):
        return parameters.model_copy(update={"count": PICTURES, "workers": 1})
    if isinstance(parameters, parameter.TrainingParameters):
        any_width = (parameters.size or "").startswith("auto")
        update = {"epochs": 1, "preset": "small", "size": parameters.size if any_width else "96x32", "batch_size": 32}
        if parameters.data.startswith(parameter.GENERATED):
            # The command that reads its own records covers the largest backbone.
            update["network"] = str(parameters.network).replace("inception", "crnn")
            update["data"] = f"{parameters.data} --count {PICTURES} --workers 1"
        return parameters.model_copy(update=update)
    return parameters


def test_the_page_has_a_section_for_each_system() -> None:
    assert list(MADE) == SYSTEMS


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("system", SYSTEMS)
def test_the_commands_of_a_system_do_what_they_say(
    system: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    MADE[system]()
    ours = [command for command in equivalents(system) if not command.startswith("tensorboard --logdir ")]
    assert len(ours) >= 5
    for command in ours:
        function, kind, flags = commands.split(command)
        parameters = kind.parse(flags)
        capfd.readouterr()
        assert function(smaller(parameters)) == ALL_DONE, (command, capfd.readouterr().err)
        sys.stdout.flush()
        out = capfd.readouterr().out
        if isinstance(parameters, parameter.TrainingParameters):
            assert Path(parameters.run or "", "model.keras").is_file(), command
        if isinstance(parameters, parameter.PredictionParameters):
            assert out.count("\n") == len(out.splitlines()) > 0, command
        if isinstance(parameters, parameter.EvaluationParameters):
            assert "letter accuracy" in out, command
            assert not parameters.follow or list(Path(parameters.model, "tensorboard").glob("evaluation-*/*"))
    if system == "foamliu/CRNN":
        assert Path("demo.png").is_file()
        assert [line.partition(",")[0] for line in Path("submit.txt").read_text().splitlines()] == [
            f"word_{number}.png" for number in (1, 2, 3)
        ]
    if system == "CRNN_CTC_Tensorflow":
        assert set(json.loads(Path("tfrecords/train/char_map.json").read_text())) == set(CHARACTERS)
