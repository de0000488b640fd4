"""The corpus on disk: a folder of pictures named by their labels, and `corpus.json`, which says how they were made.

Picture 17 with the label aB3x is `aB3x_000017.png`; from 10,000 on, pictures go into sub-folders of 10,000
(`0001/`, `0002/`, …). The index makes names unique on file systems that ignore case. Labels that cannot be part of a
file name (with spaces, `/`, very long ones) are in `labels.tsv` instead, and the picture is `000017.png`. Names and
bytes depend only on the parameters and the index, so any number of processes writes the same corpus, and an interrupted
run can be continued.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2

from cli.files import atomic, file_name_in_errors, sweep, write_new
from cli.progress import progress
from crnn_reader import bounded
from crnn_reader.batching import available_cores
from crnn_reader.errors import UserError
from crnn_reader.formats import Format
from generate_captcha.arrays import Image
from generate_captcha.chunk_workers import for_each
from generate_captcha.plates.layout_files import FOLDER, SUFFIX, read_format
from generate_captcha.style import Style, digest
from generate_captcha.styles import style_of
from parameter import CORPUS_RECORD, GenerateParameters

logger = logging.getLogger(__name__)

#: Pictures per folder.
FOLDER_SIZE = 10_000
#: Pictures that a worker draws between two messages.
CHUNK = 32
#: Name of the list of labels that cannot be part of file names.
LIST = "labels.tsv"

#: Characters that file names cannot have on Windows, macOS, Linux or in a shell; `_` ends the label.
NOT_IN_NAMES = set('<>:"/\\|?*._ ')
#: Bytes that common file systems allow in a name, less those around the label (index, suffix, temporary name).
LABEL_BYTES = 255 - 40

#: Filter "up" and level 1: a third of the time of OpenCV's default level 6, and files a tenth larger.
PNG = [
    cv2.IMWRITE_PNG_COMPRESSION, 1,
    cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_DEFAULT,
    cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP,
]  # fmt: skip


@dataclass(frozen=True)
class CorpusResult:
    """The result of :func:`write_corpus`: numbers of pictures."""

    made: int
    existing: int


def write_corpus(parameters: GenerateParameters) -> CorpusResult:
    """Write pictures 0 to count - 1 that are not yet in the folder `parameters.out`.

    Raises:
        UserError: the folder contains other files, a font lacks a character, or a text cannot be drawn legibly.
        OSError: a picture cannot be written.
    """
    out = Path(parameters.out)
    style = style_of(parameters)
    _prepare(out, style)
    if not _labels_in_names(style):
        _list_labels(out, style, parameters.count)
    existing = _find_existing(out, parameters.count)
    missing = parameters.count - sum(existing)
    workers = min(parameters.workers or available_cores(), -(-missing // CHUNK))
    draw, chunks = _ChunkWriter(parameters, existing, style), range(0, parameters.count, CHUNK)
    try:
        # The processes start before the progress bar, which starts a thread.
        with for_each(draw, chunks, workers) as results, progress(f"making {parameters.out}", missing) as advance:
            for made in results:
                advance(made)
    except BaseException:
        _clean_up(out)
        raise
    return CorpusResult(missing, parameters.count - missing)


def picture_path(out: Path, label: str | None, index: int) -> Path:
    """Return the path of picture `index` in the folder `out`. Without a label, labels are in `labels.tsv`."""
    return _folder(out, index) / (f"{index:06}.png" if label is None else f"{label}_{index:06}.png")


def _folder(out: Path, index: int) -> Path:
    return out / f"{index // FOLDER_SIZE:04}" if index >= FOLDER_SIZE else out


def encode(image: Image, grey: bool) -> bytes:
    """Encode an image, uint8 (height, width, 3) in RGB order, as PNG; with one channel if grey."""
    image = image[:, :, 0] if grey else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".png", image, PNG)[1].tobytes()


class _ChunkWriter:
    """Writes the missing pictures of a chunk. Pickled without the style, which has caches and opened fonts."""

    def __init__(self, parameters: GenerateParameters, existing: bytearray, style: Style) -> None:
        self._parameters, self._existing = parameters, existing
        self._style: Style | None = style
        self._named = _labels_in_names(style)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_style": None}

    def __call__(self, start: int) -> int:
        """Write the missing pictures of the chunk that begins at `start`. Returns their number."""
        style = self._style = self._style or style_of(self._parameters)
        end = min(start + CHUNK, len(self._existing))
        missing = [index for index in range(start, end) if not self._existing[index]]
        for index in missing:
            image, label = style.picture(index)
            path = picture_path(Path(self._parameters.out), label if self._named else None, index)
            write_new(path, encode(image, style.grey))
        return len(missing)


def _labels_in_names(style: Style) -> bool:
    """Whether file names can contain every label of `style`."""
    return (
        not any(character in NOT_IN_NAMES or not character.isprintable() for character in style.alphabet)
        # A combining mark would combine with the `_` before a label, or be composed by the file system.
        and not any(unicodedata.combining(character) for character in style.alphabet)
        and style.longest * max((len(character.encode()) for character in style.alphabet), default=0) <= LABEL_BYTES
    )


def _list_labels(out: Path, style: Style, count: int) -> None:
    """Write the list of pictures 0 to count - 1, and of later ones if they exist, unless it is already there."""
    path = out / LIST
    if path.exists():
        listed = _count_lines(path) - 1
        # An earlier, larger corpus may have been interrupted.
        last = next((index for index in range(listed, count, -1) if picture_path(out, None, index - 1).exists()), count)
        if listed == last:
            return
        count = last
    # The list is written before the pictures. In an interrupted corpus, pictures are missing, not labels.
    with atomic(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        file.write("file\tlabel\n")
        with progress(f"listing {path}", count, "labels") as advance:
            for start in range(0, count, FOLDER_SIZE):
                indices = range(start, min(start + FOLDER_SIZE, count))
                for index in indices:
                    file.write(f"{picture_path(out, None, index).relative_to(out).as_posix()}\t{style.label(index)}\n")
                advance(len(indices))


def formats_of_pictures(data: str) -> list[Format] | None:
    """The formats of the layouts in a folder of generated plates, or in the folders in it, for a model file.

    Warns of layouts that are not those of the kit, and leaves them out. Returns None if there are no generated plates.
    """
    texts = list[str]()
    for path in sorted(file for pattern in ("", "*/") for file in Path(data).glob(pattern + CORPUS_RECORD)):
        # Other programs may write files of this name, too.
        with contextlib.suppress(ValueError, OSError):
            record = bounded.read_json(path)
            layouts = record.get("layouts") if isinstance(record, dict) else None
            texts += map(str, layouts if isinstance(layouts, list) else ())
    if not texts:
        return None
    shipped = {f"{path.stem} {digest(path)}": path for path in FOLDER.glob(f"*{SUFFIX}")}
    if others := sorted({text.partition(" ")[0] for text in texts if text not in shipped}):
        logger.warning(
            f"the formats of {len(others):,} layouts in {data} are not stored, because the kit has other files or none "
            f"of these names (first {others[0]}): name their files as layouts"
        )
    found = [read_format(shipped[text]) for text in dict.fromkeys(texts) if text in shipped]
    return [each for each in found if each]


def _count_lines(path: Path) -> int:
    """Count the lines of a list. Raises UserError if it is not a file, such as a pipe."""
    try:
        with file_name_in_errors(path), bounded.open_regular(path) as file:
            return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
    except ValueError as error:
        raise UserError(f"{path} is not the list of this corpus ({error}): remove it") from error


def _clean_up(out: Path) -> None:
    """After an interruption, list only existing pictures. Remove list and record if there are none."""
    if not any(out.rglob("[!.]*.png")):
        # In this order: if the process is killed in between, the same command can still continue the corpus.
        for name in (LIST, CORPUS_RECORD):
            (out / name).unlink(missing_ok=True)
    elif (out / LIST).exists():
        with (out / LIST).open("rb") as file:
            lines = list(file)
        with atomic(out / LIST) as temporary, temporary.open("wb") as file:
            file.writelines(
                line for line in lines if line == lines[0] or (out / os.fsdecode(line.split(b"\t")[0])).exists()
            )


def _prepare(out: Path, style: Style) -> None:
    """Write the record of a new corpus, or compare that of an existing one. Raises UserError if they differ."""
    record = style.record()
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file: give a folder", parameter="out")
    if (out / CORPUS_RECORD).exists():
        earlier = _read_record(out / CORPUS_RECORD)
        differing = [name for name in record if earlier.get(name) != record[name]]
        # Another style or layout implies other values of these.
        for cause, consequences in (("style", set(differing)), ("layouts", {"alphabet", "fonts"})):
            if cause in differing:
                differing = [name for name in differing if name == cause or name not in consequences]
        if differing:
            changes = ", ".join(f"{name} ({_change(earlier.get(name), record[name])})" for name in differing)
            raise UserError(
                f"{out} has a corpus made with another {changes}: give the same or choose another folder", "out"
            )
    elif out.is_dir() and _has_files(out):
        raise UserError(
            f"{out} has files but no {CORPUS_RECORD}, so they are not from this command: empty it or choose another "
            "folder",
            parameter="out",
        )
    else:
        with atomic(out / CORPUS_RECORD) as temporary:
            temporary.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _read_record(path: Path) -> dict[str, Any]:
    try:
        record = bounded.read_json(path)
        if isinstance(record, dict):
            return record
        reason = "it is not an object"
    except ValueError as error:
        reason = str(error)
    raise UserError(
        f"{path} does not say how the corpus was made ({reason}): restore the file, or choose another folder",
        parameter="out",
    )


def _change(before: Any, now: Any) -> str:
    before, now = _shorten(before), _shorten(now)
    # Files of equal names differ in their content.
    return f"{now}, changed since" if before == now else f"{before}, now {now}"


def _shorten(value: Any) -> str:
    if isinstance(value, list):
        value = " ".join(str(file).split(" sha256:")[0] for file in value)
    text = str(value)
    return text if len(text) <= 80 else text[:77] + "…"


def _has_files(folder: Path) -> bool:
    """Whether the folder contains anything but hidden files (`.gitkeep`, `.DS_Store`) and a README."""
    return any(not entry.name.startswith((".", "README")) for entry in os.scandir(folder))


def _find_existing(out: Path, count: int) -> bytearray:
    """Return 1 for each existing picture of 0 to count - 1. Removes temporary files that a killed run left.

    An empty file does not count: a power cut may leave it. Raises UserError if a folder or pipe has a picture's name.
    """
    existing = bytearray(count)
    name = re.compile(r"(?:[^_]*_)?(\d{6,})\.png")
    # The temporary files of earlier versions.
    temporary = re.compile(r"\..*\.\d+\.partial\.png")
    folders = [entry.path for entry in os.scandir(out) if entry.name.isdigit() and entry.is_dir()]
    for folder in (str(out), *folders):
        sweep(Path(folder))
        for entry in os.scandir(folder):
            if temporary.fullmatch(entry.name):
                os.unlink(entry.path)
            elif found := name.fullmatch(entry.name):
                index = int(found[1])
                if index < count and str(_folder(out, index)) == folder:
                    if not entry.is_file():
                        raise UserError(f"{entry.path} is not a file, but has the name of a picture: remove it")
                    existing[index] = entry.stat().st_size > 0
    return existing
