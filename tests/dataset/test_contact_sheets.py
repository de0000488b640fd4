"""Many pictures on one."""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest

import dataset
from dataset.contact_sheets import caption_runs, coverage, fonts_for


def reddish(sheet: np.ndarray) -> int:
    return int(((sheet[..., 0] > 150) & (sheet[..., 1] < 80) & (sheet[..., 2] < 80)).sum())


@pytest.mark.parametrize(
    ("count", "columns", "cells"), [(1, 6, (1, 1)), (6, 3, (3, 2)), (7, 3, (3, 3)), (10, 6, (5, 2)), (2, 9, (2, 1))]
)
def test_rows_and_columns(count: int, columns: int, cells: tuple[int, int]) -> None:
    pictures = [np.full((20, 40, 1), 60, np.uint8)] * count
    sheet = dataset.contact_sheet(pictures, ["x"] * count, columns)
    one = dataset.contact_sheet(pictures[:1], ["x"], 1)
    assert sheet.dtype == np.uint8
    assert sheet.shape[2] == 3
    gap = 2 * one.shape[1] - dataset.contact_sheet([*pictures[:1]] * 2, ["x"] * 2, 2).shape[1]
    assert sheet.shape[1] == cells[0] * (one.shape[1] - gap) + gap
    assert sheet.shape[0] == cells[1] * (one.shape[0] - gap) + gap
    # The number of dark pixels is proportional to the number of pictures.
    assert (sheet == 60).all(axis=2).sum() == count * (one == 60).all(axis=2).sum() > 0


def test_lines_of_text_get_twice_the_width() -> None:
    line = np.full((32, 280, 1), 60, np.uint8)
    picture = np.full((32, 64, 1), 60, np.uint8)
    lines = dataset.contact_sheet([line] * 12 + [picture], ["x"] * 13, 6)
    pictures = dataset.contact_sheet([line] + [picture] * 12, ["x"] * 13, 6)
    # Rows of three and five, and lines are enlarged.
    assert lines.shape[1] > 0.9 * 6 / 5 * pictures.shape[1]
    assert (lines == 60).all(axis=2).sum() > 12 * line.size


def test_pictures_of_different_colours_and_sizes() -> None:
    red = np.zeros((5, 300, 3), np.uint8)
    red[..., 0] = 200
    sheet = dataset.contact_sheet([red, np.zeros((300, 5, 1), np.uint8), np.full((1, 1, 3), 9, np.uint8)], ["", "", ""])
    assert reddish(sheet) > 100


def test_captions_of_wrong_pictures_are_red() -> None:
    pictures = [np.full((20, 40, 1), 60, np.uint8)] * 2
    assert reddish(dataset.contact_sheet(pictures, ["abc", "abc"], 2)) == 0
    assert reddish(dataset.contact_sheet(pictures, ["abc", "abc"], 2, wrong=[1])) > 10


@pytest.mark.parametrize("caption", ["", "äöü ß ↦", "皖A77Z41", "47하1693", "x" * 500, "\N{GRINNING FACE}"])
def test_any_caption(caption: str) -> None:
    picture = np.full((20, 40, 1), 60, np.uint8)
    sheet = dataset.contact_sheet([picture], [caption], 1)
    assert sheet.shape == dataset.contact_sheet([picture], ["x"], 1).shape
    # There is ink below the picture if it has a caption.
    assert (sheet[100:] < 128).any() == bool(caption)


def test_an_empty_sheet() -> None:
    assert dataset.contact_sheet([], []).shape[2] == 3


def test_a_script_without_a_font_is_named_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("matplotlib.font_manager.findSystemFonts", list)
    monkeypatch.setattr(sys.modules["dataset.contact_sheets"], "reported", set())
    fonts_for.cache_clear()
    picture = np.full((20, 40, 1), 60, np.uint8)
    for _ in range(2):
        dataset.contact_sheet([picture] * 4, ["47하1693", "皖A77Z41", "ภาษา", "שלום AB"])
    fonts_for.cache_clear()
    printed = capsys.readouterr().err
    assert [script for script in ("Hangul", "CJK", "Thai") if printed.count(script) == 1] == ["Hangul", "CJK", "Thai"]
    assert "Hebrew" not in printed
    assert "install a font that has them" in printed


def test_each_character_is_drawn_with_the_first_font_that_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The parts of a caption in two scripts have different fonts."""
    fonts = Path(matplotlib.get_data_path(), "fonts", "ttf")
    other = str(fonts / "STIXGeneral.ttf")
    only_stix = next(chr(point) for point in sorted(coverage(other) - coverage(str(fonts / "DejaVuSans.ttf"))))
    monkeypatch.setattr("matplotlib.font_manager.findSystemFonts", lambda: [other])
    fonts_for.cache_clear()
    runs = caption_runs(f"AB {only_stix}7", 14)
    fonts_for.cache_clear()
    assert [(text, font.getname()[0]) for text, font in runs] == [
        ("AB ", "DejaVu Sans"),
        (only_stix, "STIXGeneral"),
        ("7", "DejaVu Sans"),
    ]
