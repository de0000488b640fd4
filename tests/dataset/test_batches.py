"""Batches are functions of (seed, epoch, index), whatever asks for them."""

from __future__ import annotations

import multiprocessing
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import dataset
from crnn_reader.alphabet import Alphabet
from dataset.cache import joined
from tests.processes import refuse_killed_workers

Maker = Callable[..., Path]

LABELS = ["a", "bcd", "ab", "dddd", "c", "ba", "cab"]


@pytest.fixture
def corpus(tmp_path: Path, write: Maker) -> dataset.Corpus:
    folder = write(tmp_path / "data", [f"{i}_{label}.png" for i, label in enumerate(LABELS)])
    pictures = dataset.collect(folder, r"_(?P<label>\w+)")
    return dataset.pack(pictures, 40, 20, 1, cache=tmp_path / "cache")


encode = Alphabet("abcd").encode


def batches(corpus: dataset.Corpus, rows: Any = range(7), batch_size: int = 3, **options: Any) -> dataset.Batches:
    return dataset.Batches(corpus, np.array(rows), encode, batch_size, **options)


def per_row(feed: dataset.Batches, corpus: dataset.Corpus, epoch: int) -> dict[tuple[int, ...], bytes]:
    """The pictures of an epoch by their labels."""
    found: dict[tuple[int, ...], bytes] = {}
    for images, labels in feed.stream(epoch):
        found |= {tuple(label): image.tobytes() for image, label in zip(images, labels, strict=True)}
    return found


def same(one: Any, other: Any) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_validation_has_all_pictures_in_order(corpus: dataset.Corpus) -> None:
    feed = batches(corpus, [4, 1, 6, 0])
    assert len(feed) == 2
    images, labels = feed.get(0, 0)
    assert images.shape == (3, 20, 40, 1)
    assert images.dtype == np.uint8
    assert labels.tolist() == [[3, 0, 0], [2, 3, 4], [3, 1, 2]]
    assert labels.dtype == np.int32
    assert (images == corpus.images[[4, 1, 6]]).all()
    images, labels = feed.get(0, 1)
    assert (images == corpus.images[[0]]).all()
    assert labels.tolist() == [[1, 0, 0]]


def test_changing_a_batch_does_not_change_the_corpus(corpus: dataset.Corpus) -> None:
    feed = batches(corpus)
    before = corpus.images[0].copy()
    images, labels = feed.get(0, 0)
    images[:], labels[:] = 0, 9
    assert (feed.get(0, 0)[0][0] == before).all()
    assert feed.get(0, 0)[1][0].tolist() == [1, 0, 0, 0]


def test_training_batches_have_one_shape_and_all_pictures(corpus: dataset.Corpus) -> None:
    feed = batches(corpus, shuffle=True)
    orders = []
    for epoch in range(5):
        epoch_labels = [labels for _, labels in feed.stream(epoch)]
        assert [labels.shape for labels in epoch_labels] == [(3, 4)] * 3
        order = ["".join(" abcd"[n] for n in label).strip() for labels in epoch_labels for label in labels]
        assert sorted(order[:7]) == sorted(LABELS)
        assert order[7:] == order[:2], "the last batch is filled up with the first pictures"
        orders.append(order)
    assert len({tuple(order) for order in orders}) > 1


def test_a_corpus_smaller_than_a_batch(corpus: dataset.Corpus) -> None:
    images, labels = batches(corpus, [2, 5], 8, shuffle=True).get(0, 0)
    assert images.shape[0] == labels.shape[0] == 8


@pytest.mark.parametrize("changes", [{"seed": 1}, {"epoch": 1}])
def test_seed_and_epoch_change_order_and_augmentation(corpus: dataset.Corpus, changes: dict[str, int]) -> None:
    epoch = changes.pop("epoch", 0)
    one = batches(corpus, batch_size=7, shuffle=True, augmentation=1.0)
    other = batches(corpus, batch_size=7, shuffle=True, augmentation=1.0, **changes)
    assert one.get(0, 0)[1].tolist() != other.get(epoch, 0)[1].tolist()
    mine, theirs = per_row(one, corpus, 0), per_row(other, corpus, epoch)
    assert mine.keys() == theirs.keys()
    assert sum(mine[label] != theirs[label] for label in mine) >= 6


