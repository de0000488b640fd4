"""learning_curve.py: trainings, files, mistakes and interruptions."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import learning_curve
import training
from cli import interrupts
from cli.command import INTERRUPTED, SOME_UNREADABLE, WRONG_USE
from crnn_reader.model_files import read_config
from parameter import LearningCurveParameters, TrainingParameters
from tests.commands import exit_code
from tests.model.striped import striped

TRAINING = "--training=--preset lite --from random --size 48x32 --epochs 1 --augmentation 0"


class Training:
    """Replaces the process of a training; `ends` are its exit codes, or errors that waiting for it raises."""

    def __init__(self, *ends: int | BaseException) -> None:
        self._ends = list(ends)
        self.signals: list[int] = []

    def wait(self) -> int:
        end = self._ends.pop(0)
        if isinstance(end, BaseException):
            raise end
        return end

    def send_signal(self, number: int) -> None:
        self.signals.append(number)


@pytest.fixture
def here(eager: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run trainings in this process, which has imported TensorFlow."""

    def trained(command: list[str], env: dict[str, str]) -> Training:
        interpreter, script, *flags = command
        assert (interpreter, Path(script)) == (sys.executable, Path(training.__file__))
        return Training(exit_code(training.main, TrainingParameters, flags))

    monkeypatch.setattr("learning_curve.subprocess.Popen", trained)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    images, _, texts = striped(40)
    for number, (image, text) in enumerate(zip(images, texts, strict=True)):
        image[31, number] = 200
        path = tmp_path / "pictures" / f"{text}_{number}.png"
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), image)
    return tmp_path / "pictures"


def run(*arguments: str) -> int:
    return exit_code(learning_curve.main, LearningCurveParameters, arguments)


