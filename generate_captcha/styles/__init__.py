"""The styles. Each is a file here with a subclass of `TextStyle` or `Style`, and its name in `parameter.StyleName`."""

from __future__ import annotations

import importlib
from typing import get_args

from generate_captcha.style import Style
from parameter import GenerateParameters, StyleName

#: The names of the styles; the flag, its help and the contract tests come from the same line.
STYLES: tuple[str, ...] = get_args(StyleName)


def style_of(parameters: GenerateParameters) -> Style:
    """The style that `parameters.style` names, set up by `parameters`. Raises UserError (see `Style`)."""
    # Imported when asked for: each style needs other libraries.
    module = importlib.import_module(f"generate_captcha.styles.{parameters.style}")
    style: Style = getattr(module, parameters.style.title().replace("_", ""))(parameters)
    return style
