"""Finding and reading layout files: TOML with the fields of :mod:`generate_captcha.plates.layout`."""

from __future__ import annotations

import functools
import logging
import multiprocessing
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from pydantic import ValidationError

from crnn_reader import bounded
from crnn_reader.alphabet import expand_alphabet
from crnn_reader.errors import UserError
from crnn_reader.formats import ALL_LAYOUTS, LIST_LAYOUTS, MAX_FORMATS, NO_COUNTRY, NO_LAYOUTS, Format, sequences_of
from generate_captcha.plates import letters
from generate_captcha.plates.layout import Layout, LayoutFields
from generate_captcha.plates.letters import Face, MissingFont
from generate_captcha.plates.patterns import Pattern, PatternError
from generate_captcha.plates.random_texts import RandomTexts
from generate_captcha.text.fonts import Font

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

logger = logging.getLogger(__name__)

FOLDER = Path(__file__).parents[1] / "layouts"
SUFFIX = ".toml"
#: Maximum size of a layout file in bytes; the shipped ones have some thousands.
MAX_BYTES = 1024**2
#: Maximum ratio between the sides of a plate, and minimum height of a row as a fraction of the plate's.
MAX_ASPECT, MIN_ROW_HEIGHT = 10, 0.1
#: Minimum number of texts of one length in a pattern that is a format, if the layout has such patterns. Others are
#: words of vanity plates.
MIN_TEXTS = 200
#: Path of a field: keys of tables, and indices in lists.
FieldPath: TypeAlias = tuple[str | int, ...]
Resolved = TypeVar("Resolved")


class _FieldError(UserError):
    """An invalid field, such as ("rows", 0, "gap"). The message begins with the field."""

    def __init__(self, field: FieldPath, found: str, value: object = None) -> None:
        """`value` is the invalid value, for fields with several."""
        super().__init__(f"{_shown(field)}{found}")
        self.field, self.value = field, value


def _shown(field: FieldPath) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in field).lstrip(".")


def choose_layouts(names: str | None, fonts: list[Font] | None = None) -> list[Layout]:
    """Read the layouts called `names`.

    Arguments:
        names: names, beginnings of names up to a `_`, files and folders, separated by commas. None: all layouts whose
            fonts are installed, with a warning about the others.
        fonts: faces of all Latin letters, in place of those of the layouts.

    Raises:
        UserError: there is no such layout, or one is invalid.
    """
    if names is not None:
        return [read_layout(path, fonts) for path in _find_all(names)]
    found, missing = [], []
    for path in _layouts_in(FOLDER):
        try:
            found.append(read_layout(path, fonts))
        except MissingFont as error:
            missing.append((path.stem, str(error)))
    if missing:
        warn_left_out(", ".join(name for name, _ in missing), missing[0][1])
    return found


def formats_of(names: str | None) -> list[Format]:
    """Read the formats of layouts for a model file. Their fonts need not be installed.

    Arguments:
        names: as for :func:`choose_layouts`; None or `all`: all layouts; `none`: no layouts.

    Returns the formats of the layouts that have one. Layouts of no country have none.

    Raises:
        UserError: there is no such layout, one is invalid, or two have the same name.
    """
    if names == NO_LAYOUTS:
        return []
    paths = _layouts_in(FOLDER) if names in (None, ALL_LAYOUTS) else _find_all(names or "")
    twice = [name for name, count in Counter(path.stem for path in paths).items() if count > 1]
    if twice:
        raise UserError(f"two layouts are called {twice[0]}: rename one of the files", "layouts")
    for path in paths:
        if path.stem in (NO_LAYOUTS, LIST_LAYOUTS, ALL_LAYOUTS) or not re.fullmatch(r"[^\W\d_][\w-]*", path.stem):
            raise UserError(f"a format cannot be called {path.stem!r}, as {path} is: name it as li_car.toml", "layouts")
    if len(paths) > MAX_FORMATS:
        raise UserError(
            f"{names} has {len(paths):,} layouts, and a model file at most {MAX_FORMATS:,}: give fewer", "layouts"
        )
    return [found for path in paths if (found := read_format(path))]


