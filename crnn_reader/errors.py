"""Exceptions for invalid input."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake that the user can correct. The message is one sentence: the object, what was found, and what to do."""


class UnreadablePicture(Exception):
    """A picture that cannot be read. The message gives the reason, such as `zero bytes` or `truncated`."""


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """Suggest the `known` word most similar to `word`, as `did you mean captcha?`. None if none is similar."""
    close = difflib.get_close_matches(word, sorted(set(known) - {word}), 1, cutoff=0.7)
    return f"did you mean {close[0]}?" if close else None
