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
    from model.training.trainer import Settings

#: What --quick trains on: enough to read most captchas within five minutes on two cores.
QUICK = GenerateParameters(out="DB/quick", count=16_000)
QUICK_EPOCHS = 4


def main(parameters: TrainingParameters) -> int:
    """The whole story; returns the exit code."""
    path, parameters = start_or_resume(parameters)
    if parameters.quick:
        from generate_captcha.corpus import write_corpus

        write_corpus(QUICK)
        chosen = {"data": QUICK.out, "epochs": parameters.epochs or QUICK_EPOCHS, "from_": parameters.from_ or RANDOM}
        parameters = parameters.model_copy(update=chosen)

    import dataset
    from model import network
    from model.training import recipe
    from model.training.run_folder import RunFolder
    from model.training.trainer import train
    from model.training.transfer import transfer

    pictures = dataset.collect(parameters.data, parameters.label_pattern)
    card = card_for(parameters, pictures)
    network.import_keras().utils.set_random_seed(parameters.seed)
    with network.precision(parameters.precision):
        net = network.build(card)
    weights = parameters.from_ or recipe.start(card)
    start = "starting from random weights" if weights == RANDOM else transfer(weights, net, card)
    training, validation, unreadable = feeds(parameters, card, pictures, steps=net.output_shape[1])
    settings = settings_for(parameters, len(training.rows), weights != RANDOM)

    folder = RunFolder.open(path) if parameters.resume else RunFolder.create(path, parameters.to_json())
    folder.keep_split(training.names, validation.names)
    folder.log(
        f"{len(training.rows):,} pictures to train on, {len(validation.rows):,} to validate; "
        f"{card.network} {card.preset}, "
        f"{card.width}x{card.height}, {len(card.alphabet)} characters, "
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


def card_for(parameters: TrainingParameters, pictures: Samples) -> Card:
    """What the model file will say; alphabet and size are those of the pictures, unless given."""
    import dataset
    from model.heads import HEADS
    from model.model_file import Card
    from model.training import recipe

    labels = [str(label) for label in pictures.labels]
    found = "".join(sorted(set().union(*labels)))
    if parameters.size:
        width, height = parameter.size(parameters.size)
    else:
        survey = dataset.survey(pictures)
        needed = max(map(HEADS[parameters.head].steps_needed, labels))
        width, height = recipe.size(survey.aspect if survey else 2.0, needed)
    return Card(
        network=parameters.network,
        preset=parameters.preset,
        head=parameters.head,
        alphabet=parameter.alphabet(parameters.alphabet) if parameters.alphabet else found,
        width=width,
        height=height,
        channels=1 if parameters.colour == "grey" else 3,
        fit=parameters.fit,
    )


def feeds(parameters: TrainingParameters, card: Card, pictures: Samples, steps: int) -> tuple[Batches, Batches, int]:
    """Batches to train on and to validate with, and how many pictures could not be read.

    Decoded once, checked before the first step, never the same picture on both sides.
    """
    import numpy as np

    import dataset
    from model.alphabet import Alphabet
    from model.heads import HEADS
    from model.training import recipe

    def too_long(label: str) -> str | None:
        needed = HEADS[card.head].steps_needed(label)
        if needed <= steps:
            return None
        wider = f"--size {-(-needed * card.width // steps)}x{card.height}"
        return f"{label} needs {needed} columns, width {card.width} gives {steps}: train with {wider} or wider"

    def packed(samples: Samples) -> Corpus:
        corpus = dataset.pack(samples, card.width, card.height, card.channels, card.fit)
        for name, reason in corpus.unreadable:
            console.warn(f"left out {name}: {reason}")
        dataset.check(corpus, card.alphabet, too_long)
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
    encode = Alphabet(card.alphabet).encode
    batch_size = parameters.batch_size or recipe.batch_size(len(rows))
    training = dataset.Batches(
        corpus, rows, encode, batch_size, shuffle=True, augmentation=parameters.augmentation, seed=parameters.seed
    )
    unreadable = {*corpus.unreadable, *held_out.unreadable}
    return training, dataset.Batches(held_out, held_out_rows, encode, batch_size), len(unreadable)


def settings_for(parameters: TrainingParameters, pictures: int, from_weights: bool) -> Settings:
    """How to train; what was not given suits the number of pictures."""
    from model.training import recipe
    from model.training.schedule import Schedule
    from model.training.trainer import Settings

    return Settings(
        Schedule(
            peak=parameters.learning_rate or recipe.learning_rate(parameters.preset, from_weights),
            epochs=parameters.epochs or recipe.epochs(pictures),
            warmup=parameters.warmup,
            settle=parameters.epochs is None,
        ),
        weight_decay=parameters.weight_decay,
        clip_norm=parameters.clip_norm,
        ema=parameters.ema,
        patience=parameters.patience,
    )


if __name__ == "__main__":
    console.run(main, TrainingParameters)
