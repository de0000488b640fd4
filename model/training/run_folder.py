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
import hashlib
import json
import math
import os
import time
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import parameter
from cli.files import atomic, naming
from cli.messages import warn
from crnn_reader import bounded
from crnn_reader.errors import UserError
from model import model_file
from model.training.lock import Lock
from model.training.tensorboard_files import TensorBoardFiles
from parameter import TrainingParameters

History = list[dict[str, float]]

LOCK = "training.lock"
#: What a training may write before it begins: its lock, and pictures packed where there is no other place for them.
BEFORE = (LOCK, "cache")
FILES = ("parameters.json", "split.json", "model.keras", "history.csv", "curves.png", "log.txt", "state.npz", LOCK)

#: Bytes of a split.json; the names of some millions of pictures.
LARGEST_SPLIT = 512 * 1024**2
#: Bytes of the history in a state.npz, four a character; some hundred thousand epochs.
LARGEST_HISTORY = 256 * 1024**2
#: What every epoch has in the history.
SCORES = ("epoch", "exact_match", "character_error_rate")


class State(NamedTuple):
    """What `state.npz` holds."""

    variables: dict[str, NDArray[Any]]
    history: History  #: one row per epoch, at least one
    model: str  #: SHA-256 of `model.keras` at that time; "" where an older kit wrote the state


