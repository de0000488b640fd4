"""A folder that says in `labels.tsv` what its pictures read, as `python -m generate_captcha` leaves it where labels
cannot stand in file names. Pictures that are not in the list are no part of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dataset.forms import delimited

LIST = "labels.tsv"


def matches(path: Path) -> bool:
    return (path / LIST).is_file()


def rows(path: Path) -> Iterator[tuple[str, str]]:
    return delimited.rows(path / LIST)
