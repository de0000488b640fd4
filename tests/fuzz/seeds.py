"""Small intact inputs of every kind; each function fills a folder with seed folders, one per variant."""

from __future__ import annotations

import contextlib
import json
import shutil
import struct
import tarfile
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from crnn_reader.config import ModelConfig
from crnn_reader.model_files import locate_model
from dataset import convert
from dataset import tfrecord_file as tfrecord
from dataset.formats import WRITERS
from model import model_file
from model.model_file import SHIPPED
from parameter import ConvertParameters, TrainingParameters

LABELS = ("AB12", "C3", "7XY", "0042")


def drawn(text: str, width: int = 64, height: int = 32) -> NDArray[np.uint8]:
    """A picture of a text, uint8 (height, width, 3)."""
    image = np.full((height, width, 3), 230, np.uint8)
    cv2.putText(image, text, (3, height - 9), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (40, 10, 90), 2)
    return image


def saved(path: Path, image: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())


def labelled(folder: Path, suffix: str = ".png") -> list[str]:
    """Write four pictures named by their labels; returns the names."""
    names = [f"{label}_{number}{suffix}" for number, label in enumerate(LABELS)]
    for name, label in zip(names, LABELS, strict=True):
        saved(folder / name, drawn(label, 48, 24))
    return names


def pictures(folder: Path) -> None:
    from PIL import Image as pillow
    from PIL.PngImagePlugin import PngInfo

    rgb = drawn("AB12")
    grey, alpha = rgb[..., 0], np.dstack([rgb, np.where(rgb[..., 0] < 200, 255, 0).astype(np.uint8)])
    image, faded = pillow.fromarray(rgb), pillow.fromarray(alpha)
    palette = image.convert("P", palette=pillow.Palette.ADAPTIVE, colors=16)
    wide = np.uint16(257) * grey
    exif = pillow.Exif()
    exif[0x0112] = 6
    frames = [image, pillow.fromarray(255 - rgb), pillow.fromarray(rgb[::-1])]

    def put(name: str, picture: Any, **options: Any) -> None:
        path = folder / name.partition("_")[0] / "pics" / f"AB12_{name}"
        path.parent.mkdir(parents=True, exist_ok=True)
        # Pillow keeps the options of a picture for its next file.
        if "append_images" in options:
            options["append_images"] = [each.copy() for each in options["append_images"]]
        picture.copy().save(path, **options)

    info = PngInfo()
    info.add_text("comment", "x" * 200, zip=True)
    put("png_grey.png", pillow.fromarray(grey))
    put("png_rgb.png", image, pnginfo=info, exif=exif)
    put("png_rgba.png", faded)
    put("png_palette.png", palette, transparency=3)
    put("png_one.png", image.convert("1"))
    put("png_key.png", image, transparency=(230, 230, 230))
    put("png_animated.png", image, save_all=True, append_images=frames[1:], duration=100)
    for name, pixels in {"png_grey16.png": wide, "png_rgb16.png": cv2.merge([wide] * 3)}.items():
        saved(folder / "png" / "pics" / f"AB12_{name}", pixels)
    (folder / "png" / "pics" / "AB12_png_interlaced.png").write_bytes(_interlaced(grey))
    put("jpeg_rgb.jpg", image, quality=80)
    put("jpeg_grey.jpg", image.convert("L"))
    put("jpeg_progressive.jpg", image, progressive=True)
    put("jpeg_cmyk.jpg", image.convert("CMYK"))
    put("jpeg_turned.jpg", image, exif=exif, subsampling=2)
    put("jpeg_restarts.jpg", image, restart_marker_rows=1, optimize=True, comment=b"x" * 100)
    put("jpeg_mpo.jpg", image, format="MPO", save_all=True, append_images=frames[1:])
    put("gif_one.gif", palette)
    put(
        "gif_animated.gif",
        palette,
        save_all=True,
        append_images=frames[1:],
        loop=0,
        disposal=2,
    )
    put("gif_transparent.gif", palette, transparency=1, interlace=1)
    put("webp_lossy.webp", image)
    put("webp_lossless.webp", faded, lossless=True)
    put("webp_alpha.webp", faded, exif=exif)
    put("webp_animated.webp", image, save_all=True, append_images=frames[1:])
    compressions = {"raw": None, "lzw": "tiff_lzw", "zip": "tiff_adobe_deflate", "bits": "packbits", "jpeg": "jpeg"}
    for name, compression in compressions.items():
        put(f"tiff_{name}.tif", image, compression=compression)
    put("tiff_fax.tif", image.convert("1"), compression="group4")
    put("tiff_cmyk.tif", image.convert("CMYK"))
    put("tiff_alpha.tif", faded)
    put("tiff_sixteen.tif", pillow.fromarray(wide))
    put("tiff_float.tif", pillow.fromarray(grey.astype(np.float32)))
    put("tiff_pages.tif", image, save_all=True, append_images=frames[1:])
    put("tiff_big.tif", image, big_tiff=True)
    put("misc_24.bmp", image)
    put("misc_8.bmp", palette)
    put("misc_32.bmp", faded)
    put("misc_1.bmp", image.convert("1"))
    put("misc_raw.ppm", image)
    put("misc_raw.pgm", pillow.fromarray(grey))
    put("misc_raw.pbm", image.convert("1"))
    for name in ("ico", "jp2", "pdf", "avif"):
        put(f"misc_other.{name}", image)
    (folder / "misc" / "pics" / "AB12_ascii.ppm").write_bytes(b"P3 2 2 255\n" + b"10 200 30 " * 4)
    (folder / "misc" / "pics" / "AB12_other.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    for each in folder.iterdir():
        saved(each / "pics" / "AB12_whole.png", drawn("AB12", 128, 64))


def _interlaced(grey: NDArray[np.uint8]) -> bytes:
    height, width = grey.shape
    rows = list[bytes]()
    # The first row and column of each pass of Adam7, and their steps.
    for y, x, step_y, step_x in (
        (0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)
    ):  # fmt: skip
        rows += [b"\0" + row.tobytes() for row in grey[y::step_y, x::step_x]]
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 1)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(b"".join(rows))), (b"IEND", b""))
    )


