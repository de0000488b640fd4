"""Pictures for tests: the captchas of DB/samples, all of which captcha_lite reads right, and pictures of one grey."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np

from crnn_reader.image import read_image

FILES = sorted((Path(__file__).parents[1] / "DB" / "samples").glob("*.png"))
LABELS = [file.name.partition("_")[0] for file in FILES]
MODEL = ("--model", "captcha_lite")


def sample(path: Path, number: int = 0) -> Path:
    """Copy a captcha to `path`, whatever the suffix; its text is `LABELS[number]`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(FILES[number], path)
    return path


def unsure_sample(path: Path) -> Path:
    """Write two captchas on top of each other, which captcha_lite reads with a probability below 0.5."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), read_image(FILES[0], 1) // 2 + read_image(FILES[1], 1) // 2)
    return path


def level(path: Path, value: int) -> Path:
    """Write a small picture of one grey level."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", np.full((8, 16), value, np.uint8))[1].tobytes())
    return path
