"""What all styles share: the source of chance, the size and the colour; and the label, where any text can be drawn."""

from __future__ import annotations

import bisect
import hashlib
import itertools
import random
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

import parameter
from crnn_reader.alphabet import character_frequencies, parse_alphabet
from crnn_reader.errors import UserError
from crnn_reader.parsing import parse_length
from generate_captcha.text import fonts
from parameter import GenerateParameters, notation

Item = TypeVar("Item")
Image = NDArray[np.uint8]

#: Flags that decide how a picture looks; `alphabet` and `fonts` are noted by their content.
NOTED = ("style", "size", "colour", "noise", "distortion", "seed")


def digest(path: Path) -> str:
    """A file's content in a word."""
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


class Source(random.Random):
    """Seeded chance for one picture, with the three functions of `secrets` that `captcha` draws from.

    Everything rests on `random()` and `getrandbits`, whose sequences Python promises to keep from
    version to version; `randrange`, `choice` and `shuffle` carry no such promise.
    """

    def randbelow(self, end: int) -> int:
        """An integer of 0 … end - 1."""
        return int(self.random() * end)

    def randbits(self, bits: int) -> int:
        """An integer of 0 … 2**bits - 1."""
        return self.getrandbits(bits)

    def choice(self, items: Sequence[Item]) -> Item:  # type: ignore[override]  # no wider than needed
        """One of `items`, all equally likely."""
        return items[int(self.random() * len(items))]

    def between(self, low: float, high: float) -> float:
        """A number of low … high, all equally likely."""
        return low + (high - low) * self.random()

    def about(self, number: float) -> int:
        """An integer that is `number` on the average: 1.25 is 1 three times of four, else 2."""
        return int(number + self.random()) if number % 1 else int(number)


class Style(ABC):
    """A look. Picture `index` depends on (parameters.seed, index) and the look's parameters alone.

    A style is one subclass in one file. One object serves one thread; each thread or process that draws makes its own.
    """

    #: The parameters of this style alone that decide how a picture looks.
    OWN: ClassVar[tuple[str, ...]] = ()

    #: All characters of the labels.
    alphabet: str
    #: Characters of the longest label.
    longest: int
    #: The fonts that letters are drawn with.
    fonts: list[fonts.Font]

    def __init__(self, parameters: GenerateParameters) -> None:
        width, self.height = notation.picture_size(parameters.size)
        #: In pixels; 0 is what the text takes.
        self.width = width or 0
        self.grey = parameters.colour == "grey"
        #: Multiples of the style's usual noise and distortion, which every style scales by them; 0 is none.
        self.noise = parameters.noise
        self.distortion = parameters.distortion
        #: 0 … 1, of styles that have it; may be changed at any time, and holds for the pictures drawn from then on.
        self.difficulty = parameters.difficulty
        self.seed = parameters.seed
        self._parameters = parameters

    def label(self, index: int) -> str:
        """The text of picture `index`."""
        return self._label(self._source(index))

    def picture(self, index: int) -> tuple[Image, str]:
        """Picture `index`: uint8 (height, width, 3) in RGB order (equal channels when grey), and its text.

        Raises UserError when the text cannot be drawn so that it can be read (styles line and plate), or a font of the
        user's turns out to be damaged.
        """
        try:
            image, label = self._picture(self._source(index))
        except OSError as error:
            # What FreeType raises has no number.
            if error.errno is None and self._parameters.fonts is not None:
                raise UserError(
                    f"a font of --fonts {self._parameters.fonts} is damaged ({error}): remove it"
                ) from error
            raise
        if self.grey:
            image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        return image, label

    def about(self) -> dict[str, Any]:
        """What decides how the pictures look, for `corpus.json`: flags and their values, files by their content."""
        about = {name: getattr(self._parameters, name) for name in (*NOTED, *self.OWN)}
        files = dict.fromkeys(font.path for font in self.fonts)
        return about | {"alphabet": self.alphabet, "fonts": [f"{path.name} {digest(path)}" for path in files]}

    def _source(self, index: int) -> Source:
        return Source(f"{self.seed}:{index}")

    @abstractmethod
    def _label(self, source: Source) -> str:
        """The text of the picture that the chances of `source` make."""

    @abstractmethod
    def _picture(self, source: Source) -> tuple[Image, str]:
        """That picture and its text: uint8 (height, width, 3), RGB order."""


class TextStyle(Style):
    """A look of any text: it names its fonts and draws a label of `--length` characters of `--alphabet`.

    Raises UserError when a font is missing, is none, or lacks a character of the alphabet.
    """

    #: The fonts of the style, out of those that packages bring (file names; see `fonts.brought`).
    FONTS: ClassVar[tuple[str, ...]]
    #: Whether those of them that lack a character of the alphabet are left out, rather than an error.
    ANY_FONT: ClassVar[bool] = False

    #: Characters of the shortest label.
    shortest: int

    def __init__(self, parameters: GenerateParameters) -> None:
        super().__init__(parameters)
        self.shortest, self.longest = parse_length(parameters.length)
        self.alphabet = self._alphabet(parameters)
        #: Of each character of the alphabet, the share of all that come before it and its own; None: all the same.
        self._shares = self._cumulated(parameters)
        self.fonts = fonts.choose(parameters.fonts, self.FONTS, self.alphabet, any_=self.ANY_FONT)

    @abstractmethod
    def draw(self, label: str, source: Source) -> Image:
        """Draw `label` by the chances of `source`: uint8 (height, width, 3), RGB order."""

    def about(self) -> dict[str, Any]:
        about = super().about() | {"length": self._parameters.length}
        if self._shares:
            about["frequencies"] = self._shares
        return about

    def _picture(self, source: Source) -> tuple[Image, str]:
        label = self._label(source)
        return self.draw(label, source), label

    def _alphabet(self, parameters: GenerateParameters) -> str:
        characters = parse_alphabet(parameters.alphabet or parameter.DEFAULT_ALPHABET)
        for character in characters:
            # Letters are set one by one here: a space would not be seen, a combining mark have nothing to stand on.
            if character.isspace() or not character.isprintable() or unicodedata.combining(character):
                shown = "a space" if character == " " else repr(character)
                raise UserError(
                    f"--alphabet: {shown} cannot stand by itself in style {parameters.style}: leave it out, or use "
                    "--style line"
                )
        return characters

    def _label(self, source: Source) -> str:
        length = self.shortest + source.randbelow(self.longest - self.shortest + 1)
        return "".join(self._character(source) for _ in range(length))

    def _character(self, source: Source) -> str:
        """A character of the alphabet, as often as its frequency says."""
        if not self._shares:
            return source.choice(self.alphabet)
        return self.alphabet[bisect.bisect_right(self._shares, source.random())]

    @staticmethod
    def _cumulated(parameters: GenerateParameters) -> list[float] | None:
        frequencies = character_frequencies(parameters.alphabet or "")
        if not frequencies:
            return None
        sums = list(itertools.accumulate(frequencies))
        # The last is 1 exactly, above every chance.
        return [total / sums[-1] for total in sums]
