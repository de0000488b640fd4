"""Train a network on a folder of labelled pictures: `python training.py --data my_pictures`."""

from __future__ import annotations

from cli import interrupts  # (before all others, so that Ctrl-C ends in one sentence)

# isort: split

import contextlib
import errno
import gc
import json
import os
import shlex
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import parameter
from cli.command import ALL_DONE, SOME_UNREADABLE, reported, run_command
from cli.messages import warn, warn_of_each
from crnn_reader.errors import UserError
from parameter import RANDOM, GenerateParameters, TrainingParameters, notation

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from crnn_reader.config import ModelConfig
    from crnn_reader.image import TooLong
    from dataset import Corpus, Samples
    from model.processes import Place
    from model.training.adaptation import Adaptation
    from model.training.run_folder import RunFolder
    from model.training.trainer import BatchSource, Settings

#: Fewer validation pictures hardly tell one epoch from another.
FEW_TO_VALIDATE = 10


def main(parameters: TrainingParameters) -> int:
    """The whole story; returns the exit code."""
    from model import processes

    if parameters.join is None:
        return begun(parameters, processes.ALONE)
    try:
        place = processes.join(parameters.join)
        return begun(parameters.model_copy(update={"join": None}), place)
    except (KeyboardInterrupt, processes.Lost) as error:
        code = reported(error)
    except Exception as error:
        if not processes.is_lost(error):
            raise
        sentence = "another process ended before the training began: its own output has the reason; start all again"
        code = reported(processes.Lost(sentence))
    # JAX would wait for the other processes at the end of the interpreter, and abort after a minute.
    sys.stdout.flush()
    os._exit(code)


def begun(parameters: TrainingParameters, place: Place) -> int:
    """Start or resume a training, together with the other processes; returns the exit code."""
    from model import processes
    from model.training import run_folder

    path = Path()
    with processes.all_or_none(place):
        if not place.process:
            path, parameters = run_folder.start_or_resume(parameters)
    if place.processes > 1:
        parameters = TrainingParameters.from_values(processes.agreed(json.loads(parameters.to_json()), place))
    if not place.process:
        return trained(path, parameters, place)
    # The first process keeps the files of the run and reports; the others have their own and print nothing but errors.
    with tempfile.TemporaryDirectory() as own, open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
        return trained(Path(own) / "run", parameters, place)


def trained(path: Path, parameters: TrainingParameters, place: Place) -> int:
    """Train in the run folder `path`; returns the exit code.

    If memory runs out in the first epoch, start again with batches of half the size.
    """
    from model.training import defaults, run_folder
    from model.training.trainer import TooLarge

    while True:
        try:
            return attempted(path, parameters, place)
        except TooLarge as error:
            if error.epochs or error.batch_size == 1 or place.processes > 1:
                raise
            size = error.batch_size
        # The exception is gone, and with it all that it held. Networks have reference cycles, too.
        gc.collect()
        _, kept = run_folder.start_or_resume(TrainingParameters(resume=True, run=str(path)))
        parameters = defaults.with_half_batches(kept, size)
        warn(
            f"too little memory for batches of {size:,} pictures: starting again with batches of "
            f"{parameters.batch_size:,}"
        )


def attempted(path: Path, parameters: TrainingParameters, place: Place) -> int:
    """Train with batches of one size; returns the exit code. Raises TooLarge where memory runs out."""
    import dataset
    from model import processes
    from model.training import run_folder
    from model.training.trainer import train

    folder = run_folder.RunFolder(path)
    resume = how_to_resume(path, place)
    if parameters.resume:
        interrupts.continue_by(resume)
    with processes.all_or_none(place):
        parameters, net, config, found, settings, finished, start = prepared(parameters, folder, place)
    training, validation = found.training, found.validation
    contents = {"contents": [training.contents, validation.contents], "alphabet": config.alphabet}
    if not processes.same(contents, place):
        raise UserError(
            f"the pictures of {parameters.data} and --validation are not the same for all processes: copy them again"
        )
    with processes.all_or_none(place):
        split = {"training": training.labelled, "validation": validation.labelled}
        folder.begin(parameters.to_json(), split | contents, new=not parameters.resume)
    interrupts.continue_by(resume)
    on = f"{settings.devices} devices, " if settings.devices > 1 else ""
    folder.log(
        f"{len(training.rows):,} pictures to train on, {len(validation.rows):,} to validate; "
        f"{config.network} {config.preset} {config.head}, {parameters.size}, {len(config.alphabet)} characters, "
        f"{on}epochs: {'' if parameters.epochs else 'up to '}{settings.schedule.epochs}, {start}; in {path}"
    )
    if len(validation.rows) < FEW_TO_VALIDATE:
        folder.log(
            f"only {len(validation.rows)} validation pictures: the choice of the best epoch is almost random, so "
            "give more with --validation"
        )
    if finished:
        folder.log(
            f"the training in {path} finished after {finished} epoch{'s' * (finished > 1)}, and there is nothing left "
            f"to do: to train longer, start another run from its weights with --from {shlex.quote(str(path))}"
        )
    try:
        train(net, config, training, validation, settings, folder, dataset.contact_sheet)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise UserError(
                f"no space left to write {error.filename or path}: free some space, then {resume}"
            ) from error
        raise
    finally:
        found.close()
    folder.log(f"next: python prediction.py FOLDER --model {shlex.quote(str(path))}")
    return SOME_UNREADABLE if found.unreadable else ALL_DONE