@pytest.mark.usefixtures("here")
def test_growing_parts_are_tested_on_the_same_pictures(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # Copies of a picture under another name must not be in both parts.
    for file in sorted(data.iterdir())[:5]:
        file.with_stem(f"{file.stem}_copy").write_bytes(file.read_bytes())
    assert run("--data", "pictures", "--parts", "10,20", "--run", "curve", TRAINING) == 0
    out, errors = capsys.readouterr()
    rows = [line.split("\t") for line in out.splitlines()]
    assert [row[0] for row in rows] == ["pictures", "10", "20"]
    points = json.loads(Path("curve/curve.json").read_text())
    assert [point["pictures"] for point in points] == [10, 20]
    parts = [Path(f"curve/{name}.tsv").read_text().splitlines() for name in ("000010", "000020")]
    assert parts[1][:11] == parts[0]
    assert "with 20 pictures" in errors
    seen, unseen = (
        {Path(row.partition("\t")[0]).read_bytes() for row in Path(f"curve/{name}.tsv").read_text().splitlines()[1:]}
        for name in ("000020", "test")
    )
    assert not seen & unseen
    image = cv2.imread("curve/curve.png")
    assert image is not None
    assert np.std(image) > 5

    # Finished parts are not trained again; other flags or pictures are refused.
    before = Path("curve/000010/model.keras").stat().st_mtime_ns
    assert run("--data", "pictures", "--parts", "10,20", "--run", "curve", TRAINING) == 0
    assert Path("curve/000010/model.keras").stat().st_mtime_ns == before
    for changed, sentence in (([], "with other flags for --training"), ([TRAINING], "of other pictures")):
        assert run("--data", "pictures", "--parts", "10,20", "--run", "curve", *changed) == WRONG_USE
        assert f"curve holds a curve {sentence}: choose another --run" in capsys.readouterr().err
        next(data.iterdir()).unlink()
    assert Path("curve/000010/model.keras").stat().st_mtime_ns == before
    Path("curve/learning_curve.json").write_text('{"training')
    assert run("--data", "pictures", "--parts", "10,20", "--run", "curve", TRAINING) == WRONG_USE
    assert "curve/learning_curve.json is damaged" in capsys.readouterr().err


@pytest.mark.usefixtures("here")
def test_test_pictures_are_not_trained_on_and_broken_ones_left_out(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "others").mkdir()
    files = sorted(data.iterdir())
    for file in files[:6]:
        (tmp_path / "others" / file.name).write_bytes(file.read_bytes())
    (tmp_path / "others" / "abc_broken.png").write_bytes(b"nothing")
    (data / "abcd_broken.png").write_bytes(b"nothing")
    arguments = ["--data", "pictures", "--test", "others", "--parts", "10,34", "--run", "curve", TRAINING]
    assert run(*arguments) == SOME_UNREADABLE
    errors = capsys.readouterr().err
    assert "6 pictures of pictures are also in others: they are left out of the training" in errors
    assert "left out abc_broken.png: not a picture" in errors
    assert [point["images"] for point in json.loads(Path("curve/curve.json").read_text())] == [6, 6]
    # All parts have the same alphabet, whichever characters they contain.
    configs = [read_config(Path(f"curve/{name}/model.keras")) for name in ("000010", "000034")]
    assert configs[0].alphabet == configs[1].alphabet == "abcd"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--parts", "20,10"], "--parts 20,10: give growing numbers"),
        (["--parts", "10,100"], "there are 32 pictures besides 8 to test"),
        (["--training=--run x"], "error: --training --run x: leave out --run"),
        (["--training=--data DB/train"], "leave out --data"),
        (["--training=--from 'x"], "--training --from 'x: no closing quotation"),
        (["--training=--epochs none"], "--epochs"),
        (["--data", "nowhere"], "nowhere does not exist"),
    ],
)
def test_mistakes_end_in_one_sentence(
    arguments: list[str], sentence: str, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--data", "pictures", "--run", "curve", *arguments) == WRONG_USE
    assert sentence in capsys.readouterr().err.splitlines()[-1]


def test_paths_in_lists_start_from_root(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("lists").mkdir()
    rows = [f"{file.name},{file.name.partition('_')[0]}\n" for file in sorted(data.iterdir())]
    Path("lists/a.csv").write_text("file,label\n" + "".join(rows[:30]))
    Path("lists/b.csv").write_text("file,label\n" + "".join(rows[30:]))
    flags = ["--data", "lists/a.csv", "--test", "lists/b.csv", "--root", "pictures", "--parts", "10,100"]
    assert run(*flags) == WRONG_USE
    assert "there are 30 pictures besides 10 to test" in capsys.readouterr().err


@pytest.mark.usefixtures("here")
def test_flags_that_training_refuses_can_be_corrected(data: Path) -> None:
    assert run("--data", "pictures", "--run", "curve", "--training=--alphabet X") == WRONG_USE
    refused = (data.parent / "curve" / "learning_curve.json").read_text(encoding="utf-8")
    assert run("--data", "pictures", "--run", "curve", "--training=--alphabet Y") == WRONG_USE
    assert (data.parent / "curve" / "learning_curve.json").read_text(encoding="utf-8") != refused


def test_an_interrupted_curve_waits_for_its_training(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    process = Training(KeyboardInterrupt(), INTERRUPTED)
    remedies: list[str] = []

    def started(_: list[str], env: dict[str, str]) -> Training:
        remedies.append(env[interrupts.REMEDY])
        return process

    monkeypatch.setattr("learning_curve.subprocess.Popen", started)
    assert run("--data", str(data), TRAINING) == INTERRUPTED
    assert process.signals == [signal.SIGINT]
    assert remedies == [interrupts.CONTINUES]
    assert "interrupted" not in capsys.readouterr().err
    # In the process of the training, the remedy of the curve replaces its own.
    monkeypatch.setenv(interrupts.REMEDY, remedies[0])
    interrupts.continue_by("continue with: python training.py --resume")
    assert interrupts.sentence() == f"interrupted: {interrupts.CONTINUES}"
