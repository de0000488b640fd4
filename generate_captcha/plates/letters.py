"""Letters of plates in exactly the size asked for, from fonts and from strokes.

A layout names faces by their look (:data:`ROLES`) or by file. Capitals and digits of any face are scaled to the height
of the row and to the width that the plate has room for.
"""

from __future__ import annotations

import functools
import itertools
import math
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import cv2
import numpy as np

from crnn_reader.errors import UserError
from generate_captcha.arrays import Mask
from generate_captcha.seeded_random import SeededRandom
from generate_captcha.text import fonts, glyphs, strokes, typesetting
from generate_captcha.text.fonts import FONT_SUFFIXES, Font
from generate_captcha.text.strokes import StrokeFont

Face: TypeAlias = Font | StrokeFont

#: Height in pixels at which letters are drawn before they are scaled.
MASTER = 96

#: Seed of the forms of the dies.
FORMS_SEED = 26
#: Probability that a die has another form of a letter than the first one.
OTHER_FORM = 0.6


def _dies() -> Iterator[StrokeFont]:
    """Dies of plate makers: light to heavy, square to round, each with its own choice of letter forms."""
    rng = SeededRandom(FORMS_SEED)
    # A 1 of a single bar, an I with serifs and a 0 with a slash are for dies of their own.
    rare = ("1c", "Ib", "Ic", "0b")
    usual = [[form for form in forms if form not in rare] for forms in strokes.other_forms().values()]
    for weight, radius in itertools.product((0.085, 0.1, 0.115, 0.135, 0.16), (0.18, 0.28, 0.4, 0.5)):
        forms = [rng.choice(others) for others in usual if others and rng.random() < OTHER_FORM]
        yield StrokeFont(weight, radius, " ".join(forms))
    yield StrokeFont(0.13, 0.28, "0b Ab 1g 4d")


DIES = tuple(_dies())
#: Plate makers proportion the parts of Hangul and Han letters differently from fonts. The three numbers are by how much
#: the parts left of and above the middle are enlarged, and by which fraction of the height the left part is raised. The
#: first are the font's own. Hangul uses only those that raise nothing: raising would bend its long strokes.
PART_SIZES = tuple(itertools.product((0.0, -0.3, 0.3), (0.0, -0.25, 0.25)))
PROPORTIONS = tuple((across, down, raised) for raised in (0.0, 0.22) for across, down in PART_SIZES)
#: File name of the font of bands, stickers and frames.
SMALL_FONT = "SourceSansPro-Bold.ttf"
#: Pixels of :data:`MASTER` added around the strokes of fonts that are lighter than letters on plates.
EXTRA_WEIGHT = {"NotoSansCJK-Regular.ttc": 2, "wqy-zenhei.ttc": 2, "wqy-microhei.ttc": 2}
#: Role -> faces of that look: strokes, or font files in packages.
ROLES: dict[str, tuple[StrokeFont | str, ...]] = {
    "die": DIES,
    "thin": tuple(face._replace(weight=0.8 * face.weight) for face in DIES),
    # A 1 that is a single bar, for plates without I.
    "bar": tuple(face._replace(weight=0.9 * face.weight, forms=f"{face.forms} 1c") for face in DIES),
    # An I with serifs, so that a 1 may be a bar, or have a small flag or a foot. Some have an S with a diagonal middle,
    # and an M and a W no wider than other letters.
    "american": tuple(
        face._replace(forms=f"{face.forms} {i} {one} {others}")
        for face, i, one, others in zip(
            DIES,
            itertools.cycle(("Ib", "Ic", "Ib")),
            itertools.cycle(("", "1e", "1f", "", "1c")),
            itertools.cycle(("", "Sb Mb We", "Sb Md Wc", "Md Wc", "Mb We")),
        )
    ),
    "grotesk": (
        "SourceSansPro-Semibold.ttf", "SourceSansPro-Bold.ttf", "HankenGrotesk-Medium.otf",
        "HankenGrotesk-SemiBold.otf", "HankenGrotesk-Bold.otf", "DejaVuSans.ttf", "DejaVuSans-Bold.ttf",
    ),
    "bold": (
        "SourceSansPro-Bold.ttf", "SourceSansPro-Black.ttf", "HankenGrotesk-Bold.otf", "DejaVuSans-Bold.ttf",
    ),
    "mono": ("DejaVuSansMono.ttf", "DejaVuSansMono-Bold.ttf", "DroidSansMono.ttf"),
    "serif": ("DejaVuSerif.ttf", "DejaVuSerif-Bold.ttf", "STIXGeneralBol.ttf"),
    "script": ("DejaVuSerif-BoldItalic.ttf", "STIXGeneralBolIta.ttf", "DejaVuSerif-Italic.ttf"),
}  # fmt: skip


class Script(NamedTuple):
    """Fonts of a script that no Python package contains, and how the system gets them."""

    files: tuple[tuple[str, int], ...]  #: file name and number of the face; at least one is needed
    package: str  #: the system's package of `files`
    packaged: tuple[str, ...] = ()  #: fonts of Python packages; if there are any, no file of the system is needed
    optional: tuple[tuple[str, int], ...] = ()  #: fonts that are used if they are installed
    strokes: tuple[StrokeFont, ...] = ()  #: if these have all characters, no file is needed


