"""Probabilities mended by a temperature."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crnn_reader.config import ModelConfig
from crnn_reader.decoding.calibration import temperature
from crnn_reader.reader import Reader
from model import model_file
from model.network import build
from tests.model.striped import HEIGHT, WIDTH, striped


@pytest.mark.parametrize("true", [0.5, 1.0, 2.0])
def test_finds_the_temperature_that_was_put_in(true: float) -> None:
    rng = np.random.default_rng(0)
    probabilities = rng.uniform(0.05, 1, 20_000)
    right = rng.random(20_000) < probabilities ** (1 / true)
    assert temperature(probabilities, right) == pytest.approx(true, rel=0.05)


def test_little_evidence_changes_little() -> None:
    assert temperature([], []) == pytest.approx(1.0)
    assert 1.0 < temperature([0.97] * 50, [True] * 50) < 2.0
    assert 0.3 < temperature([0.9999] * 50, [True] * 49 + [False]) < 1.0


def test_certain_and_impossible_texts_have_no_say_that_is_not_a_number() -> None:
    assert 0.1 <= temperature([1.0, 1.0, 0.0], [True, False, True]) <= 10


def test_readings_have_the_probability_that_the_model_file_s_temperature_makes(tmp_path: Path) -> None:
    config = ModelConfig(
        network="vgg_bilstm", preset="small", head="ctc", alphabet="abcd", width=WIDTH, height=HEIGHT, channels=1,
        fit="stretch",
    )  # fmt: skip
    network = build(config)
    images, _, _ = striped(5)
    found = {}
    for degrees in (1.0, 2.0):
        path = tmp_path / f"{degrees}.keras"
        model_file.save(network, replace(config, temperature=degrees), path)
        found[degrees] = list(Reader(str(path)).read(images))
    for plain, mended in zip(found[1.0], found[2.0], strict=True):
        assert mended.text == plain.text
        assert mended.probability == pytest.approx(plain.probability**0.5)