class RunFolder:
    """The files of one run; every one is replaced whole."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.model, self.state, self.tensorboard = path / "model.keras", path / "state.npz", path / "tensorboard"
        self.cache = path / "cache"
        self._board, self._lock = TensorBoardFiles(self.tensorboard), Lock(path / LOCK)

    def refuse_other_files(self) -> None:
        """Raise UserError when a new run would stand among files that are there already."""
        if self.path.exists() and not self.path.is_dir():
            raise UserError(f"{self.path} is a file: choose a folder for --run")
        if self.path.is_dir() and not self.is_free():
            raise UserError(f"{self.path} is not empty: continue its training with --resume, or choose another --run")

    def is_free(self) -> bool:
        """Whether it is there and holds nothing but hidden files, and what a training leaves that ended early."""
        # A file that is being written, or was when its process was killed, is hidden.
        return self.path.is_dir() and all(file.name in BEFORE or file.name[0] == "." for file in self.path.iterdir())

    def refuse_irregular_files(self) -> None:
        """Raise UserError when a pipe, a device or a folder stands where the run has a file."""
        for name in FILES:
            if what := bounded.irregular(self.path / name):
                raise UserError(f"{self.path / name} is {what}, not the file that a run has there: remove it")

    def has_begun(self) -> bool:
        """Whether it is the folder of a run."""
        return (self.path / "parameters.json").is_file()

    def write_text(self, name: str, text: str) -> None:
        """Replace the file `name` by `text`."""
        with atomic(self.path / name) as temporary:
            # A file name that is not UTF-8 has surrogates, which become escapes that JSON knows.
            temporary.write_text(text, encoding="utf-8", errors="backslashreplace")

    def begin(self, parameters: str, split: Mapping[str, Any], new: bool = False) -> None:
        """Write the parameters, and which pictures train and which validate: what JSON can hold.

        The folder is one's own from then to :meth:`end`. Raises UserError when the run began with other pictures,
        when another training is at work in it, and when a `new` one meets one that began in the meantime.
        """
        self.refuse_irregular_files()
        path = self.path / "split.json"
        text = json.dumps(split, indent=0, ensure_ascii=False)
        if path.is_file():
            earlier = self._split(path)
            # What an older kit did not note cannot differ.
            if any(earlier.get(name, value) != value for name, value in json.loads(text).items()):
                raise UserError(
                    f"the pictures, labels or alphabet are not those that {self.path} began with: "
                    f"start another --from {self.path}"
                )
        self.path.mkdir(parents=True, exist_ok=True)
        if not self._lock.take():
            raise UserError(f"another training is at work in {self.path}: wait for its end, or choose another --run")
        if new and self.has_begun():
            self.end()
            raise UserError(f"another training has begun in {self.path}: choose another --run")
        self.write_text("parameters.json", parameters)
        self.write_text(path.name, text)

    def _split(self, path: Path) -> dict[str, Any]:
        try:
            earlier = bounded.read_json(path, LARGEST_SPLIT)
            if isinstance(earlier, dict):
                return earlier
            reason = "it is no object"
        except ValueError as error:
            reason = str(error)
        raise UserError(f"{path} is damaged ({reason}): use another copy of it, or start another --from {self.path}")

    def end(self) -> None:
        """Nothing comes any more, until the run is resumed."""
        self._lock.release()

    def is_training(self) -> bool:
        """Whether a training is at work here, this one or one of another process."""
        return self._lock.is_taken()

    def is_held(self) -> bool:
        """Whether the folder is the one that :meth:`begin` took, and not gone or another one by now."""
        return self._lock.is_held()

    def refuse_removed(self) -> None:
        """Raise UserError unless :meth:`is_held`."""
        if not self.is_held():
            raise UserError(
                f"{self.path} was removed, moved or replaced while training, and nothing more is written there: "
                "continue with --resume --run and its new place, if it has one"
            )

    def has_state(self) -> bool:
        """Whether there is an epoch to go on after."""
        return self.state.is_file()

    def log(self, message: str) -> None:
        """Say `message` on stderr and keep it in log.txt."""
        warn(message)
        path = self.path / "log.txt"
        with naming(path), path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {message}\n")

    def write_history(self, history: History) -> None:
        """Replace history.csv."""
        with atomic(self.path / "history.csv") as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            # A run that an older kit began has columns only from where this one went on.
            writer = csv.DictWriter(file, list(history[-1]), extrasaction="ignore")
            writer.writeheader()
            writer.writerows({name: f"{value:.6g}" for name, value in row.items()} for row in history)

    def write_tensorboard(self, step: int, scalars: dict[str, float], readings: NDArray[np.uint8]) -> None:
        """Add the scalars of an epoch, and an RGB picture of some readings, at `step`."""
        self._board.write(step, scalars, {"readings": readings})

    def save_state(self, variables: dict[str, NDArray[Any]], history: History) -> None:
        """Keep everything that the next epoch depends on; the model file of the `history` is there already."""
        record = {"history": np.array(json.dumps(history)), "model": np.array(digest(self.model))}
        with atomic(self.state) as temporary:
            np.savez(temporary, allow_pickle=False, **variables, **record)

    def load_state(self, shapes: Mapping[str, tuple[int, ...]]) -> State | None:
        """What :meth:`save_state` kept, or None when the run ended before its first epoch did.

        `shapes` are those of the variables, by name. Raises UserError for a damaged file, and for variables of other
        names or shapes, or that are no finite numbers.
        """
        if not self.has_state():
            return None
        with self._open_state() as archive:
            found = {name.removesuffix(".npy") for name in archive.zip.namelist()} - {"history", "model"}
            if found != set(shapes):
                raise ValueError(f"it has {len(found)} variables, the network of parameters.json has {len(shapes)}")
            variables = {}
            for name, shape in shapes.items():
                # Asked before it is read: what is too large takes no memory.
                if archive.zip.getinfo(f"{name}.npy").file_size > 16 * math.prod(shape) + 20_000:
                    raise ValueError(f"{name} is too large")
                array = archive[name]
                if array.shape != shape or array.dtype.kind not in "fiub":
                    raise ValueError(f"{name} is {array.dtype} {array.shape}, and not of the shape {shape}")
                if array.dtype.kind == "f" and not np.isfinite(array).all():
                    raise ValueError(f"{name} holds NaN or infinity")
                variables[name] = array
            needed = (*SCORES, "loss", "validation_loss", "learning_rate")
            return State(variables, checked_history(str(archive["history"]), needed), _model(archive))

    def progress(self) -> tuple[History, str]:
        """The epochs of the state and the digest of their model, without the weights of the state.

        Raises FileNotFoundError where there is none, UserError where it is damaged.
        """
        with self._open_state() as archive:
            return checked_history(str(archive["history"])), _model(archive)

    @contextlib.contextmanager
    def _open_state(self) -> Iterator[Any]:
        try:
            with bounded.open_regular(self.state) as file, np.load(file, allow_pickle=False) as archive:
                for entry in archive.zip.infolist():
                    # What np.savez writes is not compressed; what is could become of any size.
                    if entry.compress_type != zipfile.ZIP_STORED:
                        raise ValueError("its arrays are compressed")
                    if entry.filename in ("history.npy", "model.npy") and entry.file_size > LARGEST_HISTORY:
                        raise ValueError("its history is too large")
                yield archive
        except (FileNotFoundError, PermissionError):
            raise
        except Exception as error:  # NumPy and zipfile raise whatever a damaged file makes them stumble over.
            reason = str(error).partition("\n")[0] or type(error).__name__
            if "pickle" in reason:
                # NumPy goes on with how to load it all the same.
                reason = "it holds pickled objects, which are not loaded"
            raise UserError(f"{self.state} is damaged ({reason}): start another run --from {self.path}") from error


def digest(path: Path) -> str:
    """SHA-256 of a file, hexadecimal; "" where there is none, or one that is too large for a model file."""
    try:
        with naming(path), bounded.open_regular(path) as file:
            # A file may claim to be larger than any disk.
            if os.fstat(file.fileno()).st_size > model_file.LARGEST_FILE:
                return ""
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return ""


def _model(archive: Any) -> str:
    return str(archive["model"]) if "model" in archive else ""


def checked_history(text: str, needed: Iterable[str] = SCORES) -> History:
    """The epochs that JSON `text` lists. Raises ValueError unless every one has finite numbers and what is `needed`."""
    history = bounded.json_value(text)
    if not isinstance(history, list) or not history:
        raise ValueError("it has no history")
    for epoch, row in enumerate(history, start=1):
        if not isinstance(row, dict):
            raise ValueError(f"epoch {epoch} of its history is no object")
        for name, value in row.items():
            if type(value) not in (int, float) or not abs(value) < 1e300:
                raise ValueError(f"{name} of epoch {epoch} is no number")
        if missing := [name for name in needed if name not in row]:
            raise ValueError(f"{missing[0]} of epoch {epoch} is missing")
        if row["epoch"] != epoch or not 0 <= row["exact_match"] <= 1 or row["character_error_rate"] < 0:
            raise ValueError(f"epoch {epoch} of its history is not valid")
    return history


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
        parameters = bounded.read_json(run / "parameters.json")
        split = bounded.read_json(run / "split.json", LARGEST_SPLIT)
    except OSError:
        # Shipped weights, or a model file that was taken out of its run.
        return set()
    except ValueError as error:
        warn(f"{run} does not say which pictures it was trained on ({error}): make sure that these are others")
        return set()
    try:
        data = Path(parameters["data"])
        folder = data if data.is_dir() else data.parent
        return {os.path.realpath(folder / name) for name in split["training"]}
    except (ValueError, KeyError, TypeError, OSError):
        warn(f"{run} does not say which pictures it was trained on: make sure that these are others")
        return set()


#: Parameters that may change when a run is resumed, because the weights do not depend on them.
FREE = ("workers", "devices")


def start_or_resume(parameters: TrainingParameters) -> tuple[Path, TrainingParameters]:
    """The run folder, and the parameters: those given or, with --resume, those that the run began with.

    Raises UserError when there is no run to resume, or parameters differ from those it began with.
    """
    if not parameters.resume:
        return Path(parameters.run or f"{parameter.RUNS_FOLDER}/{time.strftime('%Y-%m-%d-%H%M%S')}"), parameters
    begun = (file for file in Path(parameter.RUNS_FOLDER).glob("*/parameters.json") if file.is_file())
    runs = sorted(begun, key=lambda file: file.stat().st_mtime)
    if not parameters.run and not runs:
        raise UserError(f"{parameter.RUNS_FOLDER}/ holds no run to resume: name its folder with --run")
    path = Path(parameters.run) if parameters.run else runs[-1].parent
    file = path / "parameters.json"
    if not file.is_file():
        raise UserError(f"{path} holds no run to resume (no {file.name}): name the folder of a run with --run")
    kept = TrainingParameters.from_json(file)
    for name in sorted(parameters.model_fields_set - {"run", "resume", *FREE}):
        value = getattr(parameters, name)
        if value != getattr(kept, name):
            raise UserError(
                f"--{name.rstrip('_').replace('_', '-')} {value} is not what the run in {path} began with "
                f"({getattr(kept, name)}): leave it out to resume, or start another run --from {path}"
            )
    free = {name: getattr(parameters, name) for name in FREE if name in parameters.model_fields_set}
    return path, kept.model_copy(update={"resume": True} | free)
