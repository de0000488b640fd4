"""Parameters of export.py."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

from pydantic import AfterValidator, Field, model_validator

from cli.flags import Flag, OneOf
from cli.registries import constant, names
from crnn_reader.errors import UserError
from parameter.base import SHIPPED_MODELS, Parameters
from parameter.types import LabelPattern, Root

if TYPE_CHECKING:
    from typing import Self


class ExportProperties(NamedTuple):
    """Properties of a format of exports that the flags need: the constant `PROPERTIES` in its file."""

    #: The suffix of its files. Empty for a folder.
    suffix: str
    #: Whether it can hold 8-bit integers (--int8).
    int8: bool = False
    #: Whether it can store weights as 16-bit floats (--float16).
    float16: bool = False


#: The formats that export.py writes.
EXPORT_FORMATS = {
    name: ExportProperties(**constant(f"model.export.{name}", "PROPERTIES")) for name in names("model.export")
}


class ExportParameters(Parameters):
    """Export a model file for another runtime. The export is compared with Keras before it is written.

    With --int8 it may read differently: both accuracies are printed, and a significant loss is refused.
    """

    model: Annotated[str, Flag("MODEL", positional=True)] = Field(
        description=f"Model file, run folder or shipped name: {', '.join(SHIPPED_MODELS)}."
    )
    form: Annotated[str, AfterValidator(OneOf(tuple(EXPORT_FORMATS)))] = Field(
        "onnx", description="Format to write; this kit reads onnx without Keras, docs/export.md describes the others."
    )
    out: Annotated[str, Flag("PATH")] = Field(
        description=f"File to write: {', '.join(each.suffix or 'or a folder' for each in EXPORT_FORMATS.values())}."
    )
    layouts: Annotated[str | None, Flag("NAMES|FILES|all|none", default="the formats of the model")] = Field(
        None,
        description="Store the formats of these plate layouts, such as de,mine.toml, so that they help with reading "
        "(docs/plates.md).",
    )
    average: Annotated[str | None, Flag("MODELS")] = Field(
        None,
        description="Export the mean of the weights of MODEL and these, separated by commas, such as the one that its "
        "training started from (docs/export.md).",
    )
    calibrate: Annotated[str | None, Flag("PATH")] = Field(
        None, description="Calibrate the probabilities on these labelled pictures, which MODEL was not trained on."
    )
    int8: Annotated[str | None, Flag("PATH")] = Field(
        None, description="Quantise to 8-bit integers, calibrated and tested on these labelled pictures (onnx)."
    )
    float16: Annotated[str | None, Flag("PATH")] = Field(
        None, description="Store weights as 16-bit floats, if the texts of all these pictures stay the same (onnx)."
    )
    accept_loss: bool = Field(
        False, description="Write the file even if --int8 reads significantly fewer pictures right."
    )
    label_pattern: LabelPattern = None
    root: Root = None

    @model_validator(mode="after")
    def _suffix_of_the_format(self) -> Self:
        properties, given = EXPORT_FORMATS[self.form], Path(self.out).suffix
        if given != properties.suffix:
            suffix = properties.suffix
            wanted = f"a name that ends in {suffix}" if suffix else "the name of a folder, without a suffix"
            others = [name for name, other in EXPORT_FORMATS.items() if given and other.suffix == given]
            or_else = f"; or give --form {others[0]}" if others else ""
            raise UserError(f"--out {self.out}: --form {self.form} takes {wanted}{or_else}")
        if self.int8 and self.float16:
            raise UserError("--int8 and --float16 are two ways to store the weights: give one of them")
        for flag in ("int8", "float16"):
            if getattr(self, flag) and not getattr(properties, flag):
                having = [name for name, other in EXPORT_FORMATS.items() if getattr(other, flag)]
                raise UserError(f"--{flag} is for --form {' and '.join(having)}, not for {self.form}: leave it out")
        if self.accept_loss and not self.int8:
            raise UserError("--accept-loss is for --int8: add that, or leave it out")
        return self
