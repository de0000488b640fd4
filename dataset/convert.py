"""Write labelled pictures in another format: `python -m dataset convert IN OUT --form tfrecord`."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from cli.command import ALL_DONE, SOME_UNREADABLE
from cli.files import atomic
from cli.messages import warn
from cli.progress import progress
from crnn_reader.alphabet import character_numbers
from crnn_reader.errors import UnreadablePicture, UserError
from crnn_reader.image import ImageOptions, read_image
from crnn_reader.image_headers import header
from crnn_reader.sources import read_bytes
from dataset.collecting import Samples, collect
from dataset.contents import Contents, examine, in_order, log_each
from dataset.formats import WRITERS, Writer
from dataset.formats.normalize import short
from dataset.formats.writing import CorpusFacts, Picture
from dataset.splitting import split
from parameter import ConvertParameters

#: The file with the parameters. It is written last and marks a folder that this command has completed.
RECORD = "convert.json"

#: JPEG quality of pictures that must be converted.
_JPEG_QUALITY = 95

#: Suffixes of the formats that can be decoded.
_SUFFIXES = {
    "JPEG": ".jpg",
    "PNG": ".png",
    "GIF": ".gif",
    "WEBP": ".webp",
    "BMP": ".bmp",
    "TIFF": ".tif",
    "PPM": ".ppm",
}


def convert(parameters: ConvertParameters) -> int:
    """Read, check, and write all pictures or nothing. Returns the exit code."""
    out = Path(os.path.abspath(parameters.out))
    if out.is_symlink():  # replace its target
        out = Path(os.path.realpath(out))
    if out in (Path.cwd(), *Path.cwd().parents):
        raise UserError(f"{out} is the working folder or holds it, and would be replaced: choose another folder")
    _recover(out)
    _refuse_to_overwrite(out, Path(parameters.source))
    writer = WRITERS[parameters.form]
    samples = collect(parameters.source, parameters.label_pattern, parameters.root)
    options = ImageOptions(parameters.max_pixels)
    contents = examine(samples, options)
    log_each([f"left out {name}: {reason}" for name, reason in contents.unreadable], not len(contents))
    if not len(contents):
        raise UserError(
            f"none of the {len(samples):,} pictures in {parameters.source} can be read: see the reasons above"
        )
    _refuse_labels(contents, writer, parameters.form)
    numbers = character_numbers(parameters.alphabet, map(str, contents.labels))
    parts = _parts(contents, parameters)

    unreadable = {name for name, _ in contents.unreadable}
    places = np.array([row for row, name in enumerate(samples.names) if str(name) not in unreadable], np.int64)
    with _whole(out) as folder:
        made = {}
        for title, rows in parts.items():
            subset = folder / title if parameters.validation else folder
            subset.mkdir(exist_ok=True)
            longest = max(len(str(contents.labels[row])) for row in rows)
            facts = CorpusFacts(title, len(rows), longest, numbers, parameters.shards)
            with progress(f"writing {title}", len(rows)) as advance:
                widths = contents.sizes[rows, 0]
                pictures = _pictures(samples, places[rows], widths, writer.picture_suffixes, advance, options)
                made[title] = out / writer.write(subset, pictures, facts).relative_to(folder)
        (folder / RECORD).write_text(parameters.to_json(), encoding="utf-8")

    counts = " and ".join(f"{len(rows):,} in {title}" for title, rows in parts.items() if parameters.validation)
    warn(f"{parameters.out}: {len(contents):,} pictures" + (f", {counts}" if counts else ""))
    if unlabelled := sum(not label for label in contents.labels):
        warn(f"{unlabelled:,} of them have no label and cannot be trained on")
    data, *validation = (shlex.quote(min(os.path.relpath(path), str(path), key=len)) for path in made.values())
    warn(f"next: python training.py --data {data}" + "".join(f" --validation {path}" for path in validation))
    return SOME_UNREADABLE if contents.unreadable else ALL_DONE


def _refuse_to_overwrite(out: Path, source: Path) -> None:
    """Raise UserError unless `out` does not exist, is empty, or was written by this command and not changed since."""
    if os.path.lexists(out) and not out.is_dir():
        raise UserError(f"{out} is a file: choose another name for the folder")
    if out in (source.absolute(), *source.absolute().parents) and out.is_dir():
        raise UserError(f"{source} is in {out}, which would be replaced: choose another folder")
    if source.is_dir() and source.absolute() in out.parents:
        raise UserError(f"{out} is in {source}, whose pictures would be joined by their copies: choose another folder")
    if out.is_dir() and any(out.iterdir()) and not _is_untouched(out):
        raise UserError(f"{out} is not empty, and is not as a call of convert left it: choose another folder")


def _is_untouched(out: Path) -> bool:
    record = out / RECORD
    if not record.is_file():
        return False
    finished = record.stat().st_mtime_ns
    paths = (os.path.join(folder, name) for folder, _, files in os.walk(out) for name in ("", *files))
    return all(os.stat(path).st_mtime_ns <= finished for path in paths)


def _refuse_labels(contents: Contents, writer: Writer, name: str) -> None:
    for picture, label in zip(contents.names, map(str, contents.labels), strict=True):
        if reason := writer.cannot_hold(label):
            raise UserError(
                f"the label of {short(str(picture))}, {short(label)!r}, {reason}: use another format than {name}, or "
                "correct the label"
            )


def _parts(contents: Contents, parameters: ConvertParameters) -> dict[str, npt.NDArray[np.int64]]:
    """The rows of each part by its title."""
    if parameters.validation is None:
        return {"pictures": np.arange(len(contents))}
    train, validation = split(contents.names, contents.digests, parameters.validation)
    if not len(train) or not len(validation):
        raise UserError(
            f"{len(contents):,} pictures leave {len(train):,} to train on and {len(validation):,} to validate: "
            "add pictures, or choose another fraction",
            "validation",
        )
    return {"train": train, "validation": validation}


def _pictures(
    samples: Samples,
    rows: npt.NDArray[np.int64],
    widths: npt.NDArray[np.uint32],
    suffixes: tuple[str, ...],
    advance: Callable[[int], None],
    options: ImageOptions,
) -> Iterator[Picture]:
    """Yield the pictures to write. Threads read and convert them."""

    def picture_of(place: int) -> Picture:
        sample = samples[int(rows[place])]
        try:
            data, suffix = _encoded(sample.path, suffixes, options)
        except UnreadablePicture as error:
            raise UserError(f"{sample.path} changed while it was read ({error}): run the command again") from None
        return Picture(sample.name, sample.label, data, suffix, int(widths[place]))

    for picture in in_order(picture_of, range(len(rows))):
        yield picture
        advance(1)


def _encoded(path: str, suffixes: tuple[str, ...], options: ImageOptions) -> tuple[bytes, str]:
    """A picture file and its suffix. The picture is converted if its format is none of `suffixes`."""
    data = read_bytes(path, options.max_pixels)
    found = header(data)
    suffix = _SUFFIXES[found.kind] if found else ".png"
    if found and (not suffixes or suffix in suffixes):
        return data, suffix
    target = suffixes[-1] if suffixes else ".png"
    image = read_image(data, 3, options)[..., ::-1]
    written, encoded = cv2.imencode(target, image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if not written:
        height, width = image.shape[:2]
        raise UserError(
            f"{path} has {width}x{height} pixels, more than the {target} of this format can have: use another format, "
            "or leave the picture out"
        )
    return encoded.tobytes(), target


def beside(out: Path) -> tuple[Path, Path]:
    """The folders that hold the new and the old content of `out` while it is replaced."""
    digest = hashlib.blake2b(os.fsencode(out.name), digest_size=8).hexdigest()
    return out.with_name(f".crnn-kit-{digest}.new"), out.with_name(f".crnn-kit-{digest}.before")


def _recover(out: Path) -> None:
    """Restore the old folder after a killed call, and remove the temporary folders that it left."""
    staged, before = beside(out)
    if before.is_dir() and not before.is_symlink() and not os.path.lexists(out):
        before.rename(out)
    for left in (staged, before):
        shutil.rmtree(left, ignore_errors=True)


@contextlib.contextmanager
def _whole(out: Path) -> Iterator[Path]:
    """Yield a temporary folder that replaces `out` if the block succeeds."""
    if not os.path.lexists(out):
        with atomic(out) as temporary:
            temporary.mkdir()
            yield temporary
        return
    staged, before = beside(out)
    try:
        with atomic(staged) as temporary:
            temporary.mkdir()
            yield temporary
        shutil.copymode(out, staged)
        out.rename(before)
        staged.rename(out)
    except OSError as error:
        # Report the name that the user knows, not the temporary one.
        name = str(error.filename)
        if error.errno and name.startswith(str(staged)):
            raise OSError(error.errno, error.strerror, str(out) + name[len(str(staged)) :]) from error
        raise
    finally:
        _recover(out)
