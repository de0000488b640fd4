"""Would more pictures help? Train on growing parts of those that are there, and read the same others each time.

python learning_curve.py --data my_plates --training='--from plate'
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import console
import notation
from console import UserError, atomic, warn
from parameter import LearningCurveParameters

if TYPE_CHECKING:
    from model.learning_curve import Point

#: What no line of a list can hold of a name: breaks, and bytes that are no UTF-8.
NO_TEXT = re.compile(r"[\t\r\n\ud800-\udfff]")
#: The smallest part, unless --parts says otherwise.
SMALLEST = 50


def main(parameters: LearningCurveParameters) -> int:
    """The whole story; returns the exit code."""
    from model import learning_curve
    from model.training import recipe

    pictures, test, unreadable = held_out(parameters)
    parts = notation.parts(parameters.parts) if parameters.parts else doubling(len(pictures))
    if parts[-1] > len(pictures):
        raise UserError(
            f"--parts {parameters.parts}: there are {len(pictures):,} pictures beside {len(test):,} to test: take fewer"
        )
    folder = Path(parameters.run)
    claim(folder, parameters, pictures, test)
    alphabet = recipe.characters([picture.label for picture in (*pictures, *test)])
    points: list[Point] = []
    print("pictures\tright\tlow\thigh")
    for number in parts:
        run = folder / f"{number:06}"
        code = trained(pictures[:number], run, parameters.training, alphabet)
        if code not in (console.ALL_DONE, console.SOME_UNREADABLE):
            return code
        points.append(tested(run, test, number))
        low, high = points[-1].interval
        print(f"{number}\t{points[-1].exact_match:.4f}\t{low:.4f}\t{high:.4f}")
        write(folder, points)
    if len(points) > 1:
        warn(learning_curve.answer(points))
    warn(f"drawn in {folder / 'curve.png'}")
    return console.SOME_UNREADABLE if unreadable else console.ALL_DONE


class Picture(NamedTuple):
    """A labelled picture that can be read."""

    digest: int  #: of its bytes
    path: str
    label: str


def held_out(parameters: LearningCurveParameters) -> tuple[list[Picture], list[Picture], int]:
    """Pictures to train on and others to test with, each in an order that their contents alone decide; and how many
    were left out because they cannot be read.
    """
    pictures, unreadable = labelled(parameters.data, parameters.label_pattern)
    part = notation.fraction(parameters.test)
    if part is None:
        test, more_unreadable = labelled(parameters.test, parameters.label_pattern)
        tested = {picture.digest for picture in test}
        others = [picture for picture in pictures if picture.digest not in tested]
        if len(others) < len(pictures):
            warn(f"{len(pictures) - len(others):,} pictures of --data are in --test, too: they are not trained on")
        if not others:
            raise UserError(f"all pictures in {parameters.data} are in {parameters.test}, too: give others to one flag")
        return others, test, unreadable + more_unreadable
    border = round(part * len(pictures))
    # The same picture twice does not stand on both sides.
    while 0 < border < len(pictures) and pictures[border].digest == pictures[border - 1].digest:
        border += 1
    if not 0 < border < len(pictures) - 1:
        raise UserError(f"{parameters.data} has {len(pictures)} pictures with labels: too few to hold some of them out")
    return pictures[border:], pictures[:border], unreadable


def labelled(path: str, label_pattern: str | None) -> tuple[list[Picture], int]:
    """The labelled pictures of `path` in the order of their digests, and how many cannot be read."""
    import dataset
    from picture import Stored

    samples = dataset.collect(path, label_pattern)
    contents = dataset.examine(samples)
    reasons = dict(contents.unreadable)
    readable = [sample for sample in samples if sample.name not in reasons]
    if any(isinstance(sample.path, Stored) for sample in readable[:1]):
        raise UserError(f"{path} holds records: write files with `python -m dataset convert {path} OUT --form tsv`")
    # The lists that are trained by are text.
    reasons |= {sample.name: "its name is no text: rename it" for sample in readable if NO_TEXT.search(sample.path)}
    console.warn_of_each([f"left out {name}: {reason}" for name, reason in reasons.items()], not readable)
    pictures = sorted(
        Picture(int(digest), os.path.realpath(sample.path), sample.label)
        for sample, digest in zip(readable, contents.digests, strict=True)
        if sample.label and sample.name not in reasons
    )
    if not pictures:
        raise UserError(f"no picture in {path} has a label and can be read: see --label-pattern")
    return pictures, len(reasons)


def claim(folder: Path, parameters: LearningCurveParameters, pictures: list[Picture], test: list[Picture]) -> None:
    """Make `folder` that of this curve, or see that it is. Raises UserError where it is another one's."""
    both = hashlib.sha256(repr([[(digest, label) for digest, _, label in part] for part in (pictures, test)]).encode())
    about = {"training": parameters.training, "pictures": f"sha256:{both.hexdigest()}"}
    record = folder / "learning_curve.json"
    if record.is_file():
        earlier = json.loads(record.read_text(encoding="utf-8"))
        for name, what in (("training", "with other flags for --training"), ("pictures", "of other pictures")):
            if earlier.get(name) != about[name]:
                raise UserError(f"{folder} holds a curve {what}: choose another --run")
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} holds something else than a learning curve: choose another --run")
    folder.mkdir(parents=True, exist_ok=True)
    with atomic(record) as temporary:
        temporary.write_text(json.dumps(about, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    write_list(test, folder / "test.tsv")


def doubling(pictures: int) -> list[int]:
    """All pictures, half of them, a quarter, …, down to SMALLEST."""
    parts = [pictures]
    while parts[0] >= 2 * SMALLEST:
        parts.insert(0, parts[0] // 2)
    return parts


def trained(pictures: list[Picture], run: Path, flags: str, alphabet: str) -> int:
    """Train, or go on where that was interrupted; the exit code of training.py.

    A part need not hold all characters: where flags name no others, and no weights that have some, it has the
    `alphabet` of all parts.
    """
    listed = run.with_suffix(".tsv")
    write_list(pictures, listed)
    begun = (run / "parameters.json").is_file()
    given = shlex.split(flags)
    command = [*(["--resume"] if begun else ["--data", str(listed)]), *given]
    if not {"--alphabet", "--from"} & {flag.partition("=")[0] for flag in given}:
        command.append(f"--alphabet={alphabet}")
    script = Path(__file__).with_name("training.py")
    return subprocess.run([sys.executable, str(script), *command, "--run", str(run)], check=False).returncode


def write_list(pictures: list[Picture], path: Path) -> None:
    with atomic(path) as temporary:
        temporary.write_text("".join(f"{path}\t{label}\n" for _, path, label in pictures), encoding="utf-8")


def tested(run: Path, test: list[Picture], number: int) -> Point:
    from model.learning_curve import Point
    from model.reader import Reader

    readings = Reader(str(run)).read(picture.path for picture in test)
    right = sum(reading.text == picture.label for picture, reading in zip(test, readings, strict=True))
    return Point(number, right, len(test))


def write(folder: Path, points: list[Point]) -> None:
    """curve.json and curve.png, as far as the points go."""
    from dataclasses import asdict

    from model import learning_curve

    with atomic(folder / "curve.json") as temporary:
        temporary.write_text(json.dumps([asdict(point) for point in points], indent=2) + "\n", encoding="utf-8")
    learning_curve.draw(points, folder / "curve.png")


if __name__ == "__main__":
    console.run(main, LearningCurveParameters)
