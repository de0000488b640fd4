"""Parameters of `python -m dataset`, its convert and its unpack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field, model_validator

from cli.flags import Flag, OneOf
from cli.registries import constant, names
from crnn_reader.errors import UserError
from crnn_reader.limits import MAX_PIXELS
from parameter.base import TRAIN_FOLDER, Parameters
from parameter.types import Alphabet, ByteCount, Encoding, File, LabelPattern, MaxPixels, Root

if TYPE_CHECKING:
    from typing import Self

#: The formats that convert writes, and whether they have labels as numbers of characters.
WRITABLE_FORMATS: dict[str, bool] = {
    written: constant(f"dataset.formats.{name}", "NUMBERED", False)
    for name in names("dataset.formats")
    for written in constant(f"dataset.formats.{name}", "WRITES", ())
}
_NUMBERED = [name for name, numbered in WRITABLE_FORMATS.items() if numbered]


class DatasetParameters(Parameters):
    """Report what a folder or list of labelled pictures holds: counts, alphabet, lengths, sizes, faults.

    `python -m dataset suggest` says how to read pictures without labels, `python -m dataset convert` writes labelled
    ones in another format, and `python -m dataset unpack` unpacks an archive.
    """

    path: Annotated[str, Flag("[PATH]", positional=True)] = Field(
        TRAIN_FOLDER, description="Folder or list of labelled pictures."
    )
    label_pattern: LabelPattern = None
    root: Root = None
    json_: File | None = Field(None, description="Also write the report as JSON.")
    plot: File | None = Field(None, description="Also draw 96 pictures with their labels, such as sheet.png.")
    max_pixels: MaxPixels = MAX_PIXELS


class ConvertParameters(Parameters):
    """Write labelled pictures in another format. Picture files stay as they are if the format can hold them."""

    source: Annotated[str, Flag("IN", positional=True)] = Field(description="Labelled pictures in any format.")
    out: Annotated[str, Flag("OUT", positional=True)] = Field(description="Folder to create.")
    form: Annotated[str, AfterValidator(OneOf(tuple(WRITABLE_FORMATS)))] = Field(
        description="Format to write; docs/formats.md shows each."
    )
    validation: Annotated[float | None, Flag("FRACTION", default="all in OUT")] = Field(
        None, gt=0, lt=1, description="Part of the pictures to write to OUT/validation; the others go to OUT/train."
    )
    shards: int = Field(1, ge=1, le=99_999, description=f"Number of record files ({', '.join(_NUMBERED)}).")
    alphabet: Annotated[Alphabet | None, Flag("CHARS|FILE", default="the characters of the labels")] = Field(
        None, description=f"Characters in the order of their numbers, or a dictionary file ({', '.join(_NUMBERED)})."
    )
    label_pattern: LabelPattern = None
    root: Root = None
    max_pixels: MaxPixels = MAX_PIXELS

    @model_validator(mode="after")
    def _only_records_have_these(self) -> Self:
        if not WRITABLE_FORMATS[self.form] and (self.shards > 1 or self.alphabet):
            name = "shards" if self.shards > 1 else "alphabet"
            raise UserError(f"--{name} is for --form {' and '.join(_NUMBERED)}, not for {self.form}: leave it out")
        return self


class SuggestParameters(Parameters):
    """Guess what pictures without labels show, and how to read them: lengths, characters, weights."""

    path: Annotated[str, Flag("PATH", positional=True)] = Field(description="Folder or list of pictures.")
    model: str = Field("general", description="ONNX file or shipped name of the model that reads some of them.")
    json_: File | None = Field(None, description="Also write the result as JSON.")
    max_pixels: MaxPixels = MAX_PIXELS


class UnpackParameters(Parameters):
    """Unpack an archive of pictures (tar, tar.gz, zip …) into DIR, and nothing outside it. Continues if interrupted."""

    archive: Annotated[str, Flag("ARCHIVE", positional=True)] = Field(description="The archive.")
    out: Annotated[str, Flag("DIR", positional=True)] = Field(description="Folder to unpack into.")
    names: Annotated[Encoding | None, Flag("ENCODING", default="UTF-8")] = Field(
        None, description="Encoding of file names that are not marked as UTF-8, such as gbk or shift_jis."
    )
    max_size: Annotated[ByteCount | None, Flag("SIZE", default="100 times the archive, at least 250MB")] = Field(
        None, description="Maximum number of bytes to unpack, such as 50GB."
    )
