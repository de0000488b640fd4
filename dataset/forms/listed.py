"""A folder that says in a list of its own, `labels.tsv`, `labels.csv` or `labels.jsonl`, what its pictures read.

`python -m dataset convert` leaves such folders, and `python -m generate_captcha` where labels cannot stand in file
names. Pictures that are not in the list are no part of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from console import UserError
from dataset.forms import delimited, json_lines

LISTS = {"labels.tsv": delimited, "labels.csv": delimited, "labels.jsonl": json_lines}


def _found(path: Path) -> list[str]:
    return [name for name in LISTS if (path / name).is_file()]


def matches(path: Path) -> bool:
    return bool(_found(path))


def rows(path: Path) -> Iterator[tuple[str, str]]:
    name, *others = _found(path)
    if others:
        raise UserError(f"{path} has {name} and {others[0]}: give the one that is meant, or remove the other")
    return LISTS[name].rows(path / name)
