"""What the user points at when reading: pictures, folders, lists and records in any mixture, and paths on stdin."""

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

from cli.files import naming
from cli.messages import missing_path
from crnn_reader.errors import UserError
from crnn_reader.image import PICTURE_SUFFIXES
from dataset.forms import FORMS, RecordForm, Sample, exists, found_list, listed, samples, stem
from dataset.forms.named import label_of_name
from dataset.forms.normal import composed
from dataset.forms.placed import located
from dataset.forms.text import LONGEST_LINE
from dataset.tfrecord import is_records
from parameter import CORPUS_RECORD


def inputs(
    paths: Sequence[str],
    stdin: Iterable[str],
    label_pattern: str | None = None,
    root: str | None = None,
    labels: bool = True,
) -> Iterator[Sample]:
    """The pictures of all `paths`, one at a time: a picture, whatever dataset.forms knows, or `-` for one path
    per line of `stdin`, whose lines come in pieces of LONGEST_LINE characters if they are longer.

    Single pictures have the label of their file name, as those of a folder have. A file of a list or of stdin need
    not exist; `root` is the folder that their paths start from. Without `labels` nobody asks for those.

    Raises UserError at once for a path that does not exist, and when there is none.
    """
    if not paths:
        raise UserError("nothing to read: give pictures, folders or list files, or - for paths on stdin")
    for path in paths:
        if not path:
            raise UserError("one of the paths to read is empty: give a picture, a folder or a list of pictures")
        if path != "-" and not exists(Path(path)):
            raise missing_path(path, "give a picture, a folder or a list of pictures")
    return _inputs(paths, stdin, label_pattern, root, labels)


#: Flags for outputs that are pictures or hold some.
_DRAWN = ("--plot", "--report", "--run")


def keep_apart(paths: Iterable[str | None], outputs: Mapping[str, str | None], used: Iterable[str | None] = ()) -> None:
    """Raise UserError where an output, by its flag, is one of the `paths` that are read, another output or a picture,
    or is `-`, which stands for stdin among the paths.

    Of a folder, its lists are read. A flag without its value, `--csv *.png`, would replace a picture. What is `used`
    besides, such as a run folder, holds no pictures to read.
    """
    pictures = [path for path in paths if path]
    given = [*pictures, *filter(None, used)]
    lists = (os.path.join(path, name) for path in given if os.path.isdir(path) for name in _lists(Path(path)))
    files = (path for path in (*given, *lists) if os.path.isfile(path))
    # A folder, or that of a picture.
    read = {
        os.path.realpath(path if os.path.isdir(path) else os.path.dirname(path))
        for path in given
        if os.path.isdir(path) or os.path.splitext(path)[1].lower() in PICTURE_SUFFIXES
    }
    folders = {os.path.realpath(path): path for path in pictures if os.path.isdir(path) and not _holds_records(path)}
    taken = {os.path.realpath(path): f"what is read, {path}" for path in files}
    for flag, output in outputs.items():
        if output is None:
            continue
        if output == "-":
            raise UserError(f"{flag} -: give the name of a file, /dev/stdout, or ./- for a file of that name")
        if (place := os.path.realpath(output)) in taken:
            raise UserError(f"{flag} {output} would replace {taken[place]}: give it another name")
        if os.path.splitext(output)[1].lower() in PICTURE_SUFFIXES:
            if flag not in _DRAWN:
                raise UserError(
                    f"{flag} {output}: that is the name of a picture, and {flag} writes text: give {flag} the name of "
                    "a text file"
                )
            if os.path.exists(output) and any(Path(place).is_relative_to(folder) for folder in read):
                raise UserError(f"{flag} {output} is one of the pictures in the folder: give it another name")
        around = next((path for real, path in folders.items() if Path(place).is_relative_to(real)), None)
        if flag in _DRAWN and around:
            raise UserError(
                f"{flag} {output} would lie in {around}, and what is drawn would be read as pictures there: choose "
                "another place"
            )
        if flag == "--icdar" and os.path.dirname(place) in folders:
            raise UserError(
                f"{flag} {output} would be among the pictures, and later be read as their labels: choose another folder"
            )
        taken[place] = f"what {flag} writes"


def _holds_records(folder: str) -> bool:
    """Whether pictures of a folder are in records, so that files of pictures there are not read."""
    return any(isinstance(form, RecordForm) and form.matches(Path(folder)) for form in FORMS.values())


