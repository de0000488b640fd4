"""The run folder: everything that a training writes, and reads again to continue.

parameters.json   the flags of the run, with network, start, batch size, learning rate and precision filled in
plan.json         the plan: every value that was decided
split.json        the training pictures and the validation pictures
model.keras       the best weights so far
history.csv       one row per epoch
curves.png        plots of the history
tensorboard/      the history for TensorBoard
log.txt           the messages of the training
state.npz         weights, optimiser and history after the last whole epoch, for --resume
training.lock     locked while the training runs; the lock ends with the process, even if it is killed
readings.csv      the readings that are trained on, with --unlabelled
cache/            the decoded pictures, only if `.cache` in the working folder cannot be written
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import logging
import math
import os
import shlex
import tempfile
import time
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import parameter
from cli import interrupts
from cli.files import atomic, file_name_in_errors
from crnn_reader import bounded
from crnn_reader.errors import UserError
from crnn_reader.formats import Format, parse_formats
from model import model_file, processes
from model.processes import ALONE, Rank
from model.training.lock import Lock
from model.training.tensorboard_files import TensorBoardFiles
from parameter import TrainingParameters

if TYPE_CHECKING:
    from model.training.picture_source import BatchSource
    from model.training.plan import TrainingPlan

logger = logging.getLogger(__name__)

History = list[dict[str, float]]

LOCK, READINGS = "training.lock", "readings.csv"
#: Files that a training may write before it begins: its lock, decoded pictures, and readings of unlabelled ones.
WRITTEN_BEFORE_TRAINING = (LOCK, "cache", READINGS)
FILES = (
    *("parameters.json", "plan.json", "split.json", "model.keras", "history.csv", "curves.png", "log.txt"),
    *("state.npz", LOCK, READINGS),
)

#: Maximum number of bytes of a split.json: the names of some millions of pictures.
MAX_SPLIT_BYTES = 512 * 1024**2
#: Maximum number of bytes of the history in a state.npz, four for each character: some hundred thousand epochs.
MAX_HISTORY_BYTES = 256 * 1024**2
#: Columns that every history has.
SCORES = ("epoch", "exact_match", "character_error_rate")


class State(NamedTuple):
    """The contents of `state.npz`."""

    variables: dict[str, NDArray[Any]]
    history: History  #: one row per epoch, at least one
    model: str  #: SHA-256 of `model.keras` at that time; "" if an older version of the kit wrote the state


class RunFolder:
    """The files of one run. Each one is replaced whole."""

    def __init__(self, path: Path, name: str | None = None, rank: Rank = ALONE) -> None:
        """`name` is the path for messages: if several processes train together, that of the first one's folder."""
        self.path, self.name, self._rank = path, name or str(path), rank
        self.model, self.state, self.tensorboard = path / "model.keras", path / "state.npz", path / "tensorboard"
        self.cache, self.readings = path / "cache", path / READINGS
        self._board, self._lock = TensorBoardFiles(self.tensorboard), Lock(path / LOCK)

    def how_to_resume(self, epochs: int = 0) -> str:
        """How to continue the run, after a number of `epochs`, as the end of a sentence."""
        run = shlex.quote(self.name)
        if self._rank.processes > 1:
            return f"start all processes again, the first one with: python training.py --resume --run {run} --join …"
        return f"continue {f'after epoch {epochs} ' if epochs else ''}with: python training.py --resume --run {run}"

    def refuse_other_files(self) -> None:
        """Raise UserError if the folder of a new run has other files in it."""
        if self.path.exists() and not self.path.is_dir():
            raise UserError(f"{self.path} is a file: choose a folder", "run")
        if self.path.is_dir() and not self.is_free():
            raise UserError(f"{self.path} is not empty: resume its training, or choose another folder", "run")

    def is_free(self) -> bool:
        """Whether the folder exists and has only hidden files and files that a training writes before it begins."""
        # Hidden files are being written, or were when their process was killed.
        return self.path.is_dir() and all(
            file.name in WRITTEN_BEFORE_TRAINING or file.name[0] == "." for file in self.path.iterdir()
        )

    def refuse_irregular_files(self) -> None:
        """Raise UserError if a file of the run is a pipe, a device or a folder."""
        for name in FILES:
            if what := bounded.irregular(self.path / name):
                raise UserError(f"{self.path / name} is {what}, not the file that a run has there: remove it")

    def has_begun(self) -> bool:
        """Whether this is the folder of a run."""
        return (self.path / "parameters.json").is_file()

    def write_text(self, name: str, text: str) -> None:
        """Replace the file `name` by `text`."""
        with atomic(self.path / name) as temporary:
            # A file name that is not valid UTF-8 has surrogates, which become escapes of JSON.
            temporary.write_text(text, encoding="utf-8", errors="backslashreplace")

    def begin(self, parameters: str, split: Mapping[str, Any], new: bool = False) -> None:
        """Lock the folder until :meth:`end`, and write the parameters and the `split`, which must be valid JSON.

        Raises UserError if the run began with other pictures, if another training runs in the folder, and if a `new`
        run finds one that began in the meantime.
        """
        self.refuse_irregular_files()
        path = self.path / "split.json"
        text = json.dumps(split, indent=0, ensure_ascii=False)
        if path.is_file():
            earlier = self._split(path)
            # Older versions of the kit wrote fewer fields.
            if any(earlier.get(name, value) != value for name, value in json.loads(text).items()):
                raise UserError(
                    f"the pictures, labels or alphabet are not those that {self.path} began with: "
                    f"start another run from its weights",
                    "from",
                    str(self.path),
                )
        self.path.mkdir(parents=True, exist_ok=True)
        if not self._lock.take():
            raise UserError(
                f"another training is running in {self.path}: wait for its end, or choose another folder", "run"
            )
        if new and self.has_begun():
            self.end()
            raise UserError(f"another training has begun in {self.path}: choose another folder", "run")
        self.write_text("parameters.json", parameters)
        self.write_text(path.name, text)
        interrupts.continue_by(self.how_to_resume())

    def begin_training(self, plan: TrainingPlan, training: BatchSource, validation: BatchSource, new: bool) -> None:
        """:meth:`begin` with the flags of a plan and its pictures, and write the plan.

        Raises UserError if several processes train together and have different pictures.
        """
        contents = {"contents": [training.contents, validation.contents], "alphabet": plan.config.alphabet}
        if not processes.all_agree(contents, self._rank):
            raise UserError(
                f"the pictures of {plan.flags.data}, or those to validate with, are not the same for all processes: "
                "copy them again"
            )
        with processes.all_or_none(self._rank):
            split = {"training": training.labelled, "validation": validation.labelled}
            self.begin(plan.flags.to_json(), split | contents, new)
            self.write_text("plan.json", plan.to_json())

    def formats(self) -> list[Format] | None:
        """The formats of plates in the plan of this run; None if it has no plan. Raises UserError if it is damaged."""
        path = self.path / "plan.json"
        try:
            return parse_formats(bounded.read_json(path)["config"].get("formats", []))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(
                f"{path} is damaged ({error}): use another copy of it, or start another run from {self.path}"
            ) from error

    def _split(self, path: Path) -> dict[str, Any]:
        try:
            earlier = bounded.read_json(path, MAX_SPLIT_BYTES)
            if isinstance(earlier, dict):
                return earlier
            reason = "it is not an object"
        except ValueError as error:
            reason = str(error)
        raise UserError(
            f"{path} is damaged ({reason}): use another copy, or start another run from the weights of this one",
            "from",
            str(self.path),
        )

    def end(self) -> None:
        """Unlock the folder."""
        self._lock.release()

    def is_training(self) -> bool:
        """Whether a training of any process runs in this folder."""
        return self._lock.is_taken()

    def is_held(self) -> bool:
        """Whether this is still the folder that :meth:`begin` locked, and not removed or replaced."""
        return self._lock.is_held()

    def refuse_removed(self) -> None:
        """Raise UserError unless :meth:`is_held`."""
        if not self.is_held():
            raise UserError(
                f"{self.name} was removed, moved or replaced while training, and nothing more is written there: "
                "resume it in its new place, if it has one",
                "resume",
                run="FOLDER",
            )

    def has_state(self) -> bool:
        """Whether an epoch was written that the run can continue after."""
        return self.state.is_file()

    def log(self, message: str, level: int = logging.INFO) -> None:
        """Log `message` and append it to log.txt."""
        logger.log(level, message)
        path = self.path / "log.txt"
        with file_name_in_errors(path), path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {message}\n")

    def write_history(self, history: History) -> None:
        """Replace history.csv."""
        with atomic(self.path / "history.csv") as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            # A run of an older version of the kit has some columns only since it was resumed.
            writer = csv.DictWriter(file, list(history[-1]), extrasaction="ignore")
            writer.writeheader()
            writer.writerows({name: f"{value:.6g}" for name, value in row.items()} for row in history)

    def write_tensorboard(self, step: int, scalars: dict[str, float], readings: NDArray[np.uint8]) -> None:
        """Add the scalars of an epoch, and an RGB picture of some readings, at `step`."""
        self._board.write(step, scalars, {"readings": readings})

    def save_state(self, variables: dict[str, NDArray[Any]], history: History) -> None:
        """Write everything that the next epoch depends on. The model file of the `history` must exist already."""
        record = {"history": np.array(json.dumps(history)), "model": np.array(digest(self.model))}
        with atomic(self.state) as temporary:
            np.savez(temporary, allow_pickle=False, **variables, **record)
        interrupts.continue_by(self.how_to_resume(len(history)))

    def load_state(self, shapes: Mapping[str, tuple[int, ...]]) -> State | None:
        """Read what :meth:`save_state` wrote; None if the run ended before its first epoch did.

        `shapes` has the shape of each variable by name. Raises UserError for a damaged file, and for variables with
        other names or shapes, NaN or infinity.
        """
        if not self.has_state():
            return None
        with self._open_state() as archive:
            found = {name.removesuffix(".npy") for name in archive.zip.namelist()} - {"history", "model"}
            if found != set(shapes):
                raise ValueError(f"it has {len(found)} variables, the network of parameters.json has {len(shapes)}")
            variables = {}
            for name, shape in shapes.items():
                # Checked before the array is read and takes memory.
                if archive.zip.getinfo(f"{name}.npy").file_size > 16 * math.prod(shape) + 20_000:
                    raise ValueError(f"{name} is too large")
                array = archive[name]
                if array.shape != shape or array.dtype.kind not in "fiub":
                    raise ValueError(f"{name} is {array.dtype} {array.shape}, not of the shape {shape}")
                if array.dtype.kind == "f" and not np.isfinite(array).all():
                    raise ValueError(f"{name} holds NaN or infinity")
                variables[name] = array
            needed = (*SCORES, "loss", "validation_loss", "learning_rate")
            return State(variables, checked_history(str(archive["history"]), needed), _model(archive))

    def progress(self) -> tuple[History, str]:
        """The history in the state and the digest of its model file, without the weights.

        Raises FileNotFoundError if there is no state, and UserError if it is damaged.
        """
        with self._open_state() as archive:
            return checked_history(str(archive["history"])), _model(archive)

    @contextlib.contextmanager
    def _open_state(self) -> Iterator[Any]:
        try:
            with bounded.open_regular(self.state) as file, np.load(file, allow_pickle=False) as archive:
                for entry in archive.zip.infolist():
                    # np.savez does not compress, and a compressed entry could expand to any size.
                    if entry.compress_type != zipfile.ZIP_STORED:
                        raise ValueError("its arrays are compressed")
                    if entry.filename in ("history.npy", "model.npy") and entry.file_size > MAX_HISTORY_BYTES:
                        raise ValueError("its history is too large")
                yield archive
        except (FileNotFoundError, PermissionError):
            raise
        except Exception as error:  # NumPy and zipfile raise many exceptions for damaged files.
            reason = str(error).partition("\n")[0] or type(error).__name__
            if "pickle" in reason:
                # NumPy's message continues with how to load them anyway.
                reason = "it holds pickled objects, which are not loaded"
            raise UserError(
                f"{self.state} is damaged ({reason}): start another run from the weights of this one",
                "from",
                str(self.path),
            ) from error


