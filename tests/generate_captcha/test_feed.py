"""Pictures drawn while training are a function of parameters, epoch and index, whoever draws them."""

from __future__ import annotations

from typing import Any

import numpy as np

import picture
from generate_captcha.feed import Drawn, Fit, preview
from generate_captcha.styles import style_of
from parameter import GenerateParameters

ALPHABET = "abcd"


def encode(label: str) -> list[int]:
    return [ALPHABET.index(character) + 1 for character in label]


def parameters(**changes: Any) -> GenerateParameters:
    own = {
        "style": "line",
        "alphabet": ALPHABET,
        "length": "2-4",
        "size": "64x32",
        "count": 10,
        "workers": 2,
        "seed": 5,
    }
    return GenerateParameters(**(own | changes))


def test_epochs_are_the_corpus_piece_by_piece() -> None:
    drawn = parameters()
    feed, style = Drawn(drawn, Fit(48, 24, 1, "pad"), encode, 4), style_of(drawn)
    assert len(feed) == 3
    assert len(feed.rows) == 10
    for epoch in (0, 2):
        index = 10 * epoch
        for images, labels in feed.stream(epoch):
            assert images.dtype == np.uint8
            assert labels.dtype == np.int32
            assert labels.shape == (len(images), 4)
            for image, label in zip(images, labels, strict=True):
                expected, text = style.picture(index)
                assert label[label > 0].tolist() == encode(text)
                assert (image == picture.fit(picture.convert(expected, 1), 48, 24, "pad")).all()
                index += 1
        assert index == 10 * epoch + 10


def test_pictures_to_validate_with_stay_the_same_and_follow_the_difficulty() -> None:
    feed = Drawn(parameters(), Fit(64, 32, 3, "stretch"), encode, 8, fresh=False)
    first, later = (np.concatenate([images for images, _ in feed.stream(epoch)]) for epoch in (0, 3))
    assert (first == later).all()
    feed.difficulty = 1.0
    harder = np.concatenate([images for images, _ in feed.stream(0)])
    assert harder.shape == first.shape
    assert (harder != first).any()


def test_pictures_of_any_width_come_with_their_widths() -> None:
    feed = Drawn(parameters(size="autox32", length="1-9"), Fit(None, 32, 1, "stretch"), encode, 10)
    ((images, widths), labels), *others = feed.stream(0)
    assert not others
    assert images.shape[0] == len(widths) == len(labels) == 10
    assert images.shape[2] == picture.padded_width(int(widths.max()))
    assert len(set(widths.tolist())) > 3


def test_a_preview_has_every_character_and_length() -> None:
    labels, aspect = preview(parameters(alphabet="0-9A-Z", length="3-6", count=50))
    assert set("".join(labels)) == set("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    assert max(map(len, labels)) == 6
    assert aspect == 2.0
