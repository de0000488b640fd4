"""The files of a report."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from model import report
from model.scores import score


def test_a_report_has_plots_sheets_and_json(tmp_path: Path) -> None:
    scores = score(
        ["O1", "<b>", "AB"], ["01", "<b>", "A"], [0.9, 0.4, 1.0], ["a.png", "b.png", "c&d.png"], unreadable=1
    )
    record = {**scores.to_dict(), "images_per_second": 123.4, "model": "captcha"}
    page = report.write(tmp_path / "new" / "report", scores, record, {report.WORST: np.full((20, 30, 3), 7, np.uint8)})

    text = page.read_text(encoding="utf-8")
    assert "33.33%" in text and "(1 of 3 pictures; 95 % interval 6.15% to 79.23%)" in text
    assert "c&amp;d.png" in text and "<b>Model</b></td><td>captcha" in text and "<td>123" in text
    for name in ("reliability", "coverage", "confusions", "lengths", "pictures-1"):
        assert f'src="{name}.png"' in text
        assert cv2.imread(str(page.with_name(f"{name}.png"))) is not None
    sheet = cv2.imread(str(page.with_name("pictures-1.png")))
    assert sheet is not None
    assert np.unique(sheet).tolist() == [7]
    assert json.loads(page.with_name("report.json").read_text(encoding="utf-8")) == json.loads(json.dumps(record))
    assert not list(page.parent.glob(".*"))


def test_the_share_of_an_added_character_is_of_all_characters(tmp_path: Path) -> None:
    scores = score(["AAB", "B"], ["AABX", "A"], [0.9, 0.8], ["a.png", "b.png"])
    page = report.write(tmp_path, scores, scores.to_dict(), {}).read_text(encoding="utf-8")
    # One X for four true characters; one of two Bs was read as A.
    assert "<td>nothing</td><td>X</td><td>1</td><td>25.00% of all characters</td>" in page
    assert "<td>B</td><td>A</td><td>1</td><td>50.00%</td>" in page


def test_a_report_without_mistakes(tmp_path: Path) -> None:
    scores = score(["A"], ["A"], [1.0], ["a.png"])
    page = report.write(tmp_path, scores, scores.to_dict(), {})
    assert "No picture was read wrongly." in page.read_text(encoding="utf-8")
    assert cv2.imread(str(tmp_path / "confusions.png")) is not None


def test_a_report_removes_the_sheets_of_an_earlier_one(tmp_path: Path) -> None:
    scores, sheet = score(["A"], ["A"], [1.0], ["a.png"]), np.zeros((20, 30, 3), np.uint8)
    report.write(tmp_path, scores, scores.to_dict(), {"Worst": sheet, "Surest": sheet})
    report.write(tmp_path, scores, scores.to_dict(), {"Worst": sheet})
    assert [path.name for path in tmp_path.glob("pictures-*")] == ["pictures-1.png"]


def test_the_legend_of_the_coverage_has_the_interval(tmp_path: Path) -> None:
    scores = score(
        ["A", "B"] * 50, ["A", "B"] * 45 + ["A", "C"] * 5, [1 - i / 200 for i in range(100)], ["a.png"] * 100
    )
    report.write(tmp_path, scores, scores.to_dict(), {})
    image = cv2.imread(str(tmp_path / "coverage.png"))
    assert image is not None
    quiet = (image[..., ::-1] == [int(report.QUIET[i : i + 2], 16) for i in (1, 3, 5)]).all(-1)
    below = quiet[int(0.92 * len(image)) :]
    assert 50 < below.sum() < below.size / 10, "a patch under the axes, not the band itself"


def test_an_invisible_character_is_named() -> None:
    assert [report.shown(character) for character in ("", " ", "\u3000", "\u202e", "\x07", "é")] == [
        "nothing", "space", "wide space", "\\u202e", "\\x07", "é",
    ]  # fmt: skip
