"""Train with training.py, read others with evaluation.py, and print what came out: what several benchmarks share."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

HOUSE = Path(__file__).resolve().parents[1]


def corpus(folder: Path, flags: str) -> Path:
    """Pictures of generate_captcha in `folder`, made or completed."""
    command = [sys.executable, "-m", "generate_captcha", "--out", str(folder), *flags.split()]
    subprocess.run(command, cwd=HOUSE, check=True)
    return folder


def trial(name: str, run: Path, training: list[str], test: Path, reading: tuple[str, ...] = ()) -> None:
    """Train with the flags `training`, or go on where `run` stopped; read `test`; print scores and times."""
    begun = (run / "parameters.json").is_file()
    flags = ["--resume", "--run", str(run)] if begun else ["--run", str(run), *training]
    started = time.monotonic()
    subprocess.run([sys.executable, "training.py", *flags], cwd=HOUSE, check=True)
    seconds = time.monotonic() - started
    answer = run / f"scores{'_'.join(reading)}.json"
    command = [sys.executable, "evaluation.py", str(test), "--model", str(run), "--json", str(answer), *reading]
    subprocess.run(command, cwd=HOUSE, check=True, stdout=subprocess.DEVNULL)
    scores = json.loads(answer.read_text(encoding="utf-8"))
    low, high = scores["exact_match_interval"]
    print(
        f"{name}: exact match {scores['exact_match']:.2%} [{low:.2%}, {high:.2%}] of {scores['images']:,}, "
        f"CER {scores['character_error_rate']:.2%}, trained in {seconds:,.0f} s{' (resumed)' if begun else ''}, "
        f"read at {scores['images_per_second']:,.0f} pictures/s",
        flush=True,
    )
