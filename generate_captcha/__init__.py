"""Labelled pictures of short text, to train and test on.

    style = style_of(GenerateParameters(style="captcha", seed=7))
    image, label = style.picture(0)        # uint8 (height, width, 3) in RGB order, str

:func:`write_corpus` fills a folder with them; `python -m generate_captcha` is its command.
A new style is one file in :mod:`generate_captcha.styles`.
"""

from __future__ import annotations

from cli import interrupts  # noqa: F401 (before all others, so that Ctrl-C prints one sentence)

# isort: split

import importlib
from typing import TYPE_CHECKING, Any

import parameter  # noqa: F401 (it says what to do if packages are missing)

if TYPE_CHECKING:
    from generate_captcha.corpus import write_corpus
    from generate_captcha.styles import style_of

#: The module of each public name. They are imported on first use, because `--help` needs no OpenCV.
_MODULES = {"style_of": "styles", "write_corpus": "corpus"}
__all__ = ["style_of", "write_corpus"]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'generate_captcha' has no attribute {name!r}")
    return getattr(importlib.import_module(f"generate_captcha.{_MODULES[name]}"), name)
