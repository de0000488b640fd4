"""Command-line flags made from the fields of a pydantic model, with argparse.

A field `batch_size: int = Field(64, description="Pictures per step.")` is the flag `--batch-size N`. Its help, default
and choices come from the field, and :class:`Flag` in its annotation adds what pydantic does not know. Values stay
texts here; pydantic converts and checks them.
"""

from __future__ import annotations

import argparse
import difflib
import os
import shlex
import shutil
import textwrap
import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from crnn_reader.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo


@dataclass(frozen=True)
class Flag:
    """How a field appears on the command line, given in its annotation: `Annotated[str, Flag("DIR")]`."""

    #: Placeholder of the value in the help. By default the choices, or N or X for numbers.
    metavar: str = ""
    #: How a default of None is replaced at run time, for the help.
    default: str = ""
    #: Whether the value is given without the flag's name. A field of type tuple takes all remaining values.
    positional: bool = False


@dataclass(frozen=True)
class OneOf:
    """A check for pydantic's AfterValidator: the text is one of `names`, which `--help` lists."""

    names: tuple[str, ...]

    def __call__(self, text: str) -> str:
        if text not in self.names:
            raise ValueError(did_you_mean(text, self.names) or f"give one of {', '.join(self.names)}")
        return text


def parse_flags(model: type[BaseModel], argv: list[str], prog: str | None = None) -> dict[str, Any]:
    """Parse the flags of the fields of `model`. Prints the help and exits with code 0 if `argv` asks for it.

    Arguments:
        model: its docstring describes the command in the help; its `SECTIONS`, if it has any, map the first field of
            each section of the help to the section's title. Its `HINTS`, if it has any, say what to do instead of
            giving a flag that it lacks, by the flag's field name.
        argv: words of the command line.
        prog: the command's name in the help, by default the name of the script.

    Returns the values that were given, by field name: texts, True for flags without a value, and tuples of texts.
    Raises UserError for unknown flags, missing values and too many positional values.
    """
    words, after = (argv[: argv.index("--")], argv[argv.index("--") + 1 :]) if "--" in argv else (argv, [])
    asked = not {"-h", "--help"}.isdisjoint(words)
    parser = _parser(model, prog, with_help=asked)
    if asked:
        parser.print_help()
        parser.exit()
    try:
        found, rest = parser.parse_known_args([_dashed(word) for word in words])
    except argparse.ArgumentError as error:
        switches = [shown(name, field) for name, field in model.model_fields.items() if field.annotation is bool]
        reason = "takes no value" if error.argument_name in switches else "is given without a value"
        raise UserError(f"{error.argument_name} {reason}; see --help") from error
    # No flag but -h has a single dash, but names of pictures may begin with one.
    if unknown := next(filter(_like_a_flag, rest), None):
        typed = next(word for word in words if _dashed(word) == unknown).partition("=")[0]
        # Names are compared without dashes, which make all of them alike and of which one is easily forgotten.
        bare = ["help", *(shown(*item)[2:] for item in model.model_fields.items() if not _flag(item[1]).positional)]
        meant = difflib.get_close_matches(typed.lstrip("-").replace("_", "-"), bare, 1, 0.7)
        advice = getattr(model, "HINTS", {}).get(typed.lstrip("-").replace("-", "_"))
        hint = f": {advice}" if advice else f" (did you mean --{meant[0]}?)" if meant else ""
        raise UserError(f"{typed} is not a flag of this command{hint}; see --help")
    values, given = vars(found), [*rest, *after]
    for name, field in model.model_fields.items():
        if _flag(field).positional and given:
            values[name] = tuple(given) if _takes_many(field) else given[0]
            given = [] if _takes_many(field) else given[1:]
    if given:
        raise UserError(f"{given[0]} is one argument too many for this command; see --help")
    return values


def shown(name: str, field: FieldInfo | None) -> str:
    """A field's name on the command line: `--batch-size`, or the metavar of a positional value."""
    if field and _flag(field).positional:
        return _flag(field).metavar.strip("[]…")
    # `from_` and `json_` only avoid names of Python.
    return "--" + name.rstrip("_").replace("_", "-")


def with_flags(message: str, **parameters: str) -> str:
    """A message with the flags of the parameters to change: `… (--root)`, or `… (--head attention, --size)`.

    `parameters` has a value as an example for each, or "".
    """
    flags = [
        shown(name, None) + (f" {shlex.quote(example)}" if example else "") for name, example in parameters.items()
    ]
    return f"{message} ({', '.join(flags)})" if flags else message