SCRIPTS = {
    "hangul": Script((("NotoSansCJK-Bold.ttc", 1), ("NotoSansCJK-Regular.ttc", 1)), "fonts-noto-cjk"),
    "han": Script(
        (("NotoSansCJK-Bold.ttc", 2), ("NotoSansCJK-Regular.ttc", 2)),
        "fonts-noto-cjk",
        optional=(("wqy-zenhei.ttc", 0), ("wqy-microhei.ttc", 0)),
        strokes=tuple(StrokeFont(weight, 0.3) for weight in (0.055, 0.065, 0.075, 0.085, 0.095)),
    ),
    "japanese": Script((("NotoSansCJK-Bold.ttc", 0), ("NotoSansCJK-Regular.ttc", 0)), "fonts-noto-cjk"),
    "thai": Script(
        (("NotoSansThai-Bold.ttf", 0), ("NotoSansThai-Regular.ttf", 0)),
        "fonts-noto-core",
        optional=tuple((f"{name}-Bold.ttf", 0) for name in ("Loma", "Garuda", "Waree", "Umpush", "Laksaman")),
    ),
    "arabic": Script(
        (),
        "fonts-noto-core",
        ("DejaVuSans-Bold.ttf", "DejaVuSans.ttf", "DejaVuSansMono-Bold.ttf"),
        (
            ("NotoSansArabic-Bold.ttf", 0), ("NotoSansArabic-Regular.ttf", 0), ("NotoKufiArabic-Bold.ttf", 0),
            ("NotoNaskhArabic-Bold.ttf", 0),
        ),
    ),
}  # fmt: skip
#: Scripts whose letters keep their proportions. Those of the others are scaled to the height of the row.
NATURAL = {"thai", "arabic"}
#: Letters that plates show in another than their isolated form.
FORMS_ON_PLATES = {"ه": "\ufeeb"}
#: First and last characters of Arabic and Thai. With those from :data:`fonts.FULL_WIDTH` on, they have their own faces.
OTHER_SCRIPTS = (("\u0600", "\u06ff"), ("\u0e00", "\u0e7f"))
#: First and last character of Hiragana.
KANA = ("\u3041", "\u309f")
#: A letter or digit of each natural script that is as tall as the row.
MEASURES = {"thai": "ก", "arabic": "٨"}


def is_other_script(character: str) -> bool:
    """Whether a character is not drawn with the face of Latin letters, but with that of `far_east`."""
    return ord(character) >= fonts.FULL_WIDTH or any(first <= character <= last for first, last in OTHER_SCRIPTS)


class MissingFont(UserError):
    """A font that the system lacks. The message says which package contains it."""


def faces(name: str, folder: Path, needed: str = "") -> list[Face]:
    """Return the faces of a role or font file.

    Arguments:
        name: of the role, or of a font file in `folder` or in a package.
        needed: characters that the faces will draw.

    Raises:
        MissingFont: a font is not installed, and strokes lack some of `needed`.
        UserError: there is no such role or file.
    """
    if name in ROLES:
        return [Font(fonts.packaged_font(face)) if isinstance(face, str) else face for face in ROLES[name]]
    if script := SCRIPTS.get(name):
        found = [Font(fonts.packaged_font(file)) for file in script.packaged]
        found += [Font(path, face) for file, face in script.files if (path := system_font(file))]
        if not found and (not script.strokes or missing_characters(script.strokes[0], needed)):
            raise MissingFont(
                f"letters of the kind {name!r} need {script.files[0][0]}, which this machine lacks: "
                f"install the package {script.package} (Debian, Ubuntu), or choose layouts without such letters"
            )
        optional = [Font(path, face) for file, face in script.optional if (path := system_font(file))]
        return [*script.strokes, *found, *optional]
    if Path(name).suffix.lower() in FONT_SUFFIXES:
        own = folder / name
        return [Font(own if own.is_file() else fonts.packaged_font(name))]
    raise UserError(f"{name!r} is not a face: name one of {', '.join((*ROLES, *SCRIPTS))}, or a font file")


def missing_characters(face: Face, characters: Sequence[str]) -> list[str]:
    """Return those of `characters` that `face` cannot draw. Raises UserError for a file that is not a font."""
    has = set(strokes.characters()) if isinstance(face, StrokeFont) else _characters(face)
    return [character for character in characters if character not in has]


@functools.cache
def _characters(font: Font) -> set[str]:
    return fonts.characters(font.path)[font.face]


