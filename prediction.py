"""Read pictures: model file and pictures in, one line per picture out.

python prediction.py DB/samples --labels
find . -name '*.png' | python prediction.py - --model runs/mine --csv texts.csv
"""

from __future__ import annotations

import contextlib
import itertools
import os
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

    samples = inputs(parameters.paths, sys.stdin, parameters.label_pattern)
    first = next(samples, None)
    if first is None:
        places = ", ".join(parameters.paths)
        raise UserError(f"no pictures in {places}: give pictures, or folders or lists that hold some")

    labels, top = parameters.labels, parameters.paths_kept
    rows: list[tables.Row] = []
    read = unreadable = 0
    interrupted, heard = False, True
    with contextlib.ExitStack() as files:
        # Opened before the network is: a place that cannot be written is told before the work, not after it.
        open_file = files.enter_context
        to_csv = open_file(tables.csv_table(parameters.csv, labels, top)) if parameters.csv else None
        to_json = open_file(tables.json_list(parameters.json_, labels)) if parameters.json_ else None
        plot = open_file(gallery_file(parameters.plot)) if parameters.plot else None
        reader = Reader(
            parameters.model, parameters.decoder, parameters.beam_width, top, parameters.batch_size, parameters.head
        )
        # A bar would tear the lines where both are on one terminal.
        advance = None if sys.stdout.isatty() else open_file(console.progress("reading", None))

        started = time.perf_counter()
        given, asked = itertools.tee(itertools.chain([first], samples))
        readings = zip(reader.read(sample.path for sample in asked), given, strict=False)
        # What was read before Ctrl-C goes into the tables.
        try:
            for reading, sample in readings:
                if advance:
                    advance(1)
                if reading.error is not None:
                    warn(f"{sample.path}: {reading.error}")
                    unreadable += 1
                    continue
                row = tables.Row.of(sample.path, reading, sample.label if labels else None, parameters.ignore_case)
                read += 1
                heard = heard and printed(tables.line(row, labels))
                if not heard and not (to_csv or to_json or plot):
                    break
                for write in filter(None, (to_csv, to_json)):
                    write(row)
                if labels or (plot and read <= PLOTTED):
                    rows.append(row)
        except KeyboardInterrupt:
            interrupted = True
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
    if interrupted:
        warn(f"interrupted after {read + unreadable:,} pictures; the tables have those")
        return console.INTERRUPTED
    return console.SOME_UNREADABLE if unreadable else console.ALL_DONE


def printed(line: str) -> bool:
    """Whether anybody still reads our stdout, as `head` does for a while."""
    try:
        print(line)
    except BrokenPipeError:
        # Python writes what is left in the buffer when it exits, and would complain then.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return True


if __name__ == "__main__":
    console.run(main, PredictionParameters)
