"""What a rectifier brings on curved and tilted lines: the same network without one, affine, and with splines.

    python benchmarks/rectifier.py [FOLDER]

Draws 60,000 lines to train on and 2,000 others to read into FOLDER (default runs/rectifier), bent twice as
much as usual, and trains the same network three times, by the same number of pictures. Goes on where it was stopped.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.feeding import processor
from benchmarks.trials import corpus, trial

LINES = "--style line --length 5-8 --size 128x48 --distortion 2.5 --difficulty 0.5"
TRAINING = "--from random --size 128x48 --epochs 4 --batch-size 64 --augmentation 0 --precision mixed_bfloat16"


def main() -> None:
    """Print the figures."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/rectifier").resolve()
    train = corpus(folder / "train", f"{LINES} --count 60000 --seed 1")
    test = corpus(folder / "test", f"{LINES} --count 2000 --seed 2")
    print(f"{processor()}, {os.cpu_count()} cores", flush=True)
    for rectifier in ("none", "affine", "tps"):
        flags = ["--data", str(train), "--validation", "0.02", *TRAINING.split(), "--rectify", rectifier]
        trial(rectifier, folder / rectifier, flags, test)


if __name__ == "__main__":
    main()
