"""A benchmark of captchas that stays the same: 2,000 pictures of each of eight families. It measures any reader.

    python benchmarks/frozen.py draw PICTURES
    PEER_PYTHON=… python benchmarks/frozen.py read PICTURES general ddddocr RapidOCR 'rapidocr 3.10'
    python benchmarks/frozen.py read PICTURES 'mine=python my_reader.py'

Seed, sizes and difficulty are fixed. `frozen.json` has digests of the pictures, and the versions of the packages that
drew them; both commands compare them. A reader is a peer (benchmarks/harness.py), a model of this kit, or
`NAME=COMMAND`. The command runs once per family. It gets the paths of the pictures on its standard input, one per line,
and prints lines `path<TAB>text` in any order, with each path exactly as given; other lines are ignored. A picture
without a line counts as misread. Case, spaces and punctuation do not count.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shlex
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import harness
from benchmarks.accuracy import compare
from benchmarks.harness import Command, Results
from crnn_reader.errors import UserError
from crnn_reader.image import read_image
from crnn_reader.model_files import locate_model

PINNED = Path(__file__).with_name("frozen.json")
FAMILIES = ("dark", "ellipses", "hollow", "simple", "striped", "swirled", "textured", "touching")
FLAGS = "--difficulty 0.5 --seed 2026"
#: Packages whose versions may change the pictures: they draw, or bring fonts.
PACKAGES = ("captcha", "matplotlib", "numpy", "opencv-python-headless", "Pillow")
#: Greatest difference of the mean grey level between processors, which round some pixels differently.
ROUNDING = 0.001
#: The difference of pictures that do not belong to this benchmark.
OTHERS = "other pictures"


def draw(_: Results, given: argparse.Namespace) -> None:
    """Draw the pictures of all families in FOLDER, and compare them with those of `frozen.json`."""
    for family in FAMILIES:
        harness.generated(given.folder / family, f"--style {family} --count {pinned()['count']} {FLAGS}")
    check(given.folder)


def read(results: Results, given: argparse.Namespace) -> None:
    """Read the pictures in FOLDER with each reader."""
    readers = {reader: command_of(reader) for reader in given.readers}
    check(given.folder)
    for family in FAMILIES:
        with tempfile.TemporaryDirectory() as folder:
            rows = Path(folder) / "rows.tsv"
            listed = harness.listed(given.folder / family, rows)
            for reader, command in readers.items():
                name = reader.partition("=")[0] if command else reader
                pairs = answers(name, command, listed) if command else None
                compare(results, "frozen", family, name, rows, pairs=pairs)


def command_of(reader: str) -> list[str]:
    """The words of the command of a reader; none for a peer or a model. Raises SystemExit for an unknown reader."""
    if reader in harness.PEERS:
        if reader not in harness.peers():
            raise SystemExit(f"PEER_PYTHON names no Python that has {reader}")
    elif "=" not in reader or Path(reader).exists():
        try:
            locate_model(reader)
        except UserError as error:
            raise SystemExit(f"{reader} is no reader to compare ({', '.join(harness.PEERS)}), and {error}") from error
    else:
        try:
            words = shlex.split(reader.partition("=")[2])
        except ValueError as error:
            raise SystemExit(f"{reader!r} is no command: {error}") from error
        if not words or not shutil.which(words[0]):
            raise SystemExit(f"{reader!r} names no program: write NAME=COMMAND")
        return words
    return []


def answers(name: str, command: list[str], listed: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The label of each picture, and the text that a command prints for it."""
    given = "".join(f"{file}\n" for file, _ in listed)
    done = subprocess.run(command, input=given, stdout=subprocess.PIPE, encoding="utf-8", errors="replace")
    if done.returncode:
        raise SystemExit(f"{name} ended with exit code {done.returncode}")
    texts = dict(line.split("\t", 1) for line in done.stdout.splitlines() if "\t" in line)
    if missing := sum(file not in texts for file, _ in listed):
        print(f"{name} printed no text for {missing:,} of {len(listed):,} pictures", file=sys.stderr)
    if missing == len(listed):
        raise SystemExit(f"{name} has to print lines path<TAB>text, with the paths that it is given")
    return [(label, texts.get(file, "")) for file, label in listed]


def pinned() -> dict[str, Any]:
    """The content of `frozen.json`: count, versions, and the fingerprint of each family."""
    return dict(json.loads(PINNED.read_text(encoding="utf-8")))


def check(folder: Path) -> None:
    """Compare the pictures of all families with the pinned ones. Raises SystemExit if some are others."""
    for family in FAMILIES:
        if not (folder / family).is_dir():
            raise SystemExit(f"{folder} has no folder {family}: run python benchmarks/frozen.py draw {folder} first")
    found = {family: difference(fingerprint(folder / family), pinned()["families"][family]) for family in FAMILIES}
    print("".join(f"{family}: {reason}\n" for family, reason in found.items()), end="", flush=True)
    if OTHERS in found.values():
        versions = {name: installed(name) for name in PACKAGES}
        changed = [
            f"{name} {versions[name]} instead of {old}"
            for name, old in pinned()["versions"].items()
            if versions[name] != old
        ]
        reason = ", ".join(changed) or "the styles or fonts have changed, or the folder has other files"
        raise SystemExit(f"pictures in {folder} differ from those of {PINNED.name}: {reason}")


def fingerprint(folder: Path) -> dict[str, Any]:
    """Digests of the labels and sizes, and of the pixels, and the mean grey level of all pictures."""
    labels, pixels, means = hashlib.sha256(), hashlib.sha256(), [0.0]
    for path in sorted(folder.glob("*.png")):
        image = read_image(path, 3)
        labels.update(f"{path.name} {image.shape}\n".encode())
        pixels.update(image.tobytes())
        means.append(image.mean())
    return {
        "labels": labels.hexdigest(),
        "pixels": pixels.hexdigest(),
        "mean": round(float(np.mean(means[1:] or means)), 5),
    }


def difference(found: dict[str, Any], old: dict[str, Any]) -> str:
    """How the pictures of a family differ from the pinned ones."""
    if found == old:
        return "the same pixels"
    if found["labels"] == old["labels"] and abs(found["mean"] - old["mean"]) <= ROUNDING:
        return "the same pictures; some pixels are rounded differently on this processor"
    return OTHERS


def installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "no version"


def main() -> None:
    command = Command(__doc__, "frozen")
    drawn, reading = map(command.job, (draw, read))
    for job in (drawn, reading):
        job.add_argument("folder", type=Path, metavar="FOLDER", help="folder with a folder of pictures for each family")
    reading.add_argument("readers", nargs="+", metavar="READER", help="peer, model, or NAME=COMMAND")
    command.run()


if __name__ == "__main__":
    main()
