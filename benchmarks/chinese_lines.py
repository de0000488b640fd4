"""Chinese lines: 10 of the 6,763 characters of GB 2312 in 280x32, drawn while the network learns from them.

    python benchmarks/chinese_lines.py FONTS [FOLDER] [--heads ctc] [--stages 16] [--start lines]

FONTS is a folder with CJK fonts (docs/lines.md says where they come from). Trains the same network with each head,
`ctc`, `attention` and `joint` as asked for, by the same pictures: a stage is 20,000, none of which comes twice.
It starts from the shipped `lines`, or from another model: from random weights, nothing was learnt of 40,000. Prints
the curve, sequences and characters read right of 2,000 others after each stage, and at the end what evaluation.py says
of 5,000 more. A joint head is read by CTC and by attention, the latter along the curve by `evaluation.py --follow` on
1,000 of the 5,000. Runs go to FOLDER (default runs/chinese_lines) and go on where they were stopped.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.feeding import processor
from benchmarks.trials import HOUSE, corpus, trial
from dataset import collect

STAGE, VALIDATION, TEST, FOLLOWED = 20_000, 2_000, 5_000, 1_000
LINES = "--style line --size 280x32 --length 10 --alphabet gb2312 --difficulty 0.4"
TRAINING = "--size 280x32 --batch-size 64 --augmentation 0 --precision mixed_bfloat16"


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("fonts", type=Path)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("runs/chinese_lines"))
    parser.add_argument("--heads", default="ctc")
    parser.add_argument("--stages", type=int, default=16)
    parser.add_argument("--start", default="lines")
    arguments = parser.parse_args()
    folder, lines = arguments.folder.resolve(), f"{LINES} --fonts {arguments.fonts.resolve()}"
    print(f"{processor()}, {os.cpu_count()} cores", flush=True)
    test = corpus(folder / "test", f"{lines} --count {TEST} --seed 1000")
    for head in arguments.heads.split(","):
        run = folder / head
        data = f"generate:{lines.removeprefix('--style ')} --count {STAGE} --seed 1"
        flags = ["--data", data, "--validation", str(VALIDATION / STAGE), "--head", head]
        flags += [*TRAINING.split(), "--from", arguments.start, "--epochs", str(arguments.stages)]
        if head == "joint":
            with followed_by_attention(run, test, folder / "followed.tsv"):
                trial("joint read by ctc", run, flags, test, ("--head", "ctc"))
            trial("joint read by attention", run, flags, test, ("--head", "attention"))
        else:
            trial(head, run, flags, test)
        with (run / "history.csv").open(encoding="utf-8", newline="") as history:
            for row in csv.DictReader(history):
                seen, sequences = int(row["epoch"]) * STAGE, float(row["exact_match"])
                characters = 1 - float(row["character_error_rate"])
                print(f"  {seen:,} pictures: sequences {sequences:.2%}, 1 - CER {characters:.2%}", flush=True)


@contextmanager
def followed_by_attention(run: Path, test: Path, followed: Path) -> Iterator[None]:
    """Print what the attention of a joint head reads while it is trained: its history is of what CTC reads.

    Of the pictures of `test` it reads the first ones, which are listed in `followed`.
    """
    rows = [f"{sample.path}\t{sample.label}\n" for sample in itertools.islice(collect(test), FOLLOWED)]
    followed.write_text("".join(rows), encoding="utf-8")
    command = [sys.executable, "evaluation.py", str(followed), "--model", str(run), "--follow", "--head", "attention"]
    with subprocess.Popen(command, cwd=HOUSE) as follower:
        try:
            yield
        except BaseException:
            follower.terminate()
            raise


if __name__ == "__main__":
    main()
