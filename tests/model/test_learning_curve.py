"""Learning curves with known laws."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from model.learning_curve import Point, answer, draw, fitted, too_few_epochs, too_short


def points(exponent: float, images: int = 100_000) -> list[Point]:
    """Points of a power law with half of the readings wrong at 100 pictures."""
    return [Point(n, round(images * (1 - 0.5 * (n / 100) ** -exponent)), images) for n in (100, 200, 400, 800)]


@pytest.mark.parametrize("exponent", [0.3, 1.0])
def test_the_law_extrapolates_the_points(exponent: float) -> None:
    law = fitted(points(exponent))
    assert law.exponent == pytest.approx(exponent, abs=0.01)
    assert 1 - law.exact_match(1600) == pytest.approx(0.5 * 16**-exponent, rel=0.02)
    assert law.pictures(law.exact_match(1600)) == pytest.approx(1600)


def test_the_answer_predicts_the_effect_of_more_pictures() -> None:
    # 1/16 of the errors at 800, 1/20 at 1,000, 1/100 at 5,000.
    text = answer(points(1.0))
    assert "with 800 pictures 93.75% are read right" in text
    assert "another 200 should bring about 1.2 points, to 95.0%" in text
    assert "99.0% may take some 5,000 in all" in text


def test_the_answer_predicts_nothing_from_a_flat_curve() -> None:
    assert "should help little" in answer([Point(100, 80, 100), Point(200, 79, 100)])
    assert "test with more pictures" in answer([Point(100, 80, 100), Point(200, 100, 100)])
    # Nothing is learnt yet.
    for right in (0, 1):
        assert "learnt too little for a prediction" in answer([Point(50, 0, 200), Point(100, right, 200)])
    assert "learnt too little for a prediction" in answer([Point(50, 0, 200), Point(100, 100, 200)])
    # A prediction of millions of pictures is left out.
    assert "in all" not in answer(points(0.1))


def test_the_plot_is_drawn(tmp_path: Path) -> None:
    draw(points(0.5), tmp_path / "curve.png")
    image = cv2.imread(str(tmp_path / "curve.png"))
    assert image is not None
    assert image.std() > 10


@pytest.mark.parametrize(
    ("losses", "falling"),
    [
        ([12.0], True),
        ([9.0, 6.0, 3.0, 2.0, 1.0, 0.5], True),
        ([12.2, 10.7, 11.6, 11.4, 9.9, 9.0, 8.5, 7.9, 7.4, 7.2, 7.0, 6.9], True),
        ([9.0, 4.0, 1.0, 0.5, 0.4, 0.4, 0.39, 0.38, 0.38], False),
        ([9.0, 4.0, 1.0, 0.05, 0.02, 0.01], False),
        ([3.0, 1.0, 0.5, 0.6, 0.7, 0.8], False),
    ],
)
def test_losses_that_fall_until_the_end_mean_too_few_epochs(losses: list[float], falling: bool) -> None:
    assert too_short(losses, [1.0] * len(losses)) == falling


def test_the_training_loss_counts_only_in_short_trainings() -> None:
    still = [14.0, 14.1]
    assert too_short(still, [30.0, 20.0])
    assert not too_short(still, [30.0, 29.0])
    assert not too_short(still * 10, [30.0 / epoch for epoch in range(1, 21)])


def test_the_warning_names_trainings_that_were_too_short() -> None:
    assert "with 50, 100 and 1,200 pictures the loss still fell" in too_few_epochs([50, 100, 1200])
    assert "with 50 pictures the" in too_few_epochs([50])
    assert too_few_epochs([50]).endswith(" (--training '--epochs N')")
