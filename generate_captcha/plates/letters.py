"""The lettering of plates: letters of exactly the size asked for, from fonts and from strokes.

A layout names faces by what they look like (:data:`ROLES`), or by file. Whatever the face, capitals and digits
come as tall as the row, and narrow or wide as the plate has room.
"""

from __future__ import annotations

import functools
import itertools
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from crnn_reader.errors import UserError
from generate_captcha.text import fonts, glyphs, strokes
from generate_captcha.text.fonts import FONT_SUFFIXES, Font
from generate_captcha.text.strokes import Drawn

Mask: TypeAlias = NDArray[np.uint8]
Face: TypeAlias = Font | Drawn

#: Height, in pixels, at which letters are drawn before they are brought to their size.
MASTER = 96

#: Second forms that the letters of one maker have together (:mod:`generate_captcha.text.strokes`).
FORMS = (
    "", "41 61 91 A2", "11 31 71 J1 42 V1", "A1 I1 21 43 Q1", "13 21 M1 A2 Q1", "13 22 G1 W1 42 61 91 I1 A2 V1",
    "14 22 43 81 M2 I1 Q1", "21 11 61 91 J1 42",
)  # fmt: skip
#: Dies of plate makers: light to heavy, round to square, each with two sets of forms.
DIES = tuple(
    Drawn(weight, round_, FORMS[(number + shift) % len(FORMS)])
    for number, (weight, round_) in enumerate(itertools.product((0.09, 0.11, 0.13, 0.155), (0.28, 0.5)))
    for shift in (0, 3)
)
#: How the parts of a Hangul or Han letter differ from what font makers give them: plate makers, who draw them narrow,
#: share the room out otherwise. How much larger what is left of and above the middle is, and how much of the height the
#: left part hangs above the foot of the right one. The first is as in the font; Hangul, whose long strokes would be
#: bent, takes those where nothing hangs.
SHARES = tuple(itertools.product((0.0, -0.3, 0.3), (0.0, -0.25, 0.25)))
PROPORTIONS = tuple((across, down, hung) for hung in (0.0, 0.22) for across, down in SHARES)
#: Pixels of :data:`MASTER` around the strokes of fonts that are lighter than plates are lettered.
LIGHTER = {"NotoSansCJK-Regular.ttc": 2, "wqy-zenhei.ttc": 2, "wqy-microhei.ttc": 2}
#: Role -> what has that look: strokes, or files that packages bring.
ROLES: dict[str, tuple[Drawn | str, ...]] = {
    "die": DIES,
    "thin": tuple(face._replace(weight=0.8 * face.weight) for face in DIES),
    # A 1 that is a mere bar, for plates that leave out the I.
    "bar": tuple(face._replace(weight=0.9 * face.weight, forms=f"{face.forms} 12") for face in DIES),
    # An I with serifs: next to it a 1 may be a bar, with hardly a flag or with a foot as well. Some have an S whose
    # middle falls, and an M and a W no wider than the others.
    "american": tuple(
        face._replace(forms=f"{face.forms} I1 {one} {others}")
        for face, one, others in zip(
            DIES, itertools.cycle(("", "14", "15", "", "12")), itertools.cycle(("", "S1", "S1 M3 W2", "M3 W2"))
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
    """Fonts of letters that no package brings, who brings them, and what some of the letters are drawn with besides."""

    files: tuple[tuple[str, int], ...]  #: file name and face within it; one of them at least has to be there
    package: str
    more: tuple[tuple[str, int], ...] = ()  #: fonts that are taken where they are there
    drawn: tuple[Drawn, ...] = ()  #: with these alone, the fonts may be missing


SCRIPTS = {
    "hangul": Script((("NotoSansCJK-Bold.ttc", 1), ("NotoSansCJK-Regular.ttc", 1)), "fonts-noto-cjk"),
    "han": Script(
        (("NotoSansCJK-Bold.ttc", 2), ("NotoSansCJK-Regular.ttc", 2)),
        "fonts-noto-cjk",
        (("wqy-zenhei.ttc", 0), ("wqy-microhei.ttc", 0)),
        tuple(Drawn(weight, 0.3) for weight in (0.055, 0.065, 0.075, 0.085, 0.095)),
    ),
}


class MissingFont(UserError):
    """A font that this machine lacks; the sentence says who brings it."""


def faces(name: str, folder: Path, needed: str = "") -> list[Face]:
    """The faces of the role or font file `name`; files are looked for in `folder`, too.

    Raises MissingFont when strokes alone would not do for all of `needed`, UserError when there is no such role.
    """
    if name in ROLES:
        return [Font(fonts.brought(face)) if isinstance(face, str) else face for face in ROLES[name]]
    if script := SCRIPTS.get(name):
        found = [Font(path, face) for file, face in script.files if (path := _of_system(file))]
        if not found and (not script.drawn or lacking(script.drawn[0], needed)):
            raise MissingFont(
                f"letters of the kind {name!r} need {script.files[0][0]}, which this machine lacks: "
                f"install the package {script.package} (Debian, Ubuntu), or leave such layouts out with --layouts"
            )
        more = [Font(path, face) for file, face in script.more if (path := _of_system(file))]
        return [*script.drawn, *found, *more]
    if Path(name).suffix.lower() in FONT_SUFFIXES:
        own = folder / name
        return [Font(own if own.is_file() else fonts.brought(name))]
    raise UserError(f"{name!r} is not a face: name one of {', '.join((*ROLES, *SCRIPTS))}, or a font file")


def lacking(face: Face, characters: Sequence[str]) -> list[str]:
    """Those of `characters` that `face` cannot draw. Raises UserError for a file that is no font."""
    has = set(strokes.characters()) if isinstance(face, Drawn) else _characters(face)
    return [character for character in characters if character not in has]


@functools.cache
def _characters(font: Font) -> set[str]:
    return fonts.characters(font.path)[font.face]


@functools.cache
def _of_system(file: str) -> Path | None:
    """A font file of the system or the user, wherever such are kept."""
    home = Path.home()
    folders = {
        "win32": [Path(os.environ.get("WINDIR", "C:/Windows"), "Fonts")],
        "darwin": [Path("/Library/Fonts"), Path("/System/Library/Fonts"), home / "Library/Fonts"],
    }.get(sys.platform, [])
    folders += [Path("/usr/share/fonts"), Path("/usr/local/share/fonts"), home / ".local/share/fonts", home / ".fonts"]
    found = (path for folder in folders if folder.is_dir() for path in sorted(folder.rglob(file)))
    return next(found, None)


def width(face: Face, character: str, weight: int = 0) -> float:
    """Width / height of a capital or digit as `face` has it."""
    ink = _master(face, character, weight)
    return ink.shape[1] / ink.shape[0]


# 8,192 letters of 40 × 24 pixels are 8 MB.
@functools.lru_cache(maxsize=8192)
def letter(face: Face, character: str, size: tuple[int, int], weight: int = 0, proportion: int = 0) -> Mask:
    """The ink of `character`, filling `size` (width, height): uint8 (height, width).

    `weight` pixels of :data:`MASTER` are added around the ink, or taken away; `proportion` is a place in
    :data:`PROPORTIONS`.
    """
    master = _master(face, character, weight)
    if proportion:
        master = _proportioned(master, *PROPORTIONS[proportion])
    ink = cv2.resize(master, size, interpolation=cv2.INTER_AREA)
    # The cache hands the same array to every picture.
    ink.setflags(write=False)
    return ink


def _proportioned(master: Mask, across: float, down: float, hung: float) -> Mask:
    """`master` with what is left of and above its middle made larger (above 0) or smaller; its sides stay.

    `hung` of the height is then free below its left part.
    """
    height, width = master.shape
    x, y = np.linspace(0, 1, width, dtype=np.float32), np.linspace(0, 1, height, dtype=np.float32)
    foot = 1 - np.float32(hung) * (2 - 4 * x).clip(0, 1)
    # Monotone while the shares are less than 1.
    x -= np.float32(across / math.pi) * np.sin(np.float32(math.pi) * x)
    y -= np.float32(down / math.pi) * np.sin(np.float32(math.pi) * y)
    columns, rows = np.meshgrid(x * (width - 1), y * (height - 1))
    rows /= foot
    return cv2.remap(master, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)


# 4,096 of 96 × 60 pixels are 24 MB.
@functools.lru_cache(maxsize=4096)
def _master(face: Face, character: str, weight: int) -> Mask:
    """`character` at :data:`MASTER` pixels, cut to its ink."""
    if isinstance(face, Drawn):
        return strokes.draw(face._replace(weight=face.weight + weight / MASTER), character, MASTER)
    ink = np.pad(glyphs.glyph(face, round(1.4 * MASTER), character), 8)
    weight += LIGHTER.get(face.path.name, 0)
    if weight:
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (abs(weight) + 1,) * 2)
        ink = (cv2.dilate if weight > 0 else cv2.erode)(ink, kernel)
    rows, columns = np.flatnonzero(ink.max(axis=1) > 64), np.flatnonzero(ink.max(axis=0) > 64)
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


# 4,096 lines of 20 × 150 pixels are 12 MB.
@functools.lru_cache(maxsize=4096)
def line(face: Font, text: str, height: int) -> Mask:
    """Small print: `text` with capitals `height` pixels tall, cut to its ink."""
    from generate_captcha.text import typesetting

    setting = typesetting.measure(face, text, 0.0)
    ink, _, _ = typesetting.draw(face, text, setting, max(4, round(height / 0.72)))
    pad = typesetting.PAD
    ink = np.ascontiguousarray(ink[pad:-pad, pad:-pad])
    ink.setflags(write=False)
    return ink