def lists(folder: Path) -> None:
    def seed(name: str, file: str, content: str, pictures: str = "pics") -> None:
        names = labelled(folder / name / "data" / pictures)
        above = f"{pictures}/" if pictures != "." else ""
        rows = [(above + each, label) for each, label in zip(names, LABELS, strict=True)]
        path = folder / name / "data" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        head, line, tail = content.split("|")
        lines = [line.replace("FILE", each).replace("LABEL", label) for each, label in rows]
        separator = ",\n" if tail else "\n"
        path.write_text(head + separator.join(lines) + tail + "\n", encoding="utf-8")

    for name, file, content in (
        ("plain", "list.txt", "|FILE LABEL|"),
        ("tabs", "list.tsv", "file\tlabel\n|FILE\tLABEL|"),
        ("commas", "list.csv", 'file,label\n|FILE,"LABEL"|'),
        ("semicolons", "list.csv", "file;label;other\n|FILE;LABEL;x|"),
        ("lines", "list.jsonl", '|{"file": "FILE", "label": "LABEL"}|'),
        ("icdar", "list.txt", '|FILE, "LABEL"|'),
        ("array", "list.json", '[\n|{"file": "FILE", "label": "LABEL"}|]'),
        ("map", "list.json", '{\n|"FILE": "LABEL"|}'),
        ("studio", "list.json", '[\n|{"id": 1, "image": "/data/upload/FILE", "text": "LABEL"}|]'),
        ("paddle", "list.txt", '|FILE\t[{"transcription": "LABEL", "points": [[0,0],[9,0],[9,9],[0,9]]}]|'),
    ):
        seed(name, file, content)
    for name, file, content in (
        ("metadata", "metadata.csv", "file_name,text\n|FILE,LABEL|"),
        ("hugging", "metadata.jsonl", '|{"file_name": "FILE", "text": "LABEL"}|'),
        ("labels", "labels.tsv", "file\tlabel\n|FILE\tLABEL|"),
        ("keras", "labels.txt", "|FILE LABEL|"),
        ("easyocr", "labels.csv", "filename,words\n|FILE,LABEL|"),
        ("rec", "rec_gt.txt", "|FILE\tLABEL|"),
        ("both", "labels.json", '{\n|"FILE": "LABEL"|}'),
        ("word", "gt.txt", '|FILE, "LABEL"|'),
    ):
        seed(name, file, content, ".")
    for name, suffix, form in (("sidecar", ".txt", "{}"), ("gt", ".gt.txt", "{}\n"), ("alpr", ".txt", "plate: {}\n")):
        for file, label in zip(labelled(folder / name / "data"), LABELS, strict=True):
            (folder / name / "data" / file).with_suffix(suffix).write_text(form.format(label))
    for number, label in enumerate(LABELS):
        saved(folder / "mjsynth" / "data" / "2" / "1" / f"{number}_{label}_{100 + number}.jpg", drawn(label, 48, 24))
    lines = [f"./2/1/{number}_{label}_{100 + number}.jpg {100 + number}\n" for number, label in enumerate(LABELS)]
    (folder / "mjsynth" / "data" / "annotation_train.txt").write_text("".join(lines))
    shutil.copytree(folder / "labels" / "data", folder / "nested" / "data" / "a" / "b")
    labelled(folder / "nested" / "data" / "other")


