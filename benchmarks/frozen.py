"""A benchmark of captchas that stays the same: 2,000 pictures of each of eight families, and any reader.

    python benchmarks/frozen.py draw PICTURES
    PEER_PYTHON=… python benchmarks/frozen.py read PICTURES general ddddocr RapidOCR 'rapidocr 3.10'
    python benchmarks/frozen.py read PICTURES 'mine=python my_reader.py'

Seed, size and difficulty are fixed, and `frozen.json` has the versions of the packages that draw and digests of the
pictures, which are compared. A reader is a peer (benchmarks/harness.py), a model of this kit, or `NAME=COMMAND`: a
command that gets paths of pictures on its standard input, one per line, and prints lines `path<TAB>text` in any order.
A picture without a line counts as misread. Only letters and digits count, and capitals as small letters.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shlex
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import dataset
from benchmarks import harness
from benchmarks.accuracy import compare
from benchmarks.harness import Command, Results
from crnn_reader.image import read_image

PINNED = Path(__file__).with_name("frozen.json")
FAMILIES = ("dark", "ellipses", "hollow", "simple", "striped", "swirled", "textured", "touching")
FLAGS = "--difficulty 0.5 --seed 2026"
#: Packages whose versions may change the pictures.
PACKAGES = ("captcha", "numpy", "opencv-python-headless", "Pillow")
#: Difference between mean grey levels that instructions of processors cause: they round some pixels by one level.
ROUNDING = 0.001


def draw(_: Results, given: argparse.Namespace) -> None:
    """Draw the pictures of all families in FOLDER, and compare them with those of `frozen.json`."""
    pinned = json.loads(PINNED.read_text(encoding="utf-8"))
    for family in FAMILIES:
        drawn = harness.generated(given.folder / family, f"--style {family} --count {pinned['count']} {FLAGS}")
        found = fingerprint(drawn)
        print(f"{family}: {difference(found, pinned['families'][family])}", flush=True)


def read(results: Results, given: argparse.Namespace) -> None:
    """Read the pictures in FOLDER with each reader."""
    for family in FAMILIES:
        with tempfile.TemporaryDirectory() as folder:
            rows = Path(folder) / "rows.tsv"
            harness.listed(given.folder / family, rows)
            for reader in given.readers:
                name, _, command = reader.partition("=")
                pairs = answers(command, rows) if command else ()
                compare(results, "frozen", family, name, rows, pairs=pairs)


def answers(command: str, rows: Path) -> list[tuple[str, str]]:
    """The label of each row, and the text that a command prints for it."""
    files = harness.files_in(rows)
    given = "".join(f"{file}\n" for file in files)
    done = subprocess.run(shlex.split(command), input=given, stdout=subprocess.PIPE, text=True, check=True)
    texts = dict(line.split("\t", 1) for line in done.stdout.splitlines() if "\t" in line)
    labels = [line.partition("\t")[2] for line in rows.read_text(encoding="utf-8").splitlines()]
    return [(label, texts.get(file, "")) for file, label in zip(files, labels, strict=True)]


def fingerprint(folder: Path) -> dict[str, Any]:
    """Digests of the labels and sizes, and of the pixels, and the mean grey level of all pictures."""
    labels, pixels, means = hashlib.sha256(), hashlib.sha256(), []
    for sample in sorted(dataset.collect(folder), key=lambda sample: Path(sample.path).name):
        image = read_image(sample.path, 3)
        labels.update(f"{sample.label} {image.shape}\n".encode())
        pixels.update(image.tobytes())
        means.append(image.mean())
    return {"labels": labels.hexdigest(), "pixels": pixels.hexdigest(), "mean": round(float(np.mean(means)), 5)}


def difference(found: dict[str, Any], pinned: dict[str, Any]) -> str:
    """How the pictures of a family differ from the pinned ones. Raises SystemExit if they are others."""
    if found == pinned:
        return "the same pixels"
    if found["labels"] == pinned["labels"] and abs(found["mean"] - pinned["mean"]) <= ROUNDING:
        return "the same pictures; some pixels are rounded otherwise on this processor"
    versions = json.loads(PINNED.read_text(encoding="utf-8"))["versions"]
    others = [
        f"{name} {version(name)} instead of {wanted}" for name, wanted in versions.items() if version(name) != wanted
    ]
    reason = ", ".join(others) or "the styles have changed, or the folder has other pictures"
    raise SystemExit(f"the pictures differ from those of {PINNED}: {reason}")


def main() -> None:
    command = Command(__doc__, "frozen")
    drawn, reading = map(command.job, (draw, read))
    for job in (drawn, reading):
        job.add_argument("folder", type=Path, metavar="FOLDER")
    reading.add_argument("readers", nargs="+", metavar="READER")
    command.run()


if __name__ == "__main__":
    main()
