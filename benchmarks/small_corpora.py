"""Small real corpora with the defaults of training.py, beside the keras.io captcha example's network and recipe.

    python benchmarks/small_corpora.py CORPUS... [--without-peer] [-- FLAGS OF training.py]

CORPUS is a folder with `labels.csv` (columns file, label, split). Both train on the train rows, from the
start of a process to its end, and read the test rows. Prints one line per corpus and reader: exact
match of the test rows with its Wilson interval, and the seconds of training.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.feeding import processor

HOUSE = Path(__file__).resolve().parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", nargs="+", type=Path, metavar="CORPUS")
    parser.add_argument("--without-peer", action="store_true", help="only this kit")
    end = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    flags = sys.argv[end + 1 :]
    arguments = parser.parse_args(sys.argv[1:end])
    print(f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}", flush=True)
    for corpus in arguments.corpora:
        with tempfile.TemporaryDirectory() as folder:
            lists = {split: write_list(corpus, split, Path(folder)) for split in ("train", "test")}
            run = Path(folder) / "run"
            command = ["training.py", "--data", str(lists["train"]), "--run", str(run), *flags]
            seconds = timed(command)
            print(f"{corpus.name}  crnn-kit     {scores(run, lists['test'])}  {seconds:.0f} s", flush=True)
            if not arguments.without_peer:
                texts = Path(folder) / "texts.tsv"
                seconds_peer = timed(["benchmarks/keras_io.py", str(lists["train"]), str(lists["test"]), str(texts)])
                print(
                    f"{corpus.name}  keras.io     {peer_scores(texts)}  {seconds_peer:.0f} s, "
                    f"crnn-kit takes {seconds / seconds_peer:.2f} of it",
                    flush=True,
                )


def write_list(corpus: Path, split: str, folder: Path) -> Path:
    """The rows of a split as a list file that both read."""
    path = folder / f"{corpus.name}_{split}.tsv"
    with (corpus / "labels.csv").open(encoding="utf-8", newline="") as rows, path.open("w", encoding="utf-8") as file:
        for row in csv.DictReader(rows):
            if row["split"] == split:
                file.write(f"{(corpus / row['file']).resolve()}\t{row['label']}\n")
    return path


def timed(command: list[str]) -> float:
    """Seconds from the start of a Python process to its end."""
    started = time.perf_counter()
    subprocess.run([sys.executable, *command], cwd=HOUSE, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def scores(run: Path, test: Path) -> str:
    from crnn_reader.reader import Reader
    from dataset import collect

    pictures = collect(test)
    readings = Reader(str(run)).read(picture.path for picture in pictures)
    return described([(picture.label, reading.text) for picture, reading in zip(pictures, readings, strict=True)])


def peer_scores(texts: Path) -> str:
    return described([tuple(line.split("\t")) for line in texts.read_text(encoding="utf-8").splitlines()])


def described(pairs: Sequence[tuple[str, ...]]) -> str:
    from model.scores import wilson

    right = sum(truth == text for truth, text in pairs)
    low, high = wilson(right, len(pairs))
    return f"{right} of {len(pairs)} = {right / len(pairs):.2%} [{low:.2%}, {high:.2%}]"


if __name__ == "__main__":
    main()
