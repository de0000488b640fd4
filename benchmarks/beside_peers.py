"""What this kit, ddddocr and RapidOCR read right, each on the same pictures, and how much room they take on disk.

    python benchmarks/beside_peers.py DATA

DATA is a folder with the corpora captcha_keras1040, plate_us_e2e, plate_us_state and plate_cn_lprnet, each with
`labels.csv`. Read are 2,000 fresh captchas of the `captcha` package, by the shipped weights; the test rows of
captcha_keras1040, by weights that training.py makes of its train rows; and all plates, by the shipped ones, which saw
none of them. Capitals and digits alone count, and O counts as 0 on American plates. benchmarks/peers.py says what the
peers need. Sizes are those of the packages that reading needs, with what these ask for, and of the weights.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import peers
from benchmarks.captcha36 import ALPHABET, LENGTH, drawn
from benchmarks.feeding import processor
from benchmarks.plates import tell, write_rows
from benchmarks.trials import HOUSE

CAPTCHAS = 2_000
PLATES = "plate_us_e2e", "plate_us_state", "plate_cn_lprnet"
#: What reading takes without Keras (docs/export.md).
OURS = ["numpy", "opencv-python-headless", "onnxruntime"]
#: Bytes of installed packages and of what they ask for, on any Python; the packages are its arguments.
SIZE = """
import re, sys
from importlib.metadata import PackageNotFoundError, distribution
asked, found, size = sys.argv[1:], set(), 0
while asked:
    name = re.sub(r"[-_.]+", "-", asked.pop()).lower()
    try:
        package = distribution(name)
    except PackageNotFoundError:
        continue
    if name not in found:
        found.add(name)
        files = [file.locate() for file in package.files or ()]
        size += sum(file.stat().st_size for file in files if file.is_file() and file.suffix != ".pyc")
        asked += [re.match(r"[\\w.-]+", line)[0] for line in package.requires or () if "extra ==" not in line]
print(size)
"""


def main() -> None:
    """Print the figures."""
    data = Path(sys.argv[1])
    print(f"{processor()}, {os.cpu_count()} cores", flush=True)
    there = peers.are_there()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        compare("captcha36", ["captcha", "captcha_lite"], *fresh_captchas(folder), there)
        small = data / "captcha_keras1040"
        write_rows(small, ["train"], folder / "train.tsv")
        command = ["training.py", "--data", str(folder / "train.tsv"), "--run", str(folder / "run")]
        subprocess.run([sys.executable, *command], cwd=HOUSE, check=True, stdout=subprocess.DEVNULL)
        rows = write_rows(small, ["test"], folder / "rows.tsv")
        compare(small.name, [str(folder / "run")], folder / "rows.tsv", rows, there)
        for name in PLATES:
            rows = write_rows(data / name, ["train", "test"], folder / "rows.tsv")
            compare(name, ["plate"], folder / "rows.tsv", rows, there)
    weights = ", ".join(
        f"{file.name} {file.stat().st_size / 1e6:.1f} MB"
        for file in sorted((HOUSE / "crnn_reader" / "weights").glob("*.onnx"))
    )
    print(f"crnn-kit without Keras: packages {installed(sys.executable, OURS):,.0f} MB; {weights}")
    for peer in there:
        print(f"{peer}: packages with weights {installed(peers.PYTHON, [peers.PEERS[peer][1]]):,.0f} MB")


def fresh_captchas(folder: Path) -> tuple[Path, list[tuple[str, str]]]:
    """Pictures of the package itself, unseeded, as a list and its rows."""
    from PIL import Image

    truths = ["".join(secrets.choice(ALPHABET) for _ in range(LENGTH)) for _ in range(CAPTCHAS)]
    rows = [(str(folder / f"{number}.png"), truth) for number, truth in enumerate(truths)]
    for (path, _), image in zip(rows, drawn(truths), strict=True):
        Image.fromarray(image).save(path)
    listed = folder / "captchas.tsv"
    listed.write_text("".join(f"{path}\t{truth}\n" for path, truth in rows), encoding="utf-8")
    return listed, rows


def compare(corpus: str, models: list[str], listed: Path, rows: list[tuple[str, str]], there: list[str]) -> None:
    """Print what each reads right of a list."""
    from crnn_reader.reader import Reader

    for model in models:
        started = time.monotonic()
        texts = [reading.text for reading in Reader(model).read(path for path, _ in rows)]
        speed = len(rows) / (time.monotonic() - started)
        read = [(truth, text) for (_, truth), text in zip(rows, texts, strict=True)]
        tell(corpus, f"crnn-kit {Path(model).name}", read, speed)
    for peer in there:
        tell(corpus, peer, *peers.texts_of(peer, listed, listed.with_suffix(".texts")))


def installed(python: str, packages: list[str]) -> float:
    """MB of packages and what they ask for."""
    found = subprocess.run([python, "-c", SIZE, *packages], check=True, capture_output=True, text=True).stdout
    return int(found) / 1e6


if __name__ == "__main__":
    main()
