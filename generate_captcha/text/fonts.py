"""Fonts: the free ones that installed packages contain, or a folder of the user's own."""

from __future__ import annotations

import functools
import importlib.util
import logging
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
#: First code point of the characters that are as wide as high: ideographs, Kana, Hangul.
FULL_WIDTH = 0x2E80

#: Package -> the folder in it that contains fonts: Droid Sans Mono (Apache License 2.0); DejaVu (Bitstream Vera
#: licence), STIX (its own free licence), Computer Modern (AMS, free); Source Sans Pro and Hanken Grotesk (SIL Open Font
#: License 1.1).
PACKAGES = {
    "captcha": "data",
    "matplotlib": "mpl-data/fonts/ttf",
    "font_source_sans_pro": "files",
    "font_hanken_grotesk": "files",
}

#: Faces of these packages for lines of text and captchas.
TEXT_FONTS = (
    "DroidSansMono.ttf",
    "DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSans-Oblique.ttf", "DejaVuSans-BoldOblique.ttf",
    "DejaVuSansMono.ttf", "DejaVuSansMono-Bold.ttf", "DejaVuSansMono-Oblique.ttf",
    "DejaVuSerif.ttf", "DejaVuSerif-Bold.ttf", "DejaVuSerif-Italic.ttf", "DejaVuSerif-BoldItalic.ttf",
    "STIXGeneral.ttf", "STIXGeneralBol.ttf", "STIXGeneralItalic.ttf", "STIXGeneralBolIta.ttf",
    "cmr10.ttf", "cmb10.ttf", "cmss10.ttf", "cmti10.ttf", "cmtt10.ttf",
    "HankenGrotesk-Regular.otf", "HankenGrotesk-Italic.otf", "HankenGrotesk-Bold.otf",
    "SourceSansPro-Light.ttf", "SourceSansPro-Regular.ttf", "SourceSansPro-It.ttf", "SourceSansPro-Bold.ttf",
    "SourceSansPro-Black.ttf",
)  # fmt: skip

#: Computer Modern was made for TeX and draws some characters as others, `<` as `¡`. These characters are right.
TEX_CHARACTERS = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 !#%&'()*+,-./:;=?@[]")
TEX_FONTS = {"cmb10.ttf", "cmr10.ttf", "cmss10.ttf", "cmti10.ttf"}

#: In a font's `cmap` table: platform and encoding of subtables that cover all of Unicode, and their usual format.
FULL_UNICODE, SEGMENTED_COVERAGE = {(3, 10), (0, 4), (0, 6)}, 12


class Font(NamedTuple):
    """A font file and, in a collection, the number of the face."""

    path: Path
    face: int = 0

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.name


def choose_fonts(
    folder: str | None,
    names: Sequence[str],
    alphabet: str,
    *,
    skip_incomplete: bool = False,
    allow_incomplete: bool = False,
) -> list[Font]:
    """Find the fonts in `folder`, sorted by path, or those called `names` in installed packages if `folder` is None.

    In a collection, these are the faces that have all characters of `alphabet`.

    Arguments:
        skip_incomplete: leave out fonts of packages that lack a character of `alphabet`, as long as one has them all.
        allow_incomplete: also return fonts that lack characters of `alphabet`, as long as one has each character.

    Raises:
        UserError: there is no font, one cannot be read, or one lacks a character of `alphabet` (with
            `allow_incomplete`: all do).
    """
    paths = _fonts_in(folder) if folder is not None else [packaged_font(name) for name in names]
    fonts: list[Font] = []
    anywhere = set[str]()
    first_error: UserError | None = None
    for path in paths:
        faces = characters(path)
        if allow_incomplete:
            faces = [drawn(Font(path, face), alphabet) for face in range(len(faces))]
        missing = [[character for character in alphabet if character not in has] for has in faces]
        usable = [not lacking or (allow_incomplete and len(lacking) < len(alphabet)) for lacking in missing]
        found = [Font(path, face) for face in range(len(faces)) if usable[face]]
        if folder is not None and not allow_incomplete:
            for font in found:
                _refuse_damaged(font, alphabet)
        fonts += found
        anywhere = anywhere.union(*(faces[font.face] for font in found))
        if all(missing):
            error = _lacking(path, min(missing, key=len))
            if not allow_incomplete and (not skip_incomplete or folder is not None):
                raise error
            first_error = first_error or error
    if allow_incomplete and (nowhere := [character for character in alphabet if character not in anywhere]):
        raise _lacking(paths[0], nowhere)
    if not fonts and first_error:
        raise first_error
    return fonts


