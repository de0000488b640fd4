"""Pictures drawn during training depend only on parameters, epoch and index."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cli.command import INTERRUPTED
from crnn_reader.alphabet import Alphabet
from crnn_reader.errors import UserError
from crnn_reader.fit import fit_image, padded_width
from crnn_reader.pixels import convert_channels
from generate_captcha.batches import Fit, SyntheticBatches, preview
from generate_captcha.styles import style_of
from parameter import GenerateParameters
from tests.processes import refuse_killed_workers, started

ALPHABET = "abcd"
encode = Alphabet(ALPHABET).encode


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


def test_epochs_are_consecutive_parts_of_the_corpus() -> None:
    drawn = parameters()
    feed, style = SyntheticBatches(drawn, Fit(48, 24, 1, "pad"), encode, 4), style_of(drawn)
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
                assert (image == fit_image(convert_channels(expected, 1), 48, 24, "pad")).all()
                index += 1
        assert index == 10 * epoch + 10


def test_pictures_of_similar_width_are_in_a_batch() -> None:
    drawn = parameters(size="autox32", length="1-12", count=150)
    feed, style = SyntheticBatches(drawn, Fit(None, 32, 1, "pad"), encode, 8), style_of(drawn)
    batches = list(feed.stream(1))
    assert len(batches) == len(feed) == 19
    # The same pictures, each once, with their labels.
    pictures = [style.picture(index) for index in range(150, 300)]
    fitted = [(fit_image(image, None, 32, "pad").shape[1], encode(label)) for image, label in pictures]
    given = [
        (int(width), label[label > 0].tolist())
        for (_, widths), labels in batches
        for width, label in zip(widths, labels, strict=True)
    ]
    assert sorted(given) == sorted(fitted)
    area = sum(images.shape[0] * images.shape[2] for (images, _), _ in batches)
    in_order = [fitted[start : start + 8] for start in range(0, 150, 8)]
    unsorted = sum(len(batch) * padded_width(max(width for width, _ in batch)) for batch in in_order)
    assert area < 0.75 * unsorted
    # Wide and narrow batches alternate.
    assert any(np.diff([images.shape[2] for (images, _), _ in batches]) < 0)
    again = SyntheticBatches(drawn, Fit(None, 32, 1, "pad"), encode, 8).stream(1)
    for ((images, _), labels), ((others, _), other_labels) in zip(batches, again, strict=True):
        assert (images == others).all() and (labels == other_labels).all()


def test_validation_pictures_are_constant_except_for_difficulty() -> None:
    training = SyntheticBatches(parameters(), Fit(64, 32, 3, "stretch"), encode, 8)
    feed = training.unchanging(10)
    first, later = (np.concatenate([images for images, _ in feed.stream(epoch)]) for epoch in (0, 3))
    assert (first == later).all()
    # They occur in no corpus with another seed.
    for seed in range(20):
        style = style_of(parameters(seed=seed))
        others = {style.picture(index)[0].tobytes() for index in range(10)}
        assert not others & {image.tobytes() for image in first}
    feed.difficulty = 1.0
    harder = np.concatenate([images for images, _ in feed.stream(0)])
    assert harder.shape == first.shape
    assert (harder != first).any()


def test_training_and_validation_share_processes() -> None:
    training, style = SyntheticBatches(parameters(), Fit(64, 32, 3, "stretch"), encode, 2), style_of(parameters())
    validation = training.unchanging(4)
    before = set(multiprocessing.active_children())
    # Interleaved, unlike in training.
    pairs = zip(training.stream(0), validation.stream(0), strict=False)
    drawn = np.concatenate([images for (images, _), _ in pairs])
    assert (drawn == np.stack([style.picture(index)[0] for index in range(4)])).all()
    assert len(set(multiprocessing.active_children()) - before) <= 2


DRAWING = """
import itertools
from cli.command import run_command
from generate_captcha.batches import SyntheticBatches, Fit
from parameter import GenerateParameters

def draw(parameters):
    feed = SyntheticBatches(parameters, Fit(48, 24, 1, "pad"), lambda label: [1], 2)
    for epoch in itertools.count():
        for _, labels in feed.stream(epoch):
            print(len(labels))

if __name__ == "__main__":
    run_command(draw, GenerateParameters)
"""


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_workers_end_with_training(end: signal.Signals, tmp_path: Path) -> None:
    script = tmp_path / "drawing.py"
    script.write_text(DRAWING)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, str(script), "--style", "line", "--count", "40", "--workers", "2"]
    pipe = subprocess.PIPE
    with started(command, env=environment, stdout=pipe, stderr=pipe) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "2\n"
        # Terminals send Ctrl-C to the whole group.
        (os.killpg if end == signal.SIGINT else os.kill)(process.pid, end)
        # The pipes end when all processes have ended.
        _, complaint = process.communicate()
    if end == signal.SIGINT:
        assert process.returncode == INTERRUPTED
        assert complaint.startswith("interrupted: ")
        assert complaint.count("\n") == 1


def test_killed_worker_is_an_error() -> None:
    refuse_killed_workers(SyntheticBatches(parameters(count=1000), Fit(48, 24, 1, "pad"), encode, 2).stream(0))


def test_texts_without_room_are_replaced(capsys: pytest.CaptureFixture[str]) -> None:
    def too_long(label: str, width: int, height: int) -> UserError | None:
        assert (width, height) == (48, 24)
        return UserError(f"{label} is too long", "size", "96x24") if len(label) > 3 else None

    drawn = parameters()
    feed, style = SyntheticBatches(drawn, Fit(48, 24, 1, "pad"), encode, 4, too_long), style_of(drawn)
    first, again = (np.concatenate([labels for _, labels in feed.stream(1)]) for _ in range(2))
    assert (first == again).all()
    expected = [style.label(index) for index in range(10, 20)]
    assert 0 < sum(len(label) > 3 for label in expected) < 10
    for label, row in zip(expected, first, strict=True):
        assert (row[row > 0].tolist() == encode(label)) == (len(label) <= 3)
        assert np.count_nonzero(row) <= 3
    assert capsys.readouterr().err.count("is too long (--size 96x24)\n") == 1
    feed = SyntheticBatches(
        drawn, Fit(48, 24, 1, "pad"), encode, 4, lambda label, width, height: UserError(f"{label} is always too long")
    )
    with pytest.raises(UserError, match=r"[a-d]+ is always too long"):
        next(feed.stream(0))


def test_batches_of_any_width_have_widths() -> None:
    feed = SyntheticBatches(parameters(size="autox32", length="1-9"), Fit(None, 32, 1, "stretch"), encode, 10)
    ((images, widths), labels), *others = feed.stream(0)
    assert not others
    assert images.shape[0] == len(widths) == len(labels) == 10
    assert images.shape[2] == padded_width(int(widths.max()))
    assert len(set(widths.tolist())) > 3


def test_preview_has_all_characters_and_lengths() -> None:
    labels, sizes = preview(parameters(alphabet="0-9A-Z", length="3-6", count=50))
    assert set("".join(labels)) == set("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    assert max(map(len, labels)) == 6
    assert (sizes == [64, 32]).all()
