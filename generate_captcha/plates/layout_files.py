"""Layouts of plates: one TOML file each, of the fields below. Lengths are in millimetres, from the upper left corner.

Adding a country is adding a file; docs/plates.md shows one being made.
"""

from __future__ import annotations

import functools
import multiprocessing
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr, ValidationError

from cli.messages import warn
from crnn_reader import bounded
from crnn_reader.alphabet import parse_alphabet
from crnn_reader.errors import UserError
from generate_captcha.plates import letters as lettering
from generate_captcha.plates.letters import Face, MissingFont
from generate_captcha.plates.patterns import Pattern, PatternError
from generate_captcha.text.fonts import FAR_EAST, Font, brought

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

FOLDER = Path(__file__).parents[1] / "layouts"
#: Bytes of a layout; the longest of ours has some thousands.
LARGEST = 1024**2
SUFFIX = ".toml"
#: The font of bands, stickers and frames.
SMALL_FACE = "SourceSansPro-Bold.ttf"
#: How long a plate may be, as a multiple of its height, and how low a row, as a part of it.
MOST, LOWEST = 10, 0.1
#: The most that a length or a place may be, in millimetres.
FARTHEST = 3000
#: Keys of tables, numbers of what stands in lists.
Place: TypeAlias = tuple[str | int, ...]

LETTERS, DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789"


def _colour(text: str) -> str:
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", text):
        raise ValueError("a colour is #rrggbb, such as #003399")
    return text


class _Wrong(UserError):
    """What is wrong at a place in a layout, ("rows", 0, "gap"): `found` goes on with the place's name."""

    def __init__(self, place: Place, found: str, value: object = None) -> None:
        """`value` is the text that is wrong, where the place holds several."""
        super().__init__(f"{_named_place(place)}{found}")
        self.place, self.value = place, value


def _named_place(place: Place) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")


Colour = Annotated[str, AfterValidator(_colour)]
Colours = Annotated[tuple[Colour, ...], Field(min_length=1)]
Texts = Annotated[tuple[str, ...], Field(min_length=1)]
Chance = Annotated[float, Field(ge=0, le=1)]
Length = Annotated[float, Field(gt=0, le=FARTHEST)]
Distance = Annotated[float, Field(ge=0, le=FARTHEST)]
Shift = Annotated[float, Field(ge=-FARTHEST, le=FARTHEST)]
Point = tuple[Shift, Shift]
Side = Literal["left", "right", "top", "bottom"]


class Part(BaseModel):
    """What all parts of a layout share: frozen, and no unknown names."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Paint(Part):
    """Colours that go together; a plate has one of a layout's paints."""

    ground: Colours = Field(description="Of the ground; several run into one another from the top down.")
    ink: Colour = Field(description="Of the letters.")
    rim: Colour | None = Field(None, description="Of the border, where it differs from the ink.")
    graphics: tuple[Literal["hills", "sun", "waves", "rays", "clouds", "stars", "stripe", "figure", "mesh"], ...] = (
        Field((), description="Pictures on the ground; each is there by chance.")
    )
    colours: tuple[Colour, ...] = Field((), description="Of the graphics, pale ones.")
    weight: float = Field(1.0, gt=0, description="How frequent, beside the others.")


class Border(Part):
    """A line around the plate."""

    width: Length = Field(description="Of the line.")
    inset: Distance = Field(0.0, description="From the plate's edge to the line.")
    radius: Distance = Field(8.0, description="Of its corners.")


class Band(Part):
    """A strip of another colour along one side."""

    side: Side = Field("left", description="Where it is.")
    width: Length = Field(description="Across.")
    colour: Colour = Field("#003399", description="Of the strip.")
    ink: Colour = Field("#ffffff", description="Of its texts.")
    texts: tuple[str, ...] = Field((), description="Country letters; one of them, at the bottom or in the middle.")
    symbol: Literal["none", "stars", "flag", "disc"] = Field("none", description="Above the text, or left of it.")
    flag: tuple[Colour, ...] = Field((), description="Stripes of the flag, from the top down.")
    chance: Chance = Field(1.0, description="How often it is there.")


class Row(Part):
    """Where a row of the pattern stands."""

    box: tuple[float, float, float, float] = Field(description="Left, top, right, bottom; letters are as tall as it.")
    letter: Length = Field(description="Width of the widest letter, or of all when fixed.")
    far_east: Length | None = Field(None, description="Width of Hangul and Han letters, where it differs.")
    gap: Distance = Field(description="Between two letters.")
    space: Length = Field(20.0, description="What a separator takes, instead of a gap.")
    fixed: bool = Field(False, description="Whether narrow letters (I, 1) take the room of wide ones.")
    spread: Chance = Field(0.0, description="How much of the room that is left goes between the letters, at most.")
    align: Literal["left", "centre", "right"] = Field("centre", description="Where the row stands in its box.")
    ink: Colour | None = Field(None, description="Of this row, where it differs.")


