"""Families of captchas: each picture draws all its parameters from the ranges of its family's :class:`Look`.

A picture is made in stages: background, marks behind the text, letters with marks through them, warps, marks over all,
and effects of the file. `difficulty` bounds the strength of each, `noise` multiplies the number of marks, `distortion`
the rotation, shear and warps. A picture whose text is cut off or does not stand out is drawn again, with a lower
difficulty after some attempts.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from string import ascii_lowercase
from typing import Any, ClassVar, NamedTuple, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from crnn_reader.errors import UserError
from crnn_reader.fit import MAX_WIDTH
from generate_captcha.arrays import Image, Mask
from generate_captcha.drawing import grounds, letter_effects, paint, warps
from generate_captcha.drawing.backgrounds import Backgrounds
from generate_captcha.drawing.finishes import Finish
from generate_captcha.drawing.grounds import Ground
from generate_captcha.drawing.letter_effects import Effect
from generate_captcha.drawing.marks import Mark, Pen
from generate_captcha.drawing.paint import Rgb
from generate_captcha.drawing.visibility import stands_out
from generate_captcha.drawing.warps import Warp
from generate_captcha.seeded_random import SeededRandom
from generate_captcha.style import TextStyle
from generate_captcha.text.fonts import TEXT_FONTS, Font, characters, drawn
from generate_captcha.text.glyphs import paste, transform
from generate_captcha.text.typesetting import draw_letter
from parameter import GenerateParameters

#: A range of numbers from which a picture draws one.
Range: TypeAlias = tuple[float, float]

#: Number of attempts at the full difficulty, at decreasing difficulty, and without any effects.
FULL_ATTEMPTS, EASIER_ATTEMPTS, PLAIN_ATTEMPTS = 5, 5, 5
#: Height of capitals per em, of usual fonts.
CAPITAL_PER_EM = 0.72
#: Minimum size of letters in pixels per em, and minimum size of letters with an effect.
MIN_EM, LEGIBLE_EM = 6, 14
#: Minimum of the mean level of the pixels of a letter, of 255.
MEAN_LEVEL = 140
#: Minimum width of a picture in pixels per letter, if it is drawn smaller than its result.
NARROWEST = 14
#: Number of sizes to try so that the letters fit into the picture.
FITS = 12
#: Minimum size of letters that are scaled, and the sizes at which they are drawn.
SCALED_EM = 22
SIZES = [round(SCALED_EM * 1.22**step) for step in range(1, 27)]
#: How much of a letter may be cut off at the edges, and covered by the letters painted after it or by marks.
MAX_CUT, MAX_COVERED = 0.06, 0.3
#: How much ink marks may add near the letters, as a multiple of theirs, and the share of a letter that an effect keeps.
MAX_ADDED, MIN_KEPT = 0.45, 0.3
#: Minimum contrast of the ink in grey levels, and in standard deviations of the background, at difficulty 1.
MIN_CONTRAST, MIN_DEVIATIONS = 22.0, 0.9
#: Letters whose two cases have the same shape, and capitals with which a font is tested: their small letters differ.
SAME_SHAPE, PROBES = "ckopsuvwxz", "ABEGR"


@dataclass(frozen=True)
class Look:
    """The ranges of a family. Lengths are multiples of the height of the picture or of the capitals, as named.

    Pairs are (weight, what) where one is chosen, else (probability, what), and (mean number, what) for marks.
    """

    #: Height of capitals as a multiple of the picture's.
    capital: Range = (0.4, 0.72)
    #: How much the sizes of the letters of a picture differ.
    sizes: Range = (0.0, 0.15)
    #: Probability that each letter has a font of its own, and a colour of its own.
    own_font: float = 0.25
    own_colour: float = 0.3
    #: How much the contrast of letters with own colours differs, as a fraction of it.
    colour_spread: float = 0.3
    effects: Sequence[tuple[float, Effect]] = ((1.0, letter_effects.solid),)
    #: Distance from letter to letter as a multiple of the capitals' height; negative ones overlap.
    gap: Range = (-0.06, 0.3)
    #: How much two letters may overlap, as a fraction of the narrower one's width.
    overlap: float = 0.3
    #: Probability that all letters have places of the same width.
    slots: float = 0.2
    #: Maximum rotation in degrees, shear, and shift up and down as a multiple of the capitals' height.
    rotation: Range = (0.0, 25.0)
    shear: Range = (0.0, 0.3)
    rise: Range = (0.0, 0.15)
    #: Empty width beside the text as a multiple of the picture's height, in pictures without a fixed width.
    margin: Range = (0.0, 0.0)
    #: Probability of light ink on a dark background.
    dark: float = 0.15
    #: Difference between ink and background in grey levels.
    contrast: Range = (70.0, 230.0)
    #: Probability that the ink changes its colour from one side to the other.
    shaded: float = 0.05
    #: How far colours of the ink, and of the background, are from grey.
    ink_colour: Range = (0.0, 150.0)
    ground_colour: Range = (0.0, 40.0)
    #: How far the background's two colours differ, in grey levels.
    ground_contrast: Range = (0.0, 50.0)
    grounds: Sequence[tuple[float, Ground]] = ((3.0, grounds.plain), (1.0, grounds.gradient))
    #: Marks of the background's colours, of the ink's that bend with the letters, and of any colour over all.
    behind: Sequence[tuple[float, Mark]] = ()
    through: Sequence[tuple[float, Mark]] = ()
    over: Sequence[tuple[float, Mark]] = ()
    #: Width of marks as a multiple of the capitals' height.
    thickness: Range = (0.02, 0.07)
    #: Probability of a shadow.
    shadow: float = 0.0
    warps: Sequence[tuple[float, Warp]] = ()
    finishes: Sequence[tuple[float, Finish]] = ()
    #: Probability of anti-aliased edges, and of a frame.
    smooth: float = 0.9
    frame: float = 0.05
    #: Height in pixels at which pictures are drawn, before they are resized. None: that of the result.
    height: Range | None = None


class Letter(NamedTuple):
    """A letter that is not yet placed."""

    mask: Mask
    #: Middle of the mask in pixels below the baseline.
    middle: float


@dataclass
class Scene:
    """What the stages of one picture share."""

    look: Look
    rng: SeededRandom
    difficulty: float
    #: Multiple of the usual number of marks.
    noise: float
    height: int
    #: 0 until the letters are placed, if it follows the text.
    width: int
    #: Height of the capitals in pixels.
    capital: float = 0.0
    smooth: bool = True
    #: Luma of background and ink.
    ground: float = 255.0
    ink: float = 0.0
    colours: list[Rgb] = field(default_factory=list)
    #: Upper and lower edge of the text in pixels.
    top: float = 0.0
    bottom: float = 0.0

    def draw(self, bounds: Range) -> float:
        """A number from `bounds`, whose upper one is lowered with the difficulty."""
        low, high = bounds
        return self.rng.between(low, low + (high - low) * min(1.0, 0.25 + 0.75 * self.difficulty))


class Family(TextStyle):
    """Captchas of a family. A subclass gives its `LOOK`."""

    LOOK: ClassVar[Look]
    FONTS = TEXT_FONTS
    ALLOW_INCOMPLETE_FONTS = True

    def __init__(self, parameters: GenerateParameters) -> None:
        super().__init__(parameters)
        #: The characters of each font.
        self._drawn = {font: _distinct_characters(font, self.alphabet) for font in self.fonts}
        if not set().union(*self._drawn.values()).issuperset(self.alphabet):
            self._drawn = {font: drawn(font, self.alphabet) for font in self.fonts}
        self._photos = None if parameters.backgrounds is None else Backgrounds(parameters.backgrounds)

    def record(self) -> dict[str, Any]:
        record = super().record()
        return record | {"backgrounds": self._photos.digest()} if self._photos else record

    def look(self, rng: SeededRandom) -> Look:
        """The ranges of a picture."""
        return self.LOOK

    def _rng(self, index: int) -> SeededRandom:
        # Otherwise the first pictures of all families would have the same texts, fonts and places.
        return SeededRandom(f"{self._parameters.style}:{self.seed}:{index}")

    def draw(self, label: str, rng: SeededRandom) -> Image:
        for attempt in range(FULL_ATTEMPTS + EASIER_ATTEMPTS + PLAIN_ATTEMPTS):
            easier = attempt - FULL_ATTEMPTS
            look = self.look(rng) if easier < EASIER_ATTEMPTS else PLAIN
            image = self._attempt(label, look, min(1.0, max(0.0, 1 - easier / EASIER_ATTEMPTS)), rng)
            if image is not None:
                return image
        raise UserError(
            f"{label!r} cannot be drawn legibly in a picture of {self.width or 'auto'}x{self.height}: give a larger "
            "size or a smaller length",
            parameter="size",
        )

    def _attempt(self, label: str, look: Look, share: float, rng: SeededRandom) -> Image | None:
        """Draw a picture with a share of the difficulty and noise. None if it is not legible."""
        difficulty = share * self.difficulty
        height = self.height if look.height is None else round(_log_between(look.height, rng))
        if self.width:
            # In a narrow picture, letters would be too small to read.
            height = max(height, round(self.height * min(1.0, NARROWEST * len(label) / self.width)))
        width = round(self.width * height / self.height)
        scene = Scene(look, rng, difficulty, share * self.noise, height, width, smooth=rng.random() < look.smooth)
        placed = self._placed(label, scene)
        if placed is None:
            return None
        self._choose_colours(scene, len(label))
        image = self._background(scene)
        self._mark(image, look.behind, scene, lambda: self._mark_colour(scene, rng.between(0.1, 0.6)))
        layer = self._ink(placed, scene)
        if layer is None:
            return None
        letters = layer[..., 3].copy()
        if rng.random() < look.shadow:
            self._shadow(image, letters, scene)
        self._mark(layer, look.through, scene, lambda: (*rng.choice(scene.colours), 255))
        # Only marks near letters hide them.
        near = cv2.dilate(letters, np.ones([2 * round(0.1 * scene.capital) + 1] * 2, np.uint8))
        added = cv2.countNonZero(cv2.min(near, np.ascontiguousarray(layer[..., 3])))
        if added > (1 + MAX_ADDED) * cv2.countNonZero(letters):
            return None
        image = _composed(image, layer)
        image, mask = self._warped(image, letters, scene)
        if mask is None:
            return None
        before = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        # Those of the background's colour take chips out of the letters.
        self._mark(
            image,
            look.over,
            scene,
            lambda: self._mark_colour(scene, rng.between(0.3, 1.1) if rng.random() < 0.9 else 0),
        )
        changed = cv2.absdiff(before, cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)) > MIN_CONTRAST
        ink = mask > 127
        if (changed & ink).sum() > MAX_COVERED * ink.sum():
            return None
        for probability, finish in look.finishes:
            if rng.random() < probability * min(1.0, 0.3 + difficulty):
                image = finish(image, scene.capital, difficulty * scene.noise, rng)
        if rng.random() < look.frame * min(1.0, 2 * scene.noise):
            thickness = 1 + rng.randbelow(2)
            colour = self._mark_colour(scene, rng.between(0.4, 1.2))
            cv2.rectangle(image, (0, 0), (scene.width - 1, height - 1), colour, thickness)
        ease = 1 + 0.6 * (1 - difficulty)
        em = scene.capital / CAPITAL_PER_EM
        # Clean letters stand out, although those of a few pixels are too small to be judged.
        if look is not PLAIN and not stands_out(image, mask, em, ease * MIN_CONTRAST, MIN_DEVIATIONS * ease):
            return None
        if (size := (self.width or round(scene.width * self.height / height), self.height)) != image.shape[1::-1]:
            shrinks = self.height < height
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        return image

    def _placed(self, label: str, scene: Scene) -> list[tuple[Letter, int, int]] | None:
        """Draw the letters and find their places: left and top of each mask. None if there is no room for them."""
        look, rng = scene.look, scene.rng
        even = needs_even_letters(label)
        one = [font for font, characters in self._drawn.items() if characters.issuperset(label)]
        if one and (even or rng.random() >= look.own_font):
            fonts = [rng.choice(one)] * len(label)
        else:
            having = {each: [font for font in self.fonts if each in self._drawn[font]] for each in set(label)}
            fonts = [rng.choice(having[each]) for each in label]
        spread = 0.0 if even else scene.draw(look.sizes)
        sizes = [1 + rng.between(-spread, spread) for _ in label]
        rotation, shear = (scene.draw(bounds) * self.distortion for bounds in (look.rotation, look.shear))
        # Half of the pictures lean all letters in one direction, the others each in its own.
        lean = rng.between(-1, 1) if rng.random() < 0.4 else None
        turns = [(rotation * rng.between(-1, 1), shear * (rng.between(-1, 1) if lean is None else lean)) for _ in label]
        effect = rng.pick(look.effects)
        rise = scene.draw(look.rise) * min(1.0, self.distortion) * (0.3 if even else 1.0)
        shifts = [rng.between(-rise, rise) for _ in label]
        gap, jitter = rng.between(*look.gap), rng.between(0, 0.08) * scene.difficulty
        gap = gap if gap > 0 else gap * min(1.0, 0.4 + scene.difficulty)
        gaps = [gap + rng.between(-jitter, jitter) for _ in label[1:]]
        slots = rng.random() < look.slots
        side = rng.between(0.1, 0.9)

        em = rng.between(*look.capital) * scene.height / CAPITAL_PER_EM
        state = rng.getstate()
        for _ in range(FITS):
            # Effects draw the same random numbers at every size.
            rng.setstate(state)
            capital = em * CAPITAL_PER_EM
            letters = [
                self._letter(font, max(MIN_EM, em * size), character, effect, turn, scene)
                for font, size, character, turn in zip(fonts, sizes, label, turns, strict=True)
            ]
            widths = [letter.mask.shape[1] for letter in letters]
            lefts, total = _lefts(widths, [gap * capital for gap in gaps], slots, look.overlap)
            tops = [
                letter.middle - letter.mask.shape[0] / 2 + shift * capital
                for letter, shift in zip(letters, shifts, strict=True)
            ]
            top = min(tops)
            bottom = max(top + letter.mask.shape[0] for top, letter in zip(tops, letters, strict=True))
            room = scene.width - 2 if scene.width else MAX_WIDTH * scene.height // 64
            shrink = min(1.0, room / total, (scene.height - 1) / (bottom - top))
            if shrink == 1.0:
                break
            em *= 0.98 * shrink
            if em < SCALED_EM:
                # Small letters have whole sizes.
                em = min(math.floor(em), round(em / (0.98 * shrink)) - 1)
            if em < MIN_EM:
                return None
        else:
            return None
        scene.capital = capital
        free = rng.between(0.3, 1.0) * 2 * side * capital
        if look.margin[1]:
            free += rng.between(*look.margin) * scene.height / 2
        width = scene.width or max(round(0.6 * scene.height), round(total + 2 * free))
        scene.width = width
        over = width - total
        at = 0.5 + (rng.between(-0.5, 0.5) if rng.random() < 0.4 + 0.4 * scene.difficulty else 0.0)
        left = over * at
        if self.width and over > 0 and len(label) > 1 and rng.random() < 0.5:
            # Spread the letters over the width.
            more = min(over * rng.random() / (len(label) - 1), 0.8 * capital)
            lefts = [x + more * place for place, x in enumerate(lefts)]
            left = (over - more * (len(label) - 1)) * at
        down = (scene.height - (bottom - top)) * (0.5 + rng.between(-0.4, 0.4) * scene.difficulty) - top
        scene.top, scene.bottom = top + down, bottom + down
        return [(letter, round(x + left), round(y + down)) for letter, x, y in zip(letters, lefts, tops, strict=True)]

    def _letter(
        self, font: Font, em: float, character: str, effect: Effect, turn: tuple[float, float], scene: Scene
    ) -> Letter:
        # Small letters are drawn in their size, which keeps thin strokes sharp. Others are scaled from few sizes, so
        # that most are in the cache.
        size = round(em) if em < SCALED_EM else next(size for size in SIZES if size >= em)
        ink, _, top = draw_letter(font, size, character)
        if not ink.size:
            # A hyphen of some fonts has no pixel at the smallest sizes. The picture is drawn again.
            return Letter(np.zeros((1, 1), np.uint8), 0.0)
        scale = 1.0 if em < SCALED_EM else em / size
        middle = scale * (top + ink.shape[0] / 2)
        if em >= LEGIBLE_EM:
            changed = effect(ink, size, scene.rng)
            ink = changed if cv2.countNonZero(changed) >= MIN_KEPT * cv2.countNonZero(ink) else ink
        if turn != (0.0, 0.0) or scale != 1.0:
            ink = transform(ink, *turn, scale)
        # The thin strokes of small letters would nearly vanish.
        if 0 < (level := cv2.mean(ink, ink)[0]) < MEAN_LEVEL:
            ink = cv2.convertScaleAbs(ink, alpha=MEAN_LEVEL / level)
        if not scene.smooth:
            ink = cv2.threshold(ink, 110, 255, cv2.THRESH_BINARY)[1]
        return Letter(ink, middle)

    def _choose_colours(self, scene: Scene, count: int) -> None:
        look, rng = scene.look, scene.rng
        contrast = rng.between(*look.contrast)
        least = look.contrast[0] + (1 - scene.difficulty) * 60
        contrast = max(contrast, min(least, look.contrast[1]))
        dark = rng.random() < look.dark
        if dark:
            scene.ground = rng.between(0, min(110, 255 - contrast))
            scene.ink = scene.ground + contrast
        else:
            scene.ground = rng.between(max(140, contrast), 255)
            scene.ink = scene.ground - contrast
        saturation = scene.draw(look.ink_colour)
        own = rng.random() < look.own_colour
        spread = rng.between(0, look.colour_spread) * contrast if own else 0.0
        towards = -1 if dark else 1
        scene.colours = [
            paint.random_colour(min(255, max(0, scene.ink + towards * rng.random() * spread)), saturation, rng)
            for _ in range(count if own else 1)
        ]

    def _background(self, scene: Scene) -> Image:
        look, rng = scene.look, scene.rng
        contrast, saturation = scene.draw(look.ground_contrast) * scene.difficulty, scene.draw(look.ground_colour)
        away = 1 if scene.ground > scene.ink else -1
        # Both colours are on the same side of the ink.
        one = paint.random_colour(scene.ground, saturation, rng)
        other = paint.random_colour(min(255.0, max(0.0, scene.ground + away * contrast)), saturation, rng)
        if rng.random() < 0.5:
            one, other = other, one
        if self._photos and rng.random() < 0.5:
            photo = self._photos.cut(scene.height, scene.width, rng)
            # Less contrast than that of the ink is left.
            share = rng.between(0.15, 0.6) * min(1.0, 0.4 + 1.2 * scene.difficulty)
            return cv2.addWeighted(photo, share, paint.plain(scene.height, scene.width, one), 1 - share, 0)
        return rng.pick(look.grounds)(scene.height, scene.width, one, other, scene.capital, rng)

    def _mark_colour(self, scene: Scene, share: float) -> Rgb:
        """A colour at a share of the way from the background to the ink."""
        rng = scene.rng
        luma = scene.ground + share * (scene.ink - scene.ground)
        return paint.random_colour(min(255.0, max(0.0, luma)), rng.random() * scene.look.ink_colour[1], rng)

    def _mark(
        self,
        canvas: Image,
        kinds: Sequence[tuple[float, Mark]],
        scene: Scene,
        colour: Callable[[], tuple[float, ...]],
    ) -> None:
        rng = scene.rng
        for mean, mark in kinds:
            # The mean at the usual difficulty, 0.5.
            count = rng.round_randomly(
                mean * scene.noise * 2 * rng.random() * min(2 * scene.difficulty, 0.4 + 1.2 * scene.difficulty)
            )
            if not count:
                continue
            thickness = scene.draw(scene.look.thickness) * scene.capital
            same = colour() if rng.random() < 0.5 else None
            pen = Pen(
                (lambda same=same: same) if same else colour,  # type: ignore[misc]  # mypy sees Any
                thickness,
                scene.capital,
                scene.smooth,
                scene.top,
                scene.bottom,
                lambda size: self._small_letter(size, rng),
            )
            for _ in range(count):
                mark(canvas, pen, rng)

    def _small_letter(self, size: int, rng: SeededRandom) -> Mask:
        character = rng.choice(self.alphabet)
        # A font draws nothing, or a box, for a character that it lacks.
        fonts = [font for font in self.fonts if character in self._drawn[font]]
        return draw_letter(rng.choice(fonts), size, character).mask

    def _ink(self, placed: Sequence[tuple[Letter, int, int]], scene: Scene) -> NDArray[np.uint8] | None:
        """The letters as colours times opacity, and opacity: uint8 (height, width, 4). None if one is hidden or cut."""
        layer = np.zeros((scene.height, scene.width, 4), np.uint8)
        many = len(scene.colours) > 1
        for place, (letter, left, top) in enumerate(placed):
            mask = letter.mask
            ink = cv2.countNonZero(mask)
            x, y = max(0, left), max(0, top)
            part = mask[y - top : scene.height - top, x - left : scene.width - left]
            under = layer[y : y + part.shape[0], x : x + part.shape[1], 3]
            covered = cv2.countNonZero(cv2.min(under, part)) if part.size else 0
            if not ink or cv2.countNonZero(part) < (1 - MAX_CUT) * ink or covered > MAX_COVERED * ink:
                return None
            colour = scene.colours[place % len(scene.colours)] if many else scene.colours[0]
            paste(layer, mask, left, top, (*map(round, colour), 255))
        if not many and scene.rng.random() < scene.look.shaded:
            levels = paint.gradient(scene.height, scene.width, scene.rng)
            shades = paint.colourise(levels, scene.colours[0], paint.vary(scene.colours[0], 70, scene.rng))
            opacity = np.ascontiguousarray(layer[..., 3])
            layer[..., :3] = cv2.multiply(shades, cv2.merge([opacity] * 3), scale=1 / 255)
        return layer

    def _shadow(self, image: Image, mask: Mask, scene: Scene) -> None:
        rng = scene.rng
        reach = max(1, round(rng.between(0.03, 0.12) * scene.capital))
        along, down = rng.choice(((1, 1), (-1, 1), (1, 0), (0, 1)))
        deep = rng.random() < 0.3
        colour = paint.plain(mask.shape[0], mask.shape[1], self._mark_colour(scene, rng.between(0.15, 0.45)))
        under = mask
        for distance in range(1, reach + 1) if deep else (reach,):
            moved = np.zeros_like(mask)
            height, width = mask.shape
            x, y = along * distance, down * distance
            moved[max(0, y) :, max(0, x) : width + min(0, x)] = mask[
                : height - max(0, y), max(0, -x) : width - max(0, x)
            ]
            under = cv2.max(under, moved) if deep else moved
        if rng.random() < 0.5:
            under = cv2.GaussianBlur(under, (0, 0), 0.3 + 0.4 * reach)
        image[:] = paint.blend(image, colour, under)

    def _warped(self, image: Image, mask: Mask, scene: Scene) -> tuple[Image, Mask | None]:
        """Apply the warps to the picture and to the mask of the letters. The mask is None if they are cut off."""
        look, rng = scene.look, scene.rng
        along, down = np.zeros((1, 1), np.float32), np.zeros((1, 1), np.float32)
        strength = scene.difficulty * self.distortion
        chosen = [warp for probability, warp in look.warps if rng.random() < probability]
        if not chosen or not strength:
            return image, mask
        for warp in chosen:
            x, y = warp(scene.height, scene.width, scene.capital, strength * rng.between(0.4, 1.4), rng)
            along, down = along + x, down + y
        before = cv2.countNonZero(cv2.threshold(mask, 100, 255, cv2.THRESH_BINARY)[1])
        both = warps.displace(np.dstack([image, mask]), along, down)
        image, mask = np.ascontiguousarray(both[..., :3]), np.ascontiguousarray(both[..., 3])
        after = cv2.countNonZero(cv2.threshold(mask, 100, 255, cv2.THRESH_BINARY)[1])
        edges = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
        cut = after < 0.8 * before or (edges > 100).sum() > 0.2 * scene.capital
        return image, None if cut else mask


#: A clean picture.
PLAIN = Look(
    capital=(0.6, 0.7), sizes=(0, 0), own_font=0, own_colour=0, gap=(0.0, 0.15), slots=0, rotation=(0, 0),
    shear=(0, 0), rise=(0, 0), dark=0,
    contrast=(150, 200), ground_contrast=(0, 0), grounds=((1, grounds.plain),), smooth=1, frame=0,
)  # fmt: skip


@functools.cache
def _distinct_characters(font: Font, alphabet: str) -> set[str]:
    """The characters of `alphabet` that a font draws, without small letters if they look like capitals."""
    has = drawn(font, alphabet)
    known = characters(font.path)[font.face]
    alike = [_looks_alike(font, capital) for capital in PROBES if {capital, capital.lower()} <= known]
    return has - set(ascii_lowercase) if alike and sum(alike) >= 0.4 * len(alike) else has


def _looks_alike(font: Font, capital: str) -> bool:
    large, small = (draw_letter(font, 32, letter).mask for letter in (capital, capital.lower()))
    if not large.size or not small.size:
        return True
    small = cv2.resize(small, large.shape[::-1])
    return int(cv2.min(large, small).sum()) > 0.7 * int(cv2.max(large, small).sum())


def needs_even_letters(label: str) -> bool:
    """Whether a letter of the text has the same shape in both cases, and both cases occur: `c` in `aCXc`."""
    cased = [character for character in label if character.isalpha()]
    if all(map(str.islower, cased)) or all(map(str.isupper, cased)):
        return False
    return any(character.lower() in SAME_SHAPE for character in cased)


def _log_between(bounds: Range, rng: SeededRandom) -> float:
    return math.exp(rng.between(*map(math.log, bounds)))


def _lefts(widths: Sequence[int], gaps: Sequence[float], slots: bool, overlap: float) -> tuple[list[float], float]:
    """The left edges of letters of these widths, beginning at 0, and the width of all."""
    if slots and len(widths) > 1:
        step = max(widths) + sum(gaps) / len(gaps)
        step = max(step, 0.8 * max(widths))
        lefts = [place * step + (max(widths) - width) / 2 for place, width in enumerate(widths)]
        first = min(lefts)
        lefts = [left - first for left in lefts]
        return lefts, max(left + width for left, width in zip(lefts, widths, strict=True))
    lefts, x = [0.0], float(widths[0])
    for before, width, gap in zip(widths, widths[1:], gaps, strict=False):
        x += max(gap, -overlap * min(before, width))
        lefts.append(x)
        x += width
    return lefts, max(left + width for left, width in zip(lefts, widths, strict=True))


def _composed(image: Image, layer: NDArray[np.uint8]) -> Image:
    """Put a layer of :meth:`Family._ink` over `image`."""
    shown = cv2.bitwise_not(cv2.cvtColor(np.ascontiguousarray(layer[..., 3]), cv2.COLOR_GRAY2RGB))
    return cv2.add(cv2.multiply(image, shown, scale=1 / 255), np.ascontiguousarray(layer[..., :3]))
