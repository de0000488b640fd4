"""Defaults that depend on the pictures, so that training.py without flags suits 300 pictures and a million.

docs/recipe.md explains how they were found. Base values of a preset are in `parameter.PRESETS`.
"""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Sequence
from typing import Any

from cli.flags import with_flags
from crnn_reader.alphabet import UNREADABLE, expand_alphabet, write_alphabet
from crnn_reader.config import ModelConfig
from crnn_reader.decoding.formats import writable
from crnn_reader.errors import UserError
from crnn_reader.fit import WIDTH_STEP, scaled_width
from crnn_reader.formats import ALL_LAYOUTS, Format
from crnn_reader.image import TooLong
from crnn_reader.limits import MAX_INPUT_SIDE
from crnn_reader.model_files import locate_model, read_config
from model import network
from model.heads import HEADS
from model.model_file import SHIPPED
from model.training import transfer
from model.training.picture_source import PictureSource
from parameter import PRESETS, RANDOM, STYLES, TRAIN_FOLDER, GenerateParameters, TrainingParameters, notation

logger = logging.getLogger(__name__)

#: Pictures that --quick trains on: enough to read most captchas, and few enough for some minutes on two cores.
QUICK = GenerateParameters(out="DB/quick", count=16_000)
#: Strength of the augmentation of --quick: there is no time to learn strongly augmented pictures.
QUICK_AUGMENTATION = 0.25

#: Shipped weights that trainings start from if they fit: of short texts, at any height, and of lines, at their own.
GENERAL, LINES = "general", "lines"

#: On a GPU: the minimum number of steps of a training, and the pictures in a batch on each GPU with which an H200
#: trains `small` at 85 % of its highest speed.
STEPS, MAX_BATCH = 4_000, 1_024

#: Use RGB if one channel has more than this multiple of the contrast of grey.
RGB_CONTRAST = 2.0

#: Height of the input in pixels: enough for the strokes of one line of text.
HEIGHT = 64


def quick(flags: TrainingParameters) -> TrainingParameters:
    """The flags of --quick completed: a `lite` network on :data:`QUICK`, unless flags ask for another.

    Raises UserError if other pictures are given.
    """
    if flags.data not in (TRAIN_FOLDER, QUICK.out):
        raise UserError(
            f"a quick training generates its own pictures, and not those of {flags.data}: leave one of them out",
            "data",
            quick="",
        )
    if not flags.model_fields_set & {"preset", "network", "from_"}:
        flags = TrainingParameters(**flags.model_dump(exclude_unset=True), preset="lite")
    own = {
        "data": QUICK.out,
        "epochs": flags.epochs or PRESETS[flags.preset].quick_epochs,
        "from_": flags.from_ or RANDOM,
        "augmentation": QUICK_AUGMENTATION if flags.augmentation is None else flags.augmentation,
    }
    return flags.model_copy(update=own)


