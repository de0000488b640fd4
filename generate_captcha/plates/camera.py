"""The camera that takes a picture of a plate: angle, crop and resolution, light, lens, sensor and file format.

Images are uint8 (height, width, 3) in RGB order. `difficulty`, from 0 to 1, raises probability and strength of effects.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from generate_captcha.arrays import Image, Mask
from generate_captcha.drawing import effects, paint
from generate_captcha.drawing.pose import Floats, Pose
from generate_captcha.plates.rendering import RenderedPlate
from generate_captcha.seeded_random import SeededRandom

#: Minimum in pixels of the height of legible letters, of that of Hangul and Han letters, and of their distance.
MIN_HEIGHT, MIN_FULL_WIDTH_HEIGHT, MIN_PITCH = 9.0, 9.5, 6.0
#: Minimum width of a plate in pixels.
MIN_WIDTH = 60.0


#: Share of the compressed pictures whose blocks of pixels show.
STRONG_COMPRESSION = 0.35
#: Room on each side of a loose crop at difficulty 1, as a fraction of the plate's height and width: the crop is up to
#: 1.4 times as large.
LOOSE = 0.3
#: Share of a tight crop's sides that cut letters, and by how much at most, as a fraction of their height: less than a
#: stroke.
CUTTING_CROPS, MAX_CUT = 0.3, 0.05


class View(NamedTuple):
    """How a camera sees a rendered plate."""

    matrix: Floats  #: homography, (3, 3), from pixels of the rendered plate to those of the picture
    size: tuple[int, int]  #: width and height of the picture in pixels
    scale: float  #: pixels of the picture per pixel of the rendered plate


def random_view(
    rendered: RenderedPlate,
    full_width: bool,
    max_size: tuple[int, int],
    difficulty: float,
    distortion: float,
    rng: SeededRandom,
) -> View:
    """Choose angle, crop and resolution.

    Arguments:
        full_width: whether the text has Hangul or Han letters.
        max_size: width and height of the final picture in pixels, about the highest resolution; width 0 if it follows
            the plate.
    """
    left, top, right, bottom = rendered.plate
    width, height = right - left, bottom - top
    pose = _random_pose(width / height, difficulty, distortion, rng)
    # The origin is the middle of the plate, the unit is its height.
    to_pose = np.array(
        [[1 / height, 0, -(left + right) / 2 / height], [0, 1 / height, -(top + bottom) / 2 / height], [0, 0, 1]]
    )
    matrix = pose.matrix(width / height, 1.0) @ to_pose
    letter = rendered.letter_height / height
    plate, text = _project_box(matrix, rendered.plate), _project_box(matrix, rendered.text)
    crop = _random_crop(plate, text, letter, difficulty, rng)
    # The scales are in pixels per unit: heights of the plate in pixels.
    min_scale = height * max(
        (MIN_FULL_WIDTH_HEIGHT if full_width else MIN_HEIGHT) / rendered.letter_height,
        MIN_PITCH / rendered.pitch / min(1, pose.stretch),
        MIN_WIDTH / width,
    )
    if 1.1 * max_size[1] / (crop[3] - crop[1]) < min_scale:
        # The picture is too low for a loose crop.
        crop = [(min if side < 2 else max)(edge, text[side]) for side, edge in enumerate(plate)]
    crop_width, crop_height = crop[2] - crop[0], crop[3] - crop[1]
    max_scale = 1.1 * max_size[1] / crop_height
    if max_size[0]:
        max_scale = max(max_scale, 1.1 * max_size[0] / crop_width)
    min_scale = min(max_scale, min_scale * (1 + 2.5 * (1 - difficulty) ** 2))
    low_resolution = rng.random() < 0.75 * difficulty
    scale = math.exp(rng.between(math.log(min_scale), math.log(max_scale))) if low_resolution else max_scale
    size = max(8, round(scale * crop_width)), max(8, round(scale * crop_height))
    across, down = size[0] / crop_width, size[1] / crop_height
    to_picture = np.array([[across, 0, -across * crop[0]], [0, down, -down * crop[1]], [0, 0, 1]])
    return View(to_picture @ matrix, size, scale / height)


def _random_pose(aspect: float, difficulty: float, distortion: float, rng: SeededRandom) -> Pose:
    strength = difficulty * distortion
    if not strength or rng.random() > 0.2 + 0.8 * difficulty:
        return Pose()
    if rng.random() < 0.3:
        # Seen from the side and from above: long edges slope, short ones stay vertical or lean the other way.
        rotation = rng.between(-28, 28) * strength
        shear = -math.tan(math.radians(rotation)) * rng.between(0.5, 1.8)
    else:
        # Long plates are rotated less, because they would leave their crop.
        max_rotation = min(24.0, 50.0 / aspect)
        rotation = rng.between(-max_rotation, max_rotation) * strength * math.sqrt(rng.random())
        shear = rng.between(-0.6, 0.6) * strength * math.sqrt(rng.random())
    return Pose(
        rotation=rotation,
        shear=shear,
        stretch=rng.between(1 - 0.3 * strength, 1 + 0.3 * strength),
        tilt=(rng.between(-0.35, 0.35) * strength, rng.between(-0.2, 0.2) * strength),
    )


def _project_box(matrix: Floats, box: Sequence[float]) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom of the projection of a box."""
    left, top, right, bottom = box
    points = matrix @ np.array([[left, right, right, left], [top, top, bottom, bottom], [1, 1, 1, 1]])
    x, y = points[:2] / points[2]
    return float(x.min()), float(y.min()), float(x.max()), float(y.max())


