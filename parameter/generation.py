"""Parameters of `python -m generate_captcha`, and of pictures that are drawn while a network is trained."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import AfterValidator, Field, model_validator

from cli.flags import Flag, OneOf, shown
from cli.registries import constant, names
from crnn_reader.errors import UserError
from crnn_reader.limits import parse_length
from parameter import notation
from parameter.base import TRAIN_FOLDER, Parameters
from parameter.types import Alphabet, File, Folder, Length, PictureSize

if TYPE_CHECKING:
    from typing import Self

DEFAULT_ALPHABET = "0-9A-Z"

#: The prefix of --data for pictures that are drawn during training, followed by a style.
GENERATED = "generate:"


class StyleProperties(NamedTuple):
    """Properties of a style that the flags need. `PROPERTIES` in its file has those that differ from these."""

    #: Default of --size.
    size: str = "128x64"
    #: Whether the width can follow the text (--size autox32).
    any_width: bool = False
    #: Default of --length.
    length: str = "4"
    #: The parameter that the texts come from. None: they are --length characters of --alphabet.
    texts_from: str | None = None
    #: What the texts are, if the style makes its own.
    texts: str | None = None
    #: Whether it is a family of captchas, which style wild mixes.
    family: bool = False
    #: Whether the pictures show a text. The label of others is empty.
    labelled: bool = True
    #: Parameters that not every style has.
    own: tuple[str, ...] = ()
    #: Whether networks are best trained at the size at which the pictures are drawn.
    trained_as_drawn: bool = False

    @property
    def draws_any_text(self) -> bool:
        """Whether the texts are --length characters of --alphabet."""
        return self.labelled and not self.texts_from and not self.texts


#: Properties of families that their files need not repeat.
FAMILY_PROPERTIES = {"size": "160x60", "any_width": True, "length": "4-6", "own": ("difficulty", "backgrounds")}


def _properties(name: str) -> StyleProperties:
    own = constant(f"generate_captcha.styles.{name}", "PROPERTIES", {})
    return StyleProperties(**((FAMILY_PROPERTIES if own.get("family") else {}) | own))


#: The styles of generate_captcha.
STYLES = {name: _properties(name) for name in names("generate_captcha.styles")}


#: The styles that style wild mixes.
FAMILIES = tuple(name for name, style in STYLES.items() if style.family)


def _styles_with(parameter: str) -> str:
    """`Styles line and plate: `, which begins the help of a parameter that not every style has."""
    having = [name for name, style in STYLES.items() if parameter in style.own]
    return f"Style{'s' * (len(having) > 1)} {_joined(having)}: "


def _joined(names: list[str]) -> str:
    """`a, b and c`. All families together are `any family of wild`."""
    if set(FAMILIES) <= set(names):
        names = [name for name in names if name not in FAMILIES] + ["any family of wild"]
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _style_defaults(defaults: dict[str, str]) -> str:
    """`128x64; line 280x32; plate autox64`: the usual default, and those of other styles."""
    usual = next(iter(defaults.values()))
    others = {name: value for name, value in defaults.items() if value != usual and name not in FAMILIES}
    if families := {defaults[name] for name in FAMILIES if name in defaults}:
        others["its families"] = " or ".join(families)
    return "; ".join([usual, *(f"{name} {value}" for name, value in others.items())])


_SIZES = {name: style.size for name, style in STYLES.items()}
_LENGTHS = {name: style.length for name, style in STYLES.items() if style.draws_any_text}


class GenerateParameters(Parameters):
    """Generate labelled pictures to train and test on. The same flags give the same bytes."""

    SECTIONS: ClassVar = {"out": "output", "style": "style", "length": "texts", "fonts": "look", "seed": "run"}

    out: Folder = Field(TRAIN_FOLDER, description="Folder to fill.")
    count: int = Field(10_000, ge=1, le=100_000_000, description="Number of pictures.")
    style: Annotated[str, AfterValidator(OneOf(tuple(STYLES))), Flag("NAME")] = Field(
        "captcha",
        description=f"What the pictures look like: {', '.join(name for name in STYLES if name not in FAMILIES)}, or "
        f"one of the families that wild mixes: {', '.join(FAMILIES)}.",
    )
    size: Annotated[PictureSize, Flag("WxH|autoxH", default=_style_defaults(_SIZES))] = Field(
        "", description="Width and height in pixels; with auto the width follows the text or plate."
    )
    length: Annotated[Length, Flag("N|N-M", default=_style_defaults(_LENGTHS))] = Field(
        "", description="Characters per picture, a number or a range."
    )
    alphabet: Annotated[
        Alphabet | None, Flag("CHARS|FILE", default=f"{DEFAULT_ALPHABET}, or the characters of --text")
    ] = Field(
        None,
        description="Ranges (0-9A-Z), the characters themselves, a file with one character per line (and its frequency "
        "after a tab), or gb2312 (6,763 Chinese characters).",
    )
    text: Annotated[File | None, Flag("FILE", default="random characters")] = Field(
        None, description=f"{_styles_with('text')}UTF-8 file; the pictures show pieces of it, cut at spaces."
    )
    layouts: Annotated[str | None, Flag("NAMES|FILE|DIR", default="all")] = Field(
        None,
        description=f"{_styles_with('layouts')}names (kr, de_car) or your own layout files, separated by commas "
        "(docs/plates.md).",
    )
    keep_separators: bool = Field(
        False, description=f"{_styles_with('keep_separators')}keep spaces, dashes and dots in labels."
    )
    families: Annotated[str | None, Flag("NAMES", default="all")] = Field(
        None, description=f"{_styles_with('families')}other styles to mix, separated by commas (docs/captchas.md)."
    )
    fonts: Annotated[Folder | None, Flag("DIR", default="fonts of the installed packages")] = Field(
        None, description="Folder with your own .ttf, .otf or .ttc files."
    )
    backgrounds: Annotated[Folder | None, Flag("DIR", default="drawn backgrounds")] = Field(
        None,
        description=f"{_styles_with('backgrounds')}folder of pictures, pieces of which are the background of some "
        "texts.",
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
    seed: int = Field(0, ge=0, description="Picture i depends only on (seed, i).")
    workers: Annotated[int | None, Flag("N", default="one per core")] = Field(
        None, ge=1, le=1024, description="Number of processes that draw."
    )

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_style(cls, values: dict[str, Any]) -> dict[str, Any]:
        style = STYLES.get(values.get("style", cls.model_fields["style"].default), StyleProperties())
        defaults = {"size": style.size} | ({"length": style.length} if style.draws_any_text else {})
        # Empty ones are those of parameters.json for styles without such a parameter.
        return defaults | {name: value for name, value in values.items() if value or name not in ("size", "length")}

    @model_validator(mode="after")
    def _room_for_the_text(self) -> Self:
        if not STYLES[self.style].draws_any_text:
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
                given[name] = shown(name, field) if value is True else f"{shown(name, field)} {value}"
        if not style.draws_any_text and (flag := given.get("length") or given.get("alphabet")):
            reason = f"texts are {style.texts}" if style.texts else "pictures have no text"
            if style.texts_from:
                reason = f"texts come from {shown(style.texts_from, None)}"
            raise UserError(f"{flag} is not for --style {self.style}, whose {reason}: leave it out")
        applies = {name: [key for key, other in STYLES.items() if name in other.own] for name in given}
        if notation.picture_size(self.size)[0] is None:
            applies["size"] = [key for key, other in STYLES.items() if other.any_width]
        for name, styles in applies.items():
            if styles and self.style not in styles:
                raise UserError(
                    f"{given[name]} is for --style {_joined(styles)}, not for --style {self.style}: leave it out, "
                    "or change --style"
                )
        return self


def size_flag(style: str, size: str) -> str:
    """` --size 280x32` if networks are best trained at the size at which a style's pictures are drawn, else empty.

    For other styles training.py chooses a size by itself.
    """
    return f" --size {size}" if STYLES[style].trained_as_drawn else ""


def split_flags(flag: str, text: str) -> list[str]:
    """Split the flags in the value of `flag` as a shell does. Raises UserError for a quote that is not closed."""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise UserError(f"{flag} {text}: {str(error).lower()}") from None


def generated(data: str) -> GenerateParameters | None:
    """Parse --data of drawn pictures, such as `generate:line --length 10`. None for a path. Raises UserError."""
    if not data.startswith(GENERATED):
        return None
    style, *flags = split_flags(f"--data {GENERATED}", data.removeprefix(GENERATED)) or [""]
    if not style or style.startswith("-"):
        raise UserError(f"--data '{data}': give the style right after the colon, one of {', '.join(STYLES)}")
    parameters = GenerateParameters.parse(["--style", style, *flags], prog=GENERATED + style)
    if parameters.out != TRAIN_FOLDER:
        raise UserError(f"--data {data}: drawn pictures are not written to a folder; leave out --out")
    return parameters
