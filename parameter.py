"""Every parameter of the kit, once: name, default, unit and check.

The flags of the commands (:func:`from_command_line`) and the `parameters.json` of a run
(:meth:`Parameters.to_json`) both come from the classes below; their descriptions are the help texts.

Types that tyro does not know at sight, X | None and tuple[X, ...] among them, it has checked by typeguard, which
brings unittest and asyncio along: a tenth of the time to the first text that is read. Hence Optional[X] and tuple.
"""

# ruff: noqa: UP045

from __future__ import annotations

import contextlib
import difflib
import io
import itertools
import json
import re
import shlex
import sys
from collections.abc import Iterable
from encodings import aliases
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, Optional, TypeVar, get_args

import notation
from cli.command import WRONG_USE
from cli.messages import warn
from cli.registries import constant
from crnn_reader import bounded
from crnn_reader.alphabet import parse_alphabet, write_alphabet
from crnn_reader.errors import UserError
from crnn_reader.parsing import (
    MAX_BATCH_SIZE,
    MAX_BEAM_WIDTH,
    MAX_PIXELS,
    MAX_PIXELS_SETTING,
    MAX_ROWS,
    MAX_TEXT_LENGTH,
    MAX_TEXTS,
    parse_frame,
    parse_length,
)

try:
    import tyro
    from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, model_validator
    from tyro.conf import Positional, arg
except ModuleNotFoundError as missing:
    # Every command comes by here first, and a new terminal, without the environment, is the likeliest mistake of all.
    activate = r".venv\Scripts\activate" if sys.platform == "win32" else "source .venv/bin/activate"
    warn(
        f"error: {missing.name} is not installed for {sys.executable}: {activate}, once per terminal; "
        "if there is no .venv yet, python3 start.py makes it"
    )
    raise SystemExit(WRONG_USE) from None

#: Where the commands look when no path is given, relative to the clone.
TRAIN_FOLDER, TEST_FOLDER, RUNS_FOLDER = "DB/train", "DB/test", "runs"

#: What says of a folder how its pictures were made.
CORPUS_RECORD = "corpus.json"

DEFAULT_ALPHABET = "0-9A-Z"

#: Where the commands take the name of weights: none, the network starts as it is initialised.
RANDOM = "random"

#: The forms that `python -m dataset convert` writes, each a line in dataset.forms.WRITERS.
FormName = Literal["folder", "sidecar", "csv", "tsv", "json_lines", "tfrecord", "fsns", "lmdb"]

#: What stands before a style where pictures are drawn while training.
GENERATED = "generate:"


class StyleProperties(NamedTuple):
    """What the flags need to know of a style: the constant `PROPERTIES` in its file, as far as it differs from this."""

    #: Default of --size.
    size: str = "128x64"
    #: Whether the width can follow the text (--size autox32).
    any_width: bool = False
    #: Default of --length.
    length: str = "4"
    #: The parameter that the texts come from. None: they are --length characters of --alphabet.
    texts_from: str | None = None
    #: Parameters that not every style has.
    own: tuple[str, ...] = ()
    #: Whether networks are best trained at the size at which the pictures are drawn.
    trained_as_drawn: bool = False


#: The styles of generate_captcha.
STYLES = {
    name: StyleProperties(**constant(f"generate_captcha.styles.{name}", "PROPERTIES", {}))
    for name in constant("generate_captcha.styles", "STYLES")
}


def _styles_with(parameter: str) -> str:
    """`Styles line and plate: `, those that have a parameter of their own, at the beginning of its help."""
    names = [name for name, style in STYLES.items() if parameter in style.own]
    return f"Style{'s' * (len(names) > 1)} {' and '.join(names)}: "


def _style_defaults(defaults: dict[str, str]) -> str:
    """`128x64; line 280x32; plate autox64`: the usual default, and those of other styles."""
    usual = next(iter(defaults.values()))
    return "; ".join([usual, *(f"{name} {value}" for name, value in defaults.items() if value != usual)])


_SIZES = {name: style.size for name, style in STYLES.items()}
_LENGTHS = {name: style.length for name, style in STYLES.items() if not style.texts_from}

#: The stages of networks, each a file of that name: in model/backbones, in model/sequences and in model/heads.
BackboneName = Literal["vgg", "crnn", "resnet", "inception"]
SequenceName = Literal["bilstm", "bigru", "conv"]
HeadName = Literal["ctc", "attention", "joint"]
if TYPE_CHECKING:
    from typing import Self

    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

    StyleName = str
    NetworkName = str
    Paths = tuple[str, ...]
else:
    StyleName = Literal[tuple(STYLES)]
    NetworkName = Literal[tuple(map("_".join, itertools.product(get_args(BackboneName), get_args(SequenceName))))]
    Paths = tuple

#: The weights that the kit brings; each has a .keras file.
SHIPPED_MODELS = sorted(file.stem for file in (Path(__file__).parent / "model" / "weights").glob("*.keras"))

#: What export.py writes, each a file in model/export, and how the names of such files end; a SavedModel is a folder.
FileForm = Literal["onnx", "litert", "savedmodel"]
FILE_FORMS: dict[FileForm, str] = {"onnx": ".onnx", "litert": ".tflite", "savedmodel": ""}