def named_formats(names: str) -> list[Format]:
    """Read the formats of layouts, see :func:`formats_of`. Raises UserError also if none of them has a format."""
    formats = formats_of(names)
    if not formats and names != NO_LAYOUTS:
        raise UserError(
            f"the layouts {names} are of no country and have no formats: name others, or {NO_LAYOUTS} to store none",
            "layouts",
        )
    return formats


def read_format(path: Path) -> Format | None:
    """Read the format of a layout file; None for a layout of no country. Raises UserError if it is invalid."""
    return _read(path, functools.partial(_format, path=path))


def _format(layout: LayoutFields, path: Path) -> Format | None:
    patterns = dict.fromkeys(pattern.format() for pattern in _parse_patterns(layout))
    try:
        kept = [each for each in patterns if max(form.size for form in sequences_of(each)) >= MIN_TEXTS]
    except ValueError as error:
        raise UserError(f"{error}: write simpler patterns") from error
    if path.stem.startswith(NO_COUNTRY):
        return None
    return Format(path.stem, layout.title, kept or list(patterns), layout.weight)


def _find_all(names: str) -> list[Path]:
    """The different files that names separated by commas stand for."""
    return list(dict.fromkeys(path for name in names.split(",") for path in _find(name.strip())))


@functools.cache  # Once, however many styles are created.
def warn_left_out(names: str, reason: str) -> None:
    """Warn about layouts whose fonts are missing."""
    # Worker processes would repeat the warning.
    if multiprocessing.parent_process() is None:
        logger.warning(f"left out {names}: {reason}")


def _find(name: str) -> list[Path]:
    # Shipped names come first, so that the meaning of `de` does not depend on a folder of that name; `./de` is one.
    shipped = _layouts_in(FOLDER)
    if found := [path for path in shipped if path.stem == name]:
        return found
    if name and (found := [path for path in shipped if path.stem.startswith(f"{name}_")]):
        return found
    path = Path(name)
    if name and path.is_dir():
        if files := _layouts_in(path):
            return files
        raise UserError(f"the folder {name} has no {SUFFIX} file: add layouts or choose another folder", "layouts")
    if path.suffix == SUFFIX:
        if path.is_file():
            return [path]
        raise UserError(f"there is no layout file {name}: give a file, or a name such as de_car", "layouts")
    if path.is_file():
        raise UserError(f"the name of the layout file {name} does not end in {SUFFIX}: rename it", "layouts")
    if path.name != name:
        raise UserError(f"there is no folder {name}: give a folder of layouts, or a name such as de_car", "layouts")
    groups = sorted({path.stem.split("_")[0] for path in shipped})
    raise UserError(
        f"there is no layout called {name!r}: give one of {', '.join(groups)}, a file or a folder", parameter="layouts"
    )


