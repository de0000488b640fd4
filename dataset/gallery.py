"""A contact sheet of picture files, however many and large they are."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from cli.files import atomic
from crnn_reader.errors import UnreadablePicture, UserError
from crnn_reader.fit import fit_image
from crnn_reader.image import DEFAULT_OPTIONS, ImageOptions, read_image
from crnn_reader.pixels import Image
from dataset.contact_sheets import contact_sheet

#: Longest side that a picture is kept with until the sheet is drawn, in pixels.
KEPT = 320


def gallery(
    paths: Sequence[str],
    captions: Sequence[str],
    wrong: Collection[int] = (),
    options: ImageOptions = DEFAULT_OPTIONS,
) -> Image:
    """The pictures of `paths` with their captions, those whose index is in `wrong` marked; uint8 RGB (h, w, 3).

    A file that cannot be read any more leaves its place grey.
    """
    return contact_sheet([_small(path, options) for path in paths], captions, wrong=wrong)


@contextlib.contextmanager
def gallery_file(
    path: str,
) -> Iterator[Callable[[Sequence[str], Sequence[str], Collection[int], ImageOptions], None]]:
    """Yields the function that draws a :func:`gallery` into the picture file `path`.

    Raises UserError when no picture can be written under such a name, OSError when nothing can be written there.
    """
    suffix, pixel = Path(path).suffix, np.zeros((1, 1, 3), np.uint8)
    # Some writers take no colours.
    if not suffix or not cv2.haveImageWriter(f"x{suffix}") or not cv2.imencode(suffix, pixel)[0]:
        raise UserError(f"{path} does not end like a picture: give a name such as sheet.png or sheet.jpg")
    with atomic(path) as file:
        file.touch()

        def draw(paths: Sequence[str], captions: Sequence[str], wrong: Collection[int], options: ImageOptions) -> None:
            _, data = cv2.imencode(suffix, gallery(paths, captions, wrong, options)[..., ::-1])
            file.write_bytes(data.tobytes())

        yield draw


def _small(path: str, options: ImageOptions) -> Image:
    try:
        image = read_image(path, 3, options)
    except UnreadablePicture:
        return np.full((KEPT // 2, KEPT, 3), 200, np.uint8)
    scale = min(1.0, KEPT / max(image.shape))
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    return fit_image(image, width, height, "stretch")
