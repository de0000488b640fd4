"""A folder that says in a list of its own, `labels.tsv`, `labels.csv` or `labels.jsonl`, what its pictures read.

`python -m dataset convert` leaves such folders, and `python -m generate_captcha` where labels cannot stand in file
names. Pictures that are not in the list are no part of it. A table of readings under such a name is no such list,
unless it has the truth, too, or says which readings were checked.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from cli.messages import warn
from crnn_reader.bounded import irregular
from crnn_reader.errors import UserError
from dataset.forms import checked, delimited, found_list, json_file, json_lines, placed
from dataset.forms.left_out import counted
from dataset.forms.text import silent

LISTS = {"labels.tsv": delimited, "labels.csv": delimited, "labels.jsonl": json_lines}


def found(path: Path) -> list[str]:
    """The lists of a folder."""
    names = [name for name in LISTS if (path / name).is_file()]
    return [name for name in names if not _form(path / name).unchecked_readings(path / name)]


def _form(file: Path) -> ModuleType:
    return json_file if json_file.matches(file) else LISTS[file.name]


def matches(path: Path) -> bool:
    return bool(found(path))


def rows(path: Path, root: str | None = None, labels: bool = True) -> Iterator[tuple[str, str]]:
    name, *others = found(path)
    if others:
        raise UserError(f"{path} has {name} and {others[0]}: give the right one, or remove the other")
    entries = _form(path / name).entries(path / name, warn if labels else silent)
    list_rows = placed.placed(path / name, checked.rows(path / name, entries, labels), root)
    if labels:
        list_rows = found_list.uncontradicted(path, name, list_rows, root)
    yield from counted(path, name, list_rows)


def tell_irregular(path: Path) -> None:
    """Warn of what has the name of a list and is none, such as a pipe."""
    for name in LISTS:
        if what := irregular(path / name):
            warn(f"{path / name} is {what}, not a file, and not read")
