"""One text compared with its label, as model.scores and the tables of readings do it."""

from __future__ import annotations


def same(truth: str, text: str, ignore_case: bool = False) -> bool:
    """Whether a text counts as exact match, by the rule of :func:`model.scores.score`."""
    return capitals(truth) == capitals(text) if ignore_case else truth == text


def accepts(text: str, probability: float, min_probability: float) -> bool:
    """Whether a reading is accepted: something was read, with that probability at least."""
    return bool(text) and probability >= min_probability


def compared(truth: str, text: str, ignore_case: bool = False) -> str:
    """The caption of a picture: `text` if it is right, or such as `01, not O1` if it is wrong."""
    return text if same(truth, text, ignore_case) else f"{text or 'nothing'}, not {truth}"


def capitals(text: str) -> str:
    # Case folding makes `ß` and `ss` equal; capitals are what people read among the confusions.
    return text.casefold().upper()
