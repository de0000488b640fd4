"""Parameters: flags, checks, help, and the file of a run."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import parameter
from console import UserError

ROOT = Path(parameter.__file__).parent

COMMANDS = [
    parameter.GenerateParameters,
    parameter.DatasetParameters,
    parameter.TrainingParameters,
    parameter.PredictionParameters,
    parameter.EvaluationParameters,
]


@pytest.mark.parametrize("parameters", COMMANDS)
def test_every_command_has_defaults_help_and_a_file(
    parameters: type[parameter.Parameters], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    defaults = parameter.from_command_line(parameters, [])
    (tmp_path / "parameters.json").write_text(defaults.to_json(), encoding="utf-8")
    assert parameters.from_json(tmp_path / "parameters.json") == defaults

    with pytest.raises(SystemExit) as stop:
        parameter.from_command_line(parameters, ["--help"])
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    for name, field in parameters.model_fields.items():
        assert field.description, f"{name} has no help"
    assert "--no-" not in shown


def test_flags_reach_their_parameters() -> None:
    generate = parameter.from_command_line(
        parameter.GenerateParameters, ["--size", "200X50", "--length", "4-6", "--count", "7"]
    )
    assert (generate.size, generate.length, generate.count) == ("200x50", "4-6", 7)
    training = parameter.from_command_line(
        parameter.TrainingParameters, ["--from", "captcha", "--batch-size", "32", "--resume", "--validation", "0.2"]
    )
    assert (training.from_, training.batch_size, training.resume, training.validation) == ("captcha", 32, True, "0.2")
    prediction = parameter.from_command_line(
        parameter.PredictionParameters, ["a.png", "-", "--top", "3", "--json", "o.json"]
    )
    assert (prediction.paths, prediction.paths_kept, prediction.json_) == (("a.png", "-"), 3, "o.json")


@pytest.mark.parametrize(
    ("parameters", "argv", "parts"),
    [
        (parameter.GenerateParameters, ["--size", "big"], ["--size big", "128x64"]),
        (parameter.GenerateParameters, ["--size", "0x64"], ["--size 0x64", "WIDTHxHEIGHT"]),
        (parameter.GenerateParameters, ["--length", "6-4"], ["--length 6-4", "4-6"]),
        (parameter.GenerateParameters, ["--count", "0"], ["--count 0", "greater"]),
        (parameter.GenerateParameters, ["--style", "nice"], ["style", "nice"]),
        (parameter.TrainingParameters, ["--validation", "1.5"], ["--validation 1.5", "between 0 and 1"]),
        (parameter.TrainingParameters, ["--label-pattern", "("], ["--label-pattern (", "regular expression"]),
        (parameter.TrainingParameters, ["--label-pattern", "a"], ["--label-pattern a", "group named label"]),
        (parameter.TrainingParameters, ["--epochs", "few"], ["--epochs", "few"]),
        (parameter.PredictionParameters, ["--decoder", "best"], ["decoder", "best"]),
        (parameter.EvaluationParameters, ["a", "b"], ["b"]),
    ],
)
def test_mistakes_are_told_in_one_sentence(
    parameters: type[parameter.Parameters], argv: list[str], parts: list[str]
) -> None:
    with pytest.raises(UserError) as caught:
        parameter.from_command_line(parameters, argv)
    for part in parts:
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "--help" in str(caught.value) or "give" in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '{"no_such_parameter": 1}', '{"epochs": -1}'])
def test_a_file_that_is_no_parameter_file_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text(text)
    with pytest.raises(UserError):
        parameter.TrainingParameters.from_json(tmp_path / "p.json")


def test_version_is_that_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == parameter.KIT_VERSION


@pytest.mark.parametrize(
    "command", ["prediction.py", "evaluation.py", "training.py", "-m generate_captcha", "-m dataset"]
)
def test_help_answers_without_the_heavy_libraries(command: str) -> None:
    result = subprocess.run(
        [sys.executable, "-X", "importtime", *command.split(), "--help"], capture_output=True, text=True, cwd=ROOT
    )
    assert result.returncode == 0
    assert "--" in result.stdout
    imported = {
        line.rpartition("|")[2].strip() for line in result.stderr.splitlines() if line.startswith("import time")
    }
    assert "parameter" in imported
    assert not imported & {"keras", "tensorflow", "jax", "torch", "matplotlib", "PIL"}
