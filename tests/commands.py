"""Commands as users type them, run in this process: starting Python and TensorFlow for each would take seconds."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from typing import Any

import pytest

import evaluation
import export
import parameter
import prediction
import training
from cli.command import run_command
from dataset.__main__ import main as dataset_main
from dataset.__main__ import suggest_flags
from dataset.convert import convert
from dataset.unpack import unpack
from generate_captcha.__main__ import generate

#: The function and the parameters of each command, by how a line begins; the longer of two beginnings comes first.
COMMANDS: dict[str, tuple[Callable[..., int], type[parameter.Parameters]]] = {
    "python -m generate_captcha": (generate, parameter.GenerateParameters),
    "python -m dataset convert": (convert, parameter.ConvertParameters),
    "python -m dataset suggest": (suggest_flags, parameter.SuggestParameters),
    "python -m dataset unpack": (unpack, parameter.UnpackParameters),
    "python -m dataset": (dataset_main, parameter.DatasetParameters),
    "python training.py": (training.main, parameter.TrainingParameters),
    "python evaluation.py": (evaluation.main, parameter.EvaluationParameters),
    "python prediction.py": (prediction.main, parameter.PredictionParameters),
    "python export.py": (export.main, parameter.ExportParameters),
}


def split(line: str) -> tuple[Callable[..., int], type[parameter.Parameters], list[str]]:
    """The function, the parameters and the flags of a command line."""
    begin = next(begin for begin in COMMANDS if f"{line} ".startswith(f"{begin} "))
    return *COMMANDS[begin], shlex.split(line.removeprefix(begin))


def run(line: str) -> int:
    """Run a command line to its end; returns its exit code."""
    return exit_code(*split(line))


def exit_code(main: Callable[[Any], int], parameters: type[parameter.Parameters], arguments: Sequence[str]) -> int:
    """Run the function of a command with flags, as its script does; returns its exit code."""
    with pytest.raises(SystemExit) as stop:
        run_command(main, parameters, list(arguments))
    assert isinstance(stop.value.code, int)
    return stop.value.code
