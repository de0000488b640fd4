"""Read what registries list, without importing their entries.

`--help` and the checks of flags need the names of styles, networks and formats, and some of their properties. Importing
the entries would take seconds. So registries and entries state these as constants with literal values, which
:func:`constant` reads from the source.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

_CLONE = Path(__file__).parents[1]


def constant(module: str, name: str, default: Any = None) -> Any:
    """Return the literal value of a module's constant, or `default` if the module has no such constant.

    Arguments:
        module: the module's full name, such as `model.heads`.
        name: the constant's name. Further lines of its value are indented or begin with a closing bracket.
        default: the value if there is no such constant.

    Raises ValueError if the value is not a literal.
    """
    path = _CLONE.joinpath(*module.split("."))
    source = (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text(encoding="utf-8")
    found = re.search(rf"^{name}(?:: [^=]+)? = (.*(?:\n[ )\]}}].*)*)", source, re.MULTILINE)
    return ast.literal_eval(found[1]) if found else default


def names(registry: str) -> tuple[str, ...]:
    """Return the names that a registry lists: the constant `NAMES` of its package."""
    listed: tuple[str, ...] = constant(registry, "NAMES")
    return listed
