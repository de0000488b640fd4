"""Every kind of file that a folder may hold, and the fit that training and reading share."""

from __future__ import annotations

import base64
import io
import os
import struct
import sys
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePath
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image as pillow

from crnn_reader import image as image_module
from crnn_reader.errors import UnreadablePicture
from crnn_reader.fit import fit_image
from crnn_reader.image import ImageOptions, decode_image, read_image
from crnn_reader.image_headers import PICTURE_SUFFIXES
from crnn_reader.pixels import is_single_colour
from crnn_reader.sources import MISSING, START
from tests.processes import finished

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
    check_scene(read_image(data, 3), tolerance)
    file = tmp_path / "picture"
    file.write_bytes(data)
    check_scene(read_image(file, 3), tolerance)
    check_scene(read_image(str(file), 3), tolerance)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF"])
def test_grey_is_the_luminance_of_the_colours(kind: str) -> None:
    grey = read_image(encoded(scene(), kind), 1)
    assert grey.shape == (24, 40, 1)
    for (y, x), colour in {(8, 8): RED, (8, 32): BLUE, (20, 20): WHITE}.items():
        assert abs(int(grey[y, x, 0]) - np.dot(colour, (0.299, 0.587, 0.114))) <= 6


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "PPM"])
def test_a_grey_file_gives_three_equal_channels(kind: str) -> None:
    image = read_image(encoded(scene()[..., 0], kind), 3)
    assert image.shape == (24, 40, 3)
    assert (image[..., 0] == image[..., 2]).all()
    assert abs(int(image[8, 8, 0]) - RED[0]) <= 6


def test_one_bit_files() -> None:
    image = read_image(encoded(pillow.fromarray(scene()).convert("1", dither=pillow.Dither.NONE), "PNG"), 1)
    assert set(np.unique(image)) == {0, 255}


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_alpha_is_laid_on_white(kind: str) -> None:
    rgba = np.dstack([scene(), np.full((24, 40), 255, np.uint8)])
    rgba[16:] = (0, 0, 0, 0)  # black, were it not transparent
    rgba[0, 0] = (0, 0, 0, 128)
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    image = read_image(encoded(rgba, kind, **options), 3)
    check_scene(image)
    assert np.abs(image[0, 0].astype(int) - 127).max() <= 1


def test_grey_with_alpha_is_laid_on_white() -> None:
    ink = pillow.merge("LA", [pillow.new("L", (9, 5), 0), pillow.new("L", (9, 5), 0)])
    ink.putpixel((3, 2), (0, 255))
    image = read_image(encoded(ink, "PNG"), 1)
    assert image[2, 3] == 0
    assert image.sum() == 255 * 44


def test_palette() -> None:
    check_scene(read_image(encoded(pillow.fromarray(scene()).quantize(8), "PNG"), 3))


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_transparent_palette_colours_are_laid_on_white(kind: str) -> None:
    palette = pillow.fromarray(np.where(np.arange(40)[None] < 20, 0, 1).astype(np.uint8).repeat(24, 0), "P")
    palette.putpalette([*RED, 0, 0, 0])
    image = read_image(encoded(palette, kind, transparency=1), 3)
    assert tuple(image[8, 8]) == RED
    assert tuple(image[8, 32]) == WHITE


def test_samples_that_are_fractions_are_unreadable(tmp_path: Path) -> None:
    pillow.fromarray(np.linspace(0, 1, 200, dtype=np.float32).reshape(10, 20)).save(tmp_path / "a.tif")
    with pytest.raises(UnreadablePicture, match="it has floating-point samples: save it with 8 or 16 bits"):
        read_image(tmp_path / "a.tif", 1)


@pytest.mark.parametrize(("mode", "transparent"), [("L", 76), ("RGB", BLUE)])
def test_a_transparent_colour_without_palette_is_laid_on_white(mode: str, transparent: Any) -> None:
    source = pillow.new(mode, (6, 4), transparent)
    source.putpixel((0, 0), 10 if mode == "L" else RED)
    image = read_image(encoded(source, "PNG", transparency=transparent), 3)
    assert tuple(image[2, 2]) == WHITE
    assert tuple(image[0, 0]) == ((10, 10, 10) if mode == "L" else RED)


