"""Pictures unlike those that a network was trained on: an empty text is never sure, and crops are asked for."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import evaluation
import prediction
from cli.command import ALL_DONE, run_command
from crnn_reader.config import ModelConfig
from crnn_reader.model_files import locate_model, read_config
from crnn_reader.reader import Reader
from crnn_reader.trained_sizes import is_unlike_training
from generate_captcha.styles import style_of
from parameter import EvaluationParameters, GenerateParameters, PredictionParameters

SAMPLES = Path(prediction.__file__).parent / "DB" / "samples"


def scene(width: int, height: int) -> NDArray[np.uint8]:
    """Smooth shapes without any text."""
    noise = np.random.default_rng(0).integers(0, 256, (height, width), np.uint8)
    blurred = cv2.GaussianBlur(noise, (0, 0), height / 32)
    return np.asarray(cv2.normalize(blurred, None, 0, 255, cv2.NORM_MINMAX), np.uint8)


@pytest.mark.parametrize("model", ["captcha", "captcha_lite"])
def test_an_empty_text_has_probability_0(model: str) -> None:
    readings = list(Reader(model, decoder="beam", top=3).read([scene(1200, 900), np.full((64, 128), 255, np.uint8)]))
    assert [reading.text for reading in readings] == ["", ""]
    for reading in readings:
        assert (reading.probability, reading.characters) == (0.0, [])
        assert all(0 <= probability < 1 for _, probability in reading.alternatives)


def config(**sizes: Any) -> ModelConfig:
    usual = {"network": "vgg_bilstm", "preset": "small", "head": "ctc", "alphabet": "ab", "channels": 1, "fit": "pad"}
    return ModelConfig(**{**usual, "width": 128, "height": 64, **sizes})


@pytest.mark.parametrize(
    ("described", "near", "far"),
    [
        # Earlier model files, whose network's own size says what they were trained on.
        (config(), [(128, 64), (70, 30), (240, 80), (600, 300)], [(1200, 900), (64, 64), (200, 50), (8, 4)]),
        (config(width=192, rows=2), [(240, 240), (520, 110), (94, 24)], [(1024, 768), (70, 100), (400, 64)]),
        (config(width=None, height=32), [(1000, 32), (20, 20)], [(1000, 200), (4, 2)]),
        (
            config(trained_heights=[50, 60], trained_aspects=[3, 5]),
            [(200, 50), (90, 50), (400, 50), (900, 250)],
            [(2000, 500), (30, 8), (75, 50), (500, 50)],
        ),
    ],
)
def test_far_is_what_differs_much_in_height_or_shape(
    described: ModelConfig, near: list[tuple[int, int]], far: list[tuple[int, int]]
) -> None:
    assert [size for size in near if is_unlike_training(described, *size, 0.4)] == []
    assert [size for size in far if not is_unlike_training(described, *size, 0.4)] == []


def test_shipped_plate_expects_plates_of_one_row_and_two() -> None:
    described = read_config(locate_model("plate"))
    assert not any(is_unlike_training(described, width, 40, 0.4) for width in (40, 120, 260))
    assert is_unlike_training(described, 440, 40, 0.4)


def test_the_commands_ask_for_crops_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commands: list[tuple[Callable[[Any], int], type[Any]]] = [
        (prediction.main, PredictionParameters),
        (evaluation.main, EvaluationParameters),
    ]

    def said(argv: list[str]) -> list[str]:
        found = []
        for command, parameters in commands:
            with pytest.raises(SystemExit) as stop:
                run_command(command, parameters, [*argv, "--model", "captcha_lite"])
            assert stop.value.code == ALL_DONE
            found += [line for line in capsys.readouterr().err.splitlines() if "crops" in line]
        return found

    assert said([str(SAMPLES)]) == []
    for number in range(3):
        cv2.imwrite(str(tmp_path / f"AB12_{number}.png"), scene(1200, 900))
    lines = said([str(tmp_path)])
    assert len(lines) == len(commands)
    for line in lines:
        assert line.startswith("3 pictures differ much in size or shape from those that ")
        assert f"(first: {tmp_path / 'AB12_0.png'}): give crops of one text" in line


def test_plate_takes_large_crops_and_asks_for_crops_of_plates(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture, label = style_of(GenerateParameters(style="plate", layouts="de_car", difficulty=0)).picture(0)
    large = cv2.resize(picture, None, fx=8, fy=8)
    crop, photo = Reader("plate").read([large, scene(1200, 900)])
    assert (crop.text, crop.unlike_training, photo.unlike_training) == (label, False, True)
    cv2.imwrite(str(tmp_path / "photo.png"), scene(1200, 900))
    with pytest.raises(SystemExit):
        run_command(prediction.main, PredictionParameters, [str(tmp_path), "--model", "plate"])
    asked = "photo.png): it reads crops of plates, and docs/plates.md shows how to cut them out"
    assert asked in capsys.readouterr().err


@pytest.mark.parametrize("bounds", [[1], [2, 1], [0, 1], [1, float("inf")], ["1", "2"], 3, [float("nan"), 1]])
def test_a_range_that_is_none_is_refused(bounds: Any) -> None:
    with pytest.raises(ValueError, match="trained_aspects is "):
        ModelConfig.of(json.loads(json.dumps(asdict(config()) | {"trained_aspects": bounds})))
    assert read_config(locate_model("captcha_lite")).trained_aspects is None
