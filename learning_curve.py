"""Would more pictures help? Train on growing parts of those that are there, and read the same others each time.

python learning_curve.py --data my_plates --training='--from plate'
"""

from __future__ import annotations

import hashlib
import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import console
import notation
from console import UserError, atomic, warn
from parameter import LearningCurveParameters

if TYPE_CHECKING:
    from dataset import Sample
    from model.learning_curve import Point

#: The smallest part, unless --parts says otherwise.
SMALLEST = 50


def main(parameters: LearningCurveParameters) -> int:
    """The whole story; returns the exit code."""
    from model import learning_curve

    pictures, test = held_out(parameters)
    parts = notation.parts(parameters.parts) if parameters.parts else doubling(len(pictures))
    if parts[-1] > len(pictures):
        raise UserError(
            f"--parts {parameters.parts}: there are {len(pictures):,} pictures beside {len(test):,} to test: take fewer"
        )
    folder = Path(parameters.run)
    folder.mkdir(parents=True, exist_ok=True)
    write_list(test, folder / "test.tsv")
    points: list[Point] = []
    print("pictures\tright\tlow\thigh")
    for number in parts:
        run = folder / f"{number:06}"
        code = trained(pictures[:number], run, parameters.training)
        if code not in (console.ALL_DONE, console.SOME_UNREADABLE):
            return code
        points.append(tested(run, test, number))
        low, high = points[-1].interval
        print(f"{number}\t{points[-1].exact_match:.4f}\t{low:.4f}\t{high:.4f}")
        write(folder, points)
    if len(points) > 1:
        warn(learning_curve.answer(points))
    warn(f"drawn in {folder / 'curve.png'}")
    return console.ALL_DONE


def held_out(parameters: LearningCurveParameters) -> tuple[list[Sample], list[Sample]]:
    """Pictures to train on and others to test with, each in an order that their contents alone decide."""
    import dataset

    def labelled(path: str) -> list[Sample]:
        samples = [sample for sample in dataset.collect(path, parameters.label_pattern) if sample.label]
        if not samples:
            raise UserError(f"no picture in {path} has a label: see --label-pattern")
        if not Path(samples[0].path).is_file():
            raise UserError(f"{path} holds records: write files with `python -m dataset convert {path} OUT --form tsv`")
        return sorted(samples, key=lambda sample: digest(sample.path))

    samples, part = labelled(parameters.data), notation.fraction(parameters.test)
    if part is None:
        return samples, labelled(parameters.test)
    border = round(part * len(samples))
    # The same picture twice does not stand on both sides.
    while 0 < border < len(samples) and digest(samples[border].path) == digest(samples[border - 1].path):
        border += 1
    if not 0 < border < len(samples) - 1:
        raise UserError(f"{parameters.data} has {len(samples)} pictures with labels: too few to hold some of them out")
    return samples[border:], samples[:border]


def digest(path: str) -> bytes:
    return hashlib.sha1(Path(path).read_bytes()).digest()


def doubling(pictures: int) -> list[int]:
    """All pictures, half of them, a quarter, …, down to SMALLEST."""
    parts = [pictures]
    while parts[0] >= 2 * SMALLEST:
        parts.insert(0, parts[0] // 2)
    return parts


def trained(pictures: list[Sample], run: Path, flags: str) -> int:
    """Train, or go on where that was interrupted; the exit code of training.py."""
    listed = run.with_suffix(".tsv")
    write_list(pictures, listed)
    begun = (run / "parameters.json").is_file()
    command = [*(["--resume"] if begun else ["--data", str(listed)]), *shlex.split(flags)]
    script = Path(__file__).with_name("training.py")
    return subprocess.run([sys.executable, str(script), *command, "--run", str(run)], check=False).returncode


def write_list(pictures: list[Sample], path: Path) -> None:
    with atomic(path) as temporary:
        temporary.write_text("".join(f"{Path(p.path).resolve()}\t{p.label}\n" for p in pictures), encoding="utf-8")


def tested(run: Path, test: list[Sample], number: int) -> Point:
    from model.learning_curve import Point
    from model.reader import Reader

    readings = Reader(str(run)).read(sample.path for sample in test)
    right = sum(reading.text == sample.label for sample, reading in zip(test, readings, strict=True))
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
