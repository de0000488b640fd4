"""Style `wild`: every family of captchas, and mixtures of them, to train networks for captchas never seen.

Half of the pictures are of one family. The others take their letters, colours, background, marks, warps and file
effects from a family each. A few are of the styles captcha, lines, dots and line. Without an alphabet, the texts are
digits, letters of one case or of both, or tasks of arithmetic, of 2 to 12 characters, mostly four to six.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import cv2

from crnn_reader.alphabet import parse_alphabet
from crnn_reader.errors import UserError, did_you_mean
from generate_captcha import styles
from generate_captcha.arrays import Image
from generate_captcha.family import Family, Look, needs_even_letters
from generate_captcha.seeded_random import SeededRandom
from generate_captcha.style import TextStyle
from generate_captcha.styles.arithmetic import TASK_LENGTHS, task
from parameter import FAMILIES, GenerateParameters, notation

PROPERTIES = {
    "size": "autox48",
    "any_width": True,
    "length": "2-12",
    "own": ("difficulty", "backgrounds", "families"),
    "trained_as_drawn": True,
}

#: Other styles to mix and the sizes of their pictures; minimum and maximum width per character, in pixels.
OTHER_STYLES = {
    "captcha": ("128x60", "150x50", "190x60", "260x60"),
    "lines": ("90x36", "150x50", "240x60"),
    "dots": ("90x36", "150x40", "240x50"),
    "line": ("autox48",),
}
ADVANCE = 20, 50
#: Heights in pixels at which captchas are made.
HEIGHTS = 22, 90
#: Groups of fields of a look. In a mixture, each group comes from one family.
TOGETHER = (
    ("capital", "margin", "sizes", "own_font", "gap", "overlap", "slots", "rotation", "shear", "rise"),
    ("effects", "contrast", "smooth"),
    ("own_colour", "colour_spread", "dark", "ink_colour"),
    ("grounds", "ground_colour", "ground_contrast"),
    ("behind", "through", "over", "thickness"),
    ("shadow",), ("warps",), ("finishes",), ("frame",), ("shaded",),
)  # fmt: skip
#: Characters of the labels without an alphabet, and the share of tasks of arithmetic.
ALPHABET, TASKS = "0-9A-Za-z+*/=?-", 0.07
#: Characters of texts, and how often they are drawn. Those of digits and both cases have no O, o, I and l.
KINDS = (
    (4.5, "0-9"), (1.5, "A-Z"), (1.5, "a-z"), (2.0, "0-9A-Z"), (1.5, "2-9A-HJ-NP-Z"), (1.5, "0-9a-z"),
    (1.5, "2-9a-hjkmnp-z"), (2.0, "0-9A-HJ-NP-Za-kmnp-z"), (1.0, "A-HJ-Za-km-z"),
)  # fmt: skip
#: How often a character is that before it, besides by chance. Of random letters, few are doubled, and networks that
#: have seen few read one letter for two.
REPEATS = 0.08
#: Frequencies of the numbers of characters, from 2.
LENGTHS = (1, 2, 8, 7, 6, 2.5, 2, 1, 0.8, 0.6, 0.6)


class Wild(Family):
    """Mixtures of families."""

    def __init__(self, parameters: GenerateParameters) -> None:
        self._own_texts = parameters.alphabet is None
        self._kinds = [(weight, parse_alphabet(characters)) for weight, characters in KINDS]
        super().__init__(parameters)
        chosen = _chosen(parameters.families)
        self._tasks = self._share_of_tasks(chosen, parameters)
        self._looks = [_look(name) for name in chosen if name in FAMILIES]
        self._others = _others([name for name in chosen if name in OTHER_STYLES], parameters)
        self._lengths = [
            (LENGTHS[length - 2] if 0 <= length - 2 < len(LENGTHS) else 0.5, length)
            for length in range(self.shortest, self.longest + 1)
        ]

    def draw(self, label: str, rng: SeededRandom) -> Image:
        number = rng.randbelow(len(self._looks) + len(self._others)) - len(self._looks)
        if number < 0 or (self._looks and needs_even_letters(label)):
            return super().draw(label, rng)
        low, high = ADVANCE
        wide = [style for style in self._others[number] if not style.width or low <= style.width / len(label) <= high]
        style = rng.choice(wide or self._others[number][-1:])
        style.difficulty = self.difficulty
        image = style.draw(label, rng)
        size = self.width or max(1, round(image.shape[1] * self.height / image.shape[0])), self.height
        shrinks = self.height < image.shape[0]
        return cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)

    def look(self, rng: SeededRandom) -> Look:
        look = rng.choice(self._looks)
        changed: dict[str, Any] = {} if look.height else {"height": HEIGHTS}
        if rng.random() < 0.5:
            for names in TOGETHER:
                other = rng.choice(self._looks)
                changed |= {name: getattr(other, name) for name in names}
        return replace(look, **changed)

    def _alphabet(self, parameters: GenerateParameters) -> str:
        return parse_alphabet(ALPHABET) if self._own_texts else super()._alphabet(parameters)

    def _share_of_tasks(self, chosen: Sequence[str], parameters: GenerateParameters) -> float:
        """Share of tasks among the texts, which is that of `arithmetic` among chosen families.

        Raises UserError if it was chosen, and the alphabet or the length leave no room for tasks.
        """
        named = parameters.families is not None and "arithmetic" in chosen
        if not self._own_texts:
            if named:
                raise UserError(
                    "the texts of the family arithmetic are tasks, whose characters are fixed: leave out the family or "
                    "the alphabet",
                    families="",
                    alphabet="",
                )
            return 0.0
        if not (self.longest >= TASK_LENGTHS[0] and self.shortest <= TASK_LENGTHS[1]):
            if named:
                low, high = TASK_LENGTHS
                raise UserError(
                    f"tasks of the family arithmetic have {low} to {high} characters, not {parameters.length}: give "
                    "another length, or leave out the family",
                    length="",
                    families="",
                )
            return 0.0
        return chosen.count("arithmetic") / len(chosen) if parameters.families is not None else TASKS

    def _label(self, rng: SeededRandom) -> str:
        length = rng.pick(self._lengths)
        if not self._own_texts:
            return "".join(self._character(rng) for _ in range(length))
        if rng.random() < self._tasks:
            while not self.shortest <= len(text := task(rng)) <= self.longest:
                pass
            return text
        characters = rng.pick(self._kinds)
        text = rng.choice(characters)
        while len(text) < length:
            text += text[-1] if rng.random() < REPEATS else rng.choice(characters)
        return text


def _others(names: Sequence[str], parameters: GenerateParameters) -> list[list[TextStyle]]:
    """The styles with these names, each in all sizes. Raises UserError if a chosen one lacks characters."""
    found = []
    flags = {"noise": parameters.noise, "distortion": parameters.distortion, "length": "1"}
    flags["alphabet"] = parameters.alphabet or ALPHABET
    for name in names:
        try:
            # Pictures of a fixed width are drawn in their size; others are as wide as a usual picture of the style.
            sizes = OTHER_STYLES[name] if notation.picture_size(parameters.size)[0] is None else (parameters.size,)
            made = [styles.style_of(GenerateParameters(style=name, size=size, **flags)) for size in sizes]
        except UserError:
            # They use fonts of their own, which may lack characters that those of --fonts have.
            if parameters.families is not None:
                raise
            continue
        found.append([style for style in made if isinstance(style, TextStyle)])
    return found


def _chosen(names: str | None) -> list[str]:
    """The families in a list of names separated by commas. Raises UserError for others."""
    known = [*FAMILIES, *OTHER_STYLES]
    if names is None:
        return known
    chosen = list(dict.fromkeys(filter(None, map(str.strip, names.split(",")))))
    if not chosen:
        raise UserError(f"{names!r} names no family: give some of {', '.join(known)}", "families")
    for name in chosen:
        if name not in known:
            hint = did_you_mean(name, known) or f"give some of {', '.join(known)}"
            raise UserError(f"there is no family called {name!r}: {hint}", parameter="families")
    return chosen


def _look(name: str) -> Look:
    module = importlib.import_module(f"generate_captcha.styles.{name}")
    look: Look = getattr(module, name.title()).LOOK
    return look
