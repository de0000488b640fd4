"""Attention against CTC, and both on one encoder: on captchas and on lines.

    python benchmarks/heads.py [FOLDER]

Draws 60,000 pictures of each kind to train on and 2,000 others to read into FOLDER (default runs/heads), and trains the
same network with each head by the same number of pictures. Goes on where it was stopped.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.feeding import processor
from benchmarks.trials import corpus, trial

KINDS = {
    "captcha36": "--style captcha --length 4 --size 128x64",
    "lines": "--style line --length 8-20 --size 256x32 --alphabet 0-9A-Za-z",
}
TRAINING = "--validation 0.02 --from random --epochs 4 --batch-size 64 --augmentation 0 --precision mixed_bfloat16"


def main() -> None:
    """Print the figures."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/heads").resolve()
    print(f"{processor()}, {os.cpu_count()} cores", flush=True)
    for kind, flags in KINDS.items():
        train = corpus(folder / kind / "train", f"{flags} --count 60000 --seed 1")
        test = corpus(folder / kind / "test", f"{flags} --count 2000 --seed 2")
        size = flags.split("--size ")[1].split()[0]
        for head in ("ctc", "attention", "joint"):
            training = ["--data", str(train), "--size", size, "--head", head, *TRAINING.split()]
            for reads in ("ctc", "attention") if head == "joint" else (head,):
                name = f"{kind} {head}" + (f" read by {reads}" if head == "joint" else "")
                trial(name, folder / kind / head, training, test, ("--head", reads))


if __name__ == "__main__":
    main()
