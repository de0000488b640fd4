"""Recognise the annotations of detection tools (boxes, polygons), so that they are not used as labels."""

from __future__ import annotations

import re
from typing import Any

_NUMBER = r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?"
_SPLIT = r"[\s,;]+"
#: The corners of a quadrilateral, then a text or class: ICDAR's ground truth of text detection.
_CORNERS = r"(?:[-+]?\d+(?:\.\d+)?\s*[,\t]\s*){8}\S.*"
#: Left, top, right and bottom, then a text in quotes.
_SIDES = r'(?:\d+\s*,?\s+){4}".*"'
_DECIMAL = r"[-+]?\d+(?:\.\d+)?"
_BRACKETS = rf"[\[(]\s*{_DECIMAL}(?:\s*[,\s]\s*{_DECIMAL}){{3,}}\s*[\])]"
#: `x,y,x,y,class` several times on a line, as in Keras versions of YOLO.
_GROUPS = r"\d+(?:,\d+){3,4}(?: \d+(?:,\d+){3,4})+"
_COMMAS = r"\d+(?:,\d+){3}"
#: `plate 0.5 0.5 0.2 0.3`, `AB12 10 20 90 60`, and rows of KITTI and DOTA, which begin or end with a class.
_NAMED = rf"(?=\S*[^\W\d])[^\s,]+(?:[\s,]+{_DECIMAL}){{4,}}"
_FOUR_OR_EIGHT = (
    rf"((?:{_DECIMAL}[\s,]+){{4}}(?:(?:{_DECIMAL}[\s,]+){{4}})?)(?=\S*[^\W\d])\S+(?:[\s,]+\d)?|"
    rf"((?:{_DECIMAL}[\s,]+){{8}})(?=.*[^\W\d])\S.*"
)
_DOTA_HEADER = r"(?:imagesource|gsd):"
_PIXELS, _WITH_TEXT = "boxes (numbers of pixels)", "boxes (corners, then a text)"


def box_kind_of_line(line: str) -> str | None:
    """The kind of box on a line of text, None if it may be a label."""
    if not ("0" <= line[:1] <= "9" or line[:1] in "-+"):
        return None
    words = [word for word in re.split(_SPLIT, line.strip()) if word]
    if len(words) < 4:
        return None
    if not all(re.fullmatch(_NUMBER, word) for word in words):
        return _WITH_TEXT if re.fullmatch(_CORNERS, line.strip()) or re.fullmatch(_SIDES, line.strip()) else None
    fractions = sum("." in word for word in words)
    if len(words) == 5 and fractions >= 2 and "." not in words[0]:
        return "boxes (class x y w h)"
    if len(words) >= 6 and fractions >= 3:
        return "boxes or outlines (class, then the corners)"
    if fractions >= 2:
        return "numbers"
    if re.fullmatch(_GROUPS, line.strip()):
        return _PIXELS
    # In a label of several groups of digits, all groups may have the same length, and some may begin with 0.
    lengths = {len(word) for word in words}
    begins_with_zero = any(len(word) > 1 and word[0] == "0" for word in words)
    if len(words) in (4, 5, 8, 9) and not begins_with_zero and len(lengths) > 1 and max(lengths) > 2:
        return _PIXELS
    return None


def _box_kind_of_sidecar(line: str) -> str | None:
    """The kind of box on a line that is the whole text beside a picture."""
    line = line.strip()
    if re.fullmatch(_BRACKETS, line) or (re.fullmatch(_COMMAS, line) and re.search(r"\d\d", line)):
        return _PIXELS
    if re.fullmatch(_NAMED, line):
        return "boxes (a text, then numbers)"
    # Coordinates do not begin with 0.
    if (match := re.fullmatch(_FOUR_OR_EIGHT, line)) and not re.search(r"(?<![\d.])0\d", match[1] or match[2]):
        return _WITH_TEXT
    return None


def box_kind(text: str, eager: bool = False) -> str | None:
    """The kind of box on all lines of a text, None if the text may be a label.

    `eager` includes boxes that look like a label with numbers, such as `AB12 10 20 90 60`.
    """
    lines = [line for line in text.splitlines() if line.strip() and not re.match(_DOTA_HEADER, line)]
    kinds = [box_kind_of_line(line) or (_box_kind_of_sidecar(line) if eager else None) for line in lines]
    return kinds[0] if kinds and all(kinds) else None


def tool_of_json(found: Any) -> str | None:
    """The detection tool that has written a JSON value, or None."""
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
    """The detection tool or format of an XML text, or None."""
    if "<annotation" in text and ("<bndbox" in text or "<object" in text):
        return "Pascal VOC"
    if "<PcGts" in text:
        return "PAGE XML"
    return "ALTO" if "<alto" in text else None