def digest(path: Path) -> str:
    """SHA-256 of a file, hexadecimal; "" if there is no file, or if it is too large for a model file."""
    try:
        with file_name_in_errors(path), bounded.open_regular(path) as file:
            # A sparse file may be larger than any disk.
            if os.fstat(file.fileno()).st_size > model_file.MAX_FILE_BYTES:
                return ""
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return ""


def _model(archive: Any) -> str:
    return str(archive["model"]) if "model" in archive else ""


def checked_history(text: str, needed: Iterable[str] = SCORES) -> History:
    """Parse a history from JSON. Raises ValueError unless every epoch has finite numbers, among them all `needed`."""
    history = bounded.json_value(text)
    if not isinstance(history, list) or not history:
        raise ValueError("it has no history")
    for epoch, row in enumerate(history, start=1):
        if not isinstance(row, dict):
            raise ValueError(f"epoch {epoch} of its history is not an object")
        for name, value in row.items():
            if type(value) not in (int, float) or not abs(value) < 1e300:
                raise ValueError(f"{name} of epoch {epoch} is not a number")
        if missing := [name for name in needed if name not in row]:
            raise ValueError(f"{missing[0]} of epoch {epoch} is missing")
        if row["epoch"] != epoch or not 0 <= row["exact_match"] <= 1 or row["character_error_rate"] < 0:
            raise ValueError(f"epoch {epoch} of its history is not valid")
    return history


