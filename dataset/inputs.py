"""The pictures that a command reads: pictures, folders, lists and records in any mixture, and paths on stdin."""

from __future__ import annotations

import contextlib
import hashlib
import heapq
import os
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

from cli.files import file_name_in_errors
from cli.messages import missing_path
from crnn_reader.errors import UserError
from crnn_reader.image_headers import PICTURE_SUFFIXES
from dataset.collecting import Sample, exists, samples, stem
from dataset.formats import FORMATS, RecordFormat
from dataset.formats.any_list import found_lists
from dataset.formats.file_names import label_of_name
from dataset.formats.labels_file import main_lists
from dataset.formats.normalize import composed
from dataset.formats.paths import find_picture
from dataset.formats.text import MAX_LINE_LENGTH
from dataset.tfrecord_file import is_records
from parameter import CORPUS_RECORD


def inputs(
    paths: Sequence[str],
    stdin: Iterable[str],
    label_pattern: str | None = None,
    root: str | None = None,
    labels: bool = True,
) -> Iterator[Sample]:
    """Yield the pictures of all `paths`.

    Arguments:
        paths: pictures, whatever :func:`dataset.samples` reads, and `-` for one path per line of `stdin`.
        stdin: the lines of stdin. Longer ones come in parts of MAX_LINE_LENGTH characters.
        label_pattern: as for :func:`dataset.samples`. Single pictures have the label of their file names, too.
        root: the folder that the paths in lists and on stdin are relative to.
        labels: if False, labels are not used, and nothing is opened only for them.

    Pictures that a list or stdin names need not exist. Raises UserError at once if there are no paths or one of
    `paths` does not exist.
    """
    if not paths:
        raise UserError("nothing to read: give pictures, folders or list files, or - for paths on stdin")
    for path in paths:
        if not path:
            raise UserError("one of the paths to read is empty: give a picture, a folder or a list of pictures")
        if path != "-" and not exists(Path(path)):
            raise missing_path(path, "give a picture, a folder or a list of pictures")
    return _inputs(paths, stdin, label_pattern, root, labels)


#: Parameters of outputs that are pictures or contain some.
_DRAWN = ("plot", "report", "run")


def refuse_overlapping_paths(
    paths: Iterable[str | None], outputs: Mapping[str, str | None], used: Iterable[str | None] = ()
) -> None:
    """Raise UserError if an output of a command would replace an input, a picture or another output.

    Arguments:
        paths: pictures, folders and lists that are read. From a folder, its lists are read.
        outputs: the files to write, by the names of their parameters.
        used: other paths that are read and hold no pictures, such as run folders.

    Also raises it for the output `-`, which means stdin among the paths, and for a flag without its value in
    `--csv *.png`.
    """
    pictures = [path for path in paths if path]
    given = [*pictures, *filter(None, used)]
    lists = (os.path.join(path, name) for path in given if os.path.isdir(path) for name in _lists(Path(path)))
    files = (path for path in (*given, *lists) if os.path.isfile(path))
    folders_of_pictures = {
        os.path.realpath(path if os.path.isdir(path) else os.path.dirname(path))
        for path in given
        if os.path.isdir(path) or os.path.splitext(path)[1].lower() in PICTURE_SUFFIXES
    }
    # Picture files in a folder of records are not read.
    records = [each for each in FORMATS.values() if isinstance(each, RecordFormat)]
    folders = {
        os.path.realpath(path): path
        for path in pictures
        if os.path.isdir(path) and not any(each.matches(Path(path)) for each in records)
    }
    taken = {os.path.realpath(path): path for path in files}
    written = dict[str, str]()
    for name, output in outputs.items():
        if output is None:
            continue
        if output == "-":
            raise UserError("an output cannot be -: give a file, /dev/stdout, or ./- for a file of that name", name)
        if (place := os.path.realpath(output)) in taken:
            raise UserError(f"{output} would replace what is read, {taken[place]}: give it another name", name)
        if place in written:
            both = {written[place]: "", name: ""}
            raise UserError(f"{output} is the name of two outputs: give one of them another name", **both)
        if os.path.splitext(output)[1].lower() in PICTURE_SUFFIXES:
            if name not in _DRAWN:
                raise UserError(
                    f"{output} is the name of a picture, and the output is text: give the name of a text file", name
                )
            if os.path.exists(output) and any(Path(place).is_relative_to(folder) for folder in folders_of_pictures):
                raise UserError(f"{output} is one of the pictures in the folder: give it another name", name)
        around = next((path for real, path in folders.items() if Path(place).is_relative_to(real)), None)
        if name in _DRAWN and around:
            raise UserError(
                f"{output} would lie in {around}, and what is drawn would be read as pictures there: choose another "
                "place",
                name,
            )
        if name == "icdar" and os.path.dirname(place) in folders:
            raise UserError(
                f"{output} would be among the pictures, and later be read as their labels: choose another folder", name
            )
        written[place] = name


