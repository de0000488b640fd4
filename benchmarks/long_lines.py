"""Peak memory of training on lines of 10 and of 100 characters, and of reading them: it follows neither number alone.

    python benchmarks/long_lines.py [COUNTS…]

For each of COUNTS (default 400 1600) draws so many lines of 10 and of 100 characters, 32 pixels high and as wide as
the text is, trains one epoch on them with `--size autox32`, and reads them. Prints the widest picture, seconds, and the
largest memory that the process had (its own and mapped pages).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import dataset
from benchmarks.feeding import processor
from benchmarks.trials import HOUSE, corpus

TRAINING = "--size autox32 --from random --epochs 1 --batch-size 32 --augmentation 0 --validation 0.1"


def main() -> None:
    """Print the figures."""
    print(f"{processor()}, {os.cpu_count()} cores", flush=True)
    for length in (10, 100):
        for count in map(int, sys.argv[1:] or ["400", "1600"]):
            with tempfile.TemporaryDirectory() as folder:
                flags = f"--style line --size autox32 --length {length} --count {count} --seed 1"
                pictures, run = corpus(Path(folder) / "pictures", flags), Path(folder) / "run"
                widest = int(dataset.examine(dataset.collect(str(pictures))).sizes[:, 0].max())
                training = measured("training.py", "--data", str(pictures), "--run", str(run), *TRAINING.split())
                reading = measured("prediction.py", str(pictures), "--model", str(run))
                told = f"{count:,} lines of {length} characters, up to {widest:,} pixels wide"
                print(f"{told}: training {training}; reading {reading}", flush=True)


def measured(*command: str) -> str:
    """What a command of the kit took."""
    started = time.monotonic()
    process = subprocess.Popen([sys.executable, *command], cwd=HOUSE, stdout=subprocess.DEVNULL)
    # Of this child alone: the usage of all children has the largest of them.
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{command[0]} ended with {os.waitstatus_to_exitcode(status)}")
    return f"{usage.ru_maxrss / 1024:,.0f} MB in {time.monotonic() - started:,.0f} s"


if __name__ == "__main__":
    main()