#: The context in which values of a parameter file are validated.
STORED = object()


def _checked_size(text: str) -> str:
    return "x".join(map(str, notation.size(text)))


def picture_size(text: str) -> str:
    width, height = notation.picture_size(text)
    return f"{width or 'auto'}x{height}"


def _checked_length(text: str) -> str:
    parse_length(text)
    return text


def _checked_member(text: str | None) -> str | None:
    if text not in (None, "auto"):
        notation.member(text)
    return text


def _checked_alphabet(text: str) -> str:
    parse_alphabet(text)
    return text


def _stored_alphabet(text: str | None, info: ValidationInfo) -> str | None:
    """The alphabet of a training, without names of files, which may change or be where a text of characters is meant.

    What a parameter file holds never names one.
    """
    if text is None or info.context is STORED:
        return text
    return write_alphabet(parse_alphabet(text))


def _checked_pattern(text: str) -> str:
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise ValueError(f"this is not a regular expression ({error})") from error
    if "label" not in pattern.groupindex:
        raise ValueError("the expression needs a group named label, such as '(?P<label>[^_]+)_'")
    return text


def _checked_encoding(text: str) -> str:
    try:
        b"a".decode(text)
    except (LookupError, ValueError) as error:
        # Two letters that are swapped make short names as unlike as this.
        meant = difflib.get_close_matches(text.lower(), set(aliases.aliases.values()), 1, cutoff=0.6)
        raise ValueError(
            f"this is not the name of a text encoding{f' (did you mean {meant[0]}?)' if meant else ''}: give one such "
            "as gbk, big5, shift_jis, euc_kr or cp437"
        ) from error
    return text


def _checked_byte_count(text: str) -> str:
    notation.byte_count(text)
    return text


def _checked_parts(text: str) -> str:
    notation.parts(text)
    return text


def _checked_validation(text: str) -> str:
    notation.fraction(text)
    return text


Size = Annotated[str, AfterValidator(_checked_size), arg(metavar="WxH")]
PictureSize = Annotated[str, AfterValidator(picture_size), arg(metavar="WxH|autoxH")]
Alphabet = Annotated[Optional[str], AfterValidator(lambda text: text if text is None else _checked_alphabet(text))]
Length = Annotated[str, AfterValidator(_checked_length), arg(metavar="N|N-M")]
Charset = Annotated[
    Optional[str],
    AfterValidator(lambda text: text if text is None else _checked_alphabet(text)),
    arg(metavar="CHARS|FILE"),
]
MinProbability = Annotated[Optional[float], Field(ge=0, le=1), arg(metavar="P")]
KnownLength = Annotated[
    Optional[str], AfterValidator(lambda text: text if text is None else _checked_length(text)), arg(metavar="N|N-M")
]
LabelPattern = Annotated[
    Optional[str],
    AfterValidator(lambda text: text and _checked_pattern(text)),
    arg(metavar="REGEX"),
    Field(description="Regular expression with a group `label`, searched in the file name without its suffix."),
]
Root = Annotated[
    Optional[str],
    arg(metavar="DIR", help_behavior_hint="(default: the list's folder, or one near it that has the pictures)"),
    Field(description="Folder that the paths in lists start from."),
]
MaxPixels = Annotated[
    int,
    Field(ge=1, le=MAX_PIXELS_SETTING, description="Do not decode pictures with more pixels."),
    arg(metavar="N"),
]
Frame = Annotated[
    str,
    AfterValidator(parse_frame),
    Field(description="Which frame of an animation, or page of a TIFF, to read."),
    arg(metavar="first|last|N"),
]


def chosen(metavar: str, how: str) -> Any:
    """A flag whose default is chosen at run time; the help says `how`."""
    return arg(metavar=metavar, help_behavior_hint=f"(default: {how})")


def _flag(name: str) -> str:
    """A field's flag: its name with dashes (`from_` only dodges the keyword)."""
    return "--" + name.rstrip("_").replace("_", "-")


def _reason(error: ErrorDetails, field: FieldInfo | None) -> str:
    """What is wrong with a value, and what to give instead, in one clause."""
    kind = error["type"]
    if kind == "value_error":
        # One of the checks above.
        reason = error["msg"].removeprefix("Value error, ")
        return reason[:1].lower() + reason[1:]
    if kind == "literal_error":
        return f"give one of {error['ctx']['expected'].replace(' or ', ', ')}".replace("'", "")
    if kind == "extra_forbidden":
        return "there is no parameter of this name"
    if kind.startswith(("bool", "string")):
        return "give true or false" if kind.startswith("bool") else "give a text"
    return _number_wanted(error["input"], field) if field else error["msg"].lower()


