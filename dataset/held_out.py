"""Labelled pictures to train on, and others to test with: what learning_curve.py reads."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

import notation
from cli.messages import warn, warn_of_each
from crnn_reader.errors import UserError
from crnn_reader.sources import StoredImage
from dataset.contents import examine
from dataset.forms import collect

#: What no line of a list can hold of a name: breaks, and bytes that are no UTF-8.
_NO_TEXT = re.compile(r"[\t\r\n\ud800-\udfff]")


class Picture(NamedTuple):
    """A labelled picture that can be read."""

    digest: int  #: of its bytes
    path: str
    label: str


def held_out(
    data: str, test: str, label_pattern: str | None, root: str | None = None
) -> tuple[list[Picture], list[Picture], int]:
    """The pictures of `data` to train on and others to test with, and how many were left out, being unreadable.

    `test` is the part that is held out, or a path to others. Both are in an order that their contents alone decide.
    Raises UserError where too few are left on either side.
    """
    pictures, unreadable = _labelled(data, label_pattern, root)
    part = notation.fraction(test)
    if part is None:
        tested, more_unreadable = _labelled(test, label_pattern, root)
        digests = {picture.digest for picture in tested}
        others = [picture for picture in pictures if picture.digest not in digests]
        if len(others) < len(pictures):
            warn(
                f"{len(pictures) - len(others):,} pictures of --data are also in --test: they are left out of the "
                "training"
            )
        if not others:
            raise UserError(f"all pictures in {data} are also in {test}: give other pictures to one flag")
        return others, tested, unreadable + more_unreadable
    border = round(part * len(pictures))
    # The same picture twice does not stand on both sides.
    while 0 < border < len(pictures) and pictures[border].digest == pictures[border - 1].digest:
        border += 1
    if not 0 < border < len(pictures) - 1:
        raise UserError(f"{data} has {len(pictures)} pictures with labels: too few to hold some of them out")
    return pictures[border:], pictures[:border], unreadable


def _labelled(path: str, label_pattern: str | None, root: str | None) -> tuple[list[Picture], int]:
    """The labelled pictures of `path` in the order of their digests, and how many cannot be read."""
    samples = collect(path, label_pattern, root)
    contents = examine(samples)
    reasons = dict(contents.unreadable)
    readable = [sample for sample in samples if sample.name not in reasons]
    if any(isinstance(sample.path, StoredImage) for sample in readable[:1]):
        raise UserError(f"{path} holds records: write files with `python -m dataset convert {path} OUT --form tsv`")
    # The lists that are trained by are text.
    reasons |= {sample.name: "its name is no text: rename it" for sample in readable if _NO_TEXT.search(sample.path)}
    warn_of_each([f"left out {name}: {reason}" for name, reason in reasons.items()], not readable)
    pictures = sorted(
        Picture(int(digest), os.path.realpath(sample.path), sample.label)
        for sample, digest in zip(readable, contents.digests, strict=True)
        if sample.label and sample.name not in reasons
    )
    if not pictures:
        raise UserError(f"no picture in {path} has a label and can be read: see --label-pattern")
    return pictures, len(reasons)
