"""Read short text in pictures with the model files of crnn-kit: `Reader("captcha").read_one("a.png").text`."""

from __future__ import annotations

# Without imports of `typing`: until `crnn-reader` has installed its handler, Ctrl-C prints a traceback.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .decoding.constraints import Constraint as Constraint
    from .decoding.layouts import Country as Country
    from .decoding.layouts import Layout as Layout
    from .errors import UserError as UserError
    from .reader import Character as Character
    from .reader import Reader as Reader
    from .reader import Reading as Reading

#: Version of the kit, written to every model file. Equal to the version in pyproject.toml.
__version__ = "0.2.0"

#: Public names and their modules. They are imported on first use, because commands use small modules of this package
#: before they need NumPy and OpenCV.
_MODULES = {
    "Character": ".reader",
    "Constraint": ".decoding.constraints",
    "Country": ".decoding.layouts",
    "Layout": ".decoding.layouts",
    "Reader": ".reader",
    "Reading": ".reader",
    "UserError": ".errors",
}
__all__ = ["Character", "Constraint", "Country", "Layout", "Reader", "Reading", "UserError"]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_MODULES[name], __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
