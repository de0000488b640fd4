"""All parameters of the commands, each declared once: its name, type, default, bounds and help.

base.py         what all commands share: validation, error messages, JSON
types.py        types of parameters with their checks: sizes, alphabets, lengths
notation.py     parsers for sizes, fractions and byte counts
generation.py   python -m generate_captcha
corpora.py      python -m dataset, and its convert and unpack
training.py     training.py and learning_curve.py
reading.py      prediction.py and evaluation.py
exporting.py    export.py

The flags of a command (cli/flags.py) and the `parameters.json` of a run both come from these classes.
"""

from __future__ import annotations

import importlib
import logging
import sys
from typing import TYPE_CHECKING, Any

from cli.command import WRONG_USE

try:
    import pydantic  # noqa: F401 (its absence is reported here, for all commands)
except ModuleNotFoundError as missing:
    # The likeliest mistake of all is a new terminal without the environment.
    activate = r".venv\Scripts\activate" if sys.platform == "win32" else "source .venv/bin/activate"
    logging.getLogger(__name__).error(
        f"error: {missing.name} is not installed for {sys.executable}: {activate}, once per terminal; "
        "if there is no .venv yet, python3 start.py makes it"
    )
    raise SystemExit(WRONG_USE) from None

if TYPE_CHECKING:
    from parameter.base import CORPUS_RECORD, RUNS_FOLDER, SHIPPED_MODELS, TEST_FOLDER, TRAIN_FOLDER, Parameters
    from parameter.corpora import ConvertParameters, DatasetParameters, SuggestParameters, UnpackParameters
    from parameter.exporting import ExportParameters
    from parameter.generation import (
        DEFAULT_ALPHABET,
        FAMILIES,
        GENERATED,
        STYLES,
        GenerateParameters,
        generated,
        size_flag,
    )
    from parameter.reading import EvaluationParameters, PredictionParameters, ReadingParameters
    from parameter.training import PRESETS, RANDOM, LearningCurveParameters, TrainingParameters
    from parameter.types import picture_size

#: The module of each public name. Modules are imported when a name of theirs is first used, because a command needs
#: few of them, and pydantic takes some milliseconds for each class.
_MODULES = {
    "base": ("CORPUS_RECORD", "RUNS_FOLDER", "SHIPPED_MODELS", "TEST_FOLDER", "TRAIN_FOLDER", "Parameters"),
    "corpora": ("ConvertParameters", "DatasetParameters", "SuggestParameters", "UnpackParameters"),
    "exporting": ("ExportParameters",),
    "generation": (
        "DEFAULT_ALPHABET",
        "FAMILIES",
        "GENERATED",
        "STYLES",
        "GenerateParameters",
        "generated",
        "size_flag",
    ),
    "reading": ("EvaluationParameters", "PredictionParameters", "ReadingParameters"),
    "training": ("PRESETS", "RANDOM", "LearningCurveParameters", "TrainingParameters"),
    "types": ("picture_size",),
}

__all__ = ["CORPUS_RECORD", "RUNS_FOLDER", "SHIPPED_MODELS", "TEST_FOLDER", "TRAIN_FOLDER", "Parameters"]
__all__ += ["picture_size"]
__all__ += ["DEFAULT_ALPHABET", "FAMILIES", "GENERATED", "STYLES", "GenerateParameters", "generated", "size_flag"]
__all__ += ["ConvertParameters", "DatasetParameters", "ExportParameters", "SuggestParameters", "UnpackParameters"]
__all__ += ["PRESETS", "RANDOM", "LearningCurveParameters", "TrainingParameters"]
__all__ += ["EvaluationParameters", "PredictionParameters", "ReadingParameters"]


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(importlib.import_module(f"parameter.{module}"), name)
    raise AttributeError(f"module 'parameter' has no attribute {name!r}")
