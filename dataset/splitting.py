"""Training and validation pictures kept apart, by a hash of the name: nothing moves when files are added."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]


def split(names: np.ndarray, digests: npt.NDArray[np.uint64], fraction: float) -> tuple[Rows, Rows]:
    """Rows of training, rows of validation, each ascending; about `fraction` (0…1) are validation.

    `names` are relative paths, `digests` the pictures' content hashes, row by row. A picture is validation when the
    SHA-1 of its name falls into the lowest `fraction`; copies of one picture follow the smallest of their names, so
    that the same bytes are never on both sides. Where that leaves a side empty, as it may with a dozen pictures, the
    picture closest to the border changes sides.
    """
    leaders = _leaders(names, digests)
    places = np.fromiter(
        (int.from_bytes(hashlib.sha1(names[row].encode()).digest()[:8]) for row in leaders), np.uint64, len(leaders)
    )
    drawn = places < fraction * 2**64
    if drawn.size and not drawn.any():
        drawn = places == places.min()
    elif drawn.all():
        drawn = places != places.max(initial=0)
    return np.flatnonzero(~drawn), np.flatnonzero(drawn)


def apart(train: npt.NDArray[np.uint64], validation: npt.NDArray[np.uint64]) -> Rows:
    """The rows of `train` whose content hash is not in `validation`: for two sets that come from different places."""
    return np.flatnonzero(~np.isin(train, validation))


def _leaders(names: np.ndarray, digests: npt.NDArray[np.uint64]) -> Rows:
    """For each row, the row with the smallest name among those with the same content."""
    leaders = np.arange(len(names))
    for group in copies(digests):
        leaders[group] = min(group, key=lambda row: str(names[row]))
    return leaders


def copies(digests: npt.NDArray[np.uint64]) -> list[Rows]:
    """The rows of each content that occurs more than once, ascending."""
    order = np.argsort(digests, kind="stable")
    ordered = digests[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])[: len(ordered)]
    ends = np.r_[starts[1:], len(ordered)]
    several = ends - starts > 1
    return [order[start:end] for start, end in zip(starts[several], ends[several], strict=True)]
