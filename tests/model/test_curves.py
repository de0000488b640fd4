from __future__ import annotations

from pathlib import Path

import picture
from model.training.curves import draw_curves


def test_curves_show_how_hard_the_pictures_were(tmp_path: Path) -> None:
    scores = {"loss": 1.0, "validation_loss": 2.0, "exact_match": 0.5, "character_error_rate": 0.1}
    plain = [{"epoch": epoch} | scores for epoch in (1.0, 2.0, 3.0)]
    harder = [row | {"difficulty": row["epoch"] / 10} for row in plain]
    for name, history in (("plain", plain), ("harder", harder)):
        draw_curves(history, history[-1], tmp_path / f"{name}.png")
    assert (picture.read(tmp_path / "plain.png", 1) != picture.read(tmp_path / "harder.png", 1)).any()
