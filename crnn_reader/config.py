"""ModelConfig: what a model file says of its network, and what is needed to read with it."""

from __future__ import annotations

import json
import math
import reprlib
import types
import unicodedata
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

from .alphabet import UNREADABLE
from .decoding import DECODERS
from .decoding.calibration import COLDEST, HOTTEST
from .parsing import MAX_ROWS, MAX_SIDE, MAX_TEXT_LENGTH, parse_frame

#: Version of the kit in every model file, equal to the one in pyproject.toml.
KIT_VERSION = "0.1.0"
#: Increased by one whenever older versions could no longer read the files of this one.
FORMAT = 4
#: The entry of a model file that holds its configuration, and the most bytes of it. One with all characters of Unicode
#: would have 600 kB.
CONFIG_ENTRY, LARGEST_CONFIG = "crnn_kit.json", 1 << 20
#: Least and greatest values of numbers in a configuration. `longest` is by default twice the longest label.
BOUNDS: dict[str, tuple[float, float]] = {
    "width": (1, MAX_SIDE),
    "height": (1, MAX_SIDE),
    "rows": (1, MAX_ROWS),
    "longest": (1, 2 * MAX_TEXT_LENGTH),
    "label_smoothing": (0, 1),
    "temperature": (COLDEST, HOTTEST),
}


@dataclass(frozen=True)
class ModelConfig:
    """What a model file says of itself: how to build the network, prepare pictures and decode."""

    network: str
    preset: str
    head: str
    alphabet: str
    #: None for any width: pictures keep their aspect.
    width: int | None
    height: int
    channels: Literal[1, 3]
    fit: Literal["stretch", "pad"]
    rectify: Literal["none", "affine", "tps"] = "none"
    coordinates: bool = False
    #: Of text in a picture, at the most.
    rows: int = 1
    #: Of the attention head: its recurrent cell, label smoothing, and the most characters it writes.
    cell: Literal["gru", "lstm"] = "gru"
    label_smoothing: float = 0.1
    longest: int = 100
    #: Which part of a joint head reads.
    reads: Literal["ctc", "attention"] = "ctc"
    decoder: Literal["greedy", "beam"] = "greedy"
    #: By which probabilities are mended; see decoding/calibration.py.
    temperature: float = 1.0
    #: Lowest and highest height in pixels, and width / height, of the training pictures; see trained_sizes.py. None
    #: in files of earlier versions.
    trained_heights: list[float] | None = None
    trained_aspects: list[float] | None = None
    #: Which frame of an animation, or page, is read: `first`, `last` or a number from 1.
    frame: str = "first"
    kit_version: str = KIT_VERSION
    format: int = FORMAT

    @classmethod
    def of(cls, entry: Any) -> ModelConfig:
        """The configuration in an entry of a file, a JSON object. Raises ValueError for anything else."""
        if not isinstance(entry, dict):
            raise ValueError("no object")
        kinds = get_type_hints(cls)
        for name, value in entry.items():
            if name not in kinds or not _is(value, kinds[name]):
                raise ValueError(f"{reprlib.repr(name)[1:-1]} is {reprlib.repr(value)}")
        try:
            config = cls(**entry)
        except TypeError as error:
            missing = next(field.name for field in fields(cls) if field.name not in entry)
            raise ValueError(f"{missing} is missing") from error
        if config.head not in DECODERS:
            raise ValueError(f"head is {reprlib.repr(config.head)}, not one of {', '.join(DECODERS)}")
        for name, (least, most) in BOUNDS.items():
            value = getattr(config, name)
            # NaN is not between them.
            if value is not None and not least <= value <= most:
                raise ValueError(f"{name} is {reprlib.repr(value)}, not from {least:,} to {most:,}")
        _check_alphabet(config.alphabet)
        for name in ("trained_heights", "trained_aspects"):
            bounds = entry.get(name)
            if bounds is not None and not (len(bounds) == 2 and 0 < bounds[0] <= bounds[1] < math.inf):
                raise ValueError(f"{name} is {reprlib.repr(bounds)}")
        parse_frame(config.frame)
        return config

    def to_json(self) -> str:
        """What :meth:`of` reads."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False)


def _check_alphabet(characters: str) -> None:
    """Raise ValueError for what crnn_reader.alphabet.parse_alphabet would not have made."""
    if not characters or len(set(characters)) < len(characters):
        raise ValueError("the alphabet has no characters, or one of them twice")
    for character in characters:
        if UNREADABLE.match(character):
            raise ValueError(f"the alphabet has the control character U+{ord(character):04X}")
        if not unicodedata.is_normalized("NFC", character):
            raise ValueError(f"the alphabet has U+{ord(character):04X}, which is not composed (NFC)")


def _is(value: Any, kind: Any) -> bool:
    """Whether a value of JSON is of the kind that a field is declared as."""
    if get_origin(kind) is Literal:
        # True is no 1 here.
        return any(value == allowed and type(value) is type(allowed) for allowed in get_args(kind))
    if isinstance(kind, types.UnionType):
        return any(_is(value, each) for each in get_args(kind))
    if get_origin(kind) is list:
        return type(value) is list and all(_is(each, get_args(kind)[0]) for each in value)
    return type(value) is kind or (kind is float and type(value) is int)