def test_a_picture_does_not_depend_on_batch_size_rows_or_order(corpus: dataset.Corpus) -> None:
    expected = per_row(batches(corpus, batch_size=7, augmentation=1.0, seed=5), corpus, 3)
    for options in ({"batch_size": 2, "shuffle": True}, {"batch_size": 3}, {"rows": [6, 5, 4, 3, 2, 1, 0]}):
        assert per_row(batches(corpus, augmentation=1.0, seed=5, **options), corpus, 3) == expected


def test_batches_do_not_depend_on_threads_and_restarts(corpus: dataset.Corpus) -> None:
    rows = np.arange(7).repeat(6)
    options = {"rows": rows, "batch_size": 4, "shuffle": True, "augmentation": 1.0}
    feed = batches(corpus, **options)  # type: ignore[arg-type]
    expected = {(epoch, index): feed.get(epoch, index) for epoch in range(3) for index in range(len(feed))}
    again = batches(corpus, **options)  # type: ignore[arg-type]
    with ThreadPoolExecutor(4) as pool:
        mixed = sorted(expected, key=lambda place: hash((place[1], place[0])))
        for place, got in zip(mixed, pool.map(lambda place: again.get(*place), mixed), strict=True):
            assert same(got, expected[place])
    resumed = list(again.stream(2, start=5))
    assert len(resumed) == len(feed) - 5
    for index, got in enumerate(resumed, 5):
        assert same(got, expected[2, index])


def test_there_is_no_batch_after_the_last_one(corpus: dataset.Corpus) -> None:
    for index in (-1, 3):
        with pytest.raises(IndexError):
            batches(corpus).get(0, index)


def test_an_abandoned_stream_stops(corpus: dataset.Corpus) -> None:
    asked = []

    class Watched(dataset.Batches):
        def get(self, epoch: int, index: int) -> Any:
            asked.append(index)
            return super().get(epoch, index)

    feed = Watched(corpus, np.arange(7).repeat(100), encode, 1)
    stream = feed.stream(0)
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert len(asked) < 20


# Several corpora


def two_corpora(tmp_path: Path, write: Maker, width: int | None) -> list[dataset.Corpus]:
    """Labelled pictures, and some of another width without labels."""
    folders = [
        write(tmp_path / "some", ["a_ab.png", "b_cd.png", "c_a.png"]),
        write(tmp_path / "others", ["d.png", "e.png"], width=90),
    ]
    pattern = r"_(?P<label>\w+)"
    return [
        dataset.pack(dataset.collect(folder, pattern), width, 20, 1, cache=tmp_path / "cache") for folder in folders
    ]


@pytest.mark.parametrize("width", [40, None])
@pytest.mark.parametrize("workers", [0, 2])
def test_batches_of_two_corpora_have_the_pictures_of_both(
    width: int | None, workers: int, tmp_path: Path, write: Maker
) -> None:
    parts = two_corpora(tmp_path, write, width)
    both = joined(parts)
    assert both.labels.tolist() == ["ab", "cd", "a", "", ""] and both.names[3] == "d.png"
    feed = batches(both, range(5), 1, augmentation=1e-6 if workers else 0.0, workers=workers)
    try:
        made = [images[0][0] if width is None else images[0] for images, _ in feed.stream(0)]
    finally:
        feed.close()
    expected = [part.images[row] for part in parts for row in range(len(part))]
    for image, wanted in zip(made, expected, strict=True):
        assert (image[:, : wanted.shape[1]] == wanted).all()
    assert sum(label.any() for label in feed.labels) == 3


def test_labels_without_characters_have_a_place(tmp_path: Path, write: Maker) -> None:
    _, empty = two_corpora(tmp_path, write, 40)
    (_, labels), *_ = batches(empty, range(2)).stream(0)
    assert labels.tolist() == [[0], [0]]


# Worker processes


