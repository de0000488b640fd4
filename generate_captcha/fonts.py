"""Fonts: the free ones that installed packages bring, or a folder of the user's own."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from console import UserError

FONT_SUFFIXES = {".ttf", ".otf"}

#: Package -> the folder in it that holds fonts: Droid Sans Mono (Apache License 2.0); DejaVu (Bitstream Vera licence).
FOLDERS = {"captcha": "data", "matplotlib": "mpl-data/fonts/ttf"}


def choose(folder: str | None, names: Sequence[str], alphabet: str) -> list[Path]:
    """The font files of `folder`, or those called `names` that packages bring; sorted within a folder.

    Raises UserError when there is none, one cannot be read, or one lacks a character of `alphabet`.
    """
    paths = _in_folder(folder) if folder is not None else [brought(name) for name in names]
    for path in paths:
        characters = _characters(path)
        lacking = [character for character in alphabet if character not in characters]
        if lacking:
            more = f" and {len(lacking) - 1:,} more" if len(lacking) > 1 else ""
            raise UserError(
                f"the font {path.name} lacks the character {lacking[0]!r} (U+{ord(lacking[0]):04X}){more} "
                "of the alphabet: take it out of --alphabet, or give a folder of fonts that have it with --fonts"
            )
    return paths


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
        f"the font {name} is in none of the packages {', '.join(FOLDERS)}: install them again or give --fonts"
    )


def _in_folder(folder: str) -> list[Path]:
    if not Path(folder).is_dir():
        raise UserError(f"--fonts {folder}: no such folder; give a folder with .ttf or .otf files")
    paths = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in FONT_SUFFIXES)
    if not paths:
        raise UserError(f"--fonts {folder}: no .ttf or .otf file in there; put some in or choose another folder")
    return paths


def _characters(path: Path) -> set[str]:
    """The characters that a font has glyphs for."""
    from fontTools.ttLib import TTFont, TTLibError

    try:
        with TTFont(path, lazy=True) as font:
            return set(map(chr, font.getBestCmap() or ()))
    except (TTLibError, AssertionError, KeyError, ValueError, EOFError) as error:
        raise UserError(f"{path} is no font that can be read ({error}): remove it or choose another --fonts") from error
