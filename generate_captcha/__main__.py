"""`python -m generate_captcha`: fill a folder with labelled pictures."""

from __future__ import annotations

import shlex
import time
from pathlib import Path

from cli import interrupts
from cli.command import ALL_DONE, run_command
from cli.messages import warn
from parameter import TRAIN_FOLDER, GenerateParameters, size_flag


def generate(parameters: GenerateParameters) -> int:
    """Write the corpus that `parameters` describe, or what is missing of it; returns the exit code."""
    from generate_captcha.corpus import write_corpus

    interrupts.continue_by(interrupts.CONTINUES)
    started = time.monotonic()
    written = write_corpus(parameters)
    seconds = time.monotonic() - started
    there = f"; {written.there:,} were there" if written.there else ""
    made = f"made {written.drawn:,} pictures in {seconds:,.1f} s, {written.drawn / seconds:,.0f} pictures/s"
    warn(f"{parameters.out}: {made if written.drawn else 'nothing to make'}{there}")
    data = "" if Path(parameters.out) == Path(TRAIN_FOLDER) else f" --data {shlex.quote(parameters.out)}"
    warn(f"next: python training.py{data}{size_flag(parameters.style, parameters.size)}")
    return ALL_DONE


if __name__ == "__main__":
    run_command(generate, GenerateParameters, prog="python -m generate_captcha")
