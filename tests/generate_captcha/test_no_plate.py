"""Style no_plate: pictures that show nothing to read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import dataset
from crnn_reader.errors import UserError
from generate_captcha import style_of, write_corpus
from generate_captcha.scenes import words
from generate_captcha.seeded_random import SeededRandom
from parameter import GenerateParameters


def parameters(**others: object) -> GenerateParameters:
    return GenerateParameters(style="no_plate", **others)  # type: ignore[arg-type]


@pytest.mark.parametrize(("size", "widths"), [("autox48", (40, 300)), ("192x64", (192, 192)), ("autox20", (16, 130))])
def test_pictures_have_sizes_of_plates(size: str, widths: tuple[int, int]) -> None:
    made = style_of(parameters(size=size))
    shapes = np.array([made.picture(index)[0].shape for index in range(40)])
    assert set(shapes[:, 0]) == {int(size.partition("x")[2])}
    assert widths[0] <= shapes[:, 1].min() <= shapes[:, 1].max() <= widths[1]
    if size.startswith("auto"):
        assert shapes[:, 1].max() > 2.5 * shapes[:, 1].min()


def test_difficulty_changes_the_pictures() -> None:
    clean, hard = (style_of(parameters(difficulty=difficulty, size="128x48")) for difficulty in (0.0, 1.0))
    assert (clean.picture(0)[0] != hard.picture(0)[0]).any()


def test_no_text_is_a_single_word_in_capitals() -> None:
    rng = SeededRandom(0)
    for write in (words.word, words.price, words.phone, words.address, words.time, words.small_print):
        for _ in range(300):
            text = write(rng)
            assert set(text) <= set(words.CHARACTERS)
            assert not (text.isalnum() and text.isupper())


def test_a_corpus_has_empty_labels_in_its_names(tmp_path: Path) -> None:
    flags = parameters(out=str(tmp_path / "no"), count=5, workers=1, size="autox32")
    assert write_corpus(flags).made == 5
    assert sorted(file.name for file in (tmp_path / "no").glob("*.png")) == [f"_{index:06}.png" for index in range(5)]
    assert [sample.label for sample in dataset.collect(tmp_path / "no")] == [""] * 5
    # The pictures are found again, and an interrupted corpus continues.
    tmp_path.joinpath("no", "_000003.png").unlink()
    result = write_corpus(flags)
    assert (result.made, result.existing) == (1, 4)


@pytest.mark.parametrize("flag", [{"length": "4"}, {"alphabet": "0-9"}])
def test_flags_of_texts_are_refused(flag: dict[str, str]) -> None:
    with pytest.raises(UserError, match="is not for --style no_plate, whose pictures have no text: leave it out"):
        parameters(**flag)


def test_a_size_that_is_too_small_is_refused() -> None:
    with pytest.raises(UserError, match="the size 10x10 is too small: give 20x20 or more"):
        style_of(parameters(size="10x10"))
