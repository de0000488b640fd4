"""The training: epoch by epoch, validated, resumable.

AdamW (Loshchilov and Hutter 2019, "Decoupled Weight Decay Regularization") with the learning rate of `schedule.py` and
gradients clipped to a global norm. The best weights are those with the highest exact match on the validation pictures.
"""

from __future__ import annotations

import contextlib
import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein

from cli import interrupts
from cli.flags import with_flags
from cli.messages import DISK_FULL
from cli.progress import progress
from crnn_reader.alphabet import Alphabet
from crnn_reader.config import ModelConfig
from crnn_reader.decoding import decoder_of
from crnn_reader.decoding.calibration import temperature
from crnn_reader.errors import UserError
from model import devices, model_file, processes
from model.backend import import_keras, jit_compile
from model.comparison import caption
from model.heads import HEADS
from model.processes import Rank
from model.runtimes import of_keras
from model.scores import letter_accuracy, wilson
from model.training.curves import draw_curves
from model.training.memory import BatchTooLarge
from model.training.picture_source import BatchSource, Images, Inputs, Labels
from model.training.plan import TrainingPlan
from model.training.run_folder import History, RunFolder, best, digest
from model.training.steps import steps_of
from model.training.transfer import transfer
from parameter import RANDOM

logger = logging.getLogger(__name__)

Sheet: TypeAlias = Callable[[Sequence[Images], Sequence[str]], Images]

#: After this number of steps and epochs, a network whose readings are all still empty will hardly learn to read.
SILENT_STEPS, SILENT_EPOCHS = 1000, 5
#: With fewer validation pictures, the choice of the best epoch is almost random.
FEW_TO_VALIDATE = 10
#: Number of validation pictures whose readings are drawn for TensorBoard.
READINGS_SHOWN = 12
#: Share of the time that may go into writing the files of the run, and the maximum age of these files in seconds.
MAX_WRITING_SHARE, MAX_FILE_AGE = 0.05, 60.0


def load_start(network: Any, plan: TrainingPlan, folder: RunFolder) -> str:
    """Give an untrained network the weights that the plan starts from. Returns where the training starts, in words.

    If `folder` has a state, the weights are left as they are: :func:`train` reads them from there.
    """
    if folder.has_state():
        history, _ = folder.progress()
        return "finished earlier" if is_finished(history, plan) else f"continuing after epoch {len(history)}"
    if plan.start == RANDOM:
        return "starting from random weights"
    return transfer(plan.start, network, plan.config)


def train(
    network: Any, plan: TrainingPlan, training: BatchSource, validation: BatchSource, folder: RunFolder, sheet: Sheet
) -> History:
    """Train `network` and leave the best weights in `folder`. If the folder has a state, continue after it.

    `sheet` draws images with captions, for TensorBoard. Returns one row per epoch. Raises UserError if a loss is not
    finite, if the disk is full and if the folder was removed while training, BatchTooLarge if memory runs out, and
    processes.ProcessLost if another process ends.
    """
    schedule = plan.schedule
    trainer = Trainer(network, plan)
    history = trainer.begin_together(trainer.restore(folder), plan.rank)
    if history:
        # The process may have been killed after it wrote the state and before it wrote the table.
        folder.write_history(history)
        interrupts.continue_by(folder.how_to_resume(len(history)))
    if len(validation.rows) < FEW_TO_VALIDATE:
        sentence = f"only {len(validation.rows)} validation pictures: the choice of the best epoch is almost random"
        folder.log(with_flags(f"{sentence}, so give more", validation=""), logging.WARNING)
    if is_finished(history, plan):
        folder.log(
            with_flags(
                f"the training in {folder.path} finished after {len(history)} epoch{'s' * (len(history) > 1)}, and "
                "there is nothing left to do: to train longer, start another run from its weights",
                from_=str(folder.path),
            ),
            logging.WARNING,
        )
    files = _Files(trainer, plan, folder, history)
    silence_reported = False
    done_before = len(history)
    try:
        with progress("training", None) as advance:
            while not is_finished(history, plan):
                epoch = len(history)
                losses = [row["validation_loss"] for row in history]
                last = schedule.last_epoch(losses)
                advance(0, (last - done_before) * len(training.rows))
                trainer.head.schedule(network, epoch / schedule.epochs)
                adapted = {}
                if plan.adaptation:
                    adapted = {plan.adaptation.name: plan.adaptation.next_value(history)}
                    plan.adaptation.apply(adapted[plan.adaptation.name], training, validation)
                rates = [schedule.rate(epoch + step / len(training), losses) for step in range(1, len(training) + 1)]
                started = time.monotonic()
                loss, pictures = trainer.train_epoch(
                    training.stream(epoch), rates, len(training.rows), advance, training.processes
                )
                if not math.isfinite(loss):
                    raise _diverged(f"the loss became {loss}", plan, history, files)
                row = {"epoch": epoch + 1, "loss": loss, "learning_rate": rates[-1], **adapted}
                speed = {"pictures_per_second": pictures / max(time.monotonic() - started, 1e-3)}
                with trainer.averaged_weights():
                    scores, readings = trainer.validate(validation.stream(0), sheet)
                    if not math.isfinite(scores["validation_loss"]):
                        what = f"the loss of the validation pictures became {scores['validation_loss']}"
                        raise _diverged(what, plan, history, files)
                    folder.refuse_removed()
                    # Rounding differs between processors.
                    history.append(processes.broadcast(row | scores | speed, plan.rank))
                    files.add(history, readings)
                if files.are_due() or is_finished(history, plan):
                    files.write(history)
                folder.log(_line(history[-1], last))
                late = epoch + 1 >= SILENT_EPOCHS and trainer.steps() >= SILENT_STEPS
                if late and scores["empty_readings"] == 1 and not silence_reported:
                    folder.log(_diagnosis(trainer.steps(), loss), logging.WARNING)
                    silence_reported = True
        _report(history, plan, len(validation.rows), trainer.steps(), silence_reported, folder)
    except Exception as error:  # Each backend raises its own exceptions.
        if devices.ran_out_of_memory(error):
            raise _too_large(plan, history, files) from error
        if plan.rank.processes > 1 and processes.is_lost(error):
            raise processes.ProcessLost(
                f"another process no longer answers in epoch {len(history) + 1}: its own output has the reason; "
                f"{folder.how_to_resume()}"
            ) from error
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            raise UserError(
                f"no space left to write {error.filename or folder.path}: free some space, then "
                f"{folder.how_to_resume()}"
            ) from error
        raise
    finally:
        try:
            # An interrupted training has curves, too.
            if history and folder.is_held():
                draw_curves(history, best(history), folder.path / "curves.png")
        except OSError as error:
            logger.warning(f"{folder.path / 'curves.png'} could not be drawn ({error.strerror or error})")
        finally:
            folder.end()
    return history