@pytest.mark.parametrize("suffix", [".png", ".tiff", ".ppm"])
@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_are_scaled_to_eight(suffix: str, channels: int) -> None:
    image = scene() if channels == 3 else scene()[..., 0]
    wide = image.astype(np.uint16) * 257
    suffix = ".pgm" if (suffix, channels) == (".ppm", 1) else suffix
    data = cv2.imencode(suffix, wide[..., ::-1] if channels == 3 else wide)[1].tobytes()
    read = read_image(data, channels)
    assert np.abs(read.reshape(image.shape).astype(int) - image).max() <= 1


def grey_tiff(samples: np.ndarray, bits: int, white_is_zero: bool, order: str, deflated: bool) -> bytes:
    """A TIFF of one strip, as scanners write it."""
    height, width = samples.shape
    if bits == 16:
        strip = samples.astype(f"{order}u2").tobytes()
    else:
        planes = samples.astype(np.uint8)[..., None] >> np.arange(bits - 1, -1, -1, dtype=np.uint8) & 1
        strip = np.packbits(planes.reshape(height, -1), axis=1).tobytes()
    strip = zlib.compress(strip) if deflated else strip
    tags = {256: width, 257: height, 258: bits, 259: 8 if deflated else 1, 262: int(not white_is_zero), 273: 8}
    tags |= {277: 1, 278: height, 279: len(strip)}
    entries = b"".join(
        struct.pack(f"{order}HHI", tag, 4 if tag in (273, 279) else 3, 1)
        + (struct.pack(f"{order}I", value) if tag in (273, 279) else struct.pack(f"{order}HH", value, 0))
        for tag, value in tags.items()
    )
    strip += bytes(len(strip) % 2)
    start = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(f"{order}I", 8 + len(strip))
    return start + strip + struct.pack(f"{order}H", len(tags)) + entries + bytes(4)


@pytest.mark.parametrize("deflated", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("white_is_zero", [False, True])
@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_a_tiff_says_whether_0_is_white(bits: int, white_is_zero: bool, order: str, deflated: bool) -> None:
    most = 2**bits - 1
    samples = np.zeros((6, 11), np.int64)
    samples[2:4, 3:7], samples[5, 10] = most, most // 3
    expected = np.round((most - samples if white_is_zero else samples) * 255 / most)
    data = grey_tiff(samples, bits, white_is_zero, order, deflated)
    assert (read_image(data, 1)[..., 0] == expected).all()
    assert (read_image(data, 3)[..., 2] == expected).all()
    if (bits, white_is_zero, order) != (16, True, ">"):  # which Pillow does not open
        assert (decode_image(pillow.open(io.BytesIO(data)), 1).image[..., 0] == expected).all()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_exif_rotation_is_applied(kind: str) -> None:
    exif = pillow.Exif()
    exif[0x0112] = 6  # stored lying on its left side
    stored = pillow.fromarray(np.rot90(scene()).copy())
    kinds: dict[str, dict[str, Any]] = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True}}
    options = kinds.get(kind, {})
    check_scene(read_image(encoded(stored, kind, exif=exif, **options), 3), 6)


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk(kind: str) -> None:
    options = {"quality": 95, "subsampling": 0} if kind == "JPEG" else {}
    check_scene(read_image(encoded(pillow.fromarray(scene()).convert("CMYK"), kind, **options), 3), 8)


def test_the_first_frame_of_an_animation(tmp_path: Path) -> None:
    frames = [pillow.fromarray(scene()), pillow.new("RGB", (40, 24))]
    check_scene(read_image(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]), 3))


def test_the_content_decides_not_the_suffix(tmp_path: Path) -> None:
    file = tmp_path / "misnamed.jpg"
    file.write_bytes(encoded(scene(), "PNG"))
    check_scene(read_image(file, 3))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "WEBP", "GIF", "TIFF", "PPM"])