def any_width(tmp_path: Path, write: Maker) -> dataset.Corpus:
    folder = tmp_path / "lines"
    for i, label in enumerate(LABELS):
        write(folder / str(i), [f"{i}_{label}.png"], width=30 + 25 * i)
    return dataset.pack(dataset.collect(folder, r"_(?P<label>\w+)"), None, 20, 1, cache=tmp_path / "cache")


@pytest.mark.parametrize("width", ["one", "any"])
def test_workers_make_the_same_batches(width: str, corpus: dataset.Corpus, tmp_path: Path, write: Maker) -> None:
    pictures = corpus if width == "one" else any_width(tmp_path, write)
    options = {"rows": np.arange(7).repeat(20), "batch_size": 40, "shuffle": True, "augmentation": 1.0}
    expected, feed = batches(pictures, **options), batches(pictures, **options, workers=2)  # type: ignore[arg-type]
    before = set(multiprocessing.active_children())
    try:
        for epoch, start in ((0, 0), (1, 2)):
            made = list(feed.stream(epoch, start))
            assert len(made) == len(feed) - start
            for index, (images, labels) in enumerate(made, start):
                wanted, wanted_labels = expected.get(epoch, index)
                assert same(images, wanted) if width == "any" else (images == wanted).all()
                assert (labels == wanted_labels).all()
            assert len(set(multiprocessing.active_children()) - before) == 2
        # Another strength, and a stream that is not read to its end.
        feed.augmentation = expected.augmentation = 0.4
        next(feed.stream(2))
        for (images, _), (wanted, _) in zip(feed.stream(3), expected.stream(3), strict=True):
            assert same(images, wanted) if width == "any" else (images == wanted).all()
    finally:
        feed.close()
    assert set(multiprocessing.active_children()) == before


def test_workers_start_only_if_the_network_waits(corpus: dataset.Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dataset.prefetching.available_cores", lambda: 2)
    options = {"rows": np.arange(7).repeat(60), "batch_size": 7, "augmentation": 1.0}
    expected = batches(corpus, **options)  # type: ignore[arg-type]
    before = set(multiprocessing.active_children())
    seconds = 0.0

    def clock() -> float:
        """A clock for this thread. To wait for a batch takes a second."""
        nonlocal seconds
        seconds += threading.current_thread() is threading.main_thread()
        return seconds

    monkeypatch.setattr("dataset.prefetching.time", SimpleNamespace(perf_counter=clock))
    for use, workers in ((100, 0), (1, 2)):
        feed = batches(corpus, **options, workers=None)  # type: ignore[arg-type]
        try:
            made = []
            for batch in feed.stream(0):
                made.append(batch)
                seconds += use
            assert len(made) == len(feed)
            assert all(same(batch, expected.get(0, index)) for index, batch in enumerate(made))
            assert len(set(multiprocessing.active_children()) - before) == workers
        finally:
            feed.close()


def test_a_killed_worker_is_an_error(corpus: dataset.Corpus) -> None:
    feed = batches(corpus, np.arange(7).repeat(1000), 40, augmentation=1.0, workers=2)
    refuse_killed_workers(feed.stream(0))
    feed.close()


@pytest.mark.parametrize("why", ["memory", "the cache has no name"])
def test_a_thread_continues_if_memory_cannot_be_shared(
    why: str, corpus: dataset.Corpus, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if why == "memory":
        full = SimpleNamespace(free=100)
        monkeypatch.setattr(shutil, "disk_usage", lambda folder: full)
    else:
        corpus = replace(corpus, images=np.array(corpus.images))
    feed = batches(corpus, augmentation=1.0, workers=2)
    assert len(list(feed.stream(0))) == len(list(feed.stream(1))) == 3
    assert capsys.readouterr().err.count("--shm-size") == (why == "memory")


def test_workers_map_the_file_that_was_there_at_the_start(corpus: dataset.Corpus) -> None:
    feed = batches(corpus, np.arange(7).repeat(10), augmentation=1.0, workers=2)
    expected = [images.copy() for images, _ in batches(corpus, np.arange(7).repeat(10), augmentation=1.0).stream(0)]
    Path(corpus.images.filename).unlink()
    try:
        made = [images for images, _ in feed.stream(0)]
    finally:
        feed.close()
    assert all((one == other).all() for one, other in zip(made, expected, strict=True))