class _Files:
    """The files of the run folder that change with the epochs.

    Writing takes at most :data:`MAX_WRITING_SHARE` of the time, so not every short epoch is written. A training that is
    interrupted continues after the last epoch that was written.
    """

    def __init__(self, trainer: Trainer, plan: TrainingPlan, folder: RunFolder, history: History) -> None:
        """`history` has the epochs that the files have."""
        self._trainer, self._network, self._config, self._folder = trainer, trainer.network, plan.config, folder
        self._rows: list[tuple[dict[str, float], Images]] = []
        self._best: tuple[list[NDArray[Any]], ModelConfig] | None = None
        self._saved: Any = None
        self._written = len(history)
        self._due = 0.0

    def add(self, history: History, readings: Images) -> None:
        """Keep the results of the last epoch of `history`. The network must have the weights that were validated."""
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
        self._folder.save_state(self._trainer.variables(), history)
        self._folder.write_history(history)
        for row, readings in self._rows:
            self._folder.write_tensorboard(int(row["epoch"]), row, readings)
        self._rows.clear()
        self._written = len(history)
        now = time.monotonic()
        self._due = now + min((now - started) * (1 / MAX_WRITING_SHARE - 1), MAX_FILE_AGE)

    def kept(self, history: History) -> tuple[str, dict[str, str]]:
        """Which weights another run may start from, as the end of a sentence, and its parameter for that.

        Both are empty if no weights were written.
        """
        if not self._written:
            return "", {}
        epoch = best(history[: self._written])["epoch"]
        return f", from the weights of epoch {epoch:.0f}", {"from": self._folder.name}


