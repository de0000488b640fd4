"""Test-time augmentation: which pictures are read again, and how their readings are averaged."""

from __future__ import annotations

import itertools
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from crnn_reader.errors import UserError
from crnn_reader.image import read_image
from crnn_reader.reader import Reader
from crnn_reader.tta import VIEWS, views
from tests.crnn_reader.test_reader import write_fixed_model
from tests.samples import FILES


@pytest.fixture(scope="module")
def unsure() -> list[NDArray[np.uint8]]:
    """Captchas in the size of the network, each on top of another one, so that the texts are unsure."""
    captchas = [read_image(path, 1) for path in FILES[:13]]
    return [one // 2 + other // 2 for one, other in itertools.pairwise(captchas)]


def test_unsure_texts_are_those_of_the_mean_probabilities(unsure: list[NDArray[np.uint8]]) -> None:
    once, several = Reader("captcha_lite", top=3), Reader("captcha_lite", tta=1)
    changed = 0
    for image, before, after in zip(unsure, once.read(unsure), several.read(unsure), strict=True):
        sums = defaultdict[str, float](float)
        for reading in once.read([image, *views(image)]):
            for text, probability in reading.alternatives:
                sums[text] += probability / (1 + len(VIEWS))
        assert after.text == max(sums, key=sums.__getitem__)
        assert after.probability == pytest.approx(sums[after.text], abs=1e-5)
        assert [character.character for character in after.characters] == list(after.text)
        changed += after.text != before.text
    assert changed


def test_sure_and_empty_texts_are_read_once(unsure: list[NDArray[np.uint8]]) -> None:
    before = list(Reader("captcha_lite").read(unsure))
    probabilities = sorted(reading.probability for reading in before)
    least = probabilities[len(probabilities) // 2]
    for one, other in zip(before, Reader("captcha_lite", tta=least).read(unsure), strict=True):
        assert (one == other) == (one.probability >= least or not one.text)


@pytest.mark.parametrize("settings", [{}, {"width": None}, {"rows": 2}, {"fit": "pad"}])
def test_a_text_that_every_view_shows_keeps_probability_and_places(settings: dict[str, Any], tmp_path: Path) -> None:
    path = str(write_fixed_model(tmp_path / "m.onnx", **settings))
    image = np.random.default_rng(0).integers(0, 256, (64, 96), np.uint8)
    one, other = (Reader(path, tta=tta).read_one(image) for tta in (0, 1))
    assert (one.text, one.characters) == (other.text, other.characters)
    assert one.probability == pytest.approx(other.probability)


def test_views_keep_the_size_and_the_middle() -> None:
    image = np.zeros((33, 65, 3), np.uint8)
    image[14:19, 30:35] = 255
    for view in views(image):
        assert view.shape == image.shape and view.dtype == np.uint8
        assert view[16, 32].min() == 255 and view[0].max() == 0


def test_formats_count_in_every_view(unsure: list[NDArray[np.uint8]]) -> None:
    """A text that is held to a layout is one of its texts, also after averaging."""
    reader = Reader("plate", tta=1, layouts="no")
    for reading in reader.read(unsure):
        assert reader.allows(reading.text) and reading.country == "no"


@pytest.mark.parametrize("given", [-0.1, 1.5, True, "0.9", float("nan")])
def test_other_values_are_refused(given: Any) -> None:
    with pytest.raises(UserError, match=r"^tta is .*: give a probability from 0 to 1"):
        Reader("captcha_lite", tta=given)
