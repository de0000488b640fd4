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
import os
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from cli.command import ALL_DONE, INTERRUPTED, SOME_UNREADABLE, run_command
from cli.messages import warn
from cli.progress import progress
from crnn_reader.errors import UserError
from parameter import PredictionParameters

if TYPE_CHECKING:
    from dataset import Sample

#: Pictures on the contact sheet of --plot: the first ones.
PLOTTED = 96
#: Where --demo draws them when --plot does not say.
DEMO = "demo.png"


def main(parameters: PredictionParameters) -> int:
    """The whole story; returns the exit code."""
    from cli.remarks import ImageRemarks
    from crnn_reader.decoding.constraints import Constraint
    from crnn_reader.reader import Reader
    from crnn_reader.sources import MISSING
    from crnn_reader.trained_sizes import crops_expected
    from dataset.contact_sheets import gallery_file
    from dataset.formats.text import LONGEST_LINE
    from dataset.inputs import inputs, keep_apart, some
    from model import tables

    least = parameters.min_probability
    plotted = parameters.plot or (DEMO if parameters.demo else None)
    tables_asked = {"--csv": parameters.csv, "--json": parameters.json_, "--icdar": parameters.icdar}
    used = (parameters.model, parameters.lexicon, parameters.charset)
    keep_apart(parameters.paths, tables_asked | {"--plot": plotted}, used)
    samples = inputs(
        parameters.paths,
        iter(partial(sys.stdin.readline, LONGEST_LINE), ""),
        parameters.label_pattern,
        parameters.root,
        parameters.labels or bool(parameters.demo),
    )
    labels, top = parameters.labels, parameters.top
    if parameters.demo:
        samples, labels = iter(some(samples, parameters.demo)), True
    first = next(samples, None)
    if first is None:
        places = ", ".join("what came on stdin" if path == "-" else path for path in parameters.paths)
        raise UserError(f"no pictures in {places}: give pictures, or folders or lists with pictures")

    rows: list[tables.Row] = []
    read = unreadable = missing = empty = rejected = unproven = far = 0
    first_far = ""
    interrupted, heard = False, True
    with contextlib.ExitStack() as files:
        # Opened before the network is: a place that cannot be written is told before the work, not after it.
        open_file = files.enter_context
        writers = []
        if parameters.csv:
            writers.append(
                open_file(tables.csv_table(parameters.csv, labels, top, least is not None, parameters.csv_safe))
            )
        if parameters.json_:
            writers.append(open_file(tables.json_list(parameters.json_, labels)))
        if parameters.icdar:
            writers.append(open_file(tables.icdar_submission(parameters.icdar)))
        plot = open_file(gallery_file(plotted)) if plotted else None
        reader = Reader(
            parameters.model,
            parameters.decoder,
            parameters.beam_width,
            top,
            parameters.batch_size,
            parameters.head,
            Constraint(parameters.length, parameters.charset, parameters.pattern, parameters.lexicon),
            parameters.max_pixels,
            parameters.frame,
        )
        remarks = ImageRemarks(reader.options)
        # A bar would tear the lines where both are on one terminal.
        advance = None if sys.stdout.isatty() else open_file(progress("reading", None))

        started = time.perf_counter()
        under_way: deque[Sample] = deque()
        readings = reader.read(remembered(itertools.chain([first], samples), under_way))
        # What was read before Ctrl-C goes into the tables.
        try:
            for reading in readings:
                sample = under_way.popleft()
                if advance:
                    advance(1)
                if reading.error is not None:
                    warn(f"{sample.path}: {reading.error}")
                    unreadable += 1
                    missing += reading.error == MISSING
                    continue
                truth = sample.label if labels else None
                row = tables.Row.of(sample.path, reading, truth, parameters.ignore_case, least)
                read += 1
                empty += not row.text
                rejected += row.accepted is False
                unproven += row.proven is False
                remarks.see(sample.path, reading.plain, reading.frames)
                if reading.far:
                    far, first_far = far + 1, first_far or sample.path
                heard = heard and printed(tables.line(row, labels))
                if not heard and not (writers or plot):
                    break
                for write in writers:
                    write(row)
                if labels or (plot and read <= PLOTTED):
                    # A million of them are kept: without what only the tables need.
                    rows.append(replace(row, others=(), characters=()))
        except KeyboardInterrupt:
            interrupted = True
        seconds = time.perf_counter() - started
        if unreadable and not (read or interrupted):
            # What an earlier call has written stays.
            which = f"none of the {unreadable:,} pictures" if unreadable > 1 else "the only picture"
            remedy = ": say with --root where the paths start" if missing == unreadable else ""
            raise UserError(f"{which} could {'' if unreadable > 1 else 'not '}be read, for the reasons above{remedy}")
        if plot:
            shown = rows[:PLOTTED]
            wrong = [index for index, row in enumerate(shown) if row.correct is False]
            plot([row.file for row in shown], [row.caption for row in shown], wrong, reader.options)

    if plot and read > PLOTTED:
        warn(f"{parameters.plot} shows the first {PLOTTED} of {read:,} pictures")
    if read:
        warn(f"{read:,} picture{'s' * (read != 1)} in {seconds:.2f} s, {1000 * seconds / read:.1f} ms each")
    if empty:
        warn(f"{empty:,} of them have no text: they are read as empty, with probability 0")
    if far:
        warn(crops_expected(reader.config, parameters.model, far, first_far))
    for remark in remarks.sentences():
        warn(remark)
    if rejected:
        warn(f"{rejected:,} of them rejected: read as empty, or with a probability below {least:g}")
    if unproven:
        warn(f"{unproven:,} of them may not be the most probable allowed text (see docs/reading.md)")
    if unreadable:
        warn(f"{unreadable:,} picture{'s' * (unreadable != 1)} could not be read, for the reasons above")
    labelled = [row for row in rows if row.truth]
    if labels and labelled:
        from model.scores import score

        truths, names = [row.truth or "" for row in labelled], [row.file for row in labelled]
        texts, probabilities = [row.text for row in labelled], [row.probability for row in labelled]
        warn(str(score(truths, texts, probabilities, names, parameters.ignore_case, min_probability=least)))
    if labels and len(labelled) < read:
        warn(f"{read - len(labelled):,} of {read:,} pictures have no label: see --label-pattern")
    if interrupted:
        looked_at = read + unreadable
        kept = f"; {' and '.join(flag for flag in tables_asked if tables_asked[flag])} has them" if writers else ""
        warn(f"interrupted after {looked_at:,} picture{'s' * (looked_at != 1)}{kept}; the same command starts again")
        return INTERRUPTED
    return SOME_UNREADABLE if unreadable else ALL_DONE


def remembered(samples: Iterator[Sample], under_way: deque[Sample]) -> Iterator[str]:
    """The paths of samples; each sample waits in `under_way` for its reading. The reader asks from its own thread."""
    for sample in samples:
        under_way.append(sample)
        yield sample.path


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
    run_command(main, PredictionParameters)
