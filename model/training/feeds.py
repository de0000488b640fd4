"""What a training is fed: pictures of a folder, or ones that are drawn for it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

import console
import dataset
import notation
from console import UserError
from dataset import Corpus, Samples
from generate_captcha.feed import Drawn, Fit
from model.alphabet import Alphabet
from model.model_file import Card
from model.training.adaptation import Adaptation, Augmentation, Curriculum
from model.training.recipe import budget, first_augmentation
from model.training.trainer import Feed
from parameter import GenerateParameters, TrainingParameters
from picture import TooLong


class Feeds(NamedTuple):
    training: Feed
    validation: Feed
    unreadable: int  #: pictures that were left out
    adaptation: Adaptation | None  #: what changes from epoch to epoch


def of_drawn(
    parameters: TrainingParameters, card: Card, drawn: GenerateParameters, labels: list[str], too_long: TooLong
) -> Feeds:
    """Fresh pictures for every epoch, and others, always the same, to validate with; `labels` are some of theirs."""
    part = notation.fraction(parameters.validation)
    if part is None:
        raise UserError(f"--validation {parameters.validation}: drawn pictures validate themselves; give a part, 0.1")
    if parameters.augmentation and not parameters.resume:
        raise UserError(f"--augmentation {parameters.augmentation:g}: drawn pictures vary by themselves; leave it out")
    if unknown := sorted(set().union(*labels) - set(card.alphabet)):
        raise UserError(f"--alphabet lacks {' '.join(unknown)}, which are drawn: add them, or leave the flag out")
    # Where the width follows the text, each picture is asked as it is drawn; so are the texts that are not known yet.
    complaints = (too_long(label, 0, 0) for label in labels if card.width is not None)
    if complaint := next(filter(None, complaints), None):
        raise UserError(complaint)
    fit, encode = Fit(card.width, card.height, card.channels, card.fit), Alphabet(card.alphabet).encode
    batch_size = parameters.batch_size or drawn.count
    training = Drawn(drawn, fit, encode, batch_size, too_long)
    validation = training.unchanging(max(1, round(part * drawn.count)))

    def draw_at(difficulty: float) -> None:
        training.difficulty = validation.difficulty = difficulty

    curriculum = None
    if parameters.curriculum:
        curriculum = Curriculum(draw_at, drawn.difficulty, budget(parameters, drawn.count))
    return Feeds(training, validation, 0, curriculum)


def of_pictures(parameters: TrainingParameters, card: Card, pictures: Samples, too_long: TooLong) -> Feeds:
    """Decoded once, checked before the first step, never the same picture on both sides."""

    def packed(samples: Samples) -> Corpus:
        corpus = dataset.pack(samples, card.width, card.height, card.channels, card.fit)
        console.warn_of_each([f"left out {name}: {reason}" for name, reason in corpus.unreadable], not len(corpus))
        dataset.check(corpus, card.alphabet, too_long)
        return corpus

    corpus = packed(pictures)
    part = notation.fraction(parameters.validation)
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
    strength = parameters.augmentation
    training = dataset.Batches(
        corpus, rows, encode, batch_size, shuffle=True, augmentation=strength or 0.0, seed=parameters.seed
    )

    def strengthen(strength: float) -> None:
        training.augmentation = strength

    adaptation = Augmentation(strengthen, first_augmentation(len(rows))) if strength is None else None
    unreadable = {*corpus.unreadable, *held_out.unreadable}
    validation = dataset.Batches(held_out, held_out_rows, encode, batch_size)
    return Feeds(training, validation, len(unreadable), adaptation)
