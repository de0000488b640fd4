"""Plates read by weights that were never trained on them, beside RapidOCR's recogniser.

    python benchmarks/plates.py MODEL CORPUS... [--rows train,test]

CORPUS is a folder with `labels.csv` (columns file, label, split), all rows of which are read unless --rows says which,
or any other folder of labelled pictures. Only letters and digits count, in capitals; in a corpus whose name begins with
plate_us, O counts as 0. Prints exact match with its Wilson interval, pictures/s, and the character that most readings
begin with although fewer plates do: who learnt from plates of one province reads it on others. benchmarks/peers.py says
what RapidOCR needs.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import dataset
from benchmarks import peers
from benchmarks.feeding import processor
from benchmarks.small_corpora import described


def main() -> None:
    """Print the figures."""
    from crnn_reader.reader import Reader

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("corpora", nargs="+", type=Path, metavar="CORPUS")
    parser.add_argument("--rows", default="train,test", help="splits to read (default: all)")
    parser.add_argument("--without-peer", action="store_true", help="only this kit")
    arguments = parser.parse_args()
    print(f"{processor()}, {os.cpu_count()} cores", flush=True)
    reader = Reader(arguments.model)
    for corpus in arguments.corpora:
        with tempfile.TemporaryDirectory() as folder:
            listed = Path(folder) / "rows.tsv"
            rows = write_rows(corpus, arguments.rows.split(","), listed)
            started = time.monotonic()
            texts = [reading.text for reading in reader.read(path for path, _ in rows)]
            speed = len(rows) / (time.monotonic() - started)
            truths = [label for _, label in rows]
            tell(corpus.name, "crnn-kit", list(zip(truths, texts, strict=True)), speed)
            if not arguments.without_peer:
                tell(corpus.name, "RapidOCR", *peers.texts_of("RapidOCR", listed, Path(folder) / "texts.tsv"))


def write_rows(corpus: Path, splits: list[str], path: Path) -> list[tuple[str, str]]:
    """The pictures and labels, of some splits where there are splits, which go to a list at `path`, too."""
    listed = corpus / "labels.csv"
    if listed.is_file():
        with listed.open(encoding="utf-8", newline="") as file:
            rows = [
                (str((corpus / row["file"]).resolve()), row["label"])
                for row in csv.DictReader(file)
                if row["split"] in splits
            ]
    else:
        rows = [(str(sample.path), sample.label) for sample in dataset.collect(corpus) if sample.label]
    path.write_text("".join(f"{picture}\t{label}\n" for picture, label in rows), encoding="utf-8")
    return rows


def tell(corpus: str, reader: str, pairs: list[tuple[str, str]], speed: float) -> None:
    zeros = corpus.startswith("plate_us")
    folded: list[tuple[str, ...]] = [(folded_text(truth, zeros), folded_text(text, zeros)) for truth, text in pairs]
    begun = Counter(text[:1] for _, text in folded if text)
    begun_rightly = Counter(truth[:1] for truth, _ in folded)
    often = max(begun, key=lambda first: begun[first] - begun_rightly[first], default="")
    told = ""
    if begun[often] - begun_rightly[often] > len(pairs) / 100:
        told = f"  {often} first {begun[often]} times, on {begun_rightly[often]} pictures"
    print(f"{corpus}  {reader}  {described(folded)}  {speed:,.0f} pictures/s{told}", flush=True)


def folded_text(text: str, zeros: bool) -> str:
    kept = "".join(filter(str.isalnum, text.upper()))
    return kept.replace("O", "0") if zeros else kept


if __name__ == "__main__":
    main()