def _lists(folder: Path) -> list[str]:
    """The files of a folder that are read beside its pictures. Tables of predictions are not."""
    return [CORPUS_RECORD, *main_lists(folder), *(each.name for each in found_lists(folder) if each.usable)]


def choose_labelled(samples: Iterable[Sample], count: int) -> list[Sample]:
    """Choose `count` labelled pictures by a hash of their names, in their original order.

    The choice depends only on the names of the pictures. Keeps `count` samples in memory. Raises UserError if no
    picture has a label.
    """
    pictures = 0

    def labelled() -> Iterator[tuple[bytes, int, Sample]]:
        nonlocal pictures
        for pictures, sample in enumerate(samples, start=1):
            if sample.label:
                # Not the hash of dataset.split, which would choose only pictures of one side.
                name = sample.name.encode(errors="surrogatepass")
                yield hashlib.blake2b(name, digest_size=8).digest(), pictures, sample

    chosen = heapq.nsmallest(count, labelled())
    if pictures and not chosen:
        raise UserError(
            f"none of the {pictures:,} pictures has a label to compare with: give a pattern that finds it in the names",
            "label_pattern",
        )
    return [sample for _, _, sample in sorted(chosen, key=lambda entry: entry[1])]


def _inputs(
    paths: Sequence[str], stdin: Iterable[str], label_pattern: str | None, root: str | None, labels: bool
) -> Iterator[Sample]:
    for path in paths:
        if path == "-":
            for line in _lines(stdin):
                yield from (_picture(found, label_pattern, labels) for found in _paths_on(line, root or ""))
        elif _is_picture(path):
            yield _picture(path, label_pattern, labels)
        else:
            yield from samples(path, label_pattern, root, labels)


def _paths_on(line: str, root: str) -> list[str]:
    """The paths on a line of stdin: usually one, or several with the quotes of a shell, as `echo *.png` writes them."""
    path = find_picture(root, line)
    if os.path.exists(path) or not set(line) & set(" '\"\\"):
        return [path]
    with contextlib.suppress(ValueError):
        words = [find_picture(root, word) for word in shlex.split(line)]
        if words and all(map(os.path.exists, words)):
            return words
    return [path]


def _lines(stdin: Iterable[str]) -> Iterator[str]:
    """Yield the lines that are not blank, or the texts between NULs, as `find -print0` writes them.

    Raises UserError for UTF-16, which some Windows shells write, and for input that is not a list of paths.
    """
    parts = iter(stdin)
    for number, line in enumerate(parts):
        # Bytes that are not UTF-8 are decoded to surrogates.
        if not number and line.startswith(("\udcff\udcfe", "\udcfe\udcff")):
            raise UserError("stdin is UTF-16: write UTF-8, or give the paths as a list in a file")
        line = line if number else line.removeprefix("\ufeff")
        if "\0" in line:
            yield from _between_nuls(chain([line], parts))
            return
        if not line.endswith("\n") and len(line) >= MAX_LINE_LENGTH:
            raise UserError(
                f"line {number + 1:,} on stdin has more than {MAX_LINE_LENGTH:,} characters: give a path per line"
            )
        line = line.rstrip("\r\n")
        if line.strip():
            yield line


def _between_nuls(parts: Iterable[str]) -> Iterator[str]:
    """Yield the texts between NULs, which may contain line breaks."""
    rest = ""
    for part in parts:
        *whole, rest = f"{rest}{part}".split("\0")
        if len(rest) > MAX_LINE_LENGTH or (len(part) == MAX_LINE_LENGTH and not any(whole)):
            raise UserError(f"no path was found in {MAX_LINE_LENGTH:,} characters on stdin: give paths")
        yield from filter(None, whole)
    if rest.strip():
        yield rest.rstrip("\r\n")


def _picture(path: str, label_pattern: str | None, labels: bool) -> Sample:
    if not labels:
        return Sample(path, "", path)
    name = stem(Path(path).name)
    match = re.search(label_pattern, name) if label_pattern else None
    label = label_of_name(name) if label_pattern is None else match["label"] or "" if match else ""
    return Sample(path, composed(label), path)


def _is_picture(path: str) -> bool:
    """Whether a path is a picture, not a folder, list or records. Decides by the suffix, or else by the first bytes."""
    if os.path.isdir(path):
        return False
    if os.path.splitext(path)[1].lower() in PICTURE_SUFFIXES:
        return True
    # A pipe such as that of `<(find …)` can be read only once.
    if not os.path.isfile(path) or is_records(Path(path)):
        return False
    with file_name_in_errors(path), open(path, "rb") as file:
        start = file.read(1024)
    # The signatures and sizes at the start of a picture contain control characters, and texts do not.
    return bool(re.search(rb"[\x00-\x08\x0e-\x1a]", start))