def _lists(folder: Path) -> list[str]:
    """The files of a folder that say something about its pictures; tables of readings do not."""
    others = [each.name for each in found_list.found(folder) if each.fault is None]
    return [CORPUS_RECORD, *listed.found(folder), *others]


def some(samples: Iterable[Sample], count: int) -> list[Sample]:
    """`count` labelled pictures as if drawn by lot, in their order: of the same pictures the same ones each time.

    Only the names of the others are looked at, one at a time. Raises UserError where no picture has a label.
    """
    pictures = 0

    def labelled() -> Iterator[tuple[bytes, int, Sample]]:
        nonlocal pictures
        for pictures, sample in enumerate(samples, start=1):
            if sample.label:
                # Another hash than the split's, by which these would all come to lie on one side.
                name = sample.name.encode(errors="surrogatepass")
                yield hashlib.blake2b(name, digest_size=8).digest(), pictures, sample

    drawn = heapq.nsmallest(count, labelled())
    if pictures and not drawn:
        raise UserError(f"none of the {pictures:,} pictures has a label to compare with: see --label-pattern")
    return [sample for _, _, sample in sorted(drawn, key=lambda entry: entry[1])]


def _inputs(
    paths: Sequence[str], stdin: Iterable[str], label_pattern: str | None, root: str | None, labels: bool
) -> Iterator[Sample]:
    for path in paths:
        if path == "-":
            for line in _lines(stdin):
                yield from (_picture(found, label_pattern, labels) for found in _named(line, root or ""))
        elif _is_picture(path):
            yield _picture(path, label_pattern, labels)
        else:
            yield from samples(path, label_pattern, root, labels)


def _named(line: str, root: str) -> list[str]:
    """The paths on a line of stdin: usually one, or several quoted as in a shell, as `echo *.png` writes them."""
    path = located(root, line)
    if os.path.exists(path) or not set(line) & set(" '\"\\"):
        return [path]
    with contextlib.suppress(ValueError):
        words = [located(root, word) for word in shlex.split(line)]
        if words and all(map(os.path.exists, words)):
            return words
    return [path]


def _lines(stdin: Iterable[str]) -> Iterator[str]:
    """The lines that are not blank, or what NULs separate, as `find -print0` writes it.

    Raises UserError for UTF-16, which some Windows shells write, and for input that is not a list of paths.
    """
    parts = iter(stdin)
    for number, line in enumerate(parts):
        # Bytes that are not UTF-8 come as halves of surrogate pairs.
        if not number and line.startswith(("\udcff\udcfe", "\udcfe\udcff")):
            raise UserError("stdin is UTF-16: write UTF-8, or give the paths as a list in a file")
        line = line if number else line.removeprefix("\ufeff")
        if "\0" in line:
            yield from _between_nuls(chain([line], parts))
            return
        if not line.endswith("\n") and len(line) >= LONGEST_LINE:
            raise UserError(
                f"line {number + 1:,} on stdin has more than {LONGEST_LINE:,} characters: give a path per line"
            )
        line = line.rstrip("\r\n")
        if line.strip():
            yield line


def _between_nuls(parts: Iterable[str]) -> Iterator[str]:
    """The paths between NULs. They may contain line breaks."""
    rest = ""
    for part in parts:
        *whole, rest = f"{rest}{part}".split("\0")
        if len(rest) > LONGEST_LINE or (len(part) == LONGEST_LINE and not any(whole)):
            raise UserError(f"no path was found in {LONGEST_LINE:,} characters on stdin: give paths")
        yield from filter(None, whole)
    if rest.strip():
        yield rest.rstrip("\r\n")


def _picture(path: str, label_pattern: str | None, labels: bool) -> Sample:
    if not labels:
        return Sample(path, "", path)
    name = Path(path).name
    match = re.search(label_pattern, stem(name)) if label_pattern else None
    label = label_of_name(stem(name)) if label_pattern is None else match["label"] or "" if match else ""
    return Sample(path, composed(label), path)


def _is_picture(path: str) -> bool:
    """Whether a path is a picture, no folder, list or records; its first bytes tell where the suffix does not."""
    if os.path.isdir(path):
        return False
    if os.path.splitext(path)[1].lower() in PICTURE_SUFFIXES:
        return True
    # What was read of a pipe, as of `<(find …)`, would be gone.
    if not os.path.isfile(path) or is_records(Path(path)):
        return False
    with naming(path), open(path, "rb") as file:
        start = file.read(1024)
    # Texts have no such bytes, and the signatures and sizes at the start of a picture are made of them.
    return bool(re.search(rb"[\x00-\x08\x0e-\x1a]", start))
