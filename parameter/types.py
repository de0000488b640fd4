"""Types of parameters, with their checks and how `--help` shows them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from encodings import aliases
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationInfo

from cli.flags import Flag
from crnn_reader.alphabet import parse_alphabet, write_alphabet
from crnn_reader.limits import MAX_PIXELS_SETTING, parse_frame, parse_length
from parameter import notation
from parameter.base import STORED


def picture_size(text: str) -> str:
    """Normalise a size: `200X50` -> `200x50`, `autox32` stays. Raises ValueError."""
    width, height = notation.picture_size(text)
    return f"{width or 'auto'}x{height}"


def _stored_alphabet(text: str, info: ValidationInfo) -> str:
    # A file may change, or its name may be meant as characters, so a run stores the characters. What it has stored is
    # never a name.
    return text if info.context is STORED else write_alphabet(parse_alphabet(text))


def _check_pattern(text: str) -> None:
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise ValueError(f"this is not a regular expression ({error})") from error
    if "label" not in pattern.groupindex:
        raise ValueError("the expression needs a group named label, such as '(?P<label>[^_]+)_'")


def _check_encoding(text: str) -> None:
    try:
        b"a".decode(text)
    except (LookupError, ValueError) as error:
        # Short names with two letters swapped are no more alike than this.
        meant = difflib.get_close_matches(text.lower(), set(aliases.aliases.values()), 1, cutoff=0.6)
        raise ValueError(
            f"this is not the name of a text encoding{f' (did you mean {meant[0]}?)' if meant else ''}: give one such "
            "as gbk, big5, shift_jis, euc_kr or cp437"
        ) from error


def _checked(check: Callable[[str], object]) -> AfterValidator:
    """A validator that keeps a text for which `check` does not raise ValueError."""

    def validated(text: str) -> str:
        check(text)
        return text

    return AfterValidator(validated)


PictureSize = Annotated[str, AfterValidator(picture_size), Flag("WxH|autoxH")]
Length = Annotated[str, _checked(parse_length), Flag("N|N-M")]
Alphabet = Annotated[str, _checked(parse_alphabet), Flag("CHARS|FILE")]
StoredAlphabet = Annotated[str, AfterValidator(_stored_alphabet), Flag("CHARS|FILE")]
Frame = Annotated[str, AfterValidator(parse_frame), Flag("first|last|N")]
FractionOrPath = Annotated[str, _checked(notation.fraction), Flag("FRACTION|PATH")]
Parts = Annotated[str, _checked(notation.part_sizes), Flag("N,N,…")]
Member = Annotated[str, _checked(lambda text: text == "auto" or notation.member(text)), Flag("HOST:PORT,I/N|auto")]
Encoding = Annotated[str, _checked(_check_encoding), Flag("ENCODING")]
ByteCount = Annotated[str, _checked(notation.byte_count), Flag("SIZE")]
LabelPattern = Annotated[
    Annotated[str, _checked(_check_pattern)] | None,
    Flag("REGEX"),
    Field(description="Regular expression with a group `label`, searched in the file name without its suffix."),
]
Root = Annotated[
    str | None,
    Flag("DIR", default="the list's folder, or one near it that has the pictures"),
    Field(description="Folder that the paths in lists start from."),
]
MaxPixels = Annotated[
    int, Field(ge=1, le=MAX_PIXELS_SETTING, description="Do not decode pictures with more pixels."), Flag("N")
]
MinProbability = Annotated[float | None, Field(ge=0, le=1), Flag("P")]
File = Annotated[str, Flag("FILE")]
Folder = Annotated[str, Flag("DIR")]
