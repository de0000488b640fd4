"""Labelled pictures of short text, drawn on the spot: the corpus to train and test on.

    style = style_of(GenerateParameters(style="captcha", seed=7))
    image, label = style.picture(0)        # uint8 (height, width, 3) in RGB order, str

:func:`write_corpus` fills a folder with them; `python -m generate_captcha` is its command.
A new style is one file in :mod:`generate_captcha.styles`.
"""

import parameter  # noqa: F401 (it says what to do where packages are missing)
from cli import interrupts  # noqa: F401 (before all others, so that Ctrl-C ends in one sentence)
from generate_captcha.corpus import Written, picture_path, write_corpus
from generate_captcha.style import Source, Style
from generate_captcha.styles import NAMES as STYLES
from generate_captcha.styles import style_of

__all__ = ["STYLES", "Source", "Style", "Written", "picture_path", "style_of", "write_corpus"]
