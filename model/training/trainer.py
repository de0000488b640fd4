"""The training itself: epoch by epoch, validated, resumable.

AdamW (Loshchilov and Hutter 2019), a learning rate by `schedule.py`, gradients clipped to a global norm,
the best weights chosen by exact match on the validation pictures.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Sequence, Sized
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein

from cli.messages import warn
from cli.progress import progress
from crnn_reader.alphabet import Alphabet
from crnn_reader.config import ModelConfig
from crnn_reader.decoding import decoder_of
from crnn_reader.decoding.calibration import temperature
from crnn_reader.errors import UserError
from model import devices, model_file, processes
from model.backend import import_keras, jit_compile
from model.comparison import compared
from model.heads import HEADS
from model.processes import ALONE, Place
from model.runtimes import of_keras
from model.scores import letter_accuracy, wilson
from model.training.adaptation import Adaptation
from model.training.curves import draw_curves
from model.training.run_folder import History, RunFolder, best, digest
from model.training.schedule import Schedule
from model.training.steps import steps_of

Images: TypeAlias = NDArray[np.uint8]
Labels: TypeAlias = NDArray[np.int32]
#: Images, or for a network of any width the pair (images, widths): what a network reads.
Inputs: TypeAlias = Any
Sheet: TypeAlias = Callable[[Sequence[Images], Sequence[str]], Images]

#: A network that still reads nothing after so many steps and epochs will hardly begin to.
SILENT_STEPS, SILENT_EPOCHS = 1000, 5
READINGS_SHOWN = 12
#: At most this part of the time goes into writing the files of the run, unless they would be older than these seconds.
WRITING, PAUSE = 0.05, 60.0


class BatchSource(Protocol):
    """Batches of images, uint8 (batch, height, width, channels), and labels, int32 (batch, longest), padded with 0.

    For a network of any width in place of images the pair (images, widths), widths int32 (batch,).
    """

    @property
    def rows(self) -> Sized:
        """The pictures, each of which an epoch sees once."""

    @property
    def labelled(self) -> dict[str, str]:
        """Names and labels of the pictures that have names."""

    @property
    def contents(self) -> str:
        """Another one when a picture is another; "" of pictures that are drawn."""

    @property
    def parts(self) -> int:
        """Number of processes that share each batch: `stream` yields the part of this process."""

    def __len__(self) -> int:
        """Batches in an epoch."""

    def stream(self, epoch: int) -> Iterator[tuple[Inputs, Labels]]:
        """Yield the batches of an epoch. They depend only on the epoch.

        The arrays of a batch must not change later: training may still read them while it asks for the next batch.
        """


@dataclass(frozen=True)
class Settings:
    """How to train; see `parameter.TrainingParameters`, whose defaults `defaults.py` completes."""

    schedule: Schedule
    weight_decay: float
    clip_norm: float
    ema: float
    patience: int | None
    adaptation: Adaptation | None = None
    batch_size: int = 0
    precision: str = "float32"
    devices: int = 1
    place: Place = ALONE


def train(
    network: Any,
    config: ModelConfig,
    training: BatchSource,
    validation: BatchSource,
    settings: Settings,
    folder: RunFolder,
    sheet: Sheet,
) -> History:
    """Train `network` and leave the best weights in `folder`; goes on where the folder's state ends.

    `sheet` draws pictures with captions, for TensorBoard. Returns one row per epoch. Raises UserError when a loss is no
    longer a number, when memory runs out, and when the folder was removed while training.
    """
    schedule = settings.schedule
    run = _Run(network, config, settings)
    history = run.begin_together(run.restore(folder), settings.place)
    if history:
        # The kill may have come between the state and the table.
        folder.write_history(history)
    files = _Files(run, network, config, folder, history)
    told_of_silence = False
    done_before = len(history)
    try:
        with progress("training", None) as advance:
            while True:
                epoch = len(history)
                losses = [row["validation_loss"] for row in history]
                last = schedule.last_epoch(losses)
                if is_finished(history, settings):
                    if epoch < last:
                        folder.log(f"stopped early: no better validation for {settings.patience} epochs")
                    break
                advance(0, (last - done_before) * len(training.rows))
                run.head.schedule(network, epoch / schedule.epochs)
                adapted = {}
                if settings.adaptation:
                    adapted = {settings.adaptation.name: settings.adaptation.following(history)}
                    settings.adaptation.apply(adapted[settings.adaptation.name])
                rates = [schedule.rate(epoch + step / len(training), losses) for step in range(1, len(training) + 1)]
                started = time.monotonic()
                loss, pictures = run.train_epoch(
                    training.stream(epoch), rates, len(training.rows), advance, training.parts
                )
                if not math.isfinite(loss):
                    raise UserError(_diverged(f"the loss became {loss}", settings, history, files))
                row = {"epoch": epoch + 1, "loss": loss, "learning_rate": rates[-1], **adapted}
                speed = {"pictures_per_second": pictures / max(time.monotonic() - started, 1e-3)}
                with run.averaged_weights():
                    scores, readings = run.validate(validation.stream(0), sheet)
                    if not math.isfinite(scores["validation_loss"]):
                        what = f"the loss of the validation pictures became {scores['validation_loss']}"
                        raise UserError(_diverged(what, settings, history, files))
                    folder.refuse_removed()
                    # Rounding differs between processors.
                    history.append(processes.agreed(row | scores | speed, settings.place))
                    files.add(history, readings)
                if files.are_due() or is_finished(history, settings):
                    files.write(history)
                folder.log(_line(history[-1], last))
                late = epoch + 1 >= SILENT_EPOCHS and run.steps() >= SILENT_STEPS
                if late and scores["empty_readings"] == 1 and not told_of_silence:
                    folder.log(_diagnosis(run.steps(), loss))
                    told_of_silence = True
        folder.log(_result(best(history), len(validation.rows)))
        if not best(history)["exact_match"] and not told_of_silence:
            found = (
                "all readings are still empty" if history[-1]["empty_readings"] == 1 else "no text is read right yet"
            )
            folder.log(
                f"{found} after {run.steps():,} steps: give more --epochs or pictures, or start from weights that can "
                "read (--from)"
            )
        if settings.adaptation and (remark := settings.adaptation.remark(history)):
            folder.log(remark)
    except Exception as error:  # Each backend has an exception of its own for it.
        if devices.ran_out_of_memory(error):
            raise TooLarge(_too_large(settings, history, files), settings.batch_size, len(history)) from error
        if settings.place.processes > 1 and processes.is_lost(error):
            where = "" if settings.place.process else f" --run {folder.path}"
            raise processes.Lost(
                f"another process no longer answers in epoch {len(history) + 1}: its own output has the reason; start "
                f"all again, the first one with --resume{where}"
            ) from error
        raise
    finally:
        try:
            # An interrupted training is looked at, too.
            if history and folder.is_held():
                draw_curves(history, best(history), folder.path / "curves.png")
        except OSError as error:
            warn(f"{folder.path / 'curves.png'} could not be drawn ({error.strerror or error})")
        finally:
            folder.end()
    return history


class TooLarge(UserError):
    """Memory runs out with batches of `batch_size` pictures, after a number of whole `epochs`."""

    def __init__(self, message: str, batch_size: int, epochs: int) -> None:
        super().__init__(message)
        self.batch_size, self.epochs = batch_size, epochs


class _Files:
    """The files of the run folder that change with the epochs.

    Short epochs do not wait for them: writing takes at most :data:`WRITING` of the time. A training that is interrupted
    continues after the last epoch that was written.
    """

    def __init__(self, run: _Run, network: Any, config: ModelConfig, folder: RunFolder, history: History) -> None:
        """`history` are the epochs that the files have."""
        self._run, self._network, self._config, self._folder = run, network, config, folder
        self._rows: list[tuple[dict[str, float], Images]] = []
        self._best: tuple[list[NDArray[Any]], ModelConfig] | None = None
        self._saved: Any = None
        self._written = len(history)
        self._due = 0.0

    def add(self, history: History, readings: Images) -> None:
        """Keep what the last epoch of `history` leaves. The network has the weights that it was validated with."""
        self._rows.append((history[-1], readings))
        if best(history) is history[-1]:
            config = replace(self._config, temperature=history[-1]["temperature"])
            self._best = self._network.get_weights(), config

    def are_due(self) -> bool:
        return time.monotonic() >= self._due

    def write(self, history: History) -> None:
        """Write the files of the epochs of `history`."""
        if self._saved is None:
            self._saved = model_file.float32_network(self._config)
        started = time.monotonic()
        if self._best:
            model_file.save_weights(self._best[0], self._saved, self._best[1], self._folder.model)
            self._best = None
        self._folder.save_state(self._run.variables(), history)
        self._folder.write_history(history)
        for row, readings in self._rows:
            self._folder.write_tensorboard(int(row["epoch"]), row, readings)
        self._rows.clear()
        self._written = len(history)
        now = time.monotonic()
        self._due = now + min((now - started) * (1 / WRITING - 1), PAUSE)

    def kept(self, history: History) -> str:
        """Where the best weights are, as the end of a sentence; "" where there are none."""
        if not self._written:
            return ""
        epoch = best(history[: self._written])["epoch"]
        return f" --from {self._folder.path}, which has the weights of epoch {epoch:.0f}"


class _Run:
    """A network with its optimiser and, when asked for, the average of its weights."""

    def __init__(self, network: Any, config: ModelConfig, settings: Settings) -> None:
        keras = import_keras()
        optimizer = keras.optimizers.AdamW(
            settings.schedule.peak, weight_decay=settings.weight_decay, global_clipnorm=settings.clip_norm
        )
        # Decay is for what multiplies features, not for what shifts and scales them.
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        self._network = network
        self.head = HEADS[config.head]
        losses = self.head.loss(config)
        self._alphabet = Alphabet(config.alphabet)
        network.compile(optimizer, losses, jit_compile=jit_compile())
        self._decoder = decoder_of(of_keras(self.head.parts(network, config)), config)
        # Not the same object where Keras scales the loss for float16.
        self.optimizer = network.optimizer
        self.optimizer.build(network.trainable_variables)
        self._average = (
            [keras.Variable(_array(v), trainable=False) for v in network.trainable_variables] if settings.ema else []
        )
        self._steps = steps_of(network, losses, self._average, settings.ema, settings.devices)

    def steps(self) -> int:
        """Steps taken since the beginning of the run."""
        return int(self.optimizer.iterations)

    def train_epoch(
        self,
        batches: Iterator[tuple[Inputs, Labels]],
        rates: Sequence[float],
        rows: int,
        advance: Callable[[int], None],
        parts: int = 1,
    ) -> tuple[float, int]:
        """Take a step per batch, each with its learning rate; returns the mean loss and the number of pictures.

        That is more than the `rows` of the feed where batches were filled up, but not to `advance`. Each of `batches`
        is the part of this process, one of `parts`.
        """
        pictures = 0

        def done(count: int) -> None:
            nonlocal pictures
            advance(min(count, max(0, rows - pictures)))
            pictures += count

        taught = (
            (self._inputs(inputs, labels), self.head.targets(labels), parts * len(labels), rate)
            for (inputs, labels), rate in zip(batches, rates, strict=True)
        )
        return self._steps.epoch(taught, done)

    @contextlib.contextmanager
    def averaged_weights(self) -> Iterator[None]:
        """A context in which the network has the average of its weights, where one is kept."""
        variables = self._network.trainable_variables if self._average else []
        raw = [_array(variable) for variable in variables]
        for variable, average in zip(variables, self._average, strict=True):
            variable.assign(_array(average))
        yield
        for variable, value in zip(variables, raw, strict=True):
            variable.assign(value)

    def _inputs(self, inputs: Inputs, labels: Labels) -> Any:
        """The inputs of the network in training: pictures, and the texts if its head needs them."""
        everything = [*(inputs if isinstance(inputs, tuple) else [inputs]), *self.head.decoder_inputs(labels)]
        return everything if len(everything) > 1 else inputs

    def validate(self, batches: Iterator[tuple[Inputs, Labels]], sheet: Sheet) -> tuple[dict[str, float], Images]:
        """Scores, among them the temperature of the probabilities, by name; and a picture of some readings."""
        loss = 0.0
        truths: list[str] = []
        texts: list[str] = []
        probabilities: list[float] = []
        shown: list[Images] = []
        for inputs, labels in batches:
            outputs = read = self._decoder.outputs(inputs)
            if self.head.decoder_inputs(labels):
                outputs = self._network.predict_on_batch(self._inputs(inputs, labels))
            loss += self._steps.compiled_loss(self.head.targets(labels), outputs) * len(labels)
            truths += [self._alphabet.decode(row[row > 0].tolist()) for row in labels]
            decoded = self._decoder.decode(read, decoder="greedy", beam_width=1, top=1)
            texts += [self._alphabet.decode(best[0].numbers) for best in decoded]
            probabilities += [best[0].probability for best in decoded]
            images = inputs[0] if isinstance(inputs, tuple) else inputs
            shown += list(images[: READINGS_SHOWN - len(shown)])
        count = len(truths)
        right = list(map(str.__eq__, texts, truths))
        captions = list(map(compared, truths, texts))
        read_rows = [row for row, text in enumerate(texts) if text]
        scores = {
            "validation_loss": loss / count,
            "exact_match": sum(right) / count,
            "character_error_rate": sum(map(Levenshtein.distance, texts, truths)) / sum(map(len, truths)),
            "letter_accuracy": letter_accuracy(truths, texts),
            "empty_readings": texts.count("") / count,
            "temperature": temperature([probabilities[row] for row in read_rows], [right[row] for row in read_rows]),
        }
        return scores, sheet(shown, captions[: len(shown)])

    def variables(self) -> dict[str, NDArray[Any]]:
        """Everything that the next step depends on, by name."""
        return {name: _array(variable) for name, variable in self._state().items()}

    def restore(self, folder: RunFolder) -> History:
        """Take up the state that `folder` holds, if any; returns the rows of the epochs done.

        Raises UserError when the state or the model file is missing, damaged, or of another network.
        """
        variables = self._state()
        state = folder.load_state({name: tuple(variable.shape) for name, variable in variables.items()})
        if state is None:
            return []
        if not folder.model.is_file():
            raise UserError(
                f"{folder.model}, the best weights of the run, is missing: restore it, or start another --run"
            )
        if digest(folder.model) != state.model:
            # It is that of the next epoch, whose state was not written any more, or it is damaged: then this raises.
            model_file.load(folder.model)
        for name, variable in variables.items():
            variable.assign(state.variables[name])
        return state.history

    def begin_together(self, history: History, place: Place) -> History:
        """Copy the state of the first process; returns its history."""
        for name, value in processes.agreed_arrays(self.variables(), place).items():
            self._state()[name].assign(value)
        found: History = processes.agreed(history, place)
        return found

    def _state(self) -> dict[str, Any]:
        groups = {"network": self._network.variables, "optimizer": self.optimizer.variables, "average": self._average}
        return {f"{group}/{i}": variable for group, members in groups.items() for i, variable in enumerate(members)}


def _array(variable: Any) -> NDArray[Any]:
    """A copy of a variable's value: JAX gives the memory of the value itself to the next step."""
    from keras import ops

    return np.array(ops.convert_to_numpy(variable))


