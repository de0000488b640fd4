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
    from generate_captcha.corpus import CorpusResult, picture_path, write_corpus
    from generate_captcha.seeded_random import SeededRandom
    from generate_captcha.style import Style
    from generate_captcha.styles import style_of
    from parameter import STYLES

#: The module of each public name. Modules are imported when a name of theirs is first used, because `--help` needs
#: neither them nor OpenCV.
_MODULES = {
    "CorpusResult": "generate_captcha.corpus",
    "STYLES": "parameter",
    "SeededRandom": "generate_captcha.seeded_random",
    "Style": "generate_captcha.style",
    "picture_path": "generate_captcha.corpus",
    "style_of": "generate_captcha.styles",
    "write_corpus": "generate_captcha.corpus",
}
__all__ = ["STYLES", "CorpusResult", "SeededRandom", "Style", "picture_path", "style_of", "write_corpus"]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'generate_captcha' has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)
