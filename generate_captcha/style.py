"""Base classes of the styles: seed, size, colour, and random labels for styles that can draw any text."""

from __future__ import annotations

import bisect
import hashlib
import itertools
import unicodedata
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import cv2

import parameter
from crnn_reader.alphabet import character_frequencies, parse_alphabet
from crnn_reader.errors import UserError
from crnn_reader.limits import parse_length
from generate_captcha.arrays import Image
from generate_captcha.seeded_random import SeededRandom
from generate_captcha.text import fonts
from generate_captcha.text.fonts import Font
from parameter import STYLES, GenerateParameters, notation

#: Parameters of all styles that the record of a corpus contains; `alphabet` and `fonts` are recorded by their content.
RECORDED = ("style", "size", "colour", "noise", "distortion", "seed")


def digest(path: Path) -> str:
    """Return a hash of a file's content."""
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


class Style(ABC):
    """A style of pictures. Picture `index` depends only on (parameters.seed, index) and the style's parameters.

    An object must not be shared between threads; each thread or process that draws creates its own.
    """

    #: The characters of the labels.
    alphabet: str
    #: Number of characters of the longest label.
    longest: int
    #: The fonts from which the letters of a picture are chosen.
    fonts: list[Font]

    def __init__(self, parameters: GenerateParameters) -> None:
        width, self.height = notation.picture_size(parameters.size)
        #: In pixels. 0: the width follows the text.
        self.width = width or 0
        self.grey = parameters.colour == "grey"
        #: Multiples of the style's usual noise and distortion.
        self.noise = parameters.noise
        self.distortion = parameters.distortion
        #: From 0 to 1, for styles that have it. May be changed at any time, for the pictures drawn from then on.
        self.difficulty = parameters.difficulty
        self.seed = parameters.seed
        self._parameters = parameters

    def label(self, index: int) -> str:
        """Return the text of picture `index`."""
        return self._label(self._rng(index))

    def picture(self, index: int) -> tuple[Image, str]:
        """Draw picture `index`.

        Returns:
            The image, uint8 (height, width, 3) in RGB order (with equal channels if grey), and its text.

        Raises:
            UserError: the text cannot be drawn legibly (styles line and plate), or one of the user's fonts is damaged.
        """
        try:
            image, label = self._picture(self._rng(index))
        except OSError as error:
            # Errors of FreeType have no number.
            if error.errno is None and self._parameters.fonts is not None:
                raise UserError(
                    f"a font in the folder {self._parameters.fonts} is damaged ({error}): remove it", parameter="fonts"
                ) from error
            raise
        if self.grey:
            image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        return image, label

    def record(self) -> dict[str, Any]:
        """Return everything that affects the pictures, for `corpus.json`: parameters, and hashes of files.

        A style whose own parameter is a path replaces it by a hash of the content.
        """
        own = STYLES[self._parameters.style].own
        values = {name: getattr(self._parameters, name) for name in (*RECORDED, *own)}
        record = {name: value for name, value in values.items() if value is not None}
        files = dict.fromkeys(font.path for font in self.fonts)
        return record | {"alphabet": self.alphabet, "fonts": [f"{path.name} {digest(path)}" for path in files]}

    def _rng(self, index: int) -> SeededRandom:
        return SeededRandom(f"{self.seed}:{index}")

    @abstractmethod
    def _label(self, rng: SeededRandom) -> str:
        """Return the text of the picture that :meth:`_picture` draws with an equal `rng`."""

    @abstractmethod
    def _picture(self, rng: SeededRandom) -> tuple[Image, str]:
        """Draw a picture: uint8 (height, width, 3) in RGB order, and its text."""


class TextStyle(Style):
    """A style that can draw any text. By default labels are random characters of the alphabet.

    Raises UserError if a font is missing, damaged, or lacks a character of the alphabet.
    """

    #: File names of the style's fonts, which installed packages contain (see `fonts.packaged_font`).
    FONTS: ClassVar[tuple[str, ...]]
    #: Whether to leave out those of them that lack a character of the alphabet; otherwise it is an error.
    SKIP_INCOMPLETE_FONTS: ClassVar[bool] = False

    #: Whether to use fonts that lack characters of the alphabet for the texts without those.
    ALLOW_INCOMPLETE_FONTS: ClassVar[bool] = False
    #: Numbers of characters of the texts, if the style makes its own.
    LENGTH: ClassVar[str] = ""

    #: Number of characters of the shortest label.
    shortest: int

    def __init__(self, parameters: GenerateParameters) -> None:
        super().__init__(parameters)
        self.shortest, self.longest = parse_length(self.LENGTH or parameters.length)
        self.alphabet = self._alphabet(parameters)
        #: Cumulative share of each character of the alphabet. None: all characters are equally likely.
        self._shares = _cumulative_shares(parameters)
        self.fonts = fonts.choose_fonts(
            parameters.fonts,
            self.FONTS,
            self.alphabet,
            skip_incomplete=self.SKIP_INCOMPLETE_FONTS,
            allow_incomplete=self.ALLOW_INCOMPLETE_FONTS,
        )

    @abstractmethod
    def draw(self, label: str, rng: SeededRandom) -> Image:
        """Draw `label`: uint8 (height, width, 3) in RGB order."""

    def record(self) -> dict[str, Any]:
        record = super().record() | {"length": self.LENGTH or self._parameters.length}
        if self._shares:
            record["frequencies"] = self._shares
        return record

    def _picture(self, rng: SeededRandom) -> tuple[Image, str]:
        label = self._label(rng)
        return self.draw(label, rng), label

    def _alphabet(self, parameters: GenerateParameters) -> str:
        characters = parse_alphabet(parameters.alphabet or parameter.DEFAULT_ALPHABET)
        for character in characters:
            # Letters are drawn separately: a space would be invisible, a combining mark would have no base.
            if character.isspace() or not character.isprintable() or unicodedata.combining(character):
                shown = "a space" if character == " " else repr(character)
                raise UserError(
                    f"the alphabet contains {shown}, which cannot be drawn by itself in style {parameters.style}: "
                    "leave it out, or use style line",
                    parameter="alphabet",
                )
        return characters

    def _label(self, rng: SeededRandom) -> str:
        length = self.shortest + rng.randbelow(self.longest - self.shortest + 1)
        return "".join(self._character(rng) for _ in range(length))

    def _character(self, rng: SeededRandom) -> str:
        """Return a random character of the alphabet, by its frequency if there are frequencies."""
        if not self._shares:
            return rng.choice(self.alphabet)
        return self.alphabet[bisect.bisect_right(self._shares, rng.random())]


def _cumulative_shares(parameters: GenerateParameters) -> list[float] | None:
    frequencies = character_frequencies(parameters.alphabet or "")
    if not frequencies:
        return None
    sums = list(itertools.accumulate(frequencies))
    # The last share is exactly 1, larger than any random number.
    return [total / sums[-1] for total in sums]
