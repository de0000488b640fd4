"""Scores of a few readings, calculated by hand."""

from __future__ import annotations

import json

import pytest

from model.comparison import caption
from model.scores import score, wilson


def test_rates_of_a_few_readings() -> None:
    truths = ["AB12", "AB12", "OO", "XYZ"]
    texts = ["AB12", "AB1", "0O", "AXYZ"]
    scores = score(truths, texts, [0.9, 0.8, 0.7, 0.95], ["a", "b", "c", "d"], unreadable=2)

    assert (scores.images, scores.exact, scores.unreadable) == (4, 1, 2)
    assert scores.exact_match == 0.25
    assert scores.character_error_rate == pytest.approx(3 / 13)
    # Position by position: 4 of 4, 3 of 4, 1 of 2, 0 of 4.
    assert scores.letter_accuracy == pytest.approx(8 / 14)
    assert [(c.truth, c.read, c.count, c.occurrences) for c in scores.confusions] == [
        ("", "A", 1, 13),
        ("2", "", 1, 2),
        ("O", "0", 1, 2),
    ]
    assert [(s.length, s.images, s.exact_match) for s in scores.per_length] == [(2, 1, 0), (3, 1, 0), (4, 2, 0.5)]
    assert [mistake.name for mistake in scores.worst] == ["c", "d", "b"]
    assert [mistake.name for mistake in scores.surest] == ["d", "b", "c"]
    assert scores.worst[0].character_error_rate == 0.5
    assert "25.00% (1 of 4; 95 % interval 4.56% to 69.94%)" in str(scores)


def test_ignore_case() -> None:
    texts = (["aB", "Straße"], ["Ab", "STRASSE"], [1.0, 1.0], ["x", "y"])
    assert score(*texts).exact == 0
    folded = score(*texts, ignore_case=True)
    assert (folded.exact, folded.character_error_rate, folded.confusions) == (2, 0, ())


def test_reliability_compares_probability_with_exact_match() -> None:
    right, wrong = ["a"] * 10, ["b"] * 10
    scores = score(["a"] * 20, right + wrong, [1.0] * 10 + [0.25] * 10, [""] * 20)
    low, high = scores.reliability
    assert (low.low, low.high, low.images, low.probability, low.exact_match) == (0.2, 0.3, 10, 0.25, 0)
    assert (high.low, high.high, high.images, high.probability, high.exact_match) == (0.9, 1.0, 10, 1, 1)
    assert scores.calibration_error == pytest.approx(0.125)


def test_rejecting_unsure_readings_raises_the_accuracy() -> None:
    truths = ["a"] * 6
    texts = ["a", "a", "b", "a", "", "b"]
    probabilities = [0.9, 0.8, 0.8, 0.95, 0.99, 0.1]
    scores = score(truths, texts, probabilities, [""] * 6, min_probability=0.5)
    # The empty reading has the highest probability and is never accepted. The two of 0.8 are accepted together.
    assert [(point.probability, point.images) for point in scores.coverage] == [(0.95, 1), (0.9, 2), (0.8, 4), (0.1, 5)]
    assert [point.exact_match for point in scores.coverage] == [1, 1, 0.75, 0.6]
    assert scores.sure is not None
    assert (scores.sure.probability, scores.sure.share) == (0.9, pytest.approx(2 / 6))
    assert scores.accepted is not None
    assert (scores.accepted.images, scores.accepted.exact_match) == (4, 0.75)
    assert "accepted 66.67% (4) of the pictures, of which 75.00% are right" in str(scores)

    # The rounded probability must not accept the next reading, which is nearly as sure.
    near = score(["a"] * 1100, ["a"] * 1050 + ["b"] * 50, [0.99999] * 1000 + [0.99993] * 100, [""] * 1100)
    assert near.sure is not None
    assert (near.sure.probability, near.sure.images) == (0.99999, 1000)
    short = score(["a"] * 3, ["a", "a", "b"], [0.987654, 0.981234, 0.3], [""] * 3)
    assert short.sure is not None
    assert short.sure.probability == 0.98
    # The last point of the curve is always that of all readings.
    many = score(["a"] * 450, ["a"] * 450, [1 - place / 1000 for place in range(450)], [""] * 450)
    assert many.coverage[-1].share == 1

    none = score(truths, ["b"] * 6, probabilities, [""] * 6, min_probability=0.999)
    assert none.sure is None
    assert none.accepted is not None
    assert none.accepted.images == 0
    assert "accepted none of the pictures" in str(none)


@pytest.mark.parametrize(
    ("successes", "trials", "interval"),
    # Published for Wilson's interval: Newcombe 1998, table I; the last by the closed form at 0.
    [
        (81, 263, (0.2553, 0.3662)),
        (15, 148, (0.0624, 0.1605)),
        (0, 20, (0.0, 0.1611)),
        (29, 29, (0.8830, 1.0)),
        (0, 0, (0.0, 1.0)),
    ],
)
def test_wilson_interval(successes: int, trials: int, interval: tuple[float, float]) -> None:
    assert wilson(successes, trials) == pytest.approx(interval, abs=5e-5)


def test_scores_without_pictures() -> None:
    scores = score([], [], [], [], unreadable=3)
    assert (scores.images, scores.exact_match, scores.exact_match_interval) == (0, 0, (0, 1))
    empty = score([""], ["x"], [0.5], ["n"])
    assert (empty.exact_match, empty.character_error_rate, empty.letter_accuracy) == (0, 0, 0)


def test_scores_as_json() -> None:
    record = json.loads(json.dumps(score(["a"], ["b"], [0.5], ["n"]).to_dict()))
    assert {"images", "exact_match", "exact_match_interval", "character_error_rate", "letter_accuracy"} <= set(record)
    assert record["worst"] == [{"name": "n", "truth": "a", "text": "b", "probability": 0.5, "character_error_rate": 1}]


def test_captions_name_what_is_missing() -> None:
    assert [caption(*pair) for pair in (("AB", "AB"), ("AB", ""), ("", "AB"), ("", ""))] == [
        "AB", "nothing, not AB", "AB, not nothing", "",
    ]  # fmt: skip
