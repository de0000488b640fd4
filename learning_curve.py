"""Would more pictures help? Train on growing parts of the pictures, and test each time on the same others.

python learning_curve.py --data my_plates --training='--from plate'
"""

from __future__ import annotations

from cli import interrupts  # (before all others, so that Ctrl-C ends in one sentence)

# isort: split

import hashlib
import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cli.command import ALL_DONE, INTERRUPTED, SOME_UNREADABLE, run_command
from cli.files import atomic
from cli.messages import warn
from crnn_reader import bounded
from crnn_reader.errors import UserError
from parameter import LearningCurveParameters, notation

if TYPE_CHECKING:
    from dataset.splitting import LabelledPicture
    from model.learning_curve import Point

#: Minimum number of pictures to train on, unless --parts says otherwise.
SMALLEST = 50


def main(flags: LearningCurveParameters) -> int:
    """Train on each part, test it, and draw the curve. Returns the exit code."""
    from dataset.inputs import refuse_overlapping_paths
    from dataset.splitting import held_out
    from model import learning_curve
    from model.training import defaults
    from model.training.run_folder import RunFolder

    interrupts.continue_by(interrupts.CONTINUES)
    refuse_overlapping_paths([flags.data, flags.test], {"run": flags.run})
    pictures, test, unreadable = held_out(flags.data, flags.test, flags.label_pattern, flags.root)
    sizes = notation.part_sizes(flags.parts) if flags.parts else doubling(len(pictures))
    if sizes[-1] > len(pictures):
        raise UserError(
            f"--parts {flags.parts}: there are {len(pictures):,} pictures besides {len(test):,} to test: give "
            "smaller numbers"
        )
    folder = Path(flags.run)
    claim(folder, flags, pictures, test)
    alphabet = defaults.characters([picture.label for picture in (*pictures, *test)])
    points: list[Point] = []
    falling: list[int] = []
    for number in sizes:
        run = folder / f"{number:06}"
        code = trained(pictures[:number], run, flags.training, alphabet)
        if code not in (ALL_DONE, SOME_UNREADABLE):
            return code
        if not points:
            print("pictures\tright\tlow\thigh")
        points.append(tested(run, test, number))
        history, _ = RunFolder(run).progress()
        validation, training = ([row.get(name, 0.0) for row in history] for name in ("validation_loss", "loss"))
        if learning_curve.too_short(validation, training):
            falling.append(number)
        low, high = points[-1].interval
        print(f"{number}\t{points[-1].exact_match:.4f}\t{low:.4f}\t{high:.4f}")
        write(folder, points)
    if len(points) > 1:
        warn(learning_curve.answer(points))
    if falling:
        warn(learning_curve.too_few_epochs(falling))
    warn(f"curve: {folder / 'curve.png'}")
    return SOME_UNREADABLE if unreadable else ALL_DONE


def claim(
    folder: Path, flags: LearningCurveParameters, pictures: list[LabelledPicture], test: list[LabelledPicture]
) -> None:
    """Create the folder of this curve, or check that it is. Raises UserError if it holds anything else."""
    both = hashlib.sha256(repr([[(digest, label) for digest, _, label in part] for part in (pictures, test)]).encode())
    about = {"training": flags.training, "pictures": f"sha256:{both.hexdigest()}"}
    record = folder / "learning_curve.json"
    for name in (record.name, "test.tsv", "curve.json", "curve.png"):
        refuse_irregular(folder / name)
    if not record.is_file():
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UserError(f"{folder} holds something other than a learning curve: choose another --run")
    # Without a trained part, as after flags that training.py refused, the folder is reused.
    elif any(path.is_dir() for path in folder.iterdir()):
        try:
            earlier = dict(bounded.read_json(record))
        except (ValueError, TypeError) as error:
            raise UserError(f"{record} is damaged ({error}): remove {folder}, or choose another --run") from error
        for name, what in (("training", "with other flags for --training"), ("pictures", "of other pictures")):
            if earlier.get(name) != about[name]:
                raise UserError(f"{folder} holds a curve {what}: choose another --run")
    folder.mkdir(parents=True, exist_ok=True)
    with atomic(record) as temporary:
        temporary.write_text(json.dumps(about, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    write_list(test, folder / "test.tsv")


def refuse_irregular(path: Path) -> None:
    if what := bounded.irregular(path):
        raise UserError(f"{path} is {what}, not the file that a curve has there: remove it")


def doubling(pictures: int) -> list[int]:
    """The number of all pictures, half of it, a quarter …, down to SMALLEST, in ascending order."""
    sizes = [pictures]
    while sizes[0] >= 2 * SMALLEST:
        sizes.insert(0, sizes[0] // 2)
    return sizes


def trained(pictures: list[LabelledPicture], run: Path, flags: str, alphabet: str) -> int:
    """Train on a part, or resume that. Returns the exit code of training.py.

    A part may lack characters: unless flags name an alphabet, or weights that have one, it gets the `alphabet` of all
    parts.
    """
    listed = run.with_suffix(".tsv")
    refuse_irregular(listed)
    write_list(pictures, listed)
    begun = (run / "parameters.json").is_file()
    given = shlex.split(flags)
    command = [*(["--resume"] if begun else ["--data", str(listed)]), *given]
    if not {"--alphabet", "--from"} & {flag.partition("=")[0] for flag in given}:
        command.append(f"--alphabet={alphabet}")
    script = Path(__file__).with_name("training.py")
    environment = os.environ | {interrupts.REMEDY: interrupts.CONTINUES}
    process = subprocess.Popen([sys.executable, str(script), *command, "--run", str(run)], env=environment)
    try:
        return process.wait()
    except KeyboardInterrupt:
        # Ctrl-C in a terminal interrupts the training as well. A signal sent only to this process does not: pass it on.
        process.send_signal(signal.SIGINT)
        if process.wait() == INTERRUPTED:
            # The training has printed the sentence.
            return INTERRUPTED
        raise


def write_list(pictures: list[LabelledPicture], path: Path) -> None:
    with atomic(path) as temporary:
        # With a header, because a first label such as `image` would be taken for one.
        rows = ("file\tlabel\n", *(f"{path}\t{label}\n" for _, path, label in pictures))
        temporary.write_text("".join(rows), encoding="utf-8")


def tested(run: Path, test: list[LabelledPicture], number: int) -> Point:
    from crnn_reader.reader import Reader
    from model.learning_curve import Point
    from model.scores import read_and_score

    scores, _ = read_and_score(Reader(str(run)), test)
    return Point(number, scores.exact, len(test))


def write(folder: Path, points: list[Point]) -> None:
    """Write curve.json and curve.png with the points so far."""
    from dataclasses import asdict

    from model import learning_curve

    with atomic(folder / "curve.json") as temporary:
        temporary.write_text(json.dumps([asdict(point) for point in points], indent=2) + "\n", encoding="utf-8")
    learning_curve.draw(points, folder / "curve.png")


if __name__ == "__main__":
    run_command(main, LearningCurveParameters)