def is_finished(history: History, settings: Settings) -> bool:
    """Whether a run with these epochs has no further one: it had all that it may have, or ran out of patience."""
    if len(history) >= settings.schedule.last_epoch([row["validation_loss"] for row in history]):
        return True
    return settings.patience is not None and _epochs_without_better(history) >= settings.patience


def _epochs_without_better(history: History) -> int:
    """Epochs since one was better than all before it; equal ones are not better."""
    ranks = [(row.get("difficulty", 0.0), row["exact_match"], -row["character_error_rate"]) for row in history]
    return len(ranks) - 1 - ranks.index(max(ranks)) if ranks else 0


def _line(row: dict[str, float], epochs: int) -> str:
    difficulty = f"difficulty {row['difficulty']:.2g}  " if "difficulty" in row else ""
    return (
        f"epoch {row['epoch']:.0f}/{epochs}  {difficulty}loss {row['loss']:.4f}  "
        f"validation: loss {row['validation_loss']:.4f}, exact match {row['exact_match']:.2%}, "
        f"CER {row['character_error_rate']:.2%}  lr {row['learning_rate']:.2g}  "
        f"{row['pictures_per_second']:,.0f} pictures/s"
    )


def _result(kept: dict[str, float], count: int) -> str:
    """What the training came to: the exact match of the epoch that was `kept`, of `count` validation pictures."""
    low, high = wilson(round(kept["exact_match"] * count), count)
    return (
        f"the model file is epoch {kept['epoch']:.0f}: exact match {kept['exact_match']:.2%} of {count:,} validation "
        f"picture{'s' * (count != 1)} (95 % interval {low:.2%} to {high:.2%}), which chose this epoch: other "
        "pictures may be read less well"
    )


def _diverged(what: str, settings: Settings, history: History, files: _Files) -> str:
    exact = "" if settings.precision == "float32" else " or with --precision float32"
    return (
        f"{what} in epoch {len(history) + 1}: start another run with a lower --learning-rate than "
        f"{settings.schedule.peak:g}{exact}{files.kept(history)}"
    )


def _too_large(settings: Settings, history: History, files: _Files) -> str:
    return (
        f"too little memory for batches of {settings.batch_size:,} pictures in epoch {len(history) + 1}: start another "
        f"run with --batch-size {max(1, settings.batch_size // 2)}{files.kept(history)}"
    )


def _diagnosis(steps: int, loss: float) -> str:
    return (
        f"after {steps:,} steps all readings are still empty (loss {loss:.2f}): check that the labels belong to their "
        "pictures and that the text is legible at this size (readings in tensorboard/), then try a wider --size, a "
        "third of the --learning-rate, --augmentation 0, or more pictures"
    )
