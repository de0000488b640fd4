"""Contact sheets of files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from crnn_reader.errors import UserError
from crnn_reader.image import DEFAULT_OPTIONS
from dataset.contact_sheets import gallery, gallery_file
from tests.samples import level


def test_pictures_of_any_size_and_missing_files(tmp_path: Path) -> None:
    large = tmp_path / "large.png"
    large.write_bytes(cv2.imencode(".png", np.full((1500, 3000, 3), (0, 0, 255), np.uint8))[1].tobytes())
    small = level(tmp_path / "small.png", 90)
    sheet = gallery([str(large), str(small), str(tmp_path / "lost.png")], ["red", "grey", "lost"], wrong=[1])
    colours = {tuple(colour) for colour in sheet.reshape(-1, 3).tolist()}
    assert {(255, 0, 0), (90, 90, 90), (200, 200, 200)} <= colours


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_the_suffix_decides_the_format(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"sheet{suffix}"
    with gallery_file(str(path)) as draw:
        draw([str(level(tmp_path / "a.png", 50))], ["a"], [], DEFAULT_OPTIONS)
    sheet = cv2.imread(str(path))
    assert sheet is not None
    assert sheet.min() < 80


def test_a_name_without_a_format_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    for name in ("sheet", "sheet.txt", ".png", "sheet.pgm"):
        with pytest.raises(UserError, match="does not end like a picture"), gallery_file(str(tmp_path / name)):
            pytest.fail("the block must not start")
    assert list(tmp_path.iterdir()) == []
