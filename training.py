"""Train a network on a folder of labelled pictures: `python training.py --data my_pictures`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import console
import parameter
from console import UserError
from parameter import RANDOM, GenerateParameters, TrainingParameters

if TYPE_CHECKING:
    from dataset import Batches, Corpus, Samples
    from model.model_file import Card

#: What --quick trains on: enough to read most captchas within five minutes on two cores.
QUICK = GenerateParameters(out="DB/quick", count=16_000)
QUICK_EPOCHS = 4
#: There is no time to learn what strong augmentation does to pictures, and there are enough of them.
QUICK_AUGMENTATION = 0.25


def main(parameters: TrainingParameters) -> int:
    """The whole story; returns the exit code."""
    path, parameters = start_or_resume(parameters)
    if parameters.quick:
        from generate_captcha.corpus import write_corpus

        if parameters.data not in (parameter.TRAIN_FOLDER, QUICK.out):
            raise UserError(f"--quick makes its own pictures: leave out --data {parameters.data}, or leave out --quick")
        write_corpus(QUICK)
        own = {
            "data": QUICK.out,
            "epochs": parameters.epochs or QUICK_EPOCHS,
            "from_": parameters.from_ or RANDOM,
            "augmentation": min(parameters.augmentation, QUICK_AUGMENTATION),
        }
        parameters = parameters.model_copy(update=own)

    import dataset
    from model import network
    from model.training import recipe
    from model.training.run_folder import RunFolder
    from model.training.trainer import train
    from model.training.transfer import transfer

    folder = RunFolder(path)
    if not parameters.resume:
        folder.refuse_other_files()
    pictures = dataset.collect(parameters.data, parameters.label_pattern)
    survey = dataset.survey(pictures)
    parameters = recipe.completed(parameters, list(map(str, pictures.labels)), survey.aspect if survey else 1.0)
    card = recipe.card(parameters)
    network.import_keras().utils.set_random_seed(parameters.seed)
    with network.precision(parameters.precision):
        net = network.build(card)
    training, validation, unreadable = feeds(parameters, card, pictures, steps=network.columns(net))
    settings = recipe.settings(parameters, len(training.rows))

    if folder.has_state():
        start = "going on"
    elif parameters.from_ in (None, RANDOM):
        start = "starting from random weights"
    else:
        start = transfer(parameters.from_, net, card)
    folder.begin(parameters.to_json(), training.labelled, validation.labelled)
    folder.log(
        f"{len(training.rows):,} pictures to train on, {len(validation.rows):,} to validate; "
        f"{card.network} {card.preset} {card.head}, {parameters.size}, {len(card.alphabet)} characters, "
        f"{'' if parameters.epochs else 'up to '}{settings.schedule.epochs} epochs, {start}; in {path}"
    )
    try:
        train(net, card, training, validation, settings, folder, dataset.contact_sheet)
    except KeyboardInterrupt:
        console.warn(f"interrupted; go on with: python training.py --resume --run {path}")
        return console.INTERRUPTED
    folder.log(f"next: python prediction.py FOLDER --model {path}")
    return console.SOME_UNREADABLE if unreadable else console.ALL_DONE


def start_or_resume(parameters: TrainingParameters) -> tuple[Path, TrainingParameters]:
    """The run folder, and the parameters: those given or, with --resume, those that the run began with."""
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
    for name, value in parameters.model_dump(exclude={"run", "resume"}, exclude_defaults=True).items():
        if value != getattr(kept, name):
            raise UserError(
                f"--{name.rstrip('_').replace('_', '-')} {value} is not what the run in {path} began with "
                f"({getattr(kept, name)}): leave it out to resume, or start another run --from {path}"
            )
    return path, kept.model_copy(update={"resume": True})


def feeds(
    parameters: TrainingParameters, card: Card, pictures: Samples, steps: int | None
) -> tuple[Batches, Batches, int]:
    """Batches to train on and to validate with, and how many pictures could not be read.

    Decoded once, checked before the first step, never the same picture on both sides.
    """
    import numpy as np

    import dataset
    from model.alphabet import Alphabet
    from model.training import recipe

    def packed(samples: Samples) -> Corpus:
        corpus = dataset.pack(samples, card.width, card.height, card.channels, card.fit)
        for name, reason in corpus.unreadable:
            console.warn(f"left out {name}: {reason}")
        dataset.check(corpus, card.alphabet, recipe.too_long(card, steps))
        return corpus

    corpus = packed(pictures)
    part = parameter.fraction(parameters.validation)
    if part:
        held_out = corpus
        rows, held_out_rows = dataset.split(corpus.names, corpus.digests, part)
    else:
        held_out = packed(dataset.collect(parameters.validation, parameters.label_pattern))
        rows, held_out_rows = dataset.apart(corpus.digests, held_out.digests), np.arange(len(held_out))
    if not len(rows) or not len(held_out_rows):
        raise UserError(
            f"{len(corpus)} pictures leave {len(rows)} to train on and {len(held_out_rows)} to validate: "
            "add pictures, or give others with --validation"
        )
    encode, batch_size = Alphabet(card.alphabet).encode, parameters.batch_size or len(rows)
    training = dataset.Batches(
        corpus, rows, encode, batch_size, shuffle=True, augmentation=parameters.augmentation, seed=parameters.seed
    )
    unreadable = {*corpus.unreadable, *held_out.unreadable}
    return training, dataset.Batches(held_out, held_out_rows, encode, batch_size), len(unreadable)


if __name__ == "__main__":
    console.run(main, TrainingParameters)
