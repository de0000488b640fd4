"""The corpus on disk: a folder of pictures named by their labels, and `corpus.json` that says how they were made.

Picture 17 that reads aB3x is `aB3x_000017.png`; from 10,000 on, pictures go into sub-folders of 10,000
(`0001/`, `0002/`, …). The index makes names unique where upper and lower case are the same to the file
system. Labels that cannot stand in file names (spaces, `/`, very long ones) are listed in `labels.tsv`
instead, and the picture is `000017.png`. Names and bytes depend only on the parameters and the index, so any number
of worker processes makes the same corpus, and a run that was stopped goes on where it was.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import re
import signal
import sys
import threading
import traceback
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from multiprocessing import connection
from pathlib import Path
from typing import Any, cast

import cv2

from cli import interrupts
from cli.files import atomic, naming, sweep, write_new
from cli.progress import progress
from cli.workers import interrupts_held
from crnn_reader import bounded
from crnn_reader.batching import available_cores
from crnn_reader.errors import UserError
from generate_captcha.style import Image, Style
from generate_captcha.styles import style_of
from parameter import CORPUS_RECORD, GenerateParameters

FOLDER_SIZE = 10_000
#: Pictures that a worker takes at a time; what it draws between two reports.
CHUNK = 32
#: The list of a corpus whose labels cannot stand in file names.
LIST = "labels.tsv"

#: What a Windows, macOS or Linux file name, or a shell reading it back, cannot hold; `_` ends the label.
NOT_IN_NAMES = set('<>:"/\\|?*._ ')
#: Bytes that the usual file systems give a name, less what surrounds the label (index, suffix, temporary name).
LABEL_BYTES = 255 - 40

#: UP and level 1: a third of the time of OpenCV's own level 6, and files a tenth larger.
PNG = [
    cv2.IMWRITE_PNG_COMPRESSION, 1,
    cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_DEFAULT,
    cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP,
]  # fmt: skip


@dataclass(frozen=True)
class Written:
    """What :func:`write_corpus` did: pictures made now, and pictures that were there."""

    drawn: int
    there: int


def write_corpus(parameters: GenerateParameters) -> Written:
    """Fill `parameters.out` with pictures 0 … count - 1, leaving out those that are there.

    Raises UserError when the folder holds something else, a font lacks a character, or a text cannot be drawn so
    that it can be read; OSError when a picture cannot be written.
    """
    out = Path(parameters.out)
    style = style_of(parameters)
    _claim(out, style)
    if not _in_names(style):
        _list_labels(out, style, parameters.count)
    there = _there(out, parameters.count)
    missing = parameters.count - sum(there)
    workers = min(parameters.workers or available_cores(), -(-missing // CHUNK))
    try:
        # The processes start before the progress bar, which starts a thread.
        with (
            _drawing(style, parameters, there, workers) as work,
            progress(f"making {parameters.out}", missing) as advance,
        ):
            for drawn in work:
                advance(drawn)
    except BaseException:
        _leave_whole(out)
        raise
    return Written(missing, parameters.count - missing)


def picture_path(out: Path, label: str | None, index: int) -> Path:
    """Where picture `index` stands in the folder `out`; without a label, where `labels.tsv` carries the labels."""
    return _folder(out, index) / (f"{index:06}.png" if label is None else f"{label}_{index:06}.png")


def _folder(out: Path, index: int) -> Path:
    return out / f"{index // FOLDER_SIZE:04}" if index >= FOLDER_SIZE else out


def encode(image: Image, grey: bool) -> bytes:
    """A PNG file of uint8 (height, width, 3) in RGB order; of one channel when grey."""
    image = image[:, :, 0] if grey else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".png", image, PNG)[1].tobytes()


# What may be in the folder


def _in_names(style: Style) -> bool:
    """Whether file names can carry every label of `style`."""
    return (
        not any(character in NOT_IN_NAMES or not character.isprintable() for character in style.alphabet)
        # A combining mark would melt into the `_` before a label, or be composed by the file system.
        and not any(unicodedata.combining(character) for character in style.alphabet)
        and style.longest * max(len(character.encode()) for character in style.alphabet) <= LABEL_BYTES
    )


def _list_labels(out: Path, style: Style, count: int) -> None:
    """Write the list of pictures 0 … count - 1 and of those beyond that are there, unless there is one that names them.

    Of a corpus that was interrupted when it was to be larger, what is missing is not asked for any more.
    """
    path = out / LIST
    if path.exists():
        listed = _lines(path) - 1
        made = next((index for index in range(listed, count, -1) if picture_path(out, None, index - 1).exists()), count)
        if listed == made:
            return
        count = made
    # Before the pictures: whoever reads a corpus that was interrupted finds pictures missing, not labels.
    with atomic(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        file.write("file\tlabel\n")
        with progress(f"listing {path}", count, "labels") as advance:
            for start in range(0, count, FOLDER_SIZE):
                indices = range(start, min(start + FOLDER_SIZE, count))
                for index in indices:
                    file.write(f"{picture_path(out, None, index).relative_to(out).as_posix()}\t{style.label(index)}\n")
                advance(len(indices))


def _lines(path: Path) -> int:
    """How many lines a list has. Raises UserError when there is a pipe in its place."""
    try:
        with naming(path), bounded.open_regular(path) as file:
            return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
    except ValueError as error:
        raise UserError(f"{path} is not the list of this corpus ({error}): remove it") from error


def _leave_whole(out: Path) -> None:
    """Of a corpus that was interrupted, list what is there; one without any picture is none."""
    if not any(out.rglob("[!.]*.png")):
        # In this order: what is killed between the two is still a corpus, and the same command goes on with it.
        for name in (LIST, CORPUS_RECORD):
            (out / name).unlink(missing_ok=True)
    elif (out / LIST).exists():
        with (out / LIST).open("rb") as file:
            lines = list(file)
        with atomic(out / LIST) as temporary, temporary.open("wb") as file:
            file.writelines(
                line for line in lines if line == lines[0] or (out / os.fsdecode(line.split(b"\t")[0])).exists()
            )


def _claim(out: Path, style: Style) -> None:
    """See to it that `out` is a corpus of these parameters: new, or begun by them earlier."""
    about = style.about()
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out} is a file: give a folder")
    if (out / CORPUS_RECORD).exists():
        earlier = _read_about(out / CORPUS_RECORD)
        differing = [name for name in about if earlier.get(name) != about[name]]
        for ruling, follow in (("style", set(differing)), ("layouts", {"alphabet", "fonts"})):
            if ruling in differing:
                differing = [name for name in differing if name == ruling or name not in follow]
        if differing:
            were = ", ".join(f"--{name} ({_differing(earlier.get(name), about[name])})" for name in differing)
            raise UserError(f"{out} holds a corpus made with another {were}: give the same flags or another --out")
    elif out.is_dir() and _holds_files(out):
        raise UserError(
            f"{out} holds files but no {CORPUS_RECORD}, so they are not from this command: "
            "empty it or choose another --out"
        )
    else:
        with atomic(out / CORPUS_RECORD) as temporary:
            temporary.write_text(json.dumps(about, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _read_about(path: Path) -> dict[str, Any]:
    try:
        about = bounded.read_json(path)
        if isinstance(about, dict):
            return about
        reason = "it is no object"
    except ValueError as error:
        reason = str(error)
    raise UserError(
        f"{path} does not say how the corpus was made ({reason}): restore the file, or choose another --out"
    )


def _differing(before: Any, now: Any) -> str:
    """What was, and what is now; files of the same name have changed."""
    before, now = _short(before), _short(now)
    return f"{now}, changed since" if before == now else f"{before}, now {now}"


def _short(value: Any) -> str:
    if isinstance(value, list):
        value = " ".join(str(font).split(" sha256:")[0] for font in value)
    text = str(value)
    return text if len(text) <= 80 else text[:77] + "…"


def _holds_files(folder: Path) -> bool:
    """Whether there is anything but hidden files (`.gitkeep`, `.DS_Store`) and a README."""
    return any(not entry.name.startswith((".", "README")) for entry in os.scandir(folder))


def _there(out: Path, count: int) -> bytearray:
    """1 for each picture of 0 … count - 1 that is there. Removes what a killed run left half-written.

    An empty one is not there: a power cut may leave it so. Raises UserError for a folder or pipe in a picture's place.
    """
    there = bytearray(count)
    name = re.compile(r"(?:[^_]+_)?(\d{6,})\.png")
    # As earlier versions named them.
    half_written = re.compile(r"\..*\.\d+\.partial\.png")
    folders = [entry.path for entry in os.scandir(out) if entry.name.isdigit() and entry.is_dir()]
    for folder in (str(out), *folders):
        sweep(Path(folder))
        for entry in os.scandir(folder):
            if half_written.fullmatch(entry.name):
                os.unlink(entry.path)
            elif found := name.fullmatch(entry.name):
                index = int(found[1])
                if index < count and str(_folder(out, index)) == folder:
                    if not entry.is_file():
                        raise UserError(f"{entry.path} is not a file, but has the name of a picture: remove it")
                    there[index] = entry.stat().st_size > 0
    return there


# Drawing, in this process or in several


def _draw(style: Style, out: Path, there: bytearray, starts: Iterable[int]) -> Iterator[int]:
    """Draw what is missing of the chunks that begin at `starts`; yields the number of pictures made in each."""
    named = _in_names(style)
    for start in starts:
        missing = [index for index in range(start, min(start + CHUNK, len(there))) if not there[index]]
        for index in missing:
            image, label = style.picture(index)
            write_new(picture_path(out, label if named else None, index), encode(image, style.grey))
        yield len(missing)


@contextlib.contextmanager
def _drawing(style: Style, parameters: GenerateParameters, there: bytearray, workers: int) -> Iterator[Iterator[int]]:
    """Yield what :func:`_draw` yields, from as many processes as there are workers; they end with the block."""
    if workers <= 1:
        yield _draw(style, Path(parameters.out), there, range(0, len(there), CHUNK))
        return
    # Forking costs 10 ms, a new interpreter half a second; but a fork of a process with threads may hang. In a command,
    # the only threads that Python does not count are OpenCV's, which are there once a picture was drawn: they end here.
    # In any other program there may be those of TensorFlow or onnxruntime.
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    quick = sys.platform == "linux" and interrupts.is_command and threading.active_count() == 1
    context: Any = multiprocessing.get_context("fork" if quick else "spawn")
    position, stop = context.Value("q", 0), context.Value("b", 0, lock=False)
    team: dict[connection.Connection, multiprocessing.process.BaseProcess] = {}
    try:
        for _ in range(workers):
            reports, sender = context.Pipe(duplex=False)
            worker = context.Process(
                target=_work,
                # A forked worker has the style, and all that it keeps, already.
                args=(style if quick else None, parameters, there, position, stop, sender, os.getpid()),
                daemon=True,
            )
            with interrupts_held():
                worker.start()
            # Only the worker holds the sending end, so that its death reads as the end of its reports.
            sender.close()
            team[reports] = worker
        cv2.setNumThreads(threads)
        yield _reports(team)
    finally:
        stop.value = 1
        for worker in team.values():
            worker.join(timeout=10)
            worker.terminate()


def _reports(team: dict[connection.Connection, multiprocessing.process.BaseProcess]) -> Iterator[int]:
    """Yield the workers' numbers as they come; raise what a worker raised."""
    open_ = set(team)
    while open_:
        for reports in cast(list[connection.Connection], connection.wait(open_)):
            try:
                report = reports.recv()
            except EOFError:
                open_.remove(reports)
                team[reports].join()
                if team[reports].exitcode:
                    raise UserError(
                        "a drawing process was killed, perhaps because memory ran out: run the same command with "
                        "fewer --workers to continue"
                    ) from None
                continue
            if isinstance(report, BaseException):
                raise report
            yield report


def _work(
    style: Style | None,
    parameters: GenerateParameters,
    there: bytearray,
    position: Any,
    stop: Any,
    sender: connection.Connection,
    parent: int,
) -> None:
    """What a worker process does: take chunks and report each; an error is its last report."""
    # Where it could not be held back: the parent hears it and ends the workers between two chunks.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    # The parent handles SIGTERM as Ctrl-C and ends the workers, which print nothing.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    cv2.setNumThreads(1)
    try:
        for drawn in _draw(style or style_of(parameters), Path(parameters.out), there, _starts(position, len(there))):
            # A parent that was killed has set no `stop`, and nobody hears reports.
            if stop.value or os.getppid() != parent:
                return
            sender.send(drawn)
    except Exception as error:
        error.add_note(traceback.format_exc())
        sender.send(error)


def _starts(position: Any, count: int) -> Iterator[int]:
    """The beginnings of chunks, each given to one worker only."""
    while True:
        with position.get_lock():
            start = position.value
            position.value = start + CHUNK
        if start >= count:
            return
        yield start
