"""Letters drawn from strokes, as the dies of plate makers press them: even weight, round ends, rounded corners.

A letter is a list of polylines in the unit square; `*` marks a corner to be rounded. One skeleton gives narrow and
wide, light and heavy, square and round letters.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import cv2
import numpy as np

from generate_captcha.arrays import Mask
from generate_captcha.text.han import HAN

#: x, y, and whether the corner is rounded.
Point = tuple[float, float, bool]

#: Width / height of a letter of the usual width.
USUAL_WIDTH = 0.52

#: Letters as polylines of points x,y (y down). `Ab` and `1c` are further forms of A and 1.
SKELETONS = {
    "A": "0,1 .5,0 1,1; .17,.68 .83,.68",
    "Ab": "0,1 0,.3 .5,0* 1,.3 1,1; 0,.62 1,.62",
    "Ac": "0,1 .34,0 .66,0 1,1; .12,.68 .88,.68",
    "B": "0,0 .95,0* .95,.47* 0,.47; 0,.47 1,.47* 1,1* 0,1; 0,0 0,1",
    "Bb": "0,0 1,0* 1,.5* 0,.5; 0,.5 1,.5* 1,1* 0,1; 0,0 0,1",
    "C": "1,.24 1,0* 0,0* 0,1* 1,1* 1,.76",
    "D": "0,0 1,0* 1,1* 0,1 0,0",
    "Db": "0,0 1,0* 1,1* 0,1; .14,0 .14,1",
    "Dc": "0,0 .6,0* 1,.2* 1,.8* .6,1* 0,1 0,0",
    "E": "1,0 0,0 0,1 1,1; 0,.48 .85,.48",
    "F": "1,0 0,0 0,1; 0,.5 .85,.5",
    "G": "1,.24 1,0* 0,0* 0,1* 1,1* 1,.55 .55,.55",
    "Gb": "1,.24 1,0* 0,0* 0,1* 1,1 1,.52 .5,.52",
    "Gc": "1,.2 1,0* 0,0* 0,1* .8,1* 1,.82 1,.5 .6,.5",
    "H": "0,0 0,1; 1,0 1,1; 0,.48 1,.48",
    "I": "0,0 0,1",
    "Ib": "0,0 1,0; .5,0 .5,1; 0,1 1,1",
    "Ic": "0,0 1,0; .5,0 .5,1; 0,1 1,1",
    "J": "1,0 1,1* 0,1* 0,.72",
    "Jb": ".3,0 1,0 1,1* 0,1* 0,.72",
    "Jc": "0,0 1,0; .68,0 .68,1* 0,1* 0,.76",
    "K": "0,0 0,1; 1,0 0,.62; .32,.42 1,1",
    "Kb": "0,0 0,1; 0,.5 .3,.5; 1,0 .3,.5 1,1",
    "L": "0,0 0,1 1,1",
    "M": "0,1 0,0 .5,.62 1,0 1,1",
    "Mb": "0,1 0,0 .5,.42 1,0 1,1",
    "Mc": "0,1 0,0 .5,.95 1,0 1,1",
    "Md": "0,1 0,0 .5,.62 1,0 1,1",
    "Me": "0,1 .14,0 .5,.8 .86,0 1,1",
    "N": "0,1 0,0 1,1 1,0",
    "O": "0,.5 0,0* 1,0* 1,1* 0,1* 0,.5",
    "P": "0,1 0,0 1,0* 1,.54* 0,.54",
    "Q": "0,.5 0,0* 1,0* 1,1* 0,1* 0,.5; .6,.74 1,1",
    "Qb": "0,.5 0,0* 1,0* 1,1* 0,1* 0,.5; .74,.82 1,1",
    "Qc": "0,.5 0,0* 1,0* 1,1* 0,1* 0,.5; .5,.6 .95,.95",
    "Qd": "0,.45 0,0* 1,0* 1,.9* 0,.9* 0,.45; .5,.7 .7,1 1,1",
    "R": "0,1 0,0 1,0* 1,.52* 0,.52; .5,.52 1,1",
    "Rb": "0,1 0,0 1,0* 1,.5* 0,.5; .5,.5 1,.5* 1,1",
    "Rc": "0,1 0,0 1,0* 1,.5* 0,.5; .2,.5 1,1",
    "S": "1,.22 1,0* 0,0* 0,.48* 1,.48* 1,1* 0,1* 0,.78",
    "Sb": ".95,.16 .85,0* .1,0* .1,.24* 1,.72* 1,1* .05,1* 0,.82",
    "T": "0,0 1,0; .5,0 .5,1",
    "U": "0,0 0,1* 1,1* 1,0",
    "V": "0,0 .5,1 1,0",
    "Vb": "0,0 .36,1 .64,1 1,0",
    "W": "0,0 .24,1 .5,.34 .76,1 1,0",
    "Wb": "0,0 .25,1 .5,0 .75,1 1,0",
    "Wc": "0,0 .24,1 .5,.34 .76,1 1,0",
    "Wd": "0,0 .1,1 .5,.4 .9,1 1,0",
    "We": "0,0 .03,1 .5,.46 .97,1 1,0",
    "X": "0,0 1,1; 1,0 0,1",
    "Y": "0,0 .5,.5 1,0; .5,.5 .5,1",
    "Yb": "0,0 0,.46* 1,.46* 1,0; .5,.46 .5,1",
    "Z": "0,0 1,0 0,1 1,1",
    "0": "0,.5 0,0* 1,0* 1,1* 0,1* 0,.5",
    "0b": "0,.5 0,0* 1,0* 1,1* 0,1* 0,.5; .25,.75 .75,.25",
    "1": "0,.22 .9,0 .9,1",
    "1b": "0,.2 .5,0 .5,1; 0,1 1,1",
    "1c": "0,0 0,1",
    "1d": "0,.16 1,0 1,1",
    "1e": "0,.1 1,0 1,1",
    "1f": "0,.13 .5,0 .5,1; 0,1 1,1",
    "1g": "0,.28 1,0 1,1",
    "1h": "0,.26 .5,0 .5,1; 0,1 1,1",
    "2": "0,.24 0,0* 1,0* 1,.42* 0,1 1,1",
    "2b": "0,.2 0,0* 1,0* 1,.36* .08,.84 0,1 1,1",
    "2c": ".04,.15 .04,0* .96,0* .96,.3* 0,.92 0,1 1,1",
    "2d": "0,.14 0,0* 1,0* 1,.46* 0,.88 0,1 1,1",
    "2e": "0,.24 0,0* 1,0* 1,.38* .5,.62 0,.82* 0,1 1,1",
    "3": "0,.22 0,0* .96,0* .96,.47* .4,.47; .4,.47 1,.47* 1,1* 0,1* 0,.78",
    "3b": "0,0 .95,0 .4,.4 1,.4* 1,1* 0,1* 0,.78",
    "3c": "0,0 1,0 .5,.42 1,.5* 1,1* 0,1* 0,.8",
    "4": ".62,0 0,.7 1,.7; .74,.42 .74,1",
    "4b": ".78,1 .78,0 0,.7 1,.7",
    "4c": ".52,0 0,.84 1,.84; .92,.58 .92,1",
    "4d": ".76,1 .76,0 0,.82 1,.82",
    "5": ".95,0 .06,0 .02,.47 .3,.38 1,.38* 1,1* 0,1* 0,.78",
    "5b": "1,0 0,0 0,.44 1,.44* 1,1* 0,1* 0,.8",
    "6": "1,.2 1,0* 0,0* 0,1* 1,1* 1,.42* 0,.42* 0,.6",
    "6b": ".72,0 0,.6* 0,1* 1,1* 1,.44* .1,.44* 0,.7",
    "7": "0,0 1,0 .38,1",
    "7b": "0,.14 0,0 1,0 .5,.5* .4,1",
    "7c": "0,0 1,0 .36,.55 .36,1",
    "8": ".5,0 .04,0* .04,.47* .96,.47* .96,0* .5,0; .5,.47 0,.47* 0,1* 1,1* 1,.47* .5,.47",
    "8b": ".5,0 .14,0* .14,.44* .86,.44* .86,0* .5,0; .5,.44 0,.44* 0,1* 1,1* 1,.44* .5,.44",
    "9": "0,.8 0,1* 1,1* 1,0* 0,0* 0,.58* 1,.58* 1,.4",
    "9b": ".28,1 1,.4* 1,0* 0,0* 0,.56* .9,.56* 1,.3",
    "-": "0,.5 1,.5",
}
#: Letters with more lines than this get thinner strokes.
MAX_FULL_WEIGHT_LINES = 9
#: Widths of narrow and wide letters, as a fraction of the usual width.
WIDTHS = {
    "I": 0.0, "Ib": 0.6, "Ic": 0.36, "1": 0.42, "1b": 0.62, "1c": 0.0, "1d": 0.24, "1e": 0.13, "1f": 0.34,
    "1g": 0.5, "1h": 0.56,
    "0": 0.96, "J": 0.9, "M": 1.1, "O": 1.08, "W": 1.25, "-": 0.6,
}  # fmt: skip


class StrokeFont(NamedTuple):
    """A typeface drawn from strokes."""

    weight: float  #: of a stroke, as a fraction of the letter's height
    radius: float  #: of rounded corners, as a fraction of the letter's width
    forms: str = ""  #: the forms of letters that differ from the first one, such as `0b 4b`


def characters() -> str:
    """Return all characters that can be drawn from strokes."""
    return "".join(name for name in SKELETONS if len(name) == 1 and name != "-") + "ÄÖÜÅ" + "".join(HAN)


def other_forms() -> dict[str, list[str]]:
    """Return the further forms of each letter that has some, such as `{"A": ["Ab", "Ac"], …}`."""
    forms: dict[str, list[str]] = {}
    for name in SKELETONS:
        if len(name) > 1:
            forms.setdefault(name[0], []).append(name)
    return forms


def draw(font: StrokeFont, character: str, height: int) -> Mask:
    """Draw `character`: uint8 (height, width), without empty columns at its sides."""
    base = {"Ä": "A", "Ö": "O", "Ü": "U", "Å": "A"}.get(character)
    # A later form overrides an earlier one.
    forms = {form[0]: form for form in font.forms.split()}
    name = forms.get(base or character, base or character)
    polylines = _polylines(name)
    # Letters with many lines get thinner strokes.
    thickness = max(2, round(font.weight * height * min(1.0, math.sqrt(MAX_FULL_WEIGHT_LINES / len(polylines)))))
    span = height - thickness
    width = USUAL_WIDTH * WIDTHS.get(name, 1.0) * span
    top = 0.24 * span if base else 0.0
    mask = np.zeros((height, math.ceil(width + thickness)), np.uint8)
    for polyline in polylines:
        curve = _rounded([(x * width, top + y * (span - top), soft) for x, y, soft in polyline], font.radius * width)
        points = np.rint((np.array(curve) + (thickness - 1) / 2) * 16).astype(np.int32)
        cv2.polylines(mask, [points], False, 255, thickness, cv2.LINE_AA, 4)
    for x in {"Å": (0.5,)}.get(character, (0.2, 0.8)) if base else ():
        centre = round((x * width + thickness / 2) * 16), round(0.55 * thickness * 16)
        cv2.circle(mask, centre, round(0.5 * thickness * 16), 255, -1, cv2.LINE_AA, 4)
    return mask


@functools.cache
def _polylines(name: str) -> list[list[Point]]:
    return [
        [(*map(float, point.rstrip("*").split(",")), point.endswith("*")) for point in line.split()]  # type: ignore[misc]
        for line in (HAN.get(name) or SKELETONS[name]).split(";")
    ]


def _rounded(points: list[Point], radius: float) -> list[tuple[float, float]]:
    """Replace rounded corners by points of arcs, as far as the sides are long enough for `radius`."""
    curve: list[tuple[float, float]] = []
    for place, (x, y, soft) in enumerate(points):
        if not soft:
            curve.append((x, y))
            continue
        before, after = points[place - 1], points[place + 1]
        ends = []
        for other, shared in ((before, before[2]), (after, after[2])):
            length = math.hypot(other[0] - x, other[1] - y)
            reach = min(radius, length / 2 if shared else length)
            part = reach / length if length else 0.0
            ends.append((x + (other[0] - x) * part, y + (other[1] - y) * part))
        (x0, y0), (x1, y1) = ends
        # A rational quadratic Bezier curve. With a weight above 1 it is closer to the corner than a parabola.
        weight = 1.25
        for t in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
            one, two, three = (1 - t) ** 2, 2 * t * (1 - t), t * t
            total = one + weight * two + three
            curve.append(
                ((one * x0 + weight * two * x + three * x1) / total, (one * y0 + weight * two * y + three * y1) / total)
            )
    return curve