def _layouts_in(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{SUFFIX}"))


def read_layout(path: Path, fonts: list[Font] | None = None) -> Layout:
    """Read a layout file.

    Arguments:
        fonts: faces of all Latin letters, in place of those of the layout.

    Raises:
        MissingFont: a font is not installed.
        UserError: the file is invalid. The message names the line and field.
    """
    return _read(path, functools.partial(_resolve, path=path, fonts=fonts))


def _read(path: Path, resolve: Callable[[LayoutFields], Resolved]) -> Resolved:
    """Read a layout file and call `resolve` with its fields. Raises what :func:`read_layout` does."""
    text = ""
    try:
        text = bounded.read_text(path, MAX_BYTES)
        return resolve(LayoutFields(**tomllib.loads(text)))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        reason, _, place = str(error)[:200].partition(" (at line ")
        line = f", line {place.partition(',')[0]}" if place else ""
        raise UserError(f"{path}{line}: it is not a TOML file ({reason}): correct it there") from error
    except ValidationError as error:
        field_error = _explained(error)
        raise UserError(f"{path}{_line(text, field_error)}: {field_error}") from error
    except _FieldError as error:
        raise UserError(f"{path}{_line(text, error)}: {error}") from error
    except (ValueError, TypeError) as error:
        raise UserError(f"{path}: {error}: correct it there") from error
    except MissingFont as error:
        raise MissingFont(f"{path}: {error}") from error
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def _explained(error: ValidationError) -> _FieldError:
    # An unknown field is often the misspelt name of a missing one, so it is reported first.
    first = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
    # pydantic appends the type that it tried if a field may have several.
    field = tuple(part for part in first["loc"] if not str(part).startswith(("tuple[", "literal[")))
    if first["type"] == "extra_forbidden":
        return _FieldError(
            field, " is an unknown field: remove it or correct its name; docs/plates.md lists the fields"
        )
    if first["type"] == "missing":
        return _FieldError(field, " is missing: add it; docs/plates.md lists the fields")
    wanted = f"write [[{_shown(field)}]], in double brackets, for each"
    if not isinstance(first["input"], dict):
        wanted = _wanted(first)
    found = f" is {str(first['input'])[:80]!r}: {wanted}; docs/plates.md lists the fields"
    return _FieldError(field, found, first["input"])


#: The expected value, by the first word of pydantic's error type.
_TYPES = {"bool": "true or false", "string": "a text, in quotes", "tuple": "a list, in [ ]", "int": "a whole number"}
_BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


def _wanted(error: ErrorDetails) -> str:
    """The remedy for a value, such as `give a number that is above 0`."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == "string_pattern_mismatch":
        return "a colour is #rrggbb, such as #003399"
    if kind == "literal_error":
        return f"give one of {context['expected'].replace(' or ', ', ')}".replace("'", '"')
    if kind == "too_short":
        return f"give a list of at least {context['min_length']}"
    if kind == "too_long":
        return f"give a list of at most {context['max_length']}"
    for name, words in _BOUNDS.items():
        if name in context:
            return f"give a number that is {words} {context[name]:g}"
    return f"give {_TYPES.get(kind.partition('_')[0], 'a number')}"


def _line(text: str, error: _FieldError) -> str:
    """`, line 12` for the line of the field in `text`, or of the table that it belongs to; empty if there is none."""
    lines = text.splitlines()
    table: FieldPath = ()
    tables, deepest, found = Counter[str](), 0, 0
    for number, line in enumerate(lines, 1):
        if header := re.match(r"\s*(\[\[?)\s*([\w.-]+)\s*\]", line):
            name = header[2]
            table = (name, tables[name]) if header[1] == "[[" else tuple(name.split("."))
            if header[1] == "[" and table[0] in tables:
                # A table in the latest of several, such as [rows.repeat].
                table = (table[0], tables[str(table[0])] - 1, *table[1:])
            tables[name] += 1
            field = table
        elif key := re.match(r"\s*[\"']?([\w.-]+)[\"']?\s*=", line):
            field = (*table, *key[1].split("."))
        else:
            continue
        if len(field) > deepest and field == error.field[: len(field)]:
            deepest, found = len(field), number
    if found and deepest < len(error.field) and isinstance(error.value, str):
        # In a list of several lines, the value may be on a later one.
        quoted = (f'"{error.value}"', f"'{error.value}'")
        found = next((n for n, line in enumerate(lines[found - 1 :], found) if any(q in line for q in quoted)), found)
    return f", line {found}" if found else ""


def _resolve(layout: LayoutFields, path: Path, fonts: list[Font] | None) -> Layout:
    """Parse the patterns, find the faces, and check everything. Raises UserError."""
    patterns = tuple(_parse_patterns(layout))
    width, height = layout.size
    if not 1 / MAX_ASPECT <= width / height <= MAX_ASPECT:
        raise _FieldError(
            ("size",), f" is {list(layout.size)}, but one side may be at most {MAX_ASPECT} times the other: correct it"
        )
    for number, row in enumerate(layout.rows):
        _check_box(("rows", number, "box"), row.box, layout)
    characters = sorted(set().union(*(pattern.characters for pattern in patterns)))
    latin = "".join(character for character in characters if not letters.is_other_script(character))
    full_width = {character for character in characters if letters.is_other_script(character)}
    for number, row in enumerate(layout.rows):
        if row.repeat:
            field = ("rows", number, "repeat")
            full_width |= set("".join(row.repeat.values()))
            if row.repeat_box is None:
                raise _FieldError(field, " needs repeat_box, where its letters stand: add it")
            _check_box(("rows", number, "repeat_box"), row.repeat_box, layout)
            if lacking := sorted(set(characters) - set(row.repeat)):
                raise _FieldError(field, f" lacks {lacking[0]!r}, which the patterns have: add it")
    latin_faces = fonts or _find_faces(("faces",), layout.faces, latin, path)
    for face in fonts or ():
        _refuse_incomplete(("fonts",), face.name, face, latin)
    needed = "".join(sorted(full_width))
    full_width_faces = _find_faces(("far_east",), (layout.far_east,), needed, path) if needed else []
    print_faces = []
    for number, small in enumerate(layout.prints):
        field = ("prints", number, "faces")
        found = _find_faces(field, small.faces, "".join(small.texts), path)
        print_faces.append(tuple(face for face in found if isinstance(face, Font)))
        if not print_faces[-1]:
            raise _FieldError(field, ": small print needs a font, not strokes: name grotesk or another")
    texts = [("bands", number, band.texts) for number, band in enumerate(layout.bands)]
    texts += [("marks", number, mark.texts) for number, mark in enumerate(layout.marks)]
    for table, number, shown in texts:
        _refuse_incomplete((table, number, "texts"), letters.SMALL_FONT, letters.small_font(), "".join(shown))
    return Layout(
        path,
        layout,
        patterns,
        tuple(latin_faces),
        tuple(full_width_faces),
        tuple(print_faces),
        RandomTexts(set(characters)),
    )


def _check_box(field: FieldPath, box: tuple[float, float, float, float], layout: LayoutFields) -> None:
    """Raise UserError if letters in `box` would not lie on the plate, or be too low to be legible."""
    left, top, right, bottom = box
    width, height = layout.size
    if not (0 <= left < right <= width and 0 <= top < bottom <= height):
        raise _FieldError(
            field,
            f" is {list(box)}, which does not lie within size {list(layout.size)}: "
            "give left, top, right, bottom in millimetres",
        )
    if bottom - top < MIN_ROW_HEIGHT * height:
        raise _FieldError(
            field, f" is {list(box)}, too low to be legible: make it at least {MIN_ROW_HEIGHT * height:g} high"
        )


def _parse_patterns(layout: LayoutFields) -> Iterator[Pattern]:
    lists = {name: tuple(texts) for name, texts in layout.lists.items()}
    for name, texts in lists.items():
        if not texts or not all(texts):
            raise _FieldError(("lists", name), " is empty or has an empty text: add texts or remove it")
    letters_, digits = _expand_alphabet("letters", layout.letters), _expand_alphabet("digits", layout.digits)
    for number, text in enumerate(layout.patterns):
        field = ("patterns", number)
        try:
            pattern = Pattern(text, letters_, digits, lists)
        except PatternError as error:
            raise _FieldError(field, f": {error}", text) from error
        if pattern.rows != len(layout.rows):
            raise _FieldError(
                field,
                f": {text!r} has {pattern.rows} rows and the layout {len(layout.rows)}: "
                "write a '/' where a lower row begins, and a [[rows]] for each",
                text,
            )
        for character in sorted(pattern.characters):
            if character.isspace() or not character.isprintable() or character in "_/":
                raise _FieldError(field, f": {character!r} cannot be in a label: remove it", text)
        yield pattern


def _expand_alphabet(field: str, text: str) -> str:
    try:
        return expand_alphabet(text)
    except ValueError as error:
        raise _FieldError((field,), f": {error}") from error


def _find_faces(field: FieldPath, names: tuple[str, ...], needed: str, path: Path) -> list[Face]:
    """Return the faces called `names` that have the characters `needed`.

    Incomplete faces of a role are skipped if at least one is complete. Raises UserError.
    """
    found: list[Face] = []
    for name in names:
        try:
            faces = letters.faces(name, path.parent, needed)
            complete = [face for face in faces if not letters.missing_characters(face, needed)]
        except MissingFont:
            raise
        except UserError as error:
            raise _FieldError(field, f": {error}", name) from error
        if not complete:
            _refuse_incomplete(field, name, faces[0], needed)
        found += complete
    return found


def _refuse_incomplete(field: FieldPath, name: str, face: Face, needed: str) -> None:
    missing = letters.missing_characters(face, needed)
    if missing:
        raise _FieldError(
            field,
            f": the face {name} lacks the character {missing[0]!r} (U+{ord(missing[0]):04X}): "
            "name another face or remove the character from the patterns",
        )
