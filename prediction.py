"""Read pictures: model file and pictures in, one line per picture out.

python prediction.py DB/samples --labels
find . -name '*.png' | python prediction.py - --model runs/mine --csv texts.csv
"""

from __future__ import annotations

import contextlib
import io
import itertools
import sys
import time

import console
from console import UserError, warn
from parameter import PredictionParameters

#: Pictures on the contact sheet of --plot: the first ones.
PLOTTED = 96


def main(parameters: PredictionParameters) -> int:
    """The whole story; returns the exit code."""
    from dataset.gallery import gallery_file
    from dataset.inputs import inputs
    from model import tables
    from model.reader import Reader
    from model.scores import score

    for stream in (sys.stdin, sys.stdout):
        if isinstance(stream, io.TextIOWrapper):
            # File names need not be Unicode, and whoever reads our lines gets each one as soon as it is known.
            stream.reconfigure(encoding="utf-8", errors="surrogateescape", line_buffering=True)

    samples = inputs(parameters.paths, sys.stdin, parameters.label_pattern)
    first = next(samples, None)
    if first is None:
        places = ", ".join(parameters.paths)
        raise UserError(f"no pictures in {places}: give pictures, or folders or lists that hold some")

    labels, top = parameters.labels, parameters.paths_kept
    rows: list[tables.Row] = []
    read = unreadable = 0
    with contextlib.ExitStack() as files:
        # Opened before the network is: a place that cannot be written is told before the work, not after it.
        open_file = files.enter_context
        to_csv = open_file(tables.csv_table(parameters.csv, labels, top)) if parameters.csv else None
        to_json = open_file(tables.json_list(parameters.json_, labels)) if parameters.json_ else None
        plot = open_file(gallery_file(parameters.plot)) if parameters.plot else None
        reader = Reader(parameters.model, parameters.decoder, parameters.beam_width, top, parameters.batch_size)
        # A bar would tear the lines where both are on one terminal.
        advance = None if sys.stdout.isatty() else open_file(console.progress("reading", None))

        started = time.perf_counter()
        given, asked = itertools.tee(itertools.chain([first], samples))
        for reading, sample in zip(reader.read(sample.path for sample in asked), given, strict=False):
            if advance:
                advance(1)
            if reading.error is not None:
                warn(f"{sample.path}: {reading.error}")
                unreadable += 1
                continue
            row = tables.Row.of(sample.path, reading, sample.label if labels else None, parameters.ignore_case)
            read += 1
            print(tables.line(row, labels))
            for write in filter(None, (to_csv, to_json)):
                write(row)
            if labels or (plot and read <= PLOTTED):
                rows.append(row)
        seconds = time.perf_counter() - started
        if plot:
            shown = rows[:PLOTTED]
            wrong = [index for index, row in enumerate(shown) if row.correct is False]
            plot([row.file for row in shown], [row.text for row in shown], wrong)

    if read:
        warn(f"{read:,} picture{'s' * (read != 1)} in {seconds:.2f} s, {1000 * seconds / read:.1f} ms each")
    labelled = [row for row in rows if row.truth]
    if labels and labelled:
        truths, names = [row.truth or "" for row in labelled], [row.file for row in labelled]
        texts, probabilities = [row.text for row in labelled], [row.probability for row in labelled]
        warn(str(score(truths, texts, probabilities, names, parameters.ignore_case)))
    if labels and len(labelled) < read:
        warn(f"{read - len(labelled):,} of {read:,} pictures have no label: see --label-pattern")
    return console.SOME_UNREADABLE if unreadable else console.ALL_DONE


if __name__ == "__main__":
    console.run(main, PredictionParameters)