def _random_crop(
    plate: Sequence[float], text: Sequence[float], letter: float, difficulty: float, rng: SeededRandom
) -> list[float]:
    """Return a box as a detector finds it: around the plate, through its border, or with part of the car.

    Arguments:
        letter: height of the letters. A tight box may cut off less than a stroke of them.
    """
    height, width = plate[3] - plate[1], plate[2] - plate[0]
    tight, loose = rng.random() < 0.45 * difficulty, rng.random() < 0.5 * difficulty
    shift = (0.0, 0.0)
    if loose:
        # Detectors find a box of the right size at a wrong place as often as one that is too large.
        shift = (
            rng.between(-0.5, 0.5) * difficulty * LOOSE * width,
            rng.between(-0.5, 0.5) * difficulty * LOOSE * height,
        )
    crop = []
    for side, (edge, of_text) in enumerate(zip(plate, text, strict=True)):
        outwards = -1 if side < 2 else 1
        nearest = of_text + outwards * 0.03 * height
        if tight and rng.random() < 0.6:
            if rng.random() < CUTTING_CROPS:
                edge = nearest = of_text - outwards * rng.random() * MAX_CUT * letter
            else:
                edge = of_text + (edge - of_text) * rng.between(0.15, 1.0)
        elif loose:
            room = rng.random() * LOOSE * difficulty * (height if side % 2 else min(width, 2 * height))
            edge += outwards * room + 0.5 * shift[side % 2]
        else:
            edge += outwards * rng.between(-0.01, 0.04) * height * difficulty
        crop.append(min(edge, nearest) if side < 2 else max(edge, nearest))
    return crop


def project_plate(rendered: RenderedPlate, view: View) -> tuple[Image, Mask]:
    """Return the picture of a plate, and the ink of its letters in the picture."""
    matrix, image, ink = view.matrix, rendered.image, rendered.ink
    if view.scale < 0.6:
        # The projection interpolates four pixels. A much larger image is reduced first, so that no pixel is lost.
        factor = view.scale * 1.2
        size = max(8, round(image.shape[1] * factor)), max(8, round(image.shape[0] * factor))
        across, down = image.shape[1] / size[0], image.shape[0] / size[1]
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        ink = cv2.resize(ink, size, interpolation=cv2.INTER_AREA)
        # The centre of a pixel is half a pixel from its corner.
        matrix = matrix @ np.array([[across, 0, across / 2 - 0.5], [0, down, down / 2 - 0.5], [0, 0, 1]])
    return (
        cv2.warpPerspective(image, matrix, view.size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE),
        cv2.warpPerspective(ink, matrix, view.size, flags=cv2.INTER_LINEAR),
    )


