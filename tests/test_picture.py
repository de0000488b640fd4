"""Every kind of file that a folder may hold, and the fit that training and reading share."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image as pillow

import picture
from picture import UnreadablePicture

RED, WHITE, BLUE = (200, 30, 20), (255, 255, 255), (10, 40, 220)


def scene() -> np.ndarray:
    """24 x 40: red on the left, blue on the right, white below; smooth enough for JPEG."""
    image = np.empty((24, 40, 3), np.uint8)
    image[:, :20], image[:, 20:], image[16:] = RED, BLUE, WHITE
    return image


def encoded(image: Any, kind: str, **options: Any) -> bytes:
    if isinstance(image, np.ndarray):
        image = pillow.fromarray(image)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def check_scene(image: np.ndarray, tolerance: int = 0) -> None:
    assert image.dtype == np.uint8
    assert image.shape == (24, 40, 3)
    for (y, x), colour in {(8, 8): RED, (8, 32): BLUE, (20, 20): WHITE}.items():
        assert np.abs(image[y, x].astype(int) - colour).max() <= tolerance


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_claiming(width: int, height: int) -> bytes:
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", zlib.compress(b"\0" * 100)) + png_chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("kind", "options", "tolerance"),
    [
        ("PNG", {}, 0),
        ("JPEG", {"quality": 95, "subsampling": 0}, 6),
        ("BMP", {}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("GIF", {}, 0),
        ("TIFF", {}, 0),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
        ("PPM", {}, 0),
    ],
)
def test_every_format(kind: str, options: dict[str, Any], tolerance: int, tmp_path: Path) -> None:
    data = encoded(scene(), kind, **options)
    check_scene(picture.read(data, 3), tolerance)
    file = tmp_path / "picture"
    file.write_bytes(data)
    check_scene(picture.read(file, 3), tolerance)
    check_scene(picture.read(str(file), 3), tolerance)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF"])
def test_grey_is_the_luminance_of_the_colours(kind: str) -> None:
    grey = picture.read(encoded(scene(), kind), 1)
    assert grey.shape == (24, 40, 1)
    for (y, x), colour in {(8, 8): RED, (8, 32): BLUE, (20, 20): WHITE}.items():
        assert abs(int(grey[y, x, 0]) - np.dot(colour, (0.299, 0.587, 0.114))) <= 6


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "PPM"])
def test_a_grey_file_gives_three_equal_channels(kind: str) -> None:
    image = picture.read(encoded(scene()[..., 0], kind), 3)
    assert image.shape == (24, 40, 3)
    assert (image[..., 0] == image[..., 2]).all()
    assert abs(int(image[8, 8, 0]) - RED[0]) <= 6


def test_one_bit_files() -> None:
    image = picture.read(encoded(pillow.fromarray(scene()).convert("1", dither=pillow.Dither.NONE), "PNG"), 1)
    assert set(np.unique(image)) == {0, 255}


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_alpha_is_laid_on_white(kind: str) -> None:
    rgba = np.dstack([scene(), np.full((24, 40), 255, np.uint8)])
    rgba[16:] = (0, 0, 0, 0)  # black, were it not transparent
    rgba[0, 0] = (0, 0, 0, 128)
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    image = picture.read(encoded(rgba, kind, **options), 3)
    check_scene(image)
    assert np.abs(image[0, 0].astype(int) - 127).max() <= 1


def test_grey_with_alpha_is_laid_on_white() -> None:
    ink = pillow.merge("LA", [pillow.new("L", (9, 5), 0), pillow.new("L", (9, 5), 0)])
    ink.putpixel((3, 2), (0, 255))
    image = picture.read(encoded(ink, "PNG"), 1)
    assert image[2, 3] == 0
    assert image.sum() == 255 * 44


def test_palette() -> None:
    check_scene(picture.read(encoded(pillow.fromarray(scene()).quantize(8), "PNG"), 3))


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_transparent_palette_colours_are_laid_on_white(kind: str) -> None:
    palette = pillow.fromarray(np.where(np.arange(40)[None] < 20, 0, 1).astype(np.uint8).repeat(24, 0), "P")
    palette.putpalette([*RED, 0, 0, 0])
    image = picture.read(encoded(palette, kind, transparency=1), 3)
    assert tuple(image[8, 8]) == RED
    assert tuple(image[8, 32]) == WHITE


def test_samples_that_are_fractions_are_unreadable(tmp_path: Path) -> None:
    pillow.fromarray(np.linspace(0, 1, 200, dtype=np.float32).reshape(10, 20)).save(tmp_path / "a.tif")
    with pytest.raises(picture.UnreadablePicture, match="its samples are fractions: save it with 8 or 16 bits"):
        picture.read(tmp_path / "a.tif", 1)


@pytest.mark.parametrize(("mode", "transparent"), [("L", 76), ("RGB", BLUE)])
def test_a_transparent_colour_without_palette_is_laid_on_white(mode: str, transparent: Any) -> None:
    source = pillow.new(mode, (6, 4), transparent)
    source.putpixel((0, 0), 10 if mode == "L" else RED)
    image = picture.read(encoded(source, "PNG", transparency=transparent), 3)
    assert tuple(image[2, 2]) == WHITE
    assert tuple(image[0, 0]) == ((10, 10, 10) if mode == "L" else RED)


@pytest.mark.parametrize("suffix", [".png", ".tiff", ".ppm"])
@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_are_scaled_to_eight(suffix: str, channels: int) -> None:
    image = scene() if channels == 3 else scene()[..., 0]
    wide = image.astype(np.uint16) * 257
    suffix = ".pgm" if (suffix, channels) == (".ppm", 1) else suffix
    data = cv2.imencode(suffix, wide[..., ::-1] if channels == 3 else wide)[1].tobytes()
    read = picture.read(data, channels)
    assert np.abs(read.reshape(image.shape).astype(int) - image).max() <= 1


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_exif_rotation_is_applied(kind: str) -> None:
    exif = pillow.Exif()
    exif[0x0112] = 6  # stored lying on its left side
    stored = pillow.fromarray(np.rot90(scene()).copy())
    kinds: dict[str, dict[str, Any]] = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True}}
    options = kinds.get(kind, {})
    check_scene(picture.read(encoded(stored, kind, exif=exif, **options), 3), 6)


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk(kind: str) -> None:
    options = {"quality": 95, "subsampling": 0} if kind == "JPEG" else {}
    check_scene(picture.read(encoded(pillow.fromarray(scene()).convert("CMYK"), kind, **options), 3), 8)


def test_the_first_frame_of_an_animation(tmp_path: Path) -> None:
    frames = [pillow.fromarray(scene()), pillow.new("RGB", (40, 24))]
    check_scene(picture.read(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]), 3))


def test_the_content_decides_not_the_suffix(tmp_path: Path) -> None:
    file = tmp_path / "misnamed.jpg"
    file.write_bytes(encoded(scene(), "PNG"))
    check_scene(picture.read(file, 3))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "WEBP", "GIF", "TIFF", "PPM"])
@pytest.mark.parametrize("part", [0.3, 0.6, 0.95])
def test_truncated_files_are_unreadable(kind: str, part: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    data = encoded(noise, kind)
    with pytest.raises(UnreadablePicture, match=r"truncated|damaged|not a picture"):
        picture.read(data[: int(len(data) * part)], 3)


def test_a_damaged_png_is_unreadable() -> None:
    data = bytearray(encoded(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8), "PNG"))
    data[len(data) // 2] ^= 0xFF
    with pytest.raises(UnreadablePicture, match="damaged"):
        picture.read(bytes(data), 3)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "zero bytes"),
        (b"\x89PNG\r\n\x1a\n", "truncated"),
        (b"\x89PNG\r\n\x1a\n" + b"x" * 100, "damaged"),
        (b"\xff\xd8\xff", "truncated"),
        (b"GIF89a", "not a picture"),
        (b"II*\0", "not a picture|damaged|truncated"),
        (b"hello, I am a text", "not a picture"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC is not read: convert it to PNG or JPEG"),
        (b"\0\0\0\x18ftypavif\0\0\0\0", "AVIF is not read"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000 is not read"),
        (b"%PDF-1.4\n", "PDF is not read"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture"),
        (bytes(range(256)) * 9, "not a picture"),
    ],
)
def test_what_is_no_picture(data: bytes, reason: str) -> None:
    with pytest.raises(UnreadablePicture, match=reason):
        picture.read(data, 1)


def jpeg_claiming(width: int, height: int) -> bytes:
    data = bytearray(encoded(scene(), "JPEG"))
    struct.pack_into(">HH", data, data.index(b"\xff\xc0") + 5, height, width)
    return bytes(data)


def bmp_claiming(width: int, height: int) -> bytes:
    data = bytearray(encoded(scene(), "BMP"))
    struct.pack_into("<ii", data, 18, width, height)
    return bytes(data)


@pytest.mark.parametrize(
    "data",
    [
        png_claiming(60000, 60000),
        png_claiming(2_000_000_000, 1),
        jpeg_claiming(60000, 60000),
        bmp_claiming(60000, 60000),
        b"P6 60000 60000 255\n",
        bmp_claiming(12000, 9000),  # less than Pillow's limit
    ],
)
def test_enormous_dimensions_are_refused_before_decoding(data: bytes) -> None:
    with pytest.raises(UnreadablePicture, match=r"claims .*more than 25 million"):
        picture.read(data, 1)


def test_the_reason_tells_the_claimed_size() -> None:
    with pytest.raises(UnreadablePicture, match="claims 60000x60000 pixels, more than 25 million"):
        picture.read(png_claiming(60000, 60000), 1)


def test_paths_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(UnreadablePicture, match="no such file"):
        picture.read(tmp_path / "missing.png", 1)
    with pytest.raises(UnreadablePicture, match="a folder"):
        picture.read(tmp_path, 1)
    with pytest.raises(UnreadablePicture, match="no such file"):
        picture.read("a\0b", 1)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="POSIX only")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(UnreadablePicture, match="a pipe or device, no file"):
        picture.read(tmp_path / "pipe.png", 1)


def test_broken_files_leave_stderr_empty(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    for kind in ("PNG", "JPEG", "TIFF", "WEBP"):
        data = encoded(noise, kind)
        (tmp_path / f"half.{kind}").write_bytes(data[: len(data) // 2])
    (tmp_path / "large.bmp").write_bytes(bmp_claiming(12000, 8000))
    code = """
