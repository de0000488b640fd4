"""Test-time augmentation: which pictures are read again, and how their texts are scored."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from crnn_reader.errors import UserError
from crnn_reader.image import read_image
from crnn_reader.reader import Reader
from crnn_reader.tta import views
from generate_captcha.styles import style_of
from parameter import GenerateParameters
from tests.crnn_reader.test_reader import write_fixed_model
from tests.samples import FILES


@pytest.fixture(scope="module")
def unsure() -> list[NDArray[np.uint8]]:
    """Captchas in the size of the network, each on top of another one, so that the texts are unsure."""
    captchas = [read_image(path, 1) for path in FILES[:13]]
    return [one // 2 + other // 2 for one, other in itertools.pairwise(captchas)]


@pytest.fixture(scope="module")
def plates() -> list[NDArray[np.uint8]]:
    """Plates that are hard to read."""
    style = style_of(GenerateParameters(style="plate", difficulty=0.9, seed=5, size="128x48"))
    return [style.picture(index)[0] for index in range(12)]


def test_unsure_texts_have_the_highest_mean_probability(unsure: list[NDArray[np.uint8]]) -> None:
    """Each text that is read in the picture or in a view is scored in all of them, with a constraint to this text."""
    once, several = Reader("captcha_lite"), Reader("captcha_lite", tta=1)
    temperature = once.config.temperature
    changed = 0
    for image, before, after in zip(unsure, once.read(unsure), several.read(unsure), strict=True):
        pictures = [image, *views(image)]
        means = {}
        for text in filter(None, {reading.text for reading in once.read(pictures)}):
            scored = Reader("captcha_lite", constraint=text).read(pictures)
            means[text] = np.mean([reading.probability**temperature for reading in scored])
        if not after.text:
            continue  # the empty text has no probability to compare with
        assert after.text == max(means, key=means.__getitem__)
        assert after.probability == pytest.approx(means[after.text] ** (1 / temperature), rel=1e-4)
        assert [character.character for character in after.characters] == list(after.text)
        changed += after.text != before.text
    assert changed


def test_plates_are_read_again_by_default(unsure: list[NDArray[np.uint8]], plates: list[NDArray[np.uint8]]) -> None:
    for model, images, default in (("plate", plates, 0.9), ("captcha_lite", unsure, 0)):
        usual, again, once = (list(Reader(model, tta=tta).read(images)) for tta in (None, 0.9, 0))
        assert usual == (again if default else once) and again != once


@pytest.mark.parametrize("batch_size", [1, 4, 13])
def test_the_size_of_batches_does_not_matter(batch_size: int, unsure: list[NDArray[np.uint8]], tmp_path: Path) -> None:
    """Neither to a network of any width, whose batches have pictures of different widths."""
    anywhere = str(write_fixed_model(tmp_path / "m.onnx", width=None))
    wider = [np.pad(image, ((0, 0), (0, 20 * place), (0, 0))) for place, image in enumerate(unsure)]
    for model, images in (("captcha_lite", unsure), (anywhere, wider)):
        one, other = (Reader(model, tta=1, batch_size=size).read(images) for size in (32, batch_size))
        for expected, found in zip(one, other, strict=True):
            assert found.text == expected.text and found.probability == pytest.approx(expected.probability, rel=1e-3)


def test_alternatives_are_texts_of_the_views(plates: list[NDArray[np.uint8]]) -> None:
    with_text = 0
    for reading in Reader("plate", tta=1, top=3).read(plates):
        assert reading.alternatives[0] == (reading.text, reading.probability)
        assert len({text for text, _ in reading.alternatives}) == 3
        if reading.text:
            probabilities = [probability for text, probability in reading.alternatives if text]
            assert probabilities == sorted(probabilities, reverse=True)
            with_text += 1
    assert with_text


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


def test_formats_count_in_every_view(plates: list[NDArray[np.uint8]]) -> None:
    """A text that is held to a layout is one of its texts, also after averaging."""
    reader = Reader("plate", tta=1, layouts="no")
    for reading in reader.read(plates):
        assert reader.allows(reading.text) and reading.country == "no"


@pytest.mark.parametrize("given", [-0.1, 1.5, True, "0.9", float("nan")])
def test_other_values_are_refused(given: Any) -> None:
    with pytest.raises(UserError, match=r"^tta is .*: give a probability from 0 to 1"):
        Reader("captcha_lite", tta=given)


def test_any_real_number_is_a_probability(plates: list[NDArray[np.uint8]]) -> None:
    one: Any = np.float32(1)
    assert Reader("plate", tta=one).read_one(plates[0]) == Reader("plate", tta=1).read_one(plates[0])


def test_texts_that_contradict_the_layouts_are_not_read_again(plates: list[NDArray[np.uint8]]) -> None:
    """Searching for such a text takes long in every view."""
    once, again = (list(Reader("plate", layouts="ir", tta=tta).read(plates)) for tta in (0, 1))
    contradicting = [number for number, reading in enumerate(once) if reading.probability < 1e-3]
    assert contradicting and all(once[number] == again[number] for number in contradicting)
