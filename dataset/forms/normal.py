"""Names and labels as one writes them, whatever the form they come in: the one place that says what is part of them."""

from __future__ import annotations

import re
import unicodedata

#: Nobody sees these. At the ends of a name or label they are what an editor, a spreadsheet or a browser has left.
_INVISIBLE = "\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"
_ENDS = "".join(filter(str.isspace, map(chr, range(0x3001)))) + _INVISIBLE

#: Characters of a label or name that a message quotes.
_QUOTED = 100

#: Escapes in JSON and damaged names can give them.
_NO_TEXT = "[\0\ud800-\udfff]"


#: How a table says that a spreadsheet is to show a cell as it is: `="0042"`.
_FORMULA = r'="((?:[^"]|"")*)"'


def label_of(text: str, quoted: bool = False) -> str:
    """A label without the white space at its ends, which is part of it only where it was put between quotes.

    Of `="0042"`, which keeps spreadsheets from making a number of it, the text is the label.
    """
    if formula := re.fullmatch(_FORMULA, text.strip(_ENDS)):
        text = formula[1].replace('""', '"')
    return text.strip(_INVISIBLE) if quoted else text.strip(_ENDS)


def name_of(text: str) -> str:
    """A picture's name without white space, invisible characters and quotes around it."""
    text = text.strip(_ENDS)
    if len(text) > 2 and text[0] == text[-1] == '"':
        text = text[1:-1]
    return text.removeprefix("file://")


def composed(label: str) -> str:
    """A label in Unicode's composed form (NFC). What no file holds as text becomes U+FFFD, which the checks report."""
    return re.sub(_NO_TEXT, "\ufffd", unicodedata.normalize("NFC", label))


def short(text: str) -> str:
    """A text from a file as a message quotes it: a sentence stays one, whatever the file holds."""
    return text if len(text) <= _QUOTED else f"{text[:_QUOTED]}…"


def padded(label: str) -> bool:
    """Whether a label begins or ends with white space."""
    return label != label.strip(_ENDS)
