"""Read pictures: model file and pictures in, one line per picture out.

python prediction.py DB/samples --labels
find . -name '*.png' | python prediction.py - --model runs/mine --csv texts.csv
python prediction.py DB/test --demo 10
"""

from __future__ import annotations

from cli import interrupts  # noqa: F401 (before all others, so that Ctrl-C ends in one sentence)

# isort: split

import contextlib
import itertools
import sys
import time
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from cli.command import ALL_DONE, INTERRUPTED, SOME_UNREADABLE, run_command
from cli.messages import print_line, print_while_read, warn
from cli.progress import progress
from crnn_reader.errors import UserError
from crnn_reader.formats import LIST_LAYOUTS, SEPARATORS
from parameter import PredictionParameters

if TYPE_CHECKING:
    from dataset import Sample

#: File that --demo plots to, unless --plot names another.
DEMO = "demo.png"


def main(flags: PredictionParameters) -> int:
    """Read the pictures, print and write their texts, and sum up. Returns the exit code."""
    from crnn_reader.model_files import locate_model, read_config
    from dataset.contact_sheets import gallery_file
    from dataset.inputs import refuse_overlapping_paths
    from model import tables
    from model.reading import PLOTTED, ReadingSummary, layout_lines, read_samples, reader_of

    if flags.layouts == LIST_LAYOUTS:
        for line in layout_lines(flags.model):
            print_line(line)
        return ALL_DONE
    labels = flags.labels or bool(flags.demo)
    sheet = flags.plot or (DEMO if flags.demo else None)
    outputs = {"csv": flags.csv, "json": flags.json_, "icdar": flags.icdar}
    refuse_overlapping_paths(flags.paths, outputs | {"plot": sheet}, (flags.model, flags.lexicon, flags.charset))
    samples = samples_to_read(flags, labels)
    config = read_config(locate_model(flags.model))
    if flags.keep_separators and not config.formats and not set(SEPARATORS) & set(config.alphabet):
        raise UserError(
            f"{flags.model} has no formats of plates, which say where separators stand: leave --keep-separators out, "
            "or store formats in a copy of it (docs/plates.md)"
        )

    interrupted = False
    with contextlib.ExitStack() as stack:
        # Opened before the network is loaded, so that a place that cannot be written ends the command at once.
        writers = [stack.enter_context(table) for table in tables.of_flags(flags, labels, bool(config.formats))]
        plot = stack.enter_context(gallery_file(sheet)) if sheet else None
        reader = reader_of(flags, top=flags.top)
        summary = ReadingSummary(
            reader, flags.model, labels, flags.ignore_case, flags.min_probability, flags.keep_separators
        )
        # On a terminal, a progress bar would break into the lines of the texts.
        advance = None if sys.stdout.isatty() else stack.enter_context(progress("reading", None))
        started, printing = time.perf_counter(), True
        try:
            for sample, reading in read_samples(reader, samples):
                if advance:
                    advance(1)
                if row := summary.add(sample, reading):
                    printing = printing and print_while_read(tables.line(row, labels))
                    if not (printing or writers or plot):
                        break
                    for write in writers:
                        write(row)
        except KeyboardInterrupt:
            # The tables get what was read before. Without any, those of an earlier command stay as they are.
            if not summary.read:
                raise
            interrupted = True
        seconds = time.perf_counter() - started
        if not interrupted:
            summary.refuse_nothing_read()
        if plot:
            shown = summary.rows[:PLOTTED]
            wrong = [index for index, row in enumerate(shown) if row.correct is False]
            plot([row.file for row in shown], [row.caption for row in shown], wrong, reader.options)

    if plot and summary.read > PLOTTED:
        warn(f"{sheet} shows the first {PLOTTED} of {summary.read:,} pictures")
    for sentence in summary.sentences(seconds):
        warn(sentence)
    if interrupted:
        done = summary.read + summary.unreadable
        kept = f"; {' and '.join(f'--{name}' for name in outputs if outputs[name])} has them" if writers else ""
        warn(f"interrupted after {done:,} picture{'s' * (done != 1)}{kept}; the same command starts again")
        return INTERRUPTED
    return SOME_UNREADABLE if summary.unreadable else ALL_DONE


def samples_to_read(flags: PredictionParameters, labels: bool) -> Iterator[Sample]:
    """The pictures of all paths, or some of them for --demo. Raises UserError if there are none."""
    from dataset.formats.text import MAX_LINE_LENGTH
    from dataset.inputs import choose_labelled, inputs

    lines = iter(partial(sys.stdin.readline, MAX_LINE_LENGTH), "")
    samples = inputs(flags.paths, lines, flags.label_pattern, flags.root, labels)
    if flags.demo:
        samples = iter(choose_labelled(samples, flags.demo))
    first = next(samples, None)
    if first is None:
        places = ", ".join("what came on stdin" if path == "-" else path for path in flags.paths)
        raise UserError(f"no pictures in {places}: give pictures, or folders or lists with pictures")
    return itertools.chain([first], samples)


if __name__ == "__main__":
    run_command(main, PredictionParameters)
