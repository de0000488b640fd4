"""Exceptions for invalid input, and their messages."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

#: Control characters, line separators, bidirectional controls and surrogates.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class UserError(Exception):
    """A mistake that the user can correct. The message is one sentence: the object, what was found, and what to do.

    `parameters` are the parameters to change, each with a value as an example or "". Libraries do not name
    command-line flags. A command prints the flags of the parameters behind the message.
    """

    def __init__(self, message: str = "", parameter: str | None = None, example: str = "", **others: str) -> None:
        super().__init__(message)
        self.parameters = ({} if parameter is None else {parameter: example}) | others


class UnreadablePicture(Exception):
    """A picture that cannot be read. The message gives the reason, such as `zero bytes` or `truncated`."""


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """Suggest the `known` word most similar to `word`, as `did you mean captcha?`. None if none is similar."""
    close = difflib.get_close_matches(word, sorted(set(known) - {word}), 1, cutoff=0.7)
    return f"did you mean {close[0]}?" if close else None


def printable(text: str) -> str:
    """Replace control characters by escapes such as `\\n` or `\\x1b`.

    File names, labels and predictions may contain any characters, and a terminal would execute control sequences.
    """
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
