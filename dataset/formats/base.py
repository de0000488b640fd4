"""The interfaces of formats of labelled pictures, and the registry of all formats."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar, Protocol

from dataset.formats.list_checks import checked_rows
from dataset.formats.paths import Row, with_found_pictures
from dataset.formats.text import Entry, ignore
from dataset.formats.writing import Writer

logger = logging.getLogger(__name__)


class Format:
    """A format of labelled pictures."""

    #: Empty if the format cannot be written.
    writers: ClassVar[tuple[Writer, ...]] = ()
    #: Whether the format only adds labels to a folder of pictures. If labels are not wanted, or come from the file
    #: names, such a format is skipped, so that a damaged or incomplete list does no harm.
    adds_labels: ClassVar[bool] = False
    #: Whether the format accepts every folder or file.
    accepts_all: ClassVar[bool] = False

    def matches(self, path: Path) -> bool:
        """Whether the file, folder or pattern `path` has this format."""
        raise NotImplementedError

    def rows(self, path: Path, root: str | None = None, labels: bool = True) -> Iterator[Row]:
        """Yield the name and label of each picture.

        A name is a path relative to the folder or to the folder of the list, with `/`. The label is empty if there is
        none.

        Arguments:
            path: the folder or file.
            root: the folder that paths in a list are relative to, if it is not the list's folder.
            labels: if False, the labels are not used, and nothing is opened or checked only for them.

        Raises UserError for a list that cannot be understood.
        """
        raise NotImplementedError


class ListFormat(Format):
    """A text file with one picture per row."""

    #: Names of the files by which a folder is read before all other lists.
    main_lists: ClassVar[tuple[str, ...]] = ()
    #: Whether rows have named columns or keys.
    has_keys: ClassVar[bool] = False
    #: Whether each line is a row with named columns or keys. A folder with a damaged table is an error.
    is_table: ClassVar[bool] = False
    #: Lines above the first row.
    header_lines: ClassVar[int] = 0
    #: Whether programs write predictions in this format without marking them as such.
    may_be_unmarked_predictions: ClassVar[bool] = False

    def entries(self, path: Path, report: Callable[[str], None]) -> Iterator[Entry]:
        """Yield the rows as they are in the file. Remarks on the file go to `report`. Raises UserError."""
        raise NotImplementedError

    def has_unchecked_predictions(self, path: Path) -> bool:
        """Whether the file holds predictions that nobody has checked."""
        return False

    def listed_rows(self, path: Path, warnings: bool = True) -> Iterator[Row]:
        """Like :meth:`rows`, with the names as the list has them. `warnings` logs remarks on the list."""
        return checked_rows(path, self.entries(path, logger.warning if warnings else ignore), warnings)

    def rows(self, path: Path, root: str | None = None, labels: bool = True) -> Iterator[Row]:
        return with_found_pictures(path, self.listed_rows(path, labels), root)


class Records(Protocol):
    """Pictures inside larger files. Each has a name that looks like a path."""

    def rows(self) -> Iterator[Row]:
        """Yield the name and label of each picture."""
        ...

    def fetch(self, name: str) -> bytes:
        """The picture file with a name that :meth:`rows` has yielded. Thread-safe. Raises UnreadablePicture."""
        ...

    def container(self, name: str) -> str:
        """The path of the file that holds the picture."""
        ...


class RecordFormat(Format):
    """Files that contain many pictures."""

    def open(self, path: Path) -> Records:
        """Raises UserError if the files cannot be opened."""
        raise NotImplementedError


#: The formats by name, in the order in which they are tried. `dataset.formats` fills it.
FORMATS: dict[str, Format] = {}


def list_format(path: Path) -> ListFormat:
    """The format of a list file."""
    return next(each for each in FORMATS.values() if isinstance(each, ListFormat) and each.matches(path))
