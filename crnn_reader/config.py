"""The configuration stored in a model file: architecture, alphabet, preprocessing and decoding."""

from __future__ import annotations

import json
import math
import reprlib
import types
import unicodedata
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, get_args, get_origin, get_type_hints

from . import __version__
from .alphabet import UNREADABLE
from .decoding import DECODERS, NAMES
from .decoding.calibration import MAX_TEMPERATURE, MIN_TEMPERATURE
from .decoding.formats import FormatIndex
from .errors import UserError
from .formats import Format, check_total, parse_formats
from .limits import MAX_INPUT_SIDE, MAX_ROWS, MAX_TEXT_LENGTH, parse_frame

#: Version of the configuration, stored as `format`. Increased whenever older versions of the kit cannot read new files.
CONFIG_VERSION = 5
#: Name of the entry of a model file with its configuration, and the maximum size of that entry. With all of Unicode as
#: its alphabet it would have 600 kB; the formats of all layouts of the kit have 70 kB.
CONFIG_ENTRY, MAX_CONFIG_BYTES = "crnn_kit.json", 1 << 20
#: Minimum and maximum of each number in a configuration. `longest` is by default twice the longest label.
BOUNDS: dict[str, tuple[float, float]] = {
    "width": (1, MAX_INPUT_SIDE),
    "height": (1, MAX_INPUT_SIDE),
    "rows": (1, MAX_ROWS),
    "longest": (1, 2 * MAX_TEXT_LENGTH),
    "label_smoothing": (0, 1),
    "temperature": (MIN_TEMPERATURE, MAX_TEMPERATURE),
}


@dataclass(frozen=True)
class ModelConfig:
    """The configuration of a model: how to build its network, prepare pictures and decode its outputs."""

    network: str
    preset: str
    head: str
    alphabet: str
    #: Input size in pixels. A width of None means any width: pictures keep their aspect ratio.
    width: int | None
    height: int
    channels: Literal[1, 3]
    fit: Literal["stretch", "pad"]
    rectify: str = "none"
    coordinates: bool = False
    #: Maximum number of text lines in a picture.
    rows: int = 1
    #: Attention head: recurrent cell, label smoothing, and maximum number of characters.
    cell: Literal["gru", "lstm"] = "gru"
    label_smoothing: float = 0.1
    longest: int = 100
    #: Which output of a joint head is read: `ctc` or `attention`.
    reads: str = "ctc"
    decoder: Literal["greedy", "beam"] = "greedy"
    #: Temperature that calibrates the probabilities, see decoding/calibration.py.
    temperature: float = 1.0
    #: Minimum and maximum height in pixels and aspect ratio (width / height) of the training pictures, see
    #: trained_sizes.py. None in files of earlier versions.
    trained_heights: list[float] | None = None
    trained_aspects: list[float] | None = None
    #: The frame of an animation or page of a TIFF to read: `first`, `last` or a number from 1.
    frame: str = "first"
    #: Formats of the plates that it reads. Empty for other models, and in files of earlier versions.
    formats: list[Format] = field(default_factory=list)
    kit_version: str = __version__
    format: int = CONFIG_VERSION

    @classmethod
    def of(cls, entry: Any) -> ModelConfig:
        """Create a configuration from decoded JSON. Raises ValueError for missing, unknown or invalid fields."""
        if not isinstance(entry, dict):
            raise ValueError("no object")
        kinds = get_type_hints(cls)
        # Formats have fields of their own.
        entry = entry | {"formats": parse_formats(entry.get("formats", []))}
        for name, value in entry.items():
            if name not in kinds or not _has_type(value, kinds[name]):
                raise ValueError(f"{reprlib.repr(name)[1:-1]} is {reprlib.repr(value)}")
        try:
            config = cls(**entry)
        except TypeError as error:
            missing = next(field.name for field in fields(cls) if field.name not in entry)
            raise ValueError(f"{missing} is missing") from error
        if config.head not in DECODERS:
            raise ValueError(f"head is {reprlib.repr(config.head)}, not one of {', '.join(DECODERS)}")
        if config.reads not in NAMES:
            raise ValueError(f"reads is {reprlib.repr(config.reads)}, not one of {', '.join(NAMES)}")
        for name, (low, high) in BOUNDS.items():
            value = getattr(config, name)
            # Written so that NaN is refused, too.
            if value is not None and not low <= value <= high:
                raise ValueError(f"{name} is {reprlib.repr(value)}, not from {low:,} to {high:,}")
        _check_alphabet(config.alphabet)
        for name in ("trained_heights", "trained_aspects"):
            bounds = entry.get(name)
            if bounds is not None and not (len(bounds) == 2 and 0 < bounds[0] <= bounds[1] < math.inf):
                raise ValueError(f"{name} is {reprlib.repr(bounds)}")
        parse_frame(config.frame)
        return config

    def to_json(self) -> str:
        """Serialise to JSON. :meth:`of` restores the configuration from the decoded JSON."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False)

    def with_formats(self, formats: list[Format]) -> ModelConfig:
        """This configuration with other formats of plates.

        Raises UserError if they are too many for a model file, or if the alphabet cannot write one of them.
        """
        try:
            check_total(formats)
        except ValueError as error:
            raise UserError(f"{error}: give fewer layouts", "layouts") from error
        for each in FormatIndex(formats, self.alphabet).unwritable:
            raise UserError(
                f"the alphabet of the model cannot write the texts of the layout {each.name} ({each.title}): leave it "
                "out, or train a model with its characters",
                "layouts",
            )
        config = replace(self, formats=formats, format=CONFIG_VERSION)
        if (size := len(config.to_json().encode())) > MAX_CONFIG_BYTES:
            raise UserError(
                f"the formats of {len(formats):,} layouts make the {CONFIG_ENTRY} {size:,} bytes large, more than "
                f"{MAX_CONFIG_BYTES:,}: give fewer layouts",
                "layouts",
            )
        return config


def _check_alphabet(characters: str) -> None:
    """Raise ValueError for an alphabet that crnn_reader.alphabet.parse_alphabet never returns."""
    if not characters or len(set(characters)) < len(characters):
        raise ValueError("the alphabet has no characters, or one of them twice")
    for character in characters:
        if UNREADABLE.match(character):
            raise ValueError(f"the alphabet has the control character U+{ord(character):04X}")
        if not unicodedata.is_normalized("NFC", character):
            raise ValueError(f"the alphabet has U+{ord(character):04X}, which is not composed (NFC)")


def _has_type(value: Any, kind: Any) -> bool:
    """Whether a JSON value has the declared type of a field."""
    if get_origin(kind) is Literal:
        # True == 1, so compare the types, too.
        return any(value == allowed and type(value) is type(allowed) for allowed in get_args(kind))
    if isinstance(kind, types.UnionType):
        return any(_has_type(value, each) for each in get_args(kind))
    if get_origin(kind) is list:
        return type(value) is list and all(_has_type(each, get_args(kind)[0]) for each in value)
    return type(value) is kind or (kind is float and type(value) is int)
