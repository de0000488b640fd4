"""Parameters of prediction.py and evaluation.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from cli.flags import Flag, OneOf
from cli.registries import names
from crnn_reader.errors import UserError
from crnn_reader.limits import MAX_BATCH_SIZE, MAX_BEAM_WIDTH, MAX_PIXELS, MAX_TEXTS, PLATES_TTA
from parameter.base import SHIPPED_MODELS, TEST_FOLDER, Parameters
from parameter.types import Alphabet, File, Folder, Frame, LabelPattern, Length, MaxPixels, MinProbability, Root

if TYPE_CHECKING:
    from typing import Self


class ReadingParameters(Parameters):
    """The model, and constraints on the texts."""

    SECTIONS: ClassVar = {"model": "model", "length": "constraints on the texts", "batch_size": "reading"}

    model: Annotated[str, Flag("NAME|FILE")] = Field(
        "captcha", description=f"Model file, run folder or shipped name: {', '.join(SHIPPED_MODELS)}."
    )
    head: Annotated[
        Annotated[str, AfterValidator(OneOf(names("crnn_reader.decoding")))] | None, Flag(default="the model file's")
    ] = Field(None, description="Head to read with, if the model file has both.")
    decoder: Annotated[Literal["greedy", "beam"] | None, Flag(default="the model file's")] = Field(
        None, description="Search: greedy or beam."
    )
    beam_width: int = Field(10, ge=1, le=MAX_BEAM_WIDTH, description="Number of texts that the beam keeps.")
    length: Length | None = Field(None, description="Number of characters of each text, or a range.")
    charset: Alphabet | None = Field(
        None, description="The characters of the texts, as ranges, themselves or in a file."
    )
    pattern: Annotated[str | None, Flag("PATTERN")] = Field(
        None, description="Pattern of the whole text, such as '[A-Z]{2}\\d{3,4}|\\d{7}' (docs/reading.md)."
    )
    lexicon: File | None = Field(None, description="A text file with all possible texts, one per line.")
    layouts: Annotated[str | None, Flag("NAMES|none|help", default="prefer texts of all formats")] = Field(
        None,
        description="Read only plates of these layouts, such as de,pl_car; none ignores the formats in the model file, "
        "help lists them (docs/plates.md).",
    )
    tta: Annotated[float | None, Flag("P", default=f"{PLATES_TTA} for models with formats of plates, else 0")] = Field(
        None,
        ge=0,
        le=1,
        description="Test-time augmentation: read pictures whose text has a lower probability than P again, zoomed, "
        "slanted, narrower and lower, and average the probabilities; 0 is off (docs/reading.md).",
    )
    batch_size: Annotated[int | None, Flag("N", default="64; 32 on each core with an ONNX file")] = Field(
        None, ge=1, le=MAX_BATCH_SIZE, description="Pictures per batch."
    )
    frame: Annotated[Frame | None, Flag("first|last|N", default="as in training")] = Field(
        None, description="Which frame of an animation, or page of a TIFF, to read."
    )
    max_pixels: MaxPixels = MAX_PIXELS


class PredictionParameters(ReadingParameters):
    """Read pictures with a model file, and print one line for each picture."""

    SECTIONS: ClassVar = ReadingParameters.SECTIONS | {"csv": "output", "labels": "labels"}

    paths: Annotated[tuple[str, ...], Flag("[PATH…]", positional=True)] = Field(
        (), description="Pictures, folders, lists, or - for paths on stdin, one per line."
    )
    min_probability: MinProbability = Field(
        None, description="Reject readings below this probability: mark and count them."
    )
    top: int = Field(1, ge=1, le=MAX_TEXTS, description="Number of texts per picture (beam).")
    keep_separators: bool = Field(
        False, description="Plates: write spaces, dashes and dots as the layout of the plate does (docs/plates.md)."
    )
    csv: File | None = Field(None, description="Write a CSV table.")
    csv_safe: bool = Field(
        False, description="Escape cells of the CSV table that a spreadsheet would compute, such as =1+1."
    )
    json_: File | None = Field(None, description="Write JSON.")
    icdar: File | None = Field(None, description="Write an ICDAR submission.")
    plot: File | None = Field(None, description="Write a contact sheet.")
    demo: int | None = Field(
        None, ge=1, le=96, description="Read N random labelled pictures, the same each time, and plot them (demo.png)."
    )
    labels: bool = Field(False, description="The pictures are labelled: add labels, verdicts and scores.")
    label_pattern: LabelPattern = None
    root: Root = None
    ignore_case: bool = Field(False, description="Ignore case when comparing with labels.")

    @model_validator(mode="after")
    def _beam_has_a_use(self) -> Self:
        if self.top == 1:
            _refuse_idle_beam(self)
        return self

    @model_validator(mode="after")
    def _safe_table(self) -> Self:
        if self.csv_safe and not self.csv:
            raise UserError("--csv-safe is for --csv FILE: add that, or leave it out")
        return self


class EvaluationParameters(ReadingParameters):
    """Score a model file on labelled pictures, with confidence intervals."""

    SECTIONS: ClassVar = ReadingParameters.SECTIONS | {"json_": "output", "label_pattern": "labels"}

    path: Annotated[str, Flag("[PATH]", positional=True)] = Field(
        TEST_FOLDER, description="Folder or list of labelled pictures."
    )
    min_probability: MinProbability = Field(
        None, description="Report the effect of rejecting readings below this probability."
    )
    negatives: Annotated[str | None, Flag("PATH")] = Field(
        None,
        description="Folder or list of pictures that show nothing to read: report how many are read as empty, and how "
        "many are accepted.",
    )
    json_: File | None = Field(None, description="Write the scores as JSON.")
    report: Folder | None = Field(None, description="Write a report with plots and pictures to this folder.")
    follow: bool = Field(
        False, description="Score each better model of a run for its TensorBoard until the training ends."
    )
    label_pattern: LabelPattern = None
    root: Root = None
    ignore_case: bool = Field(False, description="Ignore case when comparing.")

    @model_validator(mode="after")
    def _beam_has_a_use(self) -> Self:
        _refuse_idle_beam(self)
        return self


def _refuse_idle_beam(given: ReadingParameters) -> None:
    """Raise UserError for a --beam-width without beam search, which constraints use too."""
    constraints = (given.length, given.charset, given.pattern, given.lexicon)
    default = type(given).model_fields["beam_width"].default
    if given.beam_width != default and given.decoder != "beam" and not any(constraints):
        raise UserError(f"--beam-width {given.beam_width} is for --decoder beam: add that, or leave it out")
