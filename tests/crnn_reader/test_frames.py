"""Frames of animations, and pictures of one colour: what the commands say of them, and which frame they read."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image as pillow

import dataset
import prediction
from crnn_reader.config import ModelConfig
from crnn_reader.errors import UserError
from crnn_reader.image import ImageOptions
from crnn_reader.reader import Reader
from dataset.__main__ import main as report
from dataset.file_source import FileSource
from model.training import defaults
from parameter import DatasetParameters, PredictionParameters, TrainingParameters

SAMPLES = Path(__file__).parents[2] / "DB" / "samples"


def animation(path: Path, *frames: Path) -> Path:
    """A GIF with these pictures as its frames."""
    first, *others = (pillow.open(file).convert("L") for file in frames)
    first.save(path, save_all=True, append_images=others)
    return path


@pytest.fixture
def captchas() -> list[Path]:
    """Three pictures of the same size and different texts."""
    return sorted(SAMPLES.glob("*.png"))[:3]


@pytest.fixture
def folder(tmp_path: Path, captchas: list[Path]) -> Path:
    (tmp_path / "in").mkdir()
    animation(tmp_path / "in" / "AB12_1.gif", *captchas)
    for number in range(4):
        cv2.imwrite(str(tmp_path / "in" / f"XY34_{number}.png"), np.full((64, 128), 40 * number, np.uint8))
    return tmp_path / "in"


def test_a_report_names_pictures_of_one_colour_and_animations(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report(DatasetParameters(path=str(folder), json_=str(tmp_path / "o.json")))
    printed = capsys.readouterr().err
    assert "4 pictures have a single colour" in printed
    assert "(XY34_0.png, XY34_1.png, XY34_2.png, …)" in printed
    assert "1 picture has several frames or pages, of which the first is read (AB12_1.gif has 3)" in printed
    found = json.loads((tmp_path / "o.json").read_text())
    assert len(found["single_colour"]) == 4
    assert found["several_frames"] == ["AB12_1.gif"]


@pytest.mark.parametrize(
    ("frame", "place", "named"), [(None, 0, "the first"), ("last", 2, "the last"), ("2", 1, "number 2")]
)
def test_prediction_reads_the_frame_that_is_asked_for(
    folder: Path, captchas: list[Path], capsys: pytest.CaptureFixture[str], frame: str | None, place: int, named: str
) -> None:
    given: dict[str, Any] = {} if frame is None else {"frame": frame}
    prediction.main(PredictionParameters(paths=(str(folder),), model="captcha_lite", **given))
    out, printed = capsys.readouterr()
    texts = {line.split("\t")[0].rpartition("/")[2]: line.split("\t")[1] for line in out.splitlines()}
    assert texts["AB12_1.gif"] == captchas[place].name.partition("_")[0]
    assert f"1 picture has several frames or pages, of which {named} is read" in printed
    assert ("choose another" in printed) == (frame is None)
    assert "4 pictures have a single colour, so there is nothing to read" in printed


def test_max_pixels_of_a_reader(captchas: list[Path]) -> None:
    reader = Reader("captcha_lite", max_pixels=1000)
    (reading,) = reader.read(captchas[:1])
    assert "claims 128x64 pixels, more than" in str(reading.error)
    for wrong in ({"max_pixels": 0}, {"max_pixels": 0.5}, {"frame": "middle"}, {"frame": 0}):
        with pytest.raises(UserError, match=r"max_pixels is|frame is"):
            Reader("captcha_lite", **wrong)  # type: ignore[arg-type]


def test_a_cache_keeps_each_frame_apart(folder: Path, tmp_path: Path) -> None:
    samples = dataset.collect(str(folder))
    first, last, again = (
        dataset.pack(samples, 32, 16, 1, cache=tmp_path / "cache", options=ImageOptions(frame=frame)).images
        for frame in ("first", "last", "first")
    )
    assert (np.asarray(first) != np.asarray(last)).any()
    assert (np.asarray(first) == np.asarray(again)).all()


def test_a_picture_that_was_too_large_is_read_when_more_is_allowed(folder: Path, tmp_path: Path) -> None:
    samples = dataset.collect(str(folder))
    few = dataset.pack(samples, 32, 16, 1, cache=tmp_path / "cache", options=ImageOptions(100))
    assert (len(few), len(few.unreadable)) == (0, 5)
    assert len(dataset.pack(samples, 32, 16, 1, cache=tmp_path / "cache")) == 5


def test_the_model_file_keeps_the_frame_of_the_training(folder: Path, tmp_path: Path) -> None:
    flags = TrainingParameters(data=str(folder), frame="last")
    config = defaults.config(flags, FileSource(flags, tmp_path))
    assert ModelConfig.of(json.loads(config.to_json())).frame == "last"
    entry = asdict(config)
    del entry["frame"]
    assert ModelConfig.of(entry).frame == "first"
    with pytest.raises(ValueError, match="frame"):
        ModelConfig.of(entry | {"frame": "middle"})
