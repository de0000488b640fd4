"""The base class of all parameters: validation, error messages and JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from cli.flags import parse_flags, shown
from crnn_reader import bounded
from crnn_reader.errors import UserError

if TYPE_CHECKING:
    from typing import Self

    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

#: Default folders of the commands, relative to the clone.
TRAIN_FOLDER, TEST_FOLDER, RUNS_FOLDER = "DB/train", "DB/test", "runs"

#: The file in a folder of generated pictures that records how they were made.
CORPUS_RECORD = "corpus.json"

#: The shipped models, each a .keras file.
SHIPPED_MODELS = sorted(file.stem for file in Path(__file__).parents[1].joinpath("model", "weights").glob("*.keras"))

#: The validation context of values from a parameter file.
STORED = object()


class Parameters(BaseModel):
    """Parameters of a command: immutable, without unknown names, with errors of one sentence."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)

    #: Titles of the sections of `--help`, by the first field of each.
    SECTIONS: ClassVar[dict[str, str]] = {}

    @model_validator(mode="wrap")
    @classmethod
    def _explain(cls, values: Any, handler: Any) -> Self:
        for name, value in values.items() if isinstance(values, dict) else ():
            if value == "" and name in cls.model_fields and cls.model_fields[name].default != "":
                raise UserError(f"{shown(name, cls.model_fields[name])} is empty: give a value, or leave it out")
        try:
            return handler(values)
        except ValidationError as error:
            raise UserError(_sentence(error.errors()[0], cls.model_fields)) from error

    @classmethod
    def parse(cls, argv: list[str] | None = None, prog: str | None = None) -> Self:
        """Parse `argv`, by default the flags of this process. Fields that were given are set, the others are not.

        Raises UserError for invalid flags, and SystemExit with code 0 for `--help`.
        """
        return cls.model_validate(parse_flags(cls, sys.argv[1:] if argv is None else argv, prog))

    def to_json(self) -> str:
        """Serialise to a JSON object. :meth:`from_json` reads it."""
        return json.dumps(self.model_dump(), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_values(cls, values: dict[str, Any]) -> Self:
        """Create parameters from the values of :meth:`to_json`, by name. Raises UserError for invalid values."""
        return cls.model_validate(values, context=STORED)

    @classmethod
    def from_json(cls, path: Path) -> Self:
        """Read a file of :meth:`to_json`. Raises UserError for any other file, and for invalid values."""
        try:
            values = bounded.read_json(path)
            if not isinstance(values, dict):
                raise ValueError("it holds no parameters by name")
            return cls.from_values(values)
        except (ValueError, UserError) as error:
            reason = str(error)
            reason = reason if len(reason) <= 200 else f"{reason[:120]} … {reason[-60:]}"
            raise UserError(
                f"{path} is not a parameter file of this kit ({reason.removesuffix('; see --help')}): correct it, or "
                "use another copy"
            ) from error


def _sentence(error: ErrorDetails, fields: dict[str, FieldInfo]) -> str:
    """`--count 0: give a whole number from 1 to 100`, for an error of pydantic."""
    name = str(error["loc"][0]) if error["loc"] else ""
    flag = shown(name, fields.get(name))
    if error["type"] == "missing":
        return f"{flag} is missing; see --help"
    reason = _reason(error, fields.get(name))
    return f"{flag} {error['input']}: {reason}{'' if reason.startswith('give ') else '; see --help'}"


def _reason(error: ErrorDetails, field: FieldInfo | None) -> str:
    """Describe the fault of a value and its remedy in one clause."""
    kind = error["type"]
    if kind == "value_error":
        # Raised by a check in types.py.
        reason = error["msg"].removeprefix("Value error, ")
        return reason[:1].lower() + reason[1:]
    if kind == "literal_error":
        return f"give one of {error['ctx']['expected'].replace(' or ', ', ')}".replace("'", "")
    if kind == "extra_forbidden":
        return "there is no parameter of this name"
    if kind.startswith(("bool", "string")):
        return "give true or false" if kind.startswith("bool") else "give a text"
    return _number_wanted(error["input"], field) if field else error["msg"].lower()


def _number_wanted(given: Any, field: FieldInfo) -> str:
    """`give a number from 0 to 1, such as 0.97`, by the bounds of a field."""
    bounds = {
        name: getattr(each, name) for each in field.metadata for name in ("ge", "gt", "le", "lt") if hasattr(each, name)
    }
    noun = "a whole number" if int in (field.annotation, *get_args(field.annotation)) else "a number"
    low, high = bounds.get("ge"), bounds.get("le")
    if noun == "a whole number" and "lt" in bounds:
        high = bounds["lt"] - 1
    if low is not None and high is not None:
        wanted = f"{noun} from {low:,} to {high:,}"
    else:
        words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
        limits = " and ".join(f"{words[name]} {bound:,}" for name, bound in bounds.items())
        wanted = f"{noun} that is {limits}" if limits else noun
    if bounds.get("le", bounds.get("lt")) != 1:
        return f"give {wanted}"
    try:
        share = float(str(given).rstrip("% ")) / 100
    except ValueError:
        share = 0.0
    return f"give {wanted}" + (f", such as {share:g}" if 0.02 <= share < 1 else "")
