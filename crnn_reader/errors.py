"""The error for mistakes that a user can correct."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake that the user can correct, in one sentence: the thing, what was found, what to do."""


class UnreadablePicture(Exception):
    """Why a file cannot be read as a picture, in a few words: `zero bytes`, `truncated`, `not a picture`."""


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """`did you mean captcha?` if one of the `known` words is close to `word`."""
    close = difflib.get_close_matches(word, sorted(set(known) - {word}), 1, cutoff=0.7)
    return f"did you mean {close[0]}?" if close else None