def records(folder: Path) -> None:
    source = folder.parent / "source"
    labelled(source, ".jpg")
    for form in ("tfrecord", "fsns", "lmdb"):
        _converted(source, folder / form / "data", form)
    _converted(source, folder / "shards" / "data", "tfrecord", "--shards", "2")
    _converted(source, folder / "map" / "data", "tfrecord")
    (folder / "map" / "char_map").mkdir()
    (folder / "map" / "data" / "char_map.json").rename(folder / "map" / "char_map" / "char_map.json")
    # Without the text, so that the dictionary is used.
    _converted(source, folder / "dictionary" / "data", "fsns")
    (file,) = (folder / "dictionary" / "data").glob("*-of-*")
    kept = [tfrecord.Example(data) for _, data in tfrecord.records(file)]
    numbers = "image/unpadded_class"
    tfrecord.write(
        file,
        [
            tfrecord.example({"image/encoded": each.bytes("image/encoded")}, {numbers: each.integers(numbers)})
            for each in kept
        ],
    )
    shutil.rmtree(source)


def _converted(source: Path, out: Path, form: str, *flags: str) -> None:

    assert form in WRITERS
    out.parent.mkdir(parents=True, exist_ok=True)
    convert.convert(ConvertParameters.parse([str(source), str(out), "--form", form, *flags]))


def archives(folder: Path) -> None:
    source = folder.parent / "source"
    labelled(source / "90k" / "1")
    (source / "90k" / "labels.txt").write_text("x y\n")
    (source / "90k" / "ünï").write_text("x")
    files = sorted(path for path in source.rglob("*") if path.is_file())
    for suffix in ("tar", "tar.gz", "tar.bz2", "tar.xz"):
        path = folder / suffix / f"archive.{suffix}"
        path.parent.mkdir(parents=True)
        with tarfile.open(path, f"w:{suffix[4:]}") as archive:  # type: ignore[call-overload]
            archive.add(source / "90k", "90k")
            link = tarfile.TarInfo("90k/link.png")
            link.type, link.linkname = tarfile.SYMTYPE, f"1/{files[0].name}"
            archive.addfile(link)
    for name, method in (("stored", zipfile.ZIP_STORED), ("deflated", zipfile.ZIP_DEFLATED)):
        (folder / name).mkdir()
        with zipfile.ZipFile(folder / name / "archive.zip", "w", method) as archive:
            archive.mkdir("90k/1")
            for file in files:
                archive.write(file, file.relative_to(source).as_posix())
    # Names as Chinese Windows writes them, without the flag for UTF-8.
    (folder / "gbk").mkdir()
    with zipfile.ZipFile(folder / "gbk" / "archive.zip", "w") as archive:
        for file in files:
            archive.writestr(file.name.replace("AB12", "京A12"), file.read_bytes())
    packed = (folder / "gbk" / "archive.zip").read_bytes()
    (folder / "gbk" / "archive.zip").write_bytes(packed.replace("京A".encode(), "京A".encode("gbk") + b"_"))
    shutil.rmtree(source)


