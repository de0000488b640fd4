"""The fields of a layout file: one country and kind of plate. Lengths are in millimetres from the upper left corner.

docs/plates.md describes the fields and shows how to add a country.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from generate_captcha.plates.letters import Face
from generate_captcha.plates.patterns import Pattern, Rows
from generate_captcha.plates.random_texts import RandomTexts
from generate_captcha.seeded_random import SeededRandom
from generate_captcha.text.fonts import Font

#: Maximum length or coordinate, in millimetres.
MAX_LENGTH = 3000

HexColour = Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]
HexColours = Annotated[tuple[HexColour, ...], Field(min_length=1)]
Strings = Annotated[tuple[str, ...], Field(min_length=1)]
Chance = Annotated[float, Field(ge=0, le=1)]
Length = Annotated[float, Field(gt=0, le=MAX_LENGTH)]
Distance = Annotated[float, Field(ge=0, le=MAX_LENGTH)]
Coordinate = Annotated[float, Field(ge=-MAX_LENGTH, le=MAX_LENGTH)]
Point = tuple[Coordinate, Coordinate]
Side = Literal["left", "right", "top", "bottom"]


class Table(BaseModel):
    """A table of a layout file: immutable, without unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Paint(Table):
    """Colours that belong together. Each plate has one of its layout's paints."""

    ground: HexColours = Field(description="Colours of the background, as a gradient from the top down.")
    ink: HexColour = Field(description="Colour of the letters.")
    rim: HexColour | None = Field(None, description="Colour of the border, if it differs from the ink.")
    graphics: tuple[Literal["hills", "sun", "waves", "rays", "clouds", "stars", "stripe", "figure", "mesh"], ...] = (
        Field((), description="Pictures on the background, each drawn at random.")
    )
    colours: tuple[HexColour, ...] = Field((), description="Pale colours of the graphics.")
    weight: float = Field(1.0, gt=0, description="Frequency relative to the other paints.")


class Border(Table):
    """A line around the plate."""

    width: Length = Field(description="Width of the line.")
    inset: Distance = Field(0.0, description="Distance from the plate's edge to the line.")
    radius: Distance = Field(8.0, description="Radius of its corners.")


class Band(Table):
    """A strip of another colour along one side."""

    side: Side = Field("left", description="Side of the plate.")
    width: Length = Field(description="Width of the strip.")
    colour: HexColour = Field("#003399", description="Colour of the strip.")
    ink: HexColour = Field("#ffffff", description="Colour of its text.")
    texts: tuple[str, ...] = Field((), description="Country codes; one of them, at the bottom or in the middle.")
    symbol: Literal["none", "stars", "flag", "disc"] = Field("none", description="Above the text, or left of it.")
    flag: tuple[HexColour, ...] = Field((), description="Stripes of the flag, from the top down.")
    chance: Chance = Field(1.0, description="Probability of the strip.")


class Row(Table):
    """Position and spacing of a row of letters."""

    box: tuple[float, float, float, float] = Field(description="Left, top, right, bottom; letters are as tall as it.")
    letter: Length = Field(description="Width of the widest letter, or of all if fixed.")
    far_east: Length | None = Field(None, description="Width of letters of other scripts, by default 1.2 times letter.")
    gap: Distance = Field(description="Space between two letters.")
    space: Length = Field(20.0, description="Width of a separator, instead of a gap.")
    fixed: bool = Field(False, description="Whether narrow letters (I, 1) take the room of wide ones.")
    spread: Chance = Field(0.0, description="How much of the free width the letters and gaps take, at most.")
    align: Literal["left", "centre", "right"] = Field("centre", description="Position of the row in its box.")
    ink: HexColour | None = Field(None, description="Colour of this row, if it differs.")
    repeat: dict[str, str] = Field(
        {}, description="Characters in another script, by those of the row, that repeat it and are not in the label."
    )
    repeat_box: tuple[float, float, float, float] | None = Field(None, description="Box of the repeated row.")


class Print(Table):
    """Small print that is not part of the label."""

    texts: Strings = Field(description="Texts; one of them.")
    at: Point = Field(description="Centre.")
    height: Length = Field(description="Height of capitals.")
    width: Length = Field(400.0, description="Largest width.")
    inks: tuple[HexColour, ...] = Field((), description="Colours; one of them, by default that of the letters.")
    faces: tuple[str, ...] = Field(("grotesk",), description="Roles or font files.")
    stacked: bool = Field(False, description="Whether its characters stand one above the other.")
    chance: Chance = Field(1.0, description="Probability of the print.")


