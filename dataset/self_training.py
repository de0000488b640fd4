"""Self-training: the surest readings of pictures without labels become their labels.

After Lee 2013, "Pseudo-Label: The Simple and Efficient Semi-Supervised Learning Method for Deep Neural Networks".
"""

from __future__ import annotations

import csv
import logging
import os
from pathlib import Path

from cli.files import atomic
from cli.progress import progress
from crnn_reader import Constraint, Reader
from crnn_reader.errors import UserError
from crnn_reader.model_files import locate_model, read_config
from dataset.inputs import inputs
from dataset.suggest import suggest

logger = logging.getLogger(__name__)

#: Minimum probability of a text that is learnt, and probability below which a picture is read again in changed forms.
#: docs/recipe.md has how often such texts are right.
SURE, TTA = 0.7, 0.95
#: A training on fewer pictures learns little.
FEWEST = 20


def label_sure_pictures(
    path: str, model: str, table: Path, max_pixels: int, frame: str, root: str | None = None
) -> None:
    """Write the readings of pictures without labels that are sure, as a table that can be trained on.

    The texts are held to the length and the characters that :func:`suggest` finds, except for models with formats of
    plates.

    Arguments:
        path: folder or list of pictures.
        model: model file, run folder or shipped name of the model that reads them.
        table: CSV file to write, with the columns file, text, probability and status.
        max_pixels: pictures with more pixels are not decoded.
        frame: the frame of animations, or page of TIFFs, to read.
        root: the folder that the paths in lists are relative to.

    Raises UserError if there are no pictures, or the model is sure of too few of them.
    """
    suggestion = suggest(path, model, max_pixels, frame=frame, root=root, compare=False)
    plates = bool(read_config(locate_model(model)).formats)
    if not suggestion.length and not plates:
        raise UserError(
            f"{model} {suggestion.sure_of()}, too few to learn from: label some pictures and train on them "
            "(docs/own_pictures.md), or give other weights to start from",
            **{"from": ""},
        )
    constraint = Constraint(suggestion.length or None, suggestion.charset or None)
    try:
        reader = Reader(model, constraint=constraint, max_pixels=max_pixels, frame=frame, tta=TTA)
    except UserError as error:
        # Attention is read once.
        if "tta" not in error.parameters:
            raise
        reader = Reader(model, constraint=constraint, max_pixels=max_pixels, frame=frame)
    paths = [str(sample.path) for sample in inputs([path], (), root=root, labels=False)]
    sure = 0
    with (
        atomic(table) as temporary,
        temporary.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
        progress("reading", len(paths)) as advance,
    ):
        writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
        writer.writerow(("file", "text", "probability", "status"))
        for reading in reader.read(paths):
            advance(1)
            if not reading.error and reading.text and reading.probability >= SURE:
                place = os.path.abspath(str(reading.source))
                writer.writerow((place, reading.text, f"{reading.probability:.6f}", "accepted"))
                sure += 1
        if sure < FEWEST:
            raise UserError(
                f"{model} reads {sure:,} of {len(paths):,} pictures in {path} with a probability of at least {SURE}, "
                f"and {FEWEST} or more are needed to learn from: label some pictures and train on them "
                "(docs/own_pictures.md), or give more pictures"
            )
    known = {"length": constraint.length, "characters": constraint.charset}
    held = ", ".join(f"{name} {value}" for name, value in known.items() if value)
    logger.info(
        f"{sure:,} of {len(paths):,} pictures without labels are read with a probability of at least {SURE}"
        f"{f' ({held})' if held else ''}, and become labelled ones: {table}. The validation pictures are "
        "among them: test the network with labels of your own"
    )
