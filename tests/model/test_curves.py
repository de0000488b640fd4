from __future__ import annotations

from pathlib import Path

import numpy as np

from crnn_reader.image import read_image
from model.training.curves import draw_curves


def test_curves_show_the_difficulty(tmp_path: Path) -> None:
    scores = {"loss": 1.0, "validation_loss": 2.0, "exact_match": 0.5, "character_error_rate": 0.1}
    plain = [{"epoch": epoch} | scores for epoch in (1.0, 2.0, 3.0)]
    harder = [row | {"difficulty": row["epoch"] / 10} for row in plain]
    for name, history in (("plain", plain), ("harder", harder)):
        draw_curves(history, history[-1], tmp_path / f"{name}.png")
    assert (read_image(tmp_path / "plain.png", 1) != read_image(tmp_path / "harder.png", 1)).any()


def test_each_curve_is_scaled_to_its_data(tmp_path: Path) -> None:
    flat = {"loss": 1.0, "validation_loss": 2.0, "character_error_rate": 0.001}
    history = [{"epoch": float(epoch), "exact_match": 0.98 + epoch / 1000} | flat for epoch in range(1, 11)]
    draw_curves(history, history[-1], tmp_path / "curves.png")
    middle = np.array_split(read_image(tmp_path / "curves.png", 3), 3, axis=1)[1]
    rows = np.flatnonzero((middle == (31, 119, 180)).all(-1).any(1))
    assert np.ptp(rows) > len(middle) / 2, "one percentage point fills the axes"


def test_a_single_epoch_is_visible(tmp_path: Path) -> None:
    row = {"epoch": 1.0, "loss": 3.0, "validation_loss": 2.0, "exact_match": 0.0, "character_error_rate": 1.2}
    draw_curves([row], row, tmp_path / "curves.png")
    for part in np.array_split(read_image(tmp_path / "curves.png", 3), 3, axis=1):
        # Left of the legend.
        assert (np.ptp(part[60:340, 60:300].astype(int), axis=-1) > 100).sum() > 10