class Print(Part):
    """Small print, no part of the label."""

    texts: Texts = Field(description="One of these.")
    at: Point = Field(description="Its middle.")
    height: Length = Field(description="Of capitals.")
    width: Length = Field(400.0, description="The most that it takes.")
    inks: tuple[Colour, ...] = Field((), description="One of these; the letters' where there is none.")
    faces: tuple[str, ...] = Field(("grotesk",), description="Roles or font files.")
    stacked: bool = Field(False, description="Its characters one above the other, around the middle.")
    chance: Chance = Field(1.0, description="How often it is there.")


class Mark(Part):
    """A seal, sticker or emblem."""

    kind: Literal["seal", "sticker", "disc", "dot", "star", "shield", "figure", "stripes", "dash"] = Field(
        description="What it is."
    )
    at: Point | Literal["gap"] = Field(description="Its middle; `gap` is the first separator of the first row.")
    offset: Shift = Field(0.0, description="How far below the middle of the gap.")
    size: tuple[Length, Length] = Field(description="Width and height.")
    colours: Colours = Field(description="One of these; stripes: all of them, from the left.")
    texts: tuple[str, ...] = Field((), description="Of stickers: one of these.")
    chance: Chance = Field(1.0, description="How often it is there.")


class Layout(Part):
    """A plate of one country and kind."""

    title: str = Field(description="Country and kind, in words.")
    size: tuple[Length, Length] = Field(description="Width and height of the plate.")
    weight: float = Field(1.0, gt=0, description="How frequent, beside other layouts.")
    radius: Distance = Field(10.0, description="Of the plate's corners.")
    patterns: Texts = Field(
        description="Each as frequent as the others; generate_captcha/patterns.py has the language."
    )
    letters: str = Field(LETTERS, min_length=1, description="What `A` stands for, ranges as A-Z.")
    digits: str = Field(DIGITS, min_length=1, description="What `9` stands for.")
    lists: dict[str, tuple[str, ...] | str] = Field({}, description="Lists by name; a text is a list of its letters.")
    faces: Texts = Field(("die", "grotesk"), description="Roles (docs/plates.md) or font files; one per plate.")
    far_east: Literal["hangul", "han"] = Field("han", description="Face of Hangul and Han letters.")
    relief: Chance = Field(0.5, description="How often the letters are embossed.")
    paints: Annotated[tuple[Paint, ...], Field(min_length=1)] = Field(description="Its colours.")
    border: Border | None = Field(None, description="A line around it.")
    bands: tuple[Band, ...] = Field((), description="Strips along its sides.")
    rows: Annotated[tuple[Row, ...], Field(min_length=1, max_length=3)] = Field(description="From the top down.")
    prints: tuple[Print, ...] = Field((), description="Small print.")
    marks: tuple[Mark, ...] = Field((), description="Seals, stickers, emblems.")
    screws: tuple[Point, ...] = Field((), description="Middles of screws and their caps, which may touch letters.")

    _path: Path = PrivateAttr()
    _patterns: tuple[Pattern, ...] = PrivateAttr()
    _faces: tuple[Face, ...] = PrivateAttr()
    _far_east: tuple[Face, ...] = PrivateAttr(())
    _prints: tuple[tuple[Font, ...], ...] = PrivateAttr()

    @property
    def path(self) -> Path:
        """The file that it was read from."""
        return self._path

    @property
    def name(self) -> str:
        """The file's name without its suffix."""
        return self._path.stem

    @property
    def compiled(self) -> tuple[Pattern, ...]:
        """Its patterns."""
        return self._patterns

    @property
    def characters(self) -> set[str]:
        """Characters of its labels, without separators."""
        return {character for pattern in self._patterns for character in pattern.characters}

    @property
    def lettering(self) -> tuple[Face, ...]:
        """The faces of Latin letters and digits."""
        return self._faces

    @property
    def eastern(self) -> tuple[Face, ...]:
        """The faces of Hangul and Han letters; none where it has no such letters."""
        return self._far_east

    @property
    def printing(self) -> tuple[tuple[Font, ...], ...]:
        """The faces of each of its prints."""
        return self._prints

    def expression(self, separators: bool = False) -> str:
        """The regular expression of its labels, to be matched in full."""
        return f"(?:{'|'.join(pattern.expression(separators) for pattern in self._patterns)})"