def _lacking(path: Path, missing: Sequence[str]) -> UserError:
    more = f" and {len(missing) - 1:,} more" if len(missing) > 1 else ""
    return UserError(
        f"the font {path.name} lacks the character {missing[0]!r} (U+{ord(missing[0]):04X}){more} of the alphabet: "
        "remove it from the alphabet, or give a folder of fonts that have it (docs/lines.md says where to find them)",
        parameter="fonts",
    )


@functools.cache  # Drawing hundreds of characters takes a tenth of a second.
def drawn(font: Font, alphabet: str) -> set[str]:
    """Return the characters of `alphabet` that a font has and draws as something. Raises UserError if it is damaged."""
    from PIL import ImageFont

    has = characters(font.path)[font.face]
    try:
        opened = ImageFont.truetype(str(font.path), 32, index=font.face)
        return {character for character in alphabet if character in has and opened.getmask(character).getbbox()}
    except (OSError, ValueError, OverflowError, MemoryError) as error:
        raise _damaged(font, error) from error


def _refuse_damaged(font: Font, alphabet: str) -> None:
    """Raise UserError if FreeType cannot draw the characters of `alphabet` with `font`, or draws nothing for one."""
    from PIL import ImageFont

    try:
        opened = ImageFont.truetype(str(font.path), 32, index=font.face)
        for character in alphabet:
            # Without the outline of a glyph, pictures would lack a character that their labels have.
            if not opened.getmask(character).getbbox() and unicodedata.category(character)[0] not in "CMZ":
                raise ValueError(f"it draws nothing for {character!r}")
    except (OSError, ValueError, OverflowError, MemoryError) as error:
        raise _damaged(font, error) from error


def _damaged(font: Font, error: Exception) -> UserError:
    return UserError(f"{font.path} is damaged ({error}): remove it or choose another folder of fonts", "fonts")


@functools.cache  # Each package takes a search of the import path.
def packaged_font(name: str) -> Path:
    """Return the path of a font file in an installed package. Raises UserError if there is none."""
    for package, folder in PACKAGES.items():
        # The package is located but not imported: importing matplotlib takes long.
        spec = importlib.util.find_spec(package)
        for place in (spec.submodule_search_locations or []) if spec else []:
            path = Path(place, folder, name)
            if path.is_file():
                return path
    raise UserError(
        f"the font {name} is in none of the packages {', '.join(PACKAGES)}: install them again, or give a folder of "
        "fonts",
        parameter="fonts",
    )


def _fonts_in(folder: str) -> list[Path]:
    if not Path(folder).is_dir():
        raise UserError(f"there is no folder {folder}: give one with .ttf, .otf or .ttc files", parameter="fonts")
    paths = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in FONT_SUFFIXES)
    if not paths:
        raise UserError(
            f"the folder {folder} has no .ttf, .otf or .ttc file: add some or choose another one", parameter="fonts"
        )
    return paths


@functools.cache  # Opening a font takes milliseconds, and styles are created often.
def characters(path: Path) -> list[set[str]]:
    """Return the characters that each face of a font file has. Raises UserError if the file is not a font."""
    from fontTools.ttLib import TTCollection, TTFont

    # It warns of harmless faults of tables, without the name of the font.
    logging.getLogger("fontTools").setLevel(logging.ERROR)
    try:
        with bounded.open_regular(path) as file:
            collection = file.read(4) == b"ttcf"
        with TTCollection(path, lazy=True) if collection else TTFont(path, lazy=True) as opened:
            found = [_characters(face) for face in (opened.fonts if collection else [opened])]
    except Exception as error:  # fontTools raises all kinds of exceptions for damaged files.
        if isinstance(error, OSError) and error.filename:
            raise
        raise UserError(
            f"{path} is not a font that can be read ({error}): remove it or choose another folder of fonts"
        ) from error
    return [has & TEX_CHARACTERS for has in found] if path.name in TEX_FONTS else found


def _characters(face: TTFont) -> set[str]:
    # fontTools would also look up the name of every glyph, 0.1 s for each face of a CJK collection. The groups in the
    # table (first and last character, first glyph) are enough.
    data = face.reader["cmap"]
    (tables,) = struct.unpack_from(">H", data, 2)
    for table in range(tables):
        *kind, offset = struct.unpack_from(">HHL", data, 4 + 8 * table)
        if tuple(kind) in FULL_UNICODE and struct.unpack_from(">H", data, offset) == (SEGMENTED_COVERAGE,):
            (groups,) = struct.unpack_from(">L", data, offset + 12)
            return {
                chr(point)
                for first, last, glyph in struct.iter_unpack(">LLL", data[offset + 16 : offset + 16 + 12 * groups])
                # Glyph 0 stands for missing characters.
                for point in range(first + (glyph == 0), last + 1)
            }
    return set(map(chr, face.getBestCmap() or ()))