@pytest.mark.parametrize("part", [0.3, 0.6, 0.95])
def test_truncated_files_are_unreadable(kind: str, part: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    data = encoded(noise, kind)
    with pytest.raises(UnreadablePicture, match=r"truncated|damaged|not a picture"):
        read_image(data[: int(len(data) * part)], 3)


def test_a_damaged_png_is_unreadable() -> None:
    data = bytearray(encoded(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8), "PNG"))
    data[len(data) // 2] ^= 0xFF
    with pytest.raises(UnreadablePicture, match="damaged"):
        read_image(bytes(data), 3)


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
        read_image(data, 1)


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
        read_image(data, 1)


def test_the_reason_tells_the_claimed_size() -> None:
    with pytest.raises(UnreadablePicture, match="claims 60000x60000 pixels, more than 25 million"):
        read_image(png_claiming(60000, 60000), 1)


class PathOfAProgram:
    """As py.path and others have; `path` may be bytes, as os.scandir(b".") gives."""

    def __init__(self, path: str | bytes) -> None:
        self._path = path

    def __fspath__(self) -> str | bytes:
        return self._path


def test_whatever_is_a_path_is_opened(tmp_path: Path) -> None:
    (tmp_path / "ü.png").write_bytes(encoded(scene(), "PNG"))
    name = str(tmp_path / "ü.png")
    (entry,) = os.scandir(tmp_path)
    for path in (PurePath(name), entry, PathOfAProgram(name), PathOfAProgram(os.fsencode(name))):
        check_scene(decode_image(path, 3).image)
    with pytest.raises(UnreadablePicture, match=MISSING):
        decode_image(PurePath(name + "x"), 3)


def test_paths_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(UnreadablePicture, match="no such file"):
        read_image(tmp_path / "missing.png", 1)
    with pytest.raises(UnreadablePicture, match="a folder"):
        read_image(tmp_path, 1)
    with pytest.raises(UnreadablePicture, match="no such file"):
        read_image("a\0b", 1)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="POSIX only")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(UnreadablePicture, match="a pipe or device, no file"):
        read_image(tmp_path / "pipe.png", 1)