def config(flags: TrainingParameters, source: PictureSource, formats: list[Format] | None = None) -> ModelConfig:
    """Decide everything that `flags` leave open about the network and its input.

    The network is that of the weights that the training starts from, unless flags ask for another. With --from, its
    input is theirs, too.

    Arguments:
        flags: as given, or with --resume as stored.
        source: the pictures.
        formats: formats of plates to store in the model file; None keeps those of --from.

    Raises UserError if no picture has a label, if the labels are too long, for flags that have no effect, and for
    layouts that the alphabet cannot write.
    """
    known, kept = "", list[Format]()
    asked: dict[str, Any] = flags.model_dump()
    if not flags.resume and flags.from_ not in (None, RANDOM):
        weights = read_config(locate_model(flags.from_, to_train=True))
        # A few pictures do not have all characters: keep those that the weights can read.
        known = weights.alphabet
        kept = weights.formats
        asked |= {name: value for name, value in flags_of(weights).items() if name not in flags.model_fields_set}
    elif not flags.resume and flags.from_ is None:
        asked |= _usual_network(flags)
    found = characters(source.labels)
    if not found:
        raise UserError(
            f"no picture in {flags.data} has a label: name files LABEL_anything.png, list them with their labels, "
            "or say where the label is; pictures that show nothing to read are negatives beside labelled ones",
            "label_pattern",
            negatives="",
        )
    head, longest = asked["head"], max(map(len, source.labels))
    if not flags.resume:
        _refuse_idle_flags(flags, head, longest, source)
    if asked["size"]:
        width, height = notation.picture_size(asked["size"])
    else:
        steps = -(-max(map(HEADS[head].steps_needed, source.labels)) // asked["rows"])
        width, height = size(source.aspect, steps, network.column_width(asked["network"]))
        if width > MAX_INPUT_SIDE:
            raise UserError(
                f"the longest label, of {longest:,} characters, needs pictures {width:,} pixels wide with the "
                f"head {head}, more than {MAX_INPUT_SIDE:,}: leave it out, cut its picture, or try another head",
                "head",
                "attention",
            )
    alphabet = expand_alphabet(flags.alphabet or write_alphabet(characters([found, known])))
    leftwards = sorted(each for each in set(found) - set(known) if unicodedata.bidirectional(each) in ("R", "AL"))
    if leftwards and HEADS[head].left_to_right:
        logger.warning(
            with_flags(
                f"labels have characters of a script that is written from right to left, such as {leftwards[0]}, and "
                f"{head} reads from left to right: write the characters of each label in the order in which they stand "
                "in the picture, as in docs/plates.md, or try another head",
                head="attention",
            )
        )
    colour = asked["colour"] or ("rgb" if source.colour_contrast > RGB_CONTRAST else "grey")
    decided = ModelConfig(
        alphabet=alphabet,
        width=width,
        height=height,
        channels=3 if colour == "rgb" else 1,
        longest=flags.longest or 2 * longest,
        label_smoothing=flags.label_smoothing,
        **{name: asked[name] for name in _SHARED_FIELDS},
    )
    stored = kept if formats is None else formats
    # Only layouts that were named must be writable.
    return decided.with_formats(writable(stored, alphabet) if flags.layouts in (None, ALL_LAYOUTS) else stored)


#: Fields that flags and configurations share.
_SHARED_FIELDS = ("network", "preset", "head", "rectify", "coordinates", "rows", "cell", "fit", "frame")


def flags_of(config: ModelConfig) -> dict[str, Any]:
    """The flags that ask for the network of a configuration and its input, by name."""
    size, colour = f"{config.width or 'auto'}x{config.height}", "grey" if config.channels == 1 else "rgb"
    return {name: getattr(config, name) for name in _SHARED_FIELDS} | {"size": size, "colour": colour}


def _refuse_idle_flags(flags: TrainingParameters, head: str, longest: int, source: PictureSource) -> None:
    """Raise UserError for flags without effect, and for a --longest that is shorter than the labels."""
    if flags.curriculum and source.difficulty is None:
        harder = [
            f"generate:{name}" for name, style in STYLES.items() if "difficulty" in style.own and not style.family
        ]
        raise UserError(
            f"a curriculum needs drawn pictures with a difficulty: give {' or '.join(harder)} as data, or leave it out",
            "curriculum",
        )
    for name in ("cell", "label_smoothing", "longest"):
        value = getattr(flags, name)
        if not HEADS[head].autoregressive and value != TrainingParameters.model_fields[name].default:
            having = " and ".join(other for other in HEADS if HEADS[other].autoregressive)
            raise UserError(f"{value} is a value for the heads {having}, not for {head}: leave it out", name)
    if flags.longest and flags.longest < longest:
        raise UserError(
            f"{flags.longest} is less than the {longest} characters of the longest label: leave it out, or give "
            f"{longest} or more",
            "longest",
        )


def first_augmentation(pictures: int) -> float:
    """Strength of an adapted augmentation in the first epoch. Many pictures vary enough by themselves."""
    return min(1.0, (1000 / pictures) ** 0.3)


def too_long(config: ModelConfig, columns: int | None) -> TooLong:
    """A function that explains why a network cannot read a label.

    It takes the label and the width and height of its picture, and returns an error, or None if the network can read
    it. `columns` is the number of columns that the head of the network sees, None if it depends on the width of the
    picture.
    """

    def error(label: str, width: int, height: int) -> UserError | None:
        if HEADS[config.head].autoregressive and len(label) > config.longest:
            return UserError(
                f"{label} is longer than the {config.longest} characters that the head writes: train with more",
                "longest",
                str(len(label)),
            )
        available = scaled_width(config.height, width, height) // WIDTH_STEP if columns is None else columns
        needed = HEADS[config.head].steps_needed(label)
        if needed <= available:
            return None
        if config.width is None:
            return UserError(
                f"{label} needs {needed} columns, its picture has {available}: train with this size or a taller one",
                "size",
                f"autox{-(-needed * config.height // available)}",
            )
        return UserError(
            f"{label} needs {needed} columns, width {config.width} gives {available}: train with this size or a wider "
            "one",
            "size",
            f"{-(-needed * config.width // available)}x{config.height}",
        )

    return error


def characters(labels: Sequence[str]) -> str:
    """The alphabet of labels, sorted, without characters that no alphabet may have.

    A `-` comes first, where it does not write a range. Combining marks come last, so that they do not combine with a
    letter, in the order that Unicode's composition (NFC) keeps.
    """

    def place(character: str) -> tuple[bool, bool, bool, int, str]:
        mark, order = unicodedata.category(character)[0] == "M", unicodedata.combining(character)
        return character != "-", not mark, not order, order, character

    return UNREADABLE.sub("", "".join(sorted(set().union(*labels), key=place)))


def size(aspect: float, steps_needed: int, column: int = WIDTH_STEP) -> tuple[int, int]:
    """Width and height of the input in pixels.

    The width follows the pictures within limits: fewer columns cannot separate neighbours, more cost time in
    proportion. CTC reads well with twice the steps that the longest label needs: a blank fits between all characters.

    Arguments:
        aspect: median of the pictures' width / height.
        steps_needed: time steps that the longest label needs.
        column: width of a step in pixels.
    """
    width = min(max(aspect * HEIGHT, 128), 192)
    width = max(width, 2 * steps_needed * column)
    return 8 * -(-int(width) // 8), HEIGHT


def epochs(pictures: int, from_weights: bool) -> int:
    """Maximum number of epochs on a number of pictures. Larger corpora take fewer epochs, but more steps.

    A training that starts from weights takes half as many as one from random weights.
    """
    return max(3, round((60 if from_weights else 120) * (1000 / pictures) ** 0.5))


def batch_size(pictures: int, seen: int, devices: int = 1, gpus: int = 0) -> int:
    """Number of pictures in a batch.

    Small corpora get small batches, or they would have too few steps. A GPU needs large batches to be busy: there, it
    is the largest power of two that leaves :data:`STEPS` steps.

    Arguments:
        pictures: number of pictures.
        seen: number of pictures in all epochs together.
        devices: the batch size is a multiple of this number.
        gpus: number of GPUs.
    """
    size = 32 if pictures < 5_000 else 64
    while 2 * size <= MAX_BATCH * gpus and seen >= 2 * size * STEPS:
        size *= 2
    return -(-size // devices) * devices


def learning_rate(preset: str, from_weights: bool, batch_size: int) -> float:
    """Peak of the learning rate: lower from trained weights, and growing with the square root of batches above 64.

    The square root is the scaling rule for Adam of Malladi et al. 2022, "On the SDEs and Scaling Rules for Adaptive
    Gradient Algorithms".
    """
    rate = PRESETS[preset].learning_rates[from_weights]
    return float(f"{rate * max(1.0, batch_size / 64) ** 0.5:.2g}")


def start_of(new: ModelConfig) -> str:
    """The name of shipped weights that fit the network of `new`, or `random` if none do.

    They were trained on many strokes, noises and characters; a corpus of some hundred pictures has too few.
    """
    fitting = (name for name, shipped in _starts(new.height) if not transfer.misfit(shipped, new))
    return next(fitting, RANDOM)


def _usual_network(flags: TrainingParameters) -> dict[str, Any]:
    """The flags of the network of the first shipped weights that fit `flags`; none if they ask for another."""
    height = notation.picture_size(flags.size)[1] if flags.size else HEIGHT
    for _, shipped in _starts(height):
        network = {name: getattr(shipped, name) for name in ("network", "preset", "coordinates", "rows")}
        set_otherwise = [name for name, value in network.items() if getattr(flags, name) != value]
        if not flags.model_fields_set.intersection(set_otherwise):
            return network
    return {}


def _starts(height: int) -> list[tuple[str, ModelConfig]]:
    """Names and configurations of the weights that trainings at a height start from, best first."""
    files = {name: SHIPPED / f"{name}.keras" for name in (LINES, GENERAL)}
    found = {name: read_config(file) for name, file in files.items() if file.is_file()}
    return [(name, shipped) for name, shipped in found.items() if name == GENERAL or shipped.height == height]