def choose(names: str | None, fonts: list[Font] | None = None) -> list[Layout]:
    """The layouts of `--layouts`: names, beginnings of names up to a `_`, files, folders, by commas; None is all.

    With `fonts` these are the faces of all Latin letters. Raises UserError; of all layouts, those whose fonts this
    machine lacks are left out with a warning.
    """
    if names is None:
        found, lack = [], []
        for path in _files(FOLDER):
            try:
                found.append(read(path, fonts))
            except MissingFont as error:
                lack.append((path.stem, error))
        if lack:
            _tell(", ".join(name for name, _ in lack), str(lack[0][1]))
        return found
    paths = [path for name in names.split(",") for path in _named(name.strip())]
    return [read(path, fonts) for path in dict.fromkeys(paths)]


@functools.cache  # once, however many styles are made
def _tell(names: str, why: str) -> None:
    # Processes that draw for another one would only repeat it.
    if multiprocessing.parent_process() is None:
        warn(f"left out {names}: {why}")


def _named(name: str) -> list[Path]:
    path = Path(name)
    if name and path.is_dir():
        if files := _files(path):
            return files
        raise UserError(f"--layouts {name}: no {SUFFIX} file in this folder; add layouts or choose another folder")
    if path.suffix == SUFFIX:
        if path.is_file():
            return [path]
        raise UserError(f"--layouts {name}: no such file; give a layout file, or a name such as de_car")
    if path.is_file():
        raise UserError(f"--layouts {name}: a layout file ends in {SUFFIX}; give one, or a name such as de_car")
    if path.name != name:
        raise UserError(f"--layouts {name}: no such folder; give a folder of layouts, or a name such as de_car")
    shipped = _files(FOLDER)
    if found := [path for path in shipped if path.stem == name]:
        return found
    if name and (found := [path for path in shipped if path.stem.startswith(f"{name}_")]):
        return found
    groups = sorted({path.stem.split("_")[0] for path in shipped})
    raise UserError(
        f"--layouts {name}: there is no layout of that name; give one of {', '.join(groups)}, a file or a folder"
    )


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{SUFFIX}"))


def read(path: Path, fonts: list[Font] | None = None) -> Layout:
    """The layout of a file. Raises UserError, in one sentence, for whatever is wrong with it."""
    text = ""
    try:
        text = bounded.read_text(path, LARGEST)
        layout = Layout(**tomllib.loads(text))
        _complete(layout, path, fonts)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        reason, _, place = str(error)[:200].partition(" (at line ")
        where = f", line {place.partition(',')[0]}" if place else ""
        raise UserError(f"{path}{where}: it is not a TOML file ({reason}): correct it there") from error
    except ValidationError as error:
        wrong = _explained(error)
        raise UserError(f"{path}{_line(text, wrong)}: {wrong}") from error
    except _Wrong as wrong:
        raise UserError(f"{path}{_line(text, wrong)}: {wrong}") from wrong
    except (ValueError, TypeError) as error:
        raise UserError(f"{path}: {error}: correct it there") from error
    except MissingFont as error:
        raise MissingFont(f"{path}: {error}") from error
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    return layout


def _explained(error: ValidationError) -> _Wrong:
    # A field that is unknown is often the misspelt name of one that is missing.
    first = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
    # pydantic names the type that it tried, too, where a field may be of several.
    place = tuple(part for part in first["loc"] if not str(part).startswith(("tuple[", "literal[")))
    if first["type"] == "extra_forbidden":
        return _Wrong(place, " is no field: take it out or mend its name; docs/plates.md lists the fields")
    if first["type"] == "missing":
        return _Wrong(place, " is missing: add it; docs/plates.md lists the fields")
    wanted = f"write [[{_named_place(place)}]], in double brackets, for each"
    if not isinstance(first["input"], dict):
        wanted = _wanted(first)
    found = f" is {str(first['input'])[:80]!r}: {wanted}; docs/plates.md lists the fields"
    return _Wrong(place, found, first["input"])


#: The expected value, by the first word of pydantic's error type.
_TYPES = {"bool": "true or false", "string": "a text, in quotes", "tuple": "a list, in [ ]", "int": "a whole number"}
_BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


def _wanted(error: ErrorDetails) -> str:
    """What to give instead, such as `give a number that is above 0`."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == "value_error":
        return error["msg"].removeprefix("Value error, ")
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


def _line(text: str, wrong: _Wrong) -> str:
    """`, line 12`: where `text`, a layout's TOML, has what is wrong, or the table that it is in; nothing if nowhere."""
    lines = text.splitlines()
    table: Place = ()
    tables, deepest, found = Counter[str](), 0, 0
    for number, line in enumerate(lines, 1):
        if header := re.match(r"\s*(\[\[?)\s*([\w.-]+)\s*\]", line):
            name = header[2]
            table = (name, tables[name]) if header[1] == "[[" else tuple(name.split("."))
            tables[name] += 1
            place = table
        elif key := re.match(r"\s*[\"']?([\w.-]+)[\"']?\s*=", line):
            place = (*table, *key[1].split("."))
        else:
            continue
        if len(place) > deepest and place == wrong.place[: len(place)]:
            deepest, found = len(place), number
    if found and deepest < len(wrong.place) and isinstance(wrong.value, str):
        # A list may take many lines.
        quoted = (f'"{wrong.value}"', f"'{wrong.value}'")
        found = next((n for n, line in enumerate(lines[found - 1 :], found) if any(q in line for q in quoted)), found)
    return f", line {found}" if found else ""