def test_broken_files_leave_stderr_empty(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    for kind in ("PNG", "JPEG", "TIFF", "WEBP"):
        data = encoded(noise, kind)
        (tmp_path / f"half.{kind}").write_bytes(data[: len(data) // 2])
    (tmp_path / "large.bmp").write_bytes(bmp_claiming(12000, 8000))
    code = """
import sys, pathlib
from crnn_reader.errors import UnreadablePicture
from crnn_reader.image import read_image
for file in pathlib.Path(sys.argv[1]).iterdir():
    try:
        read_image(file, 1)
    except UnreadablePicture as error:
        print(error)
"""
    done = finished([sys.executable, "-c", code, tmp_path], check=True)
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 5


@pytest.mark.parametrize("how", ["stretch", "pad"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(1, 1), (7, 3), (300, 20), (20, 300), (128, 64), (200, 30), (1000, 1)])
def test_fit_gives_the_size(how: Any, channels: int, size: tuple[int, int]) -> None:
    image = np.full((size[1], size[0], channels), 77, np.uint8)
    fitted = fit_image(image, 128, 64, how)
    assert fitted.shape == (64, 128, channels)
    assert fitted.dtype == np.uint8
    assert (fitted == 77).all()


def test_stretch_keeps_places() -> None:
    fitted = fit_image(scene(), 80, 12, "stretch")
    assert tuple(fitted[2, 5]) == RED
    assert tuple(fitted[2, 75]) == BLUE
    assert tuple(fitted[11, 40]) == WHITE


def test_stretch_to_its_own_size_changes_nothing() -> None:
    assert (fit_image(scene(), 40, 24) == scene()).all()


def test_shrinking_means_over_areas_even_where_the_other_side_grows() -> None:
    stripes = np.zeros((10, 400, 1), np.uint8)
    stripes[:, ::2] = 255
    fitted = fit_image(stripes, 40, 40)
    assert np.abs(fitted.astype(int) - 127).max() <= 1


def test_pad_keeps_the_aspect_and_takes_the_colour_of_the_border() -> None:
    image = np.full((20, 40, 3), (240, 230, 220), np.uint8)
    image[5:15, 5:35] = (0, 0, 0)
    fitted = fit_image(image, 128, 64, "pad")  # as it is twice as wide as high, so is its frame
    assert tuple(fitted[0, 0]) == (240, 230, 220)
    narrow = fit_image(image, 200, 50, "pad")  # 100 of 200 columns, from the left
    dark = narrow[25, :, 0] < 100
    assert 60 <= dark.sum() <= 90
    assert not dark[100:].any()
    assert (narrow[:, 100:] == (240, 230, 220)).all()
    low = fit_image(image, 100, 90, "pad")  # 50 of 90 rows, in the middle
    assert (low[:19] == (240, 230, 220)).all()
    assert (low[71:] == (240, 230, 220)).all()


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm"])
def test_suffixes(suffix: str) -> None:
    assert suffix in PICTURE_SUFFIXES


def truncated_jpeg(**options: Any) -> bytes:
    """A JPEG of which the second half is missing, with the mark of its end."""
    data = encoded(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8), "JPEG", **options)
    return data[: len(data) // 2] + b"\xff\xd9"


def png(rows: bytes, width: int = 64, height: int = 64, colour: int = 2, extra: bytes = b"", depth: int = 8) -> bytes:
    """A PNG of `rows`, compressed already, with right checksums whatever they hold."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + extra + png_chunk(b"IDAT", rows) + png_chunk(b"IEND", b"")


ROWS = b"\0".join([b"", *[bytes(range(192))] * 64])
PACKED = zlib.compress(ROWS)


@pytest.mark.parametrize(
    "data",
    [
        truncated_jpeg(),
        truncated_jpeg(restart_marker_rows=1),
        jpeg_claiming(4000, 4000),
        png(zlib.compress(ROWS[: len(ROWS) // 2])),
        png(PACKED[: len(PACKED) // 2]),
        png(PACKED[: len(PACKED) // 2] + bytes(len(PACKED) // 2)),
        png(zlib.compress(b"\x09" + ROWS[1:])),
        png(zlib.compress(ROWS[: len(ROWS) // 2]), extra=png_chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\0\0\0\0\0")),
        png(zlib.compress(ROWS[: len(ROWS) // 2]), extra=png_chunk(b"tRNS", bytes(6))),
    ],
    ids=range(9),
)
def test_what_decoders_fill_up_is_unreadable(data: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UnreadablePicture, match=r"truncated|damaged"):
        read_image(data, 1)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "data",
    [
        encoded(scene(), "JPEG", quality=95, subsampling=0)[:-2] + b"\1\2\3\xff\xd9",
        png(zlib.compress(ROWS + bytes(99))),
        png(PACKED, extra=png_chunk(b"iCCP", b"sRGB\0\0" + zlib.compress(bytes(40_000_000)))),
        png(PACKED, extra=png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(40_000_000)))),
        png(PACKED, extra=png_chunk(b"gAMA", bytes(4))),
    ],
    ids=["extraneous bytes", "too much data", "profile", "comment", "gamma"],
)
def test_harmless_faults_are_read_without_a_word(data: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    assert len(np.unique(read_image(data, 3))) > 1
    assert capfd.readouterr() == ("", "")


def test_messages_belong_to_the_thread_whose_picture_they_are_about() -> None:
    sound = encoded(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8), "JPEG")

    def readable(data: bytes) -> bool:
        try:
            read_image(data, 1)
        except UnreadablePicture:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(readable, [sound, truncated_jpeg()] * 50))
    assert found == [True, False] * 50


def progressive(scans: int, side: int = 64) -> bytes:
    data = encoded(pillow.new("L", (side, side)), "JPEG", progressive=True)
    last = data.rfind(b"\xff\xda")
    return data[:last] + data[last:-2] * scans + b"\xff\xd9"


@pytest.mark.parametrize(("scans", "side"), [(40_000, 64), (101, 64), (30, 4_900)])
def test_a_jpeg_of_very_many_scans_is_refused(scans: int, side: int) -> None:
    with pytest.raises(UnreadablePicture, match=r"a JPEG of more than .* scans"):
        read_image(progressive(scans, side), 1)


def test_usual_progressive_files_are_read() -> None:
    assert read_image(progressive(10), 1).shape == (64, 64, 1)
    # Data after the end, such as the film of a phone's "live" picture, has no scans.
    assert read_image(progressive(1) + b"\xff\xda" * 500, 1).shape == (64, 64, 1)


def tiff_with_tags(count: int, values: int) -> bytes:
    """A TIFF of 64 KB with tags that all point at the same bytes."""
    tags = b"".join(struct.pack("<HHII", 1000 + tag % 60_000, 1, values, 8) for tag in range(count))
    return b"II*\0" + struct.pack("<I", 65_536) + bytes(65_528) + struct.pack("<H", count) + tags + bytes(4)


@pytest.mark.parametrize(
    "data",
    [
        tiff_with_tags(1_000, 65_000),
        tiff_with_tags(60_000, 0),
        b"\xff\xd8" + b"\xff" * 2_000_000,
        b"\xff\xd8" + b"\xff\xfe\0\2" * 500_000,
        b"\x89PNG\r\n\x1a\n" + png_claiming(9, 9)[8:33] + png_chunk(b"IDAT", b"") * 150_000,
        b"P3\n2000 2000 255\n" + b"7 " * 12_000_000,
        png_claiming(25_000_000, 1),
        png_claiming(1, 2_000_000),
    ],
    ids=["tags of one place", "tags", "fill bytes", "comments", "chunks", "plain text", "strip", "column"],
)
def test_bombs_are_refused(data: bytes) -> None:
    with pytest.raises(UnreadablePicture, match=r"damaged|plain text|on a side"):
        read_image(data, 1)


def test_a_webp_is_refused_before_its_canvas_is_made() -> None:
    data = bytearray(encoded(pillow.new("RGBA", (16, 16)), "WEBP", lossless=True))
    bits = 9_999 | 9_998 << 14 | 1 << 28
    place = data.index(b"VP8L") + 9
    data[place : place + 4] = struct.pack("<I", bits)
    if data[12:16] == b"VP8X":
        data[24:30] = (9_999).to_bytes(3, "little") + (9_998).to_bytes(3, "little")
    with pytest.raises(UnreadablePicture, match="claims 10000x9999 pixels, more than 25 million"):
        read_image(bytes(data), 1)


def test_max_pixels() -> None:
    data = encoded(scene(), "PNG")
    assert read_image(data, 1, ImageOptions(40 * 24)).shape == (24, 40, 1)
    for kind in ("PNG", "JPEG", "BMP", "WEBP", "GIF", "TIFF", "PPM"):
        with pytest.raises(UnreadablePicture, match="claims 40x24 pixels, more than"):
            read_image(encoded(scene(), kind), 1, ImageOptions(40 * 24 - 1))
    for array in (
        scene(),
        scene()[..., 0],
        scene().astype(np.uint16) * 257,
        (scene().astype(np.uint16) * 257).astype(">u2"),
    ):
        assert decode_image(array, 1, ImageOptions(40 * 24)).image.shape == (24, 40, 1)
        with pytest.raises(UnreadablePicture, match="claims 40x24 pixels, more than 959: make it smaller"):
            decode_image(array, 1, ImageOptions(40 * 24 - 1))


def test_large_files_are_not_read(tmp_path: Path) -> None:
    for name, start in (("a.png", b""), ("b.png", encoded(scene(), "PNG"))):
        with (tmp_path / name).open("wb") as file:
            file.write(start)
            file.truncate(4 << 40)
        with pytest.raises(UnreadablePicture, match="4,398,047 MB, more than 150 MB"):
            read_image(tmp_path / name, 1)
    large = io.BytesIO(encoded(scene(), "PNG") + bytes(20_000_000))
    with pytest.raises(UnreadablePicture, match="MB, more than 17 MB"):
        read_image(large, 1, ImageOptions(1_000_000))  # type: ignore[arg-type]


@pytest.mark.skipif(not os.path.exists("/proc/self/maps"), reason="Linux only")
def test_a_file_that_claims_to_be_empty() -> None:
    with pytest.raises(UnreadablePicture, match="not a picture"):
        read_image("/proc/self/maps", 1)


def test_a_file_larger_than_its_first_block(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    for size in (START - 1, START, START + 1):
        data = encoded(image, "PNG") + b"\0"
        (tmp_path / "a.png").write_bytes(encoded(scene(), "BMP") + bytes(size))
        check_scene(read_image(tmp_path / "a.png", 3))
    (tmp_path / "b.png").write_bytes(data)
    assert (read_image(tmp_path / "b.png", 3) == image).all()


def test_large_pictures_wait_for_one_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_module, "SMALL", 0)
    monkeypatch.setattr(image_module, "decoding_memory", image_module.MemoryBudget(24 * 40 * 12))
    busy, most = 0, 0
    lock = threading.Lock()
    decode = cv2.imdecode

    def imdecode(data: Any, flag: int) -> Any:
        nonlocal busy, most
        with lock:
            busy, most = busy + 1, max(most, busy + 1)
        time.sleep(0.01)
        with lock:
            busy -= 1
        return decode(data, flag)

    monkeypatch.setattr(cv2, "imdecode", imdecode)
    with ThreadPoolExecutor(4) as pool:
        for image in pool.map(lambda _: read_image(encoded(scene(), "PNG"), 3), range(8)):
            check_scene(image)
    assert most == 1


@pytest.mark.parametrize("mode", ["8", "16", "palette"])
@pytest.mark.parametrize(("ink", "ground"), [(0, 255), (100, 255), (255, 0), (200, 0)])
def test_ink_on_transparency_is_laid_on_what_shows_it(mode: str, ink: int, ground: int) -> None:
    opaque = np.zeros((24, 40), np.uint8)
    opaque[8:16, 5:35] = 255
    rgba = np.dstack([np.full((24, 40, 3), ink, np.uint8), opaque])
    if mode == "16":
        data = cv2.imencode(".png", rgba.astype(np.uint16) * 257)[1].tobytes()
    elif mode == "palette":
        image = pillow.fromarray((opaque > 0).astype(np.uint8), "P")
        image.putpalette([9, 9, 9, ink, ink, ink])
        data = encoded(image, "PNG", transparency=0)
    else:
        data = encoded(rgba, "PNG")
    read = read_image(data, 1)
    assert (read[8:16, 5:35] == ink).all()
    assert (read[:8] == ground).all()


def test_what_is_opaque_for_the_most_part_has_its_own_ground() -> None:
    rgba = np.full((24, 40, 4), 255, np.uint8)
    rgba[:3] = 0
    assert (read_image(encoded(rgba, "PNG"), 1) == 255).all()


@pytest.mark.parametrize("kind", ["PNG", "BMP", "array"])
def test_an_alpha_that_is_nothing_everywhere_is_ignored(kind: str) -> None:
    rgba = np.dstack([scene(), np.zeros((24, 40), np.uint8)])
    if kind == "array":
        check_scene(decode_image(rgba, 3).image)
    elif kind == "PNG":
        check_scene(read_image(encoded(rgba, kind), 3))
    else:
        check_scene(read_image(cv2.imencode(".bmp", np.dstack([scene()[..., ::-1], rgba[..., 3:]]))[1].tobytes(), 3))


def test_bands_of_a_large_picture_join(monkeypatch: pytest.MonkeyPatch) -> None:
    rgba = np.random.default_rng(0).integers(0, 256, (50, 40, 4), np.uint8)
    deep = rgba.astype(np.uint16) * 257
    sources = [encoded(rgba, kind) for kind in ("PNG", "TIFF")] + [cv2.imencode(".png", deep)[1].tobytes()]
    whole = [read_image(data, channels) for data in sources for channels in (1, 3)]
    monkeypatch.setattr("crnn_reader.pixels.BAND", 40 * 7)
    parts = [read_image(data, channels) for data in sources for channels in (1, 3)]
    assert all((one == other).all() for one, other in zip(whole, parts, strict=True))


def frames_of(kind: str) -> bytes:
    frames = [pillow.new("RGB", (40, 24), (value, value, value)) for value in (10, 120, 240)]
    options: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {}
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_frame_that_is_asked_for(kind: str) -> None:
    data = frames_of(kind)
    for frame, value in {"first": 10, "2": 120, "last": 240, "3": 240}.items():
        decoded = decode_image(data, 1, ImageOptions(frame=frame))
        assert decoded.frames == 3
        assert abs(int(decoded.image[3, 3, 0]) - value) <= 2
    with pytest.raises(UnreadablePicture, match="it has 3 frames, and number 4 was asked for"):
        read_image(data, 1, ImageOptions(frame="4"))
    # Other pictures have one frame, whichever is asked for.
    check_scene(
        read_image(encoded(scene(), kind, **({"lossless": True} if kind == "WEBP" else {})), 3, ImageOptions(frame="4"))
    )


@pytest.mark.parametrize(
    "source",
    [
        bytearray(encoded(scene(), "PNG")),
        memoryview(encoded(scene(), "PNG")),
        io.BytesIO(encoded(scene(), "PNG")),
        pillow.fromarray(scene()),
        pillow.open(io.BytesIO(encoded(scene(), "TIFF"))),
        pillow.fromarray(np.dstack([scene(), np.full((24, 40), 255, np.uint8)])),
        scene(),
        scene().astype(np.uint16) * 257,
        (scene().astype(np.uint16) * 257).astype(">u2"),
        (scene().astype(np.uint16) * 257).astype("<u2"),
    ],
    ids=[
        *("bytearray", "memoryview", "BytesIO", "Pillow", "Pillow's file", "Pillow RGBA"),
        *("uint8", "uint16", "big-endian", "little-endian"),
    ],
)
def test_what_programs_have_in_memory(source: Any) -> None:
    check_scene(decode_image(source, 3).image)


def test_pillow_keeps_8_bits_in_mode_i() -> None:
    grey = pillow.fromarray(scene()).convert("L")
    assert np.array_equal(decode_image(grey.convert("I"), 1).image, decode_image(grey, 1).image)


def closed() -> io.BytesIO:
    file = io.BytesIO(encoded(scene(), "PNG"))
    file.close()
    return file


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (closed(), "a file that cannot be read .*closed.*open it again"),
        (io.StringIO("text"), "a file opened in text mode: open it with"),
        (io.BytesIO(), r"zero bytes: .*seek\(0\)"),
        (scene() / 255.0, r"give \(array \* 255\).astype\(np.uint8\)"),
        (scene().astype(float), r"give array.astype\(np.uint8\)"),
        (scene().astype(np.int64) * 300, "give it scaled to 0 to 255"),
        (scene()[..., 0] > 9, r"give \(array \* 255\)"),
        (scene().transpose(2, 0, 1), r"channels first: give array.transpose\(1, 2, 0\)"),
        (base64.b64encode(encoded(scene(), "PNG")).decode(), "base64, not a path.*base64.b64decode"),
        (base64.b64encode(encoded(scene(), "JPEG")), "base64, not a path.*base64.b64decode"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "a pointer of Git LFS.*git lfs pull"),
        (b"\n<!DOCTYPE html>\n<html><body>Forbidden</body></html>", "a web page.*download the picture itself"),
        ("data:image/png;base64,iVBORw0KGgo", "a data: URL"),
        ("https://example.org/a.png", "an https address, which is not fetched: download it"),
        ("file:///tmp/a.png", "give the path without file://"),
        (Path("https://example.org/a.png"), "an https address, which is not fetched: download it"),
        (b"pictures/a.PNG", "a path as bytes: give os.fsdecode"),
        (scene().astype(">u2"), r"has values up to \d+ of 65,535: give array.astype\(np.uint8\)"),
        (pillow.new("La", (9, 9)), "an image that Pillow cannot load .*: open it again, or convert it to RGB"),
        (["a.png"], "a list is not a picture"),
    ],
    ids=range(20),
)
def test_what_is_given_in_place_of_a_picture_is_named(source: Any, reason: str) -> None:
    with pytest.raises(UnreadablePicture, match=reason):
        decode_image(source, 1)


def test_without_pillow_what_is_no_picture_is_not_said_to_need_it() -> None:
    code = """
import sys
sys.modules["PIL"] = None
from crnn_reader.errors import UnreadablePicture
from crnn_reader.image import read_image
for data in (b"GARBAGE", b"BM is a text", b"P5 is none", b"\\x89PNX", open(sys.argv[1], "rb").read()):
    try:
        read_image(data, 1)
    except UnreadablePicture as error:
        print(error)
"""
    path = Path(__file__)
    done = finished([sys.executable, "-c", code, path], check=True)
    assert done.stdout.split("\n")[:5] == ["not a picture"] * 5


def test_a_picture_that_takes_too_much_memory_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(cv2, "imdecode", full)
    with pytest.raises(UnreadablePicture, match="more memory than is free"):
        read_image(encoded(scene(), "PNG"), 1)


def test_plain_pictures() -> None:
    image = np.full((24, 40, 3), 7, np.uint8)
    assert is_single_colour(image)
    image[3, 4, 1] = 8
    assert not is_single_colour(image)
    assert not is_single_colour(scene())