def _like_a_flag(word: str) -> bool:
    """Whether a word begins with a dash, and is not the name of a file with a single one."""
    return word.startswith("--") or (word[:1] == "-" and word != "-" and not os.path.exists(word))


def _dashed(word: str) -> str:
    """`--batch_size=8` -> `--batch-size=8`."""
    name, equals, value = word.partition("=")
    return name.replace("_", "-") + equals + value if word.startswith("--") and " " not in name else word


def _parser(model: type[BaseModel], prog: str | None, with_help: bool) -> argparse.ArgumentParser:
    """A parser for the flags. Positional values and the help are only added to print it."""
    parser = argparse.ArgumentParser(
        prog,
        add_help=False,
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
        description=model.__doc__,
        exit_on_error=False,
        formatter_class=_Help,
    )
    sections: dict[str, str] = getattr(model, "SECTIONS", {})
    group: argparse._ArgumentGroup | argparse.ArgumentParser = parser
    positional = []
    for name, field in model.model_fields.items():
        flag = _flag(field)
        if flag.positional:
            positional.append(flag.metavar)
        if name in sections:
            group = parser.add_argument_group(sections[name])
        details: dict[str, Any] = {"help": _help(field, flag)} if with_help else {}
        if flag.positional and with_help:
            parser.add_argument(name, metavar=flag.metavar, nargs="?", **details)
        elif field.annotation is bool:
            group.add_argument(shown(name, field), dest=name, action="store_true", **details)
        elif not flag.positional:
            group.add_argument(shown(name, field), dest=name, metavar=_metavar(field, flag), **details)
    if with_help:
        group.add_argument("-h", "--help", action="store_true", help="Show this help.")
    parser.usage = " ".join(["%(prog)s", "[FLAGS]", *positional])
    return parser


class _Help(argparse.HelpFormatter):
    """Help that keeps paragraphs, does not break flags in sentences, and shows metavars as they are."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30, width=min(120, shutil.get_terminal_size().columns) - 2)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n\n".join("\n".join(self._split_lines(part, width)) for part in text.split("\n\n"))

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(" ".join(text.split()), width, break_on_hyphens=False)

    def _format_args(self, action: argparse.Action, default_metavar: str) -> str:
        return str(action.metavar or default_metavar)


def _help(field: FieldInfo, flag: Flag) -> str:
    """The description and the default, for argparse, which formats it with %."""
    unset = field.is_required() or field.default is None or field.default is False or field.default in ("", ())
    default = flag.default or ("" if unset else str(field.default))
    ending = (
        " (required)" if field.is_required() and not flag.positional else f" (default: {default})" if default else ""
    )
    return f"{field.description or ''}{ending}".replace("%", "%%")


def _metavar(field: FieldInfo, flag: Flag) -> str:
    choices = [name for each in _details(field) if isinstance(each, OneOf) for name in each.names]
    choices += [str(each) for each in _details(field) if isinstance(each, str)]
    kinds = {field.annotation, *get_args(field.annotation)}
    return flag.metavar or ("{" + ",".join(choices) + "}" if choices else "N" if int in kinds else "X")


def _takes_many(field: FieldInfo) -> bool:
    return get_origin(field.annotation) is tuple


def _flag(field: FieldInfo) -> Flag:
    """The outermost flag in a field's annotation."""
    return next((each for each in _details(field) if isinstance(each, Flag)), Flag())


def _details(field: FieldInfo) -> Iterator[Any]:
    """The metadata of a field's annotation, outermost first, and the values of its Literals."""

    def within(kind: Any) -> Iterator[Any]:
        if get_origin(kind) is Annotated:
            yield from map(_unwrapped, reversed(kind.__metadata__))
            yield from within(kind.__origin__)
        elif get_origin(kind) is Literal:
            yield from get_args(kind)
        elif get_origin(kind) in (Union, types.UnionType):
            for each in get_args(kind):
                yield from within(each)

    yield from map(_unwrapped, reversed(field.metadata))
    yield from within(field.annotation)


def _unwrapped(metadata: Any) -> Any:
    """The function of pydantic's AfterValidator; other metadata as it is."""
    return getattr(metadata, "func", metadata)
