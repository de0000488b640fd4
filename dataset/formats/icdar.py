r"""Lists of ICDAR's word recognition: `word_1.png, "JOD"` on each line, in ground truth and submissions.

Quotes and backslashes in a text are escaped with a backslash. Lists without quotes are read, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from crnn_reader.errors import UserError
from dataset.formats.base import ListFormat
from dataset.formats.normalize import is_quoted
from dataset.formats.text import SUFFIXES, Entry, is_comment, lines

_LINE = rf"(?i)(?P<file>[^,\t]+?\.(?:{SUFFIXES})),(?P<label>.*)"
_ESCAPED = r"\\(.)"


class Icdar(ListFormat):
    may_be_unmarked_predictions = True

    def matches(self, path: Path) -> bool:
        # The first line can be read only once from a pipe.
        if not path.is_file() or path.suffix.lower() != ".txt":
            return False
        try:
            first = next((line for _, line in lines(path) if not is_comment(line)), "")
            return bool(re.fullmatch(_LINE, first.strip()))
        except UserError:
            return False

    def entries(self, path: Path, report: Callable[[str], None]) -> Iterator[Entry]:
        for number, line in lines(path):
            if is_comment(line):
                continue
            match = re.fullmatch(_LINE, line.strip())
            if match is None:
                raise UserError(f'{path}, line {number} is not like word_1.png, "JOD", like the first one: correct it')
            label = match["label"].strip()
            quoted = is_quoted(label)
            yield Entry(number, match["file"], re.sub(_ESCAPED, r"\1", label[1:-1]) if quoted else label, quoted)


FORMAT = Icdar()
