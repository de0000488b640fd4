"""Train a network on a folder of labelled pictures: `python training.py --data my_pictures`.

1. `main` joins other processes (--join), and `begin_or_resume` opens the run folder. With --resume, the flags become
   those that the run began with.
2. `train_once` finds the pictures. `defaults.config` decides the network, and the pictures are decoded to its input.
   `decide_plan` decides all other values, among them the start: the weights of --from, shipped weights, or random ones.
3. `load_start` copies the starting weights into the network, unless the run folder has a state after an epoch, which
   `train` continues with. `train` takes the steps of each epoch (`model/training/steps.py`), validates after it and
   writes the files of the run.
4. If memory runs out in the first epoch, `halving_batches` calls `train_once` again with half the batch size. The run
   folder has no state then, so that the training begins anew.
"""

from __future__ import annotations

from cli import interrupts  # noqa: F401 (before all others, so that Ctrl-C ends in one sentence)

# isort: split

import contextlib
import shlex
from functools import partial
from typing import TYPE_CHECKING

import parameter
from cli.command import ALL_DONE, SOME_UNREADABLE, run_command
from cli.messages import warn
from parameter import TrainingParameters, notation

if TYPE_CHECKING:
    from crnn_reader.formats import Format
    from model.processes import Rank
    from model.training.picture_source import PictureSource
    from model.training.run_folder import RunFolder


def main(flags: TrainingParameters) -> int:
    """Train in this process, or in several processes with --join. Returns the exit code."""
    from model import processes

    return processes.run_joined(flags.join, partial(begin_or_resume, flags.model_copy(update={"join": None})))


def begin_or_resume(flags: TrainingParameters, rank: Rank) -> int:
    """Begin a run or resume one, with smaller batches if memory runs out. Returns the exit code."""
    from model.training.memory import halving_batches
    from model.training.run_folder import open_run

    with open_run(flags, rank) as (folder, flags_of_run):
        if flags_of_run.unlabelled and not flags_of_run.resume:
            flags_of_run = with_sure_readings(flags_of_run, folder)
        return halving_batches(partial(train_once, folder, rank), flags_of_run)


def train_once(folder: RunFolder, rank: Rank, flags: TrainingParameters) -> int:
    """Look at the pictures, decide on a network and a plan, train, and say what comes next. Returns the exit code."""
    import dataset
    from model import devices, processes
    from model.backend import precision, set_random_seed
    from model.network import build, check, columns
    from model.training import defaults
    from model.training.plan import decide_plan
    from model.training.trainer import load_start, train

    with processes.all_or_none(rank):
        if not flags.resume:
            refuse_places_in_use(flags, folder)
        if flags.size:
            width, _ = notation.picture_size(flags.size)
            check(flags.network, flags.preset, width is None, flags.rows, flags.coordinates)
        if flags.quick:
            flags = with_quick_pictures(flags)
        source = pictures(flags, folder)
        # The network comes first: pictures are decoded to its input, and labels must fit into its columns.
        config = defaults.config(flags, source, formats(flags, folder))
        policy = flags.precision or devices.fastest_policy()
        if idle := devices.unused_gpu():
            warn(idle)
        set_random_seed(flags.seed)
        with precision(policy):
            network = build(config)
        source.decode(config, defaults.too_long(config, columns(network)))
        plan = decide_plan(flags, config, policy, source, rank)
        training = source.training_batches(plan.batch_size, plan.augmentation, rank, devices.batch_divisor())
        validation = source.validation_batches(plan.validation_batch_size)
        start = load_start(network, plan, folder)
    with contextlib.closing(training):
        folder.begin_training(plan, training, validation, new=not flags.resume)
        folder.log(
            f"{len(training.rows):,} pictures to train on, {len(validation.rows):,} to validate; {plan}, {start}; "
            f"in {folder.path}"
        )
        train(network, plan, training, validation, folder, dataset.contact_sheet)
    folder.log(f"next: python prediction.py FOLDER --model {shlex.quote(str(folder.path))}")
    return SOME_UNREADABLE if source.unreadable else ALL_DONE


def refuse_places_in_use(flags: TrainingParameters, folder: RunFolder) -> None:
    """Raise UserError if the run folder holds other files, or lies among the pictures."""
    from dataset.inputs import refuse_overlapping_paths

    pictures = flags.unlabelled or flags.data
    refuse_overlapping_paths([pictures, flags.validation, flags.negatives], {"run": str(folder.path)})
    folder.refuse_other_files()


def with_quick_pictures(flags: TrainingParameters) -> TrainingParameters:
    """Generate the pictures of --quick, and return the flags of a training on them."""
    from generate_captcha.corpus import write_corpus
    from model.training import defaults

    flags = defaults.quick(flags)
    write_corpus(defaults.QUICK)
    return flags


def with_sure_readings(flags: TrainingParameters, folder: RunFolder) -> TrainingParameters:
    """Write the sure readings of the pictures of --unlabelled, and return the flags of a training on them."""
    import model  # noqa: F401 (it adds the files of Keras)
    from dataset.self_training import label_sure_pictures

    refuse_places_in_use(flags, folder)
    start = flags.from_ or "general"
    label_sure_pictures(flags.unlabelled or "", start, folder.readings, flags.max_pixels, flags.frame, flags.root)
    return flags.model_copy(update={"data": str(folder.readings)})


def formats(flags: TrainingParameters, folder: RunFolder) -> list[Format] | None:
    """The formats of plates to store in the model file: those of --layouts, or of generated plates; None for others.

    A run that is resumed keeps those that it began with.
    """
    from generate_captcha.corpus import formats_of_pictures
    from generate_captcha.plates.layout_files import formats_of, named_formats

    if flags.resume and (begun := folder.formats()) is not None:
        return begun
    if flags.layouts is not None:
        return named_formats(flags.layouts)
    if drawn := parameter.generated(flags.data):
        return formats_of(drawn.layouts) if "layouts" in parameter.STYLES[drawn.style].own else None
    return formats_of_pictures(flags.data)


def pictures(flags: TrainingParameters, folder: RunFolder) -> PictureSource:
    """The pictures of --data: drawn while training, or found in files."""
    if drawn := parameter.generated(flags.data):
        from generate_captcha.drawn_source import SyntheticSource

        return SyntheticSource(flags, drawn)
    from dataset.file_source import FileSource

    return FileSource(flags, folder.cache)


if __name__ == "__main__":
    run_command(main, TrainingParameters)
