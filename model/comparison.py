"""Compare one text with its label, for scores and tables."""

from __future__ import annotations


def is_correct(truth: str, text: str, ignore_case: bool = False) -> bool:
    """Whether a text is an exact match, as in :func:`model.scores.score`."""
    return capitals(truth) == capitals(text) if ignore_case else truth == text


def accepts(text: str, probability: float, min_probability: float) -> bool:
    """Whether a reading is accepted: the text is not empty and has at least that probability."""
    return bool(text) and probability >= min_probability


def caption(truth: str, text: str, ignore_case: bool = False) -> str:
    """The caption of a picture: `text` if it is right, else such as `01, not O1`."""
    return text if is_correct(truth, text, ignore_case) else f"{text or 'nothing'}, not {truth or 'nothing'}"


def capitals(text: str) -> str:
    """A text for comparison without case: case folding makes `ß` and `ss` equal, capitals are easier to read."""
    return text.casefold().upper()