import sys, pathlib, picture
for file in pathlib.Path(sys.argv[1]).iterdir():
    try:
        picture.read(file, 1)
    except picture.UnreadablePicture as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 5


@pytest.mark.parametrize("how", ["stretch", "pad"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(1, 1), (7, 3), (300, 20), (20, 300), (128, 64), (200, 30), (1000, 1)])
def test_fit_gives_the_size(how: Any, channels: int, size: tuple[int, int]) -> None:
    image = np.full((size[1], size[0], channels), 77, np.uint8)
    fitted = picture.fit(image, 128, 64, how)
    assert fitted.shape == (64, 128, channels)
    assert fitted.dtype == np.uint8
    assert (fitted == 77).all()


def test_stretch_keeps_places() -> None:
    fitted = picture.fit(scene(), 80, 12, "stretch")
    assert tuple(fitted[2, 5]) == RED
    assert tuple(fitted[2, 75]) == BLUE
    assert tuple(fitted[11, 40]) == WHITE


def test_stretch_to_its_own_size_changes_nothing() -> None:
    assert (picture.fit(scene(), 40, 24) == scene()).all()


def test_shrinking_means_over_areas_even_where_the_other_side_grows() -> None:
    stripes = np.zeros((10, 400, 1), np.uint8)
    stripes[:, ::2] = 255
    fitted = picture.fit(stripes, 40, 40)
    assert np.abs(fitted.astype(int) - 127).max() <= 1


def test_pad_keeps_the_aspect_and_takes_the_colour_of_the_border() -> None:
    image = np.full((20, 40, 3), (240, 230, 220), np.uint8)
    image[5:15, 5:35] = (0, 0, 0)
    fitted = picture.fit(image, 128, 64, "pad")  # as it is twice as wide as high, so is its frame
    assert tuple(fitted[0, 0]) == (240, 230, 220)
    narrow = picture.fit(image, 200, 50, "pad")  # 100 of 200 columns, from the left
    dark = narrow[25, :, 0] < 100
    assert 60 <= dark.sum() <= 90
    assert not dark[100:].any()
    assert (narrow[:, 100:] == (240, 230, 220)).all()
    low = picture.fit(image, 100, 90, "pad")  # 50 of 90 rows, in the middle
    assert (low[:19] == (240, 230, 220)).all()
    assert (low[71:] == (240, 230, 220)).all()


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm"])
def test_suffixes(suffix: str) -> None:
    assert suffix in picture.PICTURE_SUFFIXES