def caches(folder: Path) -> None:
    for name, width in (("fixed", 48), ("any", None)):
        data = folder / name / "data"
        labelled(data)
        (data / "AB12_broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
        (folder / name / "width.txt").write_text(str(width or ""))
        # A cache identifies its pictures by path and time, which a copy has to keep.


def _shipped(folder: Path, name: str, suffix: str) -> None:
    path = folder / name / f"model{suffix}"
    path.parent.mkdir(parents=True)
    shutil.copy(locate_model(name, to_train=suffix == ".keras"), path)
    labelled(path.parent / "pics")


def onnx_models(folder: Path) -> None:
    for name in ("captcha_lite", "plate"):
        _shipped(folder, name, ".onnx")


def keras_models(folder: Path) -> None:
    _shipped(folder, "captcha_lite", ".keras")


CONFIG = ModelConfig(
    network="vgg_conv", preset="lite", head="ctc", alphabet="0123456789ABCXY", width=48, height=32, channels=1,
    fit="pad", longest=5,
)  # fmt: skip
#: Tiny networks of all heads and of any width.
CARDS = {
    "ctc": CONFIG,
    "attention": replace(CONFIG, head="attention"),
    "joint": replace(CONFIG, head="joint", reads="attention"),
    "any": replace(CONFIG, width=None, rectify="affine"),
}


def all_keras_models(folder: Path) -> None:
    """Tiny networks of all heads; takes half a minute."""
    from model.network import build

    for name, config in CARDS.items():
        path = folder / name / "model.keras"
        path.parent.mkdir(parents=True)
        model_file.save(build(config), config, path)
        labelled(path.parent / "pics")


def all_onnx_models(folder: Path) -> None:
    """ONNX files of tiny networks of all heads; takes a minute."""
    from model import export

    all_keras_models(folder)
    for each in folder.iterdir():
        export.export(each / "model.keras", "onnx", each / "model.onnx")
        (each / "model.keras").unlink()


def runs(folder: Path) -> None:
    """The files of a run that are read without Keras."""
    from model.training.run_folder import RunFolder

    path = folder / "run" / "r"
    names = labelled(folder / "run" / "data")
    run = RunFolder(path)
    split = {"training": dict(zip(names[1:], LABELS[1:], strict=True)), "validation": {names[0]: LABELS[0]}}
    parameters = TrainingParameters(data="data", run="r", size="48x32", epochs=2, batch_size=4)
    run.begin(parameters.to_json(), {**split, "contents": ["a" * 64, "b" * 64], "alphabet": "0123"})
    history = [
        {"epoch": float(epoch), "loss": 1.0 / epoch, "exact_match": 0.5, "character_error_rate": 0.25}
        for epoch in (1, 2)
    ]
    run.save_state({"weights/0": np.ones((3, 4), np.float32), "iterations": np.array(7)}, history)
    run.write_history(history)
    run.end()
    shutil.copy(SHIPPED / "captcha_lite.keras", path / "model.keras")
    corpus = {"style": "captcha", "count": 4, "seed": 0}
    (folder / "run" / "data" / "corpus.json").write_text(json.dumps(corpus))


def trainings(folder: Path) -> None:
    """A run of one epoch that can be resumed for another."""
    import training

    data = folder / "run" / "data"
    for number in range(6):
        for label in LABELS:
            saved(data / f"{label}_{number}.png", drawn(label, 48, 24 + number))
    argv = ["--data", "data", "--run", "r", "--preset", "lite", "--size", "48x32", "--batch-size", "8", "--epochs", "1"]
    with contextlib.chdir(folder / "run"):
        training.main(TrainingParameters.parse([*argv, "--augmentation", "0", "--from", "random"]))
    file = folder / "run" / "r" / "parameters.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"epochs": 2}))


def settings(folder: Path) -> None:
    """Files that flags name: alphabets, texts, layouts, fonts, backgrounds, lexicons, earlier corpora."""
    from generate_captcha.plates.layout_files import FOLDER
    from generate_captcha.text.fonts import packaged_font

    here = folder / "settings"
    labelled(here / "pics")
    labelled(here / "grounds")
    (here / "alphabet.txt").write_text("\n".join("0123456789ABCXY") + "\n")
    (here / "counted.txt").write_text("".join(f"{each}\t{number}\n" for number, each in enumerate("ABCXY", 1)))
    (here / "dictionary.txt").write_text("".join(f"{number}\t{each}\n" for number, each in enumerate("ABCXY", 1)))
    (here / "text.txt").write_text("Some words that a line shows, 42 of them.\nAnd another line of text.\n")
    (here / "lexicon.txt").write_text("".join(f"{label}\n" for label in LABELS))
    (layout, *_) = sorted(FOLDER.glob("kr*.toml"))
    shutil.copy(layout, here / "layout.toml")
    (here / "fonts").mkdir()
    shutil.copy(packaged_font("DejaVuSans.ttf"), here / "fonts" / "font.ttf")
