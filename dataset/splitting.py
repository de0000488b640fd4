"""Keep training and test pictures apart. The choice depends on hashes, so no picture moves when others are added."""

from __future__ import annotations

import hashlib
import logging
import os
import re
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from crnn_reader.errors import UserError
from crnn_reader.sources import StoredImage
from dataset.collecting import collect
from dataset.contents import examine, log_each
from parameter import notation

logger = logging.getLogger(__name__)

Rows = npt.NDArray[np.int64]

#: Characters of a path that a line of a list cannot hold: separators, and bytes that are not UTF-8.
_NOT_TEXT = re.compile(r"[\t\r\n\ud800-\udfff]")


def split(names: np.ndarray, digests: npt.NDArray[np.uint64], fraction: float) -> tuple[Rows, Rows]:
    """Split a corpus into training and validation.

    A picture is used for validation if the SHA-1 of its name is in the lowest `fraction`. Copies of a picture follow
    the smallest of their names, so that the same bytes are never on both sides. If one side would be empty, as with a
    dozen pictures, the picture closest to the border changes sides.

    Arguments:
        names: (n,) paths relative to the corpus.
        digests: (n,) hashes of the pictures' bytes.
        fraction: fraction of validation pictures, from 0 to 1.

    Returns the rows of training and of validation, each ascending.
    """
    leaders = _leaders(names, digests)
    hashes = np.fromiter(
        (int.from_bytes(hashlib.sha1(names[row].encode()).digest()[:8]) for row in leaders), np.uint64, len(leaders)
    )
    chosen = hashes < fraction * 2**64
    if chosen.size and not chosen.any():
        chosen = hashes == hashes.min()
    elif chosen.all():
        chosen = hashes != hashes.max(initial=0)
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


def apart(train: npt.NDArray[np.uint64], validation: npt.NDArray[np.uint64]) -> Rows:
    """The rows of `train` whose hash is not in `validation`, for two sets from different sources."""
    return np.flatnonzero(~np.isin(train, validation))


def _leaders(names: np.ndarray, digests: npt.NDArray[np.uint64]) -> Rows:
    """For each row, the row with the smallest name among its copies."""
    leaders = np.arange(len(names))
    for group in copies(digests):
        leaders[group] = min(group, key=lambda row: str(names[row]))
    return leaders


def copies(digests: npt.NDArray[np.uint64]) -> list[Rows]:
    """The ascending rows of each hash that occurs more than once."""
    order = np.argsort(digests, kind="stable")
    ordered = digests[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])[: len(ordered)]
    ends = np.r_[starts[1:], len(ordered)]
    several = ends - starts > 1
    return [order[start:end] for start, end in zip(starts[several], ends[several], strict=True)]


class LabelledPicture(NamedTuple):
    """A readable picture with a label."""

    digest: int  #: hash of its bytes
    path: str
    label: str


def held_out(
    data: str, test: str, label_pattern: str | None, root: str | None = None
) -> tuple[list[LabelledPicture], list[LabelledPicture], int]:
    """Collect training and test pictures in an order that depends only on their contents.

    Arguments:
        data: folder or list of labelled pictures.
        test: fraction of `data`, or a path of other pictures, to test with.
        label_pattern: as for :func:`dataset.samples`.
        root: as for :func:`dataset.samples`.

    Returns the pictures to train on, those to test with, and the number of unreadable ones. Raises UserError if too few
    are left.
    """
    pictures, unreadable = _labelled(data, label_pattern, root)
    share = notation.fraction(test)
    if share is None:
        tested, more_unreadable = _labelled(test, label_pattern, root)
        digests = {picture.digest for picture in tested}
        others = [picture for picture in pictures if picture.digest not in digests]
        if len(others) < len(pictures):
            logger.warning(
                f"{len(pictures) - len(others):,} pictures of {data} are also in {test}: they are left out of the "
                "training"
            )
        if not others:
            raise UserError(f"all pictures in {data} are also in {test}: give other pictures for one of them")
        return others, tested, unreadable + more_unreadable
    border = round(share * len(pictures))
    # Copies of a picture stay on one side.
    while 0 < border < len(pictures) and pictures[border].digest == pictures[border - 1].digest:
        border += 1
    if not 0 < border < len(pictures) - 1:
        raise UserError(f"{data} has {len(pictures)} pictures with labels: too few to hold some of them out")
    return pictures[border:], pictures[:border], unreadable


def _labelled(path: str, label_pattern: str | None, root: str | None) -> tuple[list[LabelledPicture], int]:
    """The labelled pictures of `path`, sorted by their hashes, and the number of unreadable ones."""
    samples = collect(path, label_pattern, root)
    contents = examine(samples)
    reasons = dict(contents.unreadable)
    readable = [sample for sample in samples if sample.name not in reasons]
    if any(isinstance(sample.path, StoredImage) for sample in readable[:1]):
        raise UserError(f"{path} holds records: write files with `python -m dataset convert {path} OUT --form tsv`")
    # The pictures to train on are written as a text list.
    reasons |= {sample.name: "its name is no text: rename it" for sample in readable if _NOT_TEXT.search(sample.path)}
    log_each([f"left out {name}: {reason}" for name, reason in reasons.items()], not readable)
    pictures = sorted(
        LabelledPicture(int(digest), os.path.realpath(sample.path), sample.label)
        for sample, digest in zip(readable, contents.digests, strict=True)
        if sample.label and sample.name not in reasons
    )
    if not pictures:
        raise UserError(
            f"no picture in {path} has a label and can be read: give a pattern that finds it in the names",
            "label_pattern",
        )
    return pictures, len(reasons)