@functools.cache
def system_font(file: str) -> Path | None:
    """Return the path of a font file in the font folders of the system or the user, or None."""
    home = Path.home()
    folders = {
        "win32": [Path(os.environ.get("WINDIR", "C:/Windows"), "Fonts")],
        "darwin": [Path("/Library/Fonts"), Path("/System/Library/Fonts"), home / "Library/Fonts"],
    }.get(sys.platform, [])
    folders += [Path("/usr/share/fonts"), Path("/usr/local/share/fonts"), home / ".local/share/fonts", home / ".fonts"]
    found = (path for folder in folders if folder.is_dir() for path in sorted(folder.rglob(file)))
    return next(found, None)


def aspect(face: Face, character: str, weight: int = 0) -> float:
    """Return width / height of a capital or digit of `face`."""
    mask = _master(face, character, weight)
    return mask.shape[1] / mask.shape[0]


@functools.lru_cache(maxsize=4096)
def extent(face: Face, character: str, script: str) -> tuple[float, float]:
    """Return top and bottom of a letter of a natural script, as fractions of the row's height from its top.

    Thai letters stand on one line and may be taller than the row; Arabic letters stand in its middle, as on plates.
    """
    top, bottom = _ink_rows(face, character)
    first, last = _ink_rows(face, MEASURES[script])
    height = last - first
    if script == "arabic" and not character.isdigit():
        part = min(1.0, max(0.55, 1.25 * (bottom - top) / height))
        return (1 - part) / 2, (1 + part) / 2
    return max(-0.25, (top - first) / height), min(1.25, (bottom - first) / height)


def _ink_rows(face: Face, character: str) -> tuple[int, int]:
    """Return the first row of a letter's ink, and the one after the last."""
    assert isinstance(face, Font)
    rows = np.flatnonzero(glyphs.draw_glyph(face, MASTER, _shown(face, character)).max(axis=1) > 64)
    return int(rows[0]), int(rows[-1]) + 1


def _shown(face: Font, character: str) -> str:
    form = FORMS_ON_PLATES.get(character)
    return form if form and form in _characters(face) else character


# 8,192 letters of 40 x 24 pixels take 8 MB.
@functools.lru_cache(maxsize=8192)
def draw_letter(face: Face, character: str, size: tuple[int, int], weight: int = 0, proportion: int = 0) -> Mask:
    """Draw `character` so that its ink fills `size` (width, height): uint8 (height, width), read-only.

    Arguments:
        weight: pixels of :data:`MASTER` added around the strokes; negative to remove them.
        proportion: index in :data:`PROPORTIONS`.
    """
    master = _master(face, character, weight)
    if proportion:
        master = _change_proportions(master, *PROPORTIONS[proportion])
    mask = cv2.resize(master, size, interpolation=cv2.INTER_AREA)
    # All callers share the cached array.
    mask.setflags(write=False)
    return mask


def _change_proportions(master: Mask, across: float, down: float, raised: float) -> Mask:
    """Enlarge the parts left of and above the middle (negative: reduce them), keeping the outline.

    `raised` is the fraction of the height that becomes empty below the left part.
    """
    height, width = master.shape
    x, y = np.linspace(0, 1, width, dtype=np.float32), np.linspace(0, 1, height, dtype=np.float32)
    foot = 1 - np.float32(raised) * (2 - 4 * x).clip(0, 1)
    # Monotonic because across and down are less than 1.
    x -= np.float32(across / math.pi) * np.sin(np.float32(math.pi) * x)
    y -= np.float32(down / math.pi) * np.sin(np.float32(math.pi) * y)
    columns, rows = np.meshgrid(x * (width - 1), y * (height - 1))
    rows /= foot
    return cv2.remap(master, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)


# 8,192 letters of 96 x 60 pixels take 48 MB.
@functools.lru_cache(maxsize=8192)
def _master(face: Face, character: str, weight: int) -> Mask:
    """`character` with a height of :data:`MASTER` pixels, cropped to its ink."""
    if isinstance(face, StrokeFont):
        return strokes.draw(face._replace(weight=face.weight + weight / MASTER), character, MASTER)
    mask = np.pad(glyphs.draw_glyph(face, round(1.4 * MASTER), _shown(face, character)), 8)
    weight += EXTRA_WEIGHT.get(face.path.name, 0)
    if weight:
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (abs(weight) + 1,) * 2)
        mask = (cv2.dilate if weight > 0 else cv2.erode)(mask, kernel)
    rows, columns = np.flatnonzero(mask.max(axis=1) > 64), np.flatnonzero(mask.max(axis=0) > 64)
    return mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def small_font() -> Font:
    """Return the font of bands, stickers and frames."""
    return Font(fonts.packaged_font(SMALL_FONT))


# 4,096 lines of 20 x 150 pixels take 12 MB.
@functools.lru_cache(maxsize=4096)
def draw_small_print(face: Font, text: str, height: int) -> Mask:
    """Draw `text` with capitals of `height` pixels, cropped to its ink: uint8, read-only. Empty if it has no ink."""
    setting = typesetting.measure(face, text, 0.0)
    mask, _, _ = typesetting.draw_line(face, text, setting, max(4, round(height / 0.72)))
    pad = typesetting.PAD
    mask = np.ascontiguousarray(mask[pad:-pad, pad:-pad])
    mask.setflags(write=False)
    return mask
