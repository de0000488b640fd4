"""Score a model file on labelled pictures, with 95 % intervals.

python evaluation.py DB/test --model runs/mine --json scores.json --report report
python evaluation.py DB/test --model runs/mine --follow
"""

from __future__ import annotations

from cli import interrupts  # noqa: F401 (before all others, so that Ctrl-C ends in one sentence)

# isort: split

import contextlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.command import ALL_DONE, INTERRUPTED, SOME_UNREADABLE, run_command
from cli.files import atomic
from cli.messages import print_line, print_table, warn
from crnn_reader.errors import UserError
from crnn_reader.formats import LIST_LAYOUTS
from parameter import EvaluationParameters

if TYPE_CHECKING:
    from crnn_reader.image import ImageOptions
    from dataset import Sample
    from model.scores import Scores

#: Number of pictures on each contact sheet of the report.
SHOWN = 36
#: Scores that --follow adds to TensorBoard, with the names of the training's curves.
FOLLOWED = ("exact_match", "character_error_rate", "letter_accuracy")


def main(flags: EvaluationParameters) -> int:
    """Read the pictures, score them, and write the report. Returns the exit code."""
    import dataset
    from dataset.contact_sheets import gallery
    from dataset.inputs import refuse_overlapping_paths
    from model import report
    from model.comparison import caption
    from model.reading import layout_lines
    from model.training import follow_run
    from model.training.run_folder import trained_on

    if flags.layouts == LIST_LAYOUTS:
        for line in layout_lines(flags.model):
            print_line(line)
        return ALL_DONE
    refuse_overlapping_paths(
        [flags.path, flags.negatives],
        {"json": flags.json_, "report": flags.report},
        used=[flags.model, flags.lexicon, flags.charset],
    )
    samples = dataset.collect(flags.path, flags.label_pattern, flags.root)
    labelled = [sample for sample in samples if sample.label]
    if not labelled:
        raise UserError(f"no picture in {flags.path} has a label: see --label-pattern, or use prediction.py")
    if len(labelled) < len(samples):
        warn(f"{len(samples) - len(labelled):,} of {len(samples):,} pictures have no label and are left out")

    negatives = dataset.collect(flags.negatives, root=flags.root, labels=False) if flags.negatives else []
    if negatives:
        refuse_labelled_negatives(labelled, negatives)

    learnt = trained_on(flags.model)
    for what, pictures in (("pictures", labelled), ("negatives", negatives)):
        if known := sum(os.path.realpath(sample.path) in learnt for sample in pictures):
            warn(
                f"{known:,} of the {len(pictures):,} {what} were used in the training: others will not be read as well"
            )

    interrupted = False
    with contextlib.ExitStack() as files:
        # Opened before the network is loaded, so that a place that cannot be written ends the command at once.
        if flags.report:
            report.begin(Path(flags.report))
        scores_file = files.enter_context(atomic(flags.json_)) if flags.json_ else None
        if scores_file:
            scores_file.touch()
        if flags.follow:
            board, facts = follow_run.board(flags.model, flags.path), dict[str, Any]()
            try:
                for epoch, file in follow_run.models(flags.model):
                    scores, facts, options = scored(flags, labelled, negatives, str(file), first=not facts)
                    facts |= {"model": flags.model, "epoch": epoch}
                    print_line(f"epoch {epoch}: {scores}")
                    board.write(epoch, {name: getattr(scores, name) for name in FOLLOWED}, {})
            except KeyboardInterrupt:
                # This is how users end --follow: the last scores are printed and written.
                if not facts:
                    raise
                interrupted = True
        else:
            scores, facts, options = scored(flags, labelled, negatives, flags.model, first=True)
        for number, table in enumerate(report.tables(scores, facts)):
            if number:
                print_line("")
            print_table(table)
        record = {**scores.to_dict(), **facts}
        if scores_file:
            scores_file.write_text(
                json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n", "utf-8", "backslashreplace"
            )
    if flags.report:
        sheets = {
            title: gallery(
                [mistake.name for mistake in mistakes[:SHOWN]],
                [caption(mistake.truth, mistake.text) for mistake in mistakes[:SHOWN]],
                options=options,
            )
            for title, mistakes in ((report.WORST, scores.worst), (report.SUREST, scores.surest))
            if mistakes
        }
        warn(f"report: {report.write(Path(flags.report), scores, record, sheets)}")
    if interrupted:
        return INTERRUPTED
    all_read = not scores.unreadable and not (scores.negatives and scores.negatives.unreadable)
    return ALL_DONE if all_read else SOME_UNREADABLE


def refuse_labelled_negatives(labelled: Sequence[Sample], negatives: Sequence[Sample]) -> None:
    """Raise UserError if a negative is also among the pictures with a label."""
    paths = {os.path.realpath(sample.path) for sample in labelled}
    if both := [sample.path for sample in negatives if os.path.realpath(sample.path) in paths]:
        raise UserError(
            f"{len(both):,} of the negatives also {'has' if len(both) == 1 else 'have'} a label, such as {both[0]}: "
            "remove it from one of the two",
            "negatives",
        )


def scored(
    flags: EvaluationParameters, labelled: Sequence[Sample], negatives: Sequence[Sample], model: str, first: bool
) -> tuple[Scores, dict[str, Any], ImageOptions]:
    """The scores of a model file, other facts by name, and how pictures were decoded.

    Warnings about the pictures are printed only for the `first` model.
    """
    from model.reading import reader_of
    from model.scores import read_and_score, read_labelled, unknown_characters, with_negatives

    reader = reader_of(flags, model)
    if first:
        labels = [sample.label for sample in labelled]
        if message := unknown_characters(labels, reader.config.alphabet, flags.ignore_case):
            warn(message)
        forbidden = [label for label in labels if not reader.allows(label)]
        if forbidden:
            conditions = "the layouts" if flags.layouts else "the constraint"
            do = "label does" if len(forbidden) == 1 else "labels do"
            warn(f"{len(forbidden):,} {do} not satisfy {conditions}, such as {forbidden[0]}")
    scores, seconds = read_and_score(reader, labelled, flags.ignore_case, flags.min_probability, warnings=first)
    if negatives:
        readings = [reading for _, reading in read_labelled(reader, negatives, warnings=first)]
        texts, probabilities = [one.text for one in readings], [one.probability for one in readings]
        scores = with_negatives(scores, texts, probabilities, len(negatives) - len(readings))
    facts = {"images_per_second": scores.images / seconds, "model": str(reader.path), "path": flags.path}
    return scores, facts, reader.options


if __name__ == "__main__":
    run_command(main, EvaluationParameters)
