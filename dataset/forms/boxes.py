"""Recognise annotations of other tools (boxes, polygons), so that they are not taken for labels."""

from __future__ import annotations

import re
from typing import Any

_NUMBER = r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?"
_SPLIT = r"[\s,;]+"
#: Corners of a quadrilateral, and then the text or its place: ICDAR's ground truth of finding texts.
_CORNERS = r"(?:[-+]?\d+(?:\.\d+)?\s*[,\t]\s*){8}\S.*"
#: Left, top, right and bottom, and then the text in quotes.
_SIDES = r'(?:\d+\s*,?\s+){4}".*"'
_DECIMAL = r"[-+]?\d+(?:\.\d+)?"
_BRACKETS = rf"[\[(]\s*{_DECIMAL}(?:\s*[,\s]\s*{_DECIMAL}){{3,}}\s*[\])]"
#: `x,y,x,y,class` several times on a line, as Keras versions of YOLO have it.
_GROUPS = r"\d+(?:,\d+){3,4}(?: \d+(?:,\d+){3,4})+"
_COMMAS = r"\d+(?:,\d+){3}"
#: `plate 0.5 0.5 0.2 0.3`, `AB12 10 20 90 60`, and rows of KITTI and DOTA, which begin or end with a class.
_NAMED = rf"(?=\S*[^\W\d])[^\s,]+(?:[\s,]+{_DECIMAL}){{4,}}"
_FOUR_OR_EIGHT = (
    rf"((?:{_DECIMAL}[\s,]+){{4}}(?:(?:{_DECIMAL}[\s,]+){{4}})?)(?=\S*[^\W\d])\S+(?:[\s,]+\d)?|"
    rf"((?:{_DECIMAL}[\s,]+){{8}})(?=.*[^\W\d])\S.*"
)
_DOTA = r"(?:imagesource|gsd):"


def numbers_of_boxes(line: str) -> str | None:
    """Which kind of box a line of text is, None where it may be a label."""
    if not ("0" <= line[:1] <= "9" or line[:1] in "-+"):
        return None
    words = [word for word in re.split(_SPLIT, line.strip()) if word]
    if len(words) < 4:
        return None
    if all(re.fullmatch(_NUMBER, word) for word in words):
        fractions = sum("." in word for word in words)
        if len(words) == 5 and fractions >= 2 and "." not in words[0]:
            return "boxes (class x y w h)"
        if len(words) >= 6 and fractions >= 3:
            return "boxes or outlines (class, then the corners)"
        if fractions >= 2:
            return "numbers"
        if re.fullmatch(_GROUPS, line.strip()):
            return "boxes (numbers of pixels)"
        # Texts of groups of digits have groups that begin with 0, and as long ones as the others.
        if len(words) in (4, 5, 8, 9) and not any(len(word) > 1 and word[0] == "0" for word in words):
            lengths = {len(word) for word in words}
            if len(lengths) > 1 and max(lengths) > 2:
                return "boxes (numbers of pixels)"
        return None
    if re.fullmatch(_CORNERS, line.strip()) or re.fullmatch(_SIDES, line.strip()):
        return "boxes (corners, then a text)"
    return None


def _beside(line: str) -> str | None:
    """The kind of box in a line that is the whole text beside a picture."""
    line = line.strip()
    if re.fullmatch(_BRACKETS, line) or (re.fullmatch(_COMMAS, line) and re.search(r"\d\d", line)):
        return "boxes (numbers of pixels)"
    if re.fullmatch(_NAMED, line):
        return "boxes (a text, then numbers)"
    # Numbers that begin with 0 are not coordinates.
    if (match := re.fullmatch(_FOUR_OR_EIGHT, line)) and not re.search(r"(?<![\d.])0\d", match[1] or match[2]):
        return "boxes (corners, then a text)"
    return None


def kind_of_text(text: str, eager: bool = False) -> str | None:
    """The kind of box that all lines of a text hold; None if the text may be a label.

    With `eager`, also kinds that look like a label with numbers: `AB12 10 20 90 60`.
    """
    # Files of DOTA begin with the source of the picture.
    lines = [line for line in text.splitlines() if line.strip() and not re.match(_DOTA, line)]
    kinds = [numbers_of_boxes(line) or (_beside(line) if eager else None) for line in lines]
    return kinds[0] if kinds and all(kinds) else None


def tool_of_json(found: Any) -> str | None:
    """The tool whose detection annotations a JSON value is, or None."""
    if isinstance(found, dict):
        if "shapes" in found and ("imagePath" in found or "imageData" in found or "version" in found):
            return "LabelMe"
        if "imgs" in found and "anns" in found:
            return "COCO-Text"
        if "annotations" in found and ("categories" in found or "images" in found):
            return "COCO"
        if "_via_img_metadata" in found or any(
            isinstance(value, dict) and "regions" in value for value in found.values()
        ):
            return "VIA"
    return None


def tool_of_xml(text: str) -> str | None:
    """The tool whose detection annotations an XML text is, or None."""
    if "<annotation" in text and ("<bndbox" in text or "<object" in text):
        return "Pascal VOC"
    if "<PcGts" in text:
        return "PAGE XML"
    if "<alto" in text:
        return "ALTO"
    return None