def _number_wanted(given: Any, field: FieldInfo) -> str:
    """`give a number from 0 to 1, such as 0.97`, by the bounds of a field."""
    bounds = {
        name: getattr(each, name) for each in field.metadata for name in ("ge", "gt", "le", "lt") if hasattr(each, name)
    }
    noun = "a whole number" if int in (field.annotation, *get_args(field.annotation)) else "a number"
    low, high = bounds.get("ge"), bounds.get("le")
    if noun == "a whole number" and "lt" in bounds:
        high = bounds["lt"] - 1
    if low is not None and high is not None:
        wanted = f"{noun} from {low:,} to {high:,}"
    else:
        words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
        limits = " and ".join(f"{words[name]} {bound:,}" for name, bound in bounds.items())
        wanted = f"{noun} that is {limits}" if limits else noun
    percentage = bounds.get("le", bounds.get("lt")) == 1 and isinstance(given, float) and 1 < given < 100
    return f"give {wanted}" + (f", such as {given / 100:g}" if percentage else "")


class Parameters(BaseModel):
    """What all commands' parameters share: frozen, no unknown names, one-sentence errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)

    @model_validator(mode="wrap")
    @classmethod
    def _explain(cls, values: Any, handler: Any) -> Self:
        for name, value in values.items() if isinstance(values, dict) else ():
            if value == "" and name in cls.model_fields and cls.model_fields[name].default != "":
                raise UserError(f"{_flag(name)} is empty: give a value, or leave it out")
        try:
            return handler(values)
        except ValidationError as error:
            first = error.errors()[0]
            name = str(first["loc"][0]) if first["loc"] else ""
            reason = _reason(first, cls.model_fields.get(name))
            more = "" if reason.startswith("give ") else "; see --help"
            raise UserError(f"{_flag(name)} {first['input']}: {reason}{more}") from error

    @classmethod
    def parse(cls, argv: list[str] | None = None, prog: str | None = None) -> Self:
        """The parameters that the flags ask for, by default those of this process."""
        return from_command_line(cls, argv, prog)

    def to_json(self) -> str:
        """The parameters as a JSON object, readable and diffable."""
        return json.dumps(self.model_dump(), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_values(cls, values: dict[str, Any]) -> Self:
        """The parameters that :meth:`to_json` wrote, by name. Raises UserError when they do not fit this kit."""
        return cls.model_validate(values, context=STORED)

    @classmethod
    def from_json(cls, path: Path) -> Self:
        """Read what :meth:`to_json` wrote. Raises UserError when it does not fit this kit."""
        try:
            values = bounded.read_json(path)
            if not isinstance(values, dict):
                raise ValueError("it holds no parameters by name")
            return cls.from_values(values)
        except (ValueError, UserError) as error:
            reason = str(error)
            reason = reason if len(reason) <= 200 else f"{reason[:120]} … {reason[-60:]}"
            raise UserError(
                f"{path} is not a parameter file of this kit ({reason.removesuffix('; see --help')}): correct it, or "
                "use another copy"
            ) from error


class GenerateParameters(Parameters):
    """Generate labelled pictures to train and test on. The same flags give the same bytes."""

    out: Annotated[str, arg(metavar="DIR")] = Field(TRAIN_FOLDER, description="Folder to fill.")
    count: int = Field(10_000, ge=1, le=100_000_000, description="Number of pictures.")
    style: StyleName = Field("captcha", description="What the pictures look like.")
    size: Annotated[PictureSize, chosen("WxH|autoxH", _style_defaults(_SIZES))] = Field(
        "", description="Width and height in pixels; with auto the width follows the text or plate."
    )
    length: Annotated[Length, chosen("N|N-M", _style_defaults(_LENGTHS))] = Field(
        "", description="Characters per picture, a number or a range."
    )
    alphabet: Annotated[Alphabet, chosen("CHARS|FILE", f"{DEFAULT_ALPHABET}, or the characters of --text")] = Field(
        None,
        description="Ranges (0-9A-Z), the characters themselves, a file with one character per line (and its frequency "
        "after a tab), or gb2312 (6,763 Chinese characters).",
    )
    text: Annotated[Optional[str], chosen("FILE", "random characters")] = Field(
        None, description=f"{_styles_with('text')}UTF-8 file; the pictures show pieces of it, cut at spaces."
    )
    fonts: Annotated[Optional[str], chosen("DIR", "fonts of the installed packages")] = Field(
        None, description="Folder with your own .ttf, .otf or .ttc files."
    )
    backgrounds: Annotated[Optional[str], chosen("DIR", "drawn backgrounds")] = Field(
        None,
        description=f"{_styles_with('backgrounds')}folder of pictures to cut backgrounds from, for some of the texts.",
    )
    colour: Literal["colour", "grey"] = Field("colour", description="Colour of ink and background.")
    noise: float = Field(
        1.0, ge=0, le=5, description="Amount of lines and dots, as a multiple of the style's usual amount."
    )
    distortion: float = Field(
        1.0, ge=0, le=3, description="Amount of rotation, shear and warp, as a multiple of the usual amount."
    )
    difficulty: float = Field(
        0.5, ge=0, le=1, description=f"{_styles_with('difficulty')}from clean (0) to barely readable (1)."
    )
    layouts: Annotated[Optional[str], chosen("NAMES|FILE|DIR", "all")] = Field(
        None,
        description=f"{_styles_with('layouts')}names (kr, de_car) or files, separated by commas (docs/plates.md).",
    )
    keep_separators: bool = Field(
        False, description=f"{_styles_with('keep_separators')}keep spaces, dashes and dots in labels."
    )
    seed: int = Field(0, ge=0, description="Picture i depends only on (seed, i).")
    workers: Annotated[Optional[int], chosen("N", "one per core")] = Field(
        None, ge=1, le=1024, description="Number of processes that draw."
    )

    @model_validator(mode="before")
    @classmethod
    def _usual_of_the_style(cls, values: dict[str, Any]) -> dict[str, Any]:
        style = STYLES.get(values.get("style", cls.model_fields["style"].default), StyleProperties())
        usual = {"size": style.size, "length": "" if style.texts_from else style.length}
        return {**values, **{name: values.get(name) or default for name, default in usual.items() if default}}

    @model_validator(mode="after")
    def _room_for_the_text(self) -> Self:
        if STYLES[self.style].texts_from:
            return self
        (width, height), (_, longest) = notation.picture_size(self.size), parse_length(self.length)
        needed = max(16, 6 * longest), 12
        if (width is not None and width < needed[0]) or height < needed[1]:
            enough = f"{'auto' if width is None else needed[0]}x{needed[1]}"
            raise UserError(
                f"--size {self.size}: too small for {longest} characters to be readable; "
                f"give {enough} or more, or a smaller --length"
            )
        return self

    @model_validator(mode="after")
    def _flags_of_the_style(self) -> Self:
        style, given = STYLES[self.style], {}
        for name, field in type(self).model_fields.items():
            if (value := getattr(self, name)) != field.default:
                given[name] = _flag(name) if value is True else f"{_flag(name)} {value}"
        if style.texts_from and (flag := given.get("length") or given.get("alphabet")):
            raise UserError(
                f"{flag} is not for --style {self.style}, whose texts come from {_flag(style.texts_from)}: leave it out"
            )
        applies = {name: [key for key, other in STYLES.items() if name in other.own] for name in given}
        if notation.picture_size(self.size)[0] is None:
            applies["size"] = [key for key, other in STYLES.items() if other.any_width]
        for name, styles in applies.items():
            if styles and self.style not in styles:
                raise UserError(
                    f"{given[name]} is for --style {' and '.join(styles)}, not for --style {self.style}: leave it out, "
                    "or change --style"
                )
        return self


def size_flag(style: str, size: str) -> str:
    """` --size 280x32` where pictures of a style are to be trained on in the size that they are drawn in, else empty.

    For short texts training chooses a size by itself; lines are read best as they were drawn.
    """
    return f" --size {size}" if STYLES[style].trained_as_drawn else ""


def split_flags(flag: str, text: str) -> list[str]:
    """Flags within a flag, as a shell would split them. Raises UserError for a quote that is not closed."""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise UserError(f"{flag} {text}: {str(error).lower()}") from None


def generated(data: str) -> GenerateParameters | None:
    """`generate:line --length 10` -> the parameters of generate_captcha; None for what is a path. Raises UserError."""
    if not data.startswith(GENERATED):
        return None
    style, *flags = split_flags(f"--data {GENERATED}", data.removeprefix(GENERATED)) or [""]
    parameters = from_command_line(GenerateParameters, ["--style", style, *flags])
    if parameters.out != TRAIN_FOLDER:
        raise UserError(f"--data {data}: drawn pictures are not written to a folder; leave out --out")
    return parameters


class DatasetParameters(Parameters):
    """Report what a folder or list of labelled pictures holds: counts, alphabet, lengths, sizes, faults.

    `python -m dataset convert` writes labelled pictures in another form, `python -m dataset unpack` unpacks an archive.
    """

    path: Annotated[Positional[str], arg(metavar="[PATH]")] = Field(
        TRAIN_FOLDER, description="Folder or list of labelled pictures."
    )
    label_pattern: LabelPattern = None
    root: Root = None
    json_: Annotated[Optional[str], arg(name="json", metavar="F")] = Field(
        None, description="Also write the report as JSON."
    )
    plot: Annotated[Optional[str], arg(metavar="F")] = Field(
        None, description="Also draw 96 pictures with their labels, such as sheet.png."
    )
    max_pixels: MaxPixels = MAX_PIXELS


class ConvertParameters(Parameters):
    """Write labelled pictures in another form. Pictures keep their bytes if the form accepts their format."""

    source: Annotated[Positional[str], arg(metavar="IN")] = Field(description="Labelled pictures in any form.")
    out: Annotated[Positional[str], arg(metavar="OUT")] = Field(description="Folder to create.")
    form: FormName = Field(description="Form to write; docs/forms.md shows each.")
    validation: Annotated[Optional[float], chosen("FRACTION", "all in OUT")] = Field(
        None, gt=0, lt=1, description="Part of the pictures to write to OUT/validation; the others go to OUT/train."
    )
    shards: Annotated[int, arg(metavar="N")] = Field(
        1, ge=1, le=99_999, description="Number of record files (tfrecord, fsns)."
    )
    alphabet: Annotated[
        Optional[str],
        AfterValidator(lambda text: text and _checked_alphabet(text)),
        chosen("CHARS|FILE", "the characters of the labels"),
    ] = Field(None, description="Characters in the order of their numbers, or a dictionary file (tfrecord, fsns).")
    label_pattern: LabelPattern = None
    root: Root = None
    max_pixels: MaxPixels = MAX_PIXELS

    @model_validator(mode="after")
    def _only_records_have_these(self) -> Self:
        if self.form not in ("tfrecord", "fsns") and (self.shards > 1 or self.alphabet):
            name = "shards" if self.shards > 1 else "alphabet"
            raise UserError(f"--{name} is for --form tfrecord and fsns, not for {self.form}: leave it out")
        return self


class UnpackParameters(Parameters):
    """Unpack an archive of pictures (tar, tar.gz, zip …) into DIR, and nothing outside it. Continues if interrupted."""

    archive: Annotated[Positional[str], arg(metavar="ARCHIVE")] = Field(description="The archive.")
    out: Annotated[Positional[str], arg(metavar="DIR")] = Field(description="Folder to unpack into.")
    names: Annotated[
        Optional[str],
        AfterValidator(lambda text: text and _checked_encoding(text)),
        chosen("ENCODING", "UTF-8"),
    ] = Field(None, description="Encoding of file names that are not marked as UTF-8, such as gbk or shift_jis.")
    max_size: Annotated[
        Optional[str],
        AfterValidator(lambda text: text and _checked_byte_count(text)),
        chosen("SIZE", "100 times the archive, at least 250MB"),
    ] = Field(None, description="Maximum number of bytes to unpack, such as 50GB.")


class TrainingParameters(Parameters):
    """Train a network on labelled pictures, and write a run folder with the model file."""

    data: Annotated[str, arg(metavar="PATH|generate:STYLE")] = Field(
        TRAIN_FOLDER,
        description="Folder or list of labelled pictures; or 'generate:line --length 10' with the flags of "
        "generate_captcha, to draw --count new pictures for every epoch.",
    )
    curriculum: bool = Field(
        False,
        description="Drawn lines and plates start clean and become harder as they are learnt, up to --difficulty.",
    )
    validation: Annotated[str, AfterValidator(_checked_validation), arg(metavar="PATH|FRACTION")] = Field(
        "0.1", description="Pictures to choose the best weights with: a folder, a list, or a part of the data."
    )
    label_pattern: LabelPattern = None
    root: Root = None
    alphabet: Annotated[
        Optional[str], AfterValidator(_stored_alphabet), chosen("CHARS|FILE", "those of the labels and of --from")
    ] = Field(None, description="Characters that the network can read.")
    network: NetworkName = Field("vgg_bilstm", description="Backbone and sequence (vgg_conv with --preset lite).")
    preset: Literal["lite", "small", "base"] = Field(
        "small", description="small for a CPU; lite with a quarter of the computation (only vgg); base as published."
    )
    head: HeadName = Field("ctc", description="Head that turns columns into text; joint trains both on one encoder.")
    rectify: Literal["none", "affine", "tps"] = Field(
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
    size: Annotated[
        Optional[str],
        AfterValidator(lambda text: text and picture_size(text)),
        chosen("WxH|autoxH", "chosen from the pictures and labels"),
    ] = Field(
        None, description="Width and height of the network's input; autox32 allows any width and keeps the aspect."
    )
    cell: Literal["gru", "lstm"] = Field("gru", description="Recurrent cell of the attention head.")
    label_smoothing: float = Field(0.1, ge=0, lt=1, description="Label smoothing of the attention head.")
    longest: Annotated[Optional[int], chosen("N", "twice the longest label")] = Field(
        None, ge=1, le=MAX_TEXT_LENGTH, description="Maximum number of characters that the attention head writes."
    )
    fit: Literal["stretch", "pad"] = Field(
        "stretch", description="How to fit a picture to this size; pad keeps its aspect."
    )
    colour: Annotated[
        Optional[Literal["grey", "rgb"]],
        arg(
            metavar="{grey,rgb}",
            help_behavior_hint="(default: grey, unless letters differ from the background mainly in hue)",
        ),
    ] = Field(None, description="Colour of the network's input.")
    frame: Frame = "first"
    max_pixels: MaxPixels = MAX_PIXELS
    epochs: Annotated[Optional[int], chosen("N", "chosen from the number of pictures")] = Field(
        None, ge=1, description="Number of passes over the pictures."
    )
    batch_size: Annotated[Optional[int], chosen("N", "chosen from the number of pictures")] = Field(
        None, ge=1, le=MAX_BATCH_SIZE, description="Pictures per step."
    )
    learning_rate: Annotated[Optional[float], chosen("F", "by preset, start and batch size")] = Field(
        None, gt=0, le=10, description="Peak learning rate of AdamW, after warm-up."
    )
    weight_decay: float = Field(0.01, ge=0, le=1, description="Weight decay of AdamW.")
    warmup: float = Field(0.05, ge=0, lt=1, description="Part of the steps in which the learning rate rises.")
    clip_norm: float = Field(5.0, gt=0, description="Clip gradients to this global norm.")
    ema: float = Field(0.0, ge=0, lt=1, description="Decay of the average of the weights, such as 0.999; 0 is off.")
    augmentation: Annotated[Optional[float], Field(ge=0, le=3), chosen("S", "adapted while training")] = Field(
        None, description="Strength of the augmentation; 0 is off, 1 is usual."
    )
    patience: Annotated[Optional[int], chosen("N", "no early stopping")] = Field(
        None, ge=1, description="Stop after this number of epochs without a better validation."
    )
    seed: int = Field(0, ge=0, lt=2**32, description="Seed of the weights, the order and the augmentation.")
    workers: Annotated[Optional[int], chosen("N", "as many as the network keeps busy")] = Field(
        None, ge=0, le=1024, description="Processes that augment pictures; 0: a thread does."
    )
    run: Annotated[Optional[str], chosen("DIR", "runs/DATE-TIME")] = Field(None, description="Run folder.")
    resume: bool = Field(False, description="Continue the training of the run folder, or of the latest run.")
    from_: Annotated[
        Optional[str],
        arg(
            name="from",
            metavar="MODEL|random",
            help_behavior_hint="(default: general or lines where one fits, else random)",
        ),
    ] = Field(
        None,
        description=(
            "Start from the weights of a model file, a run folder or a shipped name, with its stages, size and "
            "characters, unless you set others."
        ),
    )
    precision: Annotated[
        Optional[Literal["float32", "mixed_bfloat16", "mixed_float16"]],
        arg(
            metavar="{float32,mixed_bfloat16,mixed_float16}",
            help_behavior_hint="(default: float32; with jax on a GPU that has it, mixed_bfloat16)",
        ),
    ] = Field(None, description="Number format of the computation.")
    devices: Annotated[Optional[int], chosen("N", "all GPUs, with jax")] = Field(
        None, ge=1, le=65_536, description="Number of devices that share each batch."
    )
    join: Annotated[Optional[str], AfterValidator(_checked_member), arg(metavar="HOST:PORT,I/N|auto")] = Field(
        None,
        description=(
            "Train together with other processes, with jax: as process I of N, of which the first listens at "
            "HOST:PORT; auto under SLURM, Open MPI and Kubernetes."
        ),
    )
    quick: bool = Field(False, description="Three minutes on two cores: train a lite network on generated captchas.")

    @model_validator(mode="before")
    @classmethod
    def _usual_of_the_preset(cls, values: dict[str, Any]) -> dict[str, Any]:
        return {"network": "vgg_conv"} | values if values.get("preset") == "lite" else values

    @model_validator(mode="after")
    def _what_goes_together(self) -> Self:
        # Networks refuse these themselves; here it is told before a million pictures are looked at.
        if self.size and notation.picture_size(self.size)[0] is None:
            for flag, given in (
                ("--rows", self.rows > 1),
                ("--coordinates", self.coordinates),
                (f"--network {self.network}", self.network.startswith("inception")),
            ):
                if given:
                    raise UserError(
                        f"{flag} needs pictures of one width, not --size {self.size}: give a size such as 128x64"
                    )
        if self.preset == "lite" and not self.network.startswith("vgg"):
            raise UserError(f"--preset lite is only for vgg networks, not {self.network}: give --preset small")
        return self


class LearningCurveParameters(Parameters):
    """Would more pictures help? Train on growing parts of the pictures, and test each time on the same others."""

    data: Annotated[str, arg(metavar="PATH")] = Field(TRAIN_FOLDER, description="Folder or list of labelled pictures.")
    test: Annotated[str, AfterValidator(_checked_validation), arg(metavar="FRACTION|PATH")] = Field(
        "0.2", description="Part of the pictures to hold out for the test, or other labelled pictures."
    )
    parts: Annotated[
        Optional[str],
        AfterValidator(lambda text: text and _checked_parts(text)),
        chosen("N,N,…", "doubling, up to all"),
    ] = Field(None, description="Numbers of pictures to train on, one for each training.")
    training: Annotated[str, arg(metavar="FLAGS")] = Field(
        "", description="Flags of training.py for each training: --training='--from plate --size 160x48'."
    )
    run: Annotated[str, arg(metavar="DIR")] = Field(
        f"{RUNS_FOLDER}/learning-curve",
        description="Folder for the runs and the curve; the same command continues an interrupted one.",
    )
    label_pattern: LabelPattern = None
    root: Root = None

    @model_validator(mode="after")
    def _training_has_flags_of_its_own(self) -> Self:
        flags = from_command_line(TrainingParameters, split_flags("--training", self.training))
        for name in ("data", "run", "resume", "quick"):
            if name in flags.model_fields_set:
                raise UserError(f"--training {self.training}: leave out --{name}, which is set for each part")
        return self


class ReadingParameters(Parameters):
    """The model, and constraints on the texts."""

    model: Annotated[str, arg(metavar="NAME|FILE")] = Field(
        "captcha", description=f"Model file, run folder or shipped name: {', '.join(SHIPPED_MODELS)}."
    )
    head: Annotated[Optional[Literal["ctc", "attention"]], chosen("{ctc,attention}", "the model file's")] = Field(
        None, description="Which head reads, if the model file has both."
    )
    decoder: Annotated[Optional[Literal["greedy", "beam"]], chosen("{greedy,beam}", "the model file's")] = Field(
        None, description="How to find the text."
    )
    beam_width: int = Field(10, ge=1, le=MAX_BEAM_WIDTH, description="Number of texts that the beam keeps.")
    length: KnownLength = Field(None, description="Constraint: number of characters of each text, or a range.")
    charset: Charset = Field(
        None, description="Constraint: the characters of the texts, as ranges, themselves or in a file."
    )
    pattern: Annotated[Optional[str], arg(metavar="PATTERN")] = Field(
        None, description="Constraint: pattern of the whole text, such as '[A-Z]{2}\\d{3,4}|\\d{7}' (docs/reading.md)."
    )
    lexicon: Annotated[Optional[str], arg(metavar="FILE")] = Field(
        None, description="Constraint: a text file with all possible texts, one per line."
    )
    batch_size: Annotated[Optional[int], chosen("N", "64; 32 on each core with an ONNX file")] = Field(
        None, ge=1, le=MAX_BATCH_SIZE, description="Pictures per batch."
    )
    frame: Annotated[
        Optional[str],
        AfterValidator(lambda text: text and parse_frame(text)),
        chosen("first|last|N", "as in training"),
    ] = Field(None, description="Which frame of an animation, or page of a TIFF, is read.")
    max_pixels: MaxPixels = MAX_PIXELS


class PredictionParameters(ReadingParameters):
    """Read pictures with a model file, and print one line for each picture."""

    paths: Annotated[Positional[Paths], arg(metavar="[PATH…]", help_behavior_hint="")] = Field(
        (), description="Pictures, folders, lists, or - for paths on stdin, one per line."
    )
    csv: Annotated[Optional[str], arg(metavar="F")] = Field(None, description="Write a CSV table.")
    csv_safe: bool = Field(
        False, description="Escape cells of the CSV table that a spreadsheet would compute, such as =1+1."
    )
    json_: Annotated[Optional[str], arg(name="json", metavar="F")] = Field(None, description="Write JSON.")
    icdar: Annotated[Optional[str], arg(metavar="F")] = Field(None, description="Write an ICDAR submission.")
    plot: Annotated[Optional[str], arg(metavar="F")] = Field(None, description="Write a contact sheet.")
    demo: Annotated[Optional[int], arg(metavar="N")] = Field(
        None, ge=1, le=96, description="Read N random labelled pictures, the same each time, and plot them (demo.png)."
    )
    labels: bool = Field(False, description="The pictures are labelled: add labels, verdicts and scores.")
    label_pattern: LabelPattern = None
    root: Root = None
    ignore_case: bool = Field(False, description="Ignore case when comparing with labels.")
    min_probability: MinProbability = Field(
        None, description="Reject readings below this probability: mark and count them."
    )
    top: int = Field(1, ge=1, le=MAX_TEXTS, description="Number of texts per picture (beam).")

    @model_validator(mode="after")
    def _beam_has_a_use(self) -> Self:
        if self.top == 1:
            _refuse_idle_beam(self)
        return self

    @model_validator(mode="after")
    def _safe_table(self) -> Self:
        if self.csv_safe and not self.csv:
            raise UserError("--csv-safe is for --csv F: add that, or leave it out")
        return self


class EvaluationParameters(ReadingParameters):
    """Score a model file on labelled pictures, with confidence intervals."""

    path: Annotated[Positional[str], arg(metavar="[PATH]")] = Field(
        TEST_FOLDER, description="Folder or list of labelled pictures."
    )
    json_: Annotated[Optional[str], arg(name="json", metavar="F")] = Field(
        None, description="Write the scores as JSON."
    )
    report: Annotated[Optional[str], arg(metavar="DIR")] = Field(
        None, description="Write a report with plots and pictures to this folder."
    )
    follow: bool = Field(
        False, description="Score each better model of a run for its TensorBoard until the training ends."
    )
    label_pattern: LabelPattern = None
    root: Root = None
    ignore_case: bool = Field(False, description="Ignore case when comparing.")
    min_probability: MinProbability = Field(
        None, description="Report the effect of rejecting readings below this probability."
    )

    @model_validator(mode="after")
    def _beam_has_a_use(self) -> Self:
        _refuse_idle_beam(self)
        return self


def _refuse_idle_beam(given: ReadingParameters) -> None:
    """Raise UserError for a --beam-width without a beam; texts that are known in part are looked for by one."""
    known = (given.length, given.charset, given.pattern, given.lexicon)
    usual = type(given).model_fields["beam_width"].default
    if given.beam_width != usual and given.decoder != "beam" and not any(known):
        raise UserError(f"--beam-width {given.beam_width} is for --decoder beam: add that, or leave it out")


class ExportParameters(Parameters):
    """Export a model file for another runtime. The export is compared with Keras before it is written.

    With --int8 it may read differently: both accuracies are printed, and a significant loss is refused.
    """

    model: Annotated[Positional[str], arg(metavar="MODEL")] = Field(
        description=f"Model file, run folder or shipped name: {', '.join(SHIPPED_MODELS)}."
    )
    form: FileForm = Field(
        "onnx", description="Form to write; this kit reads onnx without Keras, docs/export.md describes the others."
    )
    out: Annotated[str, arg(metavar="F")] = Field(description="File to write: .onnx, .tflite, or a folder.")
    int8: Annotated[Optional[str], arg(metavar="PATH")] = Field(
        None, description="Quantise to 8-bit integers, calibrated and tested on these labelled pictures (onnx)."
    )
    accept_loss: bool = Field(
        False, description="Write the file even if --int8 reads significantly fewer pictures right."
    )
    label_pattern: LabelPattern = None
    root: Root = None

    @model_validator(mode="after")
    def _file_of_the_form(self) -> Self:
        suffix = FILE_FORMS[self.form]
        if Path(self.out).suffix != suffix:
            wanted = f"a name that ends in {suffix}" if suffix else "the name of a folder, without a suffix"
            other = [form for form, ending in FILE_FORMS.items() if ending and ending == Path(self.out).suffix]
            raise UserError(
                f"--out {self.out}: --form {self.form} takes {wanted}"
                + (f"; or give --form {other[0]}" if other else "")
            )
        if self.int8 and self.form != "onnx":
            raise UserError(f"--int8 is for --form onnx, not for {self.form}: leave it out")
        if self.accept_loss and not self.int8:
            raise UserError("--accept-loss is for --int8: add that, or leave it out")
        return self


AnyParameters = TypeVar("AnyParameters", bound=Parameters)


_FAULTS = {
    r"^Error parsing (\S+): invalid literal for int\(\) with base 10: '(.*)'$": r"\1 \2: give a whole number",
    r"^Error parsing (\S+): could not convert string to float: '(.*)'$": r"\1 \2: give a number",
    r"^Error parsing (\S+): no type matching .*INT could be .* from \['(.*)'\]$": r"\1 \2: give a whole number",
    r"^Error parsing (\S+): no type matching .*FLOAT could be .* from \['(.*)'\]$": r"\1 \2: give a number",
    r"^Missing from .+?: (\S+) .*$": r"\1 is missing",
    r"^Missing value for argument '(\S+)'\..*$": r"\1 is given without a value",
}


def from_command_line(
    parameters: type[AnyParameters], argv: list[str] | None = None, prog: str | None = None
) -> AnyParameters:
    """The parameters that the flags ask for. Raises UserError; `--help` exits with 0."""
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            found = tyro.cli(parameters, args=argv, prog=prog, config=(tyro.conf.FlagCreatePairsOff,))
        # What was told of parameters that are in order.
        if complaint.getvalue():
            print(complaint.getvalue(), end="", file=sys.stderr)
        typed = {word.split("=")[0].replace("_", "-") for word in (sys.argv[1:] if argv is None else argv)}
        fields = type(found).model_fields
        # What was typed is set, be it the default or not: another run, or other weights, may have another value.
        given = {name for name in fields if _flag(name) in typed or getattr(found, name) != fields[name].default}
        return parameters.from_values({name: getattr(found, name) for name in given})
    except SystemExit as stop:
        if stop.code != WRONG_USE:
            raise
    # tyro draws a box, of spaces where stdout is no UTF-8: a title, then paragraphs, the first of which names the
    # fault. What was told before of other parameters is not in it.
    told = re.sub(r"\x1b\[[0-9;]*m", "", complaint.getvalue()).splitlines()
    text = "\n".join(itertools.dropwhile(lambda line: not line.startswith(("╭", " ")), told)).strip()
    lines = [line.strip("│ ") for line in text.splitlines()[1:]]
    paragraphs = itertools.groupby(lines, lambda line: re.fullmatch(r"[-─╰╯]*", line) is None)
    fault = next((" ".join(paragraph) for is_text, paragraph in paragraphs if is_text), text)
    flags = ["--help", *map(_flag, parameters.model_fields)]
    raise UserError(f"{_plainly(fault.strip().rstrip('.'), flags)}; see --help")


def _plainly(fault: str, flags: Iterable[str]) -> str:
    """What tyro says is wrong, in the words of whoever typed it."""
    if unknown := re.fullmatch(r"Unrecognized options: (\S+?)(?:[=,].*)?", fault):
        what = "not a flag of this command" if unknown[1].startswith("-") else "one argument too many for this command"
        word = unknown[1].replace("_", "-")
        # Dashes make words alike, and one is easily forgotten.
        meant = (
            difflib.get_close_matches(word.lstrip("-"), [flag[2:] for flag in flags], 1, 0.7) if word[:1] == "-" else []
        )
        return f"{unknown[1]} is {what}" + (f" (did you mean --{meant[0]}?)" if meant else "")
    if choice := re.fullmatch(r"invalid choice '(.*)' for argument '(.*)'\. Expected one of \((.*)\)", fault):
        choices = sorted(set(re.findall(r"'([^']+)'", choice[3])) - {"None"})
        return f"{choice[2]} {choice[1]}: give one of {', '.join(choices)}"
    for said, plain in _FAULTS.items():
        fault = re.sub(said, plain, fault)
    return fault