def _complete(layout: Layout, path: Path, fonts: list[Font] | None) -> None:
    """Compile the patterns and find the faces of `layout`, and see that they go together. Raises UserError."""
    layout._path = path
    layout._patterns = tuple(_compiled(layout))
    width, height = layout.size
    if not 1 / MOST <= width / height <= MOST:
        raise _Wrong(("size",), f" is {list(layout.size)}: one side may be up to {MOST} times the other; mend it")
    for number, row in enumerate(layout.rows):
        left, top, right, bottom = row.box
        if not (0 <= left < right <= width and 0 <= top < bottom <= height):
            raise _Wrong(
                ("rows", number, "box"),
                f" is {list(row.box)}, which does not lie within size {list(layout.size)}: "
                "give left, top, right, bottom in millimetres",
            )
        if bottom - top < LOWEST * height:
            raise _Wrong(
                ("rows", number, "box"),
                f" is {list(row.box)}, too low to be read: let its bottom be {LOWEST * height:g} or more below its top",
            )
    latin = "".join(sorted(character for character in layout.characters if ord(character) < FAR_EAST))
    eastern = "".join(sorted(character for character in layout.characters if ord(character) >= FAR_EAST))
    layout._faces = tuple(fonts or _checked(("faces",), layout.faces, latin, path))
    for face in fonts or ():
        _complain(("--fonts",), face.name, face, latin)
    if eastern:
        layout._far_east = tuple(_checked(("far_east",), (layout.far_east,), eastern, path))
    layout._prints = tuple(
        tuple(
            face
            for face in _checked(("prints", number, "faces"), small.faces, "".join(small.texts), path)
            if isinstance(face, Font)
        )
        for number, small in enumerate(layout.prints)
    )
    small_face = Font(brought(SMALL_FACE))
    texts = [("bands", number, band.texts) for number, band in enumerate(layout.bands)]
    texts += [("marks", number, mark.texts) for number, mark in enumerate(layout.marks)]
    for part, number, shown in texts:
        _complain((part, number, "texts"), small_face.name, small_face, "".join(shown))
    for number, fonts_of_print in enumerate(layout._prints):
        if not fonts_of_print:
            raise _Wrong(
                ("prints", number, "faces"), ": small print needs a font, not strokes: name grotesk or another"
            )


def _compiled(layout: Layout) -> Iterator[Pattern]:
    lists = {name: tuple(texts) for name, texts in layout.lists.items()}
    for name, texts in lists.items():
        if not texts or not all(texts):
            raise _Wrong(("lists", name), " is empty or has an empty text: add texts or take it out")
    letters, digits = _alphabet("letters", layout.letters), _alphabet("digits", layout.digits)
    for number, text in enumerate(layout.patterns):
        place = ("patterns", number)
        try:
            pattern = Pattern(text, letters, digits, lists)
        except PatternError as error:
            raise _Wrong(place, f": {error}", text) from error
        if pattern.rows != len(layout.rows):
            raise _Wrong(
                place,
                f": {text!r} has {pattern.rows} rows and the layout {len(layout.rows)}: "
                "write a '/' where a lower row begins, and a [[rows]] for each",
                text,
            )
        for character in sorted(pattern.characters):
            if character.isspace() or not character.isprintable() or character in "_/":
                raise _Wrong(place, f": {character!r} cannot be in a label: take it out", text)
        yield pattern


def _alphabet(key: str, text: str) -> str:
    try:
        return parse_alphabet(text)
    except ValueError as error:
        raise _Wrong((key,), f": {error}") from error


def _checked(key: Place, names: tuple[str, ...], needed: str, path: Path) -> list[Face]:
    """The faces of `names` that have the characters `needed`.

    Of a role, those that lack some are left out as long as one is left. Raises UserError.
    """
    found: list[Face] = []
    for name in names:
        try:
            of_name = lettering.faces(name, path.parent, needed)
            able = [face for face in of_name if not lettering.lacking(face, needed)]
        except MissingFont:
            raise
        except UserError as error:
            raise _Wrong(key, f": {error}", name) from error
        if not able:
            _complain(key, name, of_name[0], needed)
        found += able
    return found


def _complain(key: Place, name: str, face: Face, needed: str) -> None:
    missing: list[Any] = lettering.lacking(face, needed)
    if missing:
        raise _Wrong(
            key,
            f": the face {name} lacks the character {missing[0]!r} (U+{ord(missing[0]):04X}): "
            "name another face or take the character out of the patterns",
        )
