"""Styles of pictures.

Each is a file NAME.py here, listed in :data:`NAMES`, with a subclass of `TextStyle` or `Style`; the class of
`my_style` is `MyStyle`. The flags depend on its constant `PROPERTIES` (:class:`parameter.StyleProperties`).
"""

from __future__ import annotations

import importlib

from generate_captcha.style import Style
from parameter import GenerateParameters

#: Commands read them from the source for `--help`.
NAMES = (
    "captcha", "lines", "dots", "line", "plate", "no_plate", "wild",
    "arithmetic", "colourful", "crowded", "curves", "dark", "dotted", "elastic", "ellipses", "faint", "gridded",
    "hollow", "overlapping", "pixels", "shadowed", "sheared", "simple", "spacious", "speckled", "striped", "swirled",
    "textured", "touching", "wavy", "zigzags",
)  # fmt: skip


def style_of(parameters: GenerateParameters) -> Style:
    """Create the style `parameters.style`. Raises UserError (see `Style`)."""
    # Imported when needed, because each style needs other libraries.
    module = importlib.import_module(f"generate_captcha.styles.{parameters.style}")
    style: Style = getattr(module, parameters.style.title().replace("_", ""))(parameters)
    return style
