"""Parameters of training.py and learning_curve.py."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import AfterValidator, Field, ValidationInfo, model_validator

from cli.flags import Flag, OneOf, shown
from cli.registries import names
from crnn_reader.errors import UserError
from crnn_reader.limits import MAX_BATCH_SIZE, MAX_PIXELS, MAX_ROWS, MAX_TEXT_LENGTH
from parameter.base import RUNS_FOLDER, STORED, TRAIN_FOLDER, Parameters
from parameter.generation import GenerateParameters, split_flags
from parameter.types import (
    Folder,
    FractionOrPath,
    Frame,
    LabelPattern,
    MaxPixels,
    Member,
    Parts,
    PictureSize,
    Root,
    StoredAlphabet,
)

if TYPE_CHECKING:
    from typing import Self

#: The value of --from that starts with random weights.
RANDOM = "random"


class Preset(NamedTuple):
    """Properties of a preset that the defaults of a training depend on."""

    #: Default of --network.
    network: str
    #: Peak learning rates for batches of up to 64 pictures, starting from random weights and from trained ones.
    learning_rates: tuple[float, float]
    #: Epochs of --quick.
    quick_epochs: int


#: The sizes of networks. `lite` is nearly three times as fast as `small` and learns more slowly.
PRESETS = {
    "lite": Preset("vgg_conv", (2e-3, 1.5e-3), 8),
    "small": Preset("vgg_bilstm", (2e-3, 1.5e-3), 4),
    "plate": Preset("vgg_bilstm", (2e-3, 1.5e-3), 4),
    "base": Preset("vgg_bilstm", (1e-3, 1e-3), 4),
}

_NETWORKS = tuple(map("_".join, itertools.product(names("model.backbones"), names("model.sequences"))))


class TrainingParameters(Parameters):
    """Train a network on labelled pictures, and write a run folder with the model file."""

    SECTIONS: ClassVar = {
        "data": "pictures",
        "network": "network",
        "fit": "preparation of pictures",
        "epochs": "training",
        "run": "run",
    }
    HINTS: ClassVar = {
        name: "flags for drawn pictures belong inside the quotes of --data 'generate:STYLE "
        + shown(name, None)
        + ("'" if field.annotation is bool else " …'")
        for name, field in GenerateParameters.model_fields.items()
        if name not in ("out", "style")
    }

    data: Annotated[str, Flag("PATH|generate:STYLE")] = Field(
        TRAIN_FOLDER,
        description="Folder or list of labelled pictures; or 'generate:line --length 10' with the flags of "
        "generate_captcha, to draw --count new pictures for every epoch.",
    )
    unlabelled: Annotated[str | None, Flag("PATH")] = Field(
        None,
        description="Folder or list of pictures without labels, instead of --data: those that the weights to start "
        "from read with a high probability are trained on, with their texts as labels.",
    )
    curriculum: bool = Field(
        False,
        description="Drawn lines and plates start clean and become harder as they are learnt, up to --difficulty.",
    )
    validation: FractionOrPath = Field(
        "0.1", description="Pictures to choose the best weights with: a folder, a list, or a part of the data."
    )
    negatives: Annotated[str | None, Flag("PATH")] = Field(
        None,
        description="Folder or list of pictures that show nothing to read, so that the network learns to reject such "
        "pictures; their names need no label.",
    )
    label_pattern: LabelPattern = None
    root: Root = None
    alphabet: Annotated[StoredAlphabet | None, Flag("CHARS|FILE", default="those of the labels and of --from")] = Field(
        None, description="Characters that the network can read."
    )
    layouts: Annotated[
        str | None, Flag("NAMES|FILES|all|none", default="those of generated plates, else those of --from")
    ] = Field(
        None,
        description="Store the formats of these plate layouts, such as de,mine.toml, in the model file, so that they "
        "help with reading (docs/plates.md).",
    )
    network: Annotated[str, AfterValidator(OneOf(_NETWORKS)), Flag("BACKBONE_SEQUENCE")] = Field(
        PRESETS["small"].network,
        description=f"Backbone ({', '.join(names('model.backbones'))}) and sequence "
        f"({', '.join(names('model.sequences'))}), joined by _; {PRESETS['lite'].network} with --preset lite.",
    )
    preset: Annotated[str, AfterValidator(OneOf(tuple(PRESETS)))] = Field(
        "small",
        description="small for a CPU; lite with a quarter of the computation and plate with a little more (only vgg); "
        "base as published. Weights to start from replace the default by theirs.",
    )
    head: Annotated[str, AfterValidator(OneOf(names("model.heads")))] = Field(
        "ctc", description="Head that turns columns into text; joint trains both on one encoder."
    )
    rectify: Annotated[str, AfterValidator(OneOf(("none", *names("model.rectifiers"))))] = Field(
        "none", description="Straighten pictures first with a spatial transformer, affine or thin-plate spline."
    )
    coordinates: bool = Field(
        False, description="Append the one-hot number of each column to the features (as in attention_ocr)."
    )
    rows: int = Field(
        1,
        ge=1,
        le=MAX_ROWS,
        description="Maximum number of rows of text in a picture, read one after the other.",
    )
    size: Annotated[PictureSize | None, Flag("WxH|autoxH", default="chosen from the pictures and labels")] = Field(
        None, description="Width and height of the network's input; autox32 allows any width and keeps the aspect."
    )
    cell: Literal["gru", "lstm"] = Field("gru", description="Recurrent cell of the attention head.")
    label_smoothing: float = Field(0.1, ge=0, lt=1, description="Label smoothing of the attention head.")
    longest: Annotated[int | None, Flag("N", default="twice the longest label")] = Field(
        None, ge=1, le=MAX_TEXT_LENGTH, description="Maximum number of characters that the attention head writes."
    )
    fit: Literal["stretch", "pad"] = Field(
        "stretch", description="How to fit a picture to --size; pad keeps its aspect."
    )
    colour: Annotated[
        Literal["grey", "rgb"] | None, Flag(default="grey, unless letters differ from the background mainly in hue")
    ] = Field(None, description="Colour of the network's input.")
    frame: Frame = Field("first", description="Which frame of an animation, or page of a TIFF, to read.")
    max_pixels: MaxPixels = MAX_PIXELS
    epochs: Annotated[int | None, Flag("N", default="chosen from the number of pictures")] = Field(
        None, ge=1, description="Number of passes over the pictures."
    )
    batch_size: Annotated[int | None, Flag("N", default="chosen from the number of pictures")] = Field(
        None, ge=1, le=MAX_BATCH_SIZE, description="Pictures per step."
    )
    learning_rate: Annotated[float | None, Flag("X", default="by preset, start and batch size")] = Field(
        None, gt=0, le=10, description="Peak learning rate of AdamW, after warm-up."
    )
    weight_decay: float = Field(0.01, ge=0, le=1, description="Weight decay of AdamW.")
    warmup: float = Field(0.05, ge=0, lt=1, description="Part of the steps in which the learning rate rises.")
    clip_norm: float = Field(5.0, gt=0, description="Clip gradients to this global norm.")
    ema: float = Field(0.0, ge=0, lt=1, description="Decay of the average of the weights, such as 0.999; 0 is off.")
    augmentation: Annotated[float | None, Flag("X", default="adapted while training")] = Field(
        None, ge=0, le=3, description="Strength of the augmentation; 0 is off, 1 is usual."
    )
    patience: Annotated[int | None, Flag("N", default="no early stopping")] = Field(
        None, ge=1, description="Stop after this number of epochs without a better validation."
    )
    seed: int = Field(0, ge=0, lt=2**32, description="Seed of the weights, the order and the augmentation.")
    workers: Annotated[int | None, Flag("N", default="as many as the network keeps busy")] = Field(
        None, ge=0, le=1024, description="Processes that augment pictures; 0: a thread does."
    )
    run: Annotated[Folder | None, Flag("DIR", default=f"{RUNS_FOLDER}/DATE-TIME")] = Field(
        None, description="Run folder."
    )
    resume: bool = Field(False, description="Continue the training of the run folder, or of the latest run.")
    from_: Annotated[str | None, Flag(f"MODEL|{RANDOM}", default=f"general or lines where one fits, else {RANDOM}")] = (
        Field(
            None,
            description=(
                "Start from the weights of a model file, a run folder or a shipped name, with its stages, size and "
                "characters, unless you set others."
            ),
        )
    )
    precision: Annotated[
        Literal["float32", "mixed_bfloat16", "mixed_float16"] | None,
        Flag(default="float32; with jax on a GPU that has it, mixed_bfloat16"),
    ] = Field(None, description="Number format of the computation.")
    devices: Annotated[int | None, Flag("N", default="all GPUs, with jax")] = Field(
        None, ge=1, le=65_536, description="Number of devices that share each batch."
    )
    join: Member | None = Field(
        None,
        description=(
            "Train together with other processes, with jax: as process I of N, of which the first listens at "
            "HOST:PORT; auto under SLURM, Open MPI and Kubernetes."
        ),
    )
    quick: bool = Field(False, description="Train a lite network on generated captchas; some minutes on two cores.")

    @model_validator(mode="after")
    def _unlabelled_pictures_need_weights(self, info: ValidationInfo) -> Self:
        # In a run folder, the data of such a run are the readings.
        if self.unlabelled is None or info.context is STORED:
            return self
        for name, why in (
            ("data", "which it replaces"),
            ("quick", "which draws its own pictures"),
            ("join", "which would read them once in every process: write the readings with a process first"),
        ):
            if name in self.model_fields_set:
                raise UserError(f"--unlabelled {self.unlabelled} cannot be combined with --{name}, {why}")
        if self.from_ == RANDOM:
            raise UserError(f"--unlabelled {self.unlabelled}: random weights cannot read; leave out --from {RANDOM}")
        return self

    @model_validator(mode="before")
    @classmethod
    def _network_of_the_preset(cls, values: dict[str, Any]) -> dict[str, Any]:
        preset, default = PRESETS.get(values.get("preset", "")), cls.model_fields["network"].default
        # A default does not count as set: the network of --from replaces it.
        return {"network": preset.network} | values if preset and preset.network != default else values


class LearningCurveParameters(Parameters):
    """Would more pictures help? Train on growing parts of the pictures, and test each time on the same others."""

    data: Annotated[str, Flag("PATH")] = Field(TRAIN_FOLDER, description="Folder or list of labelled pictures.")
    test: FractionOrPath = Field(
        "0.2", description="Part of the pictures to hold out for the test, or other labelled pictures."
    )
    parts: Annotated[Parts | None, Flag("N,N,…", default="doubling, up to all")] = Field(
        None, description="Numbers of pictures to train on, one for each training."
    )
    training: Annotated[str, Flag("FLAGS")] = Field(
        "", description="Flags of training.py for each training: --training='--from plate --size 160x48'."
    )
    run: Folder = Field(
        f"{RUNS_FOLDER}/learning-curve",
        description="Folder for the runs and the curve; the same command continues an interrupted one.",
    )
    label_pattern: LabelPattern = None
    root: Root = None

    @model_validator(mode="after")
    def _training_has_flags_of_its_own(self) -> Self:
        flags = TrainingParameters.parse(split_flags("--training", self.training))
        for name in ("data", "unlabelled", "run", "resume", "quick"):
            if name in flags.model_fields_set:
                raise UserError(f"--training {self.training}: leave out --{name}, which is set for each part")
        return self
