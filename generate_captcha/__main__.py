"""`python -m generate_captcha`: fill a folder with labelled pictures."""

from __future__ import annotations

import re
import shlex
import time
from pathlib import Path

from cli import interrupts
from cli.command import ALL_DONE, run_command
from cli.messages import warn
from parameter import RUNS_FOLDER, STYLES, TRAIN_FOLDER, GenerateParameters, size_flag


def generate(parameters: GenerateParameters) -> int:
    """Write the corpus of `parameters`, or the part of it that is missing. Returns the exit code."""
    from generate_captcha.corpus import write_corpus

    interrupts.continue_by(interrupts.CONTINUES)
    started = time.monotonic()
    result = write_corpus(parameters)
    seconds = time.monotonic() - started
    pictures = f"{result.made:,} picture{'s' * (result.made != 1)}"
    made = f"made {pictures} in {seconds:,.1f} s, {result.made / seconds:,.0f} pictures/s"
    existing = f"; {result.existing:,} were there" if result.existing else ""
    warn(f"{parameters.out}: {made if result.made else 'nothing to make'}{existing}")
    warn(f"next: {_next_command(parameters)}")
    return ALL_DONE


def _next_command(parameters: GenerateParameters) -> str:
    """The next step with the pictures: training, or evaluation if the folder has test in its name."""
    out = Path(parameters.out)
    if not STYLES[parameters.style].labelled:
        return f"python training.py --data FOLDER --negatives {shlex.quote(parameters.out)}"
    if re.search(r"(?<![a-z])test", out.name.lower()):
        return f"python evaluation.py {shlex.quote(parameters.out)} --model {RUNS_FOLDER}/NAME"
    data = "" if out == Path(TRAIN_FOLDER) else f" --data {shlex.quote(parameters.out)}"
    return f"python training.py{data}{size_flag(parameters.style, parameters.size)}"


if __name__ == "__main__":
    run_command(generate, GenerateParameters, prog="python -m generate_captcha")
