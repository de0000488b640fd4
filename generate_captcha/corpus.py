"""The corpus on disk: a folder of pictures named by their labels, and `corpus.json` that says how they were made.

Picture 17 that reads aB3x is `aB3x_000017.png`; from 10,000 on, pictures go into sub-folders of 10,000
(`0001/`, `0002/`, …). The index makes names unique where upper and lower case are the same to the file
system. Names and bytes depend on the parameters and the index alone, so any number of worker processes makes
the same corpus, and a run that was stopped goes on where it was.
"""

from __future__ import annotations

import contextlib
import hashlib
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

import console
from console import UserError
from generate_captcha.style import Image, Style
from generate_captcha.styles import style_of
from parameter import GenerateParameters

FOLDER_SIZE = 10_000
#: Pictures that a worker takes at a time; what it draws between two reports.
CHUNK = 32
ABOUT = "corpus.json"
#: Flags that decide how a picture looks; `alphabet` and `fonts` are noted by their content.
NOTED = ("style", "size", "length", "colour", "noise", "distortion", "seed")

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

    Raises UserError when the folder holds something else, the alphabet cannot stand in file names, or a font
    lacks a character; OSError when a picture cannot be written.
    """
    out = Path(parameters.out)
    style = style_of(parameters)
    _check_names(style)
    _claim(out, parameters, style)
    there = _there(out, parameters.count)
    missing = parameters.count - sum(there)
    workers = min(parameters.workers or _cores(), -(-missing // CHUNK))
    # The processes start before the progress bar, which starts a thread.
    with (
        _drawing(style, parameters, there, workers) as work,
        console.progress(f"making {parameters.out}", missing) as advance,
    ):
        for drawn in work:
            advance(drawn)
    return Written(missing, parameters.count - missing)


def picture_path(out: Path, label: str, index: int) -> Path:
    """Where picture `index` stands in the folder `out`; depends on `label` and `index` alone."""
    return _folder(out, index) / f"{label}_{index:06}.png"


def _folder(out: Path, index: int) -> Path:
    return out / f"{index // FOLDER_SIZE:04}" if index >= FOLDER_SIZE else out


def encode(image: Image, grey: bool) -> bytes:
    """A PNG file of uint8 (height, width, 3) in RGB order; of one channel when grey."""
    image = image[:, :, 0] if grey else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".png", image, PNG)[1].tobytes()


# What may be in the folder


def _check_names(style: Style) -> None:
    for character in style.alphabet:
        # A combining mark would melt into the character before it.
        if character in NOT_IN_NAMES or not character.isprintable() or unicodedata.combining(character):
            shown = "a space" if character == " " else repr(character)
            raise UserError(
                f"--alphabet: {shown} cannot stand in file names, which carry the labels: leave it out of the alphabet"
            )
    longest = style.longest * max(len(character.encode()) for character in style.alphabet)
    if longest > LABEL_BYTES:
        raise UserError(
            f"--length {style.longest}: such a label takes up to {longest} bytes of a file name, "
            f"which has room for {LABEL_BYTES}: ask for fewer characters"
        )


def _claim(out: Path, parameters: GenerateParameters, style: Style) -> None:
    """See to it that `out` is a corpus of these parameters: new, or begun by them earlier."""
    about = {name: getattr(parameters, name) for name in (*NOTED, *style.OWN)} | {
        "alphabet": style.alphabet,
        "fonts": [
            f"{path.name} sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
            for path in dict.fromkeys(font.path for font in style.fonts)
        ],
    }
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out} is a file: give a folder")
    if (out / ABOUT).exists():
        earlier = _read_about(out / ABOUT)
        differing = [name for name in about if earlier.get(name) != about[name]]
        if differing:
            were = ", ".join(f"--{name} ({_short(earlier.get(name))}, now {_short(about[name])})" for name in differing)
            raise UserError(f"{out} holds a corpus made with another {were}: give the same flags or another --out")
    elif out.is_dir() and _holds_files(out):
        raise UserError(
            f"{out} holds files but no {ABOUT}, so they are not of this command: empty it or choose another --out"
        )
    else:
        with console.atomic(out / ABOUT) as temporary:
            temporary.write_text(json.dumps(about, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _read_about(path: Path) -> dict[str, Any]:
    with contextlib.suppress(ValueError):
        about = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(about, dict):
            return about
    raise UserError(f"{path} does not say how the corpus was made: remove the folder or choose another --out")


def _short(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(str(font).split(" sha256:")[0] for font in value)
    text = str(value)
    return text if len(text) <= 80 else text[:77] + "…"


def _holds_files(folder: Path) -> bool:
    """Whether there is anything but hidden files (`.gitkeep`, `.DS_Store`) and a README."""
    return any(not entry.name.startswith((".", "README")) for entry in os.scandir(folder))


def _there(out: Path, count: int) -> bytearray:
    """1 for each picture of 0 … count - 1 that is there. Removes what a killed run left half-written."""
    there = bytearray(count)
    name = re.compile(r"[^_]+_(\d{6,})\.png")
    folders = [entry.path for entry in os.scandir(out) if entry.name.isdigit() and entry.is_dir()]
    for folder in (str(out), *folders):
        for entry in os.scandir(folder):
            if entry.name.startswith(".") and ".partial." in entry.name:
                os.unlink(entry.path)
            elif found := name.fullmatch(entry.name):
                index = int(found[1])
                if index < count and str(_folder(out, index)) == folder:
                    there[index] = 1
    return there


# Drawing, in this process or in several


def _draw(style: Style, out: Path, there: bytearray, starts: Iterable[int]) -> Iterator[int]:
    """Draw what is missing of the chunks that begin at `starts`; yields the number of pictures made in each."""
    for start in starts:
        missing = [index for index in range(start, min(start + CHUNK, len(there))) if not there[index]]
        for index in missing:
            image, label = style.picture(index)
            with console.atomic(picture_path(out, label, index)) as temporary:
                temporary.write_bytes(encode(image, style.grey))
        yield len(missing)


@contextlib.contextmanager
def _drawing(style: Style, parameters: GenerateParameters, there: bytearray, workers: int) -> Iterator[Iterator[int]]:
    """Yield what :func:`_draw` yields, from as many processes as there are workers; they end with the block."""
    if workers <= 1:
        yield _draw(style, Path(parameters.out), there, range(0, len(there), CHUNK))
        return
    # Forking costs 10 ms, a new interpreter half a second; but a fork of a process with threads may hang.
    quick = sys.platform == "linux" and threading.active_count() == 1
    context: Any = multiprocessing.get_context("fork" if quick else "spawn")
    position, stop = context.Value("q", 0), context.Value("b", 0, lock=False)
    team: dict[connection.Connection, multiprocessing.process.BaseProcess] = {}
    try:
        for _ in range(workers):
            reports, sender = context.Pipe(duplex=False)
            worker = context.Process(
                target=_work, args=(parameters, there, position, stop, sender, os.getpid()), daemon=True
            )
            worker.start()
            # Only the worker holds the sending end, so that its death reads as the end of its reports.
            sender.close()
            team[reports] = worker
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
                        "a drawing process was killed from outside, perhaps for want of memory: "
                        "the same command with fewer --workers goes on"
                    ) from None
                continue
            if isinstance(report, BaseException):
                raise report
            yield report


def _work(
    parameters: GenerateParameters,
    there: bytearray,
    position: Any,
    stop: Any,
    sender: connection.Connection,
    parent: int,
) -> None:
    """What a worker process does: take chunks and report each; an error is its last report."""
    # Ctrl-C goes to the whole group; the parent hears it and ends the workers between two chunks.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    try:
        for drawn in _draw(style_of(parameters), Path(parameters.out), there, _starts(position, len(there))):
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


def _cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
