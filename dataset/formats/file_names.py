"""Labels in file names: the label of `aB3x_000017.png` is `aB3x`, the part before the first `_`.

The marks that file managers give to copies are removed. Names of CCPD are decoded.
"""

from __future__ import annotations

import re

#: The words of file managers for a copy, in some twenty languages.
_WORDS = (
    "copy|kopie|copie|copia|cópia|kopia|kopi|kopio|kopya|kópia|másolat|копия|копія|kopija|αντίγραφο|"
    "コピー|副本|複本|複製|복사본|사본|bản sao|สำเนา|salinan|עותק|نسخة"
)
#: Not in capitals: a label may be COPY.
_COPY = "|".join(f"[{word[0]}{word[0].upper()}]{word[1:]}" for word in _WORDS.split("|"))
#: `Copy of X`, `Kopie (2) von X`, `Kopie - X`.
_BEGINNINGS = (
    rf"(?:(?:{_COPY})(?: \(\d+\))? [-–—]|[Cc]opy (?:\(\d+\) )?of|[Kk]opie (?:\(\d+\) )?(?:von|van)|"
    r"[Cc]opie (?:\(\d+\) )?de|[Cc]opia (?:\(\d+\) )?(?:de|di)|[Cc]ópia (?:\(\d+\) )?de|[Kk]opi (?:\(\d+\) )?a[vf]|"
    r"[Kk]opia (?:\(\d+\) )?av|[Kk]opia|[Кк]опия) "
)
#: Words before `copy` in `X (another copy)`.
_WHICH = (
    r"another|weitere|autre|otra|outra|altra|un'altra|nog een|andere|ytterligare en|en till|kolejna|inna|další|другая|"
    r"ещё одна|\d+(?:st|nd|rd|th|e|er|ère|ème|ª|º|a|o|-я)|\d+\.[ªº]?"
)
#: `X (1)`, `X - Copy (2)`, `X copy 2`, `X (copy)`, `X (another copy)`, `X (3rd copy)`, `X (copy 1)`, `X 的副本`.
_ENDINGS = (
    rf"(?:(?: [-–—])? ?[(（]\d{{1,3}}[)）]"
    rf"| ?[-–—] (?:{_COPY})(?: ?[(（]\d+[)）]| \d+)?"
    rf"|-Copy\d+"
    rf"| (?:{_COPY})(?: ?[(（]\d+[)）]| \d+)?"
    rf"| \((?:(?:{_WHICH}) )?(?:{_COPY})(?: \d+)?\)"
    rf"| ?(?:的副本|的拷贝|のコピー)(?: ?[(（]?\d+[)）]?)?"
    rf"| \([^()]*conflicted copy[^()]*\))$"
)
#: A number in parentheses without a space before it. Browsers add it, but it may also belong to the text.
TIGHT_NUMBER = r"[^ ()（）][(（]\d{1,3}[)）]$"

#: Area, tilt, box, corners, plate, brightness and blur.
_CCPD = (
    r"[\d.]+-\d+_\d+-\d+[&_]\d+_\d+[&_]\d+-(?:\d+[&_]\d+_){3}\d+[&_]\d+-"
    r"(?P<plate>(?:\d+_){6,7}\d+)-\d+-\d+(?: \(\d+\))?"
)
_PROVINCES = "皖沪津渝冀晋蒙辽吉黑苏浙京闽赣鲁豫鄂湘粤桂琼川贵云藏陕甘青宁新警学O"
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZO"
_LETTERS_AND_DIGITS = "ABCDEFGHJKLMNPQRSTUVWXYZ0123456789O"


def label_of_name(stem: str, tight: bool = True) -> str:
    """The label in a file name without its suffix.

    `tight` tells whether the number in `AB12(1)` marks a copy.
    """
    if (plate := ccpd_plate(stem)) is not None:
        return plate
    # Copies of copies have several marks.
    while (begun := re.match(_BEGINNINGS, stem)) and begun.end() < len(stem):
        stem = stem[begun.end() :]
    label = stem.partition("_")[0]
    if "_" in stem:
        return label
    while (ending := re.search(_ENDINGS, label)) and ending.start():
        if not tight and ending[0][0] in "(（" and re.search(TIGHT_NUMBER, label):
            break
        label = label[: ending.start()]
    return label


def ccpd_plate(stem: str) -> str | None:
    """The plate in a file name of CCPD, None for other names."""
    match = re.fullmatch(_CCPD, stem)
    if match is None:
        return None
    first, second, *others = map(int, match["plate"].split("_"))
    try:
        return _PROVINCES[first] + _LETTERS[second] + "".join(_LETTERS_AND_DIGITS[other] for other in others)
    except IndexError:
        return None