def project_scene(
    scene: Image, size: tuple[int, int], difficulty: float, distortion: float, rng: SeededRandom
) -> Image:
    """Return a picture of `size` (width, height) of the middle of a scene, at a random angle, as of a plate there.

    Arguments:
        scene: uint8 (height, width, 3), with room around its middle for the angle.
    """
    aspect = size[0] / size[1]
    height, width = scene.shape[:2]
    to_pose = np.array([[1 / size[1], 0, -width / 2 / size[1]], [0, 1 / size[1], -height / 2 / size[1]], [0, 0, 1]])
    to_picture = np.array([[size[1], 0, size[0] / 2], [0, size[1], size[1] / 2], [0, 0, 1.0]])
    matrix = to_picture @ _random_pose(aspect, difficulty, distortion, rng).matrix(aspect, 1.0) @ to_pose
    return cv2.warpPerspective(scene, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def photograph(image: Image, detail: float, difficulty: float, noise: float, rng: SeededRandom) -> Image:
    """Apply a random selection of effects of light, lens, sensor and file format.

    Arguments:
        detail: size of the letters' details in pixels, which limits blur.
        noise: factor of the sensor's noise.
    """
    if rng.random() < 0.25 * difficulty:
        image = effects.shadow(image, rng.between(0.15, 0.3 + 0.4 * difficulty), rng)
    if rng.random() < 0.2 * difficulty:
        image = effects.glare(image, rng.between(40, 60 + 150 * difficulty), rng.between(0.15, 0.6), rng)
    if night := rng.random() < 0.13 * difficulty:
        image = _infrared(image, difficulty, rng)
    # The sum of the two kinds of blur is limited.
    blur = rng.random() * difficulty
    if rng.random() < 0.1 + 0.6 * difficulty:
        image = cv2.GaussianBlur(image, (0, 0), 0.25 + 0.09 * blur * detail)
    if rng.random() < 0.3 * difficulty:
        image = effects.motion_blur(image, 1 + 0.33 * (difficulty - blur) * detail, rng.between(0, 180))
    # Noise precedes the exposure, so that dark pictures are no noisier and stay legible.
    if rng.random() < 0.75 * difficulty:
        image = effects.noise(image, rng.random() ** 2 * 15 * difficulty * noise, rng.random() < 0.5, rng)
    if not night and rng.random() < 0.6 * difficulty:
        image = effects.saturate(image, rng.between(1 - 0.7 * difficulty, 1 + 1.6 * difficulty))
    if rng.random() < 0.9 * difficulty or night:
        image = _expose(image, difficulty, night, rng)
    if rng.random() < 0.3 * difficulty:
        image = _sharpen(image, rng)
    if rng.random() < 0.6 * difficulty:
        # Video of traffic cameras is compressed until blocks of pixels show.
        low, high = (14, 32) if rng.random() < STRONG_COMPRESSION else (95 - 75 * difficulty, 95)
        image = effects.jpeg(image, int(rng.between(low, high)))
    return image


def resize(image: Image, size: tuple[int, int], difficulty: float, aliased: bool, rng: SeededRandom) -> Image:
    """Stretch a picture to `size` (width, height), sometimes with JPEG compression afterwards.

    A width of 0 keeps the aspect ratio. If `aliased`, a larger picture is sampled and not averaged, so that thin
    strokes become uneven.
    """
    height, width = image.shape[:2]
    size = size[0] or max(8, round(width * size[1] / height)), size[1]
    if size == (width, height):
        return image
    if size[1] < height:
        interpolation = cv2.INTER_LINEAR if aliased else cv2.INTER_AREA
    else:
        interpolation = rng.choice((cv2.INTER_LINEAR, cv2.INTER_CUBIC))
    image = cv2.resize(image, size, interpolation=interpolation)
    if rng.random() < 0.3 * difficulty:
        image = effects.jpeg(image, int(rng.between(95 - 40 * difficulty, 95)))
    return image


def _infrared(image: Image, difficulty: float, rng: SeededRandom) -> Image:
    """Make a picture at night by infrared light: grey, with bright and glowing reflective parts, the rest dark."""
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    if rng.random() < 0.5:
        grey = cv2.bitwise_not(grey)
    low = rng.between(0.3, 0.7)
    grey = effects.expose(grey, (1.0,) * 3, 0.0, rng.between(1.0, 1.0 + difficulty))
    height, width = grey.shape[:2]
    if rng.random() < 0.6:
        light = cv2.convertScaleAbs(paint.gradient(height, width, rng), alpha=1 - low, beta=255 * low)
        grey = cv2.multiply(grey, cv2.merge([light] * 3), scale=1 / 255)
    return effects.bloom(grey, max(0.6, 0.04 * height), rng.between(0.1, 0.5))


def _expose(image: Image, difficulty: float, night: bool, rng: SeededRandom) -> Image:
    """Change brightness, contrast and the colour of the light."""
    light = math.exp(rng.between(-1.3, 0.7) * difficulty)
    tint = 0.0 if night else 0.16 * difficulty
    red, green, blue = (light * (1 + rng.between(-tint, tint)) for _ in range(3))
    # Haze or sun on the lens brightens dark areas. Cameras that raise the contrast make them black.
    offset, contrast = 0.0, 1.0
    if (chance := rng.random()) < 0.35:
        offset = rng.random() * 110 * difficulty
        contrast = 1 - offset / 255
    elif chance < 0.65:
        offset = -rng.random() * 100 * difficulty
        contrast = 1 - 1.7 * offset / 255
    gains = red * contrast, green * contrast, blue * contrast
    return effects.expose(image, gains, offset, rng.between(1 - 0.3 * difficulty, 1 + 0.4 * difficulty))


def _sharpen(image: Image, rng: SeededRandom) -> Image:
    """Sharpen as cameras and phones do, with halos at edges."""
    share = rng.between(0.4, 1.5)
    return cv2.addWeighted(image, 1 + share, cv2.GaussianBlur(image, (0, 0), 1.2), -share, 0)
