"""What a run leaves behind: a folder that explains itself, reproduces itself and can go on.

parameters.json   every parameter of the run
split.json        which pictures trained and which validated
model.keras       the best weights so far, ready to read with
history.csv       one row per epoch
curves.png        the same to look at
tensorboard/      the same for TensorBoard
log.txt           what the terminal said
state.npz         weights, optimiser and history after the last whole epoch, for --resume
training.lock     locked as long as the training runs, and no longer, even if it is killed
cache             the decoded pictures, only where those of the working folder, .cache, cannot be written
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import time
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import parameter
from console import UserError, atomic, naming, warn
from model.training.board import Board
from model.training.lock import Lock
from parameter import TrainingParameters

History = list[dict[str, float]]

LOCK = "training.lock"


class RunFolder:
    """The files of one run; every one is replaced whole."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.model, self.state, self.tensorboard = path / "model.keras", path / "state.npz", path / "tensorboard"
        self.cache = path / "cache"
        self._board, self._lock = Board(self.tensorboard), Lock(path / LOCK)

    def refuse_other_files(self) -> None:
        """Raise UserError when a new run would stand among files that are there already."""
        if self.path.exists() and not self.path.is_dir():
            raise UserError(f"{self.path} is a file: choose a folder for --run")
        if self.path.is_dir() and not self.is_free():
            raise UserError(f"{self.path} holds something already: go on with --resume, or choose another --run")

    def is_free(self) -> bool:
        """Whether it is there and holds nothing, or a lock: what a training leaves for which there was no space."""
        return self.path.is_dir() and all(file.name in (LOCK, "cache") for file in self.path.iterdir())

    def has_begun(self) -> bool:
        """Whether it is the folder of a run."""
        return (self.path / "parameters.json").is_file()

    def write_text(self, name: str, text: str) -> None:
        """Replace the file `name` by `text`."""
        with atomic(self.path / name) as temporary:
            temporary.write_text(text, encoding="utf-8")

    def begin(self, parameters: str, split: Mapping[str, Any]) -> None:
        """Write the parameters, and which pictures train and which validate: what JSON can hold.

        The folder is one's own from then to :meth:`end`. Raises UserError when the run began with other pictures,
        and when another training is at work in it.
        """
        path = self.path / "split.json"
        text = json.dumps(split, indent=0, ensure_ascii=False)
        if path.is_file():
            earlier = json.loads(path.read_text(encoding="utf-8"))
            # What an older kit did not note cannot differ.
            if any(earlier.get(name, value) != value for name, value in json.loads(text).items()):
                raise UserError(
                    f"the pictures, labels or alphabet are not those that {self.path} began with: "
                    f"start another --from {self.path}"
                )
        self.path.mkdir(parents=True, exist_ok=True)
        if not self._lock.take():
            raise UserError(f"another training is at work in {self.path}: wait for its end, or choose another --run")
        self.write_text("parameters.json", parameters)
        self.write_text(path.name, text)

    def end(self) -> None:
        """Nothing comes any more, until the run is resumed."""
        self._lock.release()

    def is_training(self) -> bool:
        """Whether a training is at work here, this one or one of another process."""
        return self._lock.is_taken()

    def has_state(self) -> bool:
        """Whether there is an epoch to go on after."""
        return self.state.is_file()

    def log(self, message: str) -> None:
        """Say `message` on stderr and keep it in log.txt."""
        warn(message)
        path = self.path / "log.txt"
        with naming(path), path.open("a", encoding="utf-8") as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {message}\n")

    def write_history(self, history: History) -> None:
        """Replace history.csv."""
        with atomic(self.path / "history.csv") as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            # A run that an older kit began has columns only from where this one went on.
            writer = csv.DictWriter(file, list(history[-1]))
            writer.writeheader()
            writer.writerows({name: f"{value:.6g}" for name, value in row.items()} for row in history)

    def write_tensorboard(self, step: int, scalars: dict[str, float], readings: NDArray[np.uint8]) -> None:
        """Add the scalars of an epoch, and an RGB picture of some readings, at `step`."""
        self._board.write(step, scalars, {"readings": readings})

    def save_state(self, variables: dict[str, NDArray[Any]], history: History) -> None:
        """Keep everything that the next epoch depends on."""
        with atomic(self.state) as temporary:
            np.savez(temporary, allow_pickle=False, **variables, history=np.array(json.dumps(history)))

    def load_state(self) -> tuple[dict[str, NDArray[Any]], History] | None:
        """What :meth:`save_state` kept, or None when the run ended before its first epoch did."""
        if not self.has_state():
            return None
        with self._open_state() as archive:
            variables = dict(archive)
            return variables, json.loads(str(variables.pop("history")))

    def history(self) -> History:
        """The epochs of the state, without its weights. Raises FileNotFoundError where there is none."""
        with self._open_state() as archive:
            return json.loads(str(archive["history"]))

    @contextlib.contextmanager
    def _open_state(self) -> Iterator[Mapping[str, NDArray[Any]]]:
        try:
            with np.load(self.state, allow_pickle=False) as archive:
                yield archive
        except FileNotFoundError:
            raise
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise UserError(
                f"{self.state} is damaged ({error}): start the run again, --from its model.keras"
            ) from error


