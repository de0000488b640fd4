"""Defaults that depend on the corpus, so that training.py without flags suits 300 pictures and a million.

How they were found: docs/recipe.md.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from cli.messages import warn
from crnn_reader.alphabet import UNREADABLE, expand_alphabet, write_alphabet
from crnn_reader.config import ModelConfig
from crnn_reader.errors import UserError
from crnn_reader.fit import WIDTH_STEP, scaled_width
from crnn_reader.image import TooLong
from crnn_reader.model_files import locate_model, read_config
from crnn_reader.parsing import MAX_SIDE
from model import devices, network
from model.heads import HEADS
from model.model_file import SHIPPED
from model.processes import ALONE, Place
from model.training import transfer
from model.training.adaptation import Adaptation
from model.training.schedule import Schedule
from model.training.trainer import Settings
from parameter import PRESETS, RANDOM, TRAIN_FOLDER, GenerateParameters, TrainingParameters, notation

#: What --quick trains on: enough to read most captchas within three minutes on two cores.
QUICK = GenerateParameters(out="DB/quick", count=16_000)
#: There is no time to learn what strong augmentation does to pictures, and there are enough of them.
QUICK_AUGMENTATION = 0.25

#: The shipped weights that trainings start from, where they fit: of short texts, 64 high, and of lines, 32 high.
STARTS = ("general", "lines")

#: On a GPU: the least number of steps of a training, and pictures in a batch on each GPU, with which an H200 trains
#: `small` at 85 % of its highest speed.
STEPS, LARGEST_BATCH = 4_000, 1_024

#: Letters that stand out so many times as much in colour as in grey are better read in colour.
HUES = 2.0

#: Rows that the networks are made for: enough for the strokes of one line of text.
HEIGHT = 64


def quick(parameters: TrainingParameters) -> tuple[GenerateParameters, TrainingParameters]:
    """The pictures that --quick makes, and the training on them, of a `lite` network unless flags ask for another.

    Raises UserError when other pictures are given.
    """
    if parameters.data not in (TRAIN_FOLDER, QUICK.out):
        raise UserError(f"--quick generates its own pictures: leave out --data {parameters.data}, or leave out --quick")
    if not parameters.model_fields_set & {"preset", "network", "from_"}:
        parameters = TrainingParameters(**parameters.model_dump(exclude_unset=True), preset="lite")
    own = {
        "data": QUICK.out,
        "epochs": parameters.epochs or PRESETS[parameters.preset].quick_epochs,
        "from_": parameters.from_ or RANDOM,
        "augmentation": QUICK_AUGMENTATION if parameters.augmentation is None else parameters.augmentation,
    }
    return QUICK, parameters.model_copy(update=own)


def completed(
    parameters: TrainingParameters, labels: Sequence[str], aspect: float, hues: float, pictures: int
) -> TrainingParameters:
    """`parameters` with everything that was left to the kit, but for the epochs, which stay a budget.

    `labels` have every character and length of the texts, `aspect` is the median of the pictures' width / height,
    `hues` how many times as much contrast as in grey there is in colour.
    """
    given, known = parameters, ""
    if not given.resume and given.from_ not in (None, RANDOM):
        weights = read_config(locate_model(given.from_, to_train=True))
        # Few pictures do not have all characters: those that the weights can read stay.
        parameters, known = as_started(given, weights), weights.alphabet
    found = characters(labels)
    if not found:
        raise UserError(
            f"no picture in {parameters.data} has a label: name files LABEL_anything.png, list them with their labels, "
            "or say with --label-pattern where the label is"
        )
    longest = max(map(len, labels))
    if not given.resume:
        refuse_idle_flags(given, parameters.head, longest)
    needed = max(map(HEADS[parameters.head].steps_needed, labels))
    width, height = size(aspect, -(-needed // parameters.rows), network.column_width(parameters.network))
    if not parameters.size and width > MAX_SIDE:
        raise UserError(
            f"the longest label, of {longest:,} characters, needs pictures {width:,} pixels wide with --head "
            f"{parameters.head}, more than {MAX_SIDE:,}: leave it out, cut its picture, or try --head attention"
        )
    filled = parameters.model_copy(
        update={
            "alphabet": parameters.alphabet or write_alphabet(characters([found, known])),
            "size": parameters.size or f"{width}x{height}",
            "colour": parameters.colour or ("rgb" if hues > HUES else "grey"),
            "longest": parameters.longest or 2 * longest,
            "precision": parameters.precision or devices.fastest_policy(),
        }
    )
    written_leftwards = any(unicodedata.bidirectional(each) in ("R", "AL") for each in config(filled).alphabet)
    if written_leftwards and HEADS[parameters.head].left_to_right:
        warn(
            f"labels are written from right to left, and {parameters.head} reads from left to right: try --head "
            "attention"
        )
    start = parameters.from_ or start_of(config(filled))
    seen = pictures * (parameters.epochs or epochs(pictures, start != RANDOM))
    together = parameters.devices or devices.of_all_processes()
    batch = parameters.batch_size or batch_size(pictures, seen, together, len(devices.accelerators()))
    rate = parameters.learning_rate or learning_rate(parameters.preset, start != RANDOM, batch)
    return filled.model_copy(update={"from_": start, "batch_size": batch, "learning_rate": rate})


def refuse_idle_flags(given: TrainingParameters, head: str, longest: int) -> None:
    """Raise UserError for flags of the attention head where it is not, and for texts that it could not write."""
    usual = TrainingParameters()
    for name in ("cell", "label_smoothing", "longest"):
        value = getattr(given, name)
        if not HEADS[head].generates and value != getattr(usual, name):
            having = " and ".join(other for other in HEADS if HEADS[other].generates)
            raise UserError(f"--{name.replace('_', '-')} {value} is for --head {having}, not for {head}: leave it out")
    if given.longest and given.longest < longest:
        raise UserError(
            f"--longest {given.longest} is less than the {longest} characters of the longest label: leave it out, or "
            f"give {longest} or more"
        )


def as_started(parameters: TrainingParameters, config: ModelConfig) -> TrainingParameters:
    """`parameters` with the network of `--from`, as far as no flags ask for another."""
    same = {
        name: getattr(config, name) for name in ("network", "preset", "head", "rectify", "coordinates", "rows", "cell")
    }
    same |= {"size": f"{config.width or 'auto'}x{config.height}", "fit": config.fit, "frame": config.frame}
    same |= {"colour": "grey" if config.channels == 1 else "rgb"}
    return parameters.model_copy(
        update={name: value for name, value in same.items() if name not in parameters.model_fields_set}
    )


def config(parameters: TrainingParameters) -> ModelConfig:
    """What the model file of completed `parameters` says of itself."""
    width, height = notation.picture_size(parameters.size or "")
    return ModelConfig(
        network=parameters.network,
        preset=parameters.preset,
        head=parameters.head,
        alphabet=expand_alphabet(parameters.alphabet or ""),
        width=width,
        height=height,
        channels=3 if parameters.colour == "rgb" else 1,
        fit=parameters.fit,
        frame=parameters.frame,
        rectify=parameters.rectify,
        coordinates=parameters.coordinates,
        rows=parameters.rows,
        cell=parameters.cell,
        label_smoothing=parameters.label_smoothing,
        longest=parameters.longest or 1,
    )


def settings(
    parameters: TrainingParameters, pictures: int, adaptation: Adaptation | None = None, place: Place = ALONE
) -> Settings:
    """The settings of the trainer for completed `parameters` and a number of pictures to train on.

    Raises UserError if the devices asked for do not exist, or do not divide the batch size.
    """
    batch = parameters.batch_size or pictures
    schedule = Schedule(
        peak=parameters.learning_rate or 0.0,
        epochs=budget(parameters, pictures),
        warmup=parameters.warmup,
        # What grows harder has no validation loss that could settle.
        settle=parameters.epochs is None and not parameters.curriculum,
    )
    return Settings(
        schedule,
        parameters.weight_decay,
        parameters.clip_norm,
        parameters.ema,
        parameters.patience,
        adaptation,
        batch,
        parameters.precision or "float32",
        devices.shared_by(parameters.devices, batch),
        place,
    )


def budget(parameters: TrainingParameters, pictures: int) -> int:
    """Passes over so many pictures, at the most, with completed `parameters`."""
    return parameters.epochs or epochs(pictures, parameters.from_ != RANDOM)


def first_augmentation(pictures: int) -> float:
    """Strength of the augmentation in the first epoch, where it is adapted: many pictures vary enough by themselves."""
    return min(1.0, (1000 / pictures) ** 0.3)


def too_long(config: ModelConfig, steps: int | None) -> TooLong:
    """A function that says of a label and its picture's width and height why a network of so many steps cannot write
    it.

    `steps` is None where the picture's width decides; None is said of what can be read.
    """

    def reason(label: str, width: int, height: int) -> str | None:
        if HEADS[config.head].generates and len(label) > config.longest:
            return (
                f"{label} is longer than the {config.longest} that the head writes: train with --longest {len(label)}"
            )
        columns = scaled_width(config.height, width, height) // WIDTH_STEP if steps is None else steps
        needed = HEADS[config.head].steps_needed(label)
        if needed <= columns:
            return None
        if config.width is None:
            taller = f"--size autox{-(-needed * config.height // columns)}"
            return f"{label} needs {needed} columns, its picture has {columns}: train with {taller} or taller"
        wider = f"--size {-(-needed * config.width // columns)}x{config.height}"
        return f"{label} needs {needed} columns, width {config.width} gives {columns}: train with {wider} or wider"

    return reason


def characters(labels: Sequence[str]) -> str:
    """The alphabet of labels, sorted, without what no alphabet has; a `-` first, where it does not make a range.

    Then what would melt with a letter before it: combining marks, in the order that composition (NFC) leaves as it is.
    """

    def place(character: str) -> tuple[bool, bool, bool, int, str]:
        mark, order = unicodedata.category(character)[0] == "M", unicodedata.combining(character)
        return character != "-", not mark, not order, order, character

    return UNREADABLE.sub("", "".join(sorted(set().union(*labels), key=place)))


def size(aspect: float, steps_needed: int, column: int = WIDTH_STEP) -> tuple[int, int]:
    """Width and height for pictures of a median `aspect` (width / height) and labels that need so many steps, each of
    which is `column` pixels wide.

    The width follows the pictures, within limits: narrower ones have too few columns to tell
    neighbours apart, wider ones cost time in proportion. Twice the steps that the longest label needs
    is what CTC reads comfortably, with a blank between any two characters.
    """
    width = min(max(aspect * HEIGHT, 128), 192)
    width = max(width, 2 * steps_needed * column)
    return 8 * -(-int(width) // 8), HEIGHT


def epochs(pictures: int, from_weights: bool) -> int:
    """Passes over a corpus at the most: many over a small one, few over a large one, more steps for the larger.

    Half as many where what strokes look like is known.
    """
    return max(3, round((60 if from_weights else 120) * (1000 / pictures) ** 0.5))


def batch_size(pictures: int, seen: int, devices: int = 1, gpus: int = 0) -> int:
    """Pictures in a batch, a multiple of `devices`; `seen` counts each picture once for every epoch.

    Small batches for small corpora, which would see too few steps otherwise. A GPU needs large ones to be busy: there,
    it is the largest power of two that leaves :data:`STEPS` steps.
    """
    size = 32 if pictures < 5_000 else 64
    while 2 * size <= LARGEST_BATCH * gpus and seen >= 2 * size * STEPS:
        size *= 2
    return -(-size // devices) * devices


def learning_rate(preset: str, from_weights: bool, batch_size: int) -> float:
    """Peak of the schedule: lower where there are weights to lose; with the square root of batches larger than 64.

    The square root is the rule for Adam of Malladi et al. 2022, "On the SDEs and Scaling Rules for Adaptive Gradient
    Algorithms".
    """
    rate = PRESETS[preset].learning_rates[from_weights]
    return float(f"{rate * max(1.0, batch_size / 64) ** 0.5:.2g}")


def with_half_batches(parameters: TrainingParameters, size: int) -> TrainingParameters:
    """Completed `parameters`, whose batches have `size` pictures, with half of that and the learning rate for it."""
    from_weights = parameters.from_ != RANDOM
    rate = parameters.learning_rate
    if rate == learning_rate(parameters.preset, from_weights, size):
        rate = learning_rate(parameters.preset, from_weights, size // 2)
    return parameters.model_copy(update={"batch_size": size // 2, "learning_rate": rate})


def start_of(new: ModelConfig) -> str:
    """The name of shipped weights that fit the network of `new`, or `random` when none do.

    They have seen strokes, noise and characters; a corpus of some hundred pictures has not enough of them.
    """
    for name in STARTS:
        shipped = SHIPPED / f"{name}.keras"
        if shipped.is_file() and not transfer.misfit(read_config(shipped), new):
            return name
    return RANDOM
