"""Fonts: the free ones that installed packages bring, or a folder of the user's own."""

from __future__ import annotations

import functools
import importlib.util
import struct
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from crnn_reader import bounded
from crnn_reader.errors import UserError

if TYPE_CHECKING:
    from fontTools.ttLib import TTFont

FONT_SUFFIXES = {".ttf", ".otf", ".ttc", ".otc"}
#: From this code point on, characters stand on a grid and take the room of two: ideographs, kana, Hangul.
FAR_EAST = 0x2E80

#: Package -> the folder in it that holds fonts: Droid Sans Mono (Apache License 2.0); DejaVu
#: (Bitstream Vera licence), STIX (its own free licence), Computer Modern (AMS, free); Source Sans Pro
#: and Hanken Grotesk (SIL Open Font License 1.1).
FOLDERS = {
    "captcha": "data",
    "matplotlib": "mpl-data/fonts/ttf",
    "font_source_sans_pro": "files",
    "font_hanken_grotesk": "files",
}

#: Computer Modern was made for TeX and draws some characters as others, `<` as `¡`: what it has right.
TEX = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 !#%&'()*+,-./:;=?@[]")
TEX_FONTS = {"cmb10.ttf", "cmr10.ttf", "cmss10.ttf", "cmti10.ttf"}

#: In a font's `cmap`: platform and encoding of tables that hold all of Unicode, and the format that they mostly have.
FULL_UNICODE, SEGMENTED_COVERAGE = {(3, 10), (0, 4), (0, 6)}, 12


class Font(NamedTuple):
    """A typeface: a file, and which of its faces where it is a collection (.ttc)."""

    path: Path
    face: int = 0

    @property
    def name(self) -> str:
        return self.path.name


def choose(folder: str | None, names: Sequence[str], alphabet: str, *, any_: bool = False) -> list[Font]:
    """The fonts of `folder`, or those called `names` that packages bring; sorted within a folder.

    Of a collection, the faces that have all characters of `alphabet`. Raises UserError when there is none, one
    cannot be read, or one lacks a character of `alphabet`; with `any_`, fonts that packages bring may lack some,
    and are left out, as long as one has them all.
    """
    paths = _in_folder(folder) if folder is not None else [brought(name) for name in names]
    fonts: list[Font] = []
    lacks: UserError | None = None
    for path in paths:
        faces = characters(path)
        lacking = [[character for character in alphabet if character not in has] for has in faces]
        found = [Font(path, face) for face, missing in enumerate(lacking) if not missing]
        if folder is not None:
            for font in found:
                _refuse_damaged(font, alphabet)
        fonts += found
        if all(lacking):
            missing = min(lacking, key=len)
            more = f" and {len(missing) - 1:,} more" if len(missing) > 1 else ""
            error = UserError(
                f"the font {path.name} lacks the character {missing[0]!r} (U+{ord(missing[0]):04X}){more} "
                "of the alphabet: remove it from --alphabet, or give fonts that have it with --fonts (docs/lines.md "
                "says where to find them)"
            )
            if not any_ or folder is not None:
                raise error
            lacks = lacks or error
    if not fonts and lacks:
        raise lacks
    return fonts


def _refuse_damaged(font: Font, alphabet: str) -> None:
    """Raise UserError for a font that FreeType cannot draw the characters of `alphabet` with, or draws nothing for."""
    from PIL import ImageFont

    try:
        opened = ImageFont.truetype(str(font.path), 32, index=font.face)
        for character in alphabet:
            # Without a glyph's outline, pictures would lack a character that their labels have.
            if not opened.getmask(character).getbbox() and unicodedata.category(character)[0] not in "CMZ":
                raise ValueError(f"it draws nothing for {character!r}")
    except (OSError, ValueError, OverflowError, MemoryError) as error:
        raise UserError(f"{font.path} is damaged ({error}): remove it or choose another --fonts") from error


@functools.cache  # an import path is searched for each package
def brought(name: str) -> Path:
    """The path of a font file that a package brings. Raises UserError when it is missing."""
    for package, folder in FOLDERS.items():
        # The package is found and not imported: matplotlib takes a while.
        spec = importlib.util.find_spec(package)
        for place in (spec.submodule_search_locations or []) if spec else []:
            path = Path(place, folder, name)
            if path.is_file():
                return path
    raise UserError(
        f"the font {name} is in none of the packages {', '.join(FOLDERS)}: install them again, or give --fonts"
    )


def _in_folder(folder: str) -> list[Path]:
    if not Path(folder).is_dir():
        raise UserError(f"--fonts {folder}: no such folder; give a folder with .ttf, .otf or .ttc files")
    paths = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in FONT_SUFFIXES)
    if not paths:
        raise UserError(
            f"--fonts {folder}: no .ttf, .otf or .ttc file in this folder; add some or choose another folder"
        )
    return paths


def characters(path: Path) -> list[set[str]]:
    """The characters that a font file has glyphs for, face by face. Raises UserError when it is no font."""
    from fontTools.ttLib import TTCollection, TTFont

    try:
        with bounded.open_regular(path) as file:
            collection = file.read(4) == b"ttcf"
        with TTCollection(path, lazy=True) if collection else TTFont(path, lazy=True) as opened:
            faces = opened.fonts if collection else [opened]
            found = [_characters(face) for face in faces]
    except Exception as error:  # fontTools raises whatever a damaged file makes it stumble over.
        if isinstance(error, OSError) and error.filename:
            raise
        raise UserError(
            f"{path} is not a font that can be read ({error}): remove it or choose another --fonts"
        ) from error
    return [has & TEX for has in found] if path.name in TEX_FONTS else found


def _characters(face: TTFont) -> set[str]:
    # fontTools names every glyph on the way, which takes a tenth of a second for a CJK face, and collections have ten.
    # Its groups of characters (first, last, first glyph) are all that is asked for.
    data = face.reader["cmap"]
    (tables,) = struct.unpack_from(">H", data, 2)
    for table in range(tables):
        *kind, offset = struct.unpack_from(">HHL", data, 4 + 8 * table)
        if tuple(kind) in FULL_UNICODE and struct.unpack_from(">H", data, offset) == (SEGMENTED_COVERAGE,):
            (groups,) = struct.unpack_from(">L", data, offset + 12)
            return {
                chr(point)
                for first, last, glyph in struct.iter_unpack(">LLL", data[offset + 16 : offset + 16 + 12 * groups])
                # Glyph 0 stands for what a font lacks.
                for point in range(first + (glyph == 0), last + 1)
            }
    return set(map(chr, face.getBestCmap() or ()))