def how_to_resume(path: Path, place: Place) -> str:
    """What to do to continue the run in `path`, as the end of a sentence."""
    run = f"--resume --run {shlex.quote(str(path))}"
    if place.processes == 1:
        return f"continue with: python training.py {run}"
    # The run folder of another process is a temporary one.
    return f"start all processes again, the first one with {'--resume' if place.process else run}"


class Prepared(NamedTuple):
    """What a training needs."""

    parameters: TrainingParameters  #: completed
    network: Any
    config: ModelConfig
    found: BatchSources
    settings: Settings
    finished: int  #: epochs of a run that has no further one, else 0
    start: str  #: where the weights come from, for the log


def prepared(parameters: TrainingParameters, folder: RunFolder, place: Place) -> Prepared:
    """Look at the pictures and build the network. Raises UserError when they do not go together."""
    import numpy as np

    import dataset
    from crnn_reader.image import ImageOptions
    from crnn_reader.trained_sizes import with_sizes
    from dataset.inputs import keep_apart
    from generate_captcha.batches import preview
    from model import devices, network
    from model.backend import precision, set_random_seed
    from model.training import defaults
    from model.training.trainer import is_finished
    from model.training.transfer import transfer

    if not parameters.resume:
        keep_apart([parameters.data, parameters.validation], {"--run": str(folder.path)})
        folder.refuse_other_files()
    if parameters.quick:
        from generate_captcha.corpus import write_corpus

        made, parameters = defaults.quick(parameters)
        write_corpus(made)
    if parameters.size:
        width, _ = notation.picture_size(parameters.size)
        network.check(parameters.network, parameters.preset, width is None, parameters.rows, parameters.coordinates)
    drawn = parameter.generated(parameters.data)
    if parameters.curriculum and (drawn is None or "difficulty" not in parameter.STYLES[drawn.style].own):
        harder = [f"generate:{name}" for name, style in parameter.STYLES.items() if "difficulty" in style.own]
        raise UserError(f"--curriculum needs pictures with a --difficulty: give --data {' or '.join(harder)}")
    if drawn:
        labels, sizes = preview(drawn)
        aspect, hues = float(np.median(sizes[:, 0] / sizes[:, 1])), 1.0
    else:
        pictures = dataset.collect(parameters.data, parameters.label_pattern, parameters.root)
        options = ImageOptions(parameters.max_pixels, parameters.frame)
        labels, (aspect, hues) = list(map(str, pictures.labels)), dataset.image_statistics(pictures, options)
    count = drawn.count if drawn else len(labels)
    parameters = defaults.completed(parameters, labels, aspect, hues, count)
    config = defaults.config(parameters)
    if idle := devices.unused_gpu():
        warn(idle)
    set_random_seed(parameters.seed)
    with precision(parameters.precision or "float32"):
        net = network.build(config)
    too_long = defaults.too_long(config, network.columns(net))
    if drawn:
        found = synthetic_sources(parameters, config, drawn, labels, sizes, too_long)
    else:
        found = corpus_sources(parameters, config, pictures, too_long, folder.cache, place)
    config = with_sizes(config, found.sizes)
    settings = defaults.settings(parameters, len(found.training.rows), found.adaptation, place)
    finished = 0
    if folder.has_state():
        history, _ = folder.progress()
        finished = len(history) if is_finished(history, settings) else 0
        start = "finished earlier" if finished else f"continuing after epoch {len(history)}"
    elif parameters.from_ in (None, RANDOM):
        start = "starting from random weights"
    else:
        start = transfer(parameters.from_, net, config)
    return Prepared(parameters, net, config, found, settings, finished, start)


class BatchSources(NamedTuple):
    """What a training is fed."""

    training: BatchSource
    validation: BatchSource
    sizes: NDArray[np.integer]  #: (n, 2) of training pictures, width and height in pixels
    unreadable: int  #: pictures that were left out
    adaptation: Adaptation | None  #: what changes from epoch to epoch
    close: Callable[[], None]  #: ends worker processes