def best(history: History) -> dict[str, float]:
    """The row of the best epoch: by exact match, then by character error rate, then the later one.

    Not by loss: that of a text read wrong grows with certainty, while the readings still get better. Of a curriculum
    only epochs of the greatest difficulty count.
    """

    def rank(row: dict[str, float]) -> tuple[float, ...]:
        return row.get("difficulty", 0.0), row["exact_match"], -row["character_error_rate"], row["epoch"]

    return max(history, key=rank)


def trained_on(model: str) -> set[str]:
    """The real paths of the pictures that a run folder, or a model file in one, was trained on; of others nothing."""
    run = Path(model) if Path(model).is_dir() else Path(model).parent
    try:
        data = Path(json.loads((run / "parameters.json").read_text(encoding="utf-8"))["data"])
        names = json.loads((run / "split.json").read_text(encoding="utf-8"))["training"]
    except (OSError, ValueError, KeyError, TypeError):
        # Shipped weights, or a model file that was taken out of its run.
        return set()
    folder = data if data.is_dir() else data.parent
    return {os.path.realpath(folder / name) for name in names}


def start_or_resume(parameters: TrainingParameters) -> tuple[Path, TrainingParameters]:
    """The run folder, and the parameters: those given or, with --resume, those that the run began with.

    Raises UserError when there is no run to resume, or parameters differ from those it began with.
    """
    if not parameters.resume:
        return Path(parameters.run or f"{parameter.RUNS_FOLDER}/{time.strftime('%Y-%m-%d-%H%M%S')}"), parameters
    runs = sorted(Path(parameter.RUNS_FOLDER).glob("*/parameters.json"), key=lambda file: file.stat().st_mtime)
    if not parameters.run and not runs:
        raise UserError(f"{parameter.RUNS_FOLDER}/ holds no run to resume: name its folder with --run")
    path = Path(parameters.run) if parameters.run else runs[-1].parent
    file = path / "parameters.json"
    if not file.is_file():
        raise UserError(f"{path} holds no run to resume (no {file.name}): name the folder of a run with --run")
    kept = TrainingParameters.from_json(file)
    for name in sorted(parameters.model_fields_set - {"run", "resume"}):
        value = getattr(parameters, name)
        if value != getattr(kept, name):
            raise UserError(
                f"--{name.rstrip('_').replace('_', '-')} {value} is not what the run in {path} began with "
                f"({getattr(kept, name)}): leave it out to resume, or start another run --from {path}"
            )
    return path, kept.model_copy(update={"resume": True})