def best(history: History) -> dict[str, float]:
    """The row of the best epoch: by exact match, then by character error rate, then the later one.

    The loss does not count: it grows with the confidence in wrong texts while more texts become right. With a
    curriculum, only epochs with the greatest difficulty count.
    """

    def rank(row: dict[str, float]) -> tuple[float, ...]:
        return row.get("difficulty", 0.0), row["exact_match"], -row["character_error_rate"], row["epoch"]

    return max(history, key=rank)


def trained_on(model: str) -> set[str]:
    """The real paths of the pictures that a run, given its folder or model file, was trained on; none if unknown."""
    run = Path(model) if Path(model).is_dir() else Path(model).parent
    try:
        parameters = bounded.read_json(run / "parameters.json")
        split = bounded.read_json(run / "split.json", MAX_SPLIT_BYTES)
    except OSError:
        # Shipped weights, or a model file outside of its run.
        return set()
    except ValueError as error:
        logger.warning(
            f"{run} does not say which pictures it was trained on ({error}): make sure that these are others"
        )
        return set()
    try:
        data = Path(parameters["data"])
        folder = data if data.is_dir() else data.parent
        # The names of negatives, which have no label, are relative to the working folder.
        return {os.path.realpath(folder / name if label else name) for name, label in split["training"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, OSError):
        logger.warning(f"{run} does not say which pictures it was trained on: make sure that these are others")
        return set()


#: Parameters that may change when a run is resumed: the weights do not depend on them.
CHANGEABLE_ON_RESUME = ("workers", "devices")


def start_or_resume(parameters: TrainingParameters) -> tuple[Path, TrainingParameters]:
    """The path of the run folder, and the parameters: as given or, with --resume, as the run began with.

    Raises UserError if there is no run to resume, or if parameters differ from those that it began with.
    """
    if not parameters.resume:
        return Path(parameters.run or f"{parameter.RUNS_FOLDER}/{time.strftime('%Y-%m-%d-%H%M%S')}"), parameters
    begun = (file for file in Path(parameter.RUNS_FOLDER).glob("*/parameters.json") if file.is_file())
    runs = sorted(begun, key=lambda file: file.stat().st_mtime)
    if not parameters.run and not runs:
        raise UserError(f"{parameter.RUNS_FOLDER}/ holds no run to resume: name the folder of a run", "run")
    path = Path(parameters.run) if parameters.run else runs[-1].parent
    file = path / "parameters.json"
    if not file.is_file():
        raise UserError(f"{path} holds no run to resume (no {file.name}): name the folder of a run", "run")
    kept = TrainingParameters.from_json(file)
    for name in sorted(parameters.model_fields_set - {"run", "resume", *CHANGEABLE_ON_RESUME}):
        value = getattr(parameters, name)
        if value != getattr(kept, name):
            raise UserError(
                f"{value} is not what the run in {path} began with ({getattr(kept, name)}): leave it out to resume, or "
                f"start another run from {path}",
                name.rstrip("_"),
            )
    free = {name: getattr(parameters, name) for name in CHANGEABLE_ON_RESUME if name in parameters.model_fields_set}
    return path, kept.model_copy(update={"resume": True} | free)


@contextlib.contextmanager
def open_run(parameters: TrainingParameters, rank: Rank) -> Iterator[tuple[RunFolder, TrainingParameters]]:
    """Yield the run folder and the parameters as in :func:`start_or_resume`. The first process decides for all.

    It writes the run folder and prints messages. The other processes write to temporary folders, and print only the
    error that ends them.
    """
    path = Path()
    with processes.all_or_none(rank):
        if not rank.process:
            path, parameters = start_or_resume(parameters)
    if parameters.resume:
        interrupts.continue_by(RunFolder(path, rank=rank).how_to_resume())
    name, values = processes.broadcast([str(path), parameters.model_dump(exclude_unset=True)], rank)
    if not rank.process:
        yield RunFolder(path, rank=rank), parameters
        return
    with tempfile.TemporaryDirectory() as own, open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
        yield RunFolder(Path(own) / "run", name, rank), TrainingParameters.from_values(values)