class Trainer:
    """A network with its optimizer and, with an `ema`, the moving average of its weights."""

    def __init__(self, network: Any, plan: TrainingPlan) -> None:
        keras = import_keras()
        config, flags = plan.config, plan.flags
        optimizer = keras.optimizers.AdamW(
            plan.schedule.peak, weight_decay=flags.weight_decay, global_clipnorm=flags.clip_norm
        )
        # Weight decay for kernels only, not for biases and batch normalisation.
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        self.network = network
        self.head = HEADS[config.head]
        losses = self.head.loss(config)
        self._alphabet = Alphabet(config.alphabet)
        network.compile(optimizer, losses, jit_compile=jit_compile())
        self._decoder = decoder_of(of_keras(self.head.parts(network, config)), config)
        # Keras may have wrapped the optimizer, to scale the loss for float16.
        self.optimizer = network.optimizer
        self.optimizer.build(network.trainable_variables)
        self._average = (
            [keras.Variable(_array(v), trainable=False) for v in network.trainable_variables] if flags.ema else []
        )
        self._steps = steps_of(network, losses, self._average, flags.ema, plan.devices)

    def steps(self) -> int:
        """Steps taken since the beginning of the run."""
        return int(self.optimizer.iterations)

    def train_epoch(
        self,
        batches: Iterator[tuple[Inputs, Labels]],
        rates: Sequence[float],
        rows: int,
        advance: Callable[[int], None],
        processes: int = 1,
    ) -> tuple[float, int]:
        """Take a step per batch, each with its learning rate. Returns the mean loss and the number of pictures.

        Arguments:
            batches: the batches of an epoch, or the shard of each for this process.
            rates: the learning rate of each step.
            rows: number of pictures in the epoch. Batches that are filled up have more, which are not reported.
            advance: called with the number of pictures after each step.
            processes: number of processes that share each batch.
        """
        pictures = 0

        def done(count: int) -> None:
            nonlocal pictures
            advance(min(count, max(0, rows - pictures)))
            pictures += count

        examples = (
            (self._inputs(inputs, labels), self.head.targets(labels), processes * len(labels), rate)
            for (inputs, labels), rate in zip(batches, rates, strict=True)
        )
        return self._steps.epoch(examples, done)

    @contextlib.contextmanager
    def averaged_weights(self) -> Iterator[None]:
        """A context in which the network has the average of its weights, if one is kept."""
        variables = self.network.trainable_variables if self._average else []
        raw = [_array(variable) for variable in variables]
        for variable, average in zip(variables, self._average, strict=True):
            variable.assign(_array(average))
        yield
        for variable, value in zip(variables, raw, strict=True):
            variable.assign(value)

    def _inputs(self, inputs: Inputs, labels: Labels) -> Any:
        """The inputs of the network in training: images, and the texts if its head needs them."""
        everything = [*(inputs if isinstance(inputs, tuple) else [inputs]), *self.head.decoder_inputs(labels)]
        return everything if len(everything) > 1 else inputs

    def validate(self, batches: Iterator[tuple[Inputs, Labels]], sheet: Sheet) -> tuple[dict[str, float], Images]:
        """Scores by name, among them the temperature of the probabilities, and an image of some readings."""
        loss = 0.0
        truths: list[str] = []
        texts: list[str] = []
        probabilities: list[float] = []
        shown: list[Images] = []
        for inputs, labels in batches:
            outputs = read = self._decoder.outputs(inputs)
            if self.head.decoder_inputs(labels):
                outputs = self.network.predict_on_batch(self._inputs(inputs, labels))
            loss += self._steps.compiled_loss(self.head.targets(labels), outputs) * len(labels)
            truths += [self._alphabet.decode(row[row > 0].tolist()) for row in labels]
            decoded = self._decoder.decode(read, search="greedy", beam_width=1, top=1)
            texts += [self._alphabet.decode(best[0].numbers) for best in decoded]
            probabilities += [best[0].probability for best in decoded]
            images = inputs[0] if isinstance(inputs, tuple) else inputs
            shown += list(images[: READINGS_SHOWN - len(shown)])
        count = len(truths)
        right = list(map(str.__eq__, texts, truths))
        captions = list(map(caption, truths, texts))
        read_rows = [row for row, text in enumerate(texts) if text]
        scores = {
            "validation_loss": loss / count,
            "exact_match": sum(right) / count,
            "character_error_rate": sum(map(Levenshtein.distance, texts, truths)) / sum(map(len, truths)),
            "letter_accuracy": letter_accuracy(truths, texts),
            "empty_readings": texts.count("") / count,
            "temperature": temperature([probabilities[row] for row in read_rows], [right[row] for row in read_rows]),
        }
        if negatives := [text for text, truth in zip(texts, truths, strict=True) if not truth]:
            scores["rejected_negatives"] = negatives.count("") / len(negatives)
        return scores, sheet(shown, captions[: len(shown)])

    def variables(self) -> dict[str, NDArray[Any]]:
        """All arrays that the next step depends on, by name."""
        return {name: _array(variable) for name, variable in self._state().items()}

    def restore(self, folder: RunFolder) -> History:
        """Continue with the state in `folder`, if there is one. Returns the rows of the epochs done.

        Raises UserError if the state or the model file is missing, damaged, or of another network.
        """
        variables = self._state()
        state = folder.load_state({name: tuple(variable.shape) for name, variable in variables.items()})
        if state is None:
            return []
        if not folder.model.is_file():
            raise UserError(
                f"{folder.model}, the best weights of the run, is missing: restore it, or start another run", "run"
            )
        if digest(folder.model) != state.model:
            # Either it is from the next epoch, whose state was not written, or it is damaged and this raises.
            model_file.load(folder.model)
        for name, variable in variables.items():
            variable.assign(state.variables[name])
        return state.history

    def begin_together(self, history: History, rank: Rank) -> History:
        """Copy the state of the first process; returns its history."""
        for name, value in processes.broadcast_arrays(self.variables(), rank).items():
            self._state()[name].assign(value)
        found: History = processes.broadcast(history, rank)
        return found

    def _state(self) -> dict[str, Any]:
        groups = {"network": self.network.variables, "optimizer": self.optimizer.variables, "average": self._average}
        return {f"{group}/{i}": variable for group, members in groups.items() for i, variable in enumerate(members)}


