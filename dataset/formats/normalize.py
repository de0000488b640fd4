"""Decide what is part of a name or label, in all formats alike: white space, invisible characters, quotes."""

from __future__ import annotations

import re
import unicodedata

#: Invisible characters, which editors, spreadsheets and browsers leave at the ends of a name or label.
_INVISIBLE = "\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"
_ENDS = "".join(filter(str.isspace, map(chr, range(0x3001)))) + _INVISIBLE

#: Maximum number of characters of a label or name that a message quotes.
_QUOTED = 100

#: NUL and surrogates, which escapes in JSON and damaged names may produce.
_NOT_TEXT = "[\0\ud800-\udfff]"

#: `="0042"`, which makes a spreadsheet show a cell unchanged.
_FORMULA = r'="((?:[^"]|"")*)"'


def clean_label(text: str, quoted: bool = False) -> str:
    """Strip white space from a label, except inside quotes, and invisible characters. `="0042"` becomes `0042`."""
    if formula := re.fullmatch(_FORMULA, text.strip(_ENDS)):
        text = formula[1].replace('""', '"')
    return text.strip(_INVISIBLE) if quoted else text.strip(_ENDS)


def clean_name(text: str) -> str:
    """Strip white space, invisible characters, quotes and `file://` from a picture's name."""
    text = text.strip(_ENDS)
    if len(text) > 2 and text[0] == text[-1] == '"':
        text = text[1:-1]
    return text.removeprefix("file://")


def composed(label: str) -> str:
    """A label in Unicode's composed form (NFC). NUL and surrogates become U+FFFD, which the checks report."""
    return re.sub(_NOT_TEXT, "\ufffd", unicodedata.normalize("NFC", label))


def short(text: str) -> str:
    """Shorten a text from a file for a message."""
    return text if len(text) <= _QUOTED else f"{text[:_QUOTED]}…"


def is_quoted(text: str, quote: str = '"') -> bool:
    """Whether a text is between quotes."""
    return len(text) > 1 and text[0] == text[-1] == quote


def padded(label: str) -> bool:
    """Whether a label begins or ends with white space."""
    return label != label.strip(_ENDS)
