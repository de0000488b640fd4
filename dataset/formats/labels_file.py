"""A folder with the labels of its pictures in `labels.tsv`, `labels.csv` or `labels.jsonl`.

`python -m dataset convert` writes such folders, and `python -m generate_captcha` if the labels cannot be in file names.
Pictures that are not in the list are left out. A table of predictions with such a name is not used, unless it has the
true texts or says which predictions were checked.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from crnn_reader.bounded import irregular
from crnn_reader.errors import UserError
from dataset.formats import any_list
from dataset.formats.base import FORMATS, Format, ListFormat, list_format
from dataset.formats.paths import Row
from dataset.formats.unlisted import with_unlisted_warning

logger = logging.getLogger(__name__)


class LabelsFile(Format):
    adds_labels = True

    def matches(self, path: Path) -> bool:
        return bool(main_lists(path))

    def rows(self, path: Path, root: str | None = None, labels: bool = True) -> Iterator[Row]:
        name, *others = main_lists(path)
        if others:
            raise UserError(f"{path} has {name} and {others[0]}: give the right one, or remove the other")
        rows = list_format(path / name).rows(path / name, root, labels)
        if labels:
            rows = any_list.refuse_contradictions(path, name, rows, root)
        yield from with_unlisted_warning(path, name, rows)


FORMAT = LabelsFile()


def _names() -> list[str]:
    return [name for each in FORMATS.values() if isinstance(each, ListFormat) for name in each.main_lists]


def main_lists(path: Path) -> list[str]:
    """The names of the lists that a folder is read by: `labels.tsv` and others, if they are not predictions."""
    files = [path / name for name in _names() if (path / name).is_file()]
    return [file.name for file in files if not list_format(file).has_unchecked_predictions(file)]


def warn_of_irregular(path: Path) -> None:
    """Warn of a pipe, socket or device with the name of a list."""
    for name in _names():
        if what := irregular(path / name):
            logger.warning(f"{path / name} is {what}, not a file, and not read")
