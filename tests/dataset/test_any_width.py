"""Pictures of a given height and any width: packed, batched, and refused if they are too wide."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

import dataset
from crnn_reader.alphabet import Alphabet
from crnn_reader.fit import MIN_WIDTH, fit_image, padded_width

WIDTHS = [8, 20, 21, 40, 41, 60, 90, 90, 130, 400, 900]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures 20 pixels high of different greys and widths, named by their order."""
    folder = tmp_path / "data"
    folder.mkdir()
    for i, width in enumerate(WIDTHS):
        cv2.imwrite(str(folder / f"{'abcdefghijk'[i]}_{i:02}.png"), np.full((20, width), 20 * i + 5, np.uint8))
    return folder


def pack(folder: Path, height: int = 20) -> dataset.Corpus:
    return dataset.pack(dataset.collect(folder), None, height, 1, cache=folder.parent / "cache")


encode = Alphabet("abcdefghijk").encode


def test_widths_follow_the_aspect_in_steps(folder: Path) -> None:
    for height, widths in (
        (20, [16, 20, 20, 40, 40, 60, 88, 88, 128, 400, 900]),
        (40, [16, 40, 40, 80, 80, 120, 180, 180, 260, 800, 1800]),
    ):
        # The second time from the cache.
        for _ in range(2):
            corpus = pack(folder, height)
            assert [corpus.images[row].shape for row in range(len(corpus))] == [(height, w, 1) for w in widths]
            assert [int(corpus.images[row].mean()) for row in range(len(corpus))] == list(range(5, 225, 20))


def test_each_picture_is_once_in_a_batch_of_similar_width(folder: Path) -> None:
    corpus = pack(folder)
    feed = dataset.Batches(corpus, np.arange(len(corpus)), encode, 2)
    seen = []
    for (images, widths), labels in feed.stream(0):
        assert images.shape[:2] == (len(labels), 20)
        assert images.shape[2] == padded_width(int(widths.max()))
        assert images.shape[2] * len(images) <= 2 * 512 or len(images) == 1
        for image, width, label in zip(images, widths, labels, strict=True):
            row = label[0] - 1
            assert (image[:, :width] == corpus.images[row]).all()
            assert not image[:, width:].any()
            seen.append(row)
    assert sorted(seen) == list(range(len(WIDTHS)))


def test_training_batches_are_full_shuffled_and_depend_on_the_epoch(folder: Path) -> None:
    corpus = pack(folder)
    feed = dataset.Batches(corpus, np.arange(len(corpus)), encode, 2, shuffle=True, augmentation=1, seed=3)
    epochs = [list(feed.stream(epoch)) for epoch in (0, 1)]
    orders = [[label[0] for _, labels in epoch for label in labels] for epoch in epochs]
    assert orders[0] != orders[1]
    assert all(set(order) == set(range(1, len(WIDTHS) + 1)) for order in orders)
    assert all(len(epoch) == len(feed) for epoch in epochs)
    again = dataset.Batches(corpus, np.arange(len(corpus)), encode, 2, shuffle=True, augmentation=1, seed=3)
    for index, ((images, widths), labels) in enumerate(epochs[1]):
        (other, other_widths), other_labels = again.get(1, index)
        assert (images == other).all()
        assert (widths == other_widths).all()
        assert (labels == other_labels).all()


def test_too_wide_pictures_are_left_out_with_a_reason(folder: Path) -> None:
    cv2.imwrite(str(folder / "z_99.png"), np.zeros((1, 2000), np.uint8))
    corpus = pack(folder)
    assert len(corpus) == len(WIDTHS)
    assert corpus.unreadable == [("z_99.png", "40,000 pixels wide at a height of 20, more than 16,000: cut it")]


def test_a_picture_one_pixel_wide_gets_the_minimum_width(folder: Path) -> None:
    assert fit_image(np.zeros((50, 1, 1), np.uint8), None, 32).shape == (32, MIN_WIDTH, 1)