def synthetic_sources(
    parameters: TrainingParameters,
    config: ModelConfig,
    drawn: GenerateParameters,
    labels: list[str],
    sizes: NDArray[np.integer],
    too_long: TooLong,
) -> BatchSources:
    """Fresh pictures for every epoch, and others, always the same, to validate with.

    `labels` and `sizes` are those of some of the pictures.
    """
    from crnn_reader.alphabet import Alphabet
    from generate_captcha.batches import Fit, SyntheticBatches
    from model.training import defaults
    from model.training.adaptation import Curriculum

    part = notation.fraction(parameters.validation)
    if part is None:
        raise UserError(f"--validation {parameters.validation}: with drawn pictures, give a part of them, such as 0.1")
    if parameters.augmentation and not parameters.resume:
        raise UserError(f"--augmentation {parameters.augmentation:g}: drawn pictures are not augmented; leave it out")
    if parameters.workers is not None:
        raise UserError(
            f"--workers {parameters.workers}: drawn pictures have workers of their own; leave it out, or write --data "
            f"'{parameters.data} --workers {parameters.workers or 1}'"
        )
    if unknown := sorted(set().union(*labels) - set(config.alphabet)):
        raise UserError(
            f"--alphabet lacks {' '.join(unknown)}, which the pictures show: add them, or leave the flag out"
        )
    # Where the width follows the text, each picture is asked as it is drawn; so are the texts that are not known yet.
    complaints = (too_long(label, 0, 0) for label in labels if config.width is not None)
    if complaint := next(filter(None, complaints), None):
        raise UserError(complaint)
    fit, encode = Fit(config.width, config.height, config.channels, config.fit), Alphabet(config.alphabet).encode
    batch_size = parameters.batch_size or drawn.count
    training = SyntheticBatches(drawn, fit, encode, batch_size, too_long)
    validation = training.unchanging(max(1, round(part * drawn.count)))

    def draw_at(difficulty: float) -> None:
        training.difficulty = validation.difficulty = difficulty

    curriculum = None
    if parameters.curriculum:
        curriculum = Curriculum(draw_at, drawn.difficulty, defaults.budget(parameters, drawn.count))
    return BatchSources(training, validation, sizes, 0, curriculum, training.close)


def corpus_sources(
    parameters: TrainingParameters,
    config: ModelConfig,
    pictures: Samples,
    too_long: TooLong,
    second_cache: Path,
    place: Place,
) -> BatchSources:
    """Decoded once, checked before the first step, never the same picture on both sides.

    Decoded pictures go to `second_cache` where the usual folder cannot be written. Of batches to train on, the process
    gets the part that its `place` says.
    """
    import numpy as np

    import dataset
    from crnn_reader.alphabet import Alphabet
    from crnn_reader.image import ImageOptions
    from model import devices
    from model.training.adaptation import Augmentation
    from model.training.defaults import first_augmentation

    def packed(samples: Samples) -> Corpus:
        options, others = ImageOptions(parameters.max_pixels, config.frame), [second_cache]
        shape = (config.width, config.height, config.channels, config.fit)
        corpus = dataset.pack(samples, *shape, others=others, options=options)
        warn_of_each([f"left out {name}: {reason}" for name, reason in corpus.unreadable], not len(corpus))
        for remark in corpus.remarks(options):
            warn(remark)
        dataset.check(corpus, config.alphabet, too_long)
        return corpus

    corpus = packed(pictures)
    dataset.preview(corpus)
    part = notation.fraction(parameters.validation)
    if part:
        held_out = corpus
        rows, held_out_rows = dataset.split(corpus.names, corpus.digests, part)
    else:
        held_out = packed(dataset.collect(parameters.validation, parameters.label_pattern, parameters.root))
        rows, held_out_rows = dataset.apart(corpus.digests, held_out.digests), np.arange(len(held_out))
    if not len(rows) or not len(held_out_rows):
        raise UserError(
            f"{len(corpus)} pictures leave {len(rows)} to train on and {len(held_out_rows)} to validate: "
            "add pictures, or give others with --validation"
        )
    encode, batch_size = Alphabet(config.alphabet).encode, parameters.batch_size or len(rows)
    strength = parameters.augmentation
    training = dataset.Batches(
        corpus,
        rows,
        encode,
        batch_size,
        shuffle=True,
        augmentation=strength or 0.0,
        seed=parameters.seed,
        workers=parameters.workers,
        part=place,
        multiple=devices.of_all_processes(),
    )

    def strengthen(strength: float) -> None:
        training.augmentation = strength

    adaptation = Augmentation(strengthen, first_augmentation(len(rows))) if strength is None else None
    unreadable = {*corpus.unreadable, *held_out.unreadable}
    # Larger batches keep a GPU busier; without gradients, four times the pictures take no more memory.
    validation = dataset.Batches(held_out, held_out_rows, encode, batch_size * (4 if devices.accelerators() else 1))
    return BatchSources(training, validation, corpus.sizes[rows], len(unreadable), adaptation, training.close)


if __name__ == "__main__":
    run_command(main, TrainingParameters)
