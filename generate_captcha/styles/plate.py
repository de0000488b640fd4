"""Style `plate`: licence plates of many countries, as gate and road cameras see them.

Text and look of a plate come from a layout, a file in `generate_captcha/layouts`. `difficulty` controls dirt and
camera: at 0 a clean plate fills the picture, at 1 it is as small, blurred, dirty, oblique, dark or dazzled as a person
can just read. It bounds the effects; each picture gets a random selection. A picture whose letters do not stand out is
drawn again. Letters are never cut off.
"""

from __future__ import annotations

import bisect
import itertools
from typing import Any

from crnn_reader.errors import UserError
from generate_captcha.arrays import Image
from generate_captcha.drawing.visibility import stands_out
from generate_captcha.plates import camera
from generate_captcha.plates.layout import Layout
from generate_captcha.plates.layout_files import choose_layouts
from generate_captcha.plates.letters import is_other_script
from generate_captcha.plates.patterns import SEPARATORS, Rows, join_rows
from generate_captcha.plates.rendering import render
from generate_captcha.seeded_random import SeededRandom
from generate_captcha.style import Style, digest
from generate_captcha.text.fonts import Font, choose_fonts
from parameter import GenerateParameters

PROPERTIES = {
    "size": "autox64",
    "any_width": True,
    "texts_from": "layouts",
    "own": ("difficulty", "layouts", "keep_separators"),
}

#: Number of attempts at the full difficulty, then at decreasing difficulty, and at difficulty 0. There are many of the
#: last ones, so that a layout whose letters seldom do not stand out does not end a large corpus.
FULL_ATTEMPTS, EASIER_ATTEMPTS, EASIEST_ATTEMPTS = 4, 8, 30
#: Size in pixels of the smallest picture in which a plate is legible.
MIN_WIDTH, MIN_HEIGHT = 80, 20
#: Minimum heights in pixels for all layouts, also those of two rows; the second if the width follows the plate.
ANY_LAYOUT_HEIGHT, ANY_LAYOUT_HEIGHT_AUTO = 32, 40
#: Minimum height in pixels of letters in a lower picture that a plate just fills.
MIN_LETTER_HEIGHT = 8.0
#: Minimum contrast of letters in grey levels; low, because of cars in the shade at dusk.
MIN_CONTRAST = 20.0
#: Pixels of the rendered plate per pixel of the picture.
OVERSAMPLING = 1.2
#: Share of plates at difficulty 1 that are photographed :data:`ALIASED_ZOOM` times as large and then sampled without
#: averaging, as the default of cv2.resize and many detection pipelines do.
ALIASED, ALIASED_ZOOM = 0.3, 2.5


class Plate(Style):
    """Licence plates, from clean to barely legible."""

    def __init__(self, parameters: GenerateParameters) -> None:
        super().__init__(parameters)
        if self.height < MIN_HEIGHT or 0 < self.width < MIN_WIDTH:
            raise UserError(
                f"the size {parameters.size} is too small for a plate to be legible: give "
                f"{MIN_WIDTH if self.width else 'auto'}x{MIN_HEIGHT} or more",
                parameter="size",
            )
        own_fonts = None if parameters.fonts is None else choose_fonts(parameters.fonts, (), "")
        self.layouts = choose_layouts(parameters.layouts, own_fonts)
        min_height = ANY_LAYOUT_HEIGHT if self.width else ANY_LAYOUT_HEIGHT_AUTO
        for layout in self.layouts if self.height < min_height else ():
            letter_height = layout.letter_height / layout.fields.size[1] * self.height
            if len(layout.fields.rows) > 1 or letter_height < MIN_LETTER_HEIGHT:
                raise UserError(
                    f"the size {parameters.size} is too small for layout {layout.name}, whose letters would be "
                    f"{letter_height:.0f} pixels high: give a height of {min_height} or more, or other layouts",
                    parameter="size",
                )
        self._cumulative_weights = list(itertools.accumulate(layout.fields.weight for layout in self.layouts))
        self._separators = parameters.keep_separators
        patterns = [pattern for layout in self.layouts for pattern in layout.patterns]
        # A random text may have one letter more than its pattern.
        self.longest = 1 + max(pattern.longest(self._separators) for pattern in patterns)
        characters = {character for pattern in patterns for character in pattern.characters}
        if self._separators:
            characters |= {sign for pattern in patterns for sign in SEPARATORS if sign in pattern.separators}
        self.alphabet = "".join(sorted(characters))
        faces = (face for layout in self.layouts for face in (*layout.latin_faces, *layout.full_width_faces))
        self.fonts = sorted({face for face in faces if isinstance(face, Font)})

    def record(self) -> dict[str, Any]:
        return super().record() | {"layouts": [f"{layout.name} {digest(layout.path)}" for layout in self.layouts]}

    def _label(self, rng: SeededRandom) -> str:
        _, rows = self._random_text(rng)
        return join_rows(rows, self._separators)

    def _picture(self, rng: SeededRandom) -> tuple[Image, str]:
        layout, rows = self._random_text(rng)
        label = join_rows(rows, self._separators)
        full_width = any(is_other_script(letter) for row in rows for part in row for letter in part.text)
        size, scale = (self.width, self.height), self._scale(layout)
        aliased = rng.random() < ALIASED * self.difficulty
        zoom = ALIASED_ZOOM if aliased else 1.0
        seen = round(zoom * self.width), round(zoom * self.height)
        for attempt in range(FULL_ATTEMPTS + EASIER_ATTEMPTS + EASIEST_ATTEMPTS):
            difficulty = self.difficulty * min(1.0, max(0.0, 1 - (attempt - FULL_ATTEMPTS) / EASIER_ATTEMPTS))
            rendered = render(layout, rows, zoom * scale, difficulty, self.noise, rng)
            view = camera.random_view(rendered, full_width, seen, difficulty, self.distortion, rng)
            image, ink = camera.project_plate(rendered, view)
            # Blur is limited by the details of letters; those of Hangul and Han letters are finer.
            details = 3.2 if layout.full_width_faces else 1.8
            detail = view.scale * min(rendered.letter_height / details, rendered.pitch)
            image = camera.photograph(image, detail, difficulty, self.noise, rng)
            if stands_out(image, ink, rendered.letter_height * view.scale, MIN_CONTRAST):
                return camera.resize(image, size, difficulty, aliased, rng), label
        raise UserError(
            f"{layout.path}: {label!r} cannot be drawn legibly: choose inks and grounds that differ more, keep the "
            "boxes of rows off bands and marks, or give a larger size"
        )

    def _random_text(self, rng: SeededRandom) -> tuple[Layout, Rows]:
        """Choose a layout by its weight, and a text for it."""
        place = rng.random() * self._cumulative_weights[-1]
        layout = self.layouts[bisect.bisect_right(self._cumulative_weights, place)]
        return layout, layout.write(rng)

    def _scale(self, layout: Layout) -> float:
        """Pixels per millimetre of the rendered plate: enough for the picture, and equal for all plates of a layout."""
        width, height = layout.fields.size
        return OVERSAMPLING * (max(self.height / height, self.width / width) if self.width else self.height / height)
