"""Labelled pictures of short text, to train and test on.

    style = style_of(GenerateParameters(style="captcha", seed=7))
    image, label = style.picture(0)        # uint8 (height, width, 3) in RGB order, str

:func:`write_corpus` fills a folder with them; `python -m generate_captcha` is its command.
A new style is one file in :mod:`generate_captcha.styles`.
"""

import parameter  # noqa: F401 (it says what to do if packages are missing)
from cli import interrupts  # noqa: F401 (before all others, so that Ctrl-C prints one sentence)
from generate_captcha.corpus import CorpusResult, picture_path, write_corpus
from generate_captcha.seeded_random import SeededRandom
from generate_captcha.style import Style
from generate_captcha.styles import NAMES as STYLES
from generate_captcha.styles import style_of

__all__ = ["STYLES", "CorpusResult", "SeededRandom", "Style", "picture_path", "style_of", "write_corpus"]