def _array(variable: Any) -> NDArray[Any]:
    """A copy of a variable's value. JAX reuses the memory of the value in the next step."""
    from keras import ops

    return np.array(ops.convert_to_numpy(variable))


def is_finished(history: History, plan: TrainingPlan) -> bool:
    """Whether a run with these epochs is complete, or ran out of patience."""
    return len(history) >= _last_epoch(history, plan) or _lost_patience(history, plan)


def _last_epoch(history: History, plan: TrainingPlan) -> int:
    return plan.schedule.last_epoch([row["validation_loss"] for row in history])


def _lost_patience(history: History, plan: TrainingPlan) -> bool:
    """Whether for `patience` epochs no result was strictly better than the best one before."""
    ranks = [(row.get("difficulty", 0.0), row["exact_match"], -row["character_error_rate"]) for row in history]
    patience = plan.flags.patience
    return bool(patience is not None and ranks and len(ranks) - 1 - ranks.index(max(ranks)) >= patience)


def _report(
    history: History, plan: TrainingPlan, validated: int, steps: int, silence_reported: bool, folder: RunFolder
) -> None:
    """Log the result of a finished training, and what the user may do about it."""
    if len(history) < _last_epoch(history, plan):
        folder.log(f"stopped early: no better validation for {plan.flags.patience} epochs")
    kept = best(history)
    folder.log(_result(kept, validated))
    # Empty readings of negatives are right.
    silent = history[-1]["empty_readings"] == 1
    if (silent or not kept["exact_match"]) and not silence_reported:
        found = "all readings are still empty" if silent else "no text is read right yet"
        sentence = f"{found} after {steps:,} steps: give more epochs or pictures, or start from weights that can read"
        folder.log(with_flags(sentence, epochs="", from_="MODEL"), logging.WARNING)
    if plan.adaptation and (remark := plan.adaptation.remark(history)):
        folder.log(remark, logging.WARNING)


def _line(row: dict[str, float], epochs: int) -> str:
    difficulty = f"difficulty {row['difficulty']:.2g}  " if "difficulty" in row else ""
    rejected = f", negatives read as empty {row['rejected_negatives']:.2%}" if "rejected_negatives" in row else ""
    return (
        f"epoch {row['epoch']:.0f}/{epochs}  {difficulty}loss {row['loss']:.4f}  "
        f"validation: loss {row['validation_loss']:.4f}, exact match {row['exact_match']:.2%}, "
        f"CER {row['character_error_rate']:.2%}{rejected}  lr {row['learning_rate']:.2g}  "
        f"{row['pictures_per_second']:,.0f} pictures/s"
    )


def _result(kept: dict[str, float], count: int) -> str:
    """The exact match of the epoch that was `kept`, on `count` validation pictures, in words."""
    low, high = wilson(round(kept["exact_match"] * count), count)
    return (
        f"the model file is epoch {kept['epoch']:.0f}: exact match {kept['exact_match']:.2%} of {count:,} validation "
        f"picture{'s' * (count != 1)} (95 % interval {low:.2%} to {high:.2%}), which chose this epoch: other "
        "pictures may be read less well"
    )


def _diverged(what: str, plan: TrainingPlan, history: History, files: _Files) -> UserError:
    exact = {} if plan.precision == "float32" else {"precision": "float32"}
    weights, start = files.kept(history)
    return UserError(
        f"{what} in epoch {len(history) + 1}: start another run with a lower learning rate than "
        f"{plan.schedule.peak:g}{' or higher precision' if exact else ''}{weights}",
        "learning_rate",
        **exact,
        **start,
    )


def _too_large(plan: TrainingPlan, history: History, files: _Files) -> BatchTooLarge:
    weights, start = files.kept(history)
    return BatchTooLarge(
        f"too little memory for batches of {plan.batch_size:,} pictures in epoch {len(history) + 1}: start another "
        f"run with smaller batches{weights}",
        plan,
        len(history),
        batch_size=str(max(1, plan.batch_size // 2)),
        **start,
    )


def _diagnosis(steps: int, loss: float) -> str:
    return with_flags(
        f"after {steps:,} steps all readings are still empty (loss {loss:.2f}): check that the labels belong to their "
        "pictures and that the text is legible at this size (readings in tensorboard/), then try a wider size, a third "
        "of the learning rate, no augmentation, or more pictures",
        size="",
        learning_rate="",
        augmentation="0",
    )