class Mark(Table):
    """A seal, sticker or emblem."""

    kind: Literal[
        "seal", "sticker", "disc", "dot", "star", "shield", "figure", "stripes", "dash", "crest", "tree", "wheelchair",
        "flag", "bolt",
    ] = Field(description="Kind of mark.")  # fmt: skip
    at: Point | Literal["gap"] = Field(description="Centre; `gap` is the first separator of the first row.")
    offset: Coordinate = Field(0.0, description="Distance below the centre of the gap.")
    size: tuple[Length, Length] = Field(description="Width and height.")
    colours: HexColours = Field(description="Colours; one of them, or for stripes all of them from the left.")
    texts: tuple[str, ...] = Field((), description="Texts of stickers; one of them.")
    chance: Chance = Field(1.0, description="Probability of the mark.")


class LayoutFields(Table):
    """A layout file: a plate of one country and kind."""

    title: str = Field(description="Country and kind, in words.")
    size: tuple[Length, Length] = Field(description="Width and height of the plate.")
    weight: float = Field(1.0, gt=0, description="Frequency relative to other layouts.")
    radius: Distance = Field(10.0, description="Radius of the plate's corners.")
    patterns: Strings = Field(description="Patterns (generate_captcha/plates/patterns.py), all equally likely.")
    letters: str = Field("A-Z", min_length=1, description="The letters that `A` stands for; ranges as A-Z.")
    digits: str = Field("0-9", min_length=1, description="The digits that `9` stands for.")
    lists: dict[str, tuple[str, ...] | str] = Field(
        {}, description="Lists by name; a string is a list of its characters."
    )
    random_texts: Chance = Field(
        0.25, description="Share of plates with random characters of the layout in place of a text of its patterns."
    )
    faces: Strings = Field(("die", "grotesk"), description="Roles (docs/plates.md) or font files; one face per plate.")
    far_east: Literal["hangul", "han", "japanese", "thai", "arabic"] = Field(
        "han", description="Role of the letters of other scripts than Latin, Greek and Cyrillic."
    )
    relief: Chance = Field(0.5, description="Probability that the letters are embossed.")
    paints: Annotated[tuple[Paint, ...], Field(min_length=1)] = Field(description="Its colours.")
    border: Border | None = Field(None, description="A line around it.")
    bands: tuple[Band, ...] = Field((), description="Strips along its sides.")
    rows: Annotated[tuple[Row, ...], Field(min_length=1, max_length=3)] = Field(description="From the top down.")
    prints: tuple[Print, ...] = Field((), description="Small print.")
    marks: tuple[Mark, ...] = Field((), description="Seals, stickers, emblems.")
    screws: tuple[Point, ...] = Field((), description="Centres of screws and their caps, which may touch letters.")


@dataclass(frozen=True)
class Layout:
    """A layout file with its parsed patterns and its faces. `layout_files.read_layout` creates it."""

    path: Path
    fields: LayoutFields
    patterns: tuple[Pattern, ...]
    latin_faces: tuple[Face, ...]
    full_width_faces: tuple[Face, ...]  #: of letters of other scripts (`far_east`); empty if the layout has none
    print_faces: tuple[tuple[Font, ...], ...]  #: of each of the prints
    random_texts: RandomTexts

    @property
    def name(self) -> str:
        """The file's name without its suffix."""
        return self.path.stem

    def write(self, rng: SeededRandom) -> Rows:
        """Return the text of a plate, row by row: of one of the patterns, or random."""
        rows = rng.choice(self.patterns).write(rng)
        return self.random_texts.write(rows, rng) if rng.random() < self.fields.random_texts else rows

    @property
    def letter_height(self) -> float:
        """Height of the letters of the lowest row, in millimetres."""
        return min(row.box[3] - row.box[1] for row in self.fields.rows)

    def expression(self, separators: bool = False) -> str:
        """Return the regular expression of the labels of its patterns, for a full match. Random texts may not match."""
        return f"(?:{'|'.join(pattern.expression(separators) for pattern in self.patterns)})"
